"""Values that fit a JSON Schema, for lines that nobody has written yet."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from callwright.files import to_json
from callwright.records import Call
from callwright.schema import call_fault
from callwright.tool_sources.schemas import flat
from tools.generate import ARTICLE
from tools.transform import strings

MOST = 6
"""values of a slot"""
LONGEST = 2_000
"""characters of a text, and items of a list, that a schema may ask for"""
HINTS = {
    "object": ("properties", "required", "minProperties", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""what tells the type where `type` does not"""

Schema = dict[str, Any]


def fits(schema: Any, value: Any) -> bool:
    """Whether a value fits a schema, as the argument of a call would have to."""
    parameters = {"type": "object", "properties": {"value": schema}}
    tool = {"type": "function", "function": {"name": "tool", "parameters": parameters}}
    return call_fault(Call(name="tool", arguments={"value": value}), [tool]) is None


@dataclass
class Values:
    """The author's own values first (const, enum, examples, default), then what the type suggests.

    Args:
        phrases: phrases.yaml, for its `formats` and `codes`.
        things: what a free text may say.
    """

    phrases: dict[str, Any]
    things: list[str]

    def of(self, schema: Any, most: int = MOST) -> list[Any]:
        """Up to `most` different values that fit a schema without `$ref`; [] where none is known."""
        if not isinstance(schema, dict):
            return self.of({}, most) if schema else []
        given = [schema["const"]] if "const" in schema else schema.get("enum") or schema.get("examples")
        found: dict[str, Any] = {}
        for value in given or [*([schema["default"]] if "default" in schema else []), *self.made(schema, most)]:
            # what generation changes on its way (white space at the ends, "a apple") would not arrive as it is
            if fits(schema, value) and strings(value, lambda text: ARTICLE.sub(r"\1n", text).strip()) == value:
                found.setdefault(to_json(value), value)
        return list(found.values())[:most]

    def made(self, schema: Schema, most: int) -> Iterator[Any]:
        """Values that the type suggests; not all of them fit."""
        schema = flat(schema)
        for key in ("anyOf", "oneOf"):
            rest = {other: value for other, value in schema.items() if other != key}
            for branch in schema.get(key, []):
                yield from self.of(flat({"allOf": [rest, branch]}) if isinstance(branch, dict) else rest, most)
        guess = next((kind for kind, keys in HINTS.items() if any(key in schema for key in keys)), "string")
        kinds = schema.get("type", guess)
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            if kind in ("integer", "number"):
                yield from numbers(schema, most)
            elif kind in ("boolean", "null"):
                yield from (True, False) if kind == "boolean" else (None,)
            else:
                yield from {"string": self.texts, "array": self.lists, "object": self.objects}[kind](schema, most)

    def texts(self, schema: Schema, most: int) -> Iterator[str]:
        """Things, or values of the format; codes, longer and numbered texts where those do not do."""
        first = self.phrases["formats"].get(schema.get("format"), self.things)
        yield from first
        if most > MOST or not any(fits(schema, text) for text in first):
            yield from self.phrases["codes"]
            for text in self.things:
                longer = " ".join([text] * (min(schema.get("minLength", 0), LONGEST) // len(text) + 1))
                yield longer[: schema.get("maxLength")]
            yield from (f"{self.things[0]} {number}" for number in range(most))

    def lists(self, schema: Schema, most: int) -> Iterator[list[Any]]:
        """Lists of the least length and one more, each beginning with another item."""
        head = [column[0] for column in map(self.of, schema.get("prefixItems", [])) if column]
        least = min(max(schema.get("minItems", 1), 1), LONGEST) - len(head)
        pool = self.of(schema.get("items", {}), max(MOST, least + 1)) or [None]
        for length in (least, least + 1):
            for start in range(min(len(pool), most)):
                yield head + [pool[(start + place) % len(pool)] for place in range(length)]
        yield from (head, [])

    def objects(self, schema: Schema, most: int) -> Iterator[dict[str, Any]]:
        """Objects with the required keys, with all keys, with none, with one that no schema names."""
        known, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
        required = list(schema.get("required", []))
        for names in (required or [*known], [*dict.fromkeys([*required, *known])], []):
            columns = {name: self.of(known.get(name, rest)) for name in names}
            columns = {name: column for name, column in columns.items() if column}
            yield from ({name: column[i % len(column)] for name, column in columns.items()} for i in range(most))
        yield {"name": (self.of(rest) or [None])[0]}


def numbers(schema: Schema, most: int) -> Iterator[int | float]:
    """Small numbers, then those from the lower bound up or to the upper bound, the bounds and their middle."""
    low = max((schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema), default=None)
    high = min((schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema), default=None)
    step, count = schema.get("multipleOf", 1), max(2 * MOST, most)
    base = math.ceil(low / step) if low is not None else math.floor(high / step) - count + 1 if high is not None else 0
    made = [times * step for times in (2, 3, 5, 10, *range(base, base + count))]
    made += [bound for bound in (low, high) if bound is not None]
    made += [low + (high - low) / 4 * part for part in (1, 2, 3)] if low is not None and high is not None else []
    yield from (int(value) if float(value).is_integer() else round(value, 10) for value in made)
