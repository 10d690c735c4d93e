"""Score predictions against cases, without any network: results.jsonl (a verdict a case) and summary.json.

python -m eval.score --cases data/image_intent_golden.jsonl --predictions PREDICTIONS --out DIR
"""

from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from eval.scoring.cases import read_cases, uncollected
from eval.scoring.figures import add_gates, gate
from eval.scoring.predictions import read_samples
from eval.scoring.score import SUMMARY, headline, score_samples, unchecked_cases, write_scores


@command
@uncollected()
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
    results = score_samples(cases, predictions)
    summary = write_scores(args.out, results)
    print(f"{args.out / SUMMARY}: {headline(summary)}")
    print("".join(f"unchecked, and so unscored: {case}\n" for case in unchecked_cases(results)), end="")
    return 0 if gate(args.fail_under, summary) else 1


if __name__ == "__main__":
    raise SystemExit(main())
