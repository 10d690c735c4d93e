"""From results to `summary.json`: decision, strict accuracy, verdicts, slices, latency, each with its interval."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.stats import SEED, Counts, bootstrap, f1_interval, wilson
from eval.verdict import STAGES, Decision, Result

SMALL = 30
"""a slice of fewer cases is flagged: its interval says more than its number"""

DECISIONS: tuple[Decision, ...] = ("tp", "fp", "fn", "tn")


def summarise(results: Sequence[Result], seed: int = SEED) -> dict[str, Any]:
    """The contents of summary.json. Unscored cases are counted in `infra_errors` and nowhere else.

    Shares without a denominator (precision where nothing was called) are null, never 0.
    """
    scored = [result for result in results if result.scored]
    verdicts = Counter(result.verdict for result in results)
    abstained = [result for result in scored if result.decision == "tn" and result.correct]
    return {
        "n": len(results),
        "scored": len(scored),
        "infra_errors": len(results) - len(scored),
        "decision": decision(scored, seed),
        **strict(scored, seed),
        "verdicts": {stage: verdicts[stage] for stage in STAGES if verdicts[stage]},
        "abstentions": {
            "clean": len(abstained),
            "malformed_attempt": verdicts["malformed_attempt"],
            "false_call": verdicts["false_call"],
            "empty": sum(not (result.content or "").strip() for result in abstained),
            "cut": sum(result.finish_reason == "length" for result in abstained),
        },
        "slices": slices(scored, seed),
        "latency": latency(scored),
        "completion_tokens": sum(result.completion_tokens or 0 for result in scored),
        "seed": seed,
    }


def decision(scored: Sequence[Result], seed: int = SEED) -> dict[str, Any]:
    """The decision to call: counts, trigger precision, recall and F1. `ci95` is F1's, clustered by group."""
    count = Counter(result.decision for result in scored)
    tp, fp, fn, tn = (count[key] for key in DECISIONS)
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "precision": share(tp, tp + fp),
        "recall": share(tp, tp + fn),
        "f1": share(2 * tp, 2 * tp + fp + fn),
        "ci95": rounded(f1_interval(decision_counts(scored), seed)) if scored else None,
        "precision_ci95": rounded(wilson(tp, tp + fp)),
        "recall_ci95": rounded(wilson(tp, tp + fn)),
        "accuracy": share(tp + tn, len(scored)),
        "accuracy_ci95": rounded(wilson(tp + tn, len(scored))),
    }


def strict(scored: Sequence[Result], seed: int = SEED) -> dict[str, Any]:
    """Strict accuracy: the share of cases in which everything is right; Wilson where no cluster has two cases."""
    right, n = sum(result.correct for result in scored), len(scored)
    clustered = len({result.group for result in scored}) < n and 0 < right < n
    interval = bootstrap(strict_counts(scored), _ratio, seed) if clustered else wilson(right, n)
    return {"strict_accuracy": share(right, n), "strict_accuracy_ci95": rounded(interval)}


def slices(scored: Sequence[Result], seed: int = SEED) -> dict[str, dict[str, dict[str, Any]]]:
    """tag → value → figures. F1 is null where a slice lacks positives or negatives: one class cannot measure it."""
    table: dict[str, dict[str, list[Result]]] = {}
    for result in scored:
        for tag, value in result.tags.items():
            table.setdefault(tag, {}).setdefault(value, []).append(result)
    return {
        tag: {value: _slice(members, seed) for value, members in sorted(values.items(), key=lambda kv: -len(kv[1]))}
        for tag, values in sorted(table.items())
    }


def _slice(members: Sequence[Result], seed: int) -> dict[str, Any]:
    figures = decision(members, seed)
    both = figures["tp"] + figures["fn"] > 0 and figures["fp"] + figures["tn"] > 0
    return {
        "n": len(members),
        "calls": figures["tp"] + figures["fn"],
        "f1": figures["f1"] if both else None,
        "ci95": figures["ci95"] if both else None,
        "accuracy": figures["accuracy"],
        "accuracy_ci95": figures["accuracy_ci95"],
        "strict_accuracy": share(sum(member.correct for member in members), len(members)),
        "small": len(members) < SMALL,
    }


def latency(scored: Sequence[Result]) -> dict[str, float | None]:
    """Median and 95th percentile of seconds an answer, as the client saw them, waiting in the server's queue included."""
    seconds = [result.latency_s for result in scored if result.latency_s is not None]
    if not seconds:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(seconds, [50, 95])
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def decision_counts(scored: Sequence[Result]) -> Counts:
    """tp, fp, fn, tn of each cluster, (clusters, 4)."""
    return _by_group(scored, [[float(result.decision == key) for key in DECISIONS] for result in scored])


def strict_counts(scored: Sequence[Result]) -> Counts:
    """Right and all cases of each cluster, (clusters, 2)."""
    return _by_group(scored, [[float(result.correct), 1.0] for result in scored])


def _by_group(scored: Sequence[Result], rows: list[list[float]]) -> Counts:
    groups = {group: index for index, group in enumerate(dict.fromkeys(result.group for result in scored))}
    counts = np.zeros((len(groups), len(rows[0])))
    np.add.at(counts, [groups[result.group] for result in scored], rows)
    return counts


def _ratio(counts: Counts) -> Counts:
    return np.asarray(counts[..., 0] / counts[..., 1])


def share(part: int, whole: int) -> float | None:
    """part/whole to four digits, or None where there is no whole."""
    return round(part / whole, 4) if whole else None


def rounded(interval: tuple[float, float] | None) -> list[float] | None:
    """An interval to four digits, as JSON holds it."""
    return [round(bound, 4) for bound in interval] if interval else None
