"""Figures below the verdict, each share with its interval: calls read and valid, names, arguments, words, replies, pass^k."""

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.scoring.replies import FAULTS, reply_faults
from eval.scoring.stats import Counts, f1_interval, share_interval
from eval.scoring.verdict import Result

Column = NDArray[np.float64]
"""something counted, a number a cluster"""


def by_group(results: Sequence[Result], rows: Sequence[Sequence[float]], width: int) -> Counts:
    """Sum what was counted, a row of `width` numbers a result, over each cluster: (clusters, width)."""
    groups = {group: index for index, group in enumerate(dict.fromkeys(result.group for result in results))}
    counts = np.zeros((len(groups), width))
    if results:
        np.add.at(counts, [groups[result.group] for result in results], rows)
    return counts


def shares(name: str, part: Column, whole: Column, seed: int) -> dict[str, Any]:
    """A share and its interval, as `name` and `name_ci95`."""
    return {
        name: share(part.sum(), whole.sum()),
        f"{name}_ci95": rounded(share_interval(np.stack([part, whole], axis=1), seed)),
    }


def calls(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Of the calls that were begun, how many the server returned in a form that can be read, and how many of all fit the
    schema of an offered tool. Calls that stand in the text, whole or broken, were begun and returned by nobody."""
    rows = [(result.tally.emitted, result.tally.parsed, result.tally.valid) for result in scored]
    emitted, parsed, valid = by_group(scored, rows, 3).T
    return {
        "emitted_calls": int(emitted.sum()),
        **shares("parse_rate", parsed, emitted, seed),
        **shares("schema_valid_rate", valid, emitted, seed),
    }


def names(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Tool names over all calls that were returned and all that were expected."""
    rows = [(result.tally.names, len(result.got), len(result.expected)) for result in scored]
    return _prf(by_group(scored, rows, 3), seed)


def arguments(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Arguments of the calls that are paired with an expected one of their name; `by_type` has the same a JSON type.

    A call that is missing, unasked or of another tool counts in `names` alone.
    """
    none = (0, 0, 0)
    kinds = Counter(kind for result in scored for kind in result.tally.arguments)
    counts = {
        kind: by_group(scored, [result.tally.arguments.get(kind, none) for result in scored], 3)
        for kind, _ in kinds.most_common()
    }
    total = sum(counts.values(), start=by_group(scored, [none] * len(scored), 3))
    return {**_prf(total, seed), "by_type": {kind: _prf(table, seed) for kind, table in counts.items()}}


def _prf(counts: Counts, seed: int) -> dict[str, Any]:
    """Precision, recall and F1 of clusters' right, given and wanted, (clusters, 3)."""
    right, given, wanted = counts.T
    return {
        "right": int(right.sum()),
        "given": int(given.sum()),
        "wanted": int(wanted.sum()),
        **shares("precision", right, given, seed),
        **shares("recall", right, wanted, seed),
        "f1": share(2 * right.sum(), given.sum() + wanted.sum()),
        "ci95": rounded(f1_interval(np.stack([right, given - right, wanted - right], axis=1), seed)),
    }


def fidelity(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Words of `contains` matchers that arrived, in the calls that are paired with an expected one of their name."""
    arrived, asked = by_group(scored, [result.tally.slots for result in scored], 2).T
    return {"slots": int(asked.sum()), "arrived": int(arrived.sum()), **shares("share", arrived, asked, seed)}


def unbroken_replies(scored: Sequence[Result], seed: int) -> dict[str, Any]:
    """Of the replies in words where no call was due, how many show no fault of eval.replies, and how many each fault.

    Whether a reply answers what was asked is not looked at.
    """
    replies = [result for result in scored if result.replied]
    faults = [reply_faults(result) for result in replies]
    rows = [[1, not found, *(fault in found for fault in FAULTS)] for found in faults]
    whole, unbroken, *each = by_group(replies, rows, 2 + len(FAULTS)).T
    return {
        "n": len(replies),
        "unbroken": int(unbroken.sum()),
        **shares("share", unbroken, whole, seed),
        "faults": {
            fault: {"n": int(part.sum()), **shares("share", part, whole, seed)}
            for fault, part in zip(FAULTS, each, strict=True)
        },
    }


def pass_hat_k(scored: Sequence[Result], seed: int) -> dict[str, dict[str, Any]] | None:
    """k → how likely all of k answers to a case are strictly right; None where no case has two answers.

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
        part, whole = by_group([first[identity] for identity in able], rows, 2).T
        found[str(k)] = {"cases": len(able), **shares("value", part, whole, seed)}
    return found if len(found) > 1 else None


def share(part: float, whole: float) -> float | None:
    """part/whole to four digits, or None where there is no whole."""
    return round(float(part / whole), 4) if whole else None


def rounded(interval: tuple[float, float] | None) -> list[float] | None:
    """An interval to four digits, as JSON holds it."""
    return [round(bound, 4) for bound in interval] if interval else None
