"""Decide by character n-grams what the surface of an utterance gives away by itself: `python -m tools.baseline image_intent`."""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import write_json
from callwright.records import Example, baseline_path, read_records
from tools.utterances.baseline import CASES, decide, fit


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Read data/work/<task>/train.jsonl and the task's cases, write data/<task>_<cases>.baseline.json."""
    parser = Parser("python -m tools.baseline", __doc__)
    parser.add_argument("task", help="a task of configs/data/")
    parser.add_argument("--lines", type=int, help="learn from the first lines alone, as a run with max_samples does")
    args = parser.parse_args(argv)
    if args.lines is not None and args.lines < 1:
        raise UserError("--lines", f"{args.lines} is no number of lines", "give one of 1 or more, or leave it out")
    config = load_data_config(args.task)
    train = [example for example in read_records(config.work / "train.jsonl", Example) if not example.after_result]
    train = train[: args.lines]
    files = [path for path in map(config.built, CASES) if path.is_file()]
    if len({example.label for example in train}) < 2:
        for path in files:
            baseline_path(path).unlink(missing_ok=True)
        print(f"baseline {config.task}: none, as all training lines are of one label")
        return 0
    model = fit(train)
    for path in files:
        write_json(baseline_path(path), decide(model, len(train), path).model_dump())
    print(f"baseline {config.task}: decisions of {len(train)} lines' n-grams beside {len(files)} cases files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
