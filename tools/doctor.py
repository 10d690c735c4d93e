"""Test what really breaks on a machine, each finding with its remedy: `python -m tools.doctor`."""

from collections.abc import Sequence

from rich.console import Console

from callwright.errors import Parser, command
from callwright.recipes import load_recipe, stems
from tools.training.doctor import MARKS, attention, base_model, disk, gpu, llamafactory, memory, packages, port, python


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; 1 when one of them is bad."""
    parser = Parser("python -m tools.doctor", __doc__)
    parser.add_argument("--recipe", default="smollm2-135m_lora", help=f"one of: {', '.join(stems())}")
    recipe = load_recipe(parser.parse_args(argv).recipe)
    checks = (python, packages, llamafactory, memory, disk, port)
    console, findings = Console(highlight=False, soft_wrap=True), []
    for check in [*checks, lambda: gpu(recipe), lambda: attention(recipe), lambda: base_model(recipe)]:
        findings.append(finding := check())  # shown as they come: an import takes long
        console.print(MARKS[finding.level], end=" ")
        console.print(finding.what + (f": {finding.remedy}" if finding.remedy else ""), markup=False)
    bad = sum(finding.level == "bad" for finding in findings)
    print("doctor: the main job can run" if not bad else f"doctor: {bad} thing{'s' * (bad > 1)} to mend first")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
