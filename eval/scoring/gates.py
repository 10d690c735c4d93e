"""Gates: the least that figures must reach, from the command line (`--fail-under`) or a suite's `gates`."""

import argparse
import sys
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from callwright.errors import UserError
from callwright.records import explain
from callwright.summary import FIGURES, Summary

ANSWERED = "answered"
"""The share of the answers that came and were scored: a gate like any figure, and 1 where others stand without it."""


def _known(gates: dict[str, float]) -> dict[str, float]:
    known = (*FIGURES, ANSWERED)
    if strange := next((name for name in gates if name not in known), None):
        raise ValueError(f"{strange!r} is no figure; known are {', '.join(known)}")
    return gates


Gates = Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], AfterValidator(_known)]
"""figure → the least that it must reach; a figure that is not named is not checked"""


def read_gates(text: str) -> dict[str, float]:
    """Read gates as a command line holds them: `f1=0.9,strict_accuracy=0.8`.

    Raises:
        UserError: no such figure (those known are listed), no number, or one twice.
    """
    gates: dict[str, str] = {}
    try:
        for part in text.split(","):
            name, sign, least = part.strip().partition("=")
            if not sign or name in gates:
                raise ValueError(f"{name!r} {'stands twice' if sign else 'has no number'}")
            gates[name] = least
        return TypeAdapter(Gates).validate_python(gates)
    except ValueError as error:
        fault = explain(error) if isinstance(error, ValidationError) else str(error)
        raise UserError("--fail-under", fault, "write it as f1=0.9,strict_accuracy=0.8") from None


def add_gates(parser: argparse.ArgumentParser) -> None:
    """Add the option `--fail-under`."""
    help_text = (
        "exit with 1 where a figure is smaller or not defined, or an answer is missing (unless answered=0.95 allows it)"
    )
    parser.add_argument("--fail-under", type=read_gates, default={}, metavar="FIGURE=LEAST,…", help=help_text)


def missed(gates: Mapping[str, float], summary: Summary) -> list[str]:
    """Say which gates a summary does not pass; a figure that is not defined passes none.

    Figures of a few answers say nothing of the others: where there are gates, every answer must be there, unless
    `answered` names another share.
    """
    lines = []
    for name, least in ({ANSWERED: 1.0, **gates} if gates else {}).items():
        counts = ""
        if name != ANSWERED:
            value, _ = summary.figure(name)
        elif summary.n:
            value, counts = summary.scored / summary.n, f" ({summary.scored} of {summary.n})"
        else:
            value = None
        if value is None or not value >= least:
            found = "not defined" if value is None else f"{value:.4g}"
            lines.append(f"{name} is {found}{counts}, and must be at least {least:g}")
    return lines


def gate(gates: Mapping[str, float], summary: Summary, of: str = "") -> bool:
    """Return whether all gates hold; print one line on standard error for each that does not.

    Args:
        of: which run it is, where there are two.
    """
    failed = missed(gates, summary)
    for line in failed:
        print(f"gate missed{f' by {of}' if of else ''}: {line}", file=sys.stderr)
    return not failed
