"""Tools as JSON Schema: read tools.json, put it in one canonical form, check calls against it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from callwright.errors import UserError
from callwright.files import read_json
from callwright.records import Call

SPELLINGS = ("parameters", "inputSchema", "input_schema", "parametersJsonSchema", "parameters_json_schema")
"""what APIs call the schema of the arguments: OpenAI, MCP, Anthropic, Gemini in JSON and in Python"""

ANNOTATIONS = {
    *("name", "description", "type", "strict", "title", "annotations", "icons", "examples", "input_examples"),
    *(
        "outputSchema",
        "output_schema",
        "returns",
        "response",
        "responses",
        "responseJsonSchema",
        "response_json_schema",
    ),
    *("behavior", "execution", "cache_control", "defer_loading", "deprecated", "_meta", "meta"),
}
"""what tools say besides their schema; nothing of it is about the arguments of a call"""


def canonical_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Write one tool with the keys, in the order, that LLaMA-Factory's API server rebuilds from a request.

    Training rows written from this form hold the same bytes that the server renders into the prompt. The tool may be
    OpenAI's, with or without its envelope, or that of another API that differs only in what it calls the schema
    (SPELLINGS). What such an API says besides (ANNOTATIONS) is dropped: no model is shown it. A key that is neither is
    refused, since it may say what the arguments are.

    Raises:
        ValueError: no name, an unknown key, no object schema, or a schema that is not JSON Schema (draft 2020-12) or
            refers to nothing.
    """
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ValueError("a tool needs a name")
    name = function["name"]
    parameters = _parameters(function)
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise ValueError(f"parameters of {name!r} must be an object schema")
    parameters = {"type": "object", "properties": {}, **parameters}
    try:
        Draft202012Validator.check_schema(parameters)
    except SchemaError as error:
        raise ValueError(f"parameters of {name!r} are not JSON Schema: {error.message}") from None
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(parameters))
    for reference in _references(parameters):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            raise ValueError(f"parameters of {name!r}: $ref {reference!r} leads nowhere") from None
    description = function.get("description") or ""
    if not isinstance(description, str):
        raise ValueError(f"description of {name!r} is not a string")
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _parameters(function: dict[str, Any]) -> Any:
    """The schema of a tool's arguments, under whichever name; ValueError where another key may say what they are."""
    said = {key: value for key, value in function.items() if value not in (None, "", [], {})}
    schemas = [said[key] for key in SPELLINGS if key in said]
    if any(schema != schemas[0] for schema in schemas):
        raise ValueError(f"{' and '.join(key for key in SPELLINGS if key in said)} of {function['name']!r} differ")
    parameters = schemas[0] if schemas else {}
    # Some data sets write `required` beside the schema instead of inside it.
    if "required" in said and isinstance(parameters, dict) and "required" not in parameters:
        parameters = {**parameters, "required": said.pop("required")}
    if unknown := sorted(said.keys() - ANNOTATIONS - set(SPELLINGS)):
        raise ValueError(
            f"the key {unknown[0]!r} of tool {function['name']!r} is not known; the schema is `parameters`"
        )
    return parameters


def _references(schema: Any) -> Iterator[str]:
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "$ref" and isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            yield from _references(value)


def canonical_tools(tools: Any, place: str | Path) -> list[dict[str, Any]]:
    """A list of canonical OpenAI tools.

    Raises:
        UserError: not a list, a broken tool, or a name that stands twice.
    """
    if not isinstance(tools, list):
        raise UserError(place, f"a {type(tools).__name__}, not a list of tools", "write a JSON list of OpenAI tools")
    result = []
    for index, tool in enumerate(tools):
        try:
            result.append(canonical_tool(tool))
        except ValueError as error:
            raise UserError(f"{place}[{index}]", str(error), "fix the tool") from None
    names = [tool["function"]["name"] for tool in result]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(place, f"tool {twice!r} is defined twice", "keep one")
    return result


def load_tools(path: str | Path) -> list[dict[str, Any]]:
    """The canonical tools of a tools.json file."""
    return canonical_tools(read_json(path), path)


def parameters_of(name: str, tools: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The parameter schema of the tool called `name`, or None where there is no such tool."""
    return next((t["function"]["parameters"] for t in tools if t["function"]["name"] == name), None)


def call_fault(call: Call, tools: list[dict[str, Any]]) -> str | None:
    """What is wrong with a call under its tool's schema, in words; None where nothing is."""
    schema = parameters_of(call.name, tools)
    if schema is None:
        return f"tool {call.name!r} is not one of {', '.join(t['function']['name'] for t in tools) or '(none)'}"
    unknown = next((key for key in call.arguments if key not in schema["properties"]), None)
    if unknown is not None and schema.get("additionalProperties") is not True:
        return f"{call.name} has no argument {unknown!r}"
    error = next(Draft202012Validator(schema).iter_errors(call.arguments), None)
    if error is None:
        return None
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{call.name}{'.' + where if where else ''}: {error.message}"


def null_is_padding(key: str, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Tell whether `{key: null}` says nothing in an object under this schema, so that it may be dropped.

    Arrow (Parquet, `datasets`) gives every object of a column the keys of all of them, and fills in null. A null is
    such padding where the schema does not know the key, or where the key is optional and its schema takes no null. It
    is kept where null is a value (`"type": ["string", "null"]`, say) and where the key is required: a call that lacks
    it is wrong, and stays visibly so.

    Args:
        key: of the object; for an object inside the arguments, call this again with its own schema.
        schema: an object schema: the tool's parameters, or one from within them.
        root: what `#/…` in its `$ref`s starts from; the schema itself where it is left out.
    """
    root = schema if root is None else root
    parts = list(_in_place(schema, root))
    if any(key in part.get("required", []) for part in parts):
        return False
    own = [part["properties"][key] for part in parts if key in part.get("properties", {})]
    return not own or not all(_takes_null(item, root) for item in own)


def _in_place(schema: Any, root: dict[str, Any], seen: tuple[int, ...] = ()) -> Iterator[dict[str, Any]]:
    """A schema and those that it applies to the same value."""
    if not isinstance(schema, dict) or id(schema) in seen:
        return
    yield schema
    target = _target(schema["$ref"], root) if isinstance(schema.get("$ref"), str) else None
    branches = [branch for key in ("allOf", "anyOf", "oneOf") for branch in schema.get(key, [])]
    for branch in [target, *branches, *(schema.get(key) for key in ("then", "else"))]:
        yield from _in_place(branch, root, (*seen, id(schema)))


def _takes_null(schema: Any, root: dict[str, Any], seen: tuple[int, ...] = ()) -> bool:
    if not isinstance(schema, dict) or id(schema) in seen:
        return schema is not False
    more = (*seen, id(schema))
    kinds = schema.get("type", "null")
    if schema.get("nullable") is not True and "null" not in ([kinds] if isinstance(kinds, str) else kinds):
        return False
    if None not in schema.get("enum", [None]) or schema.get("const") is not None:
        return False
    target = [_target(schema["$ref"], root)] if isinstance(schema.get("$ref"), str) else []
    if not all(_takes_null(part, root, more) for part in [*target, *schema.get("allOf", [])]):
        return False
    return all(
        any(_takes_null(part, root, more) for part in schema[key]) for key in ("anyOf", "oneOf") if key in schema
    )


def _target(reference: str, root: dict[str, Any]) -> Any:
    resolver = Registry().resolver_with_root(DRAFT202012.create_resource(root))
    try:
        return resolver.lookup(reference).contents
    except Unresolvable:
        return True
