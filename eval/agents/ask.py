"""Ask a served model about single sentences, and read its decisions as a program takes them."""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from callwright.chat import open_client
from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.recipes import Recipe
from callwright.records import Call, Case, Prediction
from callwright.schema import call_fault, load_tools
from callwright.tasks import today_message
from eval.agents.handlers import RefusedCall, dispatch
from eval.endpoint.client import ask_once
from eval.endpoint.kept_server import find_current_server, start_in_background, wait_for
from eval.endpoint.server import answers, check_models, serve
from eval.endpoint.settings import Endpoint, Limits, Sampling
from eval.scoring.verdict import read_call

MAX_TOKENS = 160


def case_of(text: str, data: DataConfig, today: date | None = None) -> Case:
    """Make a case of a sentence: the task's tools, its system message, and what day it is.

    Args:
        today: is said where the task's lines say a day, in their words; without it none is.
    """
    parts = [data.system, _day(data.seeds, today) if today else None]
    system = [{"role": "system", "content": "\n".join(filter(None, parts))}] if any(parts) else []
    messages = [*system, {"role": "user", "content": text}]
    return Case(id="ask", messages=messages, tools=_tools(data.seeds), expected=[])


@lru_cache
def _day(folder: Path, today: date) -> str | None:
    return today_message(folder, today)


@lru_cache
def _tools(folder: Path) -> list[dict[str, Any]]:
    return load_tools(folder / "tools.json")


def ask_each(endpoint: Endpoint, cases: Sequence[Case]) -> Iterator[Prediction]:
    """Ask the endpoint, one case after the other.

    Raises:
        UserError: it does not answer.
    """
    for case in cases:
        prediction = asyncio.run(_ask(endpoint, case))
        if prediction.error is not None:
            raise UserError(endpoint.base_url, prediction.error, "look at the server's log")
        yield prediction


async def _ask(endpoint: Endpoint, case: Case) -> Prediction:
    limits = Limits(1)
    async with open_client(endpoint.base_url, endpoint.api_key, limits.timeout_s, limits.retries) as client:
        return await ask_once(client, endpoint, case, Sampling(MAX_TOKENS), limits, first=True)


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Say on standard error what is waited for, and for how long; on a terminal the seconds run."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    print(f"ask: {what}", file=sys.stderr, flush=True)
    started = time.monotonic()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    terminal = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as progress:
        progress.add_task("waiting")
        yield
    print(f"ask: … {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


@contextmanager
def find_or_start_server(recipe: Recipe, keep: bool) -> Iterator[Endpoint]:
    """Find the server of a recipe: the one that runs already, else one that is started, and with `keep` goes on.

    Raises:
        UserError: nothing is trained, or the server does not start.
    """
    check_models(recipe, tuned=True)
    if found := find_current_server(recipe):
        if not answers(found.endpoint):
            with spinner(f"waiting for the server at {found.base_url}, which loads"):
                wait_for(found, recipe)
        yield found.endpoint
    elif keep:
        with spinner(f"starting a server of {recipe.stem} that goes on: half a minute or more on a CPU"):
            found = start_in_background(recipe)
            endpoint = wait_for(found, recipe)
        print(f"ask: the next questions find it; `kill {found.pid}` ends it", file=sys.stderr)
        yield endpoint
    else:
        kept = (
            f"`{recipe.make_command('serve')}` in another terminal, or ARGS=--keep, makes the next answers come at once"
        )
        with ExitStack() as stack:
            with spinner(f"starting a server of {recipe.stem} for this alone: half a minute or more on a CPU; {kept}"):
                endpoint = stack.enter_context(serve(recipe, tuned=True)).wait()
            yield endpoint


def read_decision(prediction: Prediction, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Read the decision as a program takes it: the intent `<tool>_intent` of a call that fits its schema, or a reply.

    A call that cannot be acted on is no intent: `fault` says why. Of several calls, which then stand in `calls` in place
    of `call`, the first is the intent.
    """
    read = [read_call(call) for call in prediction.tool_calls]
    calls = [call for call in read if isinstance(call, Call)]
    faults = [call["fault"] for call in read if not isinstance(call, Call)]
    faults += [fault for call in calls if (fault := call_fault(call, tools))]
    if faults:
        return {"intent": None, "reply": (prediction.content or "").strip(), "fault": faults[0]}
    if not calls:
        return {"intent": None, "reply": (prediction.content or "").strip()}
    dumped = [call.model_dump() for call in calls]
    which = {"call": dumped[0]} if len(dumped) == 1 else {"calls": dumped}
    return {"intent": f"{calls[0].name}_intent"} | which


def act(prediction: Prediction, tools: list[dict[str, Any]]) -> list[Any]:
    """Run the handler of each call; a call that is refused says so in its place."""
    results: list[Any] = []
    for call in map(read_call, prediction.tool_calls):
        try:
            results.append(dispatch(call, tools) if isinstance(call, Call) else {"refused": call["fault"]})
        except RefusedCall as refusal:
            results.append({"refused": str(refusal)})
    return results
