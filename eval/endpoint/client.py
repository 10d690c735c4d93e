"""Ask an OpenAI-compatible endpoint every case, several at a time, and log each answer as it arrives."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from callwright.call_readers import Reading, find_calls, read_calls
from callwright.chat import MOST_WORDS, open_client, quoted, read_completion, refusal_words
from callwright.errors import UserError
from callwright.files import to_json
from callwright.records import Case, Key, Prediction, read_arguments
from callwright.tool_prompts import raw_messages
from callwright.tool_results import join_results
from eval.endpoint.settings import Endpoint, Limits, Sampling
from eval.scoring.cases import tools_of
from eval.scoring.predictions import answered, append, log

if TYPE_CHECKING:
    from openai import APIConnectionError, APIStatusError, AsyncOpenAI

T = TypeVar("T")

GONE = 5
"""connections in a row that nobody took, after which the endpoint counts as gone and the rest is left for the next run"""

NO_CONNECTION, BROKEN, UNREADABLE = "no connection", "the connection broke", "an answer that cannot be read"
"""nobody takes it; it was taken, and what came is no HTTP or stops half way; what came is compressed in an unknown way"""


def for_llamafactory(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write messages as LLaMA-Factory 0.9.5 takes them, so that its prompt is the one of training.

    It answers 422 to `developer`, 500 to null content without calls, and 400 to two tool results in a row: these are
    merged into one, as training rows hold them. Arguments of earlier calls it would quote once more, as a text: the calls
    go as a message of its role `function`, in the form of a row.
    """
    result: list[dict[str, Any]] = []
    for are_results, group in groupby(messages, lambda message: message["role"] == "tool"):
        spoken = [{**message, "content": message.get("content") or ""} for message in group]
        if are_results:
            result.append({**spoken[0], "content": join_results([message["content"] for message in spoken])})
        else:
            result += [as_function_turn(turn) if turn.get("tool_calls") else turn for turn in spoken]
    return [{**turn, "role": "system" if turn["role"] == "developer" else turn["role"]} for turn in result]


def as_function_turn(message: dict[str, Any]) -> dict[str, Any]:
    """Write an assistant's message with calls as LLaMA-Factory's message of role `function`; one with broken calls stays."""
    functions = [call.get("function") or {} for call in message["tool_calls"]]
    try:
        calls = [{"name": one["name"], "arguments": read_arguments(one.get("arguments"))} for one in functions]
    except (KeyError, ValueError):
        return message
    return {"role": "function", "content": to_json(calls)}


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
    if missing:
        with log(path, list(found.values())) as file:
            async with AsyncExitStack() as stack:
                opened = [open_client(e.base_url, e.api_key, limits.timeout_s, limits.retries) for e in endpoints]
                clients = [await stack.enter_async_context(client) for client in opened]
                asking = _Asking(sampling, limits, found, file, tell, proven=bool(found))
                copies = [partial(asking.one, *pair) for pair in zip(clients, endpoints, strict=True)]
                await first_alone(missing, copies * limits.concurrency)
    return {case.id: found[case.id, 0] for case in cases}


async def first_alone(items: Sequence[T], workers: Sequence[Callable[[T, bool], Awaitable[None]]]) -> None:
    """Do the first item alone, then share the others out among the workers, each one item at a time.

    Args:
        workers: called with an item, and whether it is the first.

    Raises:
        UserError: what the first worker that fails so raises; the others are stopped.
    """
    waiting = iter(items)
    if items:
        await workers[0](next(waiting), True)

    async def work(worker: Callable[[T, bool], Awaitable[None]]) -> None:
        for item in waiting:
            await worker(item, False)

    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(work(worker))
    except* UserError as errors:
        raise errors.exceptions[0] from None


@dataclass
class _Asking:
    """Asks one case after the other, and puts each answer into `found` and the log as it arrives."""

    sampling: Sampling
    limits: Limits
    found: dict[Key, Prediction]
    file: IO[str]
    tell: Callable[[int], None]
    proven: bool
    lost: int = 0
    """connections in a row that nobody took"""

    async def one(self, client: "AsyncOpenAI", endpoint: Endpoint, item: tuple[Case, int], first: bool) -> None:
        """Ask one case for one sample, unless the endpoint has gone."""
        case, sample = item
        if self.lost >= GONE:
            prediction = Prediction(id=case.id, error="not asked: the endpoint had gone")
        else:
            prediction = await _ask(client, endpoint, case, self.sampling, self.limits, first, self.proven)
            self.lost = self.lost + 1 if (prediction.error or "").startswith(NO_CONNECTION) else 0
        prediction = prediction.model_copy(update={"sample": sample}) if sample else prediction
        append(self.file, prediction)
        self.found[prediction.key] = prediction
        self.tell(len(self.found))


def hints_at_call(text: str, case: Case) -> bool:
    """Return whether a call may have begun in a text: it names a tool, or holds a character that every call form begins with."""
    return any(mark in text for mark in ("<", "{", "[", "Action")) or any(
        tool["function"]["name"] in text for tool in tools_of(case)
    )


