"""Add or replace a task's datasets in dataset_info.json: `python -m tools.register image_intent`; or, with `--check`,
name the entries that are stale."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from callwright.errors import UserError, did_you_mean
from callwright.files import ROOT, read_json, read_jsonl, write_json
from callwright.locks import locked
from callwright.yaml_config import read_yaml
from tools.formats import sharegpt
from tools.formats.conversation import Loss
from tools.formats.ingest import Tally, ingest, records
from tools.formats.values import list_of_objects

REGISTRY = ROOT / "dataset_info.json"

SAMPLE = 24
"""rows of <task>_val_sample: enough for an eval loss where the whole of <task>_val would take minutes of a CPU"""

# LLaMA-Factory takes every tag and column that is left out for absent, and then drops all samples: name them all.
SHAREGPT: dict[str, Any] = {
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

WHERE_ABSENT = {"columns": {"messages": "conversations"}, "tags": SHAREGPT["tags"]}
"""what LLaMA-Factory takes where an entry has no such part at all"""

PAIRS = {
    **SHAREGPT,
    "ranking": True,
    "columns": {**SHAREGPT["columns"], "chosen": "chosen", "rejected": "rejected"},
}
"""preference pairs: `conversations` up to what is answered, and two answers"""


VISION = {**SHAREGPT, "columns": {**SHAREGPT["columns"], "images": "images"}}
"""rows with images: paths from the root"""


def register(entries: dict[str, dict[str, Any]], registry: Path = REGISTRY) -> None:
    """Add or replace `entries`; all others stay as they are, in their order."""
    with locked(registry.parent):
        known = entries_of(registry) if registry.exists() else {}
        merged = {**known, **entries}
        if merged != known:
            write_json(registry, merged)


def entries_of(registry: Path) -> dict[str, Any]:
    """Read what a registry holds; UserError where it is no JSON object."""
    known = read_json(registry)
    if not isinstance(known, dict):
        raise UserError(registry, "not a JSON object of datasets", "fix it, or move it away")
    return known


def malformed(entry: Any) -> str | None:
    """Say why LLaMA-Factory would die of reading an entry; None where it would not."""
    if not isinstance(entry, dict):
        return "not an object"
    for part in ("columns", "tags"):
        names = entry.get(part, {})
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            return f"`{part}` is not an object of names"
    return None if isinstance(entry.get("file_name", ""), str) else "`file_name` is not text"


def keys_left_out(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """List the columns and tags, each as its part and key, that LLaMA-Factory takes for absent in an entry of rows.

    A part that is there takes LLaMA-Factory's defaults away from what it leaves out.
    """
    return [
        (part, key) for part, own in WHERE_ABSENT.items() for key in SHAREGPT[part] if not entry.get(part, own).get(key)
    ]


def making(name: str, root: Path = ROOT) -> str:
    """Name the make command that builds the data set of a name; "" where no task under configs/data has it."""
    task, _, part = name.removesuffix("_sample").rpartition("_")
    config = root / "configs" / "data" / f"{task}.yaml"
    if not config.is_file() or part not in ("train", "val", "pairs"):
        return ""
    if part == "pairs":
        return f"make eval TASK={task} SUITE=mine, then make mine TASK={task}"
    return f"make {'mix' if 'sources' in read_yaml(config) else 'data'} TASK={task}"


def how_to_have(name: str, known: Collection[str], make: str) -> str:
    """Say how to get a data set that is not there: what `making` says, the name that was meant, or the names there are."""
    if make:
        return f"run: {make}"
    others = [other for other in known if not other.endswith(("_val", "_val_sample"))]
    convert = f"python -m tools.convert --from FORMAT FILE --out data/{name}.jsonl --name {name}"
    return did_you_mean(name, known) or f"choose one of: {', '.join(others)}; or bring yours: {convert}"


def find_entry(name: str, registry: Path) -> dict[str, Any]:
    """Find the entry called `name`; UserError where there is none that LLaMA-Factory can read."""
    entries = entries_of(registry)
    if name not in entries:
        raise UserError(f"dataset {name!r}", f"not in {registry.name}", how_to_have(name, entries, making(name)))
    if fault := malformed(entries[name]):
        raise UserError(f"{registry.name}: {name}", fault, "write it as tools.register does")
    return entries[name]


def check_name(name: str) -> None:
    """Check a name; UserError for one that LLaMA-Factory's comma-separated `dataset:` or a file system would not take."""
    if not re.fullmatch(r"[\w-][\w.-]*", name):
        raise UserError(f"name {name!r}", "not letters, digits, _ - and .", "choose another name")


