"""Compare two runs on the cases that both were scored on: the gain in each figure, and whether it could be chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from callwright.files import to_json
from callwright.results import DECISIONS, STAGES, Result
from callwright.summary import FIGURES, Figure, value_and_interval
from eval.scoring.stats import SEED, Counts, Interval, McNemar, f1, mcnemar, paired_bootstrap, randomisation_p, ratio
from eval.scoring.summary import by_group, count, part_and_whole


@dataclass(frozen=True)
class Gain:
    """A figure of B less that of A."""

    value: float | None
    ci95: Interval | None
    """paired bootstrap, clustered by group"""

    def __str__(self) -> str:
        """Write the gain and its interval for people."""
        return value_and_interval(self.value, self.ci95, "+.3f")


@dataclass(frozen=True)
class Comparison:
    """A (base) against B (tuned) on the cases that both were scored on."""

    a: list[Result]
    b: list[Result]
    gains: dict[str, Gain]
    decided: McNemar
    """over right and wrong decisions to call"""
    strict: McNemar
    """over strictly right and wrong cases"""
    f1_p: float | None
    """of a paired randomisation test of the F1 gain, over groups"""

    @property
    def n(self) -> int:
        """Cases that both were scored on."""
        return len(self.a)

    @property
    def f1(self) -> Gain:
        """The gain in F1."""
        return self.gains["f1"]

    def changed(self) -> list[tuple[str, Result, Result]]:
        """Return the cases that went another way: only B right, only A right, both wrong with another verdict."""
        kinds = {(True, False): "only A right", (False, True): "only B right", (False, False): "both wrong"}
        differ = [(a, b) for a, b in zip(self.a, self.b, strict=True) if a.verdict != b.verdict]
        order = list(kinds)
        differ.sort(
            key=lambda pair: (
                order.index((pair[0].correct, pair[1].correct)),
                STAGES.index(pair[0].verdict),
                STAGES.index(pair[1].verdict),
            )
        )
        return [(kinds[a.correct, b.correct], a, b) for a, b in differ]


def gain_line(comparison: Comparison) -> str:
    """Say the difference in F1, its interval, and the p-value of the test that asks the same: whether F1 differs."""
    gain = f"F1 gain {comparison.f1} on the {comparison.n} cases that both answered"
    groups = len({result.group for result in comparison.a})
    return gain if comparison.f1_p is None else f"{gain}: {p_value(comparison.f1_p)} (randomisation of {groups} groups)"


def verdict_line(comparison: Comparison, a: str, b: str, strict: bool = False) -> str:
    """Say whether one of two models gets more cases right, by the decision alone or in everything: not whether F1 differs."""
    test = comparison.strict if strict else comparison.decided
    right = "all" if strict else "decision"
    line = f"{right} right: {test.only_b} only {b}, {test.only_a} only {a}, exact McNemar {p_value(test.p)}"
    if (test.for_a, test.for_b) == (test.only_a, test.only_b):
        return line
    return f"{line} over groups ({test.for_b} against {test.for_a})"


def p_value(p: float) -> str:
    """Write a p-value for people."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def compare(a: Sequence[Result], b: Sequence[Result], seed: int = SEED) -> Comparison | None:
    """Compare two runs case by case; None where they share no scored case.

    Two results are of one case where id, sample, last words and expected calls agree.
    """
    others = {case_key(result): result for result in b if result.scored}
    pairs = [(result, others[case_key(result)]) for result in a if result.scored and case_key(result) in others]
    if not pairs:
        return None
    left, right = [x for x, _ in pairs], [y for _, y in pairs]
    # Both by the grouping of A, so that a cluster holds the same cases in both.
    counts_a, counts_b = (by_group(left, [count(result) for result in side]) for side in (left, right))
    groups = [x.group for x in left]
    decisions_a, decisions_b = (side[:, : len(DECISIONS)] for side in (counts_a, counts_b))
    return Comparison(
        a=left,
        b=right,
        gains={name: _gain(counts_a, counts_b, figure, seed) for name, figure in FIGURES.items() if figure.part},
        decided=mcnemar([x.decided_right for x in left], [y.decided_right for y in right], groups),
        strict=mcnemar([x.correct for x in left], [y.correct for y in right], groups),
        f1_p=randomisation_p(decisions_a, decisions_b, f1, seed),
    )


def case_key(result: Result) -> str:
    """Return what two runs' results of one case have in common."""
    return to_json([result.key, result.text, [call.model_dump() for call in result.expected]])


def _gain(a: Counts, b: Counts, figure: Figure, seed: int) -> Gain:
    a, b = part_and_whole(a, figure), part_and_whole(b, figure)
    value = float(ratio(b.sum(axis=0)) - ratio(a.sum(axis=0)))
    return Gain(None, None) if np.isnan(value) else Gain(value, paired_bootstrap(a, b, ratio, seed))
