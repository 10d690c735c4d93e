"""Show a row as training sees it, what is learned in colour: `python -m tools.render smollm2-135m_lora --row 3 [--ids]`."""

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from callwright.errors import UserError, command
from callwright.files import ROOT, read_jsonl
from callwright.recipes import Recipe, load_recipe
from tools.encode import encode_row, load_tokenizer, load_view
from tools.register import find_entry

IGNORED = -100
"""the label of a token that is not learned"""
MARKS = "⟦", "⟧"
"""around what is learned, where there is no colour"""


def row_of(recipe: Recipe, split: str, number: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Place, row and registry entry of the `number`-th row (from 1) of a recipe's first dataset of a split."""
    key = {"train": "dataset", "val": "eval_dataset"}[split]
    name = str(recipe.train.get(key) or "").split(",")[0].strip()
    entry = find_entry(name, ROOT / "dataset_info.json")
    if "file_name" not in entry:
        raise UserError(f"{recipe.train_path}: {key} {name!r}", "no local file of rows", "choose another dataset")
    found = next(islice(read_jsonl(ROOT / entry["file_name"]), number - 1, None), None) if number > 0 else None
    if found is None:
        raise UserError(f"--row {number}", f"{entry['file_name']} has no such row", "rows count from 1")
    return *found, entry


def spans(ids: list[int], labels: list[int]) -> Iterator[tuple[list[int], bool]]:
    """Runs of token ids, each with whether it is learned."""
    for learned, run in groupby(zip(ids, labels, strict=True), lambda pair: pair[1] != IGNORED):
        yield [token for token, _ in run], learned


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the text, or the tokens, of one row."""
    from rich.console import Console
    from rich.text import Text

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="a stem under configs/train/")
    parser.add_argument("overrides", nargs="*", help="the key=value that llamafactory-cli train will get")
    parser.add_argument("--row", type=int, default=1, help="from 1 (default: %(default)s)")
    parser.add_argument("--split", choices=["train", "val"], default="train")
    parser.add_argument("--ids", action="store_true", help="a line a token: id, token, whether it is learned")
    args = parser.parse_args(argv)
    recipe = load_recipe(args.recipe, args.overrides)
    place, row, entry = row_of(recipe, args.split, args.row)
    view = load_view(recipe.train, *load_tokenizer(recipe.train))
    ids, labels = encode_row(row, view, entry)
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
