"""The text of a row's turns: a thought before any of them, and the thought, words and calls of a function_call turn, as
LLaMA-Factory's FunctionFormatter reads and learns them.

    {"name": "f", "arguments": {}}                                             a call; a list of such for parallel calls
    <think>\\nhm\\n</think>\\n\\n{"name": "f", "arguments": {}}                    a thought before it
    Let me see.\\n<tool_call>{"name": "f", "arguments": {}}</tool_call>         words before it, with or without a thought

LLaMA-Factory 0.9.5 (`data/formatter.py`) takes what stands between the first marks for the calls and learns all other
text before them, so that a second pair of marks, or words behind the first, would be learned in the wrong order.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from callwright.files import parse_json, parse_json_at, to_json

THINK, END_THINK = "<think>", "</think>"
"""around a thought, in the words of LLaMA-Factory's reasoning templates"""
OPEN, CLOSE = "<tool_call>", "</tool_call>"
_CALLS = re.compile(r"<tool_call>\s*(?=[{\[])")
_MEANT = re.compile(r"<(?=\|?/?(?:seed:)?(?:think|tool_call|channel))|◁(?=/?think▷)")
"""in the text of arguments, what a template would take for a mark of its own"""


def with_thought(thought: str, rest: str) -> str:
    """Put a thought before the rest of a turn, as most templates' `thought_words` have it."""
    return f"{THINK}\n{thought}\n{END_THINK}\n\n{rest}" if thought else rest


def split_thought(value: str) -> tuple[str, str]:
    """Split a turn into the thought that it begins with, "" for none, and the rest: what `with_thought` joins.

    A `<think>` further on, one that is never closed, and other families' marks stay in the rest, to the byte.
    """
    start = len(value) - len(value.lstrip())
    closed = value.find(END_THINK, start) if value.startswith(THINK, start) else -1
    if closed < 0:
        return "", value
    thought, rest = value[start + len(THINK) : closed], value[closed + len(END_THINK) :]
    rest = rest.removeprefix("\n\n") if rest.startswith("\n\n") else rest.lstrip("\n")
    return thought.removeprefix("\n").removesuffix("\n"), rest


@dataclass(frozen=True)
class CallTurn:
    """The thought, words and calls of a function_call turn."""

    thought: str
    words: str
    calls: list[Any]
    """parsed JSON, of whatever kind"""


def read(value: str) -> CallTurn:
    """Read what a function_call turn says, also where LLaMA-Factory would read something else of it (see `fault_of`).

    Raises:
        ValueError: no calls, or one that is not JSON.
    """
    try:
        return CallTurn("", "", _listed(parse_json(value)))
    except ValueError as error:
        fault = error
    thought, rest = split_thought(value)
    words, calls = marked_calls(rest, _strictly)
    if not calls and not thought:
        raise ValueError(f"not JSON ({fault})")
    if not calls:
        words, calls = "", _listed(_strictly(rest))
    return CallTurn(thought, words, calls)


def marked_calls(text: str, parse: Callable[[str], Any]) -> tuple[str, list[Any]]:
    """Read the words around the marks of a text, and what stands between them; no calls where nothing is marked.

    Args:
        parse: reads what is not JSON between two marks; raises ValueError.

    Raises:
        ValueError: a call that is not closed, or that cannot be parsed.
    """
    words, calls, position = [], [], 0
    while opened := _CALLS.search(text, position):
        words.append(text[position : opened.start()])
        try:
            value, end = parse_json_at(text, opened.end())
            closed = text.find(CLOSE, end)
        except ValueError:
            closed = end = text.find(CLOSE, opened.end())
            value = parse(text[opened.end() : max(end, opened.end())])
        if closed < 0 or text[end:closed].strip():
            raise ValueError(f"a call does not end with {CLOSE}")
        calls += _listed(value)
        position = closed + len(CLOSE)
    after = [piece.strip() for piece in (*words[1:], text[position:])]
    if calls and any(CLOSE in piece for piece in after):
        raise ValueError(f"{CLOSE} that closes no call")
    first = words[0].removesuffix("\n") if words else ""
    return "\n".join(piece for piece in (first, *after) if piece) if calls else text, calls


def write(thought: str, words: str, calls: Sequence[dict[str, Any]]) -> tuple[str, CallTurn]:
    """Write the value of a function_call turn; return it with what it holds of the thought and the words.

    Words or a thought that name the marks themselves cannot stand in it: they are left out of what it holds.
    """
    text = _MEANT.sub(lambda found: f"\\u{ord(found[0]):04x}", to_json(calls[0] if len(calls) == 1 else list(calls)))
    for kept in ((thought, words), (thought, ""), ("", words), ("", "")):
        value = with_thought(kept[0], f"{kept[1]}\n{OPEN}{text}{CLOSE}" if kept[1] else text)
        held = CallTurn(*kept, list(calls))
        if _reads_as(value, held):
            break
    return value, held


def _reads_as(value: str, held: CallTurn) -> bool:
    try:
        return fault_of(value) is None and read(value) == held
    except ValueError:
        return False


def fault_of(value: str) -> str | None:
    """Say why LLaMA-Factory would learn something else than a function_call turn says; None where it would not."""
    opened = value.find(OPEN)
    closed = value.find(CLOSE, opened) if opened >= 0 else -1
    if closed < 0:
        return None  # it takes the whole for JSON, but for a thought
    try:
        parse_json(value)
    except ValueError:
        pass
    else:
        return f"its arguments hold {OPEN}…{CLOSE}, which is taken for the call"
    words = value[:opened] + value[closed + len(CLOSE) :]
    if OPEN in words or CLOSE in words:
        return f"only its first {OPEN} is read, and the rest is trained before it: put all calls into one list"
    try:
        parse_json(value[opened + len(OPEN) : closed])
    except ValueError as error:
        return f"not JSON ({error})"
    return None


def beside(value: str) -> str:
    """Read the text that a template writes before the calls of a turn without faults: words behind them are moved there."""
    before, _, after = value.partition(OPEN)
    _, closed, behind = after.partition(CLOSE)
    return before + behind if closed else value.removesuffix(split_thought(value)[1])


def _strictly(text: str) -> Any:
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None


def _listed(value: Any) -> list[Any]:
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise ValueError("a list of no calls")
    return calls
