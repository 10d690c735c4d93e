"""A run folder, read: what reports and comparisons are made of."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.files import read_json, sha256
from callwright.recipes import evaluate_again
from callwright.records import Baseline, Case, baseline_path, explain, read_records
from eval.scoring.cases import SET_TAG, read_cases
from eval.scoring.score import MANIFEST, RESULTS, rescore
from eval.scoring.summary import decision
from eval.scoring.verdict import Decision, Result


@dataclass(frozen=True)
class Run:
    """A run folder, read."""

    out: Path
    results: list[Result]
    manifest: dict[str, Any]

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
    def asked(self) -> dict[str, Case]:
        """Id → case, where the files are cases (BFCL's are not) and still those that were asked; otherwise none."""
        files = [Path(path) for path, sha in self.manifest["cases"].items() if _is(Path(path), sha)]
        if len(files) < len(self.manifest["cases"]):
            return {}
        try:
            return {case.id: case for case in read_cases(files)}
        except UserError:
            return {}

    def baseline(self, name: str) -> dict[str, Any] | None:
        """What the n-grams of `make data` decide about the scored cases of a set, as a summary has it; None without them."""
        calls, lines = dict[str, bool](), 0
        for path, sha in self.manifest["cases"].items():
            if baseline_path(Path(path)).is_file():
                found = _read_baseline(baseline_path(Path(path)))
                calls |= found.calls if found.cases == sha else {}
                lines = found.lines
        scored = [result for result in self.of(name) if result.scored and result.sample == 0]
        if not scored or any(result.id not in calls for result in scored):
            return None
        decided = [_decided(result, calls[result.id]) for result in scored]
        return {"lines": lines, "decision": decision(decided)}

    def of(self, name: str) -> list[Result]:
        """The results of one set of cases; '' where there is only one."""
        return [result for result in self.results if result.tags.get(SET_TAG, "") == name]

    @property
    def sets(self) -> list[str]:
        """The sets that the cases come from, hand-written ones first."""
        return sorted({result.tags.get(SET_TAG, "") for result in self.results}, key=lambda s: (s != "golden", s))

    def title(self, name: str) -> str:
        """What a set of cases is called."""
        files = ", ".join(Path(path).stem for path in self.manifest["cases"])
        return name or str(self.manifest.get("suite") or "") or files


def _read_baseline(path: Path) -> Baseline:
    try:
        return Baseline.model_validate(read_json(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "drop the file, or run make data again") from None


def _is(path: Path, sha: str) -> bool:
    return path.is_file() and sha256(path) == sha


def _decided(result: Result, calls: bool) -> Result:
    """The result of a model that decides so."""
    found: Decision = ("tp" if calls else "fn") if result.expected else ("fp" if calls else "tn")
    return result.model_copy(update={"decision": found})


def load_run(out: Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: it is none.
    """
    if not (out / MANIFEST).exists() or not (out / RESULTS).exists():
        raise UserError(out, "is no finished run folder", evaluate_again(out))
    return Run(out, read_records(out / RESULTS, Result), read_json(out / MANIFEST))


def refresh(out: Path) -> Run:
    """Score a run folder's answers again where its cases are still those that were asked, and read it."""
    if not rescore(out):
        print(f"{out}: its cases changed since they were asked, so its scores stay as they are")
    return load_run(out)
