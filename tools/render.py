"""Show a row as training sees it, what is learned in colour: `python -m tools.render smollm2-135m_lora --row 3 [--ids]`,
or `python -m tools.render rows.jsonl --template qwen` for any file of ShareGPT rows."""

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from callwright.errors import Parser, UserError, command
from callwright.files import ROOT
from callwright.recipes import load_recipe
from tools.encode import encode_row, load_tokenizer, load_view, stand_in
from tools.ingest import record_of, records
from tools.lint_template import DIES, DiedError, llamafactory
from tools.register import SHAREGPT, find_entry

IGNORED = -100
"""the label of a token that is not learned"""
MARKS = "⟦", "⟧"
"""around what is learned, where there is no colour"""


def dataset_of(settings: dict[str, Any], split: str) -> tuple[Path, dict[str, Any]]:
    """The file and the registry entry of the first dataset that a recipe's settings name for a split."""
    key = {"train": "dataset", "val": "eval_dataset"}[split]
    name = str(settings.get(key) or "").split(",")[0].strip()
    entry = find_entry(name, ROOT / "dataset_info.json")
    if "file_name" not in entry:
        raise UserError(f"{key} {name!r}", "no local file of rows", "choose another dataset")
    return ROOT / entry["file_name"], entry


def chosen(args: argparse.Namespace) -> tuple[dict[str, Any], Path, dict[str, Any]]:
    """The settings that rows are seen with, the file that holds them, and its registry entry."""
    if args.template:
        return (
            {"template": args.template, "cutoff_len": 2**20, "model_name_or_path": args.model},
            Path(args.recipe),
            SHAREGPT,
        )
    if Path(args.recipe).suffix in (".jsonl", ".json", ".gz", ".parquet"):
        raise UserError(args.recipe, "is a file, and no template says how to read it", "pass --template qwen, say")
    settings = load_recipe(args.recipe, args.overrides).train
    return settings, *((args.file, SHAREGPT) if args.file else dataset_of(settings, args.split))


def row_of(path: Path, number: int) -> tuple[str, dict[str, Any]]:
    """Place and value of the `number`-th row (from 1) of a file; UserError where it is not there, or no object."""
    found = next(islice(records(str(path)), number - 1, None), None) if number > 0 else None
    if found is None:
        raise UserError(f"--row {number}", f"{path} has no such row", "rows count from 1")
    try:
        return found[0], record_of(found[1])
    except ValueError as error:
        raise UserError(found[0], str(error), "fix the line or drop it") from None


def spans(ids: list[int], labels: list[int]) -> Iterator[tuple[list[int], bool]]:
    """Runs of token ids, each with whether it is learned."""
    for learned, run in groupby(zip(ids, labels, strict=True), lambda pair: pair[1] != IGNORED):
        yield [token for token, _ in run], learned


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the text, or the tokens, of one row."""
    from rich.console import Console
    from rich.text import Text

    parser = Parser("python -m tools.render", __doc__)
    parser.add_argument("recipe", help="a stem under configs/train/; or, with --template, a file of ShareGPT rows")
    parser.add_argument("overrides", nargs="*", help="the key=value that llamafactory-cli train will get")
    parser.add_argument("--file", type=Path, help="another file of rows than the recipe's")
    parser.add_argument("--template", help="of LLaMA-Factory, for a file without a recipe")
    parser.add_argument("--model", help="whose tokenizer cuts; without one, a token is a byte")
    parser.add_argument("--row", type=int, default=1, help="from 1 (default: %(default)s)")
    parser.add_argument("--split", choices=["train", "val"], default="train")
    parser.add_argument("--ids", action="store_true", help="a line a token: id, token, whether it is learned")
    args = parser.parse_args(argv)
    settings, path, entry = chosen(args)
    place, row = row_of(path, args.row)
    view = load_view(settings)  # says which templates there are, where it is none of them
    named = settings.get("model_name_or_path")
    view = load_view(settings, *(load_tokenizer(settings) if named else (stand_in(settings["template"]),)))
    try:
        ids, labels = llamafactory("call", DIES, encode_row, row, view, entry)
    except DiedError as died:
        lint = f"run: python -m tools.lint {path} --template {settings['template']}"
        raise (
            died.__cause__ if isinstance(died.__cause__, UserError) else UserError(place, died.fault[1], lint)
        ) from None
    console = Console(highlight=False, soft_wrap=True)
    before, after = ("", "") if console.color_system else MARKS
    for run, learned in spans(ids, labels):
        style = "bold green" if learned else "dim"
        if args.ids:
            for token in run:
                line = f"{token:>7}  {view.tokenizer.convert_ids_to_tokens(token)!r}"
                console.print(Text(f"{line}{'  learned' if learned else ''}", style=style))
        else:
            text = view.tokenizer.decode(run, clean_up_tokenization_spaces=False)
            console.print(Text(f"{before}{text}{after}" if learned else text, style=style), end="")
    total = sum(label != IGNORED for label in labels)
    cut = " (cutoff_len reached)" if len(ids) >= view.data_args.cutoff_len else ""
    console.print(f"\nrender: {place.removeprefix(f'{ROOT}/')}: {len(ids)} tokens{cut}, {total} of them learned")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
