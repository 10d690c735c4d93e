"""The card of an export: what it says of the base's licence."""

import os
from pathlib import Path

import pytest
import yaml

from callwright.files import write_json
from callwright.recipes import load_recipe, model_hash, stems
from tools.ship.model_card import BASE_LICENCES, measured, published_name, write_card


@pytest.mark.parametrize(
    ("stem", "overrides", "licence"),
    [
        ("smollm2-135m_lora", [], "apache-2.0"),
        ("phi3-mini_qlora", [], "mit"),
        ("gemma3-1b_qlora", [], "other"),
        ("smollm2-135m_lora", ["model_name_or_path=somebody/unknown"], None),
    ],
)
def test_a_card_names_the_base_s_licence_only_where_it_is_known(
    stem: str, overrides: list[str], licence: str | None, tmp_path: Path
):
    (tmp_path / "config.json").write_text('{"hidden_size": 576}')
    trained = tmp_path / "train"
    trained.mkdir()
    (trained / "adapter_model.safetensors").touch()
    write_card(load_recipe(stem, [*overrides, f"output_dir={trained}"]), tmp_path, "qwen")
    card = (tmp_path / "README.md").read_text("utf-8")
    assert yaml.safe_load(card.split("---")[1]).get("license") == licence
    assert ("see its own page before you share these" in card) == (licence is None)


def test_what_is_measured_is_told_by_the_weights_not_by_the_clock(tmp_path: Path):
    trained = tmp_path / "train"
    write_json(trained / "adapter_config.json", {"r": 2, "target_modules": ["q", "v"]})
    (trained / "adapter_model.safetensors").write_bytes(b"weights")
    recipe = load_recipe("smollm2-135m_lora", ["dataset=t_train", f"output_dir={trained}"])
    interval = {"f1": 0.5, "ci95": [0.4, 0.6], "precision": None, "recall": None}
    run = tmp_path / "eval/golden/tuned"
    write_json(run / "summary.json", {"decision": interval, "strict_accuracy": None, "scored": 2})
    write_json(run / "manifest.json", {"fingerprint": {"adapter": model_hash(str(trained))}})
    write_json(trained / "adapter_config.json", {"r": 2, "target_modules": ["v", "q"]})  # a no-op training
    write_json(trained / "all_results.json", {"seconds": 1})
    (trained / "training_args.bin").write_bytes(b"later")
    os.utime(trained / "adapter_model.safetensors", (9e9, 9e9))
    assert recipe.run_dir == tmp_path and "| F1 of the decision to call | 0.500 |" in measured(recipe)
    (trained / "adapter_model.safetensors").write_bytes(b"others")
    assert "make eval RECIPE=smollm2-135m_lora TASK=t" in measured(recipe)


@pytest.mark.parametrize("stem", stems())
def test_the_licence_of_every_base_model_is_known(stem):
    assert published_name(load_recipe(stem).model) in BASE_LICENCES
