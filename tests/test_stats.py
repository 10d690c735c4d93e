import numpy as np
import pytest

from eval import power
from eval.scoring.stats import (
    binomial_p,
    bootstrap,
    cases_needed,
    detectable,
    f1,
    f1_interval,
    independent,
    mcnemar,
    mcnemar_power,
    paired_bootstrap,
    randomisation_p,
    share_interval,
    wilson,
)


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


def test_many_copies_of_a_cluster_are_no_more_evidence():
    data = counts(30, 10, 12, 48)
    assert bootstrap(data * 10, f1) == bootstrap(data, f1)
    better = data[:, [0, 2, 1, 3]]
    assert paired_bootstrap(data * 10, better * 10, f1) == paired_bootstrap(data, better, f1)


def test_drawing_kinds_is_drawing_clusters():
    data = counts(40, 10, 15, 35)
    rng = np.random.default_rng(7)
    drawn = [f1(data[rng.integers(len(data), size=len(data))].sum(axis=0)) for _ in range(4_000)]
    assert bootstrap(data, f1) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.01)


def test_a_share_of_clusters():
    alone = np.array([[1, 1]] * 81 + [[0, 1]] * 182, dtype=float)
    assert share_interval(alone) == wilson(81, 263)
    assert share_interval(np.vstack([alone, [[0, 0]] * 50])) == wilson(81, 263)
    assert share_interval(np.array([[3.0, 3.0]] * 20)) == wilson(20, 20)
    assert share_interval(np.array([[0.0, 3.0]] * 20)) == wilson(0, 20)
    assert share_interval(np.array([[1.0, 2.0]] * 20)) == wilson(
        10, 20
    )  # the bootstrap would claim certainty: no cluster differs
    assert share_interval(np.zeros((3, 2))) is share_interval(np.zeros((0, 2))) is None
    low, high = share_interval(np.repeat([[3.0, 3.0], [0.0, 3.0]], [30, 30], axis=0))
    assert (low, high) == pytest.approx(wilson(30, 60), abs=0.03)  # as wide as 60 cases, not as 180


def test_mcnemar_counts_a_cluster_once():
    a, b = [False] * 12 + [True], [True] * 12 + [False]
    assert mcnemar(a, b).p == pytest.approx(28 / 2**13)
    four = mcnemar(a, b, ["x"] * 4 + ["y"] * 4 + ["z"] * 4 + ["w"])
    assert (four.only_a, four.only_b, four.p) == (1, 12, 0.625)
    assert mcnemar([True, False], [False, True], ["x", "x"]).p == 1
    mixed = mcnemar([False, False, True] * 5 + [True], [True, True, False] * 5 + [False], [*"aaabbbcccdddeee", "f"])
    assert mixed.p == pytest.approx(14 / 2**6)  # five clusters for b, one for a
    assert mcnemar(a, b, list("abcdefghijklm")) == mcnemar(a, b)


@pytest.mark.parametrize(
    ("n", "gain", "discordance"), [(200, 0.1, 0.2), (60, 0.2, 0.3), (500, 0.04, 0.29), (30, 0.3, 0.3)]
)
def test_power_is_how_often_the_test_sees_it(n, gain, discordance):
    rng = np.random.default_rng(1)
    worse, better, _ = rng.multinomial(
        n, [(discordance - gain) / 2, (discordance + gain) / 2, 1 - discordance], 3_000
    ).T
    seen = np.mean([b > w and binomial_p(int(w), int(w + b)) <= 0.05 for w, b in zip(worse, better, strict=True)])
    assert mcnemar_power(n, gain, discordance) == pytest.approx(seen, abs=0.03)


def test_cases_needed_is_the_formula_mended_for_the_exact_test():
    differ = independent(0.8, 0.05)
    assert differ == pytest.approx(0.8 * 0.15 + 0.2 * 0.85)
    n = cases_needed(0.05, differ)
    formula = (1.959964 * 0.29**0.5 + 0.841621 * (0.29 - 0.0025) ** 0.5) ** 2 / 0.0025
    assert formula < n < 1.06 * formula
    assert mcnemar_power(n, 0.05, differ) >= 0.8 > mcnemar_power(int(0.95 * n), 0.05, differ)


def test_what_so_many_cases_can_show():
    least = detectable(200, 0.8)
    assert mcnemar_power(200, least, independent(0.8, least)) >= 0.8
    assert mcnemar_power(200, least - 0.005, independent(0.8, least - 0.005)) < 0.8
    assert detectable(200, 0.8, 0.1) < least
    assert detectable(5, 0.8) is detectable(200, 1.0) is None


def test_power_from_the_command_line(capsys):
    assert power.main(["--n", "200", "--base", "0.80", "--gain", "0.05"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "0.800 against 0.850: the two differ on 0.290 of the cases, if they err independently"
    assert lines[2] == "200 cases show it with 22% power"
    assert power.main(["--base", "0.80", "--gain", "-0.05", "--discordance", "0.1"]) == 0
    for wrong in (
        ["0.8", "0.3"],
        ["0.8", "0"],
        ["nan", "0.1"],
        ["0.8", "0.05", "--discordance", "0.04"],
        ["0.5", "0.1", "--discordance", "1"],
    ):
        assert power.main(["--base", wrong[0], "--gain", *wrong[1:]]) == 2
        assert capsys.readouterr().err.startswith("error: --")


def test_randomisation_asks_what_mcnemar_does_not():
    """A model that always calls against one that never does, on as many cases of each kind: right equally often."""
    due, not_due = np.array([[1, 0, 0, 0]]), np.array([[0, 1, 0, 0]])
    always = np.repeat(np.vstack([due, not_due]), 20, axis=0).astype(float)  # tp, fp
    never = np.repeat(np.array([[0, 0, 1, 0], [0, 0, 0, 1]]), 20, axis=0).astype(float)  # fn, tn
    right_always, right_never = always[:, 0] > 0, never[:, 3] > 0
    assert mcnemar(list(right_always), list(right_never)).p == 1
    assert randomisation_p(always, never, f1) < 0.001
    _, high = paired_bootstrap(always, never, f1)
    assert high < 0, "the interval says the same as the test of the same figure"


def test_randomisation_is_exact_where_it_can_be_counted():
    a, b = counts(0, 0, 5, 5), counts(5, 0, 0, 5)
    assert randomisation_p(a, b, f1) == pytest.approx(2 / 2**5, abs=0.01)
    assert randomisation_p(a, a, f1) == 1
    assert randomisation_p(counts(0, 0, 0, 3), counts(0, 0, 0, 3), f1) is None
    together = a.sum(axis=0, keepdims=True), b.sum(axis=0, keepdims=True)
    assert randomisation_p(*together, f1) == 1, "one group is one coin"


def test_one_cluster_has_no_interval():
    one = np.array([[3.0, 1.0, 1.0, 5.0]])
    assert bootstrap(one, f1) is paired_bootstrap(one, one, f1) is None
    low, high = f1_interval(one)
    assert low < 0.2 and high > 0.9, "Wilson's, of one"
    alike = f1_interval(np.repeat(one, 4, axis=0))
    assert alike[0] < 0.75 < alike[1] and alike[1] - alike[0] < high - low
