"""Merge a recipe's adapter into runs/<recipe>/export/: weights, tokenizer with the trained chat template with tools, model
card, manifest, and the GGUF files that are asked for. The folder is replaced whole or not at all."""

import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from callwright import llamacpp
from callwright.config import config_path
from callwright.errors import UserError
from callwright.files import ROOT, make_folder, read_json, sha256, write_json, write_text
from callwright.recipes import Recipe, check_base
from callwright.schema import load_tools
from callwright.trained import check_trained
from tools.checks.chat_template import write_template
from tools.checks.encode import fetch_hint, load_tokenizer, load_view
from tools.checks.parity import day_of_training, prove
from tools.ship.gguf import run_logged, write_gguf
from tools.ship.model_card import write_card
from tools.ship.modelfile import write_modelfile


def tensors(folder: Path) -> dict[str, list[int]]:
    """Return the shape of each tensor in a folder's safetensors files, by its name.

    Raises:
        UserError: there are none, or one is cut short: writing it was stopped.
    """
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, list[int]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                shapes |= {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(path, f"half-written ({error})", "train again: what is there cannot be read") from None
    if not shapes:
        raise UserError(folder, "holds no *.safetensors: half-written", "train again")
    return shapes


def base_folder(model: str) -> Path | None:
    """Find the base model's files on this machine, in a folder or in the hub's cache; None where they are not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if (ROOT / model).is_dir():
        return ROOT / model
    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, ValueError):
        return None


def check_whole(recipe: Recipe) -> None:
    """Find out before anything is loaded whether training's output is whole and of this base.

    Raises:
        UserError: there is none, it is half-written, or it is of another base.
    """
    folder = check_trained(recipe)
    shapes = tensors(folder)
    if not recipe.is_lora:
        return
    remedy = f"train it again, or export the recipe that it is of: make train RECIPE={recipe.stem}"
    check_base(folder, recipe.model, remedy)
    base = base_folder(recipe.model)
    known = tensors(base) if base else {}
    wanted: dict[str, list[int]] = {}
    for name, shape in shapes.items():
        module, _, part = name.removeprefix("base_model.model.").rpartition(".lora_")
        if part.startswith("B."):  # B is outputs × rank, A is rank × inputs
            inputs = shapes.get(name.replace(".lora_B.", ".lora_A."), [0, 0])[1]
            wanted[f"{module}.weight"] = [shape[0], inputs]
    # A base that is not here, or that names its modules in another way, has none in common with the adapter.
    for module in sorted(wanted.keys() & known.keys()):
        if known[module] != wanted[module]:
            sizes = f"{module} is {wanted[module]} in it, and {known[module]} in {recipe.model}"
            raise UserError(folder, f"an adapter of another base: {sizes}", remedy)


def merge(recipe: Recipe, part: Path, log: Path) -> None:
    """Let LLaMA-Factory merge into `part`."""
    config = config_path("configs/export", recipe.stem, "recipe")
    trained = "adapter_name_or_path" if recipe.is_lora else "model_name_or_path"
    words = [f"{trained}={recipe.train['output_dir']}", f"export_dir={part}"]
    command = [str(Path(sys.executable).with_name("llamafactory-cli")), "export", str(config), *words]
    run_logged("llamafactory-cli export", command, log)
    (part / "Modelfile").unlink(missing_ok=True)  # its template has no tools: it would serve other bytes


def put_template(recipe: Recipe, part: Path) -> str:
    """Put the trained chat template with tools into the tokenizer in `part`, and prove it by that tokenizer.

    Raises:
        UserError: it sends other tokens than training saw.
    """
    settings = recipe.train | {"model_name_or_path": str(part)}
    view = load_view(recipe.train, *load_tokenizer(settings))
    template = write_template(view, day_of_training(recipe))
    write_text(part / "chat_template.jinja", template)
    config = part / "tokenizer_config.json"
    write_json(config, read_json(config) | {"chat_template": template})  # where transformers before 4.56 look
    own = load_tokenizer(settings)[0].chat_template
    prove(own, view, part)
    return view.tool_format


def put_modelfile(recipe: Recipe, part: Path, weights: str) -> None:
    """Write an Ollama Modelfile for a GGUF file in `part`, where the task has tools of its own to write into it."""
    tools = ROOT / "data/seeds" / recipe.task / "tools.json"
    if not tools.is_file():
        return
    tokenizer = load_tokenizer(recipe.train | {"model_name_or_path": str(part)})[0]

    def render(messages: list[dict[str, Any]], offered: list[dict[str, Any]] | None, answer: bool) -> str:
        return str(tokenizer.apply_chat_template(messages, offered, tokenize=False, add_generation_prompt=answer))

    write_text(part / "Modelfile", write_modelfile(render, load_tools(tools), weights, tokenizer.eos_token))


def write_base(recipe: Recipe, part: Path, out: Path, log: Path) -> None:
    """Write the base model in F16, with the tokenizer and template of the export: what eval compares the tuned one with."""
    base = base_folder(recipe.model)
    if base is None:
        raise UserError(recipe.model, "is not on this machine", f"fetch it: {fetch_hint(recipe.model)}")
    with tempfile.TemporaryDirectory(dir=part.parent, prefix=".base.") as scratch:
        tokenizer = [path for path in part.iterdir() if path.suffix in (".json", ".jinja", ".txt", ".model")]
        weights = [*base.glob("*.safetensors*"), base / "config.json"]
        for path in {path.name: path for path in [*tokenizer, *weights]}.values():
            (Path(scratch) / path.name).symlink_to(path.resolve())
        write_gguf(Path(scratch), Path(scratch), "base", ["f16"], log)
        (Path(scratch) / "base-F16.gguf").replace(out)


def hash_weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each safetensors file of a folder, by its name."""
    return {path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))}


