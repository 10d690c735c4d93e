"""Recipes: one stem names LLaMA-Factory's own train, serve and export YAML and the folder runs/<stem>/."""

import argparse
import hashlib
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.config import config_path
from callwright.errors import UserError
from callwright.files import ROOT, read_json, sha256, to_json
from callwright.settings import read_settings

ADAPTER_CONFIG = "adapter_config.json"
TASK_OF_DATASET = re.compile(r"(.+)_(train|pairs)")

WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.jinja")
"""the files of a model folder that decide its answers"""

NOT_WEIGHTS = ("*_results.json", "trainer_*.json", "training_args.bin", "callwright.json", "manifest.json")
"""what training and keeping leave beside them"""

ASKED_OF_AN_ADAPTER = ("serve", "eval", "ask", "export", "deploy-table", "report")
"""the verbs that take ADAPTER, an adapter that is kept in adapters/ in place of the one that was trained here"""


@dataclass(frozen=True)
class Recipe:
    """A stem with what its train file says; the file itself goes to `llamafactory-cli` as it is."""

    stem: str
    train_path: Path
    train: dict[str, Any]
    overrides: tuple[str, ...] = ()
    """the `key=value` that changed it on the command line, which `train` has already"""

    @property
    def model(self) -> str:
        """Return model_name_or_path: a folder under models/ or a hub id."""
        return str(self.train["model_name_or_path"])

    @property
    def output_dir(self) -> Path:
        """Return the folder into which training writes the adapter (or the whole model)."""
        return ROOT / self.train["output_dir"]

    @property
    def run_dir(self) -> Path:
        """Return the folder of everything else about it: runs/<stem>/, around output_dir's train/; for an adapter that is
        kept in adapters/, runs/adapters/<name>/, and there a folder for each task that is not the recipe's own."""
        if self.output_dir.parent == ROOT / "adapters":
            kept = ROOT / "runs" / "adapters" / self.output_dir.name
            is_moved = any(override.startswith("dataset=") for override in self.overrides)
            return kept / self.task if is_moved else kept
        return self.output_dir.parent if self.output_dir.name == "train" else self.output_dir

    @property
    def datasets(self) -> list[str]:
        """List its names in dataset_info.json, training first."""
        both = [str(self.train.get(key) or "") for key in ("dataset", "eval_dataset")]
        return [name.strip() for text in both for name in text.split(",") if name.strip()]

    @property
    def task(self) -> str:
        """Return the task on whose rows, or pairs, it trains.

        Raises:
            UserError: its dataset is not called <task>_train or <task>_pairs.
        """
        name = next(iter(self.datasets), "")
        if (match := TASK_OF_DATASET.fullmatch(name)) is None:
            raise UserError(self.train_path, f"dataset {name!r} does not tell the task", "name it <task>_train")
        return match[1]

    @property
    def is_lora(self) -> bool:
        """Tell whether training leaves an adapter beside the base, not a whole model."""
        return self.train.get("finetuning_type", "lora") in ("lora", "oft")

    @property
    def needs_gpu(self) -> bool:
        """Tell whether training cannot run on a CPU in any useful time: it is quantised, or asks for GPU-only kernels."""
        keys = ("quantization_bit", "bf16", "fp16", "enable_liger_kernel", "flash_attn", "use_unsloth")
        return not self.train.get("use_cpu") and any(self.train.get(key) for key in keys)

    def is_measured(self, run: Path) -> bool:
        """Tell whether an evaluation asked the weights that training left here: by their hash, whenever either was written."""
        if not (run / "manifest.json").is_file() or not (run / "summary.json").is_file():
            return False
        asked = read_json(run / "manifest.json").get("fingerprint", {})
        return bool(asked.get("adapter" if self.is_lora else "model") == model_hash(str(self.output_dir)))

    def make_command(self, verb: str, **variables: str) -> str:
        """Write the command that runs a verb of the Makefile with what is in force: its RECIPE, TASK, ADAPTER and ARGS.

        Args:
            variables: others that the verb takes, in small letters: suite="full".
        """
        settings = dict(override.split("=", 1) for override in self.overrides)
        words = {"RECIPE": self.stem}
        if task := re.fullmatch(r"(.+)_train", settings.get("dataset", "")):
            words["TASK"] = task[1]
            for key in ("dataset", "eval_dataset"):  # TASK brings them
                settings.pop(key, None)
        if output_dir := settings.pop("output_dir", None):
            if self.output_dir.parent != ROOT / "adapters":
                if output_dir != f"runs/{self.stem}/{words.get('TASK', '')}/train":
                    settings["output_dir"] = output_dir
            elif verb in ASKED_OF_AN_ADAPTER:
                words["ADAPTER"] = output_dir
        words |= {name.upper(): value for name, value in variables.items()}
        if settings and verb != "model":  # the base model is fetched without them
            words["ARGS"] = shlex.join(f"{key}={value}" for key, value in settings.items())
        return " ".join(["make", verb, *(f"{name}={shlex.quote(value)}" for name, value in words.items())])

    def serve(self, tuned: bool) -> dict[str, Any]:
        """Return what to tell `llamafactory-cli api`: the serve file; without the adapter (or trained weights) for the base."""
        args = read_settings(config_path("configs/serve", self.stem, "recipe"))
        trained = "adapter_name_or_path" if self.is_lora else "model_name_or_path"
        args[trained] = self.train["output_dir"]
        if not tuned:
            args.pop("adapter_name_or_path", None)
            args["model_name_or_path"] = self.model
        return args


