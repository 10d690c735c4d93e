"""Show a run, alone or against its base, and two runs against each other: on the console and as a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.recipes import evaluate_again
from callwright.results import STAGES, Result
from callwright.tasks import golden_gaps
from eval.reporting import console, pages
from eval.reporting.compare import case_key, compare
from eval.reporting.section import Section, make_section, model_of
from eval.scoring.attribution import CAUSES, read_attribution
from eval.scoring.cases import SET_TAG
from eval.scoring.runs import Run
from eval.scoring.stats import SEED

REPORT = "report.html"


@dataclass(frozen=True)
class Report:
    """A run beside its base, if it has one: made once, then shown on the console, as a page and to CI."""

    run: Run
    base: Run | None
    sections: list[Section]
    doubts: list[str]
    """why the cases measure little"""

    def print(self) -> None:
        """Print about a dozen lines a set of cases."""
        console.show(self.sections)
        print("".join(f"warning: {doubt}\n" for doubt in self.doubts), end="")

    def write(self) -> Path:
        """Write report.html into the run folder; return its path."""
        return pages.write_page("report.html.j2", self._view(), self.run.out / REPORT)

    def _view(self) -> dict[str, Any]:
        run, base = self.run, self.base
        order = sorted(run.results, key=lambda r: (r.tags.get(SET_TAG, "") != "golden", STAGES.index(r.verdict)))
        shown = pages.take_turns(order, lambda result: (result.tags.get(SET_TAG), result.verdict))
        others = {case_key(result): result for result in base.results} if base else {}
        entries = []
        for result in shown:
            sides = [(run.name, result)]
            if base and (other := others.get(case_key(result))):
                sides.insert(0, (base.name, other))
            entries.append(pages.entry("", sides, run.asked.get(result.id)))
        return {
            "run": run,
            "base": base,
            "title": run.manifest.get("recipe", {}).get("stem") or run.name,
            "doubts": self.doubts,
            "sections": self.sections,
            "attribution": read_attribution(run.out),
            "causes": CAUSES,
            "cases_shown": entries,
            "tools": pages.tools_of(entries),
            "hidden": len(order) - len(shown),
            "wrong": sum(result.scored and not result.correct for result in run.results),
        }


def make_report(run: Run, base: Run | None = None) -> Report:
    """Lay out a run, each set of its cases against its base where there is one."""
    sections, doubts = [], []
    for name, results in run.sets.items():
        models = [model_of(one, name, one.sets.get(name, [])) for one in (base, run) if one]
        comparison = compare(base.sets.get(name, []), results) if base else None
        sections.append(make_section(run.title(name), models, comparison, run.baseline(name)))
        # BFCL's conversations hold their expected calls elsewhere: the decision says that one was due.
        first = [result for result in results if result.sample == 0]
        due = [(result.id, bool(result.expected) or result.decision in ("tp", "fn")) for result in first]
        doubts += golden_gaps(due, run.title(name))
    return Report(run, base, sections, doubts)


@dataclass(frozen=True)
class Duel:
    """Two runs on the cases that both were scored on: A, and B, of which the gain is told."""

    a: Run
    b: Run
    sections: list[Section]
    changed: list[tuple[str, Result, Result]]

    @property
    def about(self) -> str:
        """How many cases both were scored on."""
        shared = sum(section.comparison.n for section in self.sections if section.comparison)
        scored = [sum(result.scored for result in run.results) for run in (self.a, self.b)]
        answered = [
            f"{n} of {len(run.results)} in {name}" for name, run, n in zip("AB", (self.a, self.b), scored, strict=True)
        ]
        return (
            f"{shared} cases are scored in both: {scored[0]} in A, {scored[1]} in B"
            f" (answered: {', '.join(answered)}). B less A is the gain."
        )

    def write(self, path: Path) -> Path:
        """Write the page that shows them; return its path."""
        shown = pages.take_turns(self.changed, lambda change: change[0])
        entries = [pages.entry(kind, [("A", x), ("B", y)], self.a.asked.get(x.id)) for kind, x, y in shown]
        view = {
            "title": f"{self.a.name} against {self.b.name}",
            "runs": [("A", self.a), ("B", self.b)],
            "about": self.about,
            "sections": self.sections,
            "cases_shown": entries,
            "tools": pages.tools_of(entries),
            "changes": len(self.changed),
            "hidden": len(self.changed) - len(shown),
            "seed": SEED,
        }
        return pages.write_page("compare.html.j2", view, path)


def make_duel(a: Run, b: Run) -> Duel:
    """Lay out two runs against each other.

    Raises:
        UserError: they share no scored case.
    """
    sections, changed = [], []
    for name, results in a.sets.items():
        if found := compare(results, b.results):
            models = [model_of(a, name, found.a, "A"), model_of(b, name, found.b, "B")]
            sections.append(make_section(a.title(name), models, found, a.baseline(name)))
            changed += found.changed()
    if not sections:
        _refuse_strangers([a, b])
    return Duel(a, b, sections, changed)


def _refuse_strangers(runs: Sequence[Run]) -> None:
    for run in runs:
        if not any(result.scored for result in run.results):
            raise UserError(run.out, "none of its cases was answered", evaluate_again(run.out))
    a, b = (", ".join(f"{path} {sha[:16]}" for path, sha in run.manifest["cases"].items()) for run in runs)
    fault = f"no case of it was scored in {runs[1].out} as well: A asked {a}; B asked {b}"
    raise UserError(runs[0].out, fault, "compare two runs over the same cases")
