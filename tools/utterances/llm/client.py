"""Answer requests from the ledger, else from the server, within the rate, the budget and one layer of retries."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from math import isnan
from random import random
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from callwright.chat import MOST_WORDS, NO_KEY, check_url, is_local, open_client, quoted, read_completion, refusal_words
from callwright.config import Api
from callwright.errors import UserError
from callwright.files import to_json
from tools.utterances.llm.ledger import Answer, Ledger, Request, answer_of
from tools.utterances.llm.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai._types import RequestOptions

OPENAI_URL = "https://api.openai.com/v1"
TRIES = 6
"""The run stops after so many tries of a request; what was answered is kept."""
BACKOFF_S = 0.5
"""The pause before the second try; doubled for each further one, half of it at random."""
LONGEST = 2
"""The seconds of a try are doubled after silence, so many times at most."""
PATIENCE_S = 600
"""The run stops after so many seconds of 429 alone, with no answer to anybody."""
REFUSED = "refused"
LATER = "run again later: what was answered is kept"
RAISE = "raise augment.api.budget_usd and run again: what was answered is kept"
SLACK = 64
"""So many tokens a server may add to a request's own: roles, separators, its form of the tools."""

T = TypeVar("T")


class RefusedError(Exception):
    """The server will not do this, however often it is asked; its words."""


def cost(api: Api, body: dict[str, Any], tokens_in: float, tokens_out: float, batch: bool) -> float:
    """Return the dollars for a request's tokens."""
    price = api.prices[body["model"]]
    dollars = (tokens_in * price.input + tokens_out * price.output) / 1e6
    return dollars * (1 - price.batch_discount) if batch else dollars


def max_cost(api: Api, body: dict[str, Any], batch: bool) -> float:
    """Return the dollars that a request cannot pass: a token has a byte or more, and answers end at max_tokens."""
    return cost(api, body, len(to_json(body).encode()) + SLACK, body["max_tokens"], batch)


def paid(api: Api, request: Request, answer: Answer, batch: bool = False) -> float:
    """Return the dollars for an answer, by its usage; where the server gives none, what it cannot pass."""
    if answer.finish == REFUSED:
        return 0.0
    if answer.input is None or answer.output is None:
        return max_cost(api, request.body, batch)
    return cost(api, request.body, answer.input, answer.output, batch)


def server() -> str:
    """Return the base URL: OPENAI_BASE_URL, else OpenAI's own."""
    return check_url("OPENAI_BASE_URL", os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)


def connect(api: Api) -> "AsyncOpenAI":
    """Open a client without retries of its own: LLMClient's are the only ones, because a 429 must slow all requests.

    Raises:
        UserError: the server is not this machine, and OPENAI_API_KEY is not set.
    """
    key = os.environ.get("OPENAI_API_KEY") or (NO_KEY if is_local(server()) else "")
    if not key:
        raise UserError("OPENAI_API_KEY", "is not set", f"export it: {server()} asks for a key")
    return open_client(server(), key, api.timeout_s, retries=0)


@contextmanager
def connected(api: Api, runner: asyncio.Runner) -> Iterator["AsyncOpenAI"]:
    """Hold a client of `connect`, and close its connections at the end however it comes."""
    client = connect(api)
    try:
        yield client
    finally:
        runner.run(client.close())


