"""Decide whether a value fits a JSON Schema, in the one place that does: every draft that a schema names, in bounded time.

The validator is jsonschema-rs. It matches patterns in linear time, counts the steps of those that look around or back,
compares numbers of any size exactly, and can be kept from fetching. What it does not bound is a schema whose branches
multiply (an `anyOf` of two `$ref`s to the next such `anyOf`): so the steps are counted first (callwright.schema_steps).
They depend on schema and value alone: an answer gets the same verdict on a slow machine as on a fast one.

`format`, `contentEncoding` and `contentMediaType` are annotations, as the later drafts have them.
"""

import json
from functools import cache, lru_cache
from typing import Any, NamedTuple

from jsonschema_rs import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
    FancyRegexOptions,
    RegexOptions,
    ValidationError,
)
from referencing import Specification
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, DRAFT201909, DRAFT202012

from callwright.files import to_json
from callwright.patterns import portable
from callwright.schema_steps import NAMED, NESTED, Steps, TooCostly

DRAFTS: dict[str, tuple[Any, Specification[Any], str]] = {
    "2020-12": (Draft202012Validator, DRAFT202012, "https://json-schema.org/draft/2020-12/schema"),
    "2019-09": (Draft201909Validator, DRAFT201909, "https://json-schema.org/draft/2019-09/schema"),
    "draft-07": (Draft7Validator, DRAFT7, "http://json-schema.org/draft-07/schema#"),
    "draft-06": (Draft6Validator, DRAFT6, "http://json-schema.org/draft-06/schema#"),
    "draft-04": (Draft4Validator, DRAFT4, "http://json-schema.org/draft-04/schema#"),
}
"""A part of `$schema` → its draft. Where a schema names none, or breaks the rules of it, the first whose rules it keeps."""

DEEPEST, LARGEST = 100, 10_000_000
"""Levels of objects and lists of a value, and its size: characters, and a few for each object and list."""
SCHEMA_DEEPEST, SCHEMA_LARGEST, MOST_PARTS, MOST_PATTERNS = 150, 5_000_000, 20_000, 500
"""Levels and size of a schema, its objects and lists, and its different patterns: what compiles in about a second."""
BACKTRACKS, PATTERN_BYTES = 10_000, 1 << 20
"""Steps of one search with a pattern that looks around or back, and the memory of a compiled pattern."""
MOST_NAMED, FAULT_SIZE = 10_000_000, 500
"""Characters of faults up to which they are named: each step may find one, of this size and that of the value."""
LONGEST_MESSAGE = 300

LINEAR = RegexOptions(size_limit=PATTERN_BYTES)
COUNTED = FancyRegexOptions(backtrack_limit=BACKTRACKS, size_limit=PATTERN_BYTES)
"""The two engines of patterns; the second is for those that look around or back."""


class Unchecked(ValueError):
    """Whether a value fits was not found out: it would take too long, or the schema is none. No fault of the value."""


class Fault(NamedTuple):
    """One way in which a value breaks its schema."""

    keyword: str
    """Of the schema; `unknown` for an argument that the schema does not know, `size` for a value beyond all bounds."""
    path: tuple[str | int, ...]
    """The way to what is at fault, or missing."""
    message: str


class JsonSchema:
    """A schema, compiled once; `faults(value)` checks values against it.

    Raises:
        ValueError: it is no JSON Schema of its draft, a pattern cannot be read, a `$ref` leads nowhere, outside or back
            to itself, or it exceeds the bounds above.
    """

    def __init__(self, schema: Any) -> None:
        size, patterns = _size(schema, SCHEMA_DEEPEST), set[str]()
        if size is None or size.characters > SCHEMA_LARGEST or size.parts > MOST_PARTS:
            raise ValueError(
                f"nested too deeply (over {SCHEMA_DEEPEST} levels), or over {MOST_PARTS:,} objects and lists"
            )
        prepared = _prepared(schema, patterns)
        if len(patterns) > MOST_PATTERNS:
            raise ValueError(f"more than {MOST_PATTERNS} different patterns")
        kind, specification = _draft(prepared)
        self.steps = Steps(prepared, specification)  # first: it refuses what would take for ever to compile
        self._validator, self.steps.backtracks = _compiled(kind, prepared)

    def faults(self, value: Any) -> list[Fault]:
        """Say what is wrong with a value, [] where nothing is; Unchecked where it would take too long to find out."""
        size = _size(value, DEEPEST)
        if size is None:
            return [Fault("size", (), f"nested more than {DEEPEST} levels deep, or too large")]
        try:
            self.steps.of(value)
            if self._validator.is_valid(value):
                return []
            if self.steps.of(value, searches=False) * (size.characters + FAULT_SIZE) > MOST_NAMED:
                return [Fault("schema", (), "does not fit, and is too large to say where")]
            errors = list(self._validator.iter_errors(value))
        except (TooCostly, RecursionError) as error:
            raise Unchecked(f"the check {error}") from None
        except ValueError as error:  # an object of Python's, or a lone surrogate
            return [Fault("schema", (), f"not JSON ({error})")]
        if any(map(_gave_up, errors)):
            raise Unchecked(f"a pattern takes more than {BACKTRACKS:,} steps")
        return [fault for error in errors for fault in _faults(error)] or [Fault("schema", (), "does not fit")]


