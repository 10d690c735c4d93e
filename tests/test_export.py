"""Exports: whole or not at all, our template in every file, and the faults of what there is to export."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from callwright import llamacpp
from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_text, sha256, write_json, write_text
from callwright.recipes import Recipe
from tools.ship import export
from tools.ship.gguf import read_formats
from tools.training.base_models import read_metadata

STEMS = sorted(path.stem for path in (ROOT / "configs/train").glob("*.yaml"))


@pytest.mark.parametrize("stem", STEMS)
def test_export_agrees_with_train(stem: str):
    train = yaml.safe_load((ROOT / f"configs/train/{stem}.yaml").read_text())
    exported = yaml.safe_load((ROOT / f"configs/export/{stem}.yaml").read_text())
    whole = train["finetuning_type"] == "full"
    for key in ("template", "tool_format", "enable_thinking", "default_system", "finetuning_type", "trust_remote_code"):
        assert train.get(key) == exported.get(key), key
    assert exported["model_name_or_path"] == (train["output_dir"] if whole else train["model_name_or_path"])
    assert exported.get("adapter_name_or_path") == (None if whole else train["output_dir"])
    assert "quantization_bit" not in exported
    assert exported["export_dir"] == f"runs/{stem}/export"


def test_no_stray_export_files():
    assert sorted(path.stem for path in (ROOT / "configs/export").glob("*.yaml")) == STEMS


def save(path: Path, shapes: dict[str, tuple[int, int]]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.zeros(shape, "float32") for name, shape in shapes.items()}, path)


@pytest.fixture
def trained(tmp_path: Path) -> Recipe:
    """A recipe with a base of one layer and an adapter of it, of tensors alone."""
    save(tmp_path / "base/model.safetensors", {"model.layers.0.mlp.up_proj.weight": (16, 8)})
    lora = "base_model.model.model.layers.0.mlp.up_proj.lora_"
    save(tmp_path / "train/adapter_model.safetensors", {f"{lora}A.weight": (4, 8), f"{lora}B.weight": (16, 4)})
    write_json(tmp_path / "train/adapter_config.json", {"base_model_name_or_path": str(tmp_path / "base")})
    settings = {"model_name_or_path": str(tmp_path / "base"), "output_dir": str(tmp_path / "train")}
    return Recipe("tiny", tmp_path / "tiny.yaml", settings)


def test_an_adapter_of_its_base_passes(trained: Recipe):
    export.check_whole(trained)


def test_no_adapter(trained: Recipe):
    (trained.output_dir / "adapter_config.json").unlink()
    with pytest.raises(UserError, match="no adapter there; run: make train RECIPE=tiny"):
        export.check_whole(trained)


def test_an_adapter_of_another_base_by_name_and_by_shape(trained: Recipe):
    save(Path(trained.model) / "model.safetensors", {"model.layers.0.mlp.up_proj.weight": (32, 8)})
    with pytest.raises(UserError, match=r"another base: .*up_proj.weight is \[16, 8\] in it, and \[32, 8\] in"):
        export.check_whole(trained)
    write_json(trained.output_dir / "adapter_config.json", {"base_model_name_or_path": "models/other"})
    with pytest.raises(UserError, match="an adapter of another base: models/other, and the recipe's is"):
        export.check_whole(trained)


@pytest.mark.parametrize("kept", [5, 100, -1])
def test_a_half_written_adapter(trained: Recipe, kept: int):
    weights = trained.output_dir / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"adapter_model.safetensors: half-written .*; train again"):
        export.check_whole(trained)
    weights.unlink()
    with pytest.raises(UserError, match=r"half-written|holds no safetensors"):
        export.check_whole(trained)


def test_an_unknown_format():
    with pytest.raises(UserError, match="'q9' is no format; choose from: f16,q8_0,q4_k_m"):
        read_formats("f16,q9")


def test_a_kill_between_the_renames_is_undone(tmp_path: Path):
    target, part = tmp_path / "export", tmp_path / "part/export"
    write_text(part / "new", "")
    write_text(target / "old", "")
    export.replace_folder(part, target)
    assert [path.name for path in target.iterdir()] == ["new"]
    target.rename(tmp_path / ".export.old")  # as a kill leaves it
    write_text(tmp_path / ".export.part-x/export/half", "")
    export.recover(target)
    assert [path.name for path in tmp_path.iterdir() if path.name != "part"] == ["export"]
    assert (target / "new").is_file()


@pytest.fixture(scope="module")
def house(tiny_house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny_house with the tools, an export file, and the vocabulary of SmolLM2, which llama.cpp's converter knows."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    if not (tokenizer := ROOT / "models/smollm2-135m-instruct").is_dir():
        pytest.skip("no SmolLM2 here: make model")
    house = tmp_path_factory.mktemp("export") / "house"
    shutil.copytree(tiny_house, house)
    shutil.copytree(ROOT / "tools", house / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    model, adapter = house / "models/tiny", house / "runs/tiny_lora/train"
    config = AutoConfig.from_pretrained(model, vocab_size=49152, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    network = AutoModelForCausalLM.from_config(config)
    network.save_pretrained(model)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, model)
    network.name_or_path = "models/tiny"
    lora = get_peft_model(network, LoraConfig(r=4))
    lora.peft_config["default"].base_model_name_or_path = "models/tiny"
    lora.save_pretrained(adapter)
    served = yaml.safe_load(read_text(house / "configs/serve/tiny_lora.yaml"))
    served.pop("infer_backend")
    write_text(house / "configs/export/tiny_lora.yaml", yaml.safe_dump(served | {"export_dir": "x"}))
    write_json(house / "dataset_info.json", {"tiny_train": {"file_name": "data/tiny_golden.jsonl"}})
    return house


def run(house: Path, *words: str, most: int = -1) -> subprocess.CompletedProcess[str]:
    """Export the house's recipe; no file may grow over `most` bytes, as on a disk that is full."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))) if most > 0 else None
    command = [sys.executable, "-m", "tools.export", "tiny_lora", *words]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, preexec_fn=limit)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(not llamacpp.FOLDER.is_dir(), reason="no llama.cpp here: make llamacpp")
