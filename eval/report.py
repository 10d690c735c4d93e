"""Draw a run's report: one HTML file that needs nothing else, base against tuned first; and what CI reads.

python -m eval.report runs/smollm2-135m_lora/eval/golden/tuned --base runs/smollm2-135m_lora/eval/golden/base
python -m eval.report --recipe smollm2-135m_lora --suite golden
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from callwright.config import config_path
from callwright.errors import Parser, UserError, command
from callwright.recipes import add_recipe, chosen_recipe
from eval.reporting import ci, console
from eval.reporting.report import make_report
from eval.reporting.tracking import TRACKERS, log_figures
from eval.scoring.gates import add_gates, gate
from eval.scoring.runs import MANIFEST, read_run


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Draw a report from the command line."""
    parser = Parser("python -m eval.report", (__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="run folder; or, with --recipe, that of its last evaluation")
    add_recipe(parser, "--recipe", settings=False)
    parser.add_argument("--suite", default="golden", help="with --recipe: a stem of configs/eval (default: golden)")
    parser.add_argument("--base", type=Path, help="run folder to compare with")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a summary for a job or a pull request")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a test case a case, as CI servers read it")
    parser.add_argument("--log", choices=TRACKERS, help="log the figures for a tracker, into the run folder")
    add_gates(parser)
    args = parser.parse_args(argv)
    if args.run is None and args.recipe is None:
        parser.error("give a run folder or --recipe")
    if args.run is None:
        config_path("configs/eval", args.suite, "suite")  # a suite that there is
        recipe = chosen_recipe(args)
        runs = recipe.run_dir / "eval" / args.suite
        if not (runs / "tuned" / MANIFEST).is_file():
            remedy = f"run: {recipe.make_command('eval', suite=args.suite)}"
            raise UserError(runs / "tuned", "was not evaluated yet", remedy)
        args.run, args.base = runs / "tuned", runs / "base"
    run, base = read_run(args.run), read_run(args.base) if args.base else None
    if base and base.name == run.name:  # two folders of one model
        names = [one.out.name if run.out.name != base.out.name else str(one.out) for one in (run, base)]
        run, base = (
            replace(one, manifest={**one.manifest, "name": name}) for one, name in zip((run, base), names, strict=True)
        )
    report = make_report(run, base)
    console.show(report.sections)
    print(f"report: {os.path.relpath(report.write())}")
    if args.markdown:
        ci.write_markdown(args.markdown, report, args.fail_under)
    if args.junit:
        ci.write_junit(args.junit, run)
    if args.log:
        log_figures(args.log, args.run, report.sections)
    return 0 if gate(args.fail_under, run.summary) else 1


if __name__ == "__main__":
    raise SystemExit(main())
