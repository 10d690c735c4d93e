"""Before training: what is missing is said in one line, and the output folder is fit to resume from."""

from dataclasses import replace
from pathlib import Path

import pytest

from callwright.errors import UserError
from callwright.files import write_json
from callwright.recipes import Recipe, load_recipe
from tools import preflight
from tools.preflight import check, clear_way, fingerprint, gpus, main


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The default recipe on data of its own, in a root of its own."""
    monkeypatch.setattr(preflight, "ROOT", tmp_path)
    monkeypatch.setattr("callwright.recipes.ROOT", tmp_path)
    write_json(tmp_path / "dataset_info.json", {"d_train": {"file_name": "data/d.jsonl"}, "hub": {"hf_hub_url": "a/b"}})
    (tmp_path / "data").mkdir()
    (tmp_path / "data/d.jsonl").write_text("{}\n")
    write_json(tmp_path / "models/tiny/config.json", {})
    train = {"model_name_or_path": "models/tiny", "dataset": "d_train,hub", "output_dir": "runs/r/train"}
    return Recipe("r", Path("configs/train/r.yaml"), train)


def test_what_is_missing_is_named(recipe: Recipe):
    assert [path.name for path in check(recipe)] == ["d.jsonl"]
    with pytest.raises(UserError, match=r"not in dataset_info.json.*d_train"):
        check(replace(recipe, train={**recipe.train, "dataset": "other"}))
    with pytest.raises(UserError, match="make eval TASK=d SUITE=mine, then make mine"):
        check(replace(recipe, train={**recipe.train, "dataset": "d_pairs"}))
    with pytest.raises(UserError, match="runs/sft/train: no adapter to start from; run: make train RECIPE=sft"):
        check(replace(recipe, train={**recipe.train, "adapter_name_or_path": "runs/sft/train"}))
    with pytest.raises(UserError, match="make model RECIPE=r"):
        check(replace(recipe, train={**recipe.train, "model_name_or_path": "models/none"}))
    (preflight.ROOT / "data/d.jsonl").unlink()
    with pytest.raises(UserError, match="make data TASK=d"):
        check(recipe)


@pytest.mark.skipif(bool(gpus()), reason="there is a GPU")
def test_a_recipe_that_needs_a_gpu_says_so(capsys: pytest.CaptureFixture[str]):
    assert main(["llama3.1-8b_qlora"]) == 2
    error = capsys.readouterr().err
    assert "needs an NVIDIA GPU" in error
    assert "smollm2-135m_lora" in error
    assert error.count("\n") == 1


def test_unknown_recipe(capsys: pytest.CaptureFixture[str]):
    assert main(["nope"]) == 2
    assert "choose one of: gemma3-1b_qlora" in capsys.readouterr().err


def test_only_the_same_run_is_resumed(recipe: Recipe):
    mark = fingerprint(recipe, check(recipe))
    folder = recipe.output_dir
    assert clear_way(recipe, mark) == "starts"
    whole, broken = folder / "checkpoint-50", folder / "checkpoint-100"
    write_json(whole / "trainer_state.json", {})
    broken.mkdir()
    assert clear_way(recipe, mark) == "resumes"
    assert whole.is_dir()
    assert not broken.exists(), "a half-written checkpoint would be the one that is resumed from"

    (preflight.ROOT / "data/d.jsonl").write_text('{"new": 1}\n')
    changed = fingerprint(recipe, check(recipe))
    assert changed != mark
    assert "starts afresh" in clear_way(recipe, changed)
    assert not list(folder.glob("checkpoint-*"))
    assert (folder.with_name("train.1") / "checkpoint-50").is_dir(), "nothing is lost"


def test_settings_are_part_of_the_fingerprint():
    plain = load_recipe("smollm2-135m_lora")
    other = load_recipe("smollm2-135m_lora", ["learning_rate=2e-4"])
    assert fingerprint(plain, []) != fingerprint(other, [])


def test_another_adapter_to_start_from_is_another_run(recipe: Recipe):
    start = preflight.ROOT / "runs/sft/train/adapter_model.safetensors"
    start.parent.mkdir(parents=True)
    start.write_bytes(b"one")
    recipe = replace(recipe, train={**recipe.train, "adapter_name_or_path": "runs/sft/train"})
    before = fingerprint(recipe, check(recipe))
    start.write_bytes(b"two")
    assert fingerprint(recipe, check(recipe)) != before