def test_export_end_to_end(house: Path):
    done = run(house, "--gguf", "f16,q4_k_m", "--base")
    assert done.returncode == 0, done.stderr
    folder = house / "runs/tiny_lora/export"
    ggufs = {f"tiny_lora-{kind}.gguf" for kind in ("F16", "Q4_K_M")}
    template = read_text(folder / "chat_template.jinja")
    assert "<tool_call>" in template
    assert read_json(folder / "tokenizer_config.json")["chat_template"] == template
    for path in [*(folder / name for name in ggufs), house / "runs/tiny_lora/base-F16.gguf"]:
        assert read_metadata(path)["tokenizer.chat_template"] == template
    assert "<tool_call>" in (folder / "Modelfile").read_text(), "ours, with tools"
    manifest = read_json(folder / "manifest.json")
    assert ggufs | {"README.md", "model.safetensors", "tokenizer.json"} <= manifest["files"].keys()
    card = read_text(folder / "README.md")
    assert "vllm serve . --dtype float32 --enable-auto-tool-choice --tool-call-parser hermes" in card
    assert "Not measured: no evaluation asked these weights" in card
    left = {path.name for path in folder.parent.iterdir()}
    assert left == {".lock", "train", "export", "export.log", "base-F16.gguf"}

    started = time.monotonic()
    write_text(folder / "README.md", "of an earlier evaluation")
    again = run(house, "--gguf", "f16", "--base")
    assert "Not measured" in read_text(folder / "README.md"), "the card is written again"
    assert read_json(folder / "manifest.json")["files"]["README.md"]["sha256"] == sha256(folder / "README.md")
    assert (again.returncode, "there already" in again.stdout) == (0, True)
    assert time.monotonic() - started < 10

    # A full disk leaves the old export, and nothing half-made.
    export_file = house / "configs/export/tiny_lora.yaml"
    write_text(export_file, read_text(export_file) + "export_size: 4\n")
    full = run(house, most=1 << 20)
    assert full.returncode == 2
    assert full.stderr.count("\n") == 1
    assert "free some space" in full.stderr
    assert read_json(folder / "manifest.json") == manifest
    assert {path.name for path in folder.parent.iterdir()} == left
    assert json.loads((folder / "config.json").read_text())["vocab_size"] == 49152
