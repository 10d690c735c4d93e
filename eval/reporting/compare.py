"""Two models on the same cases: intervals side by side, the differences, and whether they could be chance.

python -m eval.compare runs/a/eval/golden/tuned runs/b/eval/golden/tuned --out compare.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from callwright.errors import UserError
from callwright.files import to_json
from callwright.recipes import evaluate_again
from eval.reporting import pages
from eval.reporting.runs import refresh
from eval.scoring.metrics import by_group
from eval.scoring.replies import reply_faults
from eval.scoring.stats import SEED, Counts, Interval, McNemar, f1, mcnemar, paired_bootstrap, randomisation_p, ratio
from eval.scoring.summary import DECISIONS
from eval.scoring.verdict import STAGES, Result

COLUMNS = (
    *("tp", "fp", "fn", "tn", "right", "all", "emitted", "parsed", "valid", "names", "given", "wanted"),
    *("arguments", "arguments_given", "arguments_wanted", "arrived", "asked", "unbroken", "replies"),
)
"""what is counted, an answer"""

SHARES = {
    "f1": ("tp tp", "tp tp fp fn"),
    "precision": ("tp", "tp fp"),
    "recall": ("tp", "tp fn"),
    "accuracy": ("tp tn", "all"),
    "strict_accuracy": ("right", "all"),
    "parse_rate": ("parsed", "emitted"),
    "schema_valid_rate": ("valid", "emitted"),
    "name_precision": ("names", "given"),
    "name_recall": ("names", "wanted"),
    "name_f1": ("names names", "given wanted"),
    "argument_precision": ("arguments", "arguments_given"),
    "argument_recall": ("arguments", "arguments_wanted"),
    "argument_f1": ("arguments arguments", "arguments_given arguments_wanted"),
    "fidelity": ("arrived", "asked"),
    "unbroken_replies": ("unbroken", "replies"),
}
"""figure, by its name in eval.figures → the columns whose sum is divided by the sum of others"""


def _counts(result: Result) -> list[float]:
    tally, reply = result.tally, result.replied
    return [
        *(result.decision == key for key in DECISIONS),
        *(result.correct, 1, tally.emitted, tally.parsed, tally.valid),
        *(tally.names, len(result.got), len(result.expected)),
        *(sum(column) for column in zip((0, 0, 0), *tally.arguments.values(), strict=True)),
        *tally.slots,
        *(reply and not reply_faults(result), reply),
    ]


@dataclass(frozen=True)
class Gain:
    """A figure of B less that of A."""

    value: float | None
    ci95: Interval | None
    """paired bootstrap, clustered by group"""


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
    def f1_gain(self) -> float | None:
        """F1 of B less F1 of A."""
        return self.gains["f1"].value

    @property
    def f1_gain_ci95(self) -> Interval | None:
        """Its interval."""
        return self.gains["f1"].ci95

    def changed(self) -> list[tuple[str, Result, Result]]:
        """The cases that went another way: only B right, only A right, both wrong with another verdict."""
        kinds = {(True, False): "only A right", (False, True): "only B right", (False, False): "both wrong"}
        differ = [(a, b) for a, b in zip(self.a, self.b, strict=True) if a.verdict != b.verdict]
        found, order = [(kinds[a.correct, b.correct], a, b) for a, b in differ], [*kinds.values()]
        return sorted(found, key=lambda one: (order.index(one[0]), *(STAGES.index(r.verdict) for r in one[1:])))


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
    counts_a, counts_b = (by_group(left, [_counts(r) for r in side], len(COLUMNS)) for side in (left, right))
    groups = [x.group for x in left]
    decisions_a, decisions_b = (side[:, : len(DECISIONS)] for side in (counts_a, counts_b))
    return Comparison(
        a=left,
        b=right,
        gains={name: _gain(counts_a, counts_b, share, seed) for name, share in SHARES.items()},
        decided=mcnemar([x.decided_right for x in left], [y.decided_right for y in right], groups),
        strict=mcnemar([x.correct for x in left], [y.correct for y in right], groups),
        f1_p=randomisation_p(decisions_a, decisions_b, f1, seed),
    )


def case_key(result: Result) -> str:
    """What two runs' results of one case have in common."""
    return to_json([result.key, result.text, [call.model_dump() for call in result.expected]])


def _gain(a: Counts, b: Counts, share: tuple[str, str], seed: int) -> Gain:
    columns = [[COLUMNS.index(name) for name in names.split()] for names in share]
    a, b = (np.stack([side[:, kept].sum(axis=1) for kept in columns], axis=1) for side in (a, b))
    value = float(ratio(b.sum(axis=0)) - ratio(a.sum(axis=0)))
    return Gain(None, None) if np.isnan(value) else Gain(value, paired_bootstrap(a, b, ratio, seed))


def view(a: Path, b: Path) -> dict[str, Any]:
    """What the page and the console say about two run folders.

    Raises:
        UserError: one is none, or they share no case.
    """
    runs = [("A", refresh(a)), ("B", refresh(b))]
    left, right = (run for _, run in runs)
    sections, changed = [], []
    for name in left.sets:
        if found := compare(left.of(name), right.results):
            models, probes = [("A", found.a), ("B", found.b)], [run.probe for _, run in runs]
            sections.append(pages.section(left.title(name), models, found, probes, left.baseline(name)))
            changed += found.changed()
    if not sections:
        for one in (left, right):
            if not any(result.scored for result in one.results):
                raise UserError(one.out, "none of its cases was answered", evaluate_again(one.out))
        asked = [", ".join(f"{path} {sha[:16]}" for path, sha in run.manifest["cases"].items()) for _, run in runs]
        fault = f"no case of it was scored in {b} as well: A asked {asked[0]}; B asked {asked[1]}"
        raise UserError(a, fault, "compare two runs over the same cases")
    shared = sum(section["comparison"].n for section in sections)
    scored = [sum(result.scored for result in run.results) for _, run in runs]
    answered = [f"{n} of {len(run.results)} in {name}" for (name, run), n in zip(runs, scored, strict=True)]
    shown = pages.spread(changed, lambda one: one[0])
    entries = [pages.entry(kind, [("A", x), ("B", y)], left.asked.get(x.id)) for kind, x, y in shown]
    return {
        "title": f"{left.name} against {right.name}",
        "runs": runs,
        "about": f"{shared} cases are scored in both: {scored[0]} in A, {scored[1]} in B"
        f" (answered: {', '.join(answered)}). B less A is the gain.",
        "sections": sections,
        "cases_shown": entries,
        "tools": pages.tools_of(entries),
        "changes": len(changed),
        "hidden": len(changed) - len(shown),
        "seed": SEED,
    }
