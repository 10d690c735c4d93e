"""Hold tools as their sources have them, note what of them could not be expressed, and give them valid names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

from callwright.errors import UserError, did_you_mean
from callwright.files import to_json
from callwright.schema import canonical_tool
from callwright.tool_sources.schemas import flat

LONGEST = 64
"""Characters of a name, as OpenAI's API limits it: [a-zA-Z0-9_-]{1,64}."""
MOST_LINES = 25
"""Notes that are shown one by one, in the source's order."""
MOST_KINDS = 8
"""Different things of a kind that are shown where there are more notes."""

Kind = Literal[
    "left out",
    "any value is accepted",
    "cut to size",
    "renamed",
    "read otherwise",
    "not an argument",
    "no place in a tool",
    "extension",
    "server",
]
"""What happened to a part of a source, the worst first."""


@dataclass(frozen=True)
class Note:
    """A thing of a source that its tool does not have, or has in another form."""

    tool: str
    kind: Kind
    what: str
    where: str = ""
    """Its place in the tool."""

    def __str__(self) -> str:
        kind = "" if self.kind != "left out" else "left out: "
        return ": ".join(part for part in (self.tool, self.where, kind + self.what) if part)


@dataclass
class Found:
    """A tool as its source has it, with notes on what could not be expressed."""

    name: str
    description: str = ""
    parameters: dict[str, Any] | None = None
    """The tool's object schema; None where the tool had to be left out."""
    tags: Sequence[str] = ()
    path: str = ""
    """The path of an OpenAPI operation: /pets/{id}."""
    canonical: bool = False
    """Whether name and schema stay as they are: those of a tools.json."""
    notes: list[Note] = field(default_factory=list)

    def note(self, kind: Kind, what: str, where: str = "") -> None:
        """Note what became of a part of the tool, once."""
        if (note := Note(self.name, kind, what, where)) not in self.notes[-100:]:
            self.notes.append(note)

    def unknown(self, keys: Iterable[str], where: str = "") -> None:
        """Note keys that a tool has no place for."""
        for key in keys:
            self.note("extension" if key.startswith(("x-", "_")) else "no place in a tool", f"{key} dropped", where)

    def any_value(self, what: str) -> None:
        """Note that any value is accepted somewhere."""
        self.note("any value is accepted", f"{what}: any value is accepted there")

    def leave_out(self, why: object) -> None:
        """Note why there is no tool."""
        self.parameters = None
        self.note("left out", first_line(why))


def first_line(error: object) -> str:
    """Return the first line of what an exception says, or its class where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def valid_name(name: str, taken: Collection[str]) -> str:
    """Make a name valid for the API (accents go) and different from those that are taken."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    clean = re.sub(r"[^a-zA-Z0-9_-]+", "_", plain).strip("_")[:LONGEST] or "tool"
    result, number = clean, 2
    while result in taken:
        end = f"_{number}"
        result, number = clean[: LONGEST - len(end)] + end, number + 1
    return result


def to_tools(found: Sequence[Found], prefix: str = "") -> tuple[list[tuple[str, dict[str, Any]]], list[Note]]:
    """Make canonical OpenAI tools, each behind its source's name, and collect all notes.

    A name that is valid as it is stays; the others are made valid around it.
    """
    tools: list[tuple[str, dict[str, Any]]] = []
    whole = {prefix + item.name for item in found if item.parameters is not None}
    kept = {name for name in whole if valid_name(name, ()) == name} | {prefix + it.name for it in found if it.canonical}
    used: set[str] = set()
    for item in found:
        if item.parameters is None:
            continue
        own = prefix + item.name
        name = own if own in kept - used else valid_name(own, kept | used)
        try:
            parameters = item.parameters if item.canonical else flat(item.parameters)
            function = {"name": name, "description": item.description, "parameters": parameters}
            tool = canonical_tool({"type": "function", "function": function})
            to_json(tool).encode()  # a NaN or a lone surrogate fails here
        except (ValueError, RecursionError) as error:
            item.leave_out(error)
            continue
        if name != own:
            item.note("renamed", f"named {name}")
        used.add(name)
        tools.append((item.name, tool))
    return tools, [note for item in found for note in item.notes]


def select(
    found: Sequence[Found], only: Sequence[str], tags: Sequence[str], paths: Sequence[str], source: str
) -> list[Found]:
    """Return the source itself and the tools whose name, tag and path are asked for; all where nothing is.

    Args:
        only: names, the source's or the valid ones, or shell patterns of them.

    Raises:
        UserError: one of them fits nothing, or names a tool that had to be left out.
    """
    filters: list[tuple[str, Sequence[str], Callable[[Found], list[str]]]] = [
        ("--only", only, lambda item: [item.name, valid_name(item.name, ())]),
        ("--tag", tags, lambda item: list(item.tags)),
        ("--path", paths, lambda item: [item.path] if item.path else []),
    ]
    chosen = list(found[1:])
    for flag, patterns, words_of in filters:
        if not patterns:
            continue
        known = list(dict.fromkeys(word for item in found[1:] for word in words_of(item)[:1]))
        for pattern in patterns:
            if not any(_fits(words_of(item), [pattern]) for item in found[1:]):
                some = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
                remedy = f"{did_you_mean(pattern, known)} choose of: {some}".strip()
                remedy = remedy if known else f"leave {flag} out: only operations of OpenAPI have it"
                raise UserError(f"{flag} {pattern}", f"{source} has no such tool", remedy)
        chosen = [item for item in chosen if _fits(words_of(item), patterns)]
    for item in chosen:
        if item.parameters is None and item.name in only:
            raise UserError(f"--only {item.name}", str(item.notes[-1]), "mend the source, or do not name it")
    return [found[0], *chosen]


def _fits(words: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(word == pattern or fnmatchcase(word, pattern) for word in words for pattern in patterns)


def lines(notes: Sequence[Note]) -> list[str]:
    """Write notes for a person: one by one; many by kind, as counts, after the tools that were left out."""
    if len(notes) <= MOST_LINES:
        return list(map(str, notes))
    result = [str(note) for note in notes if note.kind == "left out"]
    for kind in get_args(Kind)[1:]:
        group = [note for note in notes if note.kind == kind]
        counts = Counter(note.what for note in group).most_common()
        shown = [f"{what} ({count})" if count > 1 else what for what, count in counts[:MOST_KINDS]]
        shown += [f"{len(counts) - MOST_KINDS} others"] if len(counts) > MOST_KINDS else []
        tools = len({note.tool for note in group})
        result += [f"{kind}, {len(group)} times in {tools} tools: {'; '.join(shown)}"] if group else []
    return result
