"""The figures of a run: what each is called and counted of, and the Summary that is summary.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from callwright.errors import UserError
from callwright.files import read_json
from callwright.records import Record, explain
from callwright.results import Verdict


@dataclass(frozen=True)
class Figure:
    """A figure of a run: what it is called, where summary.json holds it, and what is counted for it."""

    label: str
    path: str
    """`*` stands for the last entry, the largest k"""
    part: str = ""
    """the columns (eval.scoring.summary.COLUMNS) whose sum is divided by the sum of those of `whole`"""
    whole: str = ""

    @property
    def name(self) -> str:
        """The label without its explanation."""
        return self.label.partition(":")[0]

    @property
    def interval(self) -> str:
        """Where summary.json holds its 95% interval."""
        return self.path.removesuffix("f1") + "ci95" if self.path.endswith(".f1") else f"{self.path}_ci95"


FIGURES: dict[str, Figure] = {
    "f1": Figure("F1 of the decision to call", "decision.f1", "tp tp", "called due"),
    "precision": Figure("precision: of the calls, how many were due", "decision.precision", "tp", "called"),
    "recall": Figure("recall: of the calls due, how many came", "decision.recall", "tp", "due"),
    "accuracy": Figure("accuracy: decisions that are right", "decision.accuracy", "tp tn", "all"),
    "strict_accuracy": Figure(
        "strict accuracy: decision, tool and arguments right", "strict_accuracy", "right", "all"
    ),
    "pass_hat_k": Figure("pass^k: every answer to a case right", "pass_hat_k.*.value"),
    "parse_rate": Figure(
        "of the calls begun, those returned in a readable form", "parse_rate", "parsed", "emitted"
    ),
    "schema_valid_rate": Figure(
        "of the calls begun, those that fit their tool's schema", "schema_valid_rate", "valid", "emitted"
    ),
    "name_precision": Figure("precision of tool names", "names.precision", "names", "names_given"),
    "name_recall": Figure("recall of tool names", "names.recall", "names", "names_wanted"),
    "name_f1": Figure("F1 of tool names", "names.f1", "names names", "names_given names_wanted"),
    "argument_precision": Figure("precision of arguments", "arguments.precision", "arguments", "arguments_given"),
    "argument_recall": Figure("recall of arguments", "arguments.recall", "arguments", "arguments_wanted"),
    "argument_f1": Figure("F1 of arguments", "arguments.f1", "arguments arguments", "arguments_given arguments_wanted"),
    "fidelity": Figure("words asked for that arrived in free text", "fidelity.share", "arrived", "asked"),
    "unbroken_replies": Figure("replies in words without a visible fault", "replies.share", "unbroken", "replies"),
}  # fmt: skip
"""Every figure by the name that gates and the documentation call it; all are shares of which more is better."""

COUNTED = "A call counts where the server returned one that a program could act on: it can be read, and names a tool on offer."
"""What the decision to call is, wherever it is shown."""

HEADLINE = ("f1", "precision", "recall", "accuracy", "strict_accuracy", "pass_hat_k")
"""The figures of the whole answer; the others look at its parts."""

Bounds = tuple[float, float] | None
"""a 95% interval; None where the figure is not defined, or only one cluster tells it"""


class Part(Record):
    """A part of a summary. A key that another version wrote is passed over, and what it did not write is not defined."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DecisionFigures(Part):
    """The decision to call."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0
    f1: float | None = None
    ci95: Bounds = None
    precision: float | None = None
    precision_ci95: Bounds = None
    recall: float | None = None
    recall_ci95: Bounds = None
    accuracy: float | None = None
    accuracy_ci95: Bounds = None


class PartFigures(Part):
    """Tool names, or arguments: right, given and wanted ones."""

    right: int = 0
    given: int = 0
    wanted: int = 0
    precision: float | None = None
    precision_ci95: Bounds = None
    recall: float | None = None
    recall_ci95: Bounds = None
    f1: float | None = None
    ci95: Bounds = None


class ArgumentFigures(PartFigures):
    """Arguments, all and of each JSON type."""

    by_type: dict[str, PartFigures] = Field({})


class Share(Part):
    """A share and how many it is of the replies."""

    n: int = 0
    share: float | None = None
    share_ci95: Bounds = None


class Fidelity(Part):
    """Words asked for by `contains` matchers, and those that arrived."""

    slots: int = 0
    arrived: int = 0
    share: float | None = None
    share_ci95: Bounds = None


class ReplyFigures(Part):
    """Replies in words: those without a visible fault, and those with each fault."""

    n: int = 0
    unbroken: int = 0
    share: float | None = None
    share_ci95: Bounds = None
    faults: dict[str, Share] = Field({})


class PassHatK(Part):
    """How likely all of k answers to a case are right, over the cases with so many answers."""

    cases: int
    value: float | None
    value_ci95: Bounds


class Power(Part):
    """The least gain in strict accuracy over `base` that so many clusters show with 80% power; None where none is."""

    clusters: int
    base: float
    gain: float | None


class Abstentions(Part):
    """The answers where no call was due, and how many of the clean ones were empty or cut."""

    clean: int = 0
    malformed_attempt: int = 0
    false_call: int = 0
    empty: int = 0
    cut: int = 0


class SliceFigures(Part):
    """The answers with one value of a tag."""

    n: int
    calls: int
    """of the answers, those where one was due"""
    f1: float | None
    ci95: Bounds
    accuracy: float | None
    accuracy_ci95: Bounds
    strict_accuracy: float | None
    strict_accuracy_ci95: Bounds
    small: bool


class Latency(Part):
    """Median and 95th percentile of seconds an answer."""

    p50: float | None = None
    p95: float | None = None


class Summary(Part):
    """The figures of a run: summary.json. What is not defined (a share without a denominator) is null, never 0."""

    n: int = 0
    """answers"""
    cases: int = 0
    scored: int = 0
    infra_errors: int = 0
    decision: DecisionFigures = DecisionFigures()
    strict_accuracy: float | None = None
    strict_accuracy_ci95: Bounds = None
    emitted_calls: int = 0
    parse_rate: float | None = None
    parse_rate_ci95: Bounds = None
    schema_valid_rate: float | None = None
    schema_valid_rate_ci95: Bounds = None
    names: PartFigures = PartFigures()
    arguments: ArgumentFigures = ArgumentFigures()
    fidelity: Fidelity = Fidelity()
    replies: ReplyFigures | None = ReplyFigures()
    """None where the answers were cut"""
    pass_hat_k: dict[str, PassHatK] | None = None
    """k → figures; None where no case has two answers"""
    power: Power | None = None
    verdicts: dict[Verdict, int] = Field({})
    abstentions: Abstentions = Abstentions()
    slices: dict[str, dict[str, SliceFigures]] = Field({})
    """tag → value → figures"""
    latency: Latency = Latency()
    completion_tokens: int = 0
    seed: int = 0

    def at(self, path: str) -> Any:
        """Return what stands at a path such as `decision.f1`; None where there is no such entry."""
        value: Any = self
        for key in path.split("."):
            if not value:
                return None
            if isinstance(value, dict):
                value = list(value.values())[-1] if key == "*" else value.get(key)
            else:
                value = getattr(value, key, None)
        return value

    def figure(self, name: str) -> tuple[float | None, Bounds]:
        """Return a figure of FIGURES and its 95% interval."""
        return self.at(FIGURES[name].path), self.at(FIGURES[name].interval)


def read_summary(path: Path) -> Summary:
    """Read a summary.json.

    Raises:
        UserError: it is missing or broken.
    """
    try:
        summary = Summary.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "evaluate again") from None
    if missing := [key for key in ("scored", "decision", "strict_accuracy") if key not in summary.model_fields_set]:
        raise UserError(path, f"has no {missing[0]}", "evaluate again")
    return summary


def number(value: float | None, form: str = ".3f") -> str:
    """Write a figure for people: 0.912, or with the form "+.3f" a difference, +0.041."""
    return "–" if value is None else f"{value:{form}}"


def interval(bounds: Bounds, form: str = ".3f") -> str:
    """Write an interval for people: [0.850, 0.950]."""
    return "" if bounds is None else f"[{bounds[0]:{form}}, {bounds[1]:{form}}]"


def value_and_interval(value: float | None, bounds: Bounds, form: str = ".3f") -> str:
    """Write a figure and its interval for people: 0.912 [0.850, 0.950]."""
    return f"{number(value, form)} {interval(bounds, form)}".rstrip()