class LLMClient:
    """What answers requests, each only once. It begins with one alone, so that a wrong key costs one refusal only."""

    def __init__(self, api: Api, ledger: Ledger, client: "AsyncOpenAI", tell: Callable[[], None]) -> None:
        self.api, self.ledger, self.client, self.tell = api, ledger, client, tell
        self.limiter = RateLimiter(api.requests_per_minute / 60, api.concurrency, api.timeout_s)
        self.proven = False  # the server has answered in this run
        self.fault: UserError | None = None  # why nothing more is sent; what is under way may still arrive
        self.plain = False  # the server takes no JSON Schema for the form of an answer
        self.long_key = False  # the model wants max_tokens by its newer name
        self.answered_at = time.monotonic()
        self.reserved: list[float] = []  # dollars that each request under way may cost
        self.freed = asyncio.Condition()
        self.asking: dict[str, asyncio.Task[Answer]] = {}

    async def ask(self, request: Request) -> Answer:
        """Return the answer to a request, from the ledger or the server.

        Raises:
            UserError: nobody can answer, or the budget does not allow to ask.
        """
        if known := self.ledger.get(request.key):
            self.tell()
            return known
        if (task := self.asking.get(request.key)) is None:
            task = self.asking[request.key] = asyncio.create_task(self.send(request))
            task.add_done_callback(lambda done: self.ended(request.key, done))
        await asyncio.wait([task])  # which goes on where nobody waits any more: what the server works on is paid
        return task.result()

    def ended(self, key: str, task: asyncio.Task[Answer]) -> None:
        """Forget a request that was asked; its fault may have nobody who waits for it."""
        del self.asking[key]
        if not task.cancelled():
            task.exception()

    async def wind_up(self, wait_s: float) -> None:
        """Send nothing more, and wait so long for what is under way."""
        self.fault = self.fault or UserError("augment", "was stopped", LATER)
        if under_way := list(self.asking.values()):
            await asyncio.wait(under_way, timeout=wait_s)

    async def send(self, request: Request) -> Answer:
        """Ask the server within the budget, and keep the answer."""
        dollars = max_cost(self.api, request.body, batch=False)
        async with self.limiter.place():
            await self.reserve(dollars)
            try:
                answer = await self.complete(request.body)
                self.ledger.put(request.key, answer, paid(self.api, request, answer))
            finally:
                async with self.freed:
                    self.reserved.remove(dollars)
                    self.freed.notify_all()
        self.tell()
        return answer

    async def reserve(self, dollars: float) -> None:
        """Wait until the budget has room beside what is under way."""
        async with self.freed:
            while (over := self.over(dollars)) and self.reserved and not self.fault:
                await self.freed.wait()
            if over:
                self.stop("budget_usd", f"{self.ledger.spent:.4f} of {self.api.budget_usd:g} dollars are spent", RAISE)
            self.reserved.append(dollars)

    def over(self, dollars: float) -> bool:
        """Tell whether so much more might pass the budget."""
        return self.ledger.spent + sum(self.reserved) + dollars > self.api.budget_usd

    async def complete(self, body: dict[str, Any]) -> Answer:
        """Return what the server says to a request, in a form that it takes; `refused` where it takes none."""
        from httpx2 import Response, Timeout

        limits: RequestOptions = {"timeout": Timeout(None, connect=self.api.timeout_s)}  # `tried` bounds the rest
        kind = body["model"], "tools" in body
        while True:
            sent = self.adapted(body)

            async def create(sent: dict[str, Any] = sent) -> Answer:
                change, start = self.limiter.change, time.monotonic()
                raw = await self.client.post("/chat/completions", cast_to=Response, body=sent, options=limits)
                answer = answer_of(read_completion(raw.content))
                self.limiter.answered(kind, time.monotonic() - start, change, answer.output)
                return answer

            try:
                return await self.tried(create, lambda: self.limiter.patience(self.api.max_tokens))
            except RefusedError as error:
                self.learn(str(error))
                if self.adapted(body) == sent:
                    if not self.proven:
                        self.stop(server(), str(error), "check OPENAI_BASE_URL (it ends in /v1) and augment.api.model")
                    return Answer(content=str(error), finish=REFUSED)

    def learn(self, refusal: str) -> None:
        """Note what this server cannot take, for the rest of the run."""
        self.plain |= "response_format" in refusal or "json_schema" in refusal
        self.long_key |= "max_completion_tokens" in refusal

    def adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a request's body as this server takes it."""
        body = {key: value for key, value in body.items() if not (self.plain and key == "response_format")}
        if self.long_key:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    async def tried(self, call: Callable[[], Awaitable[T]], patience: Callable[[], float] | None = None) -> T:
        """Return what a call to the server returns, after as many tries as it takes: the one layer of retries.

        Args:
            patience: gives the seconds of the first try; longer ones follow, as a slow server may have begun to answer.

        Raises:
            RefusedError: the server will not do it.
            UserError: the key or the URL is wrong, or there is no answer in TRIES tries.
        """
        from openai import APIConnectionError, APIStatusError, APITimeoutError

        tries = longer = 0
        while True:
            if not self.fault:
                await self.limiter.turn()
            if self.fault:
                raise self.fault
            change, start = self.limiter.change, time.monotonic()
            try:
                async with asyncio.timeout((patience() if patience else self.api.timeout_s) * 2**longer):
                    result = await call()
            except (APITimeoutError, TimeoutError):
                reason, longer = f"nothing within {time.monotonic() - start:.0f} s", min(longer + 1, LONGEST)
                self.limiter.silent(change)
                if not self.proven:
                    self.stop(server(), reason, "see whether it still loads its model, and run again")
            except APIConnectionError as error:
                reason = f"no connection ({quoted(str(error.__cause__ or error), MOST_WORDS)})"
                if not self.proven:
                    self.stop(server(), reason, "start the server, or mend OPENAI_BASE_URL")
            except APIStatusError as error:
                reason = self.judge(error)
                if error.status_code == 429:
                    tries -= 1  # which costs no try: it ends with PATIENCE_S
            except ValueError as error:
                reason = str(error)
            else:
                self.proven, self.answered_at = True, time.monotonic()
                return result
            tries += 1
            if tries == TRIES:
                self.stop(server(), f"no answer in {TRIES} tries, the last: {reason}", LATER)
            await asyncio.sleep(BACKOFF_S * 2**tries * (1 + random()) / 4)

    def judge(self, error: "APIStatusError") -> str:
        """Say why a try failed, where another may not; all slow down after a 429.

        Raises:
            RefusedError, UserError: another try would fail as well.
        """
        status = error.status_code
        reason = f"HTTP {status}: {refusal_words(error)}"
        if status in (401, 403):
            self.stop(server(), f"refuses the key (HTTP {status})", "set OPENAI_API_KEY to one that it takes")
        if status in (402, 404) or status < 400 or error.code == "insufficient_quota":
            self.stop(server(), reason, "check OPENAI_BASE_URL (it ends in /v1), the model and the account")
        if status == 429:
            pause = retry_after(error.response.headers.get("retry-after", ""))
            self.limiter.slow_down(pause)
            if time.monotonic() + pause - self.answered_at > PATIENCE_S:
                self.stop(server(), f"only 429 for long, and {pause:g} s more: {reason}", LATER)
        elif status < 500 and status not in (408, 409, 425):
            raise RefusedError(reason)
        return reason

    def stop(self, place: str, fault: str, remedy: str) -> NoReturn:
        """Send nothing more.

        Raises:
            UserError: the first reason to stop.
        """
        self.fault = self.fault or UserError(place, fault, remedy)
        raise self.fault


def retry_after(header: str) -> float:
    """Return the seconds that a Retry-After header asks for, given as such or as a date; 1 without one that can be read."""
    for read in (float, lambda date: parsedate_to_datetime(date).timestamp() - time.time()):
        with suppress(ValueError, OverflowError):
            if not isnan(pause := read(header)):
                return max(0.0, pause)
    return 1.0
