"""Measure what a task's data gives away, lacks and leaks: `python -m tools.audit image_intent [--gate]` writes its dataset
card, `python -m tools.audit leakage image_intent` shows the nearest train lines of test and golden."""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import ROOT
from tools.checks.audit import TOP, audit, leakage, load, p95, premium, premium_words, verdicts
from tools.checks.data_card import write_card


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Read data/work/<task>/{train,val,test}.jsonl and data/seeds/<task>/, write data/work/<task>/card/."""
    parser = Parser("python -m tools.audit", __doc__)
    parser.add_argument("words", nargs="+", metavar="[leakage] task", help="leakage: its nearest lines, and no card")
    parser.add_argument("--gate", action="store_true", help="fail where a figure passes its bound in the config")
    args = parser.parse_args(argv)
    *before, task = args.words
    if before not in ([], ["leakage"]):
        raise UserError(" ".join(args.words), "one task is audited at a time", "name one")
    config = load_data_config(task)
    if args.gate and not config.audit.model_fields_set:
        raise UserError(f"configs/data/{task}.yaml", "has no `audit:`", "write the bounds that --gate shall hold")
    data = load(config)
    if before:
        for side, found in leakage(data).items():
            print(f"{side}: nearest train line {found[0].similarity:.0f} at most, p95 {p95(found):.0f}")
            for pair in found[:TOP]:
                print(f"  {pair.similarity:3.0f}  {pair.line.id}: {pair.line.utterance}")
                print(f"       {pair.train.id}: {pair.train.utterance}")
        print(f"leakage {config.task}: {premium_words(premium(config, data))}")
        return 0
    findings = audit(config, data)
    figures = findings.figures()
    gates = verdicts(config.audit, figures)
    card = write_card(config, data, findings, gates)
    gaps = sum(not count for count in findings.cells.values())
    print(
        f"audit {config.task}: {premium_words(findings.premium)}; {gaps} of {len(findings.cells)} cells empty; "
        f"skew {figures['skew']:.2f}; card: {card.relative_to(ROOT)}"
    )
    for gap in findings.gaps:
        print(f"  warning: {gap}")
    for text, passed in gates:
        print(f"  gate {'passed' if passed else 'FAILED'}: {text}")
    return int(args.gate and not all(passed for _, passed in gates))


if __name__ == "__main__":
    raise SystemExit(main())
