"""JSON values of records, taken as what they must be or refused in words."""

from typing import Any

from callwright.files import parse_json
from callwright.schema import NOTHING
from callwright.tool_results import json_values


def kind(value: Any) -> str:
    """Say what a JSON value is, in JSON's words."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def is_empty(value: Any) -> bool:
    """Tell whether a key with this value says nothing: APIs dump every key that they know. 0 and false do say something."""
    return value in NOTHING


def text_of(value: Any, what: str) -> str:
    """Return a value that must be text; ValueError where it is not."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {kind(value)}, not text")
    return value


def from_json(text: str, what: str) -> Any:
    """Parse JSON text strictly; `what` names it in the fault."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from None


def object_of(value: Any, what: str) -> dict[str, Any]:
    """Return a value that must be an object; ValueError where it is not."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {kind(value)}, not an object")
    return value


def list_of_objects(value: Any, what: str) -> list[dict[str, Any]]:
    """Return a list of objects, which may be JSON text; ValueError where it is something else."""
    if isinstance(value, str):
        value = from_json(value, what)
    if not isinstance(value, list):
        raise ValueError(f"{what} is {kind(value)}, not a list")
    for item in value:
        if not isinstance(item, dict):
            raise ValueError(f"{what} holds {kind(item)}, not only objects")
    return value


def sequence(text: str, start: int, what: str) -> list[Any]:
    """Parse JSON values that stand one after the other from `start` to the end of a text; ValueError where one is not JSON."""
    try:
        return [value for value, _ in json_values(text, start)]
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from None
