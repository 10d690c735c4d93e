"""Add or replace a task's datasets in dataset_info.json: `python -m tools.register image_intent`; or, with `--check`,
name the entries that are stale."""

import argparse
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callwright.config import load_data_config
from callwright.errors import UserError, command
from callwright.files import ROOT, read_json, write_json
from tools.formats import sharegpt
from tools.ingest import Tally, ingest, records

REGISTRY = ROOT / "dataset_info.json"

SAMPLE = 24
"""rows of <task>_val_sample: enough for an eval loss where the whole of <task>_val would take minutes of a CPU"""

# LLaMA-Factory takes every tag and column that is left out for absent, and then drops all samples: name them all.
SHAREGPT = {
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
    "tags": {
        "role_tag": "from",
        "content_tag": "value",
        "user_tag": "human",
        "assistant_tag": "gpt",
        "observation_tag": "observation",
        "function_tag": "function_call",
        "system_tag": "system",
    },
}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock on `folder`, so that two registrations do not lose each other's entries."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def register(entries: dict[str, dict[str, Any]], registry: Path = REGISTRY) -> None:
    """Add or replace `entries`; all others stay as they are, in their order.

    Raises:
        UserError: the registry is there but is not a JSON object.
    """
    with locked(registry.parent):
        known = read_json(registry) if registry.exists() else {}
        if not isinstance(known, dict):
            raise UserError(registry, "not a JSON object of datasets", "fix it, or move it away")
        merged = {**known, **entries}
        if merged != known:
            write_json(registry, merged)


def check_name(name: str) -> None:
    """Refuse a name that LLaMA-Factory's comma-separated `dataset:` or a file system would not take.

    Raises:
        UserError: it holds other characters than letters, digits, `_`, `-` and `.`.
    """
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise UserError(f"name {name!r}", "not letters, digits, _ - and .", "choose another name")


def entry_of(path: str | Path) -> dict[str, Any]:
    """The entry of a file of our rows.

    Raises:
        UserError: the file is not under the root, where recipes look for it.
    """
    absolute = Path(path).absolute().resolve()
    if not absolute.is_relative_to(ROOT):
        raise UserError(path, "is outside the project", "write it under data/, so that dataset_info.json can name it")
    return {"file_name": absolute.relative_to(ROOT).as_posix(), **SHAREGPT}


def faults_of(entry: Any, folder: Path) -> Iterator[str]:
    """What is wrong with an entry of the registry in `folder`: a missing file, missing tags, the first bad row."""
    if not isinstance(entry, dict):
        yield "not an object"
        return
    sharegpt_form = entry.get("formatting") == "sharegpt"
    for key in ("columns", "tags"):
        # a `tags` or `columns` that is there takes LLaMA-Factory's defaults away from what it leaves out
        missing = [k for k in SHAREGPT[key] if key in entry and k not in entry[key]] if sharegpt_form else []
        if key == "tags" and missing:
            yield f"tags without {', '.join(missing)}: LLaMA-Factory drops the rows that use them"
        elif "messages" in missing:
            yield "columns without messages"
    if "file_name" not in entry:
        return  # LLaMA-Factory fetches it from a hub
    path = folder / str(entry["file_name"])
    if not path.exists():
        yield f"no file {entry['file_name']}"
    elif path.is_file():
        ours = all(entry.get(key) == value for key, value in SHAREGPT.items())
        make = (lambda record, place: sharegpt.write(sharegpt.read(record))) if ours else (lambda record, place: None)
        tally = Tally()
        try:
            for _ in ingest(records(str(path)), make, tally, "skip"):
                pass
        except UserError as error:
            yield str(error)
        reasons = [f"{count} rows: {why} (first at {tally.first[why]})" for why, count in tally.skipped.most_common(3)]
        yield from reasons or ([] if tally.read else ["holds no rows"])


def check(registry: Path) -> int:
    """Print what is wrong with each entry of a registry; return the exit status."""
    entries = read_json(registry)
    stale = 0
    for name, entry in entries.items():
        found = list(faults_of(entry, registry.parent))
        stale += bool(found)
        for fault in found:
            print(f"{name}: {fault}")
    remedy = f"; remove or mend them in {registry.name}, or run tools.register again" if stale else ""
    print(f"register: {len(entries)} entries, {stale} stale{remedy}")
    return 1 if stale else 0


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Register data/<task>_{train,val}.jsonl, or check the registry."""
    parser = argparse.ArgumentParser(prog="python -m tools.register", description=__doc__)
    parser.add_argument("task", nargs="?", help="a name under configs/data/")
    parser.add_argument(
        "--check", action="store_true", help="name stale entries instead; exit status 1 if there are any"
    )
    parser.add_argument(
        "--registry", type=Path, default=REGISTRY, help="the file to check (default: dataset_info.json)"
    )
    args = parser.parse_args(argv)
    if args.check:
        return check(args.registry)
    if args.task is None:
        raise UserError("tools.register", "names no task", "say which, or pass --check")
    config = load_data_config(args.task)
    files = {path.stem: path for path in map(config.built, ("train", "val"))}
    for side, path in zip(("train", "val"), files.values(), strict=True):
        if not path.is_file() and getattr(config.split, side):
            step = f"python -m tools.convert {config.task}" if config.sources else f"make data TASK={config.task}"
            raise UserError(path.relative_to(ROOT), "not there yet", f"run: {step}")
    entries = {name: entry_of(path) for name, path in files.items() if path.is_file()}
    for name in [name for name in entries if name.endswith("_val")]:
        entries[f"{name}_sample"] = {**entries[name], "num_samples": SAMPLE}
    register(entries)
    print(f"register: {', '.join(entries)} in dataset_info.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
