"""Score predictions against cases, without any network: results.jsonl (a verdict a case) and summary.json.

python -m eval.score --cases data/image_intent_golden.jsonl --predictions PREDICTIONS --out DIR
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_json, sha256, write_json, write_jsonl
from callwright.recipes import evaluate_again
from callwright.records import Case, Key, Prediction
from eval.scoring.cases import read_cases, uncollected
from eval.scoring.predictions import read_samples
from eval.scoring.verdict import Result, judge

PREDICTIONS, RESULTS, SUMMARY, MANIFEST = "predictions.jsonl", "results.jsonl", "summary.json", "manifest.json"
"""the files of a run folder"""


@uncollected()
def score(cases: Sequence[Case], predictions: Mapping[str, Prediction]) -> list[Result]:
    """One result a case, in the cases' order."""
    return [judge(case, predictions.get(case.id)) for case in cases]


@uncollected()
def score_samples(cases: Sequence[Case], predictions: Mapping[Key, Prediction]) -> list[Result]:
    """One result a case and sample, in the cases' order; an answer that some cases have and others lack is unscored."""
    samples = 1 + max((sample for _, sample in predictions), default=0)
    return [
        judge(case, predictions.get((case.id, n)) or Prediction(id=case.id, error="not asked", sample=n))
        for case in cases
        for n in range(samples)
    ]


@uncollected()
def write_scores(out: Path, results: Sequence[Result]) -> dict[str, Any]:
    """Write results.jsonl and summary.json into `out`; return the summary."""
    from eval.scoring.summary import summarise

    summary = summarise(results)
    write_jsonl(out / RESULTS, (result.model_dump() for result in results))
    write_json(out / SUMMARY, summary)
    return summary


def rescore(out: Path) -> bool:
    """Score a run folder's answers again; False where its cases have changed or gone since they were asked.

    Raises:
        UserError: there is no such run.
    """
    if not (out / MANIFEST).exists():
        raise UserError(out, "is no run folder (no manifest.json)", evaluate_again(out))
    asked = {Path(path): sha for path, sha in read_json(out / MANIFEST)["cases"].items()}
    if not all(path.exists() and sha256(path) == sha for path, sha in asked.items()):
        return False
    write_scores(out, score_samples(read_cases(list(asked)), read_samples(out / PREDICTIONS)))
    return True


def headline(summary: Mapping[str, Any]) -> str:
    """The summary in one line."""
    trigger = summary["decision"]
    figures = f"F1 {number(trigger['f1'])} {interval(trigger['ci95'])}, strict {number(summary['strict_accuracy'])}"
    return f"{summary['scored']} of {summary['n']} cases scored, {summary['infra_errors']} infra errors: {figures}"


def unchecked_cases(results: Sequence[Result]) -> list[str]:
    """Name each case with an answer that could not be checked, and say why."""
    why = {result.id: result.detail for result in results if result.verdict == "unchecked"}
    return [f"{identity}: {detail}" for identity, detail in why.items()]


def number(value: float | None) -> str:
    """A share as people read it."""
    return "–" if value is None else f"{value:.3f}"


def interval(bounds: Sequence[float] | None) -> str:
    """An interval as people read it."""
    return "" if bounds is None else f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"
