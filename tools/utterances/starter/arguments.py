"""Sets of arguments with values, of which every combination makes a valid call of a tool."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice, product
from typing import Any

from callwright.errors import UserError
from callwright.records import Call
from callwright.schema import call_fault
from callwright.tool_sources.schemas import Inliner, flat
from tools.utterances.starter.values import Values

INDEPENDENT = {"type", "properties", "required", "additionalProperties", "description", "title"}
INDEPENDENT |= {"$defs", "$schema", "definitions"}
"""Keywords of a tool's schema under which no argument depends on another."""
COMBINATIONS = 300
"""So many combinations of names, and of values, are tried where arguments may depend on each other."""
SETS = 6
"""The most sets of arguments of such a tool."""
MOST_SAID = 8
"""A person may say so many required arguments in one line."""

Tool = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Arguments and their values; the order is that of the schema, the required ones first."""

    columns: dict[str, list[Any]]
    required: frozenset[str]
    """those that a call needs, or of which this very set does not do without"""


def inlined(tool: Tool, lose: Any = lambda what: None) -> dict[str, Any]:
    """Return a tool's schema with every `$ref` in its place, and among its properties those of its branches.

    What is cut is told to `lose`.
    """
    parameters = tool["function"]["parameters"]
    schema: dict[str, Any] = flat(Inliner(parameters, lose).inline(parameters))
    properties = dict(schema.get("properties", {}))
    for branch in (branch for key in ("allOf", "anyOf", "oneOf") for branch in schema.get(key, [])):
        if isinstance(branch, dict):
            properties = {**flat(branch).get("properties", {}), **properties}
    return {**schema, "properties": properties}


def argument_sets(tool: Tool, tools: list[Tool], values: Values) -> Iterator[Table]:
    """Yield one set with all arguments of which a value is known, or up to SETS where arguments may depend on others.

    Raises:
        UserError: no call is known that fits the schema.
    """
    name, cut = tool["function"]["name"], list[str]()
    schema = inlined(tool, cut.append)
    required = list(dict.fromkeys(schema.get("required", [])))
    known = {**values.free_keys(schema), **schema["properties"]}
    rest = schema.get("additionalProperties", {})
    columns = {key: values.of(known.get(key, rest), key) for key in [*required, *known]}
    if empty := ", ".join(key for key in required if not columns[key]):
        raise UserError(f"tool {name!r}", f"no value is known that fits {empty}", "add `examples` to its schema")
    columns = values.in_order({key: column for key, column in columns.items() if column})
    optional = [key for key in columns if key not in required]

    def valid(row: dict[str, Any]) -> bool:
        return call_fault(Call(name=name, arguments=row), tools) is None

    if not cut and set(schema) <= INDEPENDENT:
        firsts = {key: column[0] for key, column in columns.items()}
        if valid({key: firsts[key] for key in required}) and valid(firsts):
            yield Table(columns, frozenset(required))
            return
    some = (names for size in range(4) for names in combinations(optional, size))
    found = 0
    for names in [*islice(some, COMBINATIONS), tuple(optional)]:
        keys = [*required, *names]
        most = max(1, int(COMBINATIONS ** (1 / max(1, len(keys)))))
        rows = [dict(zip(keys, row, strict=True)) for row in product(*(columns[key][:most] for key in keys))]
        good = [row for row in rows if valid(row)]
        if good:
            found += 1
            every = good == rows
            yield Table({key: columns[key][:most] if every else [good[0][key]] for key in keys}, frozenset(keys))
        if found == SETS:
            return
    if not found:
        raise UserError(f"tool {name!r}", "no arguments are known that fit together", "add `examples` to its schema")


def required_beyond_speech(tool: Tool) -> int:
    """Return how many arguments a tool requires, where they are more than MOST_SAID; else 0."""
    count = len(set(inlined(tool).get("required", [])))
    return count if count > MOST_SAID else 0
