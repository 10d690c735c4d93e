"""Whose fault it is: the same cases asked natively and in raw mode, side by side, as attribution.json.

Natively a server renders the tools and parses the calls; in raw mode we do both. What only one of the two gets right
tells the serving stack's faults from the model's.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from callwright.files import write_json
from callwright.records import Record
from eval.scoring.verdict import STAGES, Result, Verdict

ATTRIBUTION = "attribution.json"

Cause = Literal["server", "model and server", "model", "raw prompt", "both right", "unscored"]
"""`server`: its parser, or the prompt that it makes of the tools, loses what raw mode shows the model can do.
`model and server`: natively no call arrives, and the one of raw mode is wrong as well. `raw prompt`: right natively
only, so the model needs the prompt that its server makes. `unscored`: one of the two was not answered."""
CAUSES: tuple[Cause, ...] = get_args(Cause)

LOST: tuple[Verdict, ...] = ("truncated", "no_call", "text_call_unparsed", "bad_json", "malformed_attempt")
"""the verdicts under which no call reaches the program"""


class Row(Record):
    """The cases that had the same two verdicts: a line of the table."""

    native: Verdict
    raw: Verdict
    n: int
    cause: Cause
    ids: list[str]


def cause_of(native: Result, raw: Result) -> Cause:
    """Whose fault one case is."""
    if not native.scored or not raw.scored:
        return "unscored"
    if native.correct:
        return "both right" if raw.correct else "raw prompt"
    if raw.correct:
        return "server"
    if native.expected and native.verdict in LOST and STAGES.index(raw.verdict) > STAGES.index(LOST[-1]):
        return "model and server"
    return "model"


def attribute(native: Iterable[Result], raw: Iterable[Result]) -> list[Row]:
    """The table over the cases that were asked in both ways, most telling causes first."""
    others = {result.key: result for result in raw}
    found: dict[tuple[Cause, Verdict, Verdict], list[str]] = {}
    for result in native:
        if other := others.get(result.key):
            found.setdefault((cause_of(result, other), result.verdict, other.verdict), []).append(result.id)
    order = sorted(found, key=lambda key: (CAUSES.index(key[0]), -len(found[key])))
    return [
        Row(native=native, raw=raw, n=len(found[key]), cause=cause, ids=list(dict.fromkeys(found[key])))
        for key in order
        for cause, native, raw in [key]
    ]


def write_attribution(out: Path, rows: Sequence[Row]) -> None:
    """Write the table into a run folder."""
    write_json(out / ATTRIBUTION, [row.model_dump() for row in rows])


def sentence(rows: Sequence[Row]) -> str:
    """The table in one line."""
    counts = {cause: sum(row.n for row in rows if row.cause == cause) for cause in CAUSES}
    parts = ", ".join(f"{cause} {n}" for cause, n in counts.items() if n)
    return f"attribution: {sum(counts.values())} answers native and raw: {parts or 'none'}"
