"""What a run was made of, for `manifest.json`: code, data, weights, packages, machine, command."""

import hashlib
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from callwright.files import ROOT, sha256, to_json
from callwright.machine import cores, gpus
from callwright.recipes import Recipe, model_hash

PACKAGES = ("llamafactory", "transformers", "torch", "peft", "openai", "scipy", "numpy")


def now() -> str:
    """Return the time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(command: Sequence[str], seed: int) -> dict[str, Any]:
    """Return the parts of a manifest that are the same for every run from here. `command` must hold no secret."""
    return {
        "time": now(),
        "command": list(command),
        "git": git_state(),
        "packages": {name: found for name in PACKAGES if (found := package(name))},
        "machine": machine(),
        "seed": seed,
    }


def git_state() -> dict[str, Any] | None:
    """Return the commit, and whether any file that git does not ignore differs from it; None outside a repository."""
    commit, status = _run("git", "rev-parse", "HEAD"), _run("git", "status", "--porcelain")
    return None if commit is None else {"commit": commit, "dirty": bool(status)}


def machine() -> dict[str, Any]:
    """Return platform, Python, cores that we may use, GPU names."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpus": cores(),
        "gpus": [gpu.name for gpu in gpus()],
    }


def value_hash(value: Any) -> str:
    """Return a hash of a JSON value."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()


def cases_hash(paths: Sequence[Path]) -> str:
    """Return a hash over cases files: the file's own where there is one."""
    hashes = [sha256(path) for path in paths]
    return hashes[0] if len(hashes) == 1 else value_hash(hashes)


def served_model(recipe: Recipe, tuned: bool) -> dict[str, Any]:
    """Return what decides the answers of a recipe's tuned model, or its base, behind LLaMA-Factory's server."""
    settings = recipe.serve(tuned)
    adapter = settings.get("adapter_name_or_path")
    return {
        "model": model_hash(str(settings["model_name_or_path"])),
        "adapter": model_hash(str(adapter)) if adapter else None,
        "serve": value_hash(settings),
        "server": f"llamafactory {package('llamafactory')}",
    }


def package(name: str) -> str | None:
    """Return the version of an installed package; None where it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _run(*command: str) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
