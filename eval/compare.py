"""Two models on the same cases: intervals side by side, the difference, and whether it could be chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from eval.stats import SEED, Interval, McNemar, f1, mcnemar, paired_bootstrap
from eval.summary import decision_counts
from eval.verdict import Result


@dataclass(frozen=True)
class Comparison:
    """A (base) against B (tuned) on the cases that both were scored on."""

    a: list[Result]
    b: list[Result]
    f1_gain: float | None
    """F1 of B less F1 of A"""
    f1_gain_ci95: Interval | None
    """paired bootstrap, clustered by group"""
    decided: McNemar
    """over right and wrong decisions to call"""
    strict: McNemar
    """over strictly right and wrong cases"""

    @property
    def n(self) -> int:
        """Cases that both were scored on."""
        return len(self.a)


def compare(a: Sequence[Result], b: Sequence[Result], seed: int = SEED) -> Comparison | None:
    """Compare two runs by case id; None where they share no scored case."""
    others = {result.id: result for result in b if result.scored}
    pairs = [(result, others[result.id]) for result in a if result.scored and result.id in others]
    if not pairs:
        return None
    left, right = [x for x, _ in pairs], [y for _, y in pairs]
    # Both by the grouping of A, so that a cluster holds the same cases in both.
    counts_a = decision_counts(left)
    counts_b = decision_counts([y.model_copy(update={"group": x.group}) for x, y in pairs])
    gain = float(f1(counts_b.sum(axis=0)) - f1(counts_a.sum(axis=0)))
    return Comparison(
        a=left,
        b=right,
        f1_gain=None if gain != gain else gain,
        f1_gain_ci95=paired_bootstrap(counts_a, counts_b, f1, seed),
        decided=mcnemar([x.decided_right for x in left], [y.decided_right for y in right]),
        strict=mcnemar([x.correct for x in left], [y.correct for y in right]),
    )
