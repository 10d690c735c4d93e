"""Keep a recipe's trained adapter in git, in float16, with what it was made of."""

import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, make_folder, read_json, sha256, write_json, write_text
from callwright.recipes import Recipe
from callwright.summary import read_summary
from callwright.trained import check_trained
from tools.checks.parity import proven_template
from tools.training.preflight import dataset_files

FOLDER = ROOT / "adapters"
WEIGHTS = "adapter_model.safetensors"
MOST = 20_000_000
"""bytes of weights; more does not belong into git"""
PACKAGES = ("llamafactory", "transformers", "peft", "torch")


def halve(source: Path, target: Path) -> None:
    """Write the tensors of a safetensors file in float16.

    Raises:
        UserError: the file is not whole, or a value is too large for float16.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        tensors = {name: tensor.half().contiguous() for name, tensor in load_file(source).items()}
    except (OSError, SafetensorError) as error:
        raise UserError(source, f"not a whole file ({error})", "train again") from None
    if bad := next((name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()), None):
        raise UserError(source, f"{bad} does not fit into float16", "train again, at a lower learning rate")
    save_file(tensors, target, metadata={"format": "pt"})
    target.chmod(0o644)  # it writes for the owner alone


def figures(recipe: Recipe) -> dict[str, Any]:
    """Return each suite's decision and strict accuracy in the recipe's last evaluation, if it asked these weights."""
    found = {}
    for path in sorted(recipe.run_dir.glob("eval/*/tuned/summary.json")):
        if not recipe.is_measured(path.parent):
            continue
        kept = {"n", "infra_errors", "decision", "strict_accuracy"}
        found[path.parts[-3]] = read_summary(path).model_dump(include=kept, exclude_unset=True)
    return found


def describe(recipe: Recipe) -> dict[str, Any]:
    """Describe what an adapter was made of: recipe, data, base model, versions and figures."""
    weights = ROOT / recipe.model / "model.safetensors"
    return {
        "recipe": {"stem": recipe.stem, "sha256": sha256(ROOT / recipe.train_path), "settings": recipe.train},
        "data": {os.path.relpath(path, ROOT): sha256(path) for path in dataset_files(recipe)},
        "base": {"model": recipe.model, "sha256": sha256(weights) if weights.is_file() else None},
        "packages": {name: version(name) for name in PACKAGES},
        "figures": figures(recipe),
    }


def keep(recipe: Recipe, target: Path) -> int:
    """Write the adapter's folder, whole or not at all; return the bytes of its weights.

    Raises:
        UserError: there is no adapter, it is broken, or larger than MOST.
    """
    source = check_trained(recipe)
    make_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        part.mkdir()
        halve(source / WEIGHTS, part / WEIGHTS)
        if (size := (part / WEIGHTS).stat().st_size) > MOST:
            raise UserError(source, f"{size / 1e6:.1f} MB in float16, more than {MOST / 1e6:g}", "lower lora_rank")
        settings = read_json(source / "adapter_config.json")
        write_json(part / "adapter_config.json", settings | {"base_model_name_or_path": recipe.model})
        write_json(part / "manifest.json", describe(recipe))
        if template := proven_template(recipe):
            write_text(part / "chat_template.jinja", template)
        if target.exists():
            shutil.move(target, Path(scratch) / "old")
        part.rename(target)
    return size
