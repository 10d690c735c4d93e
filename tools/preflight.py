"""Check what a training run needs before anything is loaded: `python -m tools.preflight smollm2-135m_lora`."""

from collections.abc import Sequence

from callwright.config import config_path
from callwright.errors import Parser, command
from callwright.files import ROOT
from callwright.locks import only_writer
from callwright.recipes import add_recipe, chosen_recipe
from tools.training.preflight import check, check_memory, clear_way, fingerprint


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Check a recipe and prepare its output folder."""
    parser = Parser("python -m tools.preflight", __doc__)
    add_recipe(parser)
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    config_path("configs/serve", recipe.stem, "recipe")
    files = check(recipe)
    memory = check_memory(recipe)
    with only_writer(recipe.run_dir):
        note = clear_way(recipe, fingerprint(recipe, files))
    print(
        f"train: {recipe.stem} {note}, into {recipe.output_dir.relative_to(ROOT)}" + (f"; {memory}" if memory else "")
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
