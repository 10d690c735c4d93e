"""Ask an OpenAI-compatible endpoint every case, several at a time, and log each answer as it arrives."""

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from callwright.call_readers import Reading, find_calls, read_calls
from callwright.chat import NO_KEY, open_client, read_completion, said
from callwright.errors import UserError
from callwright.files import to_json
from callwright.records import Case, Prediction, explain
from callwright.tool_prompts import raw_messages
from callwright.tool_results import join_results
from eval.cases import tools_of
from eval.predictions import answered, append, log

if TYPE_CHECKING:
    from openai import AsyncOpenAI

GONE = 5
"""lost connections in a row after which the endpoint counts as gone, and the rest is left for the next run"""

NO_CONNECTION = "no connection"

Mode = Literal["native", "raw"]


@dataclass(frozen=True)
class Endpoint:
    """Where the model is. The key is kept out of every repr."""

    base_url: str
    """ends in /v1"""
    model: str
    api_key: str = field(default=NO_KEY, repr=False)
    llamafactory: bool = False
    """whether to write messages in the way that LLaMA-Factory's server needs"""


@dataclass(frozen=True)
class Sampling:
    """What decides an answer, besides the model and the case."""

    max_tokens: int = 96
    temperature: float = 0.0
    probe_tokens: int | None = None
    """First ask for so few tokens, and let an answer that is cut there stand when nothing in it hints at a call; any
    other that is cut is asked again in full. Saves a slow server the ramblings of a base model."""
    mode: Mode = "native"
    """`raw` sends no tools: they stand in the system message, and our own reader finds the calls in the text"""
    raw_format: str = "qwen"
    """the tool format of raw mode (callwright.tool_prompts)"""
    raw_system: str = ""
    """what raw mode's system message begins with where a case has none"""
    samples: int = 1
    """answers to each case; several need a temperature above 0"""

    def __post_init__(self) -> None:
        """Refuse samples that would all be the same."""
        if self.samples > 1 and self.temperature == 0:
            raise UserError("samples", f"{self.samples} at temperature 0 are all the same", "set --temperature 0.7")

    def fingerprint(self) -> dict[str, Any]:
        """What a manifest holds of it. One answer a case and native mode go without saying, as in older runs."""
        silent = {"samples"} if self.samples == 1 else set()
        silent |= {"mode", "raw_format", "raw_system"} if self.mode == "native" else set()
        return {key: value for key, value in asdict(self).items() if key not in silent}


@dataclass(frozen=True)
class Limits:
    """How hard to ask."""

    concurrency: int = 4
    timeout_s: float = 120.0
    """seconds of silence after which a try is given up"""
    retries: int = 2
    """further tries after a timeout, a lost connection, 408, 409, 429 or 5xx; the openai client's, and the only ones"""


def key_from(variable: str | None) -> str:
    """The key in an environment variable: the named one, which must be set, or OPENAI_API_KEY where it is."""
    if variable is None:
        return os.environ.get("OPENAI_API_KEY") or NO_KEY
    if not (key := os.environ.get(variable)):
        raise UserError(f"--api-key-env {variable}", "the variable is not set", f"export {variable}=… first")
    return key


def endpoint_at(base_url: str, model: str, variable: str | None, llamafactory: bool) -> Endpoint:
    """An endpoint from the command line; `variable` is key_from's.

    Raises:
        UserError: no URL, one with a password in it, or no key.
    """
    url = urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname or url.query:
        raise UserError("--base-url", f"{base_url!r} is not a URL", "write it as http://127.0.0.1:8000/v1")
    if url.username or url.password:
        raise UserError("--base-url", "holds a user or a password", "put the key into OPENAI_API_KEY")
    return Endpoint(base_url, model, key_from(variable), llamafactory)


def positive(text: str) -> int:
    """A count from the command line."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def add_asking(parser: Any, concurrency: int, max_tokens: int) -> None:
    """The options of how to ask an endpoint; `parser` is argparse's, or a group of one.

    Args:
        concurrency: requests at a time by default.
        max_tokens: of an answer by default.
    """
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the key (default: OPENAI_API_KEY)")
    parser.add_argument("--llamafactory", action="store_true", help="write messages as LLaMA-Factory's server needs")
    parser.add_argument(
        "--concurrency", type=positive, default=concurrency, help=f"requests at a time (default: {concurrency})"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a try (default: 120)")
    parser.add_argument("--retries", type=int, default=2, help="further tries (default: 2)")
    parser.add_argument("--max-tokens", type=positive, default=max_tokens, help=f"of an answer (default: {max_tokens})")


def limits_of(args: argparse.Namespace) -> Limits:
    """How hard to ask, as add_asking's options say."""
    return Limits(args.concurrency, args.timeout, args.retries)


