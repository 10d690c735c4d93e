"""Show a row as training sees it, what is learned in colour: `python -m tools.render smollm2-135m_lora --row 3 [--ids]`,
or `python -m tools.render rows.jsonl --template qwen` for any file of ShareGPT rows."""

import argparse
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT
from callwright.recipes import chosen_recipe
from tools.formats.dataset_info import SHAREGPT, find_entry
from tools.formats.ingest import record_of, records

IGNORED = -100
"""the label of a token that is not learned"""
MARKS = "⟦", "⟧"
"""around what is learned, where there is no colour"""


def dataset_of(settings: dict[str, Any], split: str) -> tuple[Path, dict[str, Any]]:
    """Find the file and the registry entry of the first dataset that a recipe's settings name for a split."""
    key = {"train": "dataset", "val": "eval_dataset"}[split]
    name = str(settings.get(key) or "").split(",")[0].strip()
    entry = find_entry(name, ROOT / "dataset_info.json")
    if "file_name" not in entry:
        raise UserError(f"{key} {name!r}", "no local file of rows", "choose another dataset")
    return ROOT / entry["file_name"], entry


def row_source(args: argparse.Namespace) -> tuple[dict[str, Any], Path, dict[str, Any]]:
    """Choose the settings that rows are seen with, the file that holds them, and its registry entry."""
    if args.template:
        return (
            {"template": args.template, "cutoff_len": 2**20, "model_name_or_path": args.model},
            Path(args.recipe),
            SHAREGPT,
        )
    if Path(args.recipe).suffix in (".jsonl", ".json", ".gz", ".parquet"):
        raise UserError(args.recipe, "is a file, and no template says how to read it", "pass --template qwen, say")
    settings = chosen_recipe(args).train
    return settings, *((args.file, SHAREGPT) if args.file else dataset_of(settings, args.split))


def row_of(path: Path, number: int) -> tuple[str, dict[str, Any]]:
    """Read place and value of the `number`-th row (from 1) of a file; UserError where it is not there, or no object."""
    found = next(islice(records(str(path)), number - 1, None), None) if number > 0 else None
    if found is None:
        raise UserError(f"--row {number}", f"{path} has no such row", "rows count from 1")
    try:
        return found[0], record_of(found[1])
    except ValueError as error:
        raise UserError(found[0], str(error), "fix the line or drop it") from None


def spans(ids: list[int], labels: list[int]) -> Iterator[tuple[list[int], bool]]:
    """Group token ids into runs, each with whether it is learned."""
    for learned, run in groupby(zip(ids, labels, strict=True), lambda pair: pair[1] != IGNORED):
        yield [token for token, _ in run], learned
