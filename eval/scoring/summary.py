"""From results to their Summary: what is counted, a share or F1 of it with its interval, and the whole of summary.json."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callwright.results import DECISIONS, STAGES, Result
from callwright.summary import FIGURES, DecisionFigures, Figure, PassHatK, Power, SliceFigures, Summary
from eval.scoring.replies import FAULTS, reply_faults
from eval.scoring.stats import SEED, Counts, Interval, detectable, f1_interval, share_interval

SMALL = 30
"""a slice of fewer cases is flagged: its interval says more than its number"""

COLUMNS = (
    *(*DECISIONS, "called", "due", "right", "all", "emitted", "parsed", "valid"),
    *("names", "names_given", "names_wanted", "arguments", "arguments_given", "arguments_wanted"),
    *("arrived", "asked", "unbroken", "replies", *FAULTS),
)
"""What is counted of a result; every figure but pass^k is made of sums of these."""


Row = Sequence[float]
"""what one result adds to each of COLUMNS"""


def summarise(results: Sequence[Result], seed: int = SEED) -> Summary:
    """Summarise the results of a run, or of one set of its cases.

    Unscored answers count in `n`, in `verdicts` and, where the endpoint failed, in `infra_errors`, and nowhere else.
    Where a case was asked several times, every answer counts, clustered by case.
    """
    scored = [result for result in results if result.scored]
    rows = [count(result) for result in scored]
    counts = by_group(scored, rows)
    totals = dict(zip(COLUMNS, counts.sum(axis=0).astype(int).tolist(), strict=True))
    verdicts = Counter(result.verdict for result in results)
    abstained = [result for result in scored if result.decision == "tn" and result.correct]
    return Summary.model_validate(
        {
            "n": len(results),
            "cases": len({result.id for result in results}),
            "scored": len(scored),
            "infra_errors": verdicts["infra_error"],
            "decision": _decision(counts, seed),
            **figures_of(counts, "", seed),
            "emitted_calls": totals["emitted"],
            "names": _right_given_wanted(counts, "names", seed),
            "arguments": {**_right_given_wanted(counts, "arguments", seed), "by_type": _by_type(scored, seed)},
            "fidelity": {
                "slots": totals["asked"],
                "arrived": totals["arrived"],
                **figures_of(counts, "fidelity", seed),
            },
            "replies": {
                **{"n": totals["replies"], "unbroken": totals["unbroken"], **figures_of(counts, "replies", seed)},
                "faults": {fault: _fault(counts, fault, seed) for fault in FAULTS},
            },
            "pass_hat_k": pass_hat_k(scored, seed),
            "power": power(scored),
            "verdicts": {stage: verdicts[stage] for stage in STAGES if verdicts[stage]},
            "abstentions": {
                "clean": len(abstained),
                "malformed_attempt": sum(r.verdict == "malformed_attempt" and not r.expected for r in scored),
                "false_call": verdicts["false_call"],
                "empty": sum(not (result.content or "").strip() for result in abstained),
                "cut": sum(result.finish_reason == "length" for result in abstained),
            },
            "slices": slices(scored, rows, seed),
            "latency": latency(scored),
            "completion_tokens": sum(result.completion_tokens or 0 for result in scored),
            "seed": seed,
        }
    )


def decision_figures(scored: Sequence[Result], seed: int = SEED) -> DecisionFigures:
    """Return the figures of the decision to call alone."""
    return _decision(by_group(scored, [count(result) for result in scored]), seed)


def _decision(counts: Counts, seed: int) -> DecisionFigures:
    totals = {key: int(_sum(counts, key).sum()) for key in DECISIONS}
    return DecisionFigures(**totals, **figures_of(counts, "decision", seed))


def count(result: Result) -> Row:
    """Count what one result adds to each of COLUMNS."""
    tally = result.tally
    faults = reply_faults(result) if result.replied else []
    return [
        *(result.decision == key for key in DECISIONS),
        *(result.decision in ("tp", "fp"), result.decision in ("tp", "fn"), result.correct, 1),
        *(tally.emitted, tally.parsed, tally.valid),
        *(tally.names, len(result.got), len(result.expected)),
        *(sum(column) for column in zip((0, 0, 0), *tally.arguments.values(), strict=True)),
        *(*tally.slots, result.replied and not faults, result.replied),
        *(fault in faults for fault in FAULTS),
    ]


def by_group(results: Sequence[Result], rows: Sequence[Row], width: int = len(COLUMNS)) -> Counts:
    """Sum what was counted, a row of `width` numbers a result, over each cluster: (clusters, width)."""
    groups = {group: index for index, group in enumerate(dict.fromkeys(result.group for result in results))}
    counts = np.zeros((len(groups), width))
    if results:
        np.add.at(counts, [groups[result.group] for result in results], rows)
    return counts


def part_and_whole(counts: Counts, figure: Figure) -> Counts:
    """Return what a figure divides by what, a cluster: (clusters, 2)."""
    return np.stack([_sum(counts, figure.part), _sum(counts, figure.whole)], axis=1)


def _sum(counts: Counts, names: str) -> NDArray[np.float64]:
    return counts[:, [COLUMNS.index(name) for name in names.split()]].sum(axis=1)


def measure(counts: Counts, figure: Figure, seed: int) -> dict[str, Any]:
    """Return a figure and its interval, by their keys in summary.json."""
    key, pairs = figure.path.rpartition(".")[2], part_and_whole(counts, figure)
    if key == "f1":
        right = _sum(counts, figure.part.split()[0])
        given, wanted = (_sum(counts, name) for name in figure.whole.split())
        bounds = f1_interval(np.stack([right, given - right, wanted - right], axis=1), seed)
    else:
        bounds = share_interval(pairs, seed)
    return {key: share(*pairs.sum(axis=0)), figure.interval.rpartition(".")[2]: rounded(bounds)}


def figures_of(counts: Counts, group: str, seed: int) -> dict[str, Any]:
    """Return the figures of one part of summary.json ("": those at its top), by their keys there."""
    found: dict[str, Any] = {}
    for figure in FIGURES.values():
        if figure.part and figure.path.rpartition(".")[0] == group:
            found |= measure(counts, figure, seed)
    return found


def _right_given_wanted(counts: Counts, group: str, seed: int) -> dict[str, Any]:
    columns = {"right": group, "given": f"{group}_given", "wanted": f"{group}_wanted"}
    totals = {key: int(_sum(counts, name).sum()) for key, name in columns.items()}
    return totals | figures_of(counts, group, seed)


def _by_type(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Return the figures of the arguments of each JSON type, the most frequent first."""
    kinds = Counter(kind for result in scored for kind in result.tally.arguments)
    first, found = COLUMNS.index("arguments"), {}
    for kind, _ in kinds.most_common():
        own = by_group(scored, [result.tally.arguments.get(kind, (0, 0, 0)) for result in scored], 3)
        counts = np.zeros((len(own), len(COLUMNS)))
        counts[:, first : first + 3] = own
        found[kind] = _right_given_wanted(counts, "arguments", seed)
    return found


