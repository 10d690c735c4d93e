"""Read arguments that are neither JSON nor Python: one by one between XML tags, and Gemma's objects with marks of their own."""

import re
from typing import Any

from callwright.call_readers.bodies import Body, Broken, Found, Opened, checked_call
from callwright.files import object_at, parse_json, to_json
from callwright.literals import literal

_PARAMETER = re.compile(
    r"\s*+<(?:\w{1,20}:|｜DSML｜)?parameter(?:=|\s+name=\")(?P<key>[^\"<>]{1,200})\"?"
    r"(?:\s+string=\"(?P<string>true|false)\")?\s*>"
)
_PARAMETER_END = re.compile(r"</(?:\w{1,20}:|｜DSML｜)?parameter>")
_PAIR = re.compile(r"\s*+<arg_key>(?P<key>[^<>]{1,200})</arg_key>\s*+<arg_value>(?P<string>(?!))?")
_PAIR_END = re.compile(r"</arg_value>")
_BEGUN = re.compile(r"\s*+<(?:(?:\w{1,20}:|｜DSML｜)?parameter|arg_key)")


def parameters(begin: re.Pattern[str], end_mark: re.Pattern[str], padded: bool = False) -> Body:
    """Read arguments such as `<parameter=key>value</parameter>`, the mark of the call holding its name.

    Such a value has no type: text and numbers look alike, and its own closing mark cannot stand in it. The tool's schema
    says what it is; where none is known, a value that is JSON is taken for that, as LLaMA-Factory does.

    Args:
        padded: a line break at each side of a value belongs to the form.
    """

    def read(opened: Opened) -> Found:
        text, name, position, arguments = opened.text, opened.name, opened.start, dict[str, Any]()
        if not begin.match(text, position) and begin is _PAIR and not opened.offers(name):
            return [], position  # `<tool_call>word`: a name by itself is a call only of a tool on offer
        properties = object_at(opened.tools.get(name) if opened.tools else None, "properties")
        while given := begin.match(text, position):
            ended = end_mark.search(text, given.end())
            if ended is None:
                raise Broken(f"argument {given['key'][:40]!r} does not end")
            if given["key"] in arguments:
                raise Broken(f"argument {given['key'][:40]!r} stands twice")
            value = text[given.end() : ended.start()]
            if padded and len(value) > 1 and value[0] == value[-1] == "\n":
                value = value[1:-1]
            is_text = given["string"] == "true"
            arguments[given["key"]] = value if is_text else typed_value(value, properties.get(given["key"]))
            position = ended.end()
        if _BEGUN.match(text, position):
            raise Broken("an argument that is not whole")
        return [checked_call(name, arguments)], position

    return read


xml_parameters = parameters(_PARAMETER, _PARAMETER_END)
padded_parameters = parameters(_PARAMETER, _PARAMETER_END, padded=True)
argument_pairs = parameters(_PAIR, _PAIR_END)


_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def typed_value(text: str, schema: Any) -> Any:
    """Read a JSON value that is written without quotes, by the schema of its argument (None where nobody knows it)."""
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
    """Return the types that a schema names; empty where it does not say."""
    if not isinstance(schema, dict):
        return set()
    named = schema.get("type", [])
    kinds = {kind for kind in (named if isinstance(named, list) else [named]) if isinstance(kind, str)}
    if not kinds and isinstance(schema.get("enum"), list):
        kinds = {_TYPES.get(type(value), "null") for value in schema["enum"]}
    for key in ("anyOf", "oneOf"):
        for branch in schema[key] if isinstance(schema.get(key), list) else ():
            named = branch.get("type") if isinstance(branch, dict) else None
            kinds |= {named} if isinstance(named, str) else set()
    return kinds


_GEMMA = re.compile(
    r"""<\|"\|>(?P<text>.*?)<\|"\|> | <escape>(?P<escaped>.*?)<escape> | (?P<key>[^\s:,{}\[\]<"][^:,{}\[\]<"]{0,100}+):
      | (?P<open>[{\[]) | (?P<close>[}\]]) | [,:] | \s++ | -?\d[\w.+-]*+ | true | false | null""",
    re.DOTALL | re.VERBOSE,
)


def gemma_arguments(opened: Opened) -> Found:
    """Read `{key:<|"|>text<|"|>,n:1}`: bare keys, and texts between marks of their own, which cannot stand in a text."""
    text, written = opened.text, list[str]()
    depth, at = 0, opened.start
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
        return [checked_call(opened.mark["name"], parse_json("".join(written)))], at
    except Broken:
        raise
    except ValueError as error:
        raise Broken(f"arguments: {error}") from None
