"""From results to `summary.json`: decision, strict accuracy, verdicts, slices, latency, each with its interval."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval.scoring import metrics
from eval.scoring.metrics import by_group, rounded, share, shares
from eval.scoring.stats import SEED, Counts, detectable, f1_interval
from eval.scoring.verdict import STAGES, Decision, Result

SMALL = 30
"""a slice of fewer cases is flagged: its interval says more than its number"""

DECISIONS: tuple[Decision, ...] = ("tp", "fp", "fn", "tn")


def summarise(results: Sequence[Result], seed: int = SEED) -> dict[str, Any]:
    """The contents of summary.json.

    Unscored answers count in `n`, in `verdicts` and, where the endpoint failed, in `infra_errors`, and nowhere else.

    Where a case was asked several times, every answer counts, clustered by case: `n` are answers.

    Shares without a denominator (precision where nothing was called) are null, never 0.
    """
    scored = [result for result in results if result.scored]
    verdicts = Counter(result.verdict for result in results)
    abstained = [result for result in scored if result.decision == "tn" and result.correct]
    return {
        "n": len(results),
        "cases": len({result.id for result in results}),
        "scored": len(scored),
        "infra_errors": verdicts["infra_error"],
        "decision": decision(scored, seed),
        **strict(scored, seed),
        **metrics.calls(scored, seed),
        "names": metrics.names(scored, seed),
        "arguments": metrics.arguments(scored, seed),
        "fidelity": metrics.fidelity(scored, seed),
        "replies": metrics.unbroken_replies(scored, seed),
        "pass_hat_k": metrics.pass_hat_k(scored, seed),
        "power": power(scored),
        "verdicts": {stage: verdicts[stage] for stage in STAGES if verdicts[stage]},
        "abstentions": {
            "clean": len(abstained),
            "malformed_attempt": sum(r.verdict == "malformed_attempt" and not r.expected for r in scored),
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
    counts = decision_counts(scored)
    tp, fp, fn, tn = counts.T
    return {
        **{key: int(column.sum()) for key, column in zip(DECISIONS, counts.T, strict=True)},
        "f1": share(2 * tp.sum(), (2 * tp + fp + fn).sum()),
        "ci95": rounded(f1_interval(counts, seed)),
        **shares("precision", tp, tp + fp, seed),
        **shares("recall", tp, tp + fn, seed),
        **shares("accuracy", tp + tn, tp + fp + fn + tn, seed),
    }


def strict(scored: Sequence[Result], seed: int = SEED) -> dict[str, Any]:
    """Strict accuracy: the share of cases in which everything is right."""
    right, n = strict_counts(scored).T
    return shares("strict_accuracy", right, n, seed)


def power(scored: Sequence[Result]) -> dict[str, Any] | None:
    """The least gain in strict accuracy over this run that so many clusters would show with 80% power.

    For another model that errs independently, which needs the most cases: two that err alike need fewer (eval.power).
    """
    clusters = len({result.group for result in scored})
    if not clusters:
        return None
    base = sum(result.correct for result in scored) / len(scored)
    gain = detectable(clusters, base)
    return {"clusters": clusters, "base": round(base, 4), "gain": None if gain is None else round(gain, 4)}


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
        **strict(members, seed),
        "small": len({member.id for member in members}) < SMALL,
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
    return by_group(scored, [[float(result.decision == key) for key in DECISIONS] for result in scored], 4)


def strict_counts(scored: Sequence[Result]) -> Counts:
    """Right and all cases of each cluster, (clusters, 2)."""
    return by_group(scored, [[float(result.correct), 1.0] for result in scored], 2)
