"""Arguments of a call as its tool lets them be: what is empty, and null that only pads."""

from collections.abc import Iterator
from typing import Any

from callwright.files import parse_json, to_json
from callwright.json_schema import JsonSchema
from callwright.records import Call
from callwright.schema import call_fault, null_is_padding
from tools.formats.conversation import Tool

BRANCHES = ("allOf", "anyOf", "oneOf")


def settled(function: dict[str, str], tool: Tool | None) -> tuple[str, list[str]]:
    """Settle the arguments of a call: return them as JSON text, and the keys of null padding that left them.

    Empty arguments are {} where the tool needs none.

    Args:
        function: a call's name and arguments, "" where they are empty.
        tool: what is called, None where it is not known: then nothing tells whether none are enough.

    Raises:
        ValueError: empty arguments of a tool that needs some, or that is not known.
    """
    name, text = function["name"], function["arguments"]
    if not text:
        if tool is None or call_fault(Call(name=name, arguments={}), [tool]):
            raise ValueError(f"arguments of {name!r} are null or empty, and its tool does not say that it needs none")
        return "{}", []
    if tool is None or "null" not in text:
        return text, []
    value, parameters = parse_json(text), tool["function"]["parameters"]
    dropped: list[str] = []
    kept = _without_padding(value, parameters, parameters, "", dropped)
    return (to_json(kept), dropped) if dropped else (text, [])


def _without_padding(value: Any, schema: Any, root: dict[str, Any], path: str, dropped: list[str]) -> Any:
    parts = list(_parts(schema, root))
    if not parts or not isinstance(value, dict | list):
        return value
    if isinstance(value, list):
        below = ({"anyOf": list(_item_schemas(parts, index))} for index in range(len(value)))
        return [_without_padding(item, own, root, path, dropped) for item, own in zip(value, below, strict=True)]
    kept = {}
    for key, item in value.items():
        if item is None and all(null_is_padding(key, part, root) for part in parts):
            dropped.append(f"{path}{key}")
        else:
            own = {"anyOf": list(_argument_schemas(parts, key))}
            inner = _without_padding(item, own, root, f"{path}{key}.", dropped)
            if inner == {} != item and not any(key in part.get("required", []) for part in parts):
                dropped.append(f"{path}{key}")  # an object that holds nothing but padding is padding itself
            else:
                kept[key] = inner
    return kept


def _parts(schema: Any, root: dict[str, Any], met: set[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the object schemas that a schema consists of: itself, what its `$ref` leads to (once each), and its branches."""
    met = set() if met is None else met
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in met:
        met.add(reference)
        yield from _parts(_target(reference, root), root, met)
    for key in BRANCHES:
        for branch in schema.get(key) or ():
            yield from _parts(branch, root, met)
    own = {key: item for key, item in schema.items() if key not in (*BRANCHES, "$ref")}
    if own or not schema:
        yield own


def _target(reference: str, root: dict[str, Any]) -> Any:
    """Follow a `$ref` into the parameters; None where it leads elsewhere."""
    found: Any = root if reference.startswith("#") else None
    for step in reference[1:].split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _argument_schemas(parts: list[dict[str, Any]], key: str) -> Iterator[Any]:
    """Yield what the parts of an object's schema say about one of its keys."""
    for part in parts:
        named = [part["properties"][key]] if key in part.get("properties", {}) else []
        patterns = part.get("patternProperties", {})
        named += [patterns[pattern] for pattern in patterns if JsonSchema({"pattern": pattern}).faults(key) == []]
        yield from named or [part.get("additionalProperties")]


def _item_schemas(parts: list[dict[str, Any]], index: int) -> Iterator[Any]:
    """Yield what the parts of a list's schema say about one of its items."""
    for part in parts:
        items, first = part.get("items"), part.get("prefixItems", [])
        if isinstance(items, list):  # until draft 2019-09
            items, first = part.get("additionalItems"), items
        yield first[index] if index < len(first) else items
