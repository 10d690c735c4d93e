"""Run a training command and sample the GPUs beside it: `python -m tools.watch runs/x llamafactory-cli train x.yaml`.

Holds the folder as its only writer, so that no second training writes there; leaves gpu.jsonl and gpu.png in it where there
is a GPU. The status is the command's.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from callwright.files import atomic, write_jsonl
from tools.training.preflight import gpus

EVERY_S = 2.0
QUERY = ["nvidia-smi", "--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits"]


def sample(samples: list[dict[str, float]], stop: threading.Event) -> None:
    """Add a sample a GPU every EVERY_S seconds until told to stop; a sample that cannot be had is left out."""
    start = time.monotonic()
    while not stop.wait(EVERY_S):
        done = subprocess.run(QUERY, capture_output=True, text=True)
        for line in done.stdout.splitlines() if done.returncode == 0 else ():
            try:
                gpu, use, memory = (float(value) for value in line.split(","))
            except ValueError:
                continue  # "[N/A]" on GPUs that do not tell
            samples.append({"s": round(time.monotonic() - start, 1), "gpu": gpu, "use": use, "mib": memory})


def draw(samples: list[dict[str, float]], path: Path) -> None:
    """Draw use and memory over time, a line a GPU, into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    for axis, key, label in zip(
        figure.subplots(2, sharex=True), ("use", "mib"), ("GPU use, %", "memory, MiB"), strict=True
    ):
        for gpu in sorted({one["gpu"] for one in samples}):
            mine = [one for one in samples if one["gpu"] == gpu]
            axis.plot([one["s"] for one in mine], [one[key] for one in mine], label=f"GPU {gpu:.0f}")
        axis.set(ylabel=label, ylim=(0, None))
    axis.set_xlabel("seconds")
    axis.legend()
    with atomic(path) as file:
        figure.savefig(file.buffer, format="png")  # type: ignore[attr-defined]  # atomic's text file has one


def run_beside(words: Sequence[str], folder: Path) -> int:
    """Run a command to its end, sampling the GPUs beside it if there are any; return its status."""
    samples: list[dict[str, float]] = []
    stop = threading.Event()
    watcher = threading.Thread(target=sample, args=(samples, stop), daemon=True)
    if gpus():
        watcher.start()
    process = subprocess.Popen(words)
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
            draw(samples, folder / "gpu.png")
