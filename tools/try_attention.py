"""Run a padded batch forward and backward through a recipe's attention, here: `python -m tools.try_attention smollm2-135m_lora`.

A kernel may give gradients that are not numbers for some lengths only, as cuDNN 9.19's does for 64 more than a multiple of
128 tokens where scores are strongly negative (pytorch/pytorch#196678). So several lengths are tried, with such scores.
"""

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
