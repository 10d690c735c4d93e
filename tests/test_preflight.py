"""Before training: what is missing is said in one line, and the output folder is fit to resume from."""

from dataclasses import replace
from pathlib import Path

import pytest

from callwright.errors import Main, UserError
from callwright.files import ROOT, write_json
from callwright.machine import Gpu, gpus
from callwright.recipes import Recipe, load_recipe
from tools import lint, parity
from tools.formats.dataset_info import making
from tools.preflight import main
from tools.training import preflight
from tools.training.preflight import check, clear_way, fingerprint

UNBUILT = ["dataset=nowhere_train", "eval_dataset=nowhere_val"]
"""rows that nobody has made: what is estimated does not depend on what is in data/"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """The default recipe on data of its own, in a root of its own."""
    monkeypatch.setattr(preflight, "ROOT", tmp_path)
    monkeypatch.setattr("callwright.recipes.ROOT", tmp_path)
    write_json(tmp_path / "dataset_info.json", {"d_train": {"file_name": "data/d.jsonl"}, "hub": {"hf_hub_url": "a/b"}})
    (tmp_path / "data").mkdir()
    (tmp_path / "configs/data").mkdir(parents=True)
    (tmp_path / "configs/data/d.yaml").write_text("task: d\n")
    (tmp_path / "data/d.jsonl").write_text("{}\n")
    write_json(tmp_path / "models/tiny/config.json", {})
    train = {"model_name_or_path": "models/tiny", "dataset": "d_train,hub", "output_dir": "runs/r/train"}
    return Recipe("r", Path("configs/train/r.yaml"), train)


def test_what_is_missing_is_named(recipe: Recipe):
    assert [path.name for path in check(recipe)] == ["d.jsonl"]
    with pytest.raises(UserError, match=r"not in dataset_info.json.*d_train"):
        check(replace(recipe, train={**recipe.train, "dataset": "other"}))
    with pytest.raises(UserError, match="did you mean 'd_train'"):
        check(replace(recipe, train={**recipe.train, "dataset": "d_tarin"}))
    with pytest.raises(UserError, match="make eval TASK=d SUITE=mine, then make mine TASK=d"):
        check(replace(recipe, train={**recipe.train, "dataset": "d_pairs"}))
    with pytest.raises(UserError, match=r"configs/train/r.yaml: cutof_len: .* did you mean 'cutoff_len'"):
        check(replace(recipe, train={**recipe.train, "cutof_len": 5}))
    for elsewhere in ("/tmp/x", "../x", "runs/../../x", None):
        with pytest.raises(UserError, match="write output_dir: runs/r/train"):
            check(replace(recipe, train={**recipe.train, "output_dir": elsewhere}))
    with pytest.raises(UserError, match="runs/sft/train: no adapter to start from; run: make train RECIPE=sft"):
        check(replace(recipe, train={**recipe.train, "adapter_name_or_path": "runs/sft/train"}))
    with pytest.raises(UserError, match="adapters/x: no adapter to start from; run: git checkout adapters/x"):
        check(replace(recipe, train={**recipe.train, "adapter_name_or_path": "adapters/x"}))
    write_json(preflight.ROOT / "adapters/x/adapter_config.json", {"base_model_name_or_path": "models/other"})
    (preflight.ROOT / "adapters/x/adapter_model.safetensors").touch()
    with pytest.raises(
        UserError, match="another base: models/other, and the recipe's is models/tiny; start from nothing"
    ):
        check(replace(recipe, train={**recipe.train, "adapter_name_or_path": "adapters/x"}))
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


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "GatedRepoError",
            "a/b: the hub asks you to accept its terms first; accept them at https://hf.co/a/b, then run: ",
        ),
        ("RepositoryNotFoundError", "no such model on the hub"),
        ("OfflineModeIsEnabled", "the hub does not answer"),
    ],
)
def test_what_the_hub_wants_is_one_line(error: str, said: str, monkeypatch: pytest.MonkeyPatch):
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    kind = getattr(errors, error)
    answer = httpx.Response(403, request=httpx.Request("GET", "https://hf.co/api"))

    def refuse(model: str) -> None:
        raise kind("refused", response=answer) if issubclass(kind, errors.HfHubHTTPError) else kind("refused")

    monkeypatch.setattr(huggingface_hub, "auth_check", refuse)
    with pytest.raises(UserError) as caught:
        preflight.check_hub("a/b")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_does_not_fit_says_what_would(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preflight, "gpus", lambda: [Gpu("A GPU", 24576.0)])
    with pytest.raises(UserError, match=r"does not fit into 24; would fit: \w+=\S+"):
        preflight.check_memory(load_recipe("llama3.1-8b_qlora-fast", UNBUILT))
    assert "fits into 24" in preflight.check_memory(load_recipe("llama3.1-8b_qlora-24gb", [*UNBUILT, "cutoff_len=700"]))


def test_data_of_no_task_of_ours_may_be_converted():
    recipe = load_recipe("qwen2-vl-2b_lora", ["dataset=nowhere_train", "model_name_or_path=models", "use_cpu=true"])
    with pytest.raises(UserError, match=r"one of: .*vision_train.*tools.convert .*--name nowhere_train"):
        check(recipe)


def test_data_that_is_mixed_is_made_by_make_mix():
    assert making("glaive_mix_val_sample") == "make mix TASK=glaive_mix"
    assert making("image_intent_train") == "make data TASK=image_intent"


def test_training_writes_over_no_adapter_that_is_kept():
    with pytest.raises(UserError, match=r"adapters/smollm2-135m_caller: .*make keep"):
        check(load_recipe("smollm2-135m_lora", ["output_dir=adapters/smollm2-135m_caller"]))


def test_unknown_recipe(capsys: pytest.CaptureFixture[str]):
    assert main(["nope"]) == 2
    assert "choose one of: functiongemma-270m_lora" in capsys.readouterr().err


def test_only_the_same_run_is_resumed(recipe: Recipe):
    mark = fingerprint(recipe, check(recipe))
    folder = recipe.output_dir
    assert clear_way(recipe, mark) == "starts"
    whole, broken = folder / "checkpoint-50", folder / "checkpoint-100"
    for step in (5, 45, 50):
        write_json(folder / f"checkpoint-{step}" / "trainer_state.json", {})
    broken.mkdir()
    assert clear_way(recipe, mark) == "resumes from checkpoint-50"
    assert whole.is_dir()
    assert not broken.exists(), "a half-written checkpoint would be the one that is resumed from"

    (preflight.ROOT / "data/d.jsonl").write_text('{"new": 1}\n')
    changed = fingerprint(recipe, check(recipe))
    assert changed != mark
    assert "starts afresh" in clear_way(recipe, changed)
    assert not list(folder.glob("checkpoint-*"))
    assert (folder.with_name("train.1") / "checkpoint-50").is_dir(), "nothing is lost"


def test_a_finished_run_says_what_to_do_next(recipe: Recipe):
    mark = fingerprint(recipe, check(recipe))
    clear_way(recipe, mark)
    write_json(recipe.output_dir / "all_results.json", {})
    said = clear_way(recipe, mark)
    assert "is finished" in said and "make eval RECIPE=r" in said and "rm -r runs/r/train" in said
    assert (recipe.output_dir / "all_results.json").is_file()
    assert "starts afresh" in clear_way(recipe, "other data")


def test_a_folder_that_cannot_be_written_is_one_line(recipe: Recipe):
    recipe.run_dir.parent.mkdir(parents=True)
    recipe.run_dir.touch()
    with pytest.raises(UserError, match="cannot be written"):
        clear_way(recipe, "mark")


def test_settings_are_part_of_the_fingerprint():
    plain = load_recipe("smollm2-135m_lora")
    other = load_recipe("smollm2-135m_lora", ["learning_rate=2e-4"])
    assert fingerprint(plain, []) != fingerprint(other, [])


def test_another_adapter_to_start_from_is_another_run(recipe: Recipe):
    start = preflight.ROOT / "runs/sft/train/adapter_model.safetensors"
    start.parent.mkdir(parents=True)
    start.write_bytes(b"one")
    write_json(start.with_name("adapter_config.json"), {"base_model_name_or_path": recipe.model})
    recipe = replace(recipe, train={**recipe.train, "adapter_name_or_path": "runs/sft/train"})
    before = fingerprint(recipe, check(recipe))
    start.write_bytes(b"two")
    assert fingerprint(recipe, check(recipe)) != before


@pytest.mark.parametrize("main", [lint.main, parity.main])
def test_lint_and_parity_name_the_verb_that_builds_what_is_missing(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "dataset_info.json").write_text((ROOT / "dataset_info.json").read_text())
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setattr("tools.training.preflight.ROOT", tmp_path)
    recipe = ["--recipe"] if main is lint.main else []
    assert main([*recipe, "smollm2-135m_lora", "--task=assistant_tools"]) == 2
    assert "run: make data TASK=assistant_tools" in capsys.readouterr().err
