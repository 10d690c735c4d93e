"""Read tools.json, put tools in one canonical form, and check calls against their JSON Schema."""

from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_json
from callwright.json_schema import Fault, Unchecked, argument_schema
from callwright.records import Call

SPELLINGS = ("parameters", "inputSchema", "input_schema", "parametersJsonSchema", "parameters_json_schema")
"""What APIs call the schema of the arguments: OpenAI, MCP, Anthropic, Gemini in JSON and in Python."""

ANNOTATIONS = {
    *("name", "description", "type", "strict", "title", "annotations", "icons", "examples", "input_examples"),
    *("returns", "response", "responses", "responseJsonSchema", "response_json_schema"),
    *("outputSchema", "output_schema", "behavior", "execution", "cache_control", "defer_loading", "deprecated"),
    *("_meta", "meta", "metadata"),
}
"""What tools say besides their schema; nothing of it is about the arguments of a call."""

NAMING = {
    *("properties", "patternProperties", "$ref", "$dynamicRef", "$recursiveRef", "allOf", "anyOf", "oneOf"),
    *("if", "dependentSchemas", "dependencies"),
}
"""Keywords by which a schema can say what the arguments are called."""
BESIDE = {
    *("type", "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly"),
    *("required", "additionalProperties", "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties"),
    *("not", "then", "else", "enum", "const", "dependentRequired", "definitions", "discriminator", "nullable"),
}
"""All other keywords that may stand beside `type: object`, but those that begin with $."""

NOTHING: tuple[Any, ...] = (None, "", [], {})
"""Values of a key that say nothing."""


def canonical_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Write one tool with the keys, in the order, that LLaMA-Factory's API server rebuilds from a request.

    Training rows written from this form hold the same bytes that the server renders into the prompt. The tool may be
    OpenAI's, with or without its envelope, or that of another API that differs only in what it calls the schema
    (SPELLINGS). What such an API says besides (ANNOTATIONS) is dropped: no model is shown it. A key that is neither is
    refused where it may say what the arguments are: without a schema in any case, beside one where it holds objects.

    Raises:
        Unchecked: no object schema, or one that callwright.json_schema refuses.
        ValueError: no name, or an unknown key.
    """
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        raise ValueError("a tool needs a name")
    name, kind = function["name"], tool.get("type") or "function"
    if kind not in ("function", "custom"):  # Anthropic calls a tool of one's own "custom"
        raise ValueError(f"tool {name!r} is of type {kind!r}, whose arguments only its server knows")
    parameters = _parameters(function, tool)
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        given = parameters.get("type") if isinstance(parameters, dict) else parameters
        raise Unchecked(f"parameters of {name!r} must be an object schema, of type 'object', not {str(given)[:60]!r}")
    if hidden := _hidden(parameters):
        raise Unchecked(f"{hidden!r} in the parameters of {name!r} is no keyword of JSON Schema: write `properties`")
    parameters = {"type": "object", "properties": {}, **parameters}
    try:
        faults = argument_schema(parameters).faults({})
    except Unchecked:  # arguments may still be checked
        faults = []
    except ValueError as error:
        raise Unchecked(f"parameters of {name!r} are not JSON Schema that can be checked: {error}") from None
    if any(fault.keyword == "type" and not fault.path for fault in faults):
        raise Unchecked(f"parameters of {name!r} lead to a schema that no object fits: write `type: object` there")
    description = function.get("description") or ""
    if not isinstance(description, str):
        raise ValueError(f"description of {name!r} is not a string")
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def _parameters(function: dict[str, Any], tool: dict[str, Any]) -> Any:
    """Return the schema of a tool's arguments, under whichever name; ValueError where another key may say what they are."""
    others = {key: value for key, value in function.items() if value not in NOTHING}
    schemas = {key: others.pop(key) for key in SPELLINGS if key in others}
    parameters: Any = next(iter(schemas.values()), {})
    if any(schema != parameters for schema in schemas.values()):
        raise ValueError(f"{' and '.join(schemas)} of {function['name']!r} differ")
    # Some data sets write `required` beside the schema instead of inside it.
    required = others.get("required")
    if required and isinstance(parameters, dict) and parameters.get("required", required) == required:
        parameters = {**parameters, "required": others.pop("required")}
    around = {} if function is tool else {key: value for key, value in tool.items() if key != "function"}
    for key, value in {**around, **others}.items():
        if key in ANNOTATIONS or value in NOTHING:
            continue
        if not schemas or key == "required" or _holds_objects(value):
            fault = f"the key {key!r} of tool {function['name']!r} is not known, and may say what its arguments are"
            raise ValueError(f"{fault}: their schema is `parameters`")
    return parameters


def _hidden(parameters: dict[str, Any]) -> str | None:
    """Return a key in which a schema that names no arguments may hide them: one of another API's, or an argument itself."""
    if any(parameters.get(key) not in NOTHING for key in NAMING):
        return None
    strange = [key for key in parameters if key not in NAMING | BESIDE and not key.startswith(("$", "x-"))]
    return next((key for key in strange if _holds_objects(parameters[key]) or len(strange) == len(parameters)), None)


def _holds_objects(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_objects, value)))


def canonical_tools(tools: Any, place: str | Path) -> list[dict[str, Any]]:
    """Return a list of canonical OpenAI tools; UserError for no list, a broken tool, or a name that stands twice."""
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
    """Read the canonical tools of a tools.json file."""
    return canonical_tools(read_json(path), path)


def parameters_of(name: str, tools: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the parameter schema of the tool called `name`, or None where there is no such tool."""
    return next((t["function"]["parameters"] for t in tools if t["function"]["name"] == name), None)


def call_fault(call: Call, tools: list[dict[str, Any]]) -> str | None:
    """Say what is wrong with a call under its tool's schema; None where nothing is."""
    schema = parameters_of(call.name, tools)
    if schema is None:
        return f"tool {call.name!r} is not one of {', '.join(t['function']['name'] for t in tools) or '(none)'}"
    try:
        faults = argument_schema(schema).faults(call.arguments)
    except ValueError as error:  # it takes too long; or the tools are not canonical
        return f"{call.name} cannot be checked: {error}"
    return next((fault_words(call.name, fault) for fault in faults), None)


def fault_words(name: str, fault: Fault) -> str:
    """Write a fault of the arguments of the tool called `name` for people to read."""
    if fault.keyword == "unknown":
        return f"{name} has {fault.message}"
    return f"{'.'.join(map(str, [name, *fault.path]))}: {fault.message}"


def null_is_padding(key: str, schema: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Tell whether `{key: null}` says nothing in an object under this schema, so that it may be dropped.

    Arrow (Parquet, `datasets`) gives every object of a column the keys of all of them, and fills in null. A null is
    such padding where the schema does not know the key, or where the key is optional and its schema takes no null. It
    is kept where null is a value (`"type": ["string", "null"]`, say) and where the key is required: a call that lacks
    it is wrong, and stays visibly so.

    Args:
        key: of the object; for an object inside the arguments, call this again with its own schema.
        schema: an object schema: the tool's parameters, or one from within them.
        root: what holds the definitions that its `$ref`s lead to; the schema itself where it is left out.
    """
    definitions: dict[str, Any] = {name: root[name] for name in ("$defs", "definitions") if root and name in root}
    try:
        known = argument_schema({**definitions, **schema})
        if not known.names(key):
            return True
        return key not in known.required and bool(known.argument_faults(key, None))
    except ValueError:  # nobody can say what it is: it stays
        return False
