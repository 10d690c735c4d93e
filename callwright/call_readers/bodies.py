"""What stands between the marks of a call, one reader a kind of body: JSON, Python, XML parameters, Gemma's own.

A body is read from behind the opening mark. It gives the calls and the position behind the last character that is
theirs, or raises Broken. A reader that finds nothing that could be a call gives none.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from callwright.files import parse_json, parse_json_at, to_json
from callwright.literals import calls_at, literal
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
_NAMES = ("name", "tool_name", "tool", "function", "function_name", "action")
_ARGUMENTS = ("arguments", "parameters", "args", "kwargs", "input", "tool_input", "action_input")


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
    try:
        return parse_json_at(text, skip(text, position))
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
    return _call(name, value[given[0]] if given else None, given[0] if given else "arguments")


def _call(name: str, arguments: Any, what: str) -> Call:
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
        for written in value if isinstance(value, list) else _listed(value):
            item = _renamed(_function(written), tools)
            if not isinstance(item, dict) or not ({"name", "tool_name"} & set(item)):
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


def _function(value: Any) -> Any:
    """The inner object of `{"type": "function", "function": {…}}`, whose arguments may be a string; else the value."""
    inner = value.get("function", value.get("function_call")) if isinstance(value, dict) else None
    if not isinstance(inner, dict) or set(value) - _BESIDE - {"function", "function_call"}:
        return value
    if isinstance(inner.get("arguments"), str):
        try:
            return inner | {"arguments": read_arguments(inner["arguments"])}
        except ValueError as error:
            raise BrokenJson(f"arguments: {error}") from None
    return inner


def _renamed(value: Any, tools: Tools | None) -> Any:
    """`{"action": "f", "action_input": {…}}` and the like with their usual keys, where "f" is a tool on offer."""
    if not isinstance(value, dict):
        return value
    names = [key for key in _NAMES if isinstance(value.get(key), str) and value[key] in (tools or ())]
    given = [key for key in _ARGUMENTS if key in value]
    if len(names) != 1 or len(given) != 1:
        return value
    rest = {key: part for key, part in value.items() if key not in (names[0], given[0])}
    return rest | {"name": value[names[0]], "arguments": value[given[0]]}


def objects_on_lines(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """JSON on lines of its own among words: none, unless it is a whole call of a tool on offer."""
    try:
        value, end = parse_json_at(text, opened.end())
    except ValueError as error:  # go on behind the fault: whoever began at each line would take quadratic time
        return [], max(getattr(error, "pos", len(text)), opened.end())
    try:
        items = [_renamed(item, tools) for item in (value if isinstance(value, list) else [value])]
        calls = [call_of(item, ("parameters", "arguments")) for item in items]
    except Broken:
        return [], end
    known = tools is not None and all(call.name in tools for call in calls)
    return (calls if known and closed_at(text, end, closing) else []), end


def arguments_object(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """The JSON object of the arguments, the name being part of the opening. Nothing at all, null and "" are {}."""
    if (closed := closed_at(text, opened.end(), closing)) and closed[0].strip():
        return [_call(opened["name"].strip(), None, "arguments")], opened.end()
    value, end = json_at(text, opened.end())
    return [_call(opened["name"].strip(), value, "arguments")], end


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
    return [_call(head["name"], value, "arguments")], tail.end()


def python_calls(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """`[Name(arg="…", n=1), …]`, or such calls without brackets: keyword arguments that are literals."""
    calls, end = calls_at(text, skip(text, opened.end()))
    return [_call(name.removesuffix(".call"), arguments, "arguments") for name, arguments in calls], end


_PARAMETER = re.compile(
    r"\s*+<(?:\w{1,20}:|｜DSML｜)?parameter(?:=|\s+name=\")(?P<key>[^\"<>]{1,200})\"?"
    r"(?:\s+string=\"(?P<string>true|false)\")?\s*>"
)
_PARAMETER_END = re.compile(r"</(?:\w{1,20}:|｜DSML｜)?parameter>")
_PAIR = re.compile(r"\s*+<arg_key>(?P<key>[^<>]{1,200})</arg_key>\s*+<arg_value>(?P<string>(?!))?")
_PAIR_END = re.compile(r"</arg_value>")
_BEGUN = re.compile(r"\s*+<(?:(?:\w{1,20}:|｜DSML｜)?parameter|arg_key)")


def parameters(begin: re.Pattern[str], end_mark: re.Pattern[str], padded: bool = False) -> Body:
    """Arguments as `<parameter=key>value</parameter>` and the like, the name being part of the opening.

    Such a value has no type: text and numbers look alike, and its own closing mark cannot stand in it. The tool's schema
    says what it is; where none is known, a value that is JSON is taken for that, as LLaMA-Factory does.

    Args:
        padded: a line break at each side of a value belongs to the form.
    """

    def read(text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]) -> tuple[list[Call], int]:
        name, position, arguments = opened["name"].strip(), opened.end(), dict[str, Any]()
        if not begin.match(text, position) and begin is _PAIR and name not in (tools or ()):
            return [], position  # `<tool_call>word`: a name by itself is a call only of a tool on offer
        while given := begin.match(text, position):
            ended = end_mark.search(text, given.end())
            if ended is None:
                raise Broken(f"argument {given['key'][:40]!r} does not end")
            if given["key"] in arguments:
                raise Broken(f"argument {given['key'][:40]!r} stands twice")
            value = text[given.end() : ended.start()]
            if padded and len(value) > 1 and value[0] == value[-1] == "\n":
                value = value[1:-1]
            schema = _schema_of(given["key"], tools.get(name) if tools else None)
            arguments[given["key"]] = value if given["string"] == "true" else typed(value, schema)
            position = ended.end()
        if _BEGUN.match(text, position):
            raise Broken("an argument that is not whole")
        return [_call(name, arguments, "arguments")], position

    return read


xml_parameters = parameters(_PARAMETER, _PARAMETER_END)
padded_parameters = parameters(_PARAMETER, _PARAMETER_END, padded=True)
argument_pairs = parameters(_PAIR, _PAIR_END)


def _schema_of(key: str, schema: Any) -> Any:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties.get(key) if isinstance(properties, dict) else None


_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def typed(text: str, schema: Any) -> Any:
    """The JSON value that is written without quotes, under the schema of its argument (None where nobody knows it)."""
    kinds = _kinds(schema)
    if kinds == {"string"}:
        return text
    try:
        value = parse_json(text.strip())
    except ValueError:
        if not kinds or "string" in kinds:
            return text
        try:
            return literal(text)  # True, None and single quotes, as models write them
        except ValueError:
            return text
    kind = _TYPES.get(type(value), "null")
    fits = not kinds or kind in kinds or (kind == "integer" and "number" in kinds)
    return value if fits or "string" not in kinds else text


def _kinds(schema: Any) -> set[str]:
    """The types that a schema names; empty where it does not say."""
    if not isinstance(schema, dict):
        return set()
    named = schema.get("type", [])
    kinds = {kind for kind in (named if isinstance(named, list) else [named]) if isinstance(kind, str)}
    if not kinds and isinstance(schema.get("enum"), list):
        kinds = {_TYPES.get(type(value), "null") for value in schema["enum"]}
    for branch in [*_branches(schema.get("anyOf")), *_branches(schema.get("oneOf"))]:
        named = branch.get("type") if isinstance(branch, dict) else None
        kinds |= {named} if isinstance(named, str) else set()
    return kinds


def _branches(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_GEMMA = re.compile(
    r"""<\|"\|>(?P<text>.*?)<\|"\|> | <escape>(?P<escaped>.*?)<escape> | (?P<key>[^\s:,{}\[\]<"][^:,{}\[\]<"]{0,100}+):
      | (?P<open>[{\[]) | (?P<close>[}\]]) | [,:] | \s++ | -?\d[\w.+-]*+ | true | false | null""",
    re.DOTALL | re.VERBOSE,
)


def gemma_arguments(
    text: str, opened: re.Match[str], tools: Tools | None, closing: re.Pattern[str]
) -> tuple[list[Call], int]:
    """`{key:<|"|>text<|"|>,n:1}`: bare keys, and texts between marks of their own, which cannot stand in a text."""
    written: list[str] = []
    depth, at = 0, opened.end()
    while depth or not written:
        token = _GEMMA.match(text, at)
        if token is None:
            raise Broken(f"{text[at : at + 20]!r} in the arguments" if text[at:] else "arguments without their end")
        kind, at = token.lastgroup, token.end()
        word = token[kind] if kind else token[0]
        depth += (kind == "open") - (kind == "close")
        if kind in ("text", "escaped"):
            word = to_json(word)
        written.append(f"{to_json(word.rstrip())}:" if kind == "key" else word)
    try:
        return [_call(opened["name"], parse_json("".join(written)), "arguments")], at
    except Broken:
        raise
    except ValueError as error:
        raise Broken(f"arguments: {error}") from None
