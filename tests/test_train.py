"""A run that goes wrong ends at its first broken step, with a status that is not 0, and nothing that looks finished."""

import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from callwright.errors import UserError
from callwright.files import ROOT, write_json
from callwright.recipes import Recipe
from callwright.trained import broken_step, broken_tensor, check_trained
from tools import curve
from tools.train import main
from tools.training.guard import set_aside

TURNS = [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hello, how are you?"}]


def train(folder: Path, model: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Train a model for three steps on eight rows that all say the same, into `folder`/run/train."""
    from tools.formats.dataset_info import SHAREGPT

    rows = "".join(json.dumps({"conversations": TURNS, "system": "", "tools": ""}) + "\n" for _ in range(8))
    (folder / "rows.jsonl").write_text(rows)
    write_json(folder / "dataset_info.json", {"rows": {"file_name": "rows.jsonl", **SHAREGPT}})
    settings = {
        "model_name_or_path": str(model), "template": "qwen", "stage": "sft", "do_train": True, "finetuning_type": "lora",
        "lora_rank": 4, "dataset_dir": str(folder), "dataset": "rows", "cutoff_len": 128, "use_cpu": True, "max_steps": 3,
        "output_dir": str(folder / "run/train"), "logging_steps": 10, "save_steps": 1, "report_to": "none",
        "per_device_train_batch_size": 2, "overwrite_cache": True,
    }  # fmt: skip
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "tools.train", str(recipe), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_an_infinite_weight_ends_the_run_at_its_first_step(infinite_model: Path, tmp_path: Path):
    done = train(tmp_path, infinite_model)
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "step 1" in line and "nan" in line and "fetch the base model again" in line
    assert not (tmp_path / "run/train").exists()
    assert str(tmp_path / "run/train.failed") in line and (tmp_path / "run/train.failed").is_dir()
    recipe = Recipe("r", Path("r.yaml"), {"output_dir": str(tmp_path / "run/train")})
    with pytest.raises(UserError, match=r"no adapter there.*train\.failed.*make train RECIPE=r"):
        check_trained(recipe)


def test_a_sound_run_ends_as_llamafactory_ends_it(tiny_model: Path, tmp_path: Path):
    done = train(tmp_path, tiny_model, "learning_rate=1e-3")
    assert done.returncode == 0, done.stderr[-1500:]
    recipe = Recipe("r", Path("r.yaml"), {"output_dir": str(tmp_path / "run/train")})
    assert check_trained(recipe) == tmp_path / "run/train"


def trained(folder: Path, log: list[dict[str, float]]) -> Recipe:
    """Lay out what a run of plain `llamafactory-cli train` leaves: an adapter and the trainer's log, NaN in it as it writes it."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    write_json(folder / "adapter_config.json", {"r": 2})
    save_file({"a": torch.tensor([1.0, 2.0])}, folder / "adapter_model.safetensors")
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    return Recipe("r", Path("r.yaml"), {"output_dir": str(folder)})


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"step": 7, "loss": math.nan, "grad_norm": 1.0}, "at step 7 the loss was nan"),
        ({"step": 3, "loss": 0.8, "grad_norm": math.nan}, "at step 3 the grad_norm was nan"),
        ({"step": 9, "loss": 0.0, "grad_norm": math.inf}, "at step 9 the loss was 0"),
        ({"step": 2, "eval_loss": math.nan}, "at step 2 the eval_loss was nan"),
    ],
)
def test_the_log_of_a_run_that_went_wrong_refuses_its_adapter(tmp_path: Path, entry: dict[str, float], said: str):
    recipe = trained(tmp_path / "x", [{"step": 1, "loss": 1.2, "grad_norm": 3.0}, entry])
    with pytest.raises(UserError, match=said) as error:
        check_trained(recipe)
    assert "make train RECIPE=r" in error.value.remedy


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_adapter_that_holds_no_number_is_refused(tmp_path: Path, dtype: str, value: float):
    import torch
    from safetensors.torch import save_file

    recipe = trained(tmp_path / "x", [{"step": 1, "loss": 1.2}])
    weights = tmp_path / "x/adapter_model.safetensors"
    kind = getattr(torch, dtype)
    save_file({"a": torch.ones(3, dtype=kind), "b": torch.tensor([1.0, value, -6e4], dtype=kind)}, weights)
    assert broken_tensor(weights) == "b"
    with pytest.raises(UserError, match="b is not finite"):
        check_trained(recipe)


@pytest.mark.parametrize("dtype", ["float8_e5m2", "float8_e4m3fn"])
def test_every_number_of_eight_bits_is_told_from_what_is_none(tmp_path: Path, dtype: str):
    import torch
    from safetensors.torch import save_file

    every = torch.arange(256, dtype=torch.uint8).view(getattr(torch, dtype))
    finite = every.float().isfinite()
    weights = tmp_path / "x.safetensors"
    save_file({"a": every[finite].contiguous()}, weights)
    assert broken_tensor(weights) is None
    for one in every[~finite]:
        save_file({"a": one.reshape(1).clone()}, weights)
        assert broken_tensor(weights) == "a"


