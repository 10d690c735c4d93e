"""BFCL's own verdicts, as pure functions: its AST checker for Python, with its tolerances and its oddities.

What it tolerates: case, white space, quotes and ``,./-_*^`` in strings; whole numbers for fractions; absent arguments
among whose values is "". What it does not: another type, another order in a list, an argument too many. What is odd, and
kept because published scores have it: parallel calls are paired greedily, so that a valid pairing may be missed; nested
types are checked one level deep; where the accepted values are not of the documented type, they are compared as they
are; any text that is not a call counts as a clean abstention.

Source: bfcl-eval 2026.3.23, eval_checker/ast_eval/ast_checker.py and eval_runner.py. tests/test_bfcl.py holds these
functions against it, verdict for verdict. Where the original would die of a call, the call is wrong here.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

Call = tuple[str, dict[str, Any]]
"""a tool's name and its arguments"""

TYPES: dict[str, type] = {
    "string": str, "integer": int, "float": float, "boolean": bool, "array": list, "tuple": list, "dict": dict,
    "any": str,
}  # fmt: skip
NESTED = ("array", "tuple")
IGNORED = re.compile(r"[ ,./\-_*^]")


def decode(tool_calls: Sequence[dict[str, Any]]) -> list[Call] | None:
    """Return the calls that a server returned; None where one of them cannot be read, for then BFCL reads none of them."""
    calls = []
    for tool_call in tool_calls:
        function = tool_call.get("function") or {}
        try:
            arguments = json.loads(function["arguments"])
        except (KeyError, TypeError, ValueError, RecursionError):
            return None
        if not isinstance(arguments, dict):
            return None
        calls.append((str(function.get("name")), arguments))
    return calls


def fault(
    category: str, functions: Sequence[dict[str, Any]], calls: Sequence[Call] | None, accepted: Sequence[dict[str, Any]]
) -> str | None:
    """Return what BFCL finds wrong with the calls of a single-turn answer; None where it credits them.

    Args:
        functions: BFCL's function documents.
        calls: what `decode` made of the answer.
        accepted: calls, each a name with the accepted values of each argument; empty for (ir)relevance.
    """
    if "relevance" in category:
        if "irrelevance" in category:
            return "a call where none is due" if calls else None
        return None if calls else "no call"
    if calls is None:
        return "a call that cannot be read"
    if len(calls) != len(accepted):
        return f"{len(calls)} calls, not {len(accepted)}"
    if "parallel" in category:
        return _greedy(functions, calls, accepted)
    return _call_fault(_named(functions, accepted[0]), calls[0], accepted[0])


def _named(functions: Sequence[dict[str, Any]], accepted: dict[str, Any]) -> dict[str, Any] | None:
    return next((function for function in functions if function["name"] == next(iter(accepted))), None)


def _greedy(
    functions: Sequence[dict[str, Any]], calls: Sequence[Call], accepted: Sequence[dict[str, Any]]
) -> str | None:
    left = list(calls)
    for one in accepted:
        function = _named(functions, one)
        right = next((index for index, call in enumerate(left) if _call_fault(function, call, one) is None), None)
        if right is None:
            return f"no call is the expected {next(iter(one))}"
        del left[right]
    return None


def _call_fault(function: dict[str, Any] | None, call: Call, accepted: dict[str, Any]) -> str | None:
    if function is None:
        return "the accepted call is of no function"
    name, arguments = call
    [values] = accepted.values()
    if name != function["name"].replace(".", "_"):
        return f"{name}, not {function['name']}"
    properties = function["parameters"]["properties"]
    for key in function["parameters"]["required"]:
        if key not in arguments:
            return f"no argument {key!r}"
    for key, value in arguments.items():
        if key not in properties or key not in values:
            return f"argument {key!r} too many"
        if not _right(properties[key], value, values[key]):
            return f"{key} is not one of {str(values[key])[:200]}"
    missing = next((key for key in values if key not in arguments and "" not in values[key]), None)
    return None if missing is None else f"no argument {missing!r}"


def _right(schema: dict[str, Any], value: Any, accepted: list[Any]) -> bool:
    expected = TYPES[schema["type"]]
    item = TYPES[schema["items"]["type"]] if schema["type"] in NESTED else None
    if expected is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            return False
    if not _fits(value, accepted, expected, item):
        return False
    if _kind(accepted) in (None, expected):  # otherwise the accepted values are compared as they are
        if expected is dict:
            return _dict_right(value, accepted)
        if expected is list and item is dict:
            return _dicts_right(value, accepted)
        if expected is str:
            return _plain(value) in [_plain(one) for one in accepted if type(one) is str]
        if expected is list:
            return _plains(value) in [_plains(one) for one in accepted]
    return value in accepted


def _kind(accepted: Sequence[Any]) -> type | None:
    """Return the type of the first accepted value; "" only says that the argument may be absent."""
    return next((type(one) for one in accepted if one != ""), None)


def _fits(value: Any, accepted: Sequence[Any], expected: type, item: type | None) -> bool:
    """Return whether the type is right: the documented one, its items alike, or else that of the accepted values."""
    if (given := type(value)) is not expected:
        return given is _kind(accepted)
    if item is None:
        return True
    return any(type(one) is not list or all(_fits(inner, one, item, None) for inner in value) for one in accepted)


def _plain(value: Any) -> Any:
    return IGNORED.sub("", value).lower().replace("'", '"') if type(value) is str else value


def _plains(values: Sequence[Any]) -> list[Any]:
    return [_plain(value) for value in values]


def _dict_right(value: dict[str, Any], accepted: Sequence[Any]) -> bool:
    return any(
        all(key in one and _plain(inner) in _plains(one[key]) for key, inner in value.items())
        and all(key in value or "" in options for key, options in one.items())
        for one in accepted
        if isinstance(one, dict)
    )


def _dicts_right(values: list[Any], accepted: Sequence[Any]) -> bool:
    for one in accepted:
        if isinstance(one, list | str) and len(values) == len(one):  # BFCL takes [] where "" is accepted
            if not all(isinstance(value, dict) for value in values):
                return False
            if all(_dict_right(value, [options]) for value, options in zip(values, one, strict=True)):
                return True
    return False
