"""LLaMA-Factory's own DPO, on a tiny random model, takes the pairs and the recipe, and starts from the trained adapter."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from endpoint import TOOL

from callwright.config import DataConfig
from callwright.files import ROOT, read_json, write_json, write_jsonl
from callwright.records import Call, Example
from callwright.results import Result
from tools.formats import sharegpt
from tools.formats.dataset_info import PAIRS
from tools.rows.mine import to_pair

LLAMAFACTORY = Path(sys.executable).with_name("llamafactory-cli")
RECIPE = "configs/train/smollm2-135m_dpo.yaml"


def pair(text: str, right: bool, **wrong: object) -> dict[str, object] | None:
    calls = [Call(name="generate_image", arguments={"prompt": text})] if right else []
    example = Example(id=text, text=text, calls=calls, reply=None if right else "Hi.", lineage=text, source="seed")
    failure = Result.model_validate({"id": text, "text": text, "verdict": "wrong_value", **wrong})
    return to_pair(failure, example, DataConfig(task="tiny"), sharegpt.tools_text([TOOL]))


@pytest.mark.long
@pytest.mark.slow
def test_llamafactory_trains_on_the_pairs_from_the_adapter(tiny_model: Path, tmp_path: Path) -> None:
    """At the first step policy and reference agree: the loss is log 2. It would not be, were the base the reference."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    start, end = tmp_path / "runs/smollm2-135m_lora/train", tmp_path / "runs/smollm2-135m_dpo/train"
    shutil.copytree(tiny_model, tmp_path / "models/smollm2-135m-instruct")
    torch.manual_seed(0)
    lora = LoraConfig(r=4, init_lora_weights=False, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), lora).save_pretrained(start)
    (tmp_path / RECIPE).parent.mkdir(parents=True)
    shutil.copy(ROOT / RECIPE, tmp_path / RECIPE)
    pairs = [
        pair("draw a cat", True, content="\nA cat."),
        pair("draw a dog", True, got=[{"name": "generate_image", "arguments": {"prompt": "dg"}}]),
        pair(
            "who drew it", False, got=[{"name": "paint", "arguments": {}}, {"name": "paint", "arguments": {"x": [1]}}]
        ),
        pair("hello", False, content='<tool_call>{"name": '),
    ]
    write_jsonl(tmp_path / "data/image_intent_pairs.jsonl", pairs)
    entry = {"file_name": "data/image_intent_pairs.jsonl", **PAIRS}
    write_json(tmp_path / "dataset_info.json", {"image_intent_pairs": entry})

    settings = ["pref_ftx=0", "max_steps=2", "logging_steps=1", "learning_rate=0.01", "warmup_steps=0"]
    more = ["plot_loss=false", "use_cpu=true", "gradient_accumulation_steps=1"]
    command = [str(LLAMAFACTORY), "train", RECIPE, *settings, *more]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert f"Num examples = {len(pairs)}" in ran.stdout + ran.stderr, "LLaMA-Factory dropped some"
    first, last = [entry for entry in read_json(end / "trainer_state.json")["log_history"] if "loss" in entry]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert last["loss"] != pytest.approx(math.log(2), abs=1e-4)
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (start, end))
    assert before.keys() == after.keys() and any((before[key] != after[key]).any() for key in before)
