"""Count how many steps a JSON Schema takes on a value before it is checked, since branches can multiply without end.

A step is one schema that is held against one value. Each pair of them is looked at once, however often a validator
would, so that counting stays short where checking would not.
"""

from collections.abc import Iterator
from typing import Any

from referencing import Registry, Specification
from referencing.exceptions import Unresolvable

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
IN_PLACE = ("not", "if", "then", "else", "allOf", "anyOf", "oneOf", "dependentSchemas", "dependencies")
"""Keywords that hold a schema against the same value."""
VALUES = ("additionalProperties", "unevaluatedProperties", "patternProperties")
"""Keywords that hold a schema against the values of an object, whatever their keys."""
ITEMS = ("items", "prefixItems", "additionalItems", "contains", "unevaluatedItems")
NAMED = {"properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"}
"""Keywords that hold schemas by name."""
LISTED = {"allOf", "anyOf", "oneOf", "prefixItems"}
"""Keywords that hold a list of schemas; `items` did before 2020-12."""
SINGLE = {*IN_PLACE, *VALUES, *ITEMS, "propertyNames", "contentSchema"} - NAMED - LISTED
"""Keywords that hold one schema."""
NESTED = NAMED | LISTED | SINGLE
"""Every keyword that holds schemas."""
OPEN = {*VALUES, "propertyNames"}
"""Keywords that decide about arguments which no schema names."""

DEMANDS = ("required", "dependentRequired", "dependentSchemas", "dependencies")
"""Keywords that name arguments without holding a schema for each."""

MOST_STEPS = 2_000_000
"""Steps that one value may take: a tenth of a second."""
MOST_PAIRS = 200_000
"""Pairs of a schema and a value that are looked at while counting: about as long."""
MOST_INSIDE = 300
"""Schemas inside one another that are held against a value and what is in it; half of them against the same value."""
AGAIN = 4
"""Times that a validator may hold schemas against a value to find out what `unevaluated…` leaves."""
MOST_UNEVALUATED = 2_000
"""Branches, counted along every way, beside an `unevaluated…`: the validator writes each of them out."""


class TooCostly(ValueError):
    """A value that takes more steps than are allowed."""


