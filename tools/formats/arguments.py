"""Arguments of a call as its tool lets them be: what is empty, and null that only pads."""

from typing import Any

from callwright.files import parse_json, to_json
from callwright.records import Call
from callwright.schema import call_fault, null_is_padding
from tools.formats.conversation import Tool


def settled(function: dict[str, str], tool: Tool | None) -> tuple[str, list[str]]:
    """The arguments of a call as JSON text, and the keys of null padding that left them.

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
    if not isinstance(schema, dict):
        return value
    if isinstance(value, list):
        return [_without_padding(item, schema.get("items"), root, path, dropped) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if item is None and null_is_padding(key, schema, root):
            dropped.append(f"{path}{key}")
        else:
            own = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            inner = _without_padding(item, own, root, f"{path}{key}.", dropped)
            if inner == {} != item and key not in schema.get("required", []):
                dropped.append(f"{path}{key}")  # an object that holds nothing but padding is padding itself
            else:
                kept[key] = inner
    return kept
