"""What one answer adds to the figures below its verdict: calls, names, arguments and words, as counts that sum up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callwright.json_schema import ArgumentSchema, Fault, Unchecked
from callwright.matchers import accepts, is_matcher, is_optional, missing_words
from callwright.records import Call
from callwright.results import Counts3, Tally


@dataclass(frozen=True)
class CheckedCall:
    """A call, checked once against its tool's schema."""

    call: Call
    schema: ArgumentSchema | None
    """of its arguments; None where no such tool is on offer"""
    faults: Sequence[Fault]
    unchecked: str = ""
    """why its arguments could not be checked: a fault of the schema's, not of the model's"""

    @property
    def valid(self) -> bool:
        """Whether it could be acted on."""
        return self.schema is not None and not self.faults and not self.unchecked


def check_call(call: Call, offered: Mapping[str, ArgumentSchema]) -> CheckedCall:
    """Check a call under the schema of its tool, of those on offer."""
    if (schema := offered.get(call.name)) is None:
        return CheckedCall(call, None, [])
    try:
        return CheckedCall(call, schema, schema.faults(call.arguments))
    except Unchecked as error:
        return CheckedCall(call, schema, [], str(error))


def count_answer(pairs: Sequence[tuple[Call, CheckedCall]], emitted: int, readable: Sequence[CheckedCall]) -> Tally:
    """Count an answer.

    Args:
        pairs: expected calls with those that were returned for them; of an unreadable one only the name counts.
        emitted: calls that were begun.
        readable: those of them that the server returned and that can be read.
    """
    arguments: dict[str, Counts3] = {}
    arrived = asked = names = 0
    for expected, given in pairs:
        if expected.name != given.call.name:
            continue
        names += 1
        broken = {fault.path[0] for fault in given.faults if fault.path}
        values = given.call.arguments
        for key in expected.arguments | values:
            matcher: Any = expected.arguments.get(key)
            there = key in values
            wanted = key in expected.arguments and (there or not is_optional(matcher))
            if not (wanted or there):
                continue
            right = wanted and there and key not in broken and accepts(matcher, values[key])
            declared = given.schema.steps.keywords(key) if given.schema else {}
            kind = _json_type(declared, values[key] if there else _example(matcher))
            before = arguments.get(kind, (0, 0, 0))
            arguments[kind] = before[0] + right, before[1] + there, before[2] + wanted
            if wanted and is_matcher(matcher) and "contains" in matcher:
                words, value = matcher["contains"], values.get(key)
                asked += len(words)
                arrived += len(words) - len(missing_words(words, value)) if isinstance(value, str) else 0
    valid = sum(given.valid for given in readable)
    slots = (arrived, asked)
    return Tally(emitted=emitted, parsed=len(readable), valid=valid, names=names, arguments=arguments, slots=slots)


def _json_type(declared: dict[str, Any], value: Any) -> str:
    """Return the one type that an argument's schema declares, else that of a value."""
    if isinstance(declared.get("type"), str):
        return str(declared["type"])
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _example(matcher: Any) -> Any:
    """Return a value that a matcher accepts, as far as its type goes."""
    if not is_matcher(matcher):
        return matcher
    return "" if "contains" in matcher else next(iter(matcher.get("any_of", [])), None)
