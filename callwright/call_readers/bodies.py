"""What stands between the marks of a call, one reader a kind of body: JSON and Python here, the rest in `arguments`.

A body is read from behind the opening mark. It gives the calls and the position behind the last character that is
theirs, or raises Broken. A reader that finds nothing that could be a call gives none.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from callwright.files import parse_json_at, to_json
from callwright.literals import calls_at
from callwright.records import Call, read_arguments

Tools = Mapping[str, Any]
"""the tools on offer: name → JSON Schema of the arguments, or None where nobody knows it"""
Body = Callable[[str, re.Match[str], Tools | None, re.Pattern[str]], tuple[list[Call], int]]
"""(text, match of the opening, tools, closing) → calls and where they end"""

_NAME_KEY = re.compile(r"""["'](?:tool_)?name["']\s*+:""")
_ARGUMENTS_KEY = re.compile(r"""["'](?:arguments|parameters)["']\s*+:""")
_SPACE = re.compile(r"\s*+")
_BESIDE = {"id", "tool_call_id", "index", "type"}
"""keys that a call may have beside its name and arguments; they do not change what it does"""


class Broken(ValueError):
    """A call was begun and is not whole."""


class BrokenJson(Broken):
    """What was begun is not JSON."""


def skip(text: str, position: int) -> int:
    """The position of the next character that is no space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def closed_at(text: str, position: int, closing: re.Pattern[str]) -> re.Match[str] | None:
    """The closing of a call at a position, with or without spaces before it; an empty one says that none is needed."""
    return closing.match(text, skip(text, position)) or closing.match(text, position)


def hints_at_object(text: str) -> bool:
    """Whether the text holds the keys of a call."""
    return bool(_NAME_KEY.search(text) and _ARGUMENTS_KEY.search(text))


def json_at(text: str, position: int) -> tuple[Any, int]:
    """The JSON value at a position, after spaces, and where it ends; BrokenJson where there is none."""
    if (start := skip(text, position)) == len(text):
        raise Broken("nothing where its JSON should be")
    try:
        return parse_json_at(text, start)
    except ValueError as error:
        raise BrokenJson(f"not JSON ({error})") from None


def call_of(value: Any, keys: tuple[str, ...] = ("arguments",)) -> Call:
    """The call of a JSON object; Broken where it is none, or holds more than a call does.

    No arguments, null and "" are {}: so a call of a tool that takes none is written.
    """
    if not isinstance(value, dict):
        raise Broken(f"a {type(value).__name__}, not an object")
    name_key = "tool_name" if "tool_name" in value else "name"
    name = value.get(name_key)
    if not isinstance(name, str) or not name:
        raise Broken("no name")
    given = [key for key in keys if key in value]
    if extra := sorted(set(value) - {name_key, *given[:1]} - _BESIDE):
        raise Broken(f"unknown key {extra[0]!r}")
    return checked_call(name, value[given[0]] if given else None, given[0] if given else "arguments")


def checked_call(name: str, arguments: Any, what: str = "arguments") -> Call:
    """A call of these arguments, which the form calls `what`; Broken where they are no object, or no Unicode."""
    if arguments is not None and arguments != "" and not isinstance(arguments, dict):
        raise Broken(f"`{what}` is a {type(arguments).__name__}, not an object")
    arguments = read_arguments(arguments)
    try:
        to_json([name, arguments]).encode()
    except UnicodeEncodeError:  # of Python's or Gemma's text; JSON was checked as it was read
        raise Broken("holds a lone surrogate") from None
    return Call(name=name, arguments=arguments)


def objects(*keys: str, between: str = "(?!)", listed: bool = False) -> Body:
    """JSON: an object with `name` and one of `keys`, or a list of such; several where `between` parts them."""
    separator = re.compile(between)

    def read(text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]) -> tuple[list[Call], int]:
        values, end = _values(text, opened.end(), separator)
        if listed and not isinstance(values[0], list):
            raise Broken("no list of calls")
        items = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return [call_of(item, keys) for item in items], end

    return read


def _values(text: str, position: int, separator: re.Pattern[str]) -> tuple[list[Any], int]:
    value, end = json_at(text, position)
    values = [value]
    while (parted := separator.match(text, end)) and text.startswith(("{", "["), parted.end()):
        value, end = json_at(text, parted.end())
        values.append(value)
    return values, end


_PARTED = re.compile(r"\s*[;,]?\s*")


def bare_objects(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """JSON without any marks: only objects with the name of a tool on offer count, or with arguments if none is known."""
    try:
        values, end = _values(text, opened.end(), _PARTED)
    except BrokenJson:
        if hints_at_object(text):
            raise
        return [], opened.end()
    calls = []
    for value in values:
        for item in map(_object, value if isinstance(value, list) else _listed(value)):
            if not isinstance(item, dict) or not any(isinstance(item.get(key), str) for key in ("name", "tool_name")):
                return [], end
            if not ({"arguments", "parameters"} & set(item)) and item.get("name") not in (tools or ()):
                return [], end
            calls.append(call_of(item, ("parameters", "arguments")))
            if tools is not None and calls[-1].name not in tools:
                raise Broken(f"{calls[-1].name[:60]!r} is not one of the tools")
    return calls, end


def _listed(value: Any) -> list[Any]:
    """The calls of `{"tool_calls": […]}`, as OpenAI's messages hold them; else the value by itself."""
    inner = value.get("tool_calls") if isinstance(value, dict) and len(value) == 1 else None
    return inner if isinstance(inner, list) else [value]


_OTHER_KEYS = {"tool": "name", "action": "name", "function": "name"} | dict.fromkeys(
    ("args", "input", "tool_input", "action_input"), "arguments"
)
"""LangChain's words, and those of models that were not told which to use"""


def _object(value: Any) -> Any:
    """The inner object of `{"type": "function", "function": {…}}`, whose arguments may be a string; else the value, under
    its usual keys where it is an object of two."""
    if (
        isinstance(value, dict)
        and len(value) == 2
        and {_OTHER_KEYS.get(key, key) for key in value} == {"name", "arguments"}
    ):
        return {_OTHER_KEYS.get(key, key): part for key, part in value.items()}
    inner = value.get("function", value.get("function_call")) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or set(value) - _BESIDE - {"function", "function_call"}:
        return value
    if isinstance(inner.get("arguments"), str):
        try:
            return inner | {"arguments": read_arguments(inner["arguments"])}
        except ValueError as error:
            raise BrokenJson(f"arguments: {error}") from None
    return inner


def objects_on_lines(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """JSON on lines of its own among words: none, unless it is a whole call of a tool on offer."""
    try:
        value, end = parse_json_at(text, opened.end())
    except ValueError as error:  # go on behind the fault: whoever began at each line would take quadratic time
        return [], max(getattr(error, "pos", len(text)), opened.end())
    try:
        calls = [call_of(item, ("parameters", "arguments")) for item in (value if isinstance(value, list) else [value])]
    except Broken:
        return [], end
    known = tools is not None and all(call.name in tools for call in calls)
    return (calls if known and closed_at(text, end, closing) else []), end


def arguments_object(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """The JSON object of the arguments, the name being part of the opening. Nothing at all, null and "" are {}."""
    if (closed := closed_at(text, opened.end(), closing)) and closed[0].strip():
        return [checked_call(opened["name"].strip(), None)], opened.end()
    value, end = json_at(text, opened.end())
    return [checked_call(opened["name"].strip(), value)], end


_GLAIVE = re.compile(r"""\{\s*"name":\s*"(?P<name>[^"\\]{1,200})",\s*"arguments":\s*'(?=\{)""")
_GLAIVE_END = re.compile(r"'\s*\}")


def glaive_object(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """`{"name": "f", "arguments": '{"a": 1}'}`: the arguments are JSON in single quotes; or all of it is JSON."""
    if not (head := _GLAIVE.match(text, opened.end())):
        return objects("arguments")(text, opened, tools, closing)
    value, end = json_at(text, head.end())
    if not (tail := _GLAIVE_END.match(text, end)):
        raise BrokenJson("arguments that do not end with their quote")
    return [checked_call(head["name"], value)], tail.end()


def python_calls(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """`[Name(arg="…", n=1), …]`, or such calls without brackets: keyword arguments that are literals."""
    calls, end = calls_at(text, skip(text, opened.end()))
    return [checked_call(name.removesuffix(".call"), arguments) for name, arguments in calls], end


def python_on_lines(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """The same on lines of its own among words: none, unless it is whole."""
    try:
        calls, end = python_calls(text, opened, tools, closing)
    except ValueError:
        return [], opened.end()
    return (calls if closed_at(text, end, closing) else []), end