def entry_of(path: str | Path, form: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write the entry of a file of our rows; UserError where it is not under the root, where recipes look for it.

    Without a `form`, the file's first row tells whether they have images.
    """
    absolute = Path(path).resolve()
    if not absolute.is_relative_to(ROOT):
        raise UserError(path, "is outside the project", "write it under data/, so that dataset_info.json can name it")
    if form is None:
        first = next(read_jsonl(absolute), ("", {}))[1] if absolute.suffix == ".jsonl" and absolute.is_file() else {}
        form = VISION if "images" in first else SHAREGPT
    return {"file_name": absolute.relative_to(ROOT).as_posix(), **form}


def check_pair(record: dict[str, Any]) -> None:
    """Check a preference pair; ValueError where it is not two answers to one conversation."""
    for side in ("chosen", "rejected"):
        turns = [*list_of_objects(record.get("conversations"), "conversations"), record.get(side)]
        sharegpt.write(sharegpt.read({"conversations": turns, "tools": record.get("tools")}))


def faults_of(entry: Any, folder: Path) -> Iterator[str]:
    """Find what is wrong with an entry of the registry in `folder`: a missing file, missing tags, the first bad row."""
    if fault := malformed(entry):
        yield fault
        return
    if entry.get("formatting") == "sharegpt":
        left_out = keys_left_out(entry)
        if tags := [key for part, key in left_out if part == "tags"]:
            yield f"tags without {', '.join(tags)}: LLaMA-Factory drops the rows that use them"
        if ("columns", "messages") in left_out:
            yield "columns without messages"
    if "file_name" not in entry:
        return  # LLaMA-Factory fetches it from a hub
    path = folder / entry["file_name"]
    if not path.exists():
        yield f"no file {entry['file_name']}"
    elif path.is_file():
        yield from _row_faults(path, entry)


def _row_faults(path: Path, entry: dict[str, Any]) -> Iterator[str]:
    """Find the rows of an entry's file that its form does not allow, the most frequent faults first."""

    def check_row(record: dict[str, Any], lost: list[Loss]) -> None:
        if PAIRS.items() <= entry.items():
            check_pair(record)
        elif SHAREGPT.items() <= entry.items():
            sharegpt.write(sharegpt.read(record))

    tally = Tally()
    try:
        for _ in ingest(records(str(path)), check_row, tally, "skip"):
            pass
    except UserError as error:
        yield str(error)
    for reason, count in tally.skipped.most_common(3):
        own, place = tally.first[reason]
        yield f"{count} rows: {own} (first at {place})"
    if not tally.read:
        yield "holds no rows"


def check(registry: Path) -> int:
    """Print what is wrong with each entry of a registry, and what is not built yet; return the exit status."""
    entries, stale, unbuilt = entries_of(registry), 0, Counter[str]()
    for name, entry in entries.items():
        command = making(name, registry.parent)
        if command and not malformed(entry) and not (registry.parent / entry.get("file_name", "")).exists():
            unbuilt[command] += 1
            continue
        found = [f"{name}: {fault}\n" for fault in faults_of(entry, registry.parent)]
        stale += bool(found)
        print("".join(found), end="")
    remedy = f"; remove or mend them in {registry.name}, or run tools.register again" if stale else ""
    for command, count in unbuilt.items():
        print(f"{count} not built yet; run: {command}")
    waiting = f"{unbuilt.total()} not built yet, " if unbuilt else ""
    print(f"register: {len(entries)} entries, {waiting}{stale} stale{remedy}")
    return 1 if stale else 0
