"""Whose fault it is: the same cases asked natively and in raw mode, side by side, as attribution.json.

Natively a server renders the tools and parses the calls; in raw mode we do both. What only one of the two gets right
tells the serving stack's faults from the model's.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from callwright.errors import UserError
from callwright.files import read_json, write_json
from callwright.records import Record, explain
from callwright.results import STAGES, Result, Verdict

ATTRIBUTION = "attribution.json"

Cause = Literal["server", "model and server", "model", "raw prompt", "both right", "unscored"]
CAUSES: dict[Cause, str] = {
    "server": "its parser, or the prompt that it makes of the tools, loses what the model can do",
    "model and server": "through the server no call arrives, and the raw one is wrong as well",
    "model": "wrong both ways",
    "raw prompt": "right only with the prompt that the server makes",
    "both right": "right both ways",
    "unscored": "one of the two got no answer",
}
"""What each cause means, the most telling first."""

BROKEN_CALL: tuple[Verdict, ...] = ("truncated", "text_call_unparsed", "bad_json", "malformed_attempt")
"""The verdicts under which the model tried to call and no call that can be read arrived."""
NO_CALL_ARRIVED = ("no_call", *BROKEN_CALL)


class CauseRow(Record):
    """The cases that had the same two verdicts: a line of the table."""

    native: Verdict
    raw: Verdict
    n: int
    cause: Cause
    ids: list[str]


def cause_of(native: Result, raw: Result) -> Cause:
    """Tell whose fault one case is."""
    if not native.scored or not raw.scored:
        return "unscored"
    if native.correct:
        return "both right" if raw.correct else "raw prompt"
    if raw.correct:
        return "server"
    if (
        native.expected
        and native.verdict in NO_CALL_ARRIVED
        and STAGES.index(raw.verdict) > STAGES.index("malformed_attempt")
    ):
        return "model and server"
    return "model"


def attribute(native: Iterable[Result], raw: Iterable[Result]) -> list[CauseRow]:
    """Tabulate the cases that were asked in both ways, the most telling causes first."""
    others = {result.key: result for result in raw}
    found: dict[tuple[Cause, Verdict, Verdict], list[str]] = {}
    for result in native:
        if other := others.get(result.key):
            found.setdefault((cause_of(result, other), result.verdict, other.verdict), []).append(result.id)
    causes = list(CAUSES)
    rows = [
        CauseRow(native=one, raw=other, n=len(ids), cause=cause, ids=list(dict.fromkeys(ids)))
        for (cause, one, other), ids in found.items()
    ]
    return sorted(rows, key=lambda row: (causes.index(row.cause), -row.n))


def write_attribution(out: Path, rows: Sequence[CauseRow]) -> None:
    """Write the table into a run folder."""
    write_json(out / ATTRIBUTION, [row.model_dump() for row in rows])


def sentence(rows: Sequence[CauseRow]) -> str:
    """Say the table in one line."""
    counts = {cause: sum(row.n for row in rows if row.cause == cause) for cause in CAUSES}
    parts = ", ".join(f"{cause} {n}" for cause, n in counts.items() if n)
    return f"attribution: {sum(counts.values())} answers native and raw: {parts or 'none'}"


def read_attribution(out: Path) -> list[CauseRow]:
    """Read the table of a run folder; empty where the cases were not asked in both ways.

    Raises:
        UserError: the file is broken.
    """
    path = out / ATTRIBUTION
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[CauseRow]).validate_python(read_json(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "run the evaluation again") from None
