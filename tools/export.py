"""Merge a recipe's adapter into what any runtime serves: `python -m tools.export smollm2-135m_lora --gguf f16,q8_0,q4_k_m`.

runs/<recipe>/export/ gets the weights, the tokenizer with the trained chat template with tools, a model card, a manifest
and the GGUF files that are asked for. It is replaced whole or not at all.
"""

from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, command
from callwright.locks import only_writer
from callwright.recipes import add_recipe, chosen_recipe
from tools.ship.export import export
from tools.ship.gguf import FORMATS, read_formats


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Export one recipe."""
    parser = Parser("python -m tools.export", __doc__)
    add_recipe(parser)
    parser.add_argument("--gguf", type=read_formats, default=[], metavar="FORMAT,…", help=f"from {','.join(FORMATS)}")
    parser.add_argument(
        "--base", action="store_true", help="also the base model's F16 GGUF, beside the export, for eval"
    )
    parser.add_argument("--out", type=Path, help="the folder (default: runs/<recipe>/export)")
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    target = (args.out or recipe.run_dir / "export").resolve()
    with only_writer(recipe.run_dir):
        made = export(recipe, target, args.gguf, recipe.run_dir / "base-F16.gguf" if args.base else None)
    size = sum(path.stat().st_size for path in target.iterdir()) >> 20
    print(f"export: {target} ({size} MiB, {'written' if made else 'there already'}); README.md says how to serve it")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
