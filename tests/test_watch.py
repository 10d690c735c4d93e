"""GPUs are sampled beside a command, whose status is kept; the driver's tool is stood in for where there is none."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from callwright.errors import UserError
from callwright.files import ROOT, read_jsonl
from callwright.locks import only_writer
from tools.train import main
from tools.training import watch
from tools.training.watch import run_beside, training_environment

DRIVER = """#!/bin/sh
case "$1" in *name*) echo 'Made-up GPU, 1000';; *) echo '0, 97, 512'; echo '1, [N/A], 256'; echo '1, 3, 256';; esac
"""


def test_use_and_memory_are_sampled_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nvidia-smi").write_text(DRIVER)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    out = tmp_path / "run"
    out.mkdir()
    assert run_beside([sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(3)"], out) == 3
    samples = [sample for _, sample in read_jsonl(out / "gpu.jsonl")]
    assert {(one["gpu"], one["use"], one["mib"]) for one in samples} == {(0, 97, 512), (1, 3, 256)}
    assert (out / "gpu.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_gpu_the_status_is_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_beside([sys.executable, "-c", "raise SystemExit(5)"], tmp_path) == 5
    assert not list(tmp_path.iterdir())


def test_a_second_training_into_the_folder_is_refused(capsys: pytest.CaptureFixture[str]):
    folder = ROOT / "runs/smollm2-135m_lora/no-such-task"
    folder.mkdir(parents=True)
    try:
        with only_writer(folder):
            assert main(["smollm2-135m_lora", "--task", "no-such-task"]) == 2
        assert f"process {os.getpid()}" in capsys.readouterr().err
    finally:
        shutil.rmtree(folder)


def test_several_processes_are_started_by_torchrun():
    alone = training_environment({"NPROC": "", "NNODES": "", "MALLOC_MMAP_MAX_": "1"})
    assert "FORCE_TORCHRUN" not in alone and "NNODES" not in alone
    assert alone["MALLOC_MMAP_MAX_"] == "1", "the user's own word counts"
    assert alone["TORCH_CUDNN_SDPA_DEPRIORITIZED"] == "1"
    many = training_environment({"NPROC": "2", "NNODES": "3"})
    assert (many["FORCE_TORCHRUN"], many["NPROC_PER_NODE"], many["NNODES"]) == ("1", "2", "3")
    assert "NPROC_PER_NODE" not in training_environment({"NPROC": "", "NNODES": "3"})
    for number in ("x", "0", "-1", "2 3", "$(touch PWN)"):
        with pytest.raises(UserError, match="is no number of processes"):
            training_environment({"NPROC": number})
