"""Run a padded batch through a recipe's attention and back, here: `python -m tools.try_attention smollm2-135m_lora`."""

from collections.abc import Sequence

from callwright.errors import Parser, command
from callwright.recipes import add_recipe, chosen_recipe
from tools.training.attention import LENGTHS, attention_fault, implementation


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print what was found; 1 when the attention cannot be trained with."""
    parser = Parser("python -m tools.try_attention", __doc__)
    add_recipe(parser)
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    fault = attention_fault(recipe)
    print(fault or f"{implementation(recipe)} attention: finite gradients of a padded batch at {LENGTHS} tokens")
    return 1 if fault else 0


if __name__ == "__main__":
    raise SystemExit(main())
