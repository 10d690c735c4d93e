"""Start `llamafactory-cli api` for a recipe, wait until it answers, and stop it whatever happens."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from callwright.errors import UserError
from callwright.files import ROOT, make_folder, write_text
from callwright.recipes import Recipe, check_base, check_base_is_there
from callwright.trained import check_trained
from callwright.yaml12 import dump_yaml
from eval.endpoint.settings import Endpoint

HOST = "127.0.0.1"
LOG_LINES = 12
"""of the server's log, shown when it dies"""
GRACE_S = 5.0
"""between asking a server to stop and killing it"""

WATCHDOG = 'read -r _; kill -KILL "-$1"'
"""Kills the server's process group once its own standard input ends.

The other end of that pipe is ours alone, and the kernel closes it however we go, kill -9 included, when no `finally`
runs. PR_SET_PDEATHSIG would do the same on Linux only, for the direct child only, and fires when the thread that
started it ends.
"""


@dataclass
class Server:
    """A server that was started; `wait` before asking it."""

    endpoint: Endpoint
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self, timeout_s: float = 300.0) -> Endpoint:
        """Wait until the server lists its model.

        Raises:
            UserError: it died or took too long, with the last lines of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not answers(self.endpoint):
            if (status := self.process.poll()) is not None:
                raise UserError(self.log, f"the server ended with status {status}{self._tail()}", "mend the cause")
            if time.monotonic() > deadline:
                fault = f"the server did not answer within {timeout_s:g} s{self._tail()}"
                raise UserError(self.log, fault, "give it longer with --start-timeout, or mend the cause")
            time.sleep(0.2)
        return self.endpoint

    def _tail(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
        return ". The log ends:\n" + "\n".join(f"    {line}" for line in lines) + "\n" if lines else ""


def answers(endpoint: Endpoint) -> bool:
    """Return whether a server of ours lists its model."""
    import httpx2

    sent = {"Authorization": f"Bearer {endpoint.api_key}"}
    with suppress(httpx2.HTTPError):  # no proxy leads to ourselves, and no redirect away
        found = httpx2.get(f"{endpoint.base_url}/models", headers=sent, timeout=5, trust_env=False)
        return endpoint.model.encode() in found.content
    return False


@contextmanager
def serve(recipe: Recipe, tuned: bool, threads: int | None = None, copy: int = 0) -> Iterator[Server]:
    """Serve a recipe's tuned model, or its base, on a free port of 127.0.0.1 behind a random key.

    Args:
        threads: CPU threads to compute with; all cores without it.
        copy: of several servers of one model; names the log.

    Raises:
        UserError: there is no adapter (or trained model) yet, or no base model.
    """
    which = "tuned" if tuned else "base"
    check_models(recipe, tuned)
    endpoint = local_endpoint(f"{recipe.stem}-{which}", llamafactory=True)
    more = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    log = recipe.run_dir / f"server-{which}{f'-{copy}' if copy else ''}.log"
    with start_api(recipe.serve(tuned), endpoint, log, more) as server:
        yield server


@contextmanager
def start_api(settings: dict[str, Any], endpoint: Endpoint, log: Path, more: dict[str, str]) -> Iterator[Server]:
    """Start `llamafactory-cli api` with these settings at an endpoint.

    Args:
        more: variables of its environment, beside those that the endpoint tells.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "serve.yaml"
        write_text(config, dump_yaml(settings))
        command: list[str | Path] = [sys.executable, "-m", "eval.api", config]
        with start(command, environment_of(settings, endpoint) | more, endpoint, log) as server:
            yield server


def environment_of(args: Mapping[str, Any], endpoint: Endpoint) -> dict[str, str]:
    """Return the environment in which `llamafactory-cli api` serves these settings at an endpoint."""
    environment = os.environ | {
        "API_HOST": HOST,
        "API_PORT": str(urlsplit(endpoint.base_url).port),
        "API_KEY": endpoint.api_key,
        "API_MODEL_NAME": endpoint.model,
        "API_VERBOSE": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if (ROOT / str(args["model_name_or_path"])).is_dir():
        environment["HF_HUB_OFFLINE"] = "1"
    return environment


@contextmanager
def start(
    command: Sequence[str | Path], environment: Mapping[str, str], endpoint: Endpoint, log: Path
) -> Iterator[Server]:
    """Start a server's process, in the repository's root, and stop it at the end whatever happens."""
    make_folder(log.parent)
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, so that all of it can be stopped
        )
    with _stopped_at_the_end(process):
        yield Server(endpoint, process, log)


def local_endpoint(model: str, llamafactory: bool = False) -> Endpoint:
    """Choose an endpoint on a free port of 127.0.0.1 behind a random key, for a server that is to be started."""
    return Endpoint(f"http://{HOST}:{_free_port()}/v1", model, secrets.token_urlsafe(24), llamafactory)


def check_models(recipe: Recipe, tuned: bool) -> None:
    """Find out before anything starts whether the weights are there, sound, and of one base.

    Raises:
        UserError: they are not.
    """
    args = recipe.serve(tuned)
    adapter = args.get("adapter_name_or_path")
    if tuned:
        trained = check_trained(recipe)
        if adapter:
            check_base(trained, str(args["model_name_or_path"]), "choose the RECIPE that it was trained by")
    check_base_is_there(recipe, str(args["model_name_or_path"]))  # a model that was trained whole is in runs/


@contextmanager
def _stopped_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", WATCHDOG, "watchdog", str(process.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C and a closed terminal reach us, not the watchdog
    )
    try:
        yield
    finally:
        try:
            _stop(process)
            watchdog.kill()  # before its pipe closes: the process group's number may be another's by then
        finally:
            watchdog.communicate()  # closes the pipe: after a second Ctrl-C it is the watchdog that stops the server


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
            break
    with suppress(ProcessLookupError):  # what the server started and left behind
        os.killpg(process.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
