"""Serve a GGUF file by llama.cpp's own server, with the guarantees of eval.endpoint.server."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from callwright.errors import UserError
from callwright.files import read_json, sha256
from callwright.llamacpp import CONTEXT, environment, versions
from callwright.recipes import Recipe
from eval.endpoint.manifest import cores
from eval.endpoint.server import Server, local_endpoint, start

KEY = "LLAMACPP_KEY"
"""the variable that holds the key: arguments can be seen by others"""


def gguf_file(recipe: Recipe, kind: str = "F16") -> Path:
    """Find the GGUF file of a recipe's tuned model.

    Raises:
        UserError: it is not there, or made of another adapter.
    """
    folder = recipe.run_dir / "export"
    file = folder / f"{recipe.stem}-{kind}.gguf"
    remedy = f"run: {recipe.make_command('export', gguf=kind.lower())}"
    if not file.is_file():
        raise UserError(file, "is not there", remedy)
    trained = {path.name: sha256(path) for path in recipe.output_dir.glob("*.safetensors")}
    if read_json(folder / "manifest.json")["made_of"]["trained"] != trained:
        raise UserError(folder, "was exported before the last training", remedy)
    return file


def gguf_files(recipe: Recipe) -> tuple[Path, Path]:
    """Find the F16 GGUF files of a recipe's base and tuned model.

    Raises:
        UserError: they are not there, or made of another adapter.
    """
    base = recipe.run_dir / "base-F16.gguf"
    if not base.is_file():
        remedy = " ".join(["run: python -m tools.export", recipe.stem, "--gguf f16 --base", *recipe.overrides])
        raise UserError(base, "is not there", remedy)
    return base, gguf_file(recipe)


def served_gguf(gguf: Path) -> dict[str, Any]:
    """Return what decides the answers of a GGUF file behind llama.cpp's server; see manifest.served_model."""
    server = f"xllamacpp {versions().get('xllamacpp')}"
    return {"model": f"{gguf.name} {sha256(gguf)}", "adapter": None, "serve": str(CONTEXT), "server": server}


@contextmanager
def serve_gguf(gguf: Path, recipe: Recipe, threads: int | None = None, copy: int = 0) -> Iterator[Server]:
    """Serve a GGUF file, by the chat template inside it, on a free port of 127.0.0.1 behind a random key.

    Args:
        threads: CPU threads to compute with; all cores without it.
        copy: of several servers of one model; names the log.

    Raises:
        UserError: no such file, or llama.cpp is not installed.
    """
    if not gguf.is_file():
        raise UserError(gguf, "is not there", f"run: python -m tools.export {recipe.stem} --gguf f16,q8_0,q4_k_m")
    endpoint = local_endpoint(gguf.stem)
    variables = {**environment(), KEY: endpoint.api_key}
    port = str(urlsplit(endpoint.base_url).port)
    words: list[str | Path] = [sys.executable, "-m", "eval.llamacpp", gguf, "--alias", gguf.stem, "--port", port]
    log = recipe.run_dir / f"llamacpp-{gguf.stem}{f'-{copy}' if copy else ''}.log"
    with start([*words, "--threads", str(threads or cores())], variables, endpoint, log) as server:
        yield server
