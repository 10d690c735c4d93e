"""Test what really breaks on a machine, each finding with its remedy: `python -m tools.doctor`."""

import os
import shutil
import socket
import subprocess
import sys
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
    """The interpreter's version."""
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Finding("ok", f"Python {found}")
    return Finding("bad", f"Python {found}", "make setup PYTHON=python3.12, with a Python from 3.11 to 3.13")


def packages() -> Finding:
    """Installed versions against the lock."""
    wrong = []
    for line in read_text(ROOT / "requirements.txt").splitlines():
        name, equals, rest = line.rstrip(" \\").partition("==")
        if not equals or line.startswith((" ", "#")) or ";" in rest:
            continue  # a line with a marker may rightly be absent
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = "missing"
        if found.split("+")[0] != rest.strip():
            wrong.append(f"{name} {found}, not {rest.strip()}")
    if wrong:
        return Finding("bad", f"packages: {'; '.join(wrong[:4])}", "rm .venv/stamp and run: make setup")
    return Finding("ok", "packages as locked")


def llamafactory() -> Finding:
    """The import that train, api and export need; `llamafactory-cli version` passes where this fails."""
    code = "import llamafactory.train.tuner, llamafactory.api.app"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    if done.returncode == 0:
        return Finding("ok", f"LLaMA-Factory {metadata.version('llamafactory')} imports its train path")
    reason = (done.stderr.strip().splitlines() or ["no message"])[-1][:160]
    return Finding("bad", f"LLaMA-Factory does not import: {reason}", "rm -r .venv and run: make setup")


def gpu(recipe: Recipe) -> Finding:
    """The GPU, where the recipe needs one."""
    found = gpus()
    if found:
        return Finding("ok", f"GPU: {'; '.join(f'{gpu.name}, {gpu.mib or 0:.0f} MiB' for gpu in found)}")
    if recipe.needs_gpu:
        return Finding(
            "bad", f"no NVIDIA GPU, and {recipe.stem} needs one", "choose another recipe, or another machine"
        )
    return Finding("ok", f"no NVIDIA GPU; {recipe.stem} trains on the CPU ({cores()} cores)")


def attention(recipe: Recipe) -> Finding:
    """A padded batch through the recipe's attention, on a GPU: some kernels give gradients that are not numbers."""
    if not gpus():
        return Finding("ok", "attention is tried on a GPU only")
    words = [sys.executable, "-m", "tools.try_attention", recipe.stem]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env={CUDNN_OFF: "1"} | dict(os.environ))
    said = ((done.stdout + done.stderr).strip().splitlines() or ["no message"])[-1][:200]
    if done.returncode == 0:
        return Finding("ok", said)
    return Finding("bad", said, f"set {CUDNN_OFF}=1, or train with ARGS=flash_attn=disabled")


def memory() -> Finding:
    """Main memory that is there."""
    total = total_memory() / 1e9
    if total < MEMORY_GB:
        return Finding(
            "note", f"memory: {total:.0f} GB", f"below {MEMORY_GB:.0f} GB: lower per_device_train_batch_size"
        )
    return Finding("ok", f"memory: {total:.0f} GB")


def disk() -> Finding:
    """Free space under the root."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < DISK_GB:
        return Finding(
            "bad", f"disk: {free:.1f} GB free", f"free some: {DISK_GB:.0f} GB for a model, its checkpoints, runs"
        )
    return Finding("ok", f"disk: {free:.0f} GB free")


def port() -> Finding:
    """Whether a port on the loopback can be had; 8000 is what make serve takes."""
    try:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
    except OSError as error:
        return Finding("bad", f"no port on 127.0.0.1 ({error.strerror})", "allow programs to listen on the loopback")
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            return Finding(
                "note", "port 8000 is in use", "make serve takes another by API_PORT=…; make eval finds its own"
            )
    return Finding("ok", "ports on 127.0.0.1")


def base_model(recipe: Recipe) -> Finding:
    """The base model's presence, and whether it is as it was fetched."""
    if not recipe.model.startswith("models/"):
        return Finding("note", f"base model {recipe.model} comes from the hub", "a gated one wants: hf auth login")
    if not is_there(recipe.model):
        remedy = f"{recipe.make_command('model')} fetches it"
        return Finding("note", f"base model {recipe.model} is not there yet", remedy)
    try:
        known = check_files(ROOT / recipe.model, every_byte=True)
    except UserError as error:
        return Finding("bad", f"{error.place} {error.fault}", error.remedy)
    return Finding("ok", f"base model {recipe.model}{', every byte as it was fetched' if known else ''}")
