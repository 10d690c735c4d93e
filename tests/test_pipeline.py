"""The whole road on a tiny random model: data, the real `llamafactory-cli train`, the real API server, the report."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from callwright.files import ROOT, read_json, read_jsonl, write_jsonl

LLAMAFACTORY = Path(sys.executable).with_name("llamafactory-cli")


@pytest.fixture(scope="module")
def house(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose default recipe trains the tiny model on a small image_intent."""
    house = tmp_path_factory.mktemp("pipeline")
    for name in ("callwright", "tools", "eval", "configs", "data/seeds"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tiny_model, house / "models/tiny")
    change(
        house / "configs/data/image_intent.yaml",
        augment={"call": 60, "no_call": 60},
        split={"train": 80, "val": 16, "test": 24},
    )
    for kind in ("train", "serve"):
        path = house / f"configs/{kind}/smollm2-135m_lora.yaml"
        change(path, model_name_or_path="models/tiny")
    start = {"adapter_name_or_path": None}  # it is not of the tiny model
    change(
        house / "configs/train/smollm2-135m_lora.yaml",
        **start,
        max_steps=6,
        save_steps=3,
        logging_steps=2,
        cutoff_len=2048,
    )
    change(house / "configs/eval/golden.yaml", max_tokens=8, base_probe_tokens=4)
    return house


def change(path: Path, **keys: object) -> None:
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **keys}))


def run(house: Path, *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*command], cwd=house, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    return done


def tool(house: Path, module: str, *arguments: str) -> str:
    return run(house, sys.executable, "-m", module, *arguments).stdout


def test_from_seeds_to_a_report(house: Path):
    for step in ("augment", "split", "convert", "register"):
        assert tool(house, f"tools.{step}", "image_intent").count("\n") <= 2
    rows = [row for _, row in read_jsonl(house / "data/image_intent_train.jsonl")]
    replies = [turn["value"] for row in rows for turn in row["conversations"] if turn["from"] == "gpt"]
    assert replies
    assert all(reply.startswith("\n") for reply in replies)

    recipe = "smollm2-135m_lora"
    assert f"{recipe} starts, into runs/{recipe}/train" in tool(house, "tools.preflight", recipe)
    run(house, str(LLAMAFACTORY), "train", f"configs/train/{recipe}.yaml", "max_steps=3")
    (house / f"runs/{recipe}/train/all_results.json").unlink()  # as a kill leaves it
    assert "resumes" in tool(house, "tools.preflight", recipe)
    done = run(house, str(LLAMAFACTORY), "train", f"configs/train/{recipe}.yaml")
    assert "Resuming training from" in done.stdout + done.stderr
    ended = tool(house, "tools.curve", recipe)
    assert "eval loss" in ended
    curve = house / ended.split("curve: ")[1].splitlines()[0]
    assert curve.read_bytes().startswith(b"\x89PNG")
    assert (house / f"runs/{recipe}/train/adapter_model.safetensors").is_file()

    golden = house / "data/image_intent_golden.jsonl"
    write_jsonl(golden, [case for _, case in read_jsonl(golden)][:6])
    tool(house, "eval.run", "--recipe", recipe)
    for model in ("base", "tuned"):
        folder = house / f"runs/{recipe}/eval/golden/{model}"
        summary = read_json(folder / "summary.json")
        assert (summary["n"], summary["scored"]) == (6, 6)
        assert (folder / "report.html").read_text().startswith("<!")
        assert read_json(folder / "manifest.json")["fingerprint"]
        assert sum(1 for _ in read_jsonl(folder / "results.jsonl")) == 6
    asked = json.loads(tool(house, "eval.ask", "畫一隻貓", "--recipe", recipe))
    assert asked["intent"] in (None, "generate_image_intent")


def test_other_data_starts_afresh_and_keeps_the_old_run(house: Path):
    """Runs after the test above, on its adapter."""
    recipe = "smollm2-135m_lora"
    if not (house / f"runs/{recipe}/train").is_dir():
        pytest.skip("there is no run to keep")
    with (house / "data/image_intent_val.jsonl").open("a") as file:
        file.write((house / "data/image_intent_val.jsonl").read_text().splitlines()[0] + "\n")
    assert "starts afresh" in tool(house, "tools.preflight", recipe)
    assert (house / f"runs/{recipe}/train.1/adapter_model.safetensors").is_file()