def _fault(counts: Counts, fault: str, seed: int) -> dict[str, Any]:
    return {"n": int(_sum(counts, fault).sum()), **measure(counts, Figure("", "share", fault, "replies"), seed)}


def pass_hat_k(scored: Sequence[Result], seed: int) -> dict[str, PassHatK] | None:
    """Return k → how likely all of k answers to a case are strictly right; None where no case has two answers.

    S. Yao et al., "τ-bench: a benchmark for tool-agent-user interaction in real-world domains" (2024), arXiv:2406.12045:
    C(c, k) / C(n, k) with c of n answers right estimates it for a case without bias; the mean is over the cases with at
    least k scored answers.
    """
    n, right, first = Counter[str](), Counter[str](), dict[str, Result]()
    for result in scored:
        n[result.id] += 1
        right[result.id] += result.correct
        first.setdefault(result.id, result)
    found = {}
    for k in range(1, max(n.values(), default=0) + 1):
        able = [identity for identity in n if n[identity] >= k]
        rows = [(comb(right[identity], k) / comb(n[identity], k), 1.0) for identity in able]
        pairs = by_group([first[identity] for identity in able], rows, 2)
        bounds = rounded(share_interval(pairs, seed))
        found[str(k)] = PassHatK(cases=len(able), value=share(*pairs.sum(axis=0)), value_ci95=bounds)
    return found if len(found) > 1 else None


def power(scored: Sequence[Result]) -> Power | None:
    """Return the least gain in strict accuracy over this run that so many clusters would show with 80% power.

    For another model that errs independently, which needs the most cases: two that err alike need fewer (eval.power).
    """
    clusters = len({result.group for result in scored})
    if not clusters:
        return None
    base = sum(result.correct for result in scored) / len(scored)
    gain = detectable(clusters, base)
    return Power(clusters=clusters, base=round(base, 4), gain=None if gain is None else round(gain, 4))


def slices(scored: Sequence[Result], rows: Sequence[Row], seed: int) -> dict[str, dict[str, SliceFigures]]:
    """Return tag → value → figures, the most frequent values first."""
    table: dict[str, dict[str, list[tuple[Result, Row]]]] = {}
    for result, row in zip(scored, rows, strict=True):
        for tag, value in result.tags.items():
            table.setdefault(tag, {}).setdefault(value, []).append((result, row))
    found = {}
    for tag, values in sorted(table.items()):
        largest_first = sorted(values.items(), key=lambda item: -len(item[1]))
        found[tag] = {value: _slice(members, seed) for value, members in largest_first}
    return found


def _slice(members: Sequence[tuple[Result, Row]], seed: int) -> SliceFigures:
    results = [result for result, _ in members]
    counts = by_group(results, [row for _, row in members])
    f1, accuracy, strict = (measure(counts, FIGURES[name], seed) for name in ("f1", "accuracy", "strict_accuracy"))
    due = int(_sum(counts, "due").sum())
    if due in (0, len(results)):
        f1 = dict.fromkeys(f1)  # one class alone cannot measure it
    small = len({result.id for result in results}) < SMALL
    return SliceFigures(n=len(results), calls=due, **f1, **accuracy, **strict, small=small)


def latency(scored: Sequence[Result]) -> dict[str, float | None]:
    """Return median and 95th percentile of seconds an answer, as the client saw them, the server's queue included."""
    seconds = [result.latency_s for result in scored if result.latency_s is not None]
    if not seconds:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def share(part: float, whole: float) -> float | None:
    """Return part/whole to four digits, or None where there is no whole."""
    return round(float(part / whole), 4) if whole else None


def rounded(interval: Interval | None) -> Interval | None:
    """Return an interval to four digits."""
    return (round(interval[0], 4), round(interval[1], 4)) if interval else None
