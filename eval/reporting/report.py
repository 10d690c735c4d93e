"""Draw a run's report: one HTML file that needs nothing else, base against tuned first; and what CI reads.

python -m eval.report runs/smollm2-135m_lora/eval/golden/tuned --base runs/smollm2-135m_lora/eval/golden/base
"""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from callwright.errors import UserError
from callwright.files import read_json
from callwright.records import explain
from callwright.tasks import golden_gaps
from eval.reporting import console, pages
from eval.reporting.compare import case_key, compare
from eval.reporting.runs import Run, load_run
from eval.scoring.attribution import ATTRIBUTION, Cause, Row
from eval.scoring.cases import SET_TAG
from eval.scoring.verdict import STAGES

REPORT = "report.html"

CAUSES: dict[Cause, str] = {
    "server": "its parser, or the prompt that it makes of the tools, loses what the model can do",
    "model and server": "through the server no call arrives, and the raw one is wrong as well",
    "model": "wrong both ways",
    "raw prompt": "right only with the prompt that the server makes",
    "both right": "right both ways",
    "unscored": "one of the two got no answer",
}


def sections(run: Run, base: Run | None) -> list[dict[str, Any]]:
    """The sets of cases of a run, each against its base where there is one."""
    found = []
    for name in run.sets:
        models = [(one.name, one.of(name)) for one in (base, run) if one]
        probes = [one.probe for one in (base, run) if one]
        comparison = compare(base.of(name), run.of(name)) if base else None
        found.append(pages.section(run.title(name), models, comparison, probes, run.baseline(name)))
    return found


def doubts(run: Run) -> list[str]:
    """Say why the cases of a run measure little: made-up lines, one label only, few of them."""
    found = []
    for name in run.sets:
        first = [result for result in run.of(name) if result.sample == 0]
        # BFCL's conversations hold their expected calls elsewhere: the decision says that one was due.
        lines = [(result.id, bool(result.expected) or result.decision in ("tp", "fn")) for result in first]
        found += golden_gaps(lines, run.title(name))
    return found


def print_summary(run: Run, base: Run | None = None) -> None:
    """Print the run, beside its base where there is one, in about a dozen lines a set of cases."""
    console.show([console.lines(section) for section in sections(run, base)])
    print("".join(f"warning: {doubt}\n" for doubt in doubts(run)), end="")


def write_report(out: Path, base: Path | None = None) -> Path:
    """Draw a run folder's report.html, against `base` where it is given; return its path."""
    return pages.draw("report.html.j2", view(load_run(out), load_run(base) if base else None), out / REPORT)


def view(run: Run, base: Run | None) -> dict[str, Any]:
    """What the template shows."""
    order = sorted(run.results, key=lambda r: (r.tags.get(SET_TAG, "") != "golden", STAGES.index(r.verdict)))
    shown = pages.spread(order, lambda r: (r.tags.get(SET_TAG), r.verdict))
    others = {case_key(result): result for result in base.results} if base else {}
    entries = []
    for result in shown:
        other = others.get(case_key(result))
        sides = [(base.name, other)] if base and other else []
        entries.append(pages.entry("", [*sides, (run.name, result)], run.asked.get(result.id)))
    return {
        "run": run,
        "base": base,
        "title": run.manifest.get("recipe", {}).get("stem") or run.name,
        "doubts": doubts(run),
        "sections": sections(run, base),
        "attribution": read_attribution(run.out / ATTRIBUTION),
        "causes": CAUSES,
        "cases_shown": entries,
        "tools": pages.tools_of(entries),
        "hidden": len(order) - len(shown),
        "wrong": sum(result.scored and not result.correct for result in run.results),
    }


def read_attribution(path: Path) -> list[Row]:
    """What eval.attribution found; nothing where it did not look.

    Raises:
        UserError: the file is broken.
    """
    if not path.exists():
        return []
    try:
        return TypeAdapter(list[Row]).validate_python(read_json(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "run the evaluation again") from None
