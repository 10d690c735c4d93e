"""Turn split examples into rows and cases, or any format into another: `python -m tools.convert image_intent`, or
`python -m tools.convert --from xlam FILE --out data/xlam.jsonl`."""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import UserError, command
from callwright.files import ROOT
from tools.formats.dataset_info import entry_of, register
from tools.rows.build import convert_task
from tools.rows.convert_file import MASK_HISTORY, convert_file, dry_run, parse, sources_of
from tools.rows.mix import mix


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write data/<task>_{train,val}.jsonl (rows) and _{test,golden,mine}.jsonl (cases), or one file from one."""
    args = parse(argv)
    if args.dry_run:
        dry_run(args)
        return 0
    if args.format is not None:
        tally = convert_file(args)
        if args.name:
            register({args.name: entry_of(args.out)})
        where = f", registered as {args.name}" if args.name else ""
        print(f"convert: {args.out}: {tally.taken} of {tally.read} records to {args.to}{where}")
        for line in tally.lines():
            print(line)
        if args.unlearned == "mask":
            print(MASK_HISTORY)
        return 0
    config = load_data_config(args.source)
    if args.sources:
        if not config.sources:
            raise UserError(f"task {config.task}", "has no sources to put others in the place of", "drop --source")
        config = config.model_copy(update={"sources": sources_of(args.sources, config.sources)})
    counts = mix(config) if config.sources else convert_task(config)
    parts = [f"{part} {count} {'rows' if part in ('train', 'val') else 'cases'}" for part, count in counts.items()]
    print(f"convert: {config.built('*').relative_to(ROOT)}: {', '.join(parts)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
