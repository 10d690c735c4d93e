"""Resolve schemas of any draft and of OpenAPI: put the target of each `$ref` in its place, and merge `allOf`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.files import object_at
from callwright.schema_steps import NAMED
from callwright.tool_sources.documents import Library

MOST_NODES = 20_000
"""Objects and lists of one tool: `$ref`s of `$ref`s can double at every step."""
DATA = {"enum", "const", "default", "examples", "example"}
"""Keywords whose values are data, whatever they look like."""
ANNOTATIONS = {
    *("title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment"),
    *("externalDocs", "xml", "discriminator", "nullable"),
}
"""Keywords that are taken from what stands nearest, and refuse no value by themselves."""

Step = tuple[str, str]
"""A document, and the pointer that was followed into it."""


@dataclass
class Inliner:
    """Puts the targets of `$ref` in their place, and never fetches an address.

    Args:
        document: what `#` is, or a Library of documents that may refer to one another.
        lose: called with what had to be cut: a cycle, a reference that leads outside or nowhere.
    """

    document: Any
    lose: Callable[[str], None]
    left: int = MOST_NODES

    def __post_init__(self) -> None:
        self.library = self.document if isinstance(self.document, Library) else Library(self.document)

    def resolve(self, value: Any, base: str = "") -> tuple[Any, str]:
        """Return what a reference leads to, through others, and its document; a value that is no reference stays.

        Raises:
            ValueError: it leads outside, nowhere, or in a circle.
        """
        met: list[str] = []
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            beside = {key: item for key, item in value.items() if key in ("summary", "description")}
            met.append(f"{base}{value['$ref']}")
            if met.count(met[-1]) > 1:
                raise ValueError(f"cycle {' → '.join(met)}")
            value, base = self.library.follow(value["$ref"], base)
            value = {**value, **beside} if isinstance(value, dict) else value
        return value, base

    def inline(self, value: Any, base: str = "", inside: tuple[Step, ...] = (), named: bool = False) -> Any:
        """Return a schema without `$ref`. Of a reference that cannot be followed, only what stands beside it is left.

        Args:
            base: the document that the schema stands in.
            inside: the references that led here.
            named: whether the keys are names of schemas, not keywords.

        Raises:
            ValueError: more than MOST_NODES objects and lists.
        """
        if not isinstance(value, dict | list):
            return value
        self.count()
        if isinstance(value, list):
            return [self.inline(item, base, inside) for item in value]
        if not named and isinstance(value.get("$ref"), str):
            return self.target(value, base, inside)
        result = {}
        for key, item in value.items():
            is_data = not named and key in DATA
            result[key] = self.data(item) if is_data else self.inline(item, base, inside, not named and key in NAMED)
        if not named and isinstance(value.get("discriminator"), dict):
            discriminate(value, result)
        return result

    def count(self) -> None:
        """Count one object or list more."""
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {MOST_NODES} objects once every $ref is resolved")

    def data(self, value: Any) -> Any:
        """Count a value that is no schema, and return it as it is."""
        if isinstance(value, dict | list):
            self.count()
            for item in value.values() if isinstance(value, dict) else value:
                self.data(item)
        return value

    def target(self, value: dict[str, Any], base: str, inside: tuple[Step, ...]) -> Any:
        """Return the target of a schema's `$ref` with what stands beside it."""
        reference = value["$ref"]
        beside = self.inline({key: item for key, item in value.items() if key != "$ref"}, base, inside)
        try:
            found, place = self.library.follow(reference, base)
            step = (place, reference.partition("#")[2])
            if step in inside:
                circle = [f"{Path(file).name}#{pointer}" for file, pointer in (*inside[inside.index(step) :], step)]
                raise ValueError(f"cycle {' → '.join(circle)}")
        except ValueError as fault:
            self.lose(str(fault))
            return beside
        target = self.inline(found, place, (*inside, step))
        if not isinstance(target, dict):
            return target if target is False or not beside else beside
        notes = {key: item for key, item in beside.items() if key in ANNOTATIONS or key.startswith("x-")}
        rest = {key: item for key, item in beside.items() if key not in notes}
        return {**(flat({"allOf": [target, rest]}) if rest else target), **notes}


def discriminate(schema: dict[str, Any], inlined: dict[str, Any]) -> None:
    """Let each branch of a union say the value of the property by which OpenAPI tells the branches apart."""
    name, mapping = schema["discriminator"].get("propertyName"), object_at(schema["discriminator"], "mapping")
    if not isinstance(name, str):
        return
    for key in ("oneOf", "anyOf"):
        raw = schema.get(key)
        for index, branch in enumerate(raw if isinstance(raw, list) else []):
            reference = branch.get("$ref") if isinstance(branch, dict) else None
            if not isinstance(reference, str) or not isinstance(inlined[key][index], dict):
                continue
            own = reference.rsplit("/")[-1]
            values = [value for value, target in mapping.items() if target in (reference, own)] or [own]
            whole = flat(inlined[key][index])
            fields = whole.get("properties", {})
            if not isinstance(fields, dict) or not is_texts(whole.get("required", [])):
                return
            own_field = object_at(fields, name)
            field = own_field if {"const", "enum"} & own_field.keys() else {**own_field, "enum": values}
            required = list(dict.fromkeys([*whole.get("required", []), name]))
            inlined[key][index] = {**whole, "properties": {**fields, name: field}, "required": required}
    if "oneOf" in inlined or "anyOf" in inlined:
        inlined.pop("discriminator")


def is_texts(value: Any) -> bool:
    """Tell whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Merge the `allOf` of a schema into it; leave it as it is where that would mean something else."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    if whole.get("additionalProperties", True) not in (True, {}) and parts:
        return schema  # it speaks of the properties beside it only
    for part in parts:
        if not isinstance(part, dict) or part.get("additionalProperties", True) not in (True, {}):
            return schema
        for key, value in flat(part).items():
            known = whole.setdefault(key, value)
            if known == value or key in ANNOTATIONS or key.startswith("x-"):
                continue
            if key == "required" and is_texts(known) and is_texts(value):
                whole[key] = list(dict.fromkeys([*known, *value]))
            elif key == "properties" and isinstance(known, dict) and isinstance(value, dict):
                both = {name: flat({"allOf": [known[name], value[name]]}) for name in known if name in value}
                whole[key] = {**known, **value, **both}
            else:
                return schema
    return whole
