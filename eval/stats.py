"""Statistics of small evaluations: intervals for shares and F1, and tests for two models on the same cases."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
"""the 97.5% point of the standard normal distribution"""

RESAMPLES = 2_000
SEED = 42

Interval = tuple[float, float]
Counts = NDArray[np.float64]
"""one row a cluster, one column a thing counted"""
Statistic = Callable[[Counts], NDArray[np.float64]]
"""from counts (…, columns) to one number each (…), NaN where it is not defined"""


def wilson(successes: int, n: int, z: float = Z95) -> Interval | None:
    """The score interval of a share; None where n is 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212:
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with p = successes/n.
    """
    if n == 0:
        return None
    p, zz = successes / n, z * z
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = z / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def f1(counts: Counts) -> NDArray[np.float64]:
    """F1 = 2tp / (2tp + fp + fn) of columns tp, fp, fn, …; NaN where nothing was or should have been called."""
    tp, wrong = counts[..., 0], counts[..., 1] + counts[..., 2]
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * tp / (2 * tp + wrong))


@dataclass(frozen=True)
class McNemar:
    """The cases on which two models differ, and how likely a split at least so uneven is by chance."""

    only_a: int
    """cases that only the first got right"""
    only_b: int
    p: float


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar:
    """The exact test of whether two models err alike on the same cases: two-sided, binomial with share 1/2.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157, with the exact binomial in place of χ².

    Args:
        a: whether the first model was right, a case.
        b: the same of the second, in the same order.
    """
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    return McNemar(only_a, only_b, binomial_p(only_a, only_a + only_b))


def binomial_p(k: int, n: int) -> float:
    """The two-sided p-value of k successes in n throws of a fair coin; 1 where n is 0."""
    if n == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(k, n, 0.5).pvalue)


def bootstrap(counts: Counts, statistic: Statistic, seed: int = SEED) -> Interval | None:
    """The 95% percentile interval of a statistic when whole clusters are drawn; None where it is not defined.

    B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), §13.3; clusters are drawn, not cases, since
    cases of one lineage are not independent (A. C. Davison and D. V. Hinkley, "Bootstrap methods", 1997, §3.8).
    """
    return _percentiles(statistic(_totals(counts, seed)))


def paired_bootstrap(a: Counts, b: Counts, statistic: Statistic, seed: int = SEED) -> Interval | None:
    """The 95% percentile interval of statistic(b) - statistic(a), the same clusters drawn for both."""
    return _percentiles(statistic(_totals(b, seed)) - statistic(_totals(a, seed)))


def f1_interval(counts: Counts, seed: int = SEED) -> Interval | None:
    """The 95% interval of F1: the cluster bootstrap, or where nothing varies (no error, or no hit at all) Wilson's.

    F1 = 2q / (1 + q) rises with the share q = tp / (tp + fp + fn), so Wilson's interval of q over the clusters that
    count gives one of F1. A bootstrap of a perfect score would claim certainty.
    """
    tp, fp, fn = (int(n) for n in counts.sum(axis=0)[:3])
    if tp and fp + fn:
        return bootstrap(counts, f1, seed)
    clusters = int((counts[:, :3].sum(axis=1) > 0).sum())
    share = wilson(clusters if tp else 0, clusters)
    return share and (2 * share[0] / (1 + share[0]), 2 * share[1] / (1 + share[1]))


def _totals(counts: Counts, seed: int) -> Counts:
    """Counts of each resample, (RESAMPLES, columns). One resample at a time: 20,000 clusters fit in little memory."""
    rng, clusters = np.random.default_rng(seed), len(counts)
    draws = (np.bincount(rng.integers(clusters, size=clusters), minlength=clusters) for _ in range(RESAMPLES))
    return np.stack([draw @ counts for draw in draws])


def _percentiles(values: NDArray[np.float64]) -> Interval | None:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