async def _ask(
    client: "AsyncOpenAI", endpoint: Endpoint, case: Case, sampling: Sampling, limits: Limits, first: bool, proven: bool
) -> Prediction:
    if sampling.probe_tokens is not None:
        short = replace(sampling, max_tokens=min(sampling.probe_tokens, sampling.max_tokens), probe_tokens=None)
        prediction = await ask_once(client, endpoint, case, short, limits, first, proven)
        if prediction.finish_reason != "length" or not hints_at_call(prediction.content or "", case):
            return prediction
    return await ask_once(client, endpoint, case, sampling, limits, first, proven)


async def ask_once(
    client: "AsyncOpenAI",
    endpoint: Endpoint,
    case: Case,
    sampling: Sampling,
    limits: Limits,
    first: bool,
    proven: bool = False,
) -> Prediction:
    """Ask one case once, by the client's own retries. Whatever the server does costs this case alone.

    Args:
        first: nothing has been asked yet, so that a wrong URL or model is the user's fault.
        proven: there are answers of this endpoint already, so that URL and model are right.

    Raises:
        UserError: a wrong key, or such a fault.
    """
    from httpx2 import Response
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    try:
        request = request_of(endpoint, case, sampling)
    except ValueError as error:
        return Prediction(id=case.id, error=f"cannot be asked in raw mode: {error}")
    # A server that dribbles never falls silent: the whole case has an end as well.
    deadline = (limits.retries + 1) * limits.timeout_s + 60 * limits.retries
    try:
        async with asyncio.timeout(deadline):
            # Not chat.completions.create: it walks over the whole request by its types, a third of the work of an ask.
            raw = await client.post("/chat/completions", cast_to=Response, body=request)
    except (APITimeoutError, TimeoutError):
        return Prediction(id=case.id, error=f"no answer within {limits.timeout_s:g} s, {limits.retries + 1} times")
    except APIStatusError as error:
        return Prediction(id=case.id, error=_refusal(error, endpoint, first and not proven))
    except APIConnectionError as error:
        return Prediction(id=case.id, error=_lost(error, endpoint, first))
    return _read_answer(raw.content, round(raw.elapsed.total_seconds(), 4), case, sampling)


def _read_answer(body: bytes, latency_s: float, case: Case, sampling: Sampling) -> Prediction:
    """Read what a server answered to a case; what cannot be read is an error, not the model's."""
    try:
        answer = read_completion(body)
    except ValueError as error:
        return Prediction(id=case.id, error=str(error), latency_s=latency_s)
    choice = answer.choices[0]
    prediction = Prediction(
        id=case.id,
        content=choice.message.content,
        tool_calls=[call.model_dump() for call in choice.message.tool_calls or []],
        finish_reason=choice.finish_reason,
        usage=answer.usage or {},
        latency_s=latency_s,
    )
    return read_raw(prediction, case, sampling.raw_format) if sampling.mode == "raw" else prediction


def request_of(endpoint: Endpoint, case: Case, sampling: Sampling) -> dict[str, Any]:
    """Build the body of the request that asks a case.

    Raises:
        ValueError: raw mode has no words for the case's history.
    """
    messages, raw_mode = case.messages, sampling.mode == "raw"
    if raw_mode:
        messages = raw_messages(messages, tools_of(case), sampling.raw_format, sampling.raw_system)
    if endpoint.llamafactory:
        messages = for_llamafactory(messages)
    request: dict[str, Any] = {"model": endpoint.model, "messages": messages, "max_tokens": sampling.max_tokens}
    request["temperature"] = sampling.temperature
    if case.tools and not raw_mode:
        request["tools"] = tools_of(case)
    return request


def _refusal(error: "APIStatusError", endpoint: Endpoint, unproven: bool) -> str:
    """Say how a server refuses a request; what every request would meet is raised as the user's fault."""
    status = error.status_code
    if status == 401 or (status == 403 and unproven):
        remedy = "set OPENAI_API_KEY, or name the variable that holds the key with --api-key-env"
        raise UserError(endpoint.base_url, f"refuses the key (HTTP {status})", remedy)
    fault = f"HTTP {status}: {refusal_words(error)}"
    if unproven and (status == 404 or error.response.has_redirect_location):
        fault = fault.replace(":", f" for model {endpoint.model!r}:", 1)
        raise UserError(endpoint.base_url, fault, "check the URL (it ends in /v1) and --model")
    return fault


def _lost(error: "APIConnectionError", endpoint: Endpoint, first: bool) -> str:
    """Say how a connection failed; where the very first finds nobody, that is raised as the user's fault."""
    from httpx2 import ConnectError, DecodingError, ProxyError

    cause, kind = error.__cause__, BROKEN
    if isinstance(cause, ConnectError | ProxyError):
        kind = NO_CONNECTION
    elif isinstance(cause, DecodingError):
        kind = UNREADABLE
    fault = f"{kind} ({quoted(str(cause or error), MOST_WORDS)})"
    if first and kind == NO_CONNECTION:
        raise UserError(endpoint.base_url, fault, "start the server or mend the URL")
    return fault


def read_raw(prediction: Prediction, case: Case, raw_format: str) -> Prediction:
    """Return the prediction with the calls that stand in its text: in the format that was asked for, or else in any other."""
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
