"""What the readers share: a call and its span, JSON inside a text, and the words for what is broken."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from callwright.files import parse_json_at, to_json
from callwright.records import Call

Names = frozenset[str] | None
"""the tools on offer; None where nobody knows"""

REPAIR_LIMIT = 2_000
"""characters of broken JSON that are worth explaining; json-repair is not linear"""

_NAME_KEY = re.compile(r"""["']name["']\s*:""")
_ARGUMENTS_KEY = re.compile(r"""["'](?:arguments|parameters)["']\s*:""")
_SPACE = re.compile(r"\s*")


@dataclass(frozen=True)
class TextCall:
    """A whole call and the half-open span of characters that it takes up; the calls of one list share the list's."""

    call: Call
    start: int
    end: int


class Broken(ValueError):
    """A call was begun and is not whole."""


def hints_at_object(text: str) -> bool:
    """Whether the text holds the keys of a call."""
    return bool(_NAME_KEY.search(text) and _ARGUMENTS_KEY.search(text))


def skip(text: str, position: int) -> int:
    """The position of the next character that is no space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def json_at(text: str, position: int) -> tuple[Any, int]:
    """The JSON value at a position, after spaces, and where it ends; Broken where there is none."""
    start = skip(text, position)
    try:
        return parse_json_at(text, start)
    except ValueError as error:
        raise Broken(f"not JSON ({error}){_explain(text[start : start + REPAIR_LIMIT])}") from None


def object_at(text: str, position: int, what: str) -> tuple[dict[str, Any], int]:
    """The JSON object at a position, and where it ends; Broken where there is none."""
    value, end = json_at(text, position)
    if not isinstance(value, dict):
        raise Broken(f"{what} is a {type(value).__name__}, not an object")
    return value, end


def no_rest(text: str, position: int, end: int | None = None) -> None:
    """Raise Broken where anything but spaces stands between two positions; up to the end of the text without `end`."""
    if (rest := text[position:end].strip()) != "":
        raise Broken(f"{rest[:40]!r} after the JSON")


def call_of(value: Any, key: str, ignored: Iterable[str] = ()) -> Call:
    """The call of an object with `name` and `key`; Broken where it is none, or holds more than these and the ignored."""
    if not isinstance(value, dict):
        raise Broken(f"a {type(value).__name__}, not an object")
    name, arguments = value.get("name"), value.get(key)
    if not isinstance(name, str) or not name:
        raise Broken("no name")
    if not isinstance(arguments, dict):
        raise Broken(f"no `{key}`" if key not in value else f"`{key}` is a {type(arguments).__name__}, not an object")
    if extra := sorted(set(value) - {"name", key, *ignored}):
        raise Broken(f"unknown key {extra[0]!r}")
    return Call(name=name, arguments=arguments)


def unicode_call(name: str, arguments: dict[str, Any]) -> Call:
    """A call whose arguments did not come from JSON; Broken where UTF-8 cannot write them."""
    try:
        to_json([name, arguments]).encode()
    except UnicodeEncodeError:
        raise Broken("holds a lone surrogate") from None
    return Call(name=name, arguments=arguments)


def offered(call: Call, names: Names) -> Call:
    """The call itself; Broken where the tools on offer are known, and it is of none of them."""
    if names is not None and call.name not in names:
        raise Broken(f"{call.name[:60]!r} is not one of the tools")
    return call


def _explain(broken: str) -> str:
    """What a repair would make of broken JSON: words for a person, never a call that counts."""
    from json_repair import repair_json

    try:
        repaired = repair_json(broken.split("</tool_call>")[0], return_objects=True)
    except (ValueError, RecursionError, IndexError):
        return ""
    name = repaired.get("name") if isinstance(repaired, dict) else None
    return f"; repaired it would call {name[:60]!r}" if isinstance(name, str) else ""
