"""The figures of a summary by name, as tables show them and as gates (`--fail-under`, a suite's `gates`) hold them."""

import argparse
import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from callwright.errors import UserError
from callwright.records import explain

COUNTED = "A call counts where the server returned one that a program could act on: it can be read, and names a tool on offer."
"""what the decision to call is, wherever it is shown"""

FIGURES: dict[str, tuple[str, str, str]] = {
    "f1": ("F1 of the decision to call", "decision.f1", "decision.ci95"),
    "precision": ("precision: of the calls, how many were due", "decision.precision", "decision.precision_ci95"),
    "recall": ("recall: of the calls due, how many came", "decision.recall", "decision.recall_ci95"),
    "accuracy": ("accuracy: decisions that are right", "decision.accuracy", "decision.accuracy_ci95"),
    "strict_accuracy": (
        "strict accuracy: decision, tool and arguments right",
        "strict_accuracy",
        "strict_accuracy_ci95",
    ),
    "pass_hat_k": ("pass^k: every answer to a case right", "pass_hat_k.*.value", "pass_hat_k.*.value_ci95"),
    "parse_rate": ("of the calls begun, those returned in a readable form", "parse_rate", "parse_rate_ci95"),
    "schema_valid_rate": (
        "of the calls begun, those that fit their tool's schema",
        "schema_valid_rate",
        "schema_valid_rate_ci95",
    ),
    "name_precision": ("tool names: precision", "names.precision", "names.precision_ci95"),
    "name_recall": ("tool names: recall", "names.recall", "names.recall_ci95"),
    "name_f1": ("tool names: F1", "names.f1", "names.ci95"),
    "argument_precision": ("arguments: precision", "arguments.precision", "arguments.precision_ci95"),
    "argument_recall": ("arguments: recall", "arguments.recall", "arguments.recall_ci95"),
    "argument_f1": ("arguments: F1", "arguments.f1", "arguments.ci95"),
    "fidelity": ("words asked for that arrived in free text", "fidelity.share", "fidelity.share_ci95"),
    "unbroken_replies": ("replies in words without a visible fault", "replies.share", "replies.share_ci95"),
}
"""name → what it says, and where summary.json holds the figure and its 95% interval (`*`: the last entry, the largest k);
all are shares, more is better"""

HEADLINE = ("f1", "precision", "recall", "accuracy", "strict_accuracy", "pass_hat_k")
"""the figures of the whole answer; the others look at its parts"""


ANSWERED = "answered"
"""the share of the answers that came and were scored: a gate like any figure, and 1 where others stand without it"""


def figure(summary: Mapping[str, Any], name: str) -> float | None:
    """A figure; None where it is not defined."""
    if name == ANSWERED:
        return float(summary["scored"] / summary["n"]) if summary.get("n") else None
    value = at(summary, FIGURES[name][1])
    return value if isinstance(value, int | float) and not math.isnan(value) else None


def at(summary: Any, path: str) -> Any:
    """What a summary holds at `decision.f1`; None where it has no such entry."""
    for key in path.split("."):
        if not summary:
            return None
        summary = list(summary.values())[-1] if key == "*" else summary.get(key)
    return summary


def _known(gates: dict[str, float]) -> dict[str, float]:
    known = (*FIGURES, ANSWERED)
    if strange := next((name for name in gates if name not in known), None):
        raise ValueError(f"{strange!r} is no figure; known are {', '.join(known)}")
    return gates


Gates = Annotated[dict[str, Annotated[float, Field(ge=0, le=1)]], AfterValidator(_known)]
"""figure → the least that it must reach; a figure that is not named is not checked"""


def read_gates(text: str) -> dict[str, float]:
    """Gates as a command line holds them: `f1=0.9,strict_accuracy=0.8`.

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
    """The option `--fail-under`."""
    said = (
        "exit with 1 where a figure is smaller or not defined, or an answer is missing (unless answered=0.95 allows it)"
    )
    parser.add_argument("--fail-under", type=read_gates, default={}, metavar="FIGURE=LEAST,…", help=said)


def missed(gates: Mapping[str, float], summary: Mapping[str, Any]) -> list[str]:
    """The gates that a summary does not pass, in words; a figure that is not defined passes none.

    Figures of a few answers say nothing of the others: where there are gates, every answer must be there, unless
    `answered` names another share.
    """
    lines = []
    for name, least in ({ANSWERED: 1.0, **gates} if gates else {}).items():
        value = figure(summary, name)
        if value is None or value < least:
            said = "not defined" if value is None else f"{value:.4g}"
            counts = f" ({summary['scored']} of {summary['n']})" if name == ANSWERED and value is not None else ""
            lines.append(f"{name} is {said}{counts}, and must be at least {least:g}")
    return lines


def gate(gates: Mapping[str, float], summary: Mapping[str, Any], of: str = "") -> bool:
    """Whether all gates hold; one line on standard error for each that does not.

    Args:
        of: which run it is, where there are two.
    """
    failed = missed(gates, summary)
    for line in failed:
        print(f"gate missed{f' by {of}' if of else ''}: {line}", file=sys.stderr)
    return not failed
