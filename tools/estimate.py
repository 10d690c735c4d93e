"""Estimate what memory a training run takes: `python -m tools.estimate llama3.1-8b_qlora-fast --gpu 80 [key=value …]`.

Exit status 1 when it does not fit. The figures are those of a GPU; docs/scale.md has them beside measured peaks.
"""

import math
from collections.abc import Sequence

from callwright.errors import Parser, UserError, command
from callwright.recipes import add_recipe, chosen_recipe
from tools.training.estimate import GIB, verdict


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print a recipe's estimate, and whether it fits."""
    parser = Parser("python -m tools.estimate", __doc__)
    add_recipe(parser)
    parser.add_argument("--gpu", type=float, default=24, help="GiB of the GPU (default: %(default)s)")
    args = parser.parse_intermixed_args(argv)
    if not 0 < args.gpu < math.inf:
        raise UserError(f"--gpu {args.gpu:g}", "is no size of a GPU", "give its GiB, say: make estimate GPU=24")
    parts, fits, sentence = verdict(chosen_recipe(args), args.gpu * GIB)
    for name, size in parts.items():
        print(f"{name:24}{size / GIB:8.2f} GiB")
    print(f"estimate: {args.recipe} {sentence}")
    return 0 if fits else 1


if __name__ == "__main__":
    raise SystemExit(main())
