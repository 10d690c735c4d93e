"""Write the results of parallel calls as one text, which is all that a row's turn and LLaMA-Factory's server can hold."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from callwright.files import parse_json, parse_json_at, to_json

SEPARATOR = "\n"
LLAMAFACTORY = "\n</tool_response>\n<tool_response>\n"
"""What LLaMA-Factory's own `openai` converter writes between results."""

_BETWEEN = re.compile(r"[\s,]*")


def join_results(texts: Sequence[str]) -> str:
    """Join the results of one turn to one text that `part_results` reads back.

    They stand one a line, or as a JSON list of texts where a result is blank, has line breaks of its own, or could be taken
    for a part of a list.
    """
    if len(texts) == 1:
        return texts[0]
    plain = SEPARATOR.join(texts)
    listed = any(SEPARATOR in text or not text.strip() for text in texts) or part_results(plain, len(texts)) != texts
    return to_json(list(texts)) if listed else plain


def part_results(text: str, count: int) -> list[str]:
    """Part one text into the results of `count` calls: a JSON list, LLaMA-Factory's join, one a line, or JSON after JSON.

    Raises:
        ValueError: none of these has `count` parts.
    """
    if count == 1:
        return [text]
    for part in (json_items, lambda t: t.split(LLAMAFACTORY), lambda t: t.split(SEPARATOR), _documents):
        found = part(text)
        if len(found) == count:
            return found
    raise ValueError(f"{count} calls, and a result that cannot be parted into {count}")


def json_items(text: str) -> list[str]:
    """Return the JSON text of each item of a JSON list, to the byte (of a string, the string); [] for anything else."""
    text = text.strip()
    try:
        listed = isinstance(parse_json(text), list)
    except ValueError:
        return []
    return [value if isinstance(value, str) else own for value, own in json_values(text[:-1], 1)] if listed else []


def json_values(text: str, start: int) -> Iterator[tuple[Any, str]]:
    """Yield each JSON value of those that stand one after the other from `start`, with its text; ValueError at what is none."""
    while (start := _BETWEEN.match(text, start).end()) < len(text):  # type: ignore[union-attr]  # always matches
        value, end = parse_json_at(text, start)
        yield value, text[start:end]
        start = end


def _documents(text: str) -> list[str]:
    """Return objects and lists that stand one after the other, each perhaps over several lines."""
    try:
        found = list(json_values(text, 0))
    except ValueError:
        return []
    alone = all(isinstance(value, dict | list) for value, _ in found)
    return [own for _, own in found] if alone else []
