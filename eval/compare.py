"""Two models on the same cases: intervals side by side, the differences, and whether they could be chance.

python -m eval.compare runs/a/eval/golden/tuned runs/b/eval/golden/tuned --out compare.html
"""

import os
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.files import read_json
from eval.reporting import console, pages
from eval.reporting.compare import view
from eval.scoring.figures import ANSWERED, add_gates, gate
from eval.scoring.score import SUMMARY


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
    seen = view(args.a, args.b)
    for letter, run in seen["runs"]:
        print(f"{letter}: {run.out} ({console.plain(run.name)})")
    print(seen["about"])
    console.show([console.lines(section) for section in seen["sections"]])
    print(f"page: {os.path.relpath(pages.draw('compare.html.j2', seen, args.out or args.b / 'compare.html'))}")
    whole = {key: args.fail_under.get(key, 1.0) for key in [ANSWERED] if args.fail_under}
    held = [gate(whole, read_json(args.a / SUMMARY), "A"), gate(args.fail_under, read_json(args.b / SUMMARY), "B")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
