"""Split a task's examples into train, val, test (and mine) by lineage and near-duplicates: python -m tools.split image_intent"""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import Parser, command
from callwright.files import write_jsonl
from callwright.records import as_line
from tools.rows.split import LOPSIDED, MINE, split, split_like
from tools.utterances.clean import clean_task


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Clean data/work/<task>/examples.jsonl, write train.jsonl, val.jsonl, test.jsonl (and mine.jsonl) beside it."""
    parser = Parser("python -m tools.split", __doc__)
    parser.add_argument("task", help="a task of configs/data/")
    config = load_data_config(parser.parse_args(argv).task)
    examples = clean_task(config)
    sides = split_like(config, examples) if config.like else split(examples, config.split, config.seed)
    for side, part in sides.parts.items():
        write_jsonl(config.work / f"{side}.jsonl", map(as_line, part))
    if MINE not in sides.parts:
        (config.work / f"{MINE}.jsonl").unlink(missing_ok=True)  # these lines are in train now
    sizes = ", ".join(
        f"{side} {len(part)} ({sum(example.label == 'call' for example in part)} call)"
        for side, part in sides.parts.items()
    )
    if config.like:
        left_out = f"{sides.left_out} lines near them left out"
        print(f"split {config.task}: {sizes}; val and test are {config.like}'s, {left_out}")
        return 0
    largest = max(map(len, sides.components), default=0)
    left_out = f"; {sides.left_out} mined lines left out: siblings or near copies of val or test"
    print(
        f"split {config.task}: {sizes}; {sides.lineages} lineages in {len(sides.components)} components "
        f"(largest {largest}), {sides.near} near pairs at {sides.limit:g}{left_out if sides.left_out else ''}"
    )
    alike = "too many lines of one label are alike: write more various ones"
    if sides.skew > LOPSIDED:
        print(f"  warning: a side has hardly a line of one label, for {alike}")
    elif sides.limit > config.split.near:
        together = f"only texts {sides.limit:g} alike were kept together, so that each side has both labels"
        print(f"  note: {together}; {alike}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
