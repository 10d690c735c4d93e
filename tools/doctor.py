"""Test what really breaks on a machine, each finding with its remedy: `python -m tools.doctor`."""

from collections.abc import Sequence

from rich.console import Console

from callwright.errors import Parser, command
from callwright.recipes import load_recipe, stems
from tools.training.doctor import MARKS, findings


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; 1 when one of them is bad."""
    parser = Parser("python -m tools.doctor", __doc__)
    parser.add_argument("--recipe", default="smollm2-135m_lora", help=f"one of: {', '.join(stems())}")
    recipe = load_recipe(parser.parse_args(argv).recipe)
    console, bad = Console(highlight=False, soft_wrap=True), 0
    for finding in findings(recipe):  # shown as they come: an import takes long
        console.print(MARKS[finding.level], end=" ")
        console.print(": ".join(filter(None, [finding.what, finding.remedy])), markup=False)
        bad += finding.level == "bad"
    print(f"doctor: to mend first: {bad}" if bad else "doctor: the main job can run")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