def for_llamafactory(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages as LLaMA-Factory 0.9.5 takes them.

    It answers 422 to `developer`, 500 to null content without calls, and 400 to two tool results in a row: these are
    merged into one, as training rows hold them.
    """
    result: list[dict[str, Any]] = []
    for are_results, group in groupby(messages, lambda message: message["role"] == "tool"):
        spoken = [{**message, "content": message.get("content") or ""} for message in group]
        if are_results:
            result.append({**spoken[0], "content": join_results([message["content"] for message in spoken])})
        else:
            result += [{**turn, "role": "system" if turn["role"] == "developer" else turn["role"]} for turn in spoken]
    return result


async def ask_all(
    endpoints: Sequence[Endpoint],
    cases: Sequence[Case],
    path: Path,
    sampling: Sampling,
    limits: Limits,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, Prediction]:
    """Ask what the log at `path` does not answer yet; return the first sample of every case, by id, in their order.

    The first case is asked alone, so that a wrong URL or key stops the run before anything else is sent.

    Args:
        endpoints: copies of one model; each is asked `limits.concurrency` cases at a time.
        tell: called with the number of answers that are there.

    Raises:
        UserError: wrong key, nobody at the URL, no such model or path, or the log cannot be written.
    """
    found = answered(path, cases, sampling.samples)
    missing = [(case, n) for case in cases for n in range(sampling.samples) if (case.id, n) not in found]
    tell(len(found))
    lost = 0
    if missing:
        with log(path, list(found.values())) as file:
            async with AsyncExitStack() as stack:
                clients = [
                    await stack.enter_async_context(
                        open_client(e.base_url, e.api_key, limits.timeout_s, limits.retries)
                    )
                    for e in endpoints
                ]

                async def one(copy: int, case: Case, sample: int, first: bool = False) -> None:
                    nonlocal lost
                    if lost >= GONE:
                        prediction = Prediction(id=case.id, error="not asked: the endpoint had gone")
                    else:
                        prediction = await _ask(clients[copy], endpoints[copy], case, sampling, limits, first)
                        lost = lost + 1 if (prediction.error or "").startswith(NO_CONNECTION) else 0
                    prediction = prediction.model_copy(update={"sample": sample}) if sample else prediction
                    append(file, prediction)
                    found[prediction.key] = prediction
                    tell(len(found))

                await one(0, *missing[0], first=True)
                waiting = iter(missing[1:])

                async def worker(copy: int) -> None:
                    for case, sample in waiting:
                        await one(copy, case, sample)

                try:
                    async with asyncio.TaskGroup() as group:
                        for number in range(limits.concurrency * len(endpoints)):
                            group.create_task(worker(number % len(endpoints)))
                except* UserError as errors:
                    raise errors.exceptions[0] from None
    return {case.id: found[case.id, 0] for case in cases}


def hints_at_call(text: str, case: Case) -> bool:
    """Whether a call may have begun in a text: it names a tool, or holds a character that every call form begins with."""
    return any(mark in text for mark in ("<", "{", "[", "Action")) or any(
        tool["function"]["name"] in text for tool in tools_of(case)
    )


async def _ask(
    client: "AsyncOpenAI", endpoint: Endpoint, case: Case, sampling: Sampling, limits: Limits, first: bool
) -> Prediction:
    if sampling.probe_tokens is not None:
        short = replace(sampling, max_tokens=min(sampling.probe_tokens, sampling.max_tokens), probe_tokens=None)
        prediction = await ask_once(client, endpoint, case, short, limits, first)
        if prediction.finish_reason != "length" or not hints_at_call(prediction.content or "", case):
            return prediction
    return await ask_once(client, endpoint, case, sampling, limits, first)


async def ask_once(
    client: "AsyncOpenAI", endpoint: Endpoint, case: Case, sampling: Sampling, limits: Limits, first: bool
) -> Prediction:
    """Ask one case once, by the client's own retries.

    Args:
        first: nothing has been asked yet, so that a wrong URL or model is the user's fault.

    Raises:
        UserError: a wrong key, or such a fault.
    """
    from httpx2 import Response
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    from callwright.bounded import MOST_BYTES

    messages, raw_mode = case.messages, sampling.mode == "raw"
    if raw_mode:
        try:
            messages = raw_messages(messages, tools_of(case), sampling.raw_format, sampling.raw_system)
        except ValueError as error:
            return Prediction(id=case.id, error=f"cannot be asked in raw mode: {error}")
    if endpoint.llamafactory:
        messages = for_llamafactory(messages)
    request: dict[str, Any] = {"model": endpoint.model, "messages": messages, "max_tokens": sampling.max_tokens}
    request["temperature"] = sampling.temperature
    if case.tools and not raw_mode:
        request["tools"] = tools_of(case)
    # A server that dribbles never falls silent: the whole case has an end as well.
    deadline = (limits.retries + 1) * limits.timeout_s + 60 * limits.retries
    try:
        async with asyncio.timeout(deadline):
            # Not chat.completions.create: it walks over the whole request by its types, a third of the work of an ask.
            raw = await client.post("/chat/completions", cast_to=Response, body=request)
    except (APITimeoutError, TimeoutError):
        return Prediction(id=case.id, error=f"no answer within {limits.timeout_s:g} s, {limits.retries + 1} times")
    except APIStatusError as error:
        if error.status_code in (401, 403):
            raise UserError(
                endpoint.base_url,
                f"refuses the key (HTTP {error.status_code})",
                "set OPENAI_API_KEY, or name the variable that holds the key with --api-key-env",
            ) from None
        if error.status_code == 404 and first:
            fault = f"HTTP 404 for model {endpoint.model!r}: {said(error, endpoint.api_key)}"
            raise UserError(endpoint.base_url, fault, "check the URL (it ends in /v1) and --model") from None
        return Prediction(id=case.id, error=f"HTTP {error.status_code}: {said(error, endpoint.api_key)}")
    except APIConnectionError as error:
        reason = str(error.__cause__ or error)
        if first:
            raise UserError(
                endpoint.base_url, f"{NO_CONNECTION} ({reason})", "start the server or mend the URL"
            ) from None
        return Prediction(id=case.id, error=f"{NO_CONNECTION} ({reason})")
    if len(raw.content) >= MOST_BYTES:
        return Prediction(id=case.id, error=f"an answer of {MOST_BYTES >> 20} MiB or more")
    prediction = _read(case.id, raw.text, raw.elapsed.total_seconds())
    return read_raw(prediction, case, sampling.raw_format) if raw_mode else prediction


def read_raw(prediction: Prediction, case: Case, raw_format: str) -> Prediction:
    """The prediction with the calls that stand in its text: in the format that was asked for, or else in any other."""
    text = prediction.content or ""
    tools = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools_of(case)}
    reading: Reading | None = read_calls(text, raw_format)
    if reading is None or not reading.whole:
        reading = find_calls(text, tools)
    if reading is None or prediction.tool_calls:
        return prediction
    functions = [{"name": f.call.name, "arguments": to_json(f.call.arguments)} for f in reading.calls]
    calls = [{"id": None, "type": "function", "function": function} for function in functions]
    return prediction.model_copy(update={"tool_calls": calls, "read_as": reading.form})


def _read(identity: str, body: str, latency_s: float) -> Prediction:
    try:
        answer = read_completion(body)
    except ValidationError as error:
        return Prediction(id=identity, error=f"not an answer in OpenAI's form: {explain(error)}", latency_s=latency_s)
    except ValueError as error:
        start = " ".join(body.split())[:80]
        return Prediction(id=identity, error=f"not JSON ({error}): {start!r}", latency_s=latency_s)
    choice = answer.choices[0]
    return Prediction(
        id=identity,
        content=choice.message.content,
        tool_calls=[call.model_dump() for call in choice.message.tool_calls or []],
        finish_reason=choice.finish_reason,
        usage=answer.usage or {},
        latency_s=round(latency_s, 4),
    )
