"""A run folder: scored, written, read, and scored again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.files import read_json, sha256, write_json, write_jsonl
from callwright.recipes import evaluate_again
from callwright.records import Baseline, Case, Key, Prediction, baseline_path, explain, read_records
from callwright.results import Decision, Result
from callwright.summary import Summary, number, value_and_interval
from eval.scoring.cases import SET_TAG, gc_paused, read_cases
from eval.scoring.predictions import read_samples
from eval.scoring.summary import decision_figures, summarise
from eval.scoring.verdict import judge

PREDICTIONS, RESULTS, SUMMARY, MANIFEST = "predictions.jsonl", "results.jsonl", "summary.json", "manifest.json"
"""the files of a run folder"""


@dataclass(frozen=True)
class WordBaseline:
    """What the n-grams of `make data` decide about the scored cases of a set."""

    lines: int
    """training lines that they saw"""
    summary: Summary
    """of which only the decision is defined"""


@dataclass(frozen=True)
class Run:
    """A run: its folder, a result a case and sample, and its manifest."""

    out: Path
    results: list[Result]
    manifest: dict[str, Any]
    asked: Mapping[str, Case] = field(default_factory=dict)
    """id → case, where the cases are still those that were asked (BFCL's are of another form); otherwise none"""

    @property
    def name(self) -> str:
        """`base`, `tuned`, or the endpoint's model."""
        return str(self.manifest["name"])

    @property
    def probe(self) -> int | None:
        """The tokens after which an answer without a hint of a call was cut, so that neither its words nor its seconds
        are those of an answer; None where none was."""
        tokens = self.manifest["fingerprint"].get("sampling", {}).get("probe_tokens")
        return tokens if isinstance(tokens, int) and tokens else None

    @cached_property
    def sets(self) -> dict[str, list[Result]]:
        """The results of each set of cases ('' where there is only one), hand-written ones first."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.tags.get(SET_TAG, ""), []).append(result)
        return dict(sorted(found.items(), key=lambda item: (item[0] != "golden", item[0])))

    @cached_property
    def summary(self) -> Summary:
        """The figures of all results."""
        return summarise(self.results)

    def summary_of(self, name: str) -> Summary:
        """Return the figures of one set of cases."""
        return self.summary if len(self.sets) == 1 else summarise(self.sets[name])

    def baseline(self, name: str) -> WordBaseline | None:
        """Return what the n-grams decide about a set of cases; None where they were not asked about all of it."""
        calls, lines = dict[str, bool](), 0
        for path, sha in self.manifest["cases"].items():
            if baseline_path(Path(path)).is_file():
                found = _read_baseline(baseline_path(Path(path)))
                calls |= found.calls if found.cases == sha else {}
                lines = found.lines
        scored = [result for result in self.sets[name] if result.scored and result.sample == 0]
        if not scored or any(result.id not in calls for result in scored):
            return None
        decided = [_decided(result, calls[result.id]) for result in scored]
        return WordBaseline(lines, Summary(decision=decision_figures(decided)))

    def title(self, name: str) -> str:
        """Return what a set of cases is called."""
        files = ", ".join(Path(path).stem for path in self.manifest["cases"])
        return name or str(self.manifest.get("suite") or "") or files

    def headline(self) -> str:
        """Return the summary in one line."""
        summary = self.summary
        f1 = value_and_interval(*summary.figure("f1"))
        scored = f"{summary.scored} of {summary.n} cases scored, {summary.infra_errors} infra errors"
        return f"{scored}: F1 {f1}, strict {number(summary.strict_accuracy)}"


def score(cases: Sequence[Case], predictions: Mapping[Key, Prediction]) -> list[Result]:
    """Score each case and sample, in the cases' order; an answer that some cases have and others lack is unscored."""
    samples = 1 + max((sample for _, sample in predictions), default=0)
    with gc_paused():
        return [
            judge(case, predictions.get((case.id, n)) or Prediction(id=case.id, error="not asked", sample=n))
            for case in cases
            for n in range(samples)
        ]


def write_scores(out: Path, results: Sequence[Result], summary: Summary) -> None:
    """Write results.jsonl and summary.json into a folder."""
    with gc_paused():
        write_jsonl(out / RESULTS, (result.model_dump() for result in results))
    write_json(out / SUMMARY, summary.model_dump())


def read_run(out: Path) -> Run:
    """Read a run folder: its answers scored again, or as they were scored where its cases have changed since or gone.

    Raises:
        UserError: it is none, or not finished.
    """
    if not (out / MANIFEST).exists():
        raise UserError(out, "is no run folder (no manifest.json)", evaluate_again(out))
    manifest = read_json(out / MANIFEST)
    hashes = {Path(path): sha for path, sha in manifest["cases"].items()}
    if all(path.exists() and sha256(path) == sha for path, sha in hashes.items()):
        cases = read_cases(list(hashes))
        results = score(cases, read_samples(out / PREDICTIONS))
        run = Run(out, results, manifest, {case.id: case for case in cases})
        write_scores(out, run.results, run.summary)
        return run
    print(f"{out}: its cases changed since they were asked, so its scores stay as they are")
    if not (out / RESULTS).exists():
        raise UserError(out, "is no finished run folder", evaluate_again(out))
    return Run(out, read_records(out / RESULTS, Result), manifest)


def unchecked_cases(results: Sequence[Result]) -> list[str]:
    """Name each case with an answer that could not be checked, and say why."""
    why = {result.id: result.detail for result in results if result.verdict == "unchecked"}
    return [f"{identity}: {detail}" for identity, detail in why.items()]


def _read_baseline(path: Path) -> Baseline:
    try:
        return Baseline.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "drop the file, or run make data again") from None


def _decided(result: Result, calls: bool) -> Result:
    """Return the result of a model that decides so."""
    right: Decision = "tp" if calls else "fn"
    if not result.expected:
        right = "fp" if calls else "tn"
    return result.model_copy(update={"decision": right})
