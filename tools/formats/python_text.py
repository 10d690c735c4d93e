"""Python's type names in data, where JSON Schema is meant."""

import ast
from typing import Any

from callwright.literals import parse, value_of

TYPES = {
    "str": "string", "string": "string", "text": "string", "date": "string", "datetime": "string", "callable": "string",
    "int": "integer", "integer": "integer", "float": "number", "double": "number", "number": "number",
    "bool": "boolean", "boolean": "boolean", "list": "array", "array": "array", "sequence": "array",
    "iterable": "array", "set": "array", "tuple": "array", "dict": "object", "object": "object", "mapping": "object",
    "none": "null", "nonetype": "null", "null": "null",
}  # fmt: skip
Schema = dict[str, Any]


def type_schema(text: str) -> tuple[Schema, bool]:
    """Write the schema of a Python type such as `List[int], optional`, and whether it says that the argument may be absent.

    Raises:
        ValueError: a type that is not known.
    """
    if (plain := TYPES.get(text.strip().lower())) is not None:
        return {"type": plain}, False
    try:
        node, optional = parse(text), False
    except ValueError:
        raise ValueError(f"type {text[:60]!r} is not known") from None
    if isinstance(node, ast.Tuple) and len(node.elts) == 2 and _name(node.elts[1]) == "optional":
        node, optional = node.elts[0], True
    schema = _schema(node)
    if "anyOf" in schema and {"type": "null"} in schema["anyOf"]:
        members = [member for member in schema["anyOf"] if member != {"type": "null"}]
        schema, optional = members[0] if len(members) == 1 else {"anyOf": members}, True
    return schema, optional


def _name(node: ast.expr) -> str:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")).lower()


def _schema(node: ast.expr) -> Schema:
    name = _name(node)
    if name == "any":
        return {}
    if name in TYPES:
        return {"type": TYPES[name], **({"uniqueItems": True} if name == "set" else {})}
    match node:
        case ast.Constant(value=None):
            return {"type": "null"}
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return {"anyOf": [*_members(left), *_members(right)]}
        case ast.Subscript(value=base, slice=inner):
            given = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return _generic(_name(base), given)
    raise ValueError(f"type {ast.unparse(node)[:60]!r} is not known")


def _members(node: ast.expr) -> list[Schema]:
    schema = _schema(node)
    return schema.get("anyOf", [schema])


def _generic(name: str, given: list[ast.expr]) -> Schema:
    base = TYPES.get(name)
    if name in ("union", "optional"):
        union = [member for node in given for member in _members(node)]
        return {"anyOf": [*union, *([{"type": "null"}] if name == "optional" else [])]}
    if name == "literal":
        return {"enum": [value_of(node) for node in given]}
    if name == "tuple" and not (isinstance(given[-1], ast.Constant) and given[-1].value is ...):
        count = len(given)
        return {"type": "array", "prefixItems": list(map(_schema, given)), "minItems": count, "maxItems": count}
    if base == "array":
        return {"type": "array", "items": _schema(given[0]), **({"uniqueItems": True} if name == "set" else {})}
    if base == "object" and len(given) == 2:
        return {"type": "object", "additionalProperties": _schema(given[1])}
    if name == "callable":
        return {"type": "string"}
    raise ValueError(f"type {name!r} takes no {len(given)} parameters")


def json_schema(schema: Any) -> Any:
    """Rewrite a schema whose `type`s are Python's names (dict, float, tuple, any), as BFCL and ToolACE have it."""
    if not isinstance(schema, dict):
        return schema
    result = {key: value for key, value in schema.items() if value is not None}
    if isinstance(result.get("type"), str):
        typed, _ = type_schema(result.pop("type"))
        result = {**typed, **result}
    if isinstance(result.get("properties"), dict):
        result["properties"] = {key: json_schema(value) for key, value in result["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in result:
            result[key] = json_schema(result[key])
    return result


def python_tool(function: dict[str, Any]) -> dict[str, Any]:
    """Rewrite a function whose parameters are such a schema, or flat: a Python type an argument. Keys that are null say nothing.

    Raises:
        ValueError: an argument without a type, or of a type that is not known.
    """
    named = {key: value for key, value in function.items() if value is not None}
    parameters = named.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"parameters of {named.get('name')!r} are no object")
    if not parameters:
        return named
    whole = isinstance(parameters.get("type"), str) or "properties" in parameters
    return {**named, "parameters": json_schema(parameters) if whole else _flat(parameters)}


def _flat(parameters: dict[str, Any]) -> Schema:
    """Write the object schema of flat parameters. Required is what neither is called optional nor has a default."""
    properties, required = {}, []
    for name, given in parameters.items():
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            raise ValueError(f"parameter {name!r} has no type")
        schema, optional = type_schema(given["type"])
        properties[name] = {**schema, **{key: value for key, value in given.items() if key not in ("type", "required")}}
        if given.get("required", not optional and "default" not in given):
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
