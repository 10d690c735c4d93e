"""Statistics of small evaluations: intervals for shares and F1, and tests for two models on the same cases."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
"""the 97.5% point of the standard normal distribution"""

RESAMPLES = 2_000
BLOCK = 100
"""resamples that are drawn at a time"""
SWAPS = 9_999
"""of a randomisation test, so that no p-value is below 1 in 10,000"""
SEED = 42

Interval = tuple[float, float]
Counts = NDArray[np.float64]
"""one row a cluster, one column a thing counted"""
Statistic = Callable[[Counts], NDArray[np.float64]]
"""from counts (…, columns) to one number each (…), NaN where it is not defined"""


def wilson(successes: float, n: int) -> Interval | None:
    """Return the 95% score interval of a share; None where n is 0.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212:
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n) with p = successes/n. Not scipy.stats.binomtest's: that takes whole
    successes alone, and clusters give fractions.
    """
    if n == 0:
        return None
    p, zz = successes / n, Z95 * Z95
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = Z95 / (1 + zz / n) * math.sqrt(p * (1 - p) / n + zz / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def f1(counts: Counts) -> NDArray[np.float64]:
    """Compute F1 = 2tp / (2tp + fp + fn) of columns tp, fp, fn, …; NaN where nothing was or should have been called."""
    tp, wrong = counts[..., 0], counts[..., 1] + counts[..., 2]
    with np.errstate(invalid="ignore"):
        return np.asarray(2 * tp / (2 * tp + wrong))


def ratio(counts: Counts) -> NDArray[np.float64]:
    """Return the first column over the second; NaN where that is 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(counts[..., 0] / counts[..., 1])


@dataclass(frozen=True)
class McNemar:
    """The cases on which two models differ, and how likely a split at least so uneven is by chance."""

    only_a: int
    """cases that only the first got right"""
    only_b: int
    for_a: int
    """clusters of which the first got more right"""
    for_b: int
    p: float
    """over clusters"""


def mcnemar(a: Sequence[bool], b: Sequence[bool], groups: Sequence[str] | None = None) -> McNemar:
    """Test exactly whether two models err alike on the same cases: two-sided, binomial with share 1/2.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947) 153-157, with the exact binomial in place of χ². Cases of one cluster are not independent,
    so a cluster counts once, for the model that got more of it right: the sign test (W. J. Dixon and A. M. Mood, "The
    statistical sign test", JASA 41 (1946) 557-566), which is McNemar's where every cluster is one case.

    Args:
        a: whether the first model was right, a case.
        b: the same of the second, in the same order.
        groups: the cluster of each case; None where each is its own.
    """
    only_a = sum(x and not y for x, y in zip(a, b, strict=True))
    only_b = sum(y and not x for x, y in zip(a, b, strict=True))
    lead: dict[Any, int] = {}
    for group, x, y in zip(range(len(a)) if groups is None else groups, a, b, strict=True):
        lead[group] = lead.get(group, 0) + y - x
    for_a, for_b = sum(n < 0 for n in lead.values()), sum(n > 0 for n in lead.values())
    return McNemar(only_a, only_b, for_a, for_b, binomial_p(for_a, for_a + for_b))


def binomial_p(k: int, n: int) -> float:
    """Return the two-sided p-value of k successes in n throws of a fair coin; 1 where n is 0."""
    if n == 0:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(k, n - k), n, 0.5)))


def independent(base: float, gain: float) -> float:
    """Return the share of cases on which two models differ when they err independently, one right on `base`, one on `gain` more."""
    return base * (1 - base - gain) + (1 - base) * (base + gain)


def mcnemar_power(n: int, gain: float, discordance: float) -> float:
    """Return how likely the exact McNemar test at 5% shows a model to be better.

    Exact: over all counts d ~ Bin(n, discordance) of cases that differ, the chance that so few are for the worse model
    that twice the tail of Bin(d, 1/2) is at most 0.05.

    Args:
        n: cases, independent of each other.
        gain: share of cases right with the better model less that with the worse.
        discordance: share of cases that one of the two gets right, at least `gain`.
    """
    from scipy.special import bdtr, bdtrik

    spread = 9 * math.sqrt(n * discordance * (1 - discordance)) + 9
    d = np.arange(max(1, int(n * discordance - spread)), min(n, int(n * discordance + spread)) + 1)
    most = np.floor(np.nan_to_num(bdtrik(0.025, d, 0.5), nan=0.0))
    most -= bdtr(most, d, 0.5) > 0.025
    shown = np.where(most < 0, 0, bdtr(np.maximum(most, 0), d, (discordance - gain) / (2 * discordance)))
    chance = bdtr(d, n, discordance) - bdtr(d - 1, n, discordance)
    return float(chance @ shown)


