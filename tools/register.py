"""Add or replace a task's datasets in dataset_info.json: `python -m tools.register image_intent`."""

import argparse
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from callwright.config import load_data_config
from callwright.errors import UserError, command
from callwright.files import ROOT, read_json, write_json

REGISTRY = ROOT / "dataset_info.json"

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


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Register data/<task>_{train,val}.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="a name under configs/data/")
    args = parser.parse_args(argv)
    config = load_data_config(args.task)
    files = {path.stem: path for path in map(config.built, ("train", "val"))}
    for path in files.values():
        if not path.is_file():
            raise UserError(path.relative_to(ROOT), "not there yet", f"run: make data TASK={config.task}")
    register({name: {"file_name": str(path.relative_to(ROOT)), **SHAREGPT} for name, path in files.items()})
    print(f"register: {', '.join(files)} in dataset_info.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
