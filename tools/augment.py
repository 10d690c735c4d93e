"""Grow a task's hand-written seeds into labelled examples: python -m tools.augment image_intent"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import write_jsonl
from callwright.locks import only_writer
from callwright.records import as_line
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from tools.utterances.augment import augment, own_grammar
from tools.utterances.gaps import tag_gaps
from tools.utterances.llm.estimate import dry_run
from tools.utterances.review_log import apply_decisions, read_decisions, replay_log, summary


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Read data/seeds/<task>/, write data/work/<task>/examples.jsonl."""
    parser = Parser("python -m tools.augment", __doc__)
    parser.add_argument("task", help="a task of configs/data/")
    parser.add_argument("--dry-run", action="store_true", help="show three prompts and the estimate, and ask nobody")
    parser.add_argument("--batch", action="store_true", help="use the Batch API: cheaper, up to a day a round")
    args = parser.parse_args(argv)
    config = load_data_config(args.task)
    if config.sources:
        fault = "is mixed from sources, and has no seeds"
        raise UserError(f"task {args.task!r}", fault, f"run: make mix TASK={args.task}")
    if (args.dry_run or args.batch) and config.augment.backend != "openai":
        fault = f"mean nothing to {config.augment.backend}"
        raise UserError("--dry-run, --batch", fault, "set augment.backend: openai")
    tools = load_tools(config.seeds / "tools.json")
    seeds = read_seeds(config.seeds / "seeds.jsonl", tools)
    for gap in tag_gaps(seeds, filter(None, [config.rows.tools_by]), own_grammar(config, tools)):
        print(f"warning: {gap}", file=sys.stderr)
    decisions = replay_log(read_decisions(config.seeds / "review.jsonl"))
    if args.dry_run:
        dry_run(config, seeds, tools, args.batch)
        return 0
    counts, lineages = Counter[tuple[str, str]](), set[str]()
    decided, undecided = Counter[str](), list[str]()  # what review said of the examples

    def lines() -> Iterator[dict[str, Any]]:
        for example in apply_decisions(augment(config, seeds, tools, args.batch), decisions, tools, decided, undecided):
            counts[example.source, example.label] += 1
            lineages.add(example.lineage)
            yield as_line(example)

    with only_writer(config.work):
        written = write_jsonl(config.work / "examples.jsonl", lines())
    parts = ", ".join(f"{count} {label} from {source}" for (source, label), count in counts.items())
    print(f"augment {config.task}: {written} examples ({parts}) of {len(lineages)} lineages")
    if decisions:
        print(summary(decided, undecided))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