def describe_file(path: Path) -> dict[str, Any]:
    """Return a file's size and SHA-256, as a manifest holds them."""
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def fingerprint(recipe: Recipe) -> dict[str, Any]:
    """Hash what an export is made of, but for its GGUF files."""
    base = ROOT / recipe.model
    return {
        "trained": hash_weights(recipe.output_dir),
        "base": hash_weights(base) if base.is_dir() else recipe.model,
        "settings": sha256(config_path("configs/export", recipe.stem, "recipe")),
        "template": {key: recipe.train.get(key) for key in ("template", "tool_format", "default_system")},
        "packages": {name: version(name) for name in ("llamafactory", "transformers")},
    }


def is_there(target: Path, made_of: dict[str, Any], formats: Sequence[str], packages: dict[str, str]) -> bool:
    """Tell whether an export holds all that is asked for already."""
    if not (target / "manifest.json").is_file():
        return False
    known = read_json(target / "manifest.json")
    if known.get("made_of") != made_of:
        return False
    return not formats or (set(formats) <= set(known["gguf"]["formats"]) and known["gguf"]["packages"] == packages)


def write_card_again(recipe: Recipe, target: Path) -> None:
    """Write the card of an export that is there already: it may have been measured since."""
    known = read_json(target / "manifest.json")
    if "tool_format" in known:
        write_card(recipe, target, known["tool_format"])
        card = target / "README.md"
        known["files"][card.name] = describe_file(card)
        write_json(target / "manifest.json", known)


def replace_folder(part: Path, target: Path) -> None:
    """Put `part` in the place of `target`. A kill between the two renames leaves the old one aside: see `recover`."""
    aside = target.with_name(f".{target.name}.old")
    if target.exists():
        target.rename(aside)
    part.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def recover(target: Path) -> None:
    """Undo what a kill left of an earlier export."""
    aside = target.with_name(f".{target.name}.old")
    if aside.exists() and not target.exists():
        aside.rename(target)
    for rest in (aside, *target.parent.glob(f".{target.name}.part-*"), *target.parent.glob(".base.*")):
        shutil.rmtree(rest, ignore_errors=True)


def write_export(recipe: Recipe, part: Path, formats: Sequence[str], base: Path | None, log: Path) -> str:
    """Fill the folder `part` with all but the manifest; return the tool format."""
    merge(recipe, part, log)
    tool_format = put_template(recipe, part)
    if formats:
        write_gguf(part, part, recipe.stem, formats, log)
        if tool_format == "qwen":  # the form that tests hold against Go's own text/template
            put_modelfile(recipe, part, f"{recipe.stem}-{formats[0].upper()}.gguf")
    if base:
        write_base(recipe, part, base, log)
    write_card(recipe, part, tool_format)
    return tool_format


def export(recipe: Recipe, target: Path, formats: Sequence[str], base: Path | None) -> bool:
    """Write the export; False where it was there already.

    Args:
        base: where to write the base model's F16 GGUF as well.

    Raises:
        UserError: nothing to export, or it cannot be written; what was there before stays.
    """
    check_whole(recipe)
    if formats or base:
        llamacpp.environment()
    recover(target)
    made_of, packages = fingerprint(recipe), llamacpp.versions() if formats else {}
    if is_there(target, made_of, formats, packages) and (base is None or base.is_file()):
        write_card_again(recipe, target)
        return False
    log = recipe.run_dir / "export.log"
    try:
        log.unlink(missing_ok=True)
        make_folder(target.parent)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.part-") as scratch:
            part = Path(scratch) / target.name
            tool_format = write_export(recipe, part, formats, base, log)
            files = sorted(path for path in part.iterdir() if path.is_file())
            for path in files:
                path.chmod(0o644)
            manifest = {
                "recipe": recipe.stem,
                "tool_format": tool_format,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "made_of": made_of,
                "gguf": {"formats": list(formats), "packages": packages},
                "files": {path.name: describe_file(path) for path in files},
            }
            write_json(part / "manifest.json", manifest)
            replace_folder(part, target)
    except OSError as error:
        raise UserError(target, f"could not be written ({error.strerror or error})", "free some space") from None
    return True