class Part:
    """A schema, with the schemas that its keywords hold against the same value and against what is in it."""

    __slots__ = ("cost", "fields", "in_place", "items", "names", "patterns", "properties", "schema", "times", "values")

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        # A keyword that a draft does not know may hold anything: only what is well-formed counts.
        enum, fields, patterns = (schema.get(key) for key in ("enum", "properties", "patternProperties"))
        self.cost = 1 + (len(enum) // 8 if isinstance(enum, list) else 0)
        self.times = AGAIN if any(key.startswith("unevaluated") for key in schema) else 1
        self.patterns = len(patterns) if isinstance(patterns, dict) else 0
        self.properties: dict[str, Any] = fields if isinstance(fields, dict) else {}
        self.in_place: list[Part] = []
        self.fields: dict[str, list[Part]] = {}
        self.values: list[Part] = []
        self.names: list[Part] = []
        self.items: list[Part] = []


class Steps:
    """The parts of a well-formed schema, linked once; `of(value)` counts.

    Args:
        root: the schema; `$ref`s are looked up in it alone.
        specification: of its draft.

    Raises:
        ValueError: a `$ref` leads nowhere, outside or back to itself, or there are too many schemas.
    """

    backtracks = 0
    """Steps that one search with a pattern may take beside the length of the text."""

    def __init__(self, root: Any, specification: Specification[Any]) -> None:
        self._specification = specification
        self._parts: dict[int, Part] = {}
        self._queue: list[tuple[Part, Any]] = []
        self._anchors = list(_anchored(root))
        resolver = Registry().resolver_with_root(specification.create_resource(root))
        self._root = next(iter(self._part(root, resolver)), None)
        while self._queue:
            self._link(*self._queue.pop())
        found: dict[Part, tuple[int, int]] = {}
        for part in self._parts.values():
            _branches(part, [], found)

    def _part(self, schema: Any, resolver: Any) -> list[Part]:
        """Return the part of a schema; none of `true` and `false`, which take no steps."""
        if not isinstance(schema, dict):
            return []
        if (part := self._parts.get(id(schema))) is None:
            part = self._parts[id(schema)] = Part(schema)
            self._queue.append((part, resolver))
        return [part]

    def _link(self, part: Part, resolver: Any) -> None:
        schema = part.schema
        if isinstance(schema.get("$id", schema.get("id")), str):
            resolver = resolver.in_subresource(self._specification.create_resource(schema))

        def parts(key: str) -> list[Part]:
            held = schema.get(key)
            if key in NAMED and isinstance(held, dict):
                held = list(held.values())
            return [
                found for one in (held if isinstance(held, list) else [held]) for found in self._part(one, resolver)
            ]

        for key in REFERENCES:
            if isinstance(reference := schema.get(key), str):
                try:
                    target = resolver.lookup(reference)
                except (Unresolvable, AttributeError, TypeError, ValueError):
                    # The library searches every keyword for anchors, and trips over one that older drafts write as a list.
                    raise ValueError(
                        f"{key} {reference!r} leads nowhere in its schema, and nothing is ever fetched: write what it means in its place"
                    ) from None
                part.in_place += self._part(target.contents, target.resolver)
                if key != "$ref":  # to which of the schemas with an anchor it leads, only the way there tells
                    part.in_place += [found for one in self._anchors for found in self._part(one, resolver)]
        part.in_place += [found for key in IN_PLACE for found in parts(key)]
        part.fields = {name: self._part(one, resolver) for name, one in part.properties.items()}
        part.values = [found for key in VALUES for found in parts(key)]
        part.names = parts("propertyNames")
        part.items = [found for key in ITEMS for found in parts(key)]

    def known_arguments(self) -> tuple[set[str], bool]:
        """Return the keys of an object that any branch of the schema names, and whether it decides about others."""
        names, others = set[str](), False
        for part in _with_branches([self._root] if self._root else []):
            held = [part.schema.get(key) for key in DEMANDS]
            names.update(part.fields)
            # A keyword that the draft does not know may hold anything.
            names.update(key for keys in held if isinstance(keys, list | dict) for key in keys if isinstance(key, str))
            others = others or not OPEN.isdisjoint(part.schema)
        return names, others

    def leaves(self, value: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        """Yield the scalars of a JSON value, each behind its path (items[].sku), with what `keywords` says of it."""
        yield from _leaves("", value, [self._root] if self._root else [])

    def keywords(self, key: str) -> dict[str, Any]:
        """Return the keywords of all schemas that may be held against what an object has under a key."""
        return _keywords(_with_branches(_of_key([self._root] if self._root else [], key)))

    def of(self, value: Any, searches: bool = True) -> int:
        """Count the steps of a value, with or without those of searching its texts and long enums.

        Raises:
            TooCostly: there are more than MOST_STEPS, or more than can be counted.
        """
        return self._of(self._root, value, {}, MOST_INSIDE, searches) if self._root else 1

    def _of(self, part: Part, value: Any, done: dict[tuple[int, int], int], left: int, searches: bool) -> int:
        pair = id(part), id(value)
        if pair in done:
            return done[pair]
        if not left or len(done) > MOST_PAIRS:
            raise TooCostly(f"takes more than {MOST_PAIRS:,} steps, or {MOST_INSIDE} schemas inside one another")
        left -= 1
        steps = 0
        for one in part.in_place:
            steps += self._of(one, value, done, left, searches)
        steps = (part.cost if searches else 1) + part.times * steps
        if isinstance(value, dict):
            for key, item in value.items():
                if searches and part.patterns:
                    steps += part.patterns * self._search(key)
                for one in part.fields.get(key, ()):
                    steps += self._of(one, item, done, left, searches)
                for one in part.values:
                    steps += self._of(one, item, done, left, searches)
                for one in part.names:
                    steps += self._of(one, key, done, left, searches)
        elif isinstance(value, list):
            for item in value if part.items else ():
                for one in part.items:
                    steps += self._of(one, item, done, left, searches)
        elif isinstance(value, str) and searches and "pattern" in part.schema:
            steps += self._search(value)
        if steps > MOST_STEPS:
            raise TooCostly(f"takes more than {MOST_STEPS:,} steps")
        done[pair] = steps
        return steps

    def _search(self, text: str) -> int:
        # A pattern that looks around or back starts anew at each character; 25 of its steps last as long as one of ours.
        again = self.backtracks + len(text) * min(len(text), self.backtracks) // 25
        return len(text) + (again if self.backtracks else 0)


def _with_branches(parts: list[Part]) -> list[Part]:
    """Return schemas, and those that they hold against the same value."""
    found, waiting = dict[Part, None](), parts[::-1]
    while waiting:
        if (part := waiting.pop()) not in found:
            found[part] = None
            waiting += part.in_place
    return list(found)


def _of_key(parts: list[Part], key: str) -> list[Part]:
    """Return the schemas that are held against a key's value: by its name, else by patterns or for all others."""
    parts = _with_branches(parts)
    return [one for part in parts for one in part.fields.get(key, ())] or [one for part in parts for one in part.values]


def _keywords(parts: list[Part]) -> dict[str, Any]:
    return {key: held for part in parts for key, held in part.schema.items()}


def _leaves(path: str, value: Any, parts: list[Part]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, item, _of_key(parts, key))
    elif isinstance(value, list):
        items = [one for part in _with_branches(parts) for one in part.items]
        for item in value:
            yield from _leaves(f"{path}[]", item, items)
    else:
        yield path, value, _keywords(_with_branches(parts))


def _anchored(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas that a dynamic reference may lead to."""
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _anchored(value)
    if isinstance(schema, dict) and ("$dynamicAnchor" in schema or "$recursiveAnchor" in schema):
        yield schema


def _branches(part: Part, above: list[Part], found: dict[Part, tuple[int, int]]) -> tuple[int, int]:
    """Count the schemas inside one another for one value, from this one on, and those in all on every way.

    Raises:
        ValueError: it is inside itself, or there are too many.
    """
    if part in above:
        circle = above[above.index(part) :]
        reference = next((one.schema[key] for one in circle for key in REFERENCES if key in one.schema), "")
        raise ValueError(f"$ref {reference!r} leads back to itself: write the schema that it means in its place")
    if part not in found and len(above) <= MOST_INSIDE // 2:
        below = [_branches(one, [*above, part], found) for one in part.in_place]
        found[part] = 1 + max((inside for inside, _ in below), default=0), 1 + sum(every for _, every in below)
    inside, every = found.get(part, (MOST_INSIDE, 1))
    if len(above) + inside > MOST_INSIDE // 2:
        raise ValueError(f"more than {MOST_INSIDE // 2} schemas inside one another for one value")
    if part.times > 1 and every > MOST_UNEVALUATED:
        raise ValueError(
            f"more than {MOST_UNEVALUATED:,} branches beside `unevaluatedProperties` or `unevaluatedItems`"
        )
    return inside, every
