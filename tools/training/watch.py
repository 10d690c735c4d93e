"""Run a training command and sample the GPUs beside it: gpu.jsonl and gpu.png in its run folder, where there is a GPU."""

import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from callwright.errors import UserError
from callwright.files import atomic, write_jsonl
from callwright.machine import ask_driver, gpus
from tools.training.guard import CUDNN_OFF

EVERY_S = 2.0
SETTINGS = {
    # Big tensors come and go at every step: without these two glibc hands their pages back and faults them in again (a
    # quarter of the time of a CPU step).
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_MMAP_MAX_": "0",
    "TOKENIZERS_PARALLELISM": "false",
    CUDNN_OFF: "1",
}
"""What a training process finds in its environment unless the user has set it otherwise."""


def training_environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a training process; NPROC or NNODES let LLaMA-Factory start torchrun.

    Args:
        given: the environment of this process. An empty NNODES or NPROC counts as none.

    Raises:
        UserError: NPROC is no number.
    """
    environment = SETTINGS | {key: value for key, value in given.items() if value or key not in ("NPROC", "NNODES")}
    if "NPROC" in environment:
        if not re.fullmatch("[1-9][0-9]*", environment["NPROC"]):
            raise UserError(
                f"NPROC={environment['NPROC']}", "is no number of processes", "give one a GPU, say: NPROC=2"
            )
        environment["NPROC_PER_NODE"] = environment["NPROC"]
    if "NPROC" in environment or "NNODES" in environment:
        environment["FORCE_TORCHRUN"] = "1"
    return environment


def sample_gpus(samples: list[dict[str, float]], stop: threading.Event) -> None:
    """Add a sample a GPU every EVERY_S seconds until told to stop; a sample that cannot be had is left out."""
    start = time.monotonic()
    while not stop.wait(EVERY_S):
        for row in ask_driver("index", "utilization.gpu", "memory.used"):
            try:
                gpu, use, memory = (float(value) for value in row)
            except ValueError:
                continue  # "[N/A]" on GPUs that do not tell
            samples.append({"s": round(time.monotonic() - start, 1), "gpu": gpu, "use": use, "mib": memory})


def plot_samples(samples: list[dict[str, float]], path: Path) -> None:
    """Draw use and memory over time, a line a GPU, into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True)
    for axis, key, label in ((upper, "use", "GPU use, %"), (lower, "mib", "memory, MiB")):
        for gpu in sorted({one["gpu"] for one in samples}):
            own = [one for one in samples if one["gpu"] == gpu]
            axis.plot([one["s"] for one in own], [one[key] for one in own], label=f"GPU {gpu:.0f}")
        axis.set(ylabel=label, ylim=(0, None))
    lower.set_xlabel("seconds")
    lower.legend()
    with atomic(path) as file:
        figure.savefig(file.buffer, format="png")  # type: ignore[attr-defined]  # atomic's text file has one


def run_beside(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end, sampling the GPUs beside it if there are any; return its status."""
    samples: list[dict[str, float]] = []
    stop = threading.Event()
    watcher = threading.Thread(target=sample_gpus, args=(samples, stop), daemon=True)
    if gpus():
        watcher.start()
    process = subprocess.Popen(words, env=environment)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # a kill must not leave it training alone
    try:
        return process.wait()
    except KeyboardInterrupt:
        return process.wait()  # the terminal told it, too
    finally:
        stop.set()
        if watcher.is_alive():
            watcher.join()
        if samples:
            write_jsonl(folder / "gpu.jsonl", samples)
            plot_samples(samples, folder / "gpu.png")
