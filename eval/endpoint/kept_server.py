"""A server that goes on: it says in its recipe's run folder where it is, so that `make ask` finds it."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from callwright.chat import NO_KEY
from callwright.errors import UserError
from callwright.files import ROOT, parse_json, read_text, to_json, write_private
from callwright.recipes import Recipe, model_hash
from callwright.records import Record
from callwright.web import check_open
from eval.endpoint.manifest import value_hash
from eval.endpoint.server import HOST, Server, answers, check_models, start_api
from eval.endpoint.settings import Endpoint

RECORD = "server.json"
PORT = 8000


class Running(Record):
    """A server as it says in its run folder where it is; the file can be read by its owner alone, for it holds the key."""

    pid: int
    """of the process that started it and ends with it"""
    started: float
    """when that process began, for its number may be another's one day"""
    base_url: str
    model: str
    api_key: str
    serves: str
    """a hash of what it was started with"""
    llamafactory: bool = True
    """whether it is LLaMA-Factory's server"""

    @property
    def endpoint(self) -> Endpoint:
        """Where to ask it."""
        return Endpoint(self.base_url, self.model, self.api_key, self.llamafactory)


def served_hash(recipe: Recipe) -> str:
    """Hash what a server of the recipe's tuned model would be made of now: its settings and trained weights."""
    args = recipe.serve(tuned=True)
    return value_hash([args, model_hash(recipe.train["output_dir"])])


def find_server(recipe: Recipe) -> Running | None:
    """Find the server of this recipe that runs, or loads; None where there is none, or where a killed one left its file."""
    return find_told(recipe.run_dir / RECORD)


def find_told(path: Path) -> Running | None:
    """Find the server that says in a file where it is; None where there is none, or where a killed one left its file."""
    import psutil

    try:
        found = Running.model_validate(parse_json(read_text(path)))
        return found if psutil.Process(found.pid).create_time() == found.started else None
    except (UserError, ValueError, psutil.Error):
        return None


def find_current_server(recipe: Recipe) -> Running | None:
    """Find the server that `find_server` finds, where it serves the weights that lie there now; otherwise standard error says so."""
    found = find_server(recipe)
    if found is None or found.serves == served_hash(recipe):
        return found
    print(f"{found.base_url} serves other weights than {recipe.output_dir}: it is not asked", file=sys.stderr)
    return None


def told(base_url: str, model: str, api_key: str, serves: str) -> str:
    """Write what this process, which is llama.cpp's server, says of itself for `find_told`."""
    import psutil

    me = psutil.Process()
    at = {"base_url": base_url, "model": model, "api_key": api_key, "serves": serves, "llamafactory": False}
    return to_json(Running(pid=me.pid, started=me.create_time(), **at).model_dump())


def wait_for(found: Running, recipe: Recipe, timeout_s: float = 300.0) -> Endpoint:
    """Wait until a server that another process started lists its model.

    Raises:
        UserError: it went, or took too long.
    """
    deadline = time.monotonic() + timeout_s
    while not answers(found.endpoint):
        if find_server(recipe) is None or time.monotonic() > deadline:
            raise UserError(found.base_url, "the server went, or took too long", "look at its output")
        time.sleep(0.2)
    return found.endpoint


def launch(words: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a process that goes on when we are gone; what it says goes to a new log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start_in_background(recipe: Recipe) -> Running:
    """Start this module for a recipe on a free port, to go on when we are gone; it may still be loading.

    Raises:
        UserError: it ended at once.
    """
    log = recipe.run_dir / "server-kept.log"
    keyed = os.environ | {"API_PORT": "0", "API_KEY": secrets.token_urlsafe(24), "API_HOST": HOST}
    process = launch([sys.executable, "-m", "eval.serve", recipe.stem, *recipe.overrides], keyed, log)
    while process.poll() is None:
        if (found := find_server(recipe)) is not None and found.pid == process.pid:
            return found
        time.sleep(0.1)
    raise UserError(log, "the server ended at once", f"run: {recipe.make_command('serve')}")


@contextmanager
def serve_and_tell(recipe: Recipe, host: str, port: int, key: str) -> Iterator[Server]:
    """Serve a recipe's tuned model at an address, with its file in the run folder as long as it lasts.

    Raises:
        UserError: nothing is trained, or the address is taken.
    """
    import psutil

    check_open("API_HOST", host, key, "API_KEY")
    check_models(recipe, tuned=True)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = f"stop what listens there, or run: API_PORT={port + 1} {recipe.make_command('serve')}"
            raise UserError(f"{host}:{port}", f"cannot be listened at ({error.strerror})", remedy) from None
        port = probe.getsockname()[1]
    here = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104  # where we find it, not where it listens
    model = os.environ.get("API_MODEL_NAME") or recipe.stem
    endpoint = Endpoint(f"http://{here}:{port}/v1", model, key or NO_KEY, llamafactory=True)
    me = psutil.Process()
    at = {"base_url": endpoint.base_url, "model": model, "api_key": endpoint.api_key}
    found = Running(pid=me.pid, started=me.create_time(), serves=served_hash(recipe), **at)
    path = recipe.run_dir / RECORD
    variables = {"API_HOST": host, "API_KEY": key}
    with start_api(recipe.serve(tuned=True), endpoint, recipe.run_dir / "server.log", variables) as server:
        try:
            write_private(path, to_json(found.model_dump()))
            yield server
        finally:
            if find_server(recipe) == found:  # and not of another that was started since
                path.unlink(missing_ok=True)
