"""Measure training on this machine's GPU: `python -m bench.train [--only 8b-fast …] [--recipes qwen3-4b_qlora …]`.

Models of real shapes with random weights (speed and memory are real, the loss means nothing) train on the rows of
image_intent through `llamafactory-cli train`; without a GPU only what a CPU can do is run. The peaks of LLaMA-Factory's
runs hold the loading of the weights, those of a `-bare` run do not. A recipe is measured with its own settings, but with
these rows and SmolLM2's tokenizer, so that all have the same tokens.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from callwright.errors import Parser, UserError, command
from callwright.files import ROOT, read_jsonl, write_json, write_jsonl, write_text
from callwright.machine import gpus
from callwright.recipes import load_recipe
from callwright.yaml12 import dump_yaml
from tools.formats.dataset_info import SHAREGPT
from tools.training.estimate import CONTEXT, GIB, SHAPES, Shape, estimate, shape_of
from tools.training.watch import SETTINGS as ENVIRONMENT

TOKENIZER = ROOT / "models/smollm2-135m-instruct"
ROWS = ROOT / "data/image_intent_train.jsonl"
TURNS = 1, 6
"""utterances a row: a tool prompt for each, and one for six"""
SIZES = {"135m": "SmolLM2-135M", "1b": "Llama-3.2-1B", "8b": "Llama-3.1-8B"}

FIXED: dict[str, Any] = {
    "do_train": True, "template": "qwen", "default_system": "You are a helpful assistant.", "dataset_dir": ".",
    "save_strategy": "no", "report_to": "none", "disable_tqdm": True,
}  # fmt: skip
BASE: dict[str, Any] = FIXED | {
    "stage": "sft", "finetuning_type": "lora", "cutoff_len": 2048, "preprocessing_num_workers": 4, "bf16": True,
    "learning_rate": 1.0e-4, "lora_dropout": 0.0, "seed": 42,
}  # fmt: skip
LORA: dict[str, Any] = {"lora_rank": 32, "lora_alpha": 16, "lora_target": "q_proj,k_proj,v_proj,o_proj"}
NF4: dict[str, Any] = {"quantization_bit": 4, "quantization_type": "nf4", "double_quantization": True}
GROUPED: dict[str, Any] = {"train_sampling_strategy": "group_by_length"}
LIGER: dict[str, Any] = {"enable_liger_kernel": True, "disable_gradient_checkpointing": True}
FAST: dict[str, Any] = LORA | NF4 | LIGER
UNSLOTH: dict[str, Any] = LORA | NF4 | GROUPED | {"use_unsloth": True}
ALL: dict[str, Any] = {"lora_rank": 12, "lora_alpha": 24, "lora_target": "all", "disable_gradient_checkpointing": True}


def batch(size: int, accumulated: int = 1) -> dict[str, Any]:
    """Set a batch of so many rows, gathered over so many steps."""
    return {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulated}


ENTRIES: dict[str, tuple[int, dict[str, Any]]] = {
    "8b-origin": (1, LORA | NF4 | batch(2, 4) | {"lora_dropout": 0.05}),
    "8b-defaults": (1, batch(8)),  # LLaMA-Factory's: LoRA of rank 8 on all modules, half precision, checkpointing
    "8b-random": (1, FAST | batch(24)),
    "8b-grouped": (1, FAST | GROUPED | batch(24)),
    "8b-grouped-bare": (1, FAST | GROUPED | batch(24)),
    "8b-unsloth": (1, UNSLOTH | batch(24)),  # LLaMA-Factory always lets Unsloth checkpoint
    "8b-unsloth-bare": (1, UNSLOTH | batch(24)),
    "8b-six": (6, FAST | GROUPED | batch(8)),
    "8b-six-large": (6, FAST | GROUPED | batch(16)),
    "8b-six-unsloth": (6, UNSLOTH | batch(8)),
    "8b-scaled": (6, FAST | GROUPED | batch(8, 4)),
    "1b-six": (6, FAST | GROUPED | batch(12)),
    "135m-defaults": (1, batch(8)),
    "135m-random-six": (6, ALL | batch(12)),
    "135m-six": (6, ALL | GROUPED | batch(12)),
    "135m-six-bare": (6, ALL | GROUPED | batch(12)),
}
"""name → utterances a row, and what is set besides BASE; `-bare` is the same in a loop of its own, without a trainer"""
ON_CPU: dict[str, Any] = {"bf16": False, "use_cpu": True, "preprocessing_num_workers": 1} | batch(1)


def here(call: str) -> list[str]:
    """Write the command that calls a function of bench.reference_loop in a process of its own."""
    return [sys.executable, "-c", f"from bench.reference_loop import *; {call}"]


def run(arguments: list[str], timeout_s: float, world: int = 1) -> tuple[int, list[tuple[float, str]]]:
    """Run a command from the root; return its status and its lines, each with the second at which it came."""
    lines = []
    gpu = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": str(world)} if world > 1 else {"CUDA_VISIBLE_DEVICES": "0"}
    paths = {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
             "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # where torchrun is  # fmt: skip
    more = {"PYTHONUNBUFFERED": "1", "RECORD_VRAM": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True, cwd=ROOT, env=ENVIRONMENT | gpu | dict(os.environ) | paths | more,
    )  # fmt: skip
    stop = threading.Timer(timeout_s, os.killpg, (process.pid, signal.SIGKILL))
    stop.start()
    try:
        for line in process.stdout or ():
            lines.append((time.perf_counter(), line.strip()))
        return process.wait(), lines
    finally:
        stop.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def ending(status: int, lines: list[tuple[float, str]]) -> str:
    """Say how a command of run() ended, with its last line."""
    last = next((line for _, line in reversed(lines) if line), "")
    return f"{'out of time' if status == -signal.SIGKILL else status}: {last}"


def weights(models: Path, shape: Shape, timeout_s: float, keep: bool) -> Path:
    """Return the folder under `models` with random weights of a shape and SmolLM2's tokenizer; make it if it is not there.

    Without `keep` it is the only one: 8B are 16 GB.

    Raises:
        UserError: they cannot be made.
    """
    model = models / f"{shape.kind}-{shape.hidden}x{shape.layers}{'-float32' if shape.float32 else ''}"
    if not model.is_dir():
        if not keep:
            shutil.rmtree(models, ignore_errors=True)
        part = model.with_name(f"{model.name}.part")
        status, lines = run(here(f"make_model({shape!r}, {str(part)!r})"), timeout_s)
        if status:
            raise UserError(model, f"could not be made ({ending(status, lines)})", "free memory, or disk space")
        for file in TOKENIZER.glob("*token*"):
            shutil.copy(file, part)
        part.rename(model)
    return model


def prepare(folder: Path) -> None:
    """Write the rows of TURNS with the same utterances, and the registry, into `folder`."""
    if not ROWS.is_file() or not (TOKENIZER / "tokenizer.json").is_file():
        raise UserError("bench.train", "no rows or no tokenizer", "run: make data model")
    rows = [row for _, row in read_jsonl(ROWS)]
    same: dict[str, dict[str, Any]] = {}
    for row in rows:  # with one tool prompt
        same.setdefault(f"{row['system']}{row['tools']}", row | {"conversations": []})["conversations"] += row[
            "conversations"
        ]
    for turns in TURNS:
        shutil.rmtree(folder / f"tokens{turns}", ignore_errors=True)  # of other rows, or half-written
        cut = (
            {**row, "conversations": row["conversations"][i : i + 2 * turns]}
            for row in same.values()
            for i in range(0, len(row["conversations"]), 2 * turns)
        )
        write_jsonl(folder / f"rows{turns}.jsonl", cut)
    write_json(folder / "dataset_info.json", {f"rows{n}": {"file_name": f"rows{n}.jsonl", **SHAREGPT} for n in TURNS})


def of_recipe(stem: str) -> tuple[Shape, int, dict[str, Any]]:
    """Return a recipe's model, its rows of six, and its settings without what FIXED and the rows take the place of.

    Raises:
        UserError: it trains on pairs or images, of which there are none here.
    """
    recipe = load_recipe(stem)
    shape = shape_of(recipe.model)
    if recipe.train.get("stage") != "sft" or shape.more:
        raise UserError(stem, "trains on pairs or images", "measure another one")
    other = "model", "adapter_", "template", "tool_format", "dataset", "max_samples", "do_eval", "eval", "plot", "save"
    settings = {key: value for key, value in recipe.train.items() if not key.startswith(other)}
    spoken = max(shape.vocab, SHAPES["SmolLM2-135M"].vocab)  # Phi-3 knows fewer tokens than our tokenizer
    return replace(shape, vocab=spoken), 6, batch(8) | settings | FIXED


def measure(name: str, settings: dict[str, Any], shape: Shape, world: int, timeout_s: float) -> dict[str, Any]:
    """Run one entry and return its figures, or `failed` with its last line."""
    out = Path(settings["output_dir"])
    recipe = out.with_suffix(".yaml")
    write_text(recipe, dump_yaml(settings))
    if name.endswith("-bare") and not Path(settings["tokenized_path"]).is_dir():  # no run of the trainer left them
        status, lines = run(here(f"tokenise({str(recipe)!r})"), timeout_s)
        if status:
            return {"run": name, "failed": ending(status, lines)}
    real = [sys.executable, "-m", "llamafactory.cli", "train", str(recipe)]
    status, lines = run(here(f"train({str(recipe)!r})") if name.endswith("-bare") else real, timeout_s, world)
    losses = [(at, match[1]) for at, line in lines if (match := re.search(r"'loss': '?([\w.+-]+)", line))]
    if status or len(losses) < 2:
        return {"run": name, "failed": ending(status, lines)}
    from datasets import load_from_disk

    masks = load_from_disk(settings["tokenized_path"])["train"]["attention_mask"]
    lengths = [sum(value > 0 for value in mask) for mask in masks]
    seconds = (losses[-1][0] - losses[0][0]) / (settings["logging_steps"] * (len(losses) - 1))
    samples = world * settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"] / seconds
    full = settings["finetuning_type"] == "full"
    adapter = 0 if full else shape.lora(settings.get("lora_rank", 8), settings.get("lora_target", "all"))
    attention = shape.heads * shape.head_dim * shape.layers * mean(lengths)
    multiplied = shape.body + shape.vocab * shape.hidden
    # What is frozen has no gradient of its own; recomputing is not counted.
    operations = (6 if full else 4) * multiplied + 6 * adapter + 6 * attention
    log = out / "trainer_log.jsonl"
    peaks = [entry for _, entry in read_jsonl(log)] if log.is_file() else []
    most = [max((p.get(f"vram_{kind}", 0) for p in peaks), default=0) for kind in ("allocated", "reserved")]
    return {
        "run": name,
        "rows_s": samples,
        "tokens_s": samples * mean(lengths),
        "flops": operations * samples * mean(lengths),
        "gib": [*most, (sum(estimate(settings, shape, max(lengths)).values()) + CONTEXT) / GIB],
        "losses": [float(loss) for _, loss in losses],
    }


def table(results: list[dict[str, Any]], peak: dict[str, Any], world: int) -> str:
    """Write the results as Markdown; a GPU's share is of the matrix product measured in the same run."""
    lines = [
        f"{world} × {peak['device']}, matrix product {peak['flops'] / 1e12:.1f} TFLOP/s; tokens without padding",
        "",
        "| run | rows/s | utterances/s | tokens/s | share of peak | allocated GiB | reserved GiB | estimated GiB |",
        "|---" * 8 + "|",
    ]
    for one in results:
        if "failed" in one:
            lines.append(f"| {one['run']} | failed, {one['failed'].replace('|', '/')[:200]} | | | | | | |")
            continue
        memory = " | ".join(f"{gib:.1f}" if gib else "–" for gib in one["gib"])
        speed = f"{one['rows_s']:.1f} | {one['utterances_s']:.1f} | {one['tokens_s']:,.0f}"
        lines.append(f"| {one['run']} | {speed} | {one['flops'] / peak['flops'] / world:.0%} | {memory} |")
    return "\n".join(lines) + "\n"


