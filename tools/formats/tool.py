"""A source's tools → canonical tools: wherever the schema stands, and with what a row has no place for counted."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from callwright.files import to_json
from callwright.schema import SPELLINGS, canonical_tool
from tools.formats.conversation import Loss, Tool
from tools.formats.values import from_json, is_empty, object_of

Shape = Callable[[dict[str, Any]], dict[str, Any]]
"""makes a function in OpenAI's words of what a format calls one"""

KEPT = ("name", "description", "parameters")
"""what LLaMA-Factory's API server rebuilds from a request: rows hold no other key, so that training and serving agree"""
_NAMED = (*KEPT, *SPELLINGS, "required")
_VALUES = ("default", "const", "enum", "examples", "example")
"""keywords whose value is data, where null is a value like any other"""
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def read_tools(tools: Iterable[Any], shaped: Shape = dict) -> tuple[list[Tool], list[Loss]]:
    """Write tools in canonical form, further keys of a function such as `strict` behind the canonical ones, and what is lost.

    Args:
        shaped: applied to each function before it is read.

    Raises:
        ValueError: a tool that is none, or one with a key in which its arguments could hide.
    """
    read = [_tool(to_json(tool), shaped) for tool in tools]
    return [tool for tool, _ in read], [loss for _, lost in read for loss in lost]


@lru_cache(maxsize=4096)
def _tool(text: str, shaped: Shape) -> tuple[Tool, tuple[Loss, ...]]:
    # Data sets repeat their tools from row to row; checking a schema costs more than all the rest of a record.
    tool = object_of(json.loads(text), "a tool")
    if tool.get("type") not in (None, "function", "custom"):
        raise ValueError(f"a tool of type {tool['type']!r}, not a function")
    wrapped = tool.get("function") is not None
    function = object_of(tool["function"], "the function of a tool") if wrapped else tool
    function = shaped({key: value for key, value in function.items() if wrapped or key != "type"})
    for key in SPELLINGS:
        given = function.get(key)
        if isinstance(given, str) and given.strip():
            given = from_json(given, f"{key} of {function.get('name')!r}")
        if not is_empty(given):
            function = {**function, key: _unpadded(given)}
    # A plain value can hold no schema; an object or a list under an unknown key might, which canonical_tool refuses.
    plain = {key for key, value in function.items() if not isinstance(value, dict | list) and key not in _NAMED}
    canonical = canonical_tool({key: value for key, value in function.items() if key not in plain})["function"]
    taken = {*KEPT, *SPELLINGS, *(["required"] if isinstance(function.get("required"), list) else [])}
    more = {key: value for key, value in function.items() if key not in taken and not is_empty(value)}
    where = f"tool {canonical['name']!r}"
    beside = {key: value for key, value in tool.items() if wrapped and key not in ("type", "function")}
    if hidden := next((key for key in beside if key in SPELLINGS and not is_empty(beside[key])), None):
        raise ValueError(f"{where}: {hidden!r} stands beside its function, not in it")
    lost = [
        Loss(f"key {key[:60]!r} of a tool", to_json(value), where)
        for key, value in beside.items()
        if not is_empty(value)
    ]
    return {"type": "function", "function": {**canonical, **more}}, tuple(lost)


def _unpadded(schema: Any) -> Any:
    """Drop the keys that are null where JSON Schema allows none: Arrow gave the schema the keys of other tools.

    A default of null is padding only where something else is.
    """
    if _without_nulls(schema, _VALUES) == schema:
        return schema
    return _without_nulls(schema, ())


def _without_nulls(schema: Any, kept: Sequence[str], by_name: bool = False) -> Any:
    """Drop the keys that are null, except `kept` keywords.

    Args:
        by_name: the keys are names of arguments or definitions, not keywords.
    """
    if isinstance(schema, list):
        return [_without_nulls(item, kept) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key in _VALUES and not by_name:
            if value is not None or key in kept:
                result[key] = value
        elif value is not None:
            result[key] = _without_nulls(value, kept, not by_name and key in _BY_NAME)
    return result
