"""`<|tool_call>call:name{key:<|"|>text<|"|>,n:1}<tool_call|>` (Gemma 4): bare keys, texts between marks of their own."""

import re
from collections.abc import Iterable
from typing import Any

from callwright.files import parse_json, to_json
from callwright.grammars.common import Broken, Names, TextCall, unicode_call

_OPEN, _CLOSE = "<|tool_call>", "<tool_call|>"
_TURN_OPEN, _TURN_CLOSE = "<|tool>", "<tool|>"
"""what LLaMA-Factory's template puts around the calls of a turn"""

_HEAD = re.compile(r"call:([^{\s]++)(?=\{)")
_TOKEN = re.compile(
    r"""<\|"\|>(?P<text>.*?)<\|"\|> | (?P<key>[^\s:,{}\[\]<"][^:,{}\[\]<"]*+):
      | (?P<open>[{\[]) | (?P<close>[}\]]) | [,:] | \s+ | -?\d[\w.+-]* | true | false | null""",
    re.DOTALL | re.VERBOSE,
)


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The calls between their marks; `names` do not matter, as the marks say that it is a call."""
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        head = _HEAD.match(text, start + len(_OPEN))
        if head is None:
            raise Broken(f"no call:name{{…}} after {_OPEN}")
        arguments, end = _arguments(text, head.end())
        if not text.startswith(_CLOSE, end):
            raise Broken(f"no {_CLOSE} after the arguments")
        position = end + len(_CLOSE)
        position += len(_TURN_CLOSE) * text.startswith(_TURN_CLOSE, position)
        start -= len(_TURN_OPEN) * text.endswith(_TURN_OPEN, 0, start)
        yield TextCall(unicode_call(head[1], arguments), start, position)


def _arguments(text: str, at: int) -> tuple[dict[str, Any], int]:
    """The object that opens at a position, which is rewritten as JSON up to its end; and that end."""
    written: list[str] = []
    depth = 0
    while depth or not written:
        token = _TOKEN.match(text, at)
        if token is None:
            raise Broken(f"{text[at : at + 20]!r} in the arguments" if text[at:] else "arguments without their end")
        kind, at = token.lastgroup, token.end()
        word = token[kind] if kind else token[0]
        depth += (kind == "open") - (kind == "close")
        written.append(to_json(word) if kind == "text" else f"{to_json(word.rstrip())}:" if kind == "key" else word)
    try:
        return parse_json("".join(written)), at
    except ValueError as error:
        raise Broken(f"arguments: {error}") from None
