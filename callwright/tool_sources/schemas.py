"""What the sources share: a tool that was found, `$ref` with its target in its place, `allOf` merged, valid names."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from callwright.files import to_json
from callwright.schema import canonical_tool

MOST_NODES = 20_000
"""objects and lists of one tool: `$ref`s of `$ref`s can double at every step"""

LONGEST = 64
"""characters of a name, as OpenAI's API limits it: [a-zA-Z0-9_-]{1,64}"""


@dataclass
class Found:
    """A tool as its source has it, and what of it could not be expressed."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    """its object schema; None where the tool had to be left out"""
    lost: list[str] = field(default_factory=list)


@dataclass
class Inliner:
    """Puts the targets of `$ref` in their place. Only `#/…` is followed: nothing is ever fetched.

    Args:
        document: what `#` is.
        lose: told what had to be cut: a cycle, a reference that leads outside or nowhere.
    """

    document: Any
    lose: Callable[[str], None]
    left: int = MOST_NODES

    def target(self, reference: str) -> Any:
        """What a reference leads to.

        Raises:
            ValueError: outside the document, or nowhere.
        """
        if reference != "#" and not reference.startswith("#/"):
            raise ValueError(f"$ref {reference!r} leads outside the document, and is never fetched")
        value = self.document
        for part in unquote(reference).split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise ValueError(f"$ref {reference!r} leads nowhere") from None
        return value

    def inline(self, value: Any, inside: tuple[str, ...] = ()) -> Any:
        """A JSON value without `$ref`; where one cannot be followed, what stands beside it is left: any value fits.

        Raises:
            ValueError: more than MOST_NODES objects and lists.
        """
        if not isinstance(value, dict | list):
            return value
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {MOST_NODES} objects once every $ref is resolved")
        if isinstance(value, list):
            return [self.inline(item, inside) for item in value]
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return {key: self.inline(item, inside) for key, item in value.items()}
        beside = self.inline({key: item for key, item in value.items() if key != "$ref"}, inside)
        try:
            if reference in inside:
                raise ValueError(f"cycle {' → '.join([*inside[inside.index(reference) :], reference])}")
            target = self.target(reference)
        except ValueError as fault:
            self.lose(f"{fault}: any value is accepted there")
            return beside
        target = self.inline(target, (*inside, reference))
        return {**target, **beside} if isinstance(target, dict) else target


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its `allOf` merged into it; unchanged where a keyword would stand twice with different values."""
    whole = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema.get("allOf", []):
        if not isinstance(part, dict) or "additionalProperties" in part:
            return schema
        for key, value in flat(part).items():
            known = whole.setdefault(key, value)
            if key == "required":
                whole[key] = list(dict.fromkeys([*known, *value]))
            elif key == "properties" and all(known.get(name, item) == item for name, item in value.items()):
                whole[key] = {**known, **value}
            elif known != value and key not in ("title", "description"):
                return schema
    return whole


def valid_name(name: str, taken: Sequence[str]) -> str:
    """A name that the API takes and no other tool has."""
    clean = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).strip("_")[:LONGEST] or "tool"
    result, number = clean, 2
    while result in taken:
        end = f"_{number}"
        result, number = clean[: LONGEST - len(end)] + end, number + 1
    return result


def to_tools(found: Sequence[Found], prefix: str = "") -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Canonical OpenAI tools, each behind its source's name, and a line for each thing that could not be expressed."""
    tools: list[tuple[str, dict[str, Any]]] = []
    names: list[str] = []
    lost = []
    for item in found:
        lost += [f"{item.name}: {what}" for what in dict.fromkeys(item.lost)]
        if item.parameters is None:
            continue
        name = valid_name(prefix + item.name, names)
        try:
            function = {"name": name, "description": item.description, "parameters": item.parameters}
            tool = canonical_tool({"type": "function", "function": function})
            to_json(tool).encode()  # a NaN or a lone surrogate fails here
        except ValueError as error:
            lost.append(f"{item.name}: left out: {error}")
            continue
        if name != prefix + item.name:
            lost.append(f"{item.name}: named {name}")
        names.append(name)
        tools.append((item.name, tool))
    return tools, lost
