"""Read tool calls from a model's raw text, strictly: what is whole, where it stands, and why the rest is not.

Three grammars, as LLaMA-Factory's templates write them (`llamafactory/data/tool_utils.py`):

- `default`: lines `Action: <name>` and `Action Input: <JSON object>`
- `qwen`: `<tool_call>{"name": …, "arguments": {…}}</tool_call>` (Hermes), repeated for parallel calls
- `llama3`: the whole text is `{"name": …, "parameters": {…}}`, or a list of such objects

Nothing here raises on any text, and every reader is linear in its length.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from callwright.files import parse_json_at
from callwright.records import Call

Grammar = Literal["default", "qwen", "llama3"]

REPAIR_LIMIT = 2_000
"""characters of broken JSON that are worth explaining; json-repair is not linear"""

_SPACE = re.compile(r"\s*")
_ACTION = re.compile(r"^Action:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_INPUT = re.compile(r"\s*Action Input:[ \t]*")
_OPEN, _CLOSE = "<tool_call>", "</tool_call>"

_MARKS = (
    "<tool_call",
    "</tool_call",
    "<|tool_call",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<functioncall>",
    "<function=",
    "Action Input:",
)
"""what only a call is written with, in one or another model family"""

_NAME_KEY = re.compile(r"""["']name["']\s*:""")
_ARGUMENTS_KEY = re.compile(r"""["'](?:arguments|parameters)["']\s*:""")


@dataclass(frozen=True)
class TextCall:
    """A whole call and the half-open span of characters that it takes up."""

    call: Call
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """What one grammar finds in a text."""

    grammar: Grammar
    calls: tuple[TextCall, ...]
    outside: str
    """the text around the calls, stripped"""
    fault: str | None
    """why a call that was begun is not whole; None when none was begun or all are"""

    @property
    def whole(self) -> bool:
        """Whether there are calls and nothing is wrong with any."""
        return bool(self.calls) and self.fault is None


def read_calls(text: str, grammar: Grammar) -> Reading:
    """Read the calls that `text` holds under one grammar. Reading stops at the first call that is not whole."""
    calls: list[TextCall] = []
    fault = None
    try:
        for call in _READERS[grammar](text):
            calls.append(call)
    except ValueError as error:  # _Broken, or pydantic's where a string is not Unicode
        fault = str(error).splitlines()[0]
    pieces, position = [], 0
    for found in calls:
        pieces.append(text[position : found.start].strip())
        position = found.end
    pieces.append(text[position:].strip())
    return Reading(grammar, tuple(calls), "\n".join(piece for piece in pieces if piece), fault)


def find_calls(text: str) -> Reading | None:
    """The first grammar's reading that is whole, or None."""
    return next((reading for reading in (read_calls(text, g) for g in _READERS) if reading.whole), None)


def attempts_call(text: str, names: Iterable[str] = ()) -> str | None:
    """Why `text` counts as a malformed attempt: it tries to call and no grammar can read it; None where it does not.

    Args:
        text: the reply.
        names: the tools on offer; a reply that begins with `name(` is an attempt as well.
    """
    readings = [read_calls(text, grammar) for grammar in _READERS]
    if any(reading.whole for reading in readings):
        return None
    if reading := next((reading for reading in readings if reading.fault), None):
        return f"{reading.grammar} form, {reading.fault}"
    if mark := next((mark for mark in _MARKS if mark in text), None):
        return f"{mark} without a call that can be read"
    if _NAME_KEY.search(text) and _ARGUMENTS_KEY.search(text):
        return "an object with a name and arguments, in no form that can be read"
    start = text.lstrip("[`").lstrip()
    if name := next((name for name in names if start.startswith(f"{name}(")), None):
        return f"{name}(…) written as code"
    return None


class _Broken(ValueError):
    """A call was begun and is not whole."""


def _read_qwen(text: str) -> Iterable[TextCall]:
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        if text.find(_CLOSE, position, start) >= 0:
            raise _Broken(f"{_CLOSE} without {_OPEN}")
        value, end = _json(text, start + len(_OPEN))
        call = _call(value, "arguments")
        end = _skip(text, end)
        if not text.startswith(_CLOSE, end):
            raise _Broken(f"no {_CLOSE} after the JSON")
        position = end + len(_CLOSE)
        yield TextCall(call, start, position)
    if text.find(_CLOSE, position) >= 0:
        raise _Broken(f"{_CLOSE} without {_OPEN}")


def _read_default(text: str) -> Iterable[TextCall]:
    position = 0
    while action := _ACTION.search(text, position):
        given = _INPUT.match(text, action.end())
        if given is None:
            position = action.end()  # prose may hold a line "Action: …"; only the pair of lines is a call
            continue
        value, end = _json(text, given.end())
        if not isinstance(value, dict):
            raise _Broken(f"Action Input is a {type(value).__name__}, not an object")
        if (rest := text[end : _line_end(text, end)].strip()) != "":
            raise _Broken(f"{rest[:40]!r} after the JSON")
        yield TextCall(Call(name=action[1], arguments=value), action.start(), end)
        position = end


def _read_llama3(text: str) -> Iterable[TextCall]:
    start = _skip(text, 0)
    if text[start : start + 1] not in ("{", "[") or not (_NAME_KEY.search(text) and _ARGUMENTS_KEY.search(text)):
        return
    value, end = _json(text, start)
    if (rest := text[end:].strip()) != "":
        raise _Broken(f"{rest[:40]!r} after the JSON")
    for item in value if isinstance(value, list) else [value]:
        yield TextCall(_call(item, "parameters"), start, end)


_READERS: dict[Grammar, Callable[[str], Iterable[TextCall]]] = {
    "qwen": _read_qwen,
    "default": _read_default,
    "llama3": _read_llama3,
}


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _json(text: str, position: int) -> tuple[Any, int]:
    start = _skip(text, position)
    try:
        return parse_json_at(text, start)
    except ValueError as error:
        raise _Broken(f"not JSON ({error}){_explain(text[start : start + REPAIR_LIMIT])}") from None


def _explain(broken: str) -> str:
    """What a repair would make of broken JSON: words for a person, never a call that counts."""
    from json_repair import repair_json

    try:
        repaired = repair_json(broken.split(_CLOSE)[0], return_objects=True)
    except (ValueError, RecursionError, IndexError):
        return ""
    name = repaired.get("name") if isinstance(repaired, dict) else None
    return f"; repaired it would call {name[:60]!r}" if isinstance(name, str) else ""


def _call(value: Any, key: str) -> Call:
    if not isinstance(value, dict):
        raise _Broken(f"a {type(value).__name__}, not an object")
    name, arguments = value.get("name"), value.get(key)
    if not isinstance(name, str) or not name:
        raise _Broken("no name")
    if not isinstance(arguments, dict):
        raise _Broken(f"no `{key}`" if key not in value else f"`{key}` is a {type(arguments).__name__}, not an object")
    if extra := sorted(set(value) - {"name", key}):
        raise _Broken(f"unknown key {extra[0]!r}")
    return Call(name=name, arguments=arguments)
