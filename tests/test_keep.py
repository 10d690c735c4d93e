"""An adapter is kept in float16 with its manifest, whole or not at all."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from callwright.errors import UserError
from callwright.files import ROOT, read_json, write_json
from callwright.recipes import Recipe, model_hash
from tools.keep import main
from tools.ship import keep as module
from tools.ship.keep import WEIGHTS, keep


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """A recipe that has trained a small adapter, in a root of its own."""
    for place in ("tools.ship.keep", "tools.training.preflight", "callwright.recipes"):
        monkeypatch.setattr(f"{place}.ROOT", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/d.jsonl").write_text("{}\n")
    (tmp_path / "r.yaml").write_text("x: 1\n")
    write_json(tmp_path / "dataset_info.json", {"d_train": {"file_name": "data/d.jsonl"}})
    train = {"model_name_or_path": "models/m", "dataset": "d_train", "output_dir": "runs/r/train"}
    made = Recipe("r", Path("r.yaml"), train)
    made.output_dir.mkdir(parents=True)
    write_json(made.output_dir / "adapter_config.json", {"r": 2, "base_model_name_or_path": "/elsewhere/m"})
    save_file({"a": torch.tensor([1.0, 2.5])}, made.output_dir / WEIGHTS)
    figures = {"n": 2, "scored": 2, "infra_errors": 0, "decision": {"f1": 0.5}, "strict_accuracy": 0.5, "slices": {}}
    for suite, weights in (("golden", model_hash("runs/r/train")), ("full", "of an earlier training")):
        write_json(tmp_path / f"runs/r/eval/{suite}/tuned/summary.json", figures)
        write_json(tmp_path / f"runs/r/eval/{suite}/tuned/manifest.json", {"fingerprint": {"adapter": weights}})
    return made


def test_what_is_kept(recipe: Recipe, tmp_path: Path):
    target = tmp_path / "adapters/a"
    for _ in range(2):  # the second replaces the first
        assert keep(recipe, target) == (target / WEIGHTS).stat().st_size
    tensors = load_file(target / WEIGHTS)
    assert tensors["a"].dtype == torch.float16 and tensors["a"].tolist() == [1.0, 2.5]
    assert read_json(target / "adapter_config.json") == {"r": 2, "base_model_name_or_path": "models/m"}
    manifest = read_json(target / "manifest.json")
    assert manifest["recipe"]["settings"] == recipe.train
    assert len(manifest["data"]["data/d.jsonl"]) == 64
    assert {suite: kept["decision"] for suite, kept in manifest["figures"].items()} == {"golden": {"f1": 0.5}}
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_what_cannot_be_kept_is_said_and_the_old_one_stays(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "adapters/a"
    keep(recipe, target)
    monkeypatch.setattr(module, "MOST", 10)
    with pytest.raises(UserError, match="lower lora_rank"):
        keep(recipe, target)
    save_file({"a": torch.tensor([1e9])}, recipe.output_dir / WEIGHTS)
    with pytest.raises(UserError, match="a does not fit into float16"):
        keep(recipe, target)
    (recipe.output_dir / WEIGHTS).write_bytes(b"half")
    with pytest.raises(UserError, match="half-written"):
        keep(recipe, target)
    (recipe.output_dir / "adapter_config.json").unlink()
    with pytest.raises(UserError, match="no adapter there; run: make train RECIPE=r"):
        keep(recipe, target)
    assert load_file(target / WEIGHTS)["a"].tolist() == [1.0, 2.5]
    assert [path.name for path in target.parent.iterdir()] == ["a"]


def test_shipped_adapters_are_of_their_recipes_base_and_small():
    folders = sorted((ROOT / "adapters").iterdir())
    assert folders
    for folder in folders:
        manifest = read_json(folder / "manifest.json")
        assert read_json(folder / "adapter_config.json")["base_model_name_or_path"] == manifest["base"]["model"]
        assert (folder / WEIGHTS).stat().st_size <= module.MOST
        assert manifest["data"] and manifest["recipe"]["stem"] in {p.stem for p in (ROOT / "configs/train").iterdir()}


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/b"])
def test_a_name_stays_below_adapters(name: str, capsys: pytest.CaptureFixture[str]):
    assert main(["smollm2-135m_lora", f"--name={name}"]) == 2
    assert "not a name of a folder" in capsys.readouterr().err
