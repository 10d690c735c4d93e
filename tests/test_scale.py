"""Two processes of one machine train together, as `make train NPROC=2` starts them, over gloo."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from callwright.files import ROOT, read_json, read_jsonl, write_json, write_jsonl
from tools.formats.dataset_info import SHAREGPT
from tools.formats.sharegpt import tools_text

SCALE = ROOT / "configs/scale"


def train_in_two(model: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Train a model on eight rows that all say the same in two processes, into `folder`/out."""
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "Hello there."}]
    write_jsonl(folder / "rows.jsonl", [{"conversations": turns, "system": "", "tools": tools_text([])}] * 8)
    write_json(folder / "dataset_info.json", {"rows": {"file_name": "rows.jsonl", **SHAREGPT}})
    settings = yaml.safe_load((ROOT / "configs/train/smollm2-135m_lora.yaml").read_text())
    settings |= {"model_name_or_path": str(model), "dataset_dir": str(folder), "dataset": "rows", "max_steps": 4,
                 "output_dir": str(folder / "out"), "logging_steps": 1, "plot_loss": False, "do_eval": False,
                 "use_cpu": True, "ddp_backend": "gloo", "adapter_name_or_path": None}  # fmt: skip
    del settings["eval_dataset"]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(settings))
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
                                "FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2"}  # fmt: skip
    command = [sys.executable, "-m", "tools.train", folder / "recipe.yaml"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_train_one_adapter(tiny_model: Path, tmp_path: Path):
    done = train_in_two(tiny_model, tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-2000:]
    assert "Process rank: 1, world size: 2" in said
    assert "accumulation) = 2" in said, "a row a process"
    losses = [entry["loss"] for _, entry in read_jsonl(tmp_path / "out/trainer_log.jsonl") if "loss" in entry]
    assert len(losses) == 4 and all(map(math.isfinite, losses))
    assert (tmp_path / "out/adapter_model.safetensors").is_file()


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_end_together_where_a_step_goes_wrong(infinite_model: Path, tmp_path: Path):
    done = train_in_two(infinite_model, tmp_path)
    assert done.returncode == 2, done.stderr[-2000:]
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "step 1" in line and "fetch the base model again" in line
    assert not (tmp_path / "out").exists() and (tmp_path / "out.failed").is_dir()


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_leaves_to_the_recipe_what_the_recipe_says(stage: int):
    config = read_json(SCALE / f"zero{stage}.json")
    assert config["zero_optimization"]["stage"] == stage
    assert {config[key] for key in config if key.startswith(("train_", "gradient_"))} == {"auto"}


def test_accelerate_reads_the_fsdp_config():
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(SCALE / "fsdp.yaml"))
    assert (str(config.distributed_type.value), config.num_processes) == ("FSDP", 2)
