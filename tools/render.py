"""Show a row as training sees it, what is learned in colour: `python -m tools.render smollm2-135m_lora --row 3 [--ids]`,
or `python -m tools.render rows.jsonl --template qwen` for any file of ShareGPT rows."""

from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.files import ROOT
from callwright.recipes import add_recipe
from tools.checks.encode import encode_row, load_tokenizer, load_view, stand_in
from tools.checks.lint_row import FaultError
from tools.checks.lint_template import DIES, llamafactory
from tools.checks.render import IGNORED, MARKS, row_of, row_source, spans


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the text, or the tokens, of one row."""
    from rich.console import Console
    from rich.text import Text

    parser = Parser("python -m tools.render", __doc__)
    add_recipe(parser)  # or, with --template, a file of ShareGPT rows in its place
    parser.add_argument("--file", type=Path, help="another file of rows than the recipe's")
    parser.add_argument("--template", help="of LLaMA-Factory, for a file without a recipe")
    parser.add_argument("--model", help="whose tokenizer cuts; without one, a token is a byte")
    parser.add_argument("--row", type=int, default=1, help="from 1 (default: %(default)s)")
    parser.add_argument("--split", choices=["train", "val"], default="train")
    parser.add_argument("--ids", action="store_true", help="a line a token: id, token, whether it is learned")
    args = parser.parse_intermixed_args(argv)
    settings, path, entry = row_source(args)
    place, row = row_of(path, args.row)
    view = load_view(settings)  # says which templates there are, where it is none of them
    named = settings.get("model_name_or_path")
    view = load_view(settings, *(load_tokenizer(settings) if named else (stand_in(settings["template"]),)))
    try:
        ids, labels = llamafactory("call", DIES, encode_row, row, view, entry)
    except FaultError as died:
        if isinstance(died.__cause__, UserError):
            raise died.__cause__ from None
        lint = f"run: python -m tools.lint {path} --template {settings['template']}"
        raise UserError(place, died.fault[1], lint) from None
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
