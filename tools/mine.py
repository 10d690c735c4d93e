"""Turn what a model gets wrong in its mining split into lines to train on and preference pairs: `python -m tools.mine
smollm2-135m_lora`. Golden and test are never mined."""

from collections.abc import Sequence

from callwright.config import load_data_config
from callwright.errors import Parser, command
from callwright.files import ROOT
from callwright.locks import only_writer
from callwright.recipes import add_recipe, chosen_recipe
from tools.rows.mine import mine
from tools.rows.split import MINE


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Mine the run of a recipe's tuned model on its mining split."""
    parser = Parser("python -m tools.mine", __doc__)
    add_recipe(parser)
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    config = load_data_config(recipe.task)
    with only_writer(config.work):  # mined.jsonl is read, and written with what is new
        table = mine(config, recipe.run_dir / "eval" / MINE / "tuned")
    print(f"{'cause':20}{'n':>5}  {'remedy':22}{'lines':>6}{'pairs':>6}")
    for (cause, remedy), numbers in table:
        print("{:20}{:5}  {:22}{:6}{:6}".format(cause, numbers[0], remedy or "-", *numbers[1:]))
    failed, lines, pairs = (sum(numbers[column] for _, numbers in table) for column in range(3))
    where = [path.relative_to(ROOT) for path in (config.seeds / "mined.jsonl", config.built("pairs"))]
    print(f"mine {config.task}: {failed} failures; {lines} lines in {where[0]}, {pairs} pairs in {where[1]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
