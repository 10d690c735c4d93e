"""Serve a caller to tools that it was never trained on: llama.cpp, the base model's own GGUF file, and the adapter over it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from callwright.errors import UserError
from callwright.files import ROOT, make_folder, sha256
from callwright.llamacpp import environment, versions
from callwright.locks import locked
from callwright.lora_gguf import WEIGHTS, lora_gguf
from callwright.recipes import Recipe, check_base
from callwright.records import Case
from callwright.trained import check_trained
from eval.agents.ask import spinner
from eval.endpoint.kept_server import Running, find_told, launch
from eval.endpoint.llamacpp import KEY
from eval.endpoint.manifest import cores, value_hash
from eval.endpoint.server import Server, local_endpoint, start
from eval.endpoint.settings import Endpoint

TEMPLATE = "chat_template.jinja"
RECORD, LOG = "try-server.json", "try-server.log"


@dataclass(frozen=True)
class Caller:
    """A caller whose files are all there."""

    recipe: Recipe
    base: Path
    """the base model's GGUF file"""
    adapter: Path
    template: Path

    @property
    def folder(self) -> Path:
        """Where its server says where it is, and its log lies."""
        return self.recipe.run_dir

    @property
    def serves(self) -> str:
        """A hash of what decides its answers; of the base, which nobody writes twice, size and time stand for the bytes."""
        base = self.base.stat()
        parts = [str(self.base), base.st_size, base.st_mtime_ns, sha256(self.adapter / WEIGHTS), sha256(self.template)]
        return value_hash([*parts, versions().get("xllamacpp")])


def find_caller(recipe: Recipe) -> Caller:
    """Find the files of a recipe's caller.

    Raises:
        UserError: llama.cpp, the base's GGUF file, the adapter or its chat template is not there, or they are of two bases.
    """
    environment()
    if not recipe.is_lora or not recipe.model.startswith("models/"):
        raise UserError(recipe.train_path, "trains no adapter of a model in models/", "choose another RECIPE")
    adapter = check_trained(recipe)
    check_base(adapter, recipe.model, "choose the RECIPE that it was trained by")
    base = ROOT / f"{recipe.model}.gguf"
    if not base.is_file():
        raise UserError(base, "is not there", f"run: python -m tools.fetch_model {base.stem} --gguf")
    # What training itself leaves beside its adapter is the base model's own template.
    kept = [adapter / TEMPLATE] if adapter.parent == ROOT / "adapters" else []
    for template in (*kept, recipe.run_dir / TEMPLATE):
        if template.is_file():
            return Caller(recipe, base, adapter, template)
    raise UserError(recipe.run_dir / TEMPLATE, "is not there", f"run: {recipe.make_command('parity')}")


def tools_case(text: str, tools: Sequence[dict[str, Any]], today: date | None = None) -> Case:
    """Make a case of a sentence and tools of any kind; the system message says what day it is, or there is none."""
    said = f"Today is {today:%A}, {today.isoformat()}." if today else ""
    system = [{"role": "system", "content": said}] if said else []
    return Case(id="ask", messages=[*system, {"role": "user", "content": text}], tools=list(tools), expected=[])


@contextmanager
def find_or_start_caller(caller: Caller, keep: bool) -> Iterator[Endpoint]:
    """Find the server of a caller that runs, or start one, which with `keep` goes on; otherwise it ends with the block.

    Raises:
        UserError: the adapter cannot be applied, or the server does not start.
    """
    if not keep:
        endpoint = local_endpoint(caller.recipe.stem)
        with ExitStack() as stack:
            with spinner(f"starting llama.cpp with {caller.recipe.stem}, for this alone"):
                words = command_of(caller, endpoint)
                stack.enter_context(start(words, variables(endpoint), endpoint, caller.folder / LOG)).wait()
            yield endpoint
        return
    with locked(make_folder(caller.folder)):  # of two that come at once, the second finds the first one's
        found = find_told(caller.folder / RECORD)
        if found and found.serves != caller.serves:
            print(f"try: {found.base_url} serves other weights, and is ended", file=sys.stderr)
            end(found)
            found = None
        endpoint = found.endpoint if found else start_in_background(caller)
    yield endpoint


def start_in_background(caller: Caller) -> Endpoint:
    """Start llama.cpp, to go on when we are gone; return it when it answers.

    Raises:
        UserError: it ended, or took too long, with the last lines of its log.
    """
    endpoint, log = local_endpoint(caller.recipe.stem), caller.folder / LOG
    with spinner(f"starting llama.cpp with {caller.recipe.stem}, which goes on"):
        words: list[str | Path] = [*command_of(caller, endpoint), "--tell", caller.folder / RECORD, caller.serves]
        process = launch(words, variables(endpoint), log)
        try:
            Server(endpoint, process, log).wait()
        except BaseException:  # also Ctrl-C: nothing is left that nobody knows of
            process.kill()
            raise
    print(f"try: the next questions find it; `kill {process.pid}` ends it", file=sys.stderr)
    return endpoint


def command_of(caller: Caller, endpoint: Endpoint) -> list[str | Path]:
    """Write the command that serves a caller at an endpoint; its adapter is written for llama.cpp, unless it is already."""
    lora = lora_gguf(caller.adapter, caller.base, caller.folder)
    words: list[str | Path] = [sys.executable, "-m", "eval.llamacpp", caller.base, "--alias", endpoint.model]
    at = ["--port", str(urlsplit(endpoint.base_url).port), "--threads", str(cores())]
    return [*words, *at, "--lora", lora, "--chat-template", caller.template]


def variables(endpoint: Endpoint) -> dict[str, str]:
    """Return the environment of llama.cpp's process."""
    return {**environment(), KEY: endpoint.api_key}


def end(found: Running) -> None:
    """End a server of ours that serves what nobody asks any more."""
    import psutil

    try:
        process = psutil.Process(found.pid)
        if process.create_time() == found.started and os.getpid() != found.pid:
            process.terminate()
    except psutil.Error:
        return
