import numpy as np
import pytest

from eval.stats import bootstrap, f1, f1_interval, mcnemar, paired_bootstrap, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17 (1998), table I
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombe(successes, n, low, high):
    interval = wilson(successes, n)
    assert interval == pytest.approx((low, high), abs=5e-5)


def test_wilson_at_the_edges():
    assert wilson(0, 0) is None
    assert wilson(20, 20) == pytest.approx((1 - 0.1611, 1.0), abs=5e-5)


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    # 2 · Σ C(n, i) / 2^n up to the smaller count
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375), (6, 16, 220112 / 2**22), (16, 6, 220112 / 2**22)],
)
def test_mcnemar_is_exact(only_a, only_b, p):
    a = [True] * only_a + [False] * only_b + [True, False]
    b = [False] * only_a + [True] * only_b + [True, False]
    test = mcnemar(a, b)
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p == pytest.approx(p, rel=1e-9)


def test_f1_of_counts():
    assert f1(np.array([3.0, 1.0, 2.0, 9.0])) == pytest.approx(6 / 9)
    assert np.isnan(f1(np.array([0.0, 0.0, 0.0, 9.0])))


def counts(tp: int, fp: int, fn: int, tn: int) -> np.ndarray:
    return np.repeat(np.eye(4), [tp, fp, fn, tn], axis=0)


def test_the_bootstrap_is_seeded_and_covers_the_estimate():
    data = counts(40, 10, 10, 40)
    low, high = bootstrap(data, f1)
    assert (low, high) == bootstrap(data, f1)
    assert (low, high) != bootstrap(data, f1, seed=1)
    assert low < 0.8 < high
    assert high - low == pytest.approx(0.17, abs=0.04)  # delta method: 2 · 1.96 · 0.0436


def test_clusters_widen_the_interval():
    data = counts(40, 10, 10, 40)
    clustered = np.stack([part.sum(axis=0) for part in np.array_split(data, 20)])
    wide, narrow = bootstrap(clustered, f1), bootstrap(data, f1)
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_a_perfect_score_is_not_certain():
    low, high = f1_interval(counts(20, 0, 0, 20))
    share = wilson(20, 20)[0]
    assert (low, high) == (pytest.approx(2 * share / (1 + share)), 1.0)
    low, high = f1_interval(counts(0, 5, 15, 20))
    share = wilson(0, 20)[1]
    assert (low, high) == (0.0, pytest.approx(2 * share / (1 + share)))
    assert f1_interval(counts(0, 0, 0, 20)) is None


def test_the_paired_bootstrap_sees_what_two_intervals_do_not():
    a = counts(30, 10, 20, 40)
    b = a.copy()
    better = np.flatnonzero(a[:, 2])[:8]
    b[better] = [1, 0, 0, 0]
    low, high = paired_bootstrap(a, b, f1)
    assert low > 0
    assert bootstrap(a, f1)[1] > bootstrap(b, f1)[0]
    assert paired_bootstrap(a, a, f1) == (0, 0)
    assert high < 0.3
