"""Draw a run's report: one HTML file that needs nothing else, base against tuned first.

python -m eval.report runs/smollm2-135m_lora/eval/golden/tuned --base runs/smollm2-135m_lora/eval/golden/base
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError, command
from callwright.files import read_json, to_json, write_text
from callwright.records import read_records
from eval import console
from eval.cases import SET_TAG
from eval.compare import Comparison, compare
from eval.score import MANIFEST, RESULTS, interval, number, rescore
from eval.summary import SMALL, summarise
from eval.verdict import STAGES, Result

REPORT = "report.html"

MAX_FAILURES = 300
"""shown in full; the rest is in results.jsonl"""

MEANING = {
    "infra_error": "the endpoint did not answer: unscored",
    "truncated": "cut at the token limit",
    "no_call": "plain text where a call was due",
    "text_call_unparsed": "a whole call in the text that the server did not return",
    "bad_json": "a call that cannot be read",
    "unknown_tool": "a tool that was not on offer",
    "wrong_tool": "another tool than expected",
    "missing_call": "fewer calls than expected",
    "extra_call": "more calls than expected",
    "missing_required": "an argument is missing",
    "extra_argument": "an argument too many",
    "wrong_type": "an argument of the wrong type",
    "schema_violation": "an argument that breaks the schema",
    "wrong_value": "an argument with the wrong value",
    "state_mismatch": "the tools ended in another state",
    "false_call": "a call where none was due",
    "malformed_attempt": "a broken call where none was due",
    "correct": "all right",
}


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

    def of(self, name: str) -> list[Result]:
        """The results of one set of cases; '' where there is only one."""
        return [result for result in self.results if result.tags.get(SET_TAG, "") == name]

    @property
    def sets(self) -> list[str]:
        """The sets that the cases come from, hand-written ones first."""
        return sorted({result.tags.get(SET_TAG, "") for result in self.results}, key=lambda s: (s != "golden", s))


def load_run(out: Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: it is none.
    """
    if not (out / MANIFEST).exists() or not (out / RESULTS).exists():
        raise UserError(out, "is no finished run folder", "run make eval first, or check the path")
    return Run(out, read_records(out / RESULTS, Result), read_json(out / MANIFEST))


def compared(run: Run, base: Run | None) -> dict[str, Comparison]:
    """Base against this run, by set of cases."""
    if base is None:
        return {}
    found = {name: compare(base.of(name), run.of(name)) for name in run.sets}
    return {name: comparison for name, comparison in found.items() if comparison}


def print_summary(run: Run, base: Run | None = None) -> None:
    """Print the run, beside its base where there is one, in about a dozen lines a set of cases."""
    comparisons = compared(run, base)
    runs = [base, run] if base else [run]
    console.show(
        [
            console.lines(_title(run, name), [(one.name, one.of(name)) for one in runs], comparisons.get(name))
            for name in run.sets
        ]
    )


def write_report(out: Path, base: Path | None = None) -> Path:
    """Draw a run folder's report.html, against `base` where it is given; return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # the words are a model's: none of them may become markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "signed": console.signed, "json": to_json}
    environment.filters |= {"percent": lambda value: f"{100 * value:.2f}%", "p": console.p_value}
    page = environment.get_template("report.html.j2").render(view(load_run(out), load_run(base) if base else None))
    write_text(out / REPORT, page)
    return out / REPORT


def view(run: Run, base: Run | None) -> dict[str, Any]:
    """What the template shows."""
    comparisons = compared(run, base)
    failures = [r for r in run.results if r.scored and not r.correct]
    failures.sort(key=lambda r: (r.tags.get(SET_TAG, "") != "golden", STAGES.index(r.verdict)))
    return {
        "run": run,
        "base": base,
        "title": run.manifest.get("recipe", {}).get("stem") or run.name,
        "sections": [_section(run, base, name, comparisons.get(name)) for name in run.sets],
        "failures": failures[:MAX_FAILURES],
        "hidden": max(0, len(failures) - MAX_FAILURES),
        "unscored": [result for result in run.results if not result.scored],
        "meaning": MEANING,
        "small": SMALL,
    }


def _section(run: Run, base: Run | None, name: str, comparison: Comparison | None) -> dict[str, Any]:
    """One set of cases: summaries of both models over it, and how they compare."""
    mine, theirs = summarise(run.of(name)), summarise(base.of(name)) if base else None
    models = [(run.name, mine)] if theirs is None else [(base.name if base else "", theirs), (run.name, mine)]
    return {
        "name": _title(run, name),
        "models": models,
        "comparison": comparison,
        "tokens": mine["completion_tokens"],
        "verdicts": [v for v in STAGES if any(summary["verdicts"].get(v) for _, summary in models)],
        "slices": {tag: values for tag, values in mine["slices"].items() if tag != SET_TAG and len(values) > 1},
        "base_slices": theirs["slices"] if theirs else {},
    }


def _title(run: Run, name: str) -> str:
    return name or str(run.manifest.get("suite") or "") or ", ".join(Path(path).stem for path in run.manifest["cases"])


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Draw a report from the command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.report", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--base", type=Path, help="run folder to compare with")
    args = parser.parse_args(argv)
    for out in filter(None, (args.run, args.base)):
        if not rescore(out):
            print(f"{out}: its cases changed since they were asked, so its scores stay as they are")
    print_summary(load_run(args.run), load_run(args.base) if args.base else None)
    print(f"report: {os.path.relpath(write_report(args.run, args.base))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
