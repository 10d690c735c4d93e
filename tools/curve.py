"""Say how a training run ended, losses, time, the curve's path, and what comes next: `python -m tools.curve smollm2-135m_lora`."""

from collections.abc import Sequence

from callwright.errors import Parser, UserError, command
from callwright.files import ROOT, read_json
from callwright.recipes import add_recipe, chosen_recipe
from callwright.trained import check_trained


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print one line on the run of a recipe, and one with the command that measures it."""
    parser = Parser("python -m tools.curve", __doc__)
    add_recipe(parser)
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    folder = recipe.output_dir
    if not (folder / "trainer_state.json").is_file():
        raise UserError(folder, "no finished run there", f"run: {recipe.make_command('train')}")
    check_trained(recipe)
    log = read_json(folder / "trainer_state.json")["log_history"]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    results = read_json(folder / "all_results.json")
    parts = [f"loss {losses[0]:.3f} → {losses[-1]:.3f}"] if losses else []
    if "eval_loss" in results:
        parts.append(f"eval loss {results['eval_loss']:.3f}")
    if results.get("train_runtime"):
        parts.append(f"{results['train_runtime'] / 60:.1f} min")
    curve = folder / "training_loss.png"
    if curve.is_file():
        parts.append(f"curve: {curve.relative_to(ROOT)}")
    print(f"trained: {recipe.stem}: {', '.join(parts)}")
    print(f"next: {recipe.make_command('eval')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
