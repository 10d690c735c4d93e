"""Find the data of BFCL (the package bfcl-eval), and read its accepted answers as matchers. Its questions are never trained on."""

from itertools import product
from typing import Any

from callwright.files import ROOT
from callwright.json_schema import argument_schema

VERSION = "2026.3.23"
FOLDER = ROOT / "models" / f"bfcl_eval-{VERSION}"
"""Where `python -m tools.fetch_bfcl` unpacks the wheel."""

LIMIT = 1000
"""Accepted values that one argument may unfold into."""


def matchers(accepted: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Make the matcher of each argument: BFCL's values, as far as they fit the schema; "" lets an argument be absent.

    Raises:
        ValueError: an argument that is not in the schema, or whose values are no list or too many.
    """
    result, whole = {}, argument_schema(schema)
    for key, given in accepted.items():
        if not isinstance(given, list) or key not in schema["properties"]:
            raise ValueError(f"accepted argument {key!r} is not in its schema, or no list")
        absent = "" in given and key not in schema.get("required", [])
        literals = [value for one in given for value in unfold(one) if not whole.argument_faults(key, value)]
        result[key] = {"any_of": literals, **({"optional": True} if absent else {})}
    return result


def unfold(given: Any) -> list[Any]:
    """List the values that an accepted one stands for: in an object, each key has a list of its own ("": may be absent)."""
    if isinstance(given, list):
        choices: list[list[Any]] = [unfold(item) for item in given]
        return [list(values) for values in product(*_bounded(choices))]
    if not isinstance(given, dict):
        return [given]
    choices = []
    for accepted in given.values():
        items = accepted if isinstance(accepted, list) else [accepted]
        choices.append([value for item in items for value in unfold(item)])
    return [
        {key: value for key, value in zip(given, values, strict=True) if value != ""}
        for values in product(*_bounded(choices))
    ]


def _bounded(choices: list[list[Any]]) -> list[list[Any]]:
    count = 1
    for choice in choices:
        count *= len(choice)
        if count > LIMIT:
            raise ValueError(f"an accepted answer unfolds into more than {LIMIT} values")
    return choices
