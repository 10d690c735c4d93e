"""Read what stands between the marks of a call: JSON and Python here, other forms of arguments in `arguments`."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from callwright.files import parse_json_at, to_json
from callwright.literals import calls_at
from callwright.records import Call, read_arguments

Tools = Mapping[str, Any]
"""The tools on offer: name → JSON Schema of the arguments, or None where nobody knows it."""
Found = tuple[list[Call], int]
"""The calls of a body, and the position behind the last character that is theirs."""

_NAME_KEY = re.compile(r"""["'](?:tool_)?name["']\s*+:""")
_ARGUMENTS_KEY = re.compile(r"""["'](?:arguments|parameters)["']\s*+:""")
_SPACE = re.compile(r"\s*+")
_BESIDE = {"id", "tool_call_id", "index", "type"}
"""Keys that a call may have beside its name and arguments; they do not change what it does."""
_NAMES = ("name", "tool_name", "tool", "function", "function_name", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "kwargs", "input", "tool_input", "action_input")


class Broken(ValueError):
    """A call that was begun and is not whole."""


class BrokenJson(Broken):
    """A call whose JSON is broken."""


class Opened(NamedTuple):
    """A place in a text where a form's opening mark stands."""

    text: str
    mark: re.Match[str]
    closing: re.Pattern[str]
    tools: Tools | None
    """None where nobody knows which tools are on offer."""

    @property
    def start(self) -> int:
        """Return the position behind the mark."""
        return self.mark.end()

    @property
    def name(self) -> str:
        """Return the tool's name, which the mark of some forms holds."""
        return self.mark["name"].strip()

    def offers(self, name: Any) -> bool:
        """Tell whether a name is that of a tool that is known to be on offer."""
        return isinstance(name, str) and name in (self.tools or ())


Body = Callable[[Opened], Found]
"""Reads the calls behind a mark; gives none where nothing could be a call. Raises Broken (or another ValueError)."""


def skip_spaces(text: str, position: int) -> int:
    """Return the position of the next character that is no space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def closed_at(text: str, position: int, closing: re.Pattern[str]) -> re.Match[str] | None:
    """Match the closing of a call at a position, with or without spaces before it; an empty one needs no mark."""
    return closing.match(text, skip_spaces(text, position)) or closing.match(text, position)


def hints_at_object(text: str) -> bool:
    """Tell whether the text holds the keys of a call."""
    return bool(_NAME_KEY.search(text) and _ARGUMENTS_KEY.search(text))


def json_at(text: str, position: int) -> tuple[Any, int]:
    """Read the JSON value at a position, after spaces, and where it ends; BrokenJson where there is none."""
    if (start := skip_spaces(text, position)) == len(text):
        raise Broken("nothing where its JSON should be")
    try:
        return parse_json_at(text, start)
    except ValueError as error:
        raise BrokenJson(f"not JSON ({error})") from None


def call_of(value: Any, keys: tuple[str, ...] = ("arguments",)) -> Call:
    """Read the call of a JSON object; Broken where it is none, or holds more than a call does.

    No arguments, null and "" are {}: so a call of a tool that takes none is written.
    """
    if not isinstance(value, dict):
        raise Broken(f"a {type(value).__name__}, not an object")
    name_key = "tool_name" if "tool_name" in value else "name"
    name = value.get(name_key)
    if not isinstance(name, str) or not name:
        raise Broken("no name")
    key = next((key for key in keys if key in value), None)
    if extra := sorted(set(value) - {name_key, key} - _BESIDE):
        raise Broken(f"unknown key {extra[0]!r}")
    return checked_call(name, value[key], key) if key else checked_call(name, None)


def checked_call(name: str, arguments: Any, key: str = "arguments") -> Call:
    """Make a call of these arguments, which the form calls `key`; Broken where they are no object, or no Unicode."""
    if arguments is not None and arguments != "" and not isinstance(arguments, dict):
        raise Broken(f"`{key}` is a {type(arguments).__name__}, not an object")
    arguments = read_arguments(arguments)
    try:
        to_json([name, arguments]).encode()
    except UnicodeEncodeError:  # of Python's or Gemma's text; JSON was checked as it was read
        raise Broken("holds a lone surrogate") from None
    return Call(name=name, arguments=arguments)


def objects(*keys: str, between: str = "(?!)", listed: bool = False) -> Body:
    """Read JSON: an object with `name` and one of `keys`, or a list of such; several where `between` parts them."""
    separator = re.compile(between)

    def read(opened: Opened) -> Found:
        values, end = _values(opened, separator)
        if listed and not isinstance(values[0], list):
            raise Broken("no list of calls")
        return [call_of(item, keys) for value in values for item in _as_list(value)], end

    return read


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _values(opened: Opened, separator: re.Pattern[str]) -> tuple[list[Any], int]:
    text = opened.text
    value, end = json_at(text, opened.start)
    values = [value]
    while (parted := separator.match(text, end)) and text.startswith(("{", "["), parted.end()):
        value, end = json_at(text, parted.end())
        values.append(value)
    return values, end


_PARTED = re.compile(r"\s*[;,]?\s*")


def bare_objects(opened: Opened) -> Found:
    """Read JSON without marks: objects with the name of a tool on offer, or with arguments if none is known."""
    try:
        values, end = _values(opened, _PARTED)
    except BrokenJson:
        if hints_at_object(opened.text):
            raise
        return [], opened.start
    calls = []
    for value in values:
        # OpenAI's messages hold their calls as {"tool_calls": […]}
        only = value.get("tool_calls") if isinstance(value, dict) and len(value) == 1 else None
        for written in only if isinstance(only, list) else _as_list(value):
            item = _usual_keys(_inner_object(written), opened)
            if not isinstance(item, dict) or not any(isinstance(item.get(key), str) for key in ("name", "tool_name")):
                return [], end
            if not ({"arguments", "parameters"} & set(item) or opened.offers(item.get("name"))):
                return [], end
            calls.append(call_of(item, ("parameters", "arguments")))
            if opened.tools is not None and calls[-1].name not in opened.tools:
                raise Broken(f"{calls[-1].name[:60]!r} is not one of the tools")
    return calls, end


_OTHER_KEYS = {"tool": "name", "action": "name", "function": "name"} | dict.fromkeys(
    ("args", "input", "tool_input", "action_input"), "arguments"
)
"""LangChain's words for name and arguments, and those of models that were not told which to use."""


def _inner_object(value: Any) -> Any:
    """Return the inner object of `{"type": "function", "function": {…}}`, or an object of two under its usual keys."""
    if not isinstance(value, dict):
        return value
    renamed = {_OTHER_KEYS.get(key, key): part for key, part in value.items()}
    if len(value) == 2 and set(renamed) == {"name", "arguments"}:
        return renamed
    inner = value.get("function", value.get("function_call"))
    if not isinstance(inner, dict) or set(value) - _BESIDE - {"function", "function_call"}:
        return value
    if isinstance(inner.get("arguments"), str):
        try:
            return inner | {"arguments": read_arguments(inner["arguments"])}
        except ValueError as error:
            raise BrokenJson(f"arguments: {error}") from None
    return inner


def _usual_keys(value: Any, opened: Opened) -> Any:
    """Return `{"action": "f", "action_input": {…}}` and its like with their usual keys, where "f" is a tool on offer."""
    if not isinstance(value, dict):
        return value
    names = [key for key in _NAMES if opened.offers(value.get(key))]
    given = [key for key in _ARGUMENTS if key in value]
    if len(names) != 1 or len(given) != 1:
        return value
    rest = {key: part for key, part in value.items() if key not in (names[0], given[0])}
    return rest | {"name": value[names[0]], "arguments": value[given[0]]}


def objects_on_lines(opened: Opened) -> Found:
    """Read JSON on lines of its own among words: none, unless it is a whole call of a tool on offer."""
    try:
        value, end = parse_json_at(opened.text, opened.start)
    except ValueError as error:  # go on behind the fault: whoever began at each line would take quadratic time
        return [], max(getattr(error, "pos", len(opened.text)), opened.start)
    try:
        calls = [call_of(_usual_keys(item, opened), ("parameters", "arguments")) for item in _as_list(value)]
    except Broken:
        return [], end
    known = all(opened.offers(call.name) for call in calls)
    return (calls if known and closed_at(opened.text, end, opened.closing) else []), end


def arguments_object(opened: Opened) -> Found:
    """Read the JSON object of the arguments, the mark holding the name. Nothing at all, null and "" are {}."""
    if (closed := closed_at(opened.text, opened.start, opened.closing)) and closed[0].strip():
        return [checked_call(opened.name, None)], opened.start
    value, end = json_at(opened.text, opened.start)
    return [checked_call(opened.name, value)], end


_GLAIVE = re.compile(r"""\{\s*"name":\s*"(?P<name>[^"\\]{1,200})",\s*"arguments":\s*'(?=\{)""")
_GLAIVE_END = re.compile(r"'\s*\}")


def glaive_object(opened: Opened) -> Found:
    """Read `{"name": "f", "arguments": '{"a": 1}'}`: the arguments are JSON in single quotes; or all of it is JSON."""
    if not (head := _GLAIVE.match(opened.text, opened.start)):
        return objects("arguments")(opened)
    value, end = json_at(opened.text, head.end())
    if not (tail := _GLAIVE_END.match(opened.text, end)):
        raise BrokenJson("arguments that do not end with their quote")
    return [checked_call(head["name"], value)], tail.end()


def python_calls(opened: Opened) -> Found:
    """Read `[Name(arg="…", n=1), …]`, or such calls without brackets: keyword arguments that are literals."""
    calls, end = calls_at(opened.text, skip_spaces(opened.text, opened.start))
    return [checked_call(name.removesuffix(".call"), arguments) for name, arguments in calls], end


def python_on_lines(opened: Opened) -> Found:
    """Read such calls on lines of their own among words: none, unless they are whole."""
    try:
        calls, end = python_calls(opened)
    except ValueError:
        return [], opened.start
    return (calls if closed_at(opened.text, end, opened.closing) else []), end