class ArgumentSchema(JsonSchema):
    """The schema of a tool's arguments, which decides what a call may hold.

    Arguments that the schema does not name are its own affair where it says anything about them
    (`additionalProperties` in any form, `patternProperties`, `unevaluatedProperties`, `propertyNames`, in any of its
    branches). Where it says nothing they are refused, although JSON Schema would let them pass: a misspelt argument
    would reach the tool otherwise.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        super().__init__(parameters)
        self.parameters = parameters
        self._names, self._others = self.steps.known_arguments()

    def faults(self, value: Any) -> list[Fault]:
        """Say what is wrong with the arguments of a call, as JsonSchema.faults does."""
        unknown = [] if self._others else [key for key in value if key not in self._names]
        return [*(Fault("unknown", (key,), f"no argument {key!r}") for key in unknown), *super().faults(value)]

    def argument_faults(self, key: str, value: Any) -> list[Fault]:
        """Say what is wrong with one argument by itself."""
        return [fault for fault in self.faults({key: value}) if fault.path[:1] == (key,)]

    def names(self, key: str) -> bool:
        """Tell whether any branch of the schema names an argument."""
        return key in self._names

    def takes(self, key: str) -> bool:
        """Tell whether a call may have an argument of this name, whatever its value."""
        return all(fault.keyword != "unknown" for fault in self.argument_faults(key, None))

    @property
    def required(self) -> list[str]:
        """Return the arguments that every call must have."""
        return [str(fault.path[0]) for fault in self.faults({}) if fault.keyword == "required" and len(fault.path) == 1]


def argument_schema(parameters: dict[str, Any]) -> ArgumentSchema:
    """Compile the schema of a tool's arguments, each schema once; ValueError as JsonSchema raises it."""
    try:
        return _argument_schema(to_json(parameters))
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _Size(NamedTuple):
    parts: int
    """Objects and lists."""
    characters: int
    """Characters of texts and keys, and one for any other value."""


def _size(value: Any, deepest: int) -> _Size | None:
    """Measure a value; None where it has more levels, or is larger than LARGEST."""
    parts = characters = 0
    level = [value]
    for _ in range(deepest + 1):
        below: list[Any] = []
        for item in level:
            characters += 1
            if isinstance(item, str):
                characters += len(item)
            elif isinstance(item, dict | list):
                parts += 1
                characters += sum(map(len, map(str, item))) if isinstance(item, dict) else 0
                below.extend(item.values() if isinstance(item, dict) else item)
            if characters + len(below) > LARGEST:
                return None
        if not below:
            return _Size(parts, characters)
        level = below
    return None


def _prepared(schema: Any, patterns: set[str]) -> Any:
    """Write a schema as the validator takes it: patterns rewritten and gathered, no annotations, `nullable` in its type."""
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, held in schema.items():
        if key in ("contentEncoding", "contentMediaType"):
            continue
        if key == "pattern" and isinstance(held, str):
            held = portable(held)
            patterns.add(held)
        elif key in NAMED and isinstance(held, dict):
            held = {name: _prepared(one, patterns) for name, one in held.items()}
            if key == "patternProperties":
                held = {portable(pattern): one for pattern, one in held.items()}
                patterns.update(held)
        elif key in NESTED:
            held = [_prepared(one, patterns) for one in held] if isinstance(held, list) else _prepared(held, patterns)
        result[key] = held
    if result.get("nullable") is True and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


def _draft(schema: Any) -> tuple[Any, Specification[Any]]:
    """Return the validator and the specification of a schema's draft; ValueError where it keeps no draft's rules."""
    named = str(schema.get("$schema")) if isinstance(schema, dict) else ""
    faults = []
    for mark in sorted(DRAFTS, key=lambda mark: mark not in named):  # a stable sort
        kind, specification, _ = DRAFTS[mark]
        try:
            _rules(mark).validate(schema)
        except (ValidationError, ValueError) as error:
            faults.append(_schema_fault(error))
        else:
            return kind, specification
    raise ValueError(faults[0])


@cache
def _rules(mark: str) -> Any:
    """Return the schema of a draft's schemas."""
    kind, _, address = DRAFTS[mark]
    return kind({"$ref": address}, offline=True, validate_formats=False)


def _inner_errors(error: Any) -> list[Any]:
    return [one for branch in getattr(getattr(error, "kind", None), "context", ()) for one in branch]


def _schema_fault(error: Any) -> str:
    """Say what is wrong with a schema: of several errors in it, the first."""
    while inner := _inner_errors(error):
        error = inner[0]
    where = "".join(f"{part}: " for part in getattr(error, "instance_path", ()))
    return _short(f"{where}{getattr(error, 'message', error)}")


def _compiled(kind: Any, schema: Any) -> tuple[Any, int]:
    """Compile a schema, and return the steps beside the length of the text that one search with a pattern may take."""
    fault = ""
    for options, backtracks in ((LINEAR, 0), (COUNTED, BACKTRACKS)):  # a pattern may look around or back
        try:
            return kind(schema, offline=True, validate_formats=False, pattern_options=options), backtracks
        except (ValidationError, ValueError) as error:
            fault = _schema_fault(error)
    raise ValueError(fault)


@lru_cache(maxsize=4096)
def _argument_schema(text: str) -> ArgumentSchema:
    return ArgumentSchema(json.loads(text))


def _faults(error: Any) -> list[Fault]:
    path, name = tuple(error.instance_path), error.kind.name
    if name in ("additionalProperties", "unevaluatedProperties") and not path:
        return [Fault("unknown", (key,), f"no argument {key!r}") for key in error.kind.unexpected]
    missing = (error.kind.property,) if name == "required" else ()
    return [Fault(name, (*path, *missing), _short(error.message))]


def _gave_up(error: Any) -> bool:
    """Tell whether an error, or one within it, is that a pattern took too many steps."""
    if type(error.kind).__name__ in ("BacktrackLimitExceeded", "RegexEngineFailure"):
        return True
    return any(map(_gave_up, _inner_errors(error)))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 1]}…"
