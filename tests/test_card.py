"""The card of an export: what it says of the base's licence."""

from pathlib import Path

import pytest
import yaml

from callwright.recipes import load_recipe
from tools.write_card import write_card


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
