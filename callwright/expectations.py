"""What must arrive in an argument, and whether an utterance says it: one rule for lines that a grammar generates, a large
model writes and a reviewer reads."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from callwright.json_schema import argument_schema
from callwright.matchers import missing_words
from callwright.records import Call

MOST_WORDS = 5
"""Expected words of one argument: enough to prove that the content arrived, few enough to be fair."""
GROUNDED = 0.8
"""The least share of a string argument's content words that an utterance holds, below which it does not say the argument."""
LISTED, SPELT = {"enum", "const"}, {"format", "pattern"}
"""Keywords of a schema that give a string's text, and those that give its form."""
HAN = re.compile(r"[\u3400-\u9fff]")
MEASURED = re.compile(
    r"^[一兩两三四五六七八九十幾几半這这那某每0-9]{1,2}"
    r"[隻只個个位條条張张座匹朵棵顆颗輛辆台臺架艘間间棟栋杯碗盤盘份把頂顶本頭头群對对雙双片塊块幅組组款套枚串株尊名堆排盞盏家支枝艘幢扇面滴場场鍋锅籃篮桌瓶罐種种]"
)
BETWEEN = re.compile(r"正?在|和(?![服平室])|[的與与跟著着，、。！？；：「」『』（）,.!?;:()\"“”/\s]+")
FUNCTION_WORD = re.compile(
    "a|an|the|of|in|on|at|to|for|with|and|or|by|from|into|over|under|up|out|off|near|through|while|as|like|just|very|some"
    "|its|it|his|her|their|my|your|our|this|that|who|which|is|are|was|be|being|one|two|three",
    re.IGNORECASE,
)
NUMERALS = re.compile(r"\d|[零〇一二三四五六七八九十百千半兩两]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|"
                      r"twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|half|quarter|"
                      r"week|weekend|fortnight)\b", re.IGNORECASE)  # fmt: skip
"""Signs that a text names a number."""

Leaf = tuple[Any, dict[str, Any]]
"""A scalar of a call's arguments, and what its tool's schema says of it in any branch: {} if nothing."""


def content_words(text: str) -> list[str]:
    """Return the words of a phrase that carry its content, as they stand in it.

    Chinese is cut at particles and marks, and loses its measure words; other scripts are cut at white space and lose
    English function words. A phrase of function words alone is its own content.
    """
    words: list[str] = []
    for part in BETWEEN.split(text):
        part = MEASURED.sub("", part) if HAN.search(part) else part.strip("-'’")
        if part and (HAN.search(part) or not FUNCTION_WORD.fullmatch(part)) and part not in words:
            words.append(part)
    return words or [text.strip()]


def leaves(arguments: dict[str, Any], parameters: dict[str, Any] | None) -> Iterator[Leaf]:
    """Yield the scalars of a call's arguments under its tool's schema."""
    return ((value, own) for _, value, own in argument_schema(parameters or {}).steps.leaves(arguments))


def is_free_text(arguments: dict[str, Any], parameters: dict[str, Any] | None) -> bool:
    """Tell whether arguments are strings alone, which the schema gives without enum, const, format and pattern."""
    every = leaves(arguments, parameters)
    return all(isinstance(value, str) and not own.keys() & (LISTED | SPELT) for value, own in every)


def expected_call(call: Call, text: str, parameters: dict[str, Any] | None) -> Call:
    """Return a call with matchers: of free text, the content words that the utterance says must arrive; else the value."""
    arguments = dict(call.arguments)
    for key, value in call.arguments.items():
        if isinstance(value, str) and is_free_text({key: value}, parameters):
            words = [word for word in content_words(value) if word and not missing_words([word], text)]
            if words:
                arguments[key] = {"contains": words[:MOST_WORDS]}
    return Call(name=call.name, arguments=arguments)


def expected_words(calls: Iterable[Call]) -> list[str]:
    """Return the words of all `contains` matchers of expected calls."""
    matchers = [matcher for call in calls for matcher in call.arguments.values()]
    return [word for matcher in matchers if isinstance(matcher, dict) for word in matcher.get("contains", [])]


def contains_expected_words(text: str, expected: Iterable[Call]) -> bool:
    """Tell whether a text holds every word that is expected to arrive."""
    return not missing_words(expected_words(expected), text)


def unlisted_values(arguments: dict[str, Any], parameters: dict[str, Any] | None) -> Iterator[str | float]:
    """Yield the strings and numbers of a call's arguments that no enum or const gives: somebody must have said them."""
    for value, own in leaves(arguments, parameters):
        if isinstance(value, str | int | float) and not isinstance(value, bool) and not own.keys() & LISTED:
            yield value


def share_said(value: str | float, text: str) -> float:
    """Return the share (0 to 1) of a value's content words that an utterance holds; of a number, 1 if it names any."""
    if not isinstance(value, str):
        return 1.0 if NUMERALS.search(text) else 0.0
    words = content_words(value)
    return 1 - len(missing_words(words, text)) / len(words)
