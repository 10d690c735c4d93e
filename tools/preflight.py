"""Check what a training run needs before anything is loaded: `python -m tools.preflight smollm2-135m_lora`."""

from collections.abc import Sequence

from callwright.config import config_path
from callwright.errors import Parser, command
from callwright.files import ROOT
from callwright.locks import only_writer
from callwright.recipes import load_recipe
from tools.training.preflight import check, check_memory, clear_way, fingerprint


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Check a recipe and prepare its output folder."""
    parser = Parser("python -m tools.preflight", __doc__)
    parser.add_argument("recipe", help="a stem under configs/train/")
    parser.add_argument("overrides", nargs="*", help="the key=value that llamafactory-cli train will get")
    args = parser.parse_args(argv)
    config_path("configs/serve", args.recipe, "recipe")
    recipe = load_recipe(args.recipe, args.overrides)
    files = check(recipe)
    said = check_memory(recipe)
    with only_writer(recipe.run_dir):
        note = clear_way(recipe, fingerprint(recipe, files))
    print(f"train: {recipe.stem} {note}, into {recipe.output_dir.relative_to(ROOT)}" + (f"; {said}" if said else ""))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