def cases_needed(gain: float, discordance: float, power: float = 0.8) -> int:
    """Return the cases that McNemar's test at 5% needs to show a gain: (z₀.₉₇₅ √ψ + z_power √(ψ - δ²))² / δ², ψ discordance, δ gain.

    R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43 (1987)
    207-211. The formula is for χ²; cases are added until the exact test has the power.
    """
    z = NormalDist().inv_cdf(power)
    n = math.ceil((Z95 * math.sqrt(discordance) + z * math.sqrt(discordance - gain**2)) ** 2 / gain**2)
    while mcnemar_power(n, gain, discordance) < power:
        n += max(1, n // 200)
    return n


def detectable(n: int, base: float, discordance: float | None = None, power: float = 0.8) -> float | None:
    """Return the least gain over a share `base` that n cases show with this power; None where even a perfect model is not shown.

    Args:
        discordance: share of cases on which the two differ; None where they err independently.
    """

    def shown(gain: float) -> bool:
        return mcnemar_power(n, gain, independent(base, gain) if discordance is None else discordance) >= power

    low, high = 0.0, min(1 - base, 1.0 if discordance is None else discordance)
    if high <= 0 or not shown(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return high


def bootstrap(counts: Counts, statistic: Statistic, seed: int = SEED) -> Interval | None:
    """Return the 95% percentile interval of a statistic when whole clusters are drawn; None where it is not defined, or where
    there is only one cluster, which would be drawn again and again and claim certainty.

    B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), §13.3; clusters are drawn, not cases, since
    cases of one lineage are not independent (A. C. Davison and D. V. Hinkley, "Bootstrap methods", 1997, §3.8).
    """
    return _percentiles(statistic(_totals(counts, seed)), len(counts))


def paired_bootstrap(a: Counts, b: Counts, statistic: Statistic, seed: int = SEED) -> Interval | None:
    """Return the 95% percentile interval of statistic(b) - statistic(a), the same clusters drawn for both."""
    both = _totals(np.hstack([a, b]), seed)
    return _percentiles(statistic(both[:, a.shape[1] :]) - statistic(both[:, : a.shape[1]]), len(a))


def randomisation_p(a: Counts, b: Counts, statistic: Statistic, seed: int = SEED) -> float | None:
    """Return how likely a difference of the statistic at least as large is, either way, if it does not matter which model is which.

    The answers of whole clusters are swapped between the models at random, SWAPS times (A. Yeh, "More accurate tests for
    the statistical significance of result differences", COLING 2000); clusters with the same counts are swapped as one
    kind. A swap that leaves the statistic undefined counts as one of at least that size. None where the difference itself
    is not defined.
    """
    found = statistic(b.sum(axis=0)) - statistic(a.sum(axis=0))
    if np.isnan(found):
        return None
    kinds, times = np.unique(np.hstack([a, b]), axis=0, return_counts=True)
    swapped = np.random.default_rng(seed).binomial(times, 0.5, size=(SWAPS, len(kinds)))
    mine, other = kinds[:, : a.shape[1]], kinds[:, a.shape[1] :]
    moved = swapped @ (other - mine)
    differences = statistic(b.sum(axis=0) - moved) - statistic(a.sum(axis=0) + moved)
    as_large = np.isnan(differences) | (np.abs(differences) >= abs(found) - 1e-12)
    return float((1 + as_large.sum()) / (1 + SWAPS))


def f1_interval(counts: Counts, seed: int = SEED) -> Interval | None:
    """Return the 95% interval of F1: the cluster bootstrap, or where nothing varies (no error, no hit, all clusters alike) Wilson's.

    F1 = 2q / (1 + q) rises with the share q = tp / (tp + fp + fn), so Wilson's interval of q over the clusters that
    count gives one of F1. A bootstrap of a perfect score would claim certainty.
    """
    counts = counts[counts[:, :3].sum(axis=1) > 0][:, :3]
    tp, fp, fn = counts.sum(axis=0)
    if tp and fp + fn and _vary(counts):
        return bootstrap(counts, f1, seed)
    share = wilson(float(len(counts) * tp / (tp + fp + fn)), len(counts)) if len(counts) else None
    return share and (2 * share[0] / (1 + share[0]), 2 * share[1] / (1 + share[1]))


def share_interval(counts: Counts, seed: int = SEED) -> Interval | None:
    """Return the 95% interval of a share, from its part and its whole a cluster, (clusters, 2); None where there is no whole.

    Wilson's where no cluster counts twice, else the cluster bootstrap; where nothing varies, Wilson's over clusters.
    """
    counts = counts[counts[:, 1] > 0]
    part, whole = counts.sum(axis=0)
    if (counts[:, 1] == 1).all() and np.isin(counts[:, 0], (0, 1)).all():
        return wilson(int(part), len(counts))
    if 0 < part < whole and _vary(counts):
        return bootstrap(counts, ratio, seed)
    return wilson(float(len(counts) * part / whole), len(counts)) if len(counts) else None


def _vary(counts: Counts) -> bool:
    return len(np.unique(counts, axis=0)) > 1


def _totals(counts: Counts, seed: int) -> Counts:
    """Draw the counts of each resample, (RESAMPLES, columns).

    Clusters with the same counts are drawn as one kind, so many at a time as fit in little memory: n draws with
    replacement are multinomial over the kinds.
    """
    rng = np.random.default_rng(seed)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    draws = (rng.multinomial(len(counts), times / len(counts), size=BLOCK) for _ in range(RESAMPLES // BLOCK))
    return np.concatenate([draw @ kinds for draw in draws])


def _percentiles(values: NDArray[np.float64], clusters: int) -> Interval | None:
    defined = values[~np.isnan(values)]
    if clusters < 2 or not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
