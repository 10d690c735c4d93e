"""A server that goes on: started by a question, found by the next, ended by its number."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callwright.files import read_json

pytestmark = pytest.mark.slow


def ask(house: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eval.ask", "draw a cat", "--recipe", "tiny_lora", *flags]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=240)


def test_a_kept_server_answers_the_next_question_and_leaves_nothing(tiny_house):
    first = ask(tiny_house, "--keep")
    assert first.returncode == 0, first.stderr
    record = tiny_house / "runs/tiny_lora/server.json"
    assert record.stat().st_mode & 0o077 == 0, "it holds the key"
    pid = read_json(record)["pid"]
    try:
        assert f"kill {pid}" in first.stderr
        started = time.monotonic()
        again = ask(tiny_house)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout == first.stdout and time.monotonic() - started < 20
    finally:
        os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not record.exists():
            break
        time.sleep(0.1)
    assert not record.exists()
