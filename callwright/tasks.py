"""A task: tools.json, seeds.jsonl, golden.jsonl and grammar.yaml under data/seeds/<task>/, read with good errors."""

from pathlib import Path
from typing import Any

from callwright.matchers import accepts, is_optional, matcher_fault
from callwright.records import Call, Seed, read_records
from callwright.schema import call_fault


def read_seeds(path: str | Path, tools: list[dict[str, Any]]) -> list[Seed]:
    """Seeds whose calls fit the tools and whose `expected` accepts their own calls.

    Raises:
        UserError: at `file:line`.
    """
    return read_records(path, Seed, lambda seed: seed_fault(seed, tools))


def seed_fault(seed: Seed, tools: list[dict[str, Any]]) -> str | None:
    """What is wrong with a seed under its tools, in words; None where nothing is."""
    for call in seed.calls:
        if fault := call_fault(call, tools):
            return fault
    for call, expected in zip(seed.calls, seed.expected or [], strict=False):
        if fault := expected_fault(call, expected):
            return fault
    return None


def expected_fault(call: Call, expected: Call) -> str | None:
    """Why `expected` does not accept the reference call; None where it does."""
    if call.name != expected.name:
        return f"expected names {expected.name!r}, the call is {call.name!r}"
    for key, matcher in expected.arguments.items():
        if fault := matcher_fault(matcher):
            return f"expected.{key}: {fault}"
        if key not in call.arguments:
            if not is_optional(matcher):
                return f"expected.{key}: the call has no such argument"
        elif not accepts(matcher, call.arguments[key]):
            return f"expected.{key}: {matcher} does not accept the call's own {call.arguments[key]!r}"
    extra = next((key for key in call.arguments if key not in expected.arguments), None)
    return f"expected says nothing of argument {extra!r}" if extra else None