def test_what_is_sound_passes(tmp_path: Path):
    recipe = trained(tmp_path / "x", [{"step": 1, "loss": 1e-9, "grad_norm": 0.0}, {"step": 1, "train_loss": 0.5}])
    assert check_trained(recipe) == tmp_path / "x"
    assert broken_step(ROOT / "adapters/smollm2-135m_caller") is None
    for folder in (ROOT / "adapters").iterdir():
        assert broken_tensor(folder / "adapter_model.safetensors") is None
    (tmp_path / "x/adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="half-written"):
        check_trained(recipe)


def test_a_finished_run_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"output_dir: {tmp_path / 'train'}\nmodel_name_or_path: nowhere\n")
    write_json(tmp_path / "train/callwright.json", {"fingerprint": "x", "finished": True})
    assert main([str(recipe), "seed=1"]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_run_that_ended_well_names_the_command_that_measures_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = tmp_path / "runs/smollm2-135m_lora/t/train"
    trained(folder, [{"step": 1, "loss": 1.2}])
    write_json(folder / "all_results.json", {"train_runtime": 60.0})
    given = ["smollm2-135m_lora", "dataset=t_train", f"output_dir={folder}", "seed=3"]
    assert curve.main(given) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"next: make eval RECIPE=smollm2-135m_lora TASK=t ARGS='seed=3 output_dir={folder}'"
    write_json(folder / "trainer_state.json", {"log_history": [{"step": 1, "loss": 0.0}]})
    assert curve.main(given) == 2
    assert "next:" not in capsys.readouterr().out


def test_gradients_may_overflow_in_fp16(tmp_path: Path):
    recipe = trained(tmp_path / "x", [{"step": 1, "loss": 1.2, "grad_norm": math.inf}])
    with pytest.raises(UserError, match="grad_norm"):
        check_trained(recipe)
    assert check_trained(Recipe("r", Path("r.yaml"), {**recipe.train, "fp16": True})) == tmp_path / "x"


def test_failed_runs_do_not_overwrite_each_other(tmp_path: Path):
    for number in range(3):
        (tmp_path / "train").mkdir()
        (tmp_path / "train/n").write_text(str(number))
        set_aside(tmp_path / "train")
    kept = {path.name: (path / "n").read_text() for path in tmp_path.iterdir()}
    assert kept == {"train.failed": "0", "train.failed.2": "1", "train.failed.3": "2"}
    assert set_aside(tmp_path / "train") is None


@pytest.mark.parametrize(
    "log",
    ['{"log_his', "{}", "[]", '{"log_history": [5]}', '{"log_history": [{"step": 1, "loss": []}]}'],
)
def test_a_log_that_is_not_whole_is_refused_in_a_line(tmp_path: Path, log: str):
    (tmp_path / "trainer_state.json").write_text(log)
    with pytest.raises(UserError, match="not a whole log"):
        broken_step(tmp_path)


@pytest.mark.parametrize("entry", ['{"loss": "nan"}', '{"grad_norm": null}', '{"train_loss": NaN}', '{"loss": "0.0"}'])
def test_a_number_that_is_none_however_it_is_written(tmp_path: Path, entry: str):
    (tmp_path / "trainer_state.json").write_text(f'{{"log_history": [{entry}]}}')
    assert broken_step(tmp_path)


def tensors_file(header: object, data: bytes = b"") -> bytes:
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 1 << 63) + b"x",
        struct.pack("<Q", 1 << 40) + b"x",
        tensors_file([1]),
        tensors_file({}),
        tensors_file({"a": 5}, b"data"),
        tensors_file({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"data"),
        tensors_file({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 3]}}, b"dat"),
    ],
)
def test_a_file_that_is_no_safetensors_is_refused_in_a_line(tmp_path: Path, content: bytes):
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="half-written"):
        broken_tensor(path)


@pytest.mark.parametrize("left", [[], ["adapter_model.bin"]])
def test_weights_in_no_safetensors_are_refused(tmp_path: Path, left: list[str]):
    (tmp_path / "adapter_config.json").write_text("{}")
    for name in left:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="holds no safetensors") as raised:
        check_trained(Recipe("r", Path("r.yaml"), {"model_name_or_path": "m", "output_dir": str(tmp_path)}))
    assert all(name in raised.value.fault for name in left)


def test_a_whole_model_that_holds_no_number_is_refused(tmp_path: Path):
    import torch
    from safetensors.torch import save_file

    (tmp_path / "config.json").write_text("{}")
    save_file({"a": torch.tensor([1.0])}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.tensor([float("nan")])}, tmp_path / "model-00002-of-00002.safetensors")
    settings = {"model_name_or_path": "m", "finetuning_type": "full", "output_dir": str(tmp_path)}
    with pytest.raises(UserError, match="b is not finite"):
        check_trained(Recipe("r", Path("r.yaml"), settings))
