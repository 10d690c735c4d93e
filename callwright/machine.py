"""What this machine has: cores, memory and NVIDIA GPUs, asked without importing torch."""

import os
import subprocess
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU as its driver describes it."""

    name: str
    mib: float | None
    """its memory; None where the driver does not tell"""


def gpus() -> list[Gpu]:
    """List the NVIDIA GPUs; none where the driver is not there or finds none."""
    return [Gpu(name, _number(memory)) for name, memory in ask_driver("name", "memory.total")]


def ask_driver(*fields: str) -> list[list[str]]:
    """Ask NVIDIA's driver about each GPU; return one list of the fields' values a GPU, as `nvidia-smi` writes them."""
    query = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    rows = [[value.strip() for value in line.split(",")] for line in done.stdout.splitlines()]
    return [row for row in rows if len(row) == len(fields)]


def cores() -> int:
    """Count the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> int:
    """Return the bytes of main memory."""
    import psutil

    return psutil.virtual_memory().total


def free_memory() -> int:
    """Return the bytes of main memory that programs can have without swapping."""
    import psutil

    return psutil.virtual_memory().available


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
