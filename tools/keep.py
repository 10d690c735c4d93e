"""Keep a recipe's trained adapter in git, in float16, with what it was made of: `python -m tools.keep smollm2-135m_lora-gpu`."""

from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.recipes import add_recipe, chosen_recipe
from tools.ship.keep import FOLDER, keep


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Keep an adapter from the command line."""
    parser = Parser("python -m tools.keep", __doc__)
    add_recipe(parser)
    parser.add_argument("--name", help="of the folder in adapters/ (default: the recipe's)")
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    name = args.name or recipe.stem
    if Path(name).name != name or name == "..":
        raise UserError(f"--name {name}", "not a name of a folder", "choose one without slashes")
    size = keep(recipe, FOLDER / name)
    print(
        f"keep: adapters/{name}, {size / 1e6:.1f} MB; try it: {recipe.make_command('eval', adapter=f'adapters/{name}')}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
