"""A run folder, read: what reports and comparisons are made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_json
from callwright.recipes import evaluate_again
from callwright.records import read_records
from eval.cases import SET_TAG
from eval.score import MANIFEST, RESULTS, rescore
from eval.verdict import Result


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
    def probed(self) -> bool:
        """Whether answers were left after a few tokens without a hint of a call: such replies cannot be judged."""
        return bool(self.manifest["fingerprint"].get("sampling", {}).get("probe_tokens"))

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
