"""Values that the author of a schema names: `examples`, `default`, and "e.g." in a description."""

import re
from collections.abc import Iterator
from random import Random
from typing import Any

LEAD = re.compile(
    r"(?:\be\. ?g\.|\beg:|\bfor example|\bfor instance|\bsuch as|\bexamples?:|\bz\. ?B\.|\bzum Beispiel|\bpar exemple"
    r"|\bpor ejemplo|例如|比如|例えば|例[:：]|(?<![例比假一不何])如(?![果何此下同]))[,:，：]?\s*",
    re.IGNORECASE,
)
"""What stands before examples in a sentence."""
QUOTED = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)|[\"“「『]([^\"”」』\n]+)[\"”」』]|(?<!\w)'([^'\n]+)'(?!\w)")
"""An example in marks; as many backticks close it as opened it."""
END = re.compile(r"[;。；)）\n]|\.(?=\s|$)|等|\betc\b|\.\.\.|…")
PARTS = re.compile(
    r",(?:(?<![a-z],)|(?!\s*[A-Z]{2}\b))\s*(?:or\s|and\s|und\s|oder\s)?|\s(?:or|and|oder|und|ou|o)\s|[、，]|\s?(?:或者?|和|及|以及|や)\s?"
)
"""what parts one example from the next: a comma, but not that of "San Francisco, CA\""""
LONGEST = 60


def said_examples(description: Any) -> list[str]:
    """Return the examples that a description gives: "City name, e.g. Taipei or Oslo." → Taipei, Oslo."""
    found: list[str] = []
    for lead in LEAD.finditer(description if isinstance(description, str) else ""):
        rest = description[lead.end() :]
        ends = END.search(QUOTED.sub(lambda match: "x" * len(match[0]), rest))  # a mark in quotes ends nothing
        rest = rest[: ends.start()] if ends else rest
        quoted = [match[2] or match[3] or match[4] for match in QUOTED.finditer(rest)]
        parts = quoted or PARTS.split(rest)
        found += [part.strip(" \"'“”「」`*") for part in parts]
    return [text for text in dict.fromkeys(found) if text and len(text) <= LONGEST]


def author_values(schema: dict[str, Any]) -> Iterator[Any]:
    """Yield `examples`, those of the description (as numbers where the schema wants numbers), and the default."""
    yield from schema.get("examples") or ()
    for text in said_examples(schema.get("description")):
        yield from (text, number) if (number := as_number(text)) is not None else (text,)
    yield from [schema["default"]] if "default" in schema else []


def as_number(text: str) -> int | float | None:
    """Return a number that a text is; None where it is none."""
    if not re.fullmatch(r"[+-]?\d{1,15}(\.\d{1,6})?", text):
        return None
    return float(text) if "." in text else int(text)


def variants(text: str, seed: str) -> Iterator[str]:
    """Yield a code with other digits (AB-1234 → AB-8306); nothing where a text has fewer than two, for it is no code."""
    if sum(char.isdecimal() for char in text) < 2 or not text.isascii():
        return
    for number in range(12):
        rng = Random(f"{seed}/{text}/{number}")
        yield "".join(rng.choice("123456789") if char.isdecimal() else char for char in text)
