"""Score predictions against cases, without any network: results.jsonl (a verdict a case) and summary.json.

python -m eval.score --cases data/image_intent_golden.jsonl --predictions PREDICTIONS --out DIR
"""

from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from eval.scoring.cases import gc_paused, read_cases
from eval.scoring.gates import add_gates, gate
from eval.scoring.predictions import read_samples
from eval.scoring.runs import SUMMARY, Run, score, unchecked_cases, write_scores


@command
@gc_paused()
def main(argv: Sequence[str] | None = None) -> int:
    """Score from the command line."""
    parser = Parser("python -m eval.score", (__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=Path, nargs="+", required=True, help="one or more cases files")
    parser.add_argument("--predictions", type=Path, required=True, help="predictions.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder for results.jsonl and summary.json")
    add_gates(parser)
    args = parser.parse_args(argv)
    cases, predictions = read_cases(args.cases), read_samples(args.predictions)
    ids = {case.id for case in cases}
    if stray := next((key for key, _ in predictions if key not in ids), None):
        raise UserError(args.predictions, f"answers {stray!r}, which is no case", "give the cases that were asked")
    run = Run(args.out, score(cases, predictions), {})
    write_scores(args.out, run.results, run.summary)
    print(f"{args.out / SUMMARY}: {run.headline()}")
    print("".join(f"unchecked, and so unscored: {case}\n" for case in unchecked_cases(run.results)), end="")
    return 0 if gate(args.fail_under, run.summary) else 1


if __name__ == "__main__":
    raise SystemExit(main())
