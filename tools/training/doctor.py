"""Test what really breaks on a machine, each finding with its remedy."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from callwright.errors import UserError
from callwright.files import ROOT, read_text
from callwright.machine import cores, gpus, total_memory
from callwright.recipes import Recipe, is_there
from tools.training.download import check_files
from tools.training.guard import CUDNN_OFF

DISK_GB = 2.0
MEMORY_GB = 6.0
MARKS = {"ok": "[green]ok  [/]", "note": "[yellow]note[/]", "bad": "[red]bad [/]"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `bad` means that the main job cannot run."""

    level: Literal["ok", "note", "bad"]
    what: str
    remedy: str = ""


def python() -> Finding:
    """Look at the interpreter's version."""
    found = "Python " + ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("ok", found)
    return Finding("bad", found, "make setup PYTHON=python3.12, with a Python from 3.11 to 3.13")


def packages() -> Finding:
    """Compare installed versions with the lock; a line with a marker may rightly be absent."""
    wrong = []
    for name, pinned in re.findall(r"^([\w.-]+)==([^\s;]+) *\\?$", read_text(ROOT / "requirements.txt"), re.MULTILINE):
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != pinned:
            wrong.append(f"{name} {found}, not {pinned}")
    if wrong:
        return Finding("bad", f"packages: {'; '.join(wrong[:4])}", "rm .venv/stamp and run: make setup")
    return Finding("ok", "packages as locked")


def last_line(words: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a command; return its status and the last line that it wrote."""
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return done.returncode, lines[-1][:200] if lines else "no message"


def llamafactory() -> Finding:
    """Import what train, api and export need; `llamafactory-cli version` passes where this fails."""
    status, line = last_line([sys.executable, "-c", "import llamafactory.train.tuner, llamafactory.api.app"])
    if status == 0:
        return Finding("ok", f"LLaMA-Factory {metadata.version('llamafactory')} imports its train path")
    return Finding("bad", f"LLaMA-Factory does not import: {line}", "rm -r .venv and run: make setup")


def gpu(recipe: Recipe) -> Finding:
    """Look for a GPU, where the recipe needs one."""
    if found := gpus():
        named = [gpu.name if gpu.mib is None else f"{gpu.name}, {gpu.mib:.0f} MiB" for gpu in found]
        return Finding("ok", f"GPU: {'; '.join(named)}")
    if recipe.needs_gpu:
        fault = f"no NVIDIA GPU, and {recipe.stem} needs one"
        return Finding("bad", fault, "choose another recipe, or another machine")
    return Finding("ok", f"no NVIDIA GPU; {recipe.stem} trains on the CPU ({cores()} cores)")


def attention(recipe: Recipe) -> Finding:
    """Send a padded batch through the recipe's attention, on a GPU: some kernels give gradients that are not numbers."""
    if not gpus():
        return Finding("ok", "attention is tried on a GPU only")
    words = [sys.executable, "-m", "tools.try_attention", recipe.stem]
    status, line = last_line(words, {CUDNN_OFF: "1"} | dict(os.environ))
    if status == 0:
        return Finding("ok", line)
    return Finding("bad", line, f"set {CUDNN_OFF}=1, or train with ARGS=flash_attn=disabled")


def memory() -> Finding:
    """Look at main memory."""
    total = f"memory: {total_memory() / 1e9:.0f} GB"
    if total_memory() < MEMORY_GB * 1e9:
        return Finding("note", total, f"below {MEMORY_GB:.0f} GB: lower per_device_train_batch_size")
    return Finding("ok", total)


def disk() -> Finding:
    """Look at the free space under the root."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_GB:
        remedy = f"free some: {DISK_GB:.0f} GB for a model, its checkpoints, runs"
        return Finding("bad", f"disk: {free:.1f} GB free", remedy)
    return Finding("ok", f"disk: {free:.0f} GB free")


def port() -> Finding:
    """Find out whether a port on the loopback can be had; 8000 is what make serve takes."""
    try:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("bad", f"no port on 127.0.0.1 ({error.strerror})", "allow programs to listen on the loopback")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            remedy = "make serve takes another by API_PORT=…; make eval finds its own"
            return Finding("note", "port 8000 is in use", remedy)
    return Finding("ok", "ports on 127.0.0.1")


def base_model(recipe: Recipe) -> Finding:
    """Find out whether the base model is there, every byte as it was fetched."""
    what = f"base model {recipe.model}"
    if not recipe.model.startswith("models/"):
        return Finding("note", f"{what} comes from the hub", "a gated one wants: hf auth login")
    if not is_there(recipe.model):
        return Finding("note", f"{what} is not there yet", f"{recipe.make_command('model')} fetches it")
    try:
        known = check_files(ROOT / recipe.model, every_byte=True)
    except UserError as error:
        return Finding("bad", f"{error.place} {error.fault}", error.remedy)
    return Finding("ok", f"{what}{', every byte as it was fetched' if known else ''}")


def findings(recipe: Recipe) -> Iterator[Finding]:
    """Look at everything that the main job needs, one thing after the other."""
    for look in (python, packages, llamafactory, memory, disk, port):
        yield look()
    for look_for in (gpu, attention, base_model):
        yield look_for(recipe)
