r"""Split what a reasoning model wrote into its thoughts and its answer: `split_thoughts(text)`.

    "<think>\nshall I call?\n</think>\n\nHello!"   →   thoughts ("\nshall I call?\n",), answer "Hello!"

A mark in quotes, in backticks or in the value of an XML argument is a word, and begins no thought.
"""

import re
from typing import NamedTuple

_TAGS = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|scratch_pad|seed:think|longcat_think"
_HARMONY = "<|channel|>analysis<|message|>"
MARKS: dict[str, str] = {
    **{f"<{tag}>": f"</{tag}>" for tag in _TAGS.split("|")},
    "[THINK]": "[/THINK]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi-VL
    "<|channel>thought": "<channel|>",  # Gemma 4
    "<|START_THINKING|>": "<|END_THINKING|>",  # Command A and R7B
    "<|begin_of_thought|>": "<|end_of_thought|>",  # Sky-T1, OpenThinker
    "<|inner_prefix|>": "<|inner_suffix|>",  # Apertus
    _HARMONY: "<|end|>",  # gpt-oss
}
"""What a thought stands between, in one or another model family."""

_CLOSES = {opening.lower(): close.lower() for opening, close in MARKS.items()}
_UNOPENED = [re.escape(close) for close in MARKS.values() if close != "<|end|>"]
_TOKEN = re.compile(
    r"\\[^\n]"  # an escaped quote is none
    r"|<(?:｜DSML｜)?(?P<value>parameter|arg_value|\|\"\|)(?:[=\s][^<>\n]*+)?>"
    rf"|(?P<first>^[ \t]*+)?(?:<\|start\|>assistant)?(?P<open>{'|'.join(map(re.escape, MARKS))})"
    rf"|(?P<close>{'|'.join(_UNOPENED)})"
    r"|(?P<quote>\")|(?P<line>\n)",
    re.MULTILINE | re.IGNORECASE,
)
_CAPITALS = re.compile("[A-Z]++")
_HARMONY_HEADER = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>(?:final|commentary)(?: *<\|constrain\|>\w+)?<\|message\|>"
    r"|<\|(?:return|end)\|>"
)
_HARMONY_BARE = re.compile(r"assistant(?:final|(?=commentary to=))")
"""How the next channel begins where a server left the special tokens of gpt-oss out of its text."""


class Split(NamedTuple):
    """The thoughts and the answer of a text."""

    thoughts: tuple[str, ...]
    """What stood between the marks, as it was written, in order; an empty thought counts."""
    answer: str
    """The rest, without the space after each thought; the text itself where it holds no thought."""
    cut: bool = False
    """Whether the last thought was begun and never ended: no answer follows it."""


def split_thoughts(text: str) -> Split:
    """Split a text into its thoughts and its answer, in time that is linear in its length. Raises nothing.

    A thought reaches from its opening mark to the first closing one. Where only a closing mark stands in the text, the
    prompt held the opening one (DeepSeek-R1, Qwen3-Thinking), and the thought is all that stands before. An opening
    mark that begins a line and is never closed is a thought that was cut; in the middle of a line it is a word.
    """
    if text.startswith("analysis") and (following := _HARMONY_BARE.search(text)):
        return Split((text[len("analysis") : following.start()],), text[following.end() :].lstrip())
    spans: list[tuple[int, int]] = []  # of the thoughts
    pieces: list[str] = []  # of the answer
    missing: set[str] = set()  # closing marks that do not stand in the rest of the text: none is looked for twice
    begin = position = inner = 0  # where the answer goes on; where to search; openings inside the last thought
    close, quoted = "", False
    folded = _CAPITALS.sub(lambda found: found[0].lower(), text)  # of the same length, as str.lower's need not be
    while token := _TOKEN.search(text, position):
        position = token.end()
        kind = token.lastgroup
        if kind in ("quote", "line"):
            quoted = kind == "quote" and not quoted
        if kind not in ("value", "open", "close") or quoted:
            continue
        if text[max(token.start() - 1, 0)] in "'`":
            position = _end_of_quotation(text, token)
            continue
        if kind == "close":
            if not spans:
                spans, begin = [(0, token.start())], position
            elif inner and token[0].lower() == close:
                spans[-1], begin, inner = (spans[-1][0], token.start()), position, inner - 1
            continue
        mark = _CLOSES[token["open"].lower()] if kind == "open" else f"{token['value'].lower()}>"
        end = -1 if mark in missing else folded.find(mark, position)
        if end < 0:
            missing.add(mark)
        elif kind == "value":
            position = end + len(mark)
        if kind == "open" and (end >= 0 or token["first"] is not None or _follows(text, begin, token)):
            pieces.append(text[begin : token.start()])
            spans.append((position, end if end >= 0 else len(text)))
            if end < 0:
                return Split(tuple(text[a:b] for a, b in spans), _joined(pieces), cut=True)
            close, inner = mark, folded.count(token["open"].lower(), position, end)
            begin = position = end + len(mark)
    answer = _joined([*pieces, text[begin:]]) if spans else text
    return Split(
        tuple(text[a:b] for a, b in spans), _HARMONY_HEADER.sub("", answer) if "<|channel|>" in answer else answer
    )


def _end_of_quotation(text: str, token: re.Match[str]) -> int:
    """Return where the quotation that holds a mark ends: at the character that stands before the mark, or with the line."""
    position, quote = token.end(), text[token.start() - 1]
    while position < len(text) and text[position] not in (quote, "\n"):
        position += 1
    return position


def _follows(text: str, begin: int, token: re.Match[str]) -> bool:
    """Tell whether nothing but a few spaces stands between the end of a thought and a mark."""
    return token.start() - begin < 20 and not text[begin : token.start()].strip()


def _joined(pieces: list[str]) -> str:
    answer = pieces[0].lstrip()
    for piece in pieces[1:]:
        answer += piece if answer and not answer[-1].isspace() else piece.lstrip()
    return answer