def chosen_entries(begins: Sequence[str]) -> list[str]:
    """Choose the entries that are named, or whose names begin so."""
    return [name for name in ENTRIES if any(name == b or (b not in ENTRIES and name.startswith(b)) for b in begins)]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the entries and the recipes; write table.md and results.json after each."""
    parser = Parser("python -m bench.train", __doc__)
    parser.add_argument("--only", nargs="*", help=f"names, or how they begin, of: {', '.join(ENTRIES)}")
    parser.add_argument("--recipes", nargs="+", default=[], help="stems of configs/train, beside what --only names")
    parser.add_argument("--out", type=Path, default=ROOT / "runs/bench-train")
    parser.add_argument("--work", type=Path, help="keep the random weights here (default: a folder that is deleted)")
    parser.add_argument("--steps", type=int, help="of each run; the first quarter is not timed (20, on a CPU 4)")
    parser.add_argument("--nproc", type=int, default=1, help="processes (GPUs) that share each batch (default: 1)")
    parser.add_argument("--timeout", type=float, default=240, help="seconds of one run (default: %(default)g)")
    args = parser.parse_args(argv)
    on_gpu = bool(gpus())
    begins = args.only or []
    if args.only is None and not args.recipes:
        begins = list(ENTRIES) if on_gpu else ["135m-defaults"]
    names = chosen_entries(begins)
    if not names and not args.recipes:
        raise UserError(f"--only {' '.join(begins)}", "names no entry", f"choose of: {', '.join(ENTRIES)}")
    jobs = {name: (SHAPES[SIZES[name.split("-")[0]]], ENTRIES[name][0], BASE | ENTRIES[name][1]) for name in names}
    jobs |= {stem: of_recipe(stem) for stem in args.recipes}
    steps, results = args.steps or (20 if on_gpu else 4), []
    with contextlib.ExitStack() as stack:
        work = args.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-train-")))
        prepare(work)
        status, lines = run(here("matrix_product()"), args.timeout)
        if status:
            raise UserError("matrix product", ending(status, lines), "free the GPU's memory, or give it more --timeout")
        peak = json.loads(lines[-1][1])
        print(f"{peak['device']}: {peak['flops'] / 1e12:.1f} TFLOP/s")
        for name, (shape, turns, changes) in jobs.items():
            model = weights(work / "models", shape, args.timeout, bool(args.work))
            settings = changes | ({} if on_gpu else ON_CPU) | {
                "model_name_or_path": str(model), "dataset_dir": str(work), "dataset": f"rows{turns}", "max_steps": steps,
                "output_dir": str(work / name), "tokenized_path": str(work / f"tokens{turns}"),
                "logging_steps": max(steps // 4, 1),
            }  # fmt: skip
            settings["gradient_accumulation_steps"] = max(settings["gradient_accumulation_steps"] // args.nproc, 1)
            shutil.rmtree(settings["output_dir"], ignore_errors=True)
            if settings.get("use_unsloth") and importlib.util.find_spec("unsloth") is None:
                one: dict[str, Any] = {"run": name, "failed": "unsloth is not installed"}
            else:
                one = measure(name, settings, shape, args.nproc, args.timeout)
            if "failed" not in one:
                one["utterances_s"] = one["rows_s"] * turns
            results.append(one)
            write_text(args.out / "table.md", table(results, peak, args.nproc))
            write_json(args.out / "results.json", {"peak": peak, "world": args.nproc, "steps": steps, "runs": results})
            print(table([one], peak, args.nproc).splitlines()[-1], flush=True)
    failed = sum("failed" in one for one in results)
    print(f"bench-train: {args.out / 'table.md'}: {len(results)} runs, {failed} failed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
