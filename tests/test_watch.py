"""GPUs are sampled beside a command, whose status is kept; the driver's tool is stood in for where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from callwright.files import ROOT, read_jsonl
from callwright.locks import LOCK, only_writer
from tools.training import watch
from tools.watch import main

DRIVER = """#!/bin/sh
case "$1" in *name*) echo 'Made-up GPU, 1000';; *) echo '0, 97, 512'; echo '1, [N/A], 256'; echo '1, 3, 256';; esac
"""


def test_use_and_memory_are_sampled_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nvidia-smi").write_text(DRIVER)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(watch, "EVERY_S", 0.05)
    out = tmp_path / "run"
    assert main([str(out), sys.executable, "-c", "import time; time.sleep(1); raise SystemExit(3)"]) == 3
    samples = [sample for _, sample in read_jsonl(out / "gpu.jsonl")]
    assert {(one["gpu"], one["use"], one["mib"]) for one in samples} == {(0, 97, 512), (1, 3, 256)}
    assert (out / "gpu.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_gpu_the_status_is_the_commands(tmp_path: Path):
    hidden = os.environ | {"PATH": str(tmp_path)}
    command = [sys.executable, "-m", "tools.watch", tmp_path / "run", sys.executable, "-c", "raise SystemExit(5)"]
    assert subprocess.run(command, cwd=ROOT, env=hidden).returncode == 5
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


def test_a_second_training_into_the_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with only_writer(tmp_path):
        inside = [sys.executable, "-m", "tools.watch", tmp_path, sys.executable, "-c", "print('trained')"]
        done = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "trained" not in done.stdout
    assert f"process {os.getpid()}" in done.stderr


def test_no_command_is_said(capsys: pytest.CaptureFixture[str]):
    assert main(["runs/x"]) == 2
    assert "no command to run" in capsys.readouterr().err
