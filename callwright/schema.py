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


def canonical_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """One OpenAI tool with the keys, in the order, that LLaMA-Factory's API server rebuilds from a request.

    Training rows written from this form hold the same bytes that the server renders into the prompt.

    Raises:
        ValueError: no name, no object schema, or a schema that is not JSON Schema (draft 2020-12) or refers to nothing.
    """
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ValueError("a tool needs a name")
    name = function["name"]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict) or parameters.get("type") != "object":
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