def model_hash(path: str) -> str:
    """Hash a local model folder's weights and settings; a hub id stands for itself."""
    folder = ROOT / path
    if not folder.is_dir():
        return path
    files = {file for pattern in WEIGHTS for file in folder.glob(pattern)}
    files -= {file for pattern in NOT_WEIGHTS for file in folder.glob(pattern)}
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.name} {_adapter_hash(file) if file.name == ADAPTER_CONFIG else sha256(file)}\n".encode())
    return digest.hexdigest()


def _adapter_hash(config: Path) -> str:
    """PEFT writes the names of modules as a set, in another order each time."""
    value = {key: sorted(map(str, part)) if isinstance(part, list) else part for key, part in read_json(config).items()}
    return hashlib.sha256(to_json(dict(sorted(value.items()))).encode()).hexdigest()


def evaluate_again(out: Path) -> str:
    """Write the remedy for a run folder that is none: the `make eval` that writes it, as far as its path tells."""
    run = re.fullmatch(r"(.+)/eval/([^/]+?)(-llamacpp)?/(?:base|tuned)", os.path.relpath(out, ROOT / "runs"))
    if run is None:
        return "run make eval first, or check the path"
    home, suite, runtime = run.groups()
    if kept := re.fullmatch(r"(adapters/[^/]+)/?(.*)", home):
        variables = {"ADAPTER": kept[1], "TASK": kept[2]}
    else:
        stem, _, task = home.partition("/")
        variables = {"RECIPE": stem, "TASK": task}
    variables |= {"SUITE": suite, "RUNTIME": "llamacpp" if runtime else ""}
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items() if value)
    return f"run make eval {words} first, or check the path"


def check_base(adapter: Path, model: str, remedy: str) -> None:
    """Find out from its adapter_config.json whether an adapter is of this base model.

    Raises:
        UserError: it names another one.
    """
    config = adapter / ADAPTER_CONFIG
    named = str(read_json(config).get("base_model_name_or_path"))
    if (ROOT / named).resolve() != (ROOT / model).resolve():
        raise UserError(config, f"an adapter of another base: {named}, and the recipe's is {model}", remedy)


def load_recipe(stem: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load the recipe called `stem`, with the `key=value` overrides that `llamafactory-cli train` takes.

    Raises:
        UserError: there is none (the message lists those that exist), or an override is not key=value, or of a key that
            LLaMA-Factory does not have.
    """
    path = config_path("configs/train", stem, "recipe")
    return Recipe(stem, path, read_settings(path, overrides), tuple(overrides))


def add_recipe(parser: argparse.ArgumentParser, flag: str = "recipe", group: Any = None, settings: bool = True) -> None:
    """Let a command take a recipe and what changes it: `--task`, `--adapter` and `key=value`. `chosen_recipe` reads them.

    Args:
        flag: `recipe`, or `--recipe` where a command can do without one.
        group: of the parser, for the flag.
        settings: whether it takes `key=value`.
    """
    (group or parser).add_argument(flag, help="a stem under configs/train/")
    if settings:
        parser.add_argument("overrides", nargs="*", metavar="key=value", help="as llamafactory-cli train takes them")
    else:
        parser.set_defaults(overrides=[])
    parser.add_argument("--task", help="another task than the recipe's own, in a run folder of its own")
    parser.add_argument("--adapter", help="an adapter that is kept in adapters/, not the one that was trained here")


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    """Load the recipe that a command's arguments name.

    Raises:
        UserError: as `load_recipe` does, or the task's name is none.
    """
    overrides = list(args.overrides)
    if args.task and not re.fullmatch(r"\w[\w.-]*", args.task):
        raise UserError(f"task {args.task!r}", "is no name of a task", "write letters, digits, _ - and .")
    if args.adapter:
        check_is_kept(args.adapter)
    own = TASK_OF_DATASET.fullmatch(next(iter(load_recipe(args.recipe).datasets), ""))
    if args.task and not (own and own[1] == args.task):
        moved = {"dataset": f"{args.task}_train", "eval_dataset": f"{args.task}_val_sample"}
        moved["output_dir"] = f"runs/{args.recipe}/{args.task}/train"
        overrides = [*(f"{key}={value}" for key, value in moved.items()), *overrides]
    if args.adapter:
        overrides.append(f"output_dir={args.adapter}")
    return load_recipe(args.recipe, overrides)


def check_is_kept(adapter: str) -> None:
    """Find out whether adapters/ holds an adapter.

    Raises:
        UserError: it does not, with those that it holds.
    """
    folders = {found.parent for found in (ROOT / "adapters").glob(f"*/{ADAPTER_CONFIG}")}
    if ROOT / adapter not in folders:
        kept = ", ".join(sorted(f"adapters/{folder.name}" for folder in folders)) or "(none)"
        raise UserError(f"ADAPTER={adapter}", "there is no such adapter", f"choose one of: {kept}")


def stems() -> list[str]:
    """List the recipes that exist."""
    return sorted(path.stem for path in (ROOT / "configs/train").glob("*.yaml"))


def is_there(model: str | Path) -> bool:
    """Tell whether the files of a base model are in a folder on this machine."""
    return (ROOT / model / "config.json").is_file()


def check_base_is_there(recipe: Recipe, model: str = "") -> None:
    """Find out whether a base model of models/ has been fetched: the recipe's, or the one that it is served on.

    Raises:
        UserError: it has not.
    """
    model = model or recipe.model
    if model.startswith("models/") and not is_there(model):
        raise UserError(model, "the base model is not there", f"run: {recipe.make_command('model')}")
