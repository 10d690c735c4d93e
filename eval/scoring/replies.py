"""What is plainly broken about a reply in words: checks that need no reference, and so never say that a reply is right."""

import re
import unicodedata
from collections import Counter

from callwright.results import Result
from callwright.text import chinese_form, letters_of, script_of
from callwright.thoughts import split_thoughts

FAULTS = {
    "empty": "hold no words",
    "cut": "are cut at the token limit",
    "script": "are in another script than the user's",
    "loop": "loop at the end",
    "echo": "give the user's own words back",
    "leak": "leak a token of the template",
}
"""What can be wrong with replies, and how a table says it. `empty` is nothing but spaces and punctuation; `script` is Latin
for Han, or Simplified for Traditional; `leak` is also a call that was not made."""

SAME_SCRIPT = 0.2
"""the least share of the user's script in the reply, in bytes of UTF-8: a Han character weighs as much as three letters"""
LOOP_TAIL, LOOP_GRAM, LOOP_LEAST = 160, 8, 24
"""characters at the end that are looked at, of an n-gram, and the fewest that can loop"""
SHORT_TAIL, SHORT_GRAM, SHORT_LEAST = 24, 2, 15
"""the same of letters alone, for loops too short for the others, such as 看看看看看看; the fewest are in bytes of UTF-8"""
ECHO_BYTES, ECHO_SHARE = 18, 0.8
"""the least of the user's words (a greeting may be returned), and how much of the reply they are"""

_LEAK = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|</?(?:s|unk|pad|eos|bos|think|tool_call|tool_response)>"
    r"|<(?:start|end)_of_turn>|\[/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS)\]|<</?SYS>>"
    r"|^(?:user|assistant|system|tool|observation)$",
    re.MULTILINE,
)


def reply_faults(result: Result) -> list[str]:
    """Return what is wrong with the reply to a case without a call, of FAULTS in their order."""
    reply, text = split_thoughts(result.content or "").answer, result.text
    checks = {
        "empty": not any(unicodedata.category(mark)[0] in "LNS" for mark in reply),
        "cut": result.finish_reason == "length",
        "script": not _fits(text, reply),
        "loop": _loops(reply),
        "echo": _echoes(text, reply),
        "leak": result.verdict == "malformed_attempt" or _LEAK.search(reply) is not None,
    }
    return [fault for fault in FAULTS if checks[fault]]


def _fits(text: str, reply: str) -> bool:
    asked, replied = _scripts(text), _scripts(reply)
    if not asked or not replied:
        return True
    script = asked.most_common(1)[0][0]
    if replied[script] < SAME_SCRIPT * replied.total():
        return False
    return script != "CJK" or {chinese_form(text), chinese_form(reply)} != {"traditional", "simplified"}


def _scripts(text: str) -> Counter[str]:
    """Script → bytes of its letters. Han characters beside kana are Japanese."""
    found: Counter[str] = Counter()
    for letter in filter(str.isalpha, text):
        script = script_of(letter)
        kana = script in ("HIRAGANA", "KATAKANA")
        found["KANA" if kana else script] += len(letter.encode("utf-8", "replace"))
    if found["KANA"] > found.total() / 10:
        found["KANA"] += found.pop("CJK", 0)
    return +found


def _loops(reply: str) -> bool:
    """Return whether most n-grams at the end stand there twice: seq-rep-n over characters instead of tokens.

    S. Welleck et al., "Neural text generation with unlikelihood training", ICLR 2020: 1 - |unique n-grams| / |n-grams|.
    """
    end = " ".join(reply[-4 * LOOP_TAIL :].split())
    letters = "".join(filter(str.isalpha, end)).casefold()
    long = len(end) >= LOOP_LEAST and _repeats(end[-LOOP_TAIL:], LOOP_GRAM)
    size = len(letters.encode("utf-8", "replace"))
    return long or (size >= SHORT_LEAST and _repeats(letters[-SHORT_TAIL:], SHORT_GRAM))


def _repeats(text: str, size: int) -> bool:
    grams = [text[start : start + size] for start in range(len(text) - size + 1)]
    return len(set(grams)) < len(grams) / 2


def _echoes(text: str, reply: str) -> bool:
    asked, replied = letters_of(text), letters_of(reply)
    return len(asked.encode()) >= ECHO_BYTES and asked in replied and len(asked) >= ECHO_SHARE * len(replied)
