"""Draw values that fit a JSON Schema, for lines that nobody has written yet."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from callwright.files import to_json
from callwright.records import Call
from callwright.schema import call_fault
from callwright.text import language_fault
from callwright.tool_sources.schemas import flat
from tools.utterances.generate import ARTICLE
from tools.utterances.starter.hints import author_values, variants
from tools.utterances.starter.regex import matching
from tools.utterances.starter.wording import GROUPS, Wording, clean
from tools.utterances.transform import strings

MOST, LISTED = 6, 40
"""The values of a slot, and of one whose values the schema lists."""
ENOUGH = 3
"""From so many values of the author's on, nothing is made up beside them."""
LONGEST = 2_000
"""A schema may ask for so many characters of a text, and items of a list."""
HINTS = {
    "object": ("properties", "required", "minProperties", "additionalProperties"),
    "array": ("items", "prefixItems", "minItems"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
"""The keywords that tell the type where `type` does not."""
ROUND = (2, 3, 5, 8, 10, 12, 15, 20, 25, 30, 45, 50, 60, 75, 90, 100)
LARGE = (120, 150, 200, 250, 500, 750, 1000, 1500, 2500, 5000)
"""Numbers that people say."""
DURATIONS = ("PT30M", "PT2H", "P3D", "PT15M", "PT1H", "P1D", "PT45M", "PT3H", "P7D", "PT10M", "PT90M", "P2D")
DAY = re.compile(r"\d{4}-\d\d-\d\d(T.*)?")
CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?Z?")
HOSTS = ("example.com", "mail.example.org", "shop.example.net", "api.example.com", "www.example.org", "cdn.example.net")

Schema = dict[str, Any]


def fits(schema: Any, value: Any) -> bool:
    """Tell whether a call may pass a value of this schema."""
    parameters = {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    tool = {"type": "function", "function": {"name": "tool", "parameters": parameters}}
    return call_fault(Call(name="tool", arguments={"value": value}), [tool]) is None


@dataclass
class Values:
    """Values for the arguments of starter lines: the author's own first, then what pattern, format, bounds and name suggest.

    Args:
        wording: how things are said in a language, for what a free text may be.
        group: seeds, golden or grammar: each draws values of its own where the schema leaves a choice.
    """

    wording: Wording
    group: str

    def of(self, schema: Any, name: str, most: int = MOST) -> list[Any]:
        """Return up to `most` different values that fit a schema without `$ref`; [] where none is known.

        Args:
            name: the argument's, with those of the objects around it: other names get other values, or another order.
        """
        if not isinstance(schema, dict):
            return self.of({}, name, most) if schema else []
        listed = [schema["const"]] if "const" in schema else schema.get("enum")
        found: dict[str, Any] = {}
        for value in listed or self.free(schema, name, most):
            # what generation changes on its way (white space at the ends, "a apple") would not arrive as it is
            if strings(value, lambda text: ARTICLE.sub(r"\1n", text).strip()) == value and fits(schema, value):
                found.setdefault(to_json(value), value)
            if len(found) == (LISTED if listed else most):
                break
        return list(found.values())

    def free(self, schema: Schema, name: str, most: int) -> Iterator[Any]:
        """Yield values where the schema lists none; not all of them fit."""
        own = [value for value in author_values(schema) if fits(schema, value)]
        if self.wording.lang == "en" and self.wording.knows(name, schema):  # 台北 is Taipei in English
            own = [value for value in own if not isinstance(value, str) or not language_fault(value, "en")]
        yield from own
        coded = self.wording.form(name, schema) not in FORMATS  # other digits make no other day
        for value in own:
            yield from variants(value, f"{self.group}/{name}") if isinstance(value, str) and coded else ()
        own = [value for value in own if value != schema.get("default")]
        said = (
            len(own) > 1
            and isinstance(own[0], str)
            and not self.wording.knows(name, schema)
            and "pattern" not in schema
        )
        if len(own) < ENOUGH and not said:
            yield from self.suggested(schema, name, most)

    def suggested(self, schema: Schema, name: str, most: int) -> Iterator[Any]:
        """Yield values that the type suggests; not all of them fit."""
        schema = flat(schema)
        branches = [(key, branch) for key in ("anyOf", "oneOf") for branch in schema.get(key, [])]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        wholes = [flat({"allOf": [rest, branch]}) if isinstance(branch, dict) else rest for _, branch in branches]
        yield from in_turn([self.of(whole, name, most) for whole in wholes if whole.get("type") != "null"])
        guess = next((kind for kind, keys in HINTS.items() if any(key in schema for key in keys)), "string")
        kinds = schema.get("type", guess)
        for kind in sorted([kinds] if isinstance(kinds, str) else kinds, key=lambda kind: kind == "null"):
            if kind in ("integer", "number"):
                yield from shuffled(
                    numbers(schema, kind == "integer", most, self.wording.role(name).get("numbers", ROUND)),
                    f"{self.group}/{name}",
                )
            elif kind in ("boolean", "null"):
                yield from (True, False) if kind == "boolean" else (None,)
            else:
                yield from {"string": self.texts, "array": self.lists, "object": self.objects}[kind](schema, name, most)

    def texts(self, schema: Schema, name: str, most: int) -> Iterator[str]:
        """Yield texts of the format, things that go by the argument's name, what the pattern matches, or codes of the length."""
        seed = f"{self.group}/{self.wording.lang}/{name}"
        form = self.wording.form(name, schema)
        things = shuffled(self.wording.things(name, self.group, schema), name)
        formed = shuffled(formatted(form, self.group, self.wording.is_late(name)), name) if form in FORMATS else []
        if form in ("email", "uri", "url", "idn-email", "iri"):
            things = shuffled(self.wording.things("email" if "mail" in form else "url", self.group), name)
        yield from formed or things
        fitting = sum(fits(schema, text) for text in formed or things)
        if isinstance(pattern := schema.get("pattern"), str) and fitting < ENOUGH:
            yield from matching(pattern, seed)
        elif most <= MOST and fitting >= ENOUGH:
            return
        yield from self.wording.phrases["things"][GROUPS[self.group]]
        least, longest = (min(schema.get(key, 0), LONGEST) for key in ("minLength", "maxLength"))
        for start, thing in enumerate(things):
            longer, at = thing, start
            while len(longer) < least:
                at += 1
                longer += f", {things[at % len(things)]}"
            yield longer[:longest].strip() if longest else longer
        low = max(1, least)
        yield from matching(f"[A-Z0-9]{{{low},{max(low, min(longest or 6, 6))}}}", seed) if low <= 12 else ()

    def lists(self, schema: Schema, name: str, most: int) -> Iterator[list[Any]]:
        """Yield lists of the least length and one more, each beginning with another item."""
        items = schema.get("items", {})
        tuple_ = (
            items if isinstance(items, list) else schema.get("prefixItems", [])
        )  # drafts before 2020-12 have both there
        heads = [self.of(item, f"{name}/{at}") for at, item in enumerate(tuple_)]
        heads += [self.of(schema["contains"], name)] if "contains" in schema else []
        least = max(0, min(max(schema.get("minItems", 1), 1), LONGEST) - len(heads))
        pool = self.of({} if isinstance(items, list) else items, name, max(MOST, least + 1)) or [None]
        for length in (least, least + 1):
            for start in range(min(len(pool), most)):
                head = [column[start % len(column)] for column in heads if column]
                yield head + [pool[(start + place) % len(pool)] for place in range(length)]
        yield from ([column[0] for column in heads if column], [])

    def objects(self, schema: Schema, name: str, most: int) -> Iterator[dict[str, Any]]:
        """Yield objects with the required keys and, in every second one, the others; with none; with one that no schema names."""
        rest = schema.get("additionalProperties", {})
        known = {**self.free_keys(schema), **schema.get("properties", {})}
        required = list(schema.get("required", []))
        columns = {key: self.of(known.get(key, rest), f"{name}/{key}") for key in dict.fromkeys([*required, *known])}
        columns = self.in_order({key: columns[key] for key in [*known, *columns] if columns.get(key)})
        least = max(1, schema.get("minProperties", 0))
        names = [list(columns), [key for key in columns if key in required] or list(columns)[:least]]
        for size in range(2):  # first both by turns, then the other way round, should one of them not fit
            for at in range(most):
                yield {key: columns[key][at % len(columns[key])] for key in names[(at + size) % 2]}
        yield {}

    def in_order(self, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Drop the days and times at which something would end before it begins from columns of an object's values."""
        found = dict(columns)
        for moment in (DAY, CLOCK):
            keys = [key for key in columns if all(isinstance(v, str) and moment.fullmatch(v) for v in columns[key])]
            begins = [key for key in keys if not self.wording.is_late(key)]
            for end in [key for key in keys if self.wording.is_late(key)]:
                for begin in begins:
                    sooner = [value for value in found[begin] if value < max(found[end])]
                    found[begin] = sooner or found[begin]
                    found[end] = [value for value in found[end] if value > max(found[begin])] or found[end]
        return found

    def free_keys(self, schema: Schema) -> dict[str, Any]:
        """Return keys that an object may have though no `properties` name them, each with its schema: those of a map."""
        found: dict[str, Any] = {}
        for pattern, own in schema.get("patternProperties", {}).items():
            found |= dict.fromkeys([key for key in matching(pattern, pattern) if clean(key) == key != ""][:2], own)
        rest = schema.get("additionalProperties", True)
        if not schema.get("properties") and not found and (isinstance(rest, dict) or schema.get("minProperties")):
            names = schema.get("propertyNames", {"enum": ["color", "size", "note"]})
            keys = self.of({"type": "string", **names} if isinstance(names, dict) else {"type": "string"}, "key")
            found = dict.fromkeys(map(str, keys[: max(2, schema.get("minProperties", 0))]), rest)
        return found


def in_turn(columns: Iterable[list[Any]]) -> Iterator[Any]:
    """Yield the first value of each column, then the second ones, and so on."""
    columns = list(columns)
    for at in range(max(map(len, columns), default=0)):
        yield from (column[at] for column in columns if at < len(column))


def shuffled(values: Iterable[Any], seed: str) -> list[Any]:
    """Return values in an order that the seed decides."""
    found = list(values)
    Random(seed).shuffle(found)
    return found


def formatted(form: str, group: str, late: bool = False) -> list[str]:
    """Return twelve texts of a `format`, for a group its own.

    Args:
        late: they say when something ends: days are later than all others (and than draft.TODAYS), times in the evening.
    """
    rng, found = Random(f"{group}/{form}"), list[str]()
    for at in range(12):
        days, quarters = rng.randrange(140), rng.randrange(16 if late else 48)
        if late:
            days, quarters = days + 280, quarters + 48
        moment = datetime(2026, 3, 5, 8, tzinfo=UTC) + timedelta(days=days, minutes=15 * quarters)
        found.append(FORMATS[form](rng, moment, at))
    return found


def numbers(schema: Schema, whole: bool, most: int, common: Sequence[float]) -> Iterator[int | float]:
    """Yield common numbers within the bounds; where there are too few, round and evenly spread ones, and bounds."""
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if is_number(schema.get(key))]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if is_number(schema.get(key))]
    low, high = max(lows, default=None), min(highs, default=None)
    step = schema["multipleOf"] if is_number(schema.get("multipleOf")) else 1
    halves = [] if whole or "multipleOf" in schema else [2.5, 12.5]
    good = [value for value in [*common, *halves, *LARGE] if step <= 1 or value % step == 0]
    good = [value for value in good if (low is None or value >= low) and (high is None or value <= high)]
    good = good[: max(len(common), 12)]
    try:
        base = 1
        if low is not None:
            base = math.ceil(low / step)
        elif high is not None:
            base = math.floor(high / step) - 12
        near = [(base + times) * step for times in range(max(13, most + 1))]
        if low is not None and high is not None:
            near += [low + (high - low) * part / 8 for part in range(9)]
            near += [round((low + (high - low) * part / 8) / step) * step for part in range(9)]
    except (OverflowError, ZeroDivisionError, ValueError):
        near = []
    close = [value for value in near if math.isfinite(value)]
    spread = good if len(good) >= ENOUGH else [*good, *close]
    for value in spread[:: max(1, len(spread) // 12)] + (spread if most > MOST else []):
        yield int(value) if float(value).is_integer() else round(value, 10)


def is_number(value: Any) -> bool:
    """Tell whether a bound is a finite number; draft 4 has true and false there."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


FORMATS = {
    "date": lambda rng, moment, at: moment.date().isoformat(),
    "clock": lambda rng, moment, at: f"{moment:%H:%M}",
    "time": lambda rng, moment, at: f"{moment:%H:%M}:00Z",
    "date-time": lambda rng, moment, at: f"{moment:%Y-%m-%dT%H:%M}:00Z",
    "duration": lambda rng, moment, at: DURATIONS[at],
    "hostname": lambda rng, moment, at: HOSTS[at % len(HOSTS)],
    "ipv4": lambda rng, moment, at: f"{('192.0.2', '198.51.100', '203.0.113')[at % 3]}.{rng.randrange(1, 255)}",
    "ipv6": lambda rng, moment, at: f"2001:db8::{rng.randrange(16, 65536):x}:{rng.randrange(16, 65536):x}",
    "uuid": lambda rng, moment, at: str(UUID(int=rng.getrandbits(128), version=4)),
}
"""Makes one text of a `format` from a random generator, a moment and a number."""
