"""Two models on the same cases: intervals side by side, the differences, and whether they could be chance.

python -m eval.compare runs/a/eval/golden/tuned runs/b/eval/golden/tuned --out compare.html
"""

import os
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from eval.reporting import console
from eval.reporting.report import make_duel
from eval.scoring.gates import ANSWERED, add_gates, gate
from eval.scoring.runs import read_run


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Compare from the command line."""
    parser = Parser("python -m eval.compare", (__doc__ or "").splitlines()[0])
    parser.add_argument("a", type=Path, nargs="?", metavar="A", help="run folder")
    parser.add_argument("b", type=Path, nargs="?", metavar="B", help="run folder, of which the gain is told")
    parser.add_argument("--out", type=Path, help="the page (default: compare.html in B)")
    add_gates(parser)
    args = parser.parse_args(argv)
    if not args.a or not args.b:
        raise UserError("A and B", "two run folders are due", "run: make compare A=RUN B=RUN, each as in runs/mine")
    duel = make_duel(read_run(args.a), read_run(args.b))
    for letter, run in (("A", duel.a), ("B", duel.b)):
        print(f"{letter}: {run.out} ({console.plain(run.name)})")
    print(duel.about)
    console.show(duel.sections)
    print(f"page: {os.path.relpath(duel.write(args.out or args.b / 'compare.html'))}")
    every_answer = {key: args.fail_under.get(key, 1.0) for key in [ANSWERED] if args.fail_under}
    held = [gate(every_answer, duel.a.summary, "A"), gate(args.fail_under, duel.b.summary, "B")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
