"""Count what a tool takes in a prompt, and cut one that takes too much: by rules with names, the mildest first."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.errors import UserError
from callwright.files import ROOT, parse_json, to_json
from callwright.schema_steps import LISTED, NAMED, NESTED, SINGLE
from callwright.tool_sources.found import Note

if TYPE_CHECKING:
    from callwright.tool_sources import ToolSet

Tool = dict[str, Any]
Cuts = list[tuple[str, str]]
"""What was cut so far: the place in the tool, and what was done there."""
BYTES_PER_TOKEN = 3.0
"""How many bytes of JSON a token is taken for where no tokenizer is at hand."""
LONG_TEXT, LONG_ENUM, SHOWN = 120, 20, 5
"""Characters of a description and values of an enum beyond which they are long; values that are named instead."""


def counter(model: str | None = None, root: Path = ROOT) -> tuple[str, Callable[[Tool], int]]:
    """Say how tokens are counted, in words, and return what counts those of a tool's JSON.

    Args:
        model: a folder with a tokenizer.json; by default the first in models/, and without any an estimate by bytes.
        root: where models/ is.

    Raises:
        UserError: the folder has no tokenizer.json, or a broken one.
    """
    files = [Path(model) / "tokenizer.json"] if model else sorted(root.glob("models/*/tokenizer.json"))
    if not files:
        words = f"estimated: {BYTES_PER_TOKEN:g} bytes a token"
        return words, lambda tool: round(len(to_json(tool).encode()) / BYTES_PER_TOKEN)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(files[0]))
    except Exception as error:  # the library raises no class of its own
        raise UserError(files[0], f"no tokenizer ({error})", "give --tokenizer a base model's folder") from None
    return f"tokenizer of {files[0].parent.name}", lambda tool: len(tokenizer.encode(to_json(tool)).ids)


def shrink_all(tools: "ToolSet", most: int, model: str | None = None) -> "ToolSet":
    """Cut each tool to at most so many tokens; one that cannot be is left out, and every cut is noted.

    Raises:
        UserError: see counter; or no tool is left.
    """
    count, kept, names, notes = counter(model)[1], list[Tool](), dict[str, str](), list(tools.notes)
    for tool in tools.tools:
        name = tool["function"]["name"]
        cut, cuts = shrink(tool, most, count)
        if cut is None:
            fault = f"takes {count(tool):,} tokens, and cannot be cut to {most:,}"
            notes.append(Note(tools.names[name], "left out", fault))
            continue
        kept.append(cut)
        names[name] = tools.names[name]
        notes += [Note(names[name], "cut to size", what, where) for where, what in cuts]
    if not kept:
        raise UserError(f"--max-tokens {most}", "no tool can be cut to that", "allow more")
    return replace(tools, tools=kept, names=names, notes=notes)


def shrink(tool: Tool, most: int, count: Callable[[Tool], int]) -> tuple[Tool | None, Cuts]:
    """Cut a tool by one of RULES after the other until it takes at most so many tokens; None where all do not do."""
    cuts: Cuts = []
    if count(tool) <= most:
        return tool, cuts
    tool = parse_json(to_json(tool))  # a deep copy in which no object stands twice
    for rule in RULES:
        for _ in rule(tool["function"], cuts):
            if count(tool) <= most:
                return tool, cuts
    return None, cuts


def schemas(schema: Any, where: str = "", depth: int = 0) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Yield every schema in a schema, with its place and how many fields lie around it; the outer ones first."""
    if not isinstance(schema, dict):
        return
    yield schema, where, depth
    for key, value in list(schema.items()):
        if key in NAMED and isinstance(value, dict):
            for name, field in value.items():
                yield from schemas(field, f"{where}.{name}" if where else name, depth + 1)
        elif key in LISTED and isinstance(value, list):
            for item in value:
                yield from schemas(item, where, depth)
        elif key in SINGLE:
            yield from schemas(value, where, depth)


# A rule cuts the function of a tool in place, and yields wherever that may be enough.


def drop_examples(function: Tool, cuts: Cuts) -> Iterator[None]:
    """Drop examples and titles."""
    for schema, where, _ in schemas(function["parameters"]):
        for key in ("examples", "title"):
            if schema.pop(key, None) is not None:
                cuts.append((where, f"{key} cut"))
    yield


def shorten_descriptions(function: Tool, cuts: Cuts) -> Iterator[None]:
    """Cut long descriptions of arguments, then the tool's own, to their first sentence."""
    for schema, where, depth in schemas(function["parameters"]):
        if depth and (short := first_sentence(schema.get("description"))):
            schema["description"] = short
            cuts.append((where, "description cut"))
    yield
    if short := first_sentence(function["description"]):
        function["description"] = short
        cuts.append(("", "description cut"))
        yield


def first_sentence(text: Any) -> str | None:
    """Return the first sentence of a long text, or its first words; None of a short one."""
    if not isinstance(text, str) or len(text) <= LONG_TEXT:
        return None
    first = re.split(r"(?<=[.!?])\s|(?<=[。！？])|\n\n", text.strip())[0]
    return first if len(first) <= LONG_TEXT else first[:LONG_TEXT].rsplit(" ", 1)[0] + " …"


def drop_long_enums(function: Tool, cuts: Cuts) -> Iterator[None]:
    """Let a long enum be any value of its type, and name a few of its values."""
    for schema, where, _ in schemas(function["parameters"]):
        values = schema.get("enum")
        if not isinstance(values, list) or len(values) <= LONG_ENUM:
            continue
        del schema["enum"]
        if all(isinstance(value, str) for value in values):
            schema.setdefault("type", "string")
        some = ", ".join(str(value) for value in values[:SHOWN])
        schema["description"] = f"{schema.get('description', '')} One of {len(values)}, such as {some}.".strip()
        cuts.append((where, f"enum of {len(values)} cut: any value of its type is accepted"))
    yield


def drop_deep_branches(function: Tool, cuts: Cuts, required: bool = False) -> Iterator[None]:
    """Let optional fields with fields of their own be anything of their type, the deepest first; or required ones, too."""
    deepest = max(depth for _, _, depth in schemas(function["parameters"]))
    for level in range(deepest, 0, -1):
        for schema, where, depth in list(schemas(function["parameters"])):
            fields = schema.get("properties")
            if depth != level - 1 or not isinstance(fields, dict):
                continue
            for name, field in fields.items():
                if (name in schema.get("required", []) and not required) or not isinstance(field, dict):
                    continue
                items = field.get("items")
                of_objects = isinstance(items, dict) and bool(set(items) & NESTED)
                if of_objects or set(field) & (NESTED - {"items"}):
                    fields[name] = {key: field[key] for key in ("type", "description", "default") if key in field}
                    cuts.append((f"{where}.{name}" if where else name, "what is in it cut: any is accepted there"))
        yield


def drop_optional_arguments(function: Tool, cuts: Cuts) -> Iterator[None]:
    """Drop optional arguments, the largest first."""
    parameters = function["parameters"]
    fields = parameters["properties"]
    optional = [name for name in fields if name not in parameters.get("required", [])]
    for name in sorted(optional, key=lambda name: -len(to_json(fields[name]))):
        del fields[name]
        cuts.append((name, "optional argument cut"))
        yield


RULES = (
    drop_examples,
    shorten_descriptions,
    drop_long_enums,
    drop_deep_branches,
    drop_optional_arguments,
    partial(drop_deep_branches, required=True),
)
