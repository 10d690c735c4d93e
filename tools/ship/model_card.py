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
from tools.vet import BASES

HUB = {"Apache-2.0": "apache-2.0", "MIT": "mit"}
"""a licence in the hub's words; `other` for those with terms of their own"""

SHOWN = ("f1", "precision", "recall", "strict_accuracy")
"""The figures of an evaluation that a card shows."""


def write_card(recipe: Recipe, folder: Path, tool_format: str) -> None:
    """Write README.md into an export."""
    source = SOURCES.get(recipe.model.removeprefix("models/"))
    base = source.hub if source else recipe.model
    licence = BASES.get(base)
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
    """Base, licence, recipe and data, a line each."""
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
    """The figures of the last evaluation on golden, if it asked these weights."""
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
    said = f"{summary.scored} hand-written utterances (golden) of the task, by LLaMA-Factory's API, temperature 0."
    return f"{said}\n\n" + "\n".join(rows)


def served(folder: Path, tool_format: str) -> str:
    """The command lines of servers that send the trained bytes and read the calls."""
    parser = SERVERS.get(tool_format)
    flags = f" --enable-auto-tool-choice --tool-call-parser {parser}" if parser else ""
    dtype = read_json(folder / "config.json").get("dtype") or "auto"
    lines = [f"vllm serve . --dtype {dtype}{flags}"]
    lines += [f"llama-server -m {path.name} --jinja" for path in sorted(folder.glob("*.gguf"))]
    if (folder / "Modelfile").is_file():
        lines.append("ollama create NAME -f Modelfile")
    said = "The chat template with tools is in the tokenizer and in each GGUF file: no flag names it."
    if not parser:
        said += f" No parser of vLLM's reads calls of the form `{tool_format}`: take the text, and read it yourself."
    return said + "\n\n```sh\n" + "\n".join(lines) + "\n```\n\nSend `tools` with every request, and temperature 0."


def limits(folder: Path) -> list[str]:
    """What a user must know."""
    lines = ["- It was measured on the task's own tools and languages; on others it is untested.",
             "- Its words are untrusted input: check each call against the tool's schema, and never evaluate it."]  # fmt: skip
    if (folder / "Modelfile").is_file():
        lines.append(f"- Ollama was not asked here. {DIFFERS}")
    if list(folder.glob("*Q4_K_M.gguf")):
        hidden = read_json(folder / "config.json").get("hidden_size") or 0
        more = f" Rows of {hidden} are no multiple of 256, so most of it falls back to Q5_0 and Q8_0." if hidden % 256 else ""  # fmt: skip
        lines.append(f"- Q4_K_M is not lossless: measure it (`make deploy-table`) before you rely on it.{more}")
    return lines
