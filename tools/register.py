"""Add or replace a task's datasets in dataset_info.json: `python -m tools.register image_intent`; or, with `--check`,
name the entries that are stale."""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import ROOT
from tools.formats.dataset_info import PAIRS, REGISTRY, SAMPLE, check, entry_of, register


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Register data/<task>_{train,val}.jsonl, or check the registry."""
    parser = Parser("python -m tools.register", __doc__)
    parser.add_argument("task", nargs="?", help="a name under configs/data/")
    parser.add_argument("--check", action="store_true", help="name stale entries instead; status 1 if there are any")
    args = parser.parse_args(argv)
    if args.check:
        return check(REGISTRY)
    if args.task is None:
        raise UserError("tools.register", "names no task", "say which, or pass --check")
    config = load_data_config(args.task)
    entries = {}
    for side, lines in (("train", config.split.train), ("val", config.split.val)):
        path = config.built(side)
        if path.is_file():
            entries[path.stem] = entry_of(path)
        elif lines:
            step = f"python -m tools.convert {config.task}" if config.sources else f"make data TASK={config.task}"
            raise UserError(path.relative_to(ROOT), "not there yet", f"run: {step}")
    if (val := config.built("val")).is_file():
        entries[f"{val.stem}_sample"] = {**entries[val.stem], "num_samples": SAMPLE}
    if (pairs := config.built("pairs")).is_file():
        entries[pairs.stem] = entry_of(pairs, PAIRS)
    register(entries)
    print(f"register: {', '.join(entries)} in dataset_info.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
