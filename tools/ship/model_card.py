"""Write the model card of an export: what it is made of, how good it is, how to serve it, what it cannot."""

from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, read_json, sha256, write_text
from callwright.recipes import Recipe
from callwright.summary import FIGURES, interval, number, read_summary
from callwright.yaml12 import dump_yaml
from tools.checks.parity import SERVERS
from tools.ship.modelfile import DIFFERS
from tools.training.base_models import SOURCES
from tools.training.preflight import STAMP, dataset_files, fingerprint

GEMMA = "Gemma Terms of Use; its prohibited uses go on to derivatives"
LLAMA = "Community License; derivatives are named Llama and say what they were built with"
BASE_LICENCES = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": "Apache-2.0",
    "Qwen/Qwen2.5-Coder-0.5B-Instruct": "Apache-2.0",
    "Qwen/Qwen1.5-4B-Chat": "Tongyi Qianwen Research License; no commercial use",
    "Qwen/Qwen2-VL-2B-Instruct": "Apache-2.0",
    "Qwen/Qwen3-0.6B": "Apache-2.0",
    "Qwen/Qwen3-1.7B": "Apache-2.0",
    "Qwen/Qwen3-4B-Instruct-2507": "Apache-2.0",
    "google/functiongemma-270m-it": GEMMA,
    "google/gemma-3-1b-it": GEMMA,
    "microsoft/Phi-3-mini-4k-instruct": "MIT",
    "unsloth/Llama-3.1-8B": f"Llama 3.1 {LLAMA}",
    "unsloth/Llama-3.2-1B-Instruct": f"Llama 3.2 {LLAMA}",
}
"""The licence of each base model of configs/train, as its publisher states it."""
HUB = {"Apache-2.0": "apache-2.0", "MIT": "mit"}
"""a licence in the hub's words; `other` for those with terms of their own"""

SHOWN = ("f1", "precision", "recall", "strict_accuracy")
"""The figures of an evaluation that a card shows."""


def published_name(model: str) -> str:
    """Return a base model's name on the hub: its own, or that of what was fetched into models/."""
    source = SOURCES.get(model.removeprefix("models/"))
    return source.hub if source else model


def write_card(recipe: Recipe, folder: Path, tool_format: str) -> None:
    """Write README.md into an export."""
    base = published_name(recipe.model)
    licence = BASE_LICENCES.get(base)
    front: dict[str, Any] = {"base_model": base, "license": licence and HUB.get(licence, "other"), "pipeline_tag": "text-generation", "library_name": "transformers"}  # fmt: skip
    front = {key: value for key, value in front.items() if value} | {"tags": ["function-calling", "llama-factory"]}
    parts = [
        f"---\n{dump_yaml(front)}---\n\n# {recipe.stem}",
        f"{base}, tuned by Callwright to call the tools of the task `{recipe.task}` when it should, and to stay "
        "quiet when it should not.",
        "## Made of\n\n" + "\n".join(made_of(recipe, base, licence)),
        "## Measured\n\n" + measured(recipe),
        "## Serve it\n\n" + served(folder, tool_format),
        "## Limits\n\n" + "\n".join(limits(folder)),
    ]
    write_text(folder / "README.md", "\n\n".join(parts) + "\n")


def made_of(recipe: Recipe, base: str, licence: str | None) -> list[str]:
    """Write base, licence, recipe and data, a line each."""
    terms = (
        f"{licence}; these weights are under the same terms" if licence else "see its own page before you share these"
    )
    lines = [f"- base: {base}", f"- licence of the base: {terms}"]
    lines.append(f"- recipe: configs/train/{recipe.stem}.yaml, sha256 {sha256(recipe.train_path)}")
    stamp = recipe.output_dir / STAMP
    try:
        files = dataset_files(recipe)
    except UserError:
        return [*lines, f"- data: {', '.join(recipe.datasets)}, not on the machine that exported"]
    same = stamp.is_file() and read_json(stamp).get("fingerprint") == fingerprint(recipe, files)
    note = "" if same else " (data or settings changed since training)"
    return [*lines, *(f"- data: {path.relative_to(ROOT)}, sha256 {sha256(path)}{note}" for path in files)]


def measured(recipe: Recipe) -> str:
    """Write the figures of the last evaluation on golden, if it asked these weights."""
    run = recipe.run_dir / "eval/golden/tuned"
    if not recipe.is_measured(run):
        return (
            f"Not measured: no evaluation asked these weights. Run `{recipe.make_command('eval')}`, then export again."
        )
    summary = read_summary(run / "summary.json")
    rows = ["| figure | value | 95% interval |", "|---|---|---|"]
    for key in SHOWN:
        value, bounds = summary.figure(key)
        if value is not None:
            rows.append(f"| {FIGURES[key].name} | {number(value)} | {interval(bounds)} |")
    about = f"{summary.scored} hand-written utterances (golden) of the task, by LLaMA-Factory's API, temperature 0."
    return f"{about}\n\n" + "\n".join(rows)


def served(folder: Path, tool_format: str) -> str:
    """Write the command lines of servers that send the trained bytes and read the calls."""
    parser = SERVERS.get(tool_format)
    flags = f" --enable-auto-tool-choice --tool-call-parser {parser}" if parser else ""
    dtype = read_json(folder / "config.json").get("dtype") or "auto"
    lines = [f"vllm serve . --dtype {dtype}{flags}"]
    lines += [f"llama-server -m {path.name} --jinja" for path in sorted(folder.glob("*.gguf"))]
    if (folder / "Modelfile").is_file():
        lines.append("ollama create NAME -f Modelfile")
    notes = "The chat template with tools is in the tokenizer and in each GGUF file: no flag names it."
    if not parser:
        notes += f" No parser of vLLM's reads calls of the form `{tool_format}`: take the text, and read it yourself."
    return notes + "\n\n```sh\n" + "\n".join(lines) + "\n```\n\nSend `tools` with every request, and temperature 0."


def limits(folder: Path) -> list[str]:
    """List what a user must know."""
    lines = ["- It was measured on the task's own tools and languages; on others it is untested.",
             "- Its words are untrusted input: check each call against the tool's schema, and never evaluate it."]  # fmt: skip
    if (folder / "Modelfile").is_file():
        lines.append(f"- Ollama was not asked here. {DIFFERS}")
    if list(folder.glob("*Q4_K_M.gguf")):
        hidden = read_json(folder / "config.json").get("hidden_size") or 0
        more = f" Rows of {hidden} are no multiple of 256, so most of it falls back to Q5_0 and Q8_0." if hidden % 256 else ""  # fmt: skip
        lines.append(f"- Q4_K_M is not lossless: measure it (`make deploy-table`) before you rely on it.{more}")
    return lines
