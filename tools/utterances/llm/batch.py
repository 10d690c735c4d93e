"""Answer requests through the Batch API: half the price, up to a day's wait, and no batch lost by a restart."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from callwright.chat import MOST_WORDS, completion_of
from callwright.config import Api
from callwright.files import parse_json, to_json
from callwright.redact import redact
from tools.utterances.llm.client import RAISE, REFUSED, TRIES, LLMClient, RefusedError, max_cost, paid, server
from tools.utterances.llm.ledger import Answer, Batch, Ledger, Request, answer_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

SETTLE_S = 0.2
"""Requests that wait are sent after so many seconds without a new one: all that can be asked has been."""
POLL_S = 30.0
MAX_REQUESTS, MAX_BYTES = 50_000, 100_000_000
"""The most that a batch holds; OpenAI's limits are 50,000 requests and 200 MB."""
ENDED = ("completed", "expired", "cancelled")
PATH: Literal["/v1/chat/completions"] = "/v1/chat/completions"


class BatchClient(LLMClient):
    """Gathers requests until no more come, sends them as a batch, and answers all when it has ended."""

    def __init__(self, api: Api, ledger: Ledger, client: "AsyncOpenAI", tell: Callable[[], None]) -> None:
        super().__init__(api, ledger, client, tell)
        self.waiting: dict[str, tuple[Request, asyncio.Future[Answer]]] = {}
        self.sender: asyncio.Task[None] | None = None

    async def send(self, request: Request) -> Answer:
        """Wait for the batch that answers a request."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting[request.key] = request, future
        if self.sender is None or self.sender.done():
            self.sender = asyncio.create_task(self.drain())
        either: list[asyncio.Future[Any]] = [future, self.sender]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            await self.sender  # it failed, and says why
        return await future

    async def drain(self) -> None:
        """Send batches until nobody waits; those of an earlier run come first."""
        for batch in self.ledger.batches():
            await self.collect(batch)
        left: dict[str, int] = {}
        while self.waiting:
            await self.settle()
            chosen = self.fitting([r for key, (r, _) in self.waiting.items() if self.ledger.get(key) is None])
            for request in chosen:
                left[request.key] = left.get(request.key, TRIES) - 1
                if left[request.key] < 0:
                    self.stop(server(), f"no answer in {TRIES} batches", "look at the batch in the server's own pages")
            if chosen:
                await self.collect(await self.submit(chosen))
            for key, (_, future) in list(self.waiting.items()):
                if answer := self.ledger.get(key):
                    del self.waiting[key]
                    future.set_result(answer)
                    self.tell()

    async def settle(self) -> None:
        """Wait until no more requests come."""
        count = -1
        while count != len(self.waiting):
            count = len(self.waiting)
            await asyncio.sleep(SETTLE_S)

    def fitting(self, requests: Sequence[Request]) -> list[Request]:
        """Return as many requests as one batch and the budget hold."""
        chosen: list[Request] = []
        size, dollars = 0, 0.0
        for request in requests:
            size += len(to_json(request.body).encode()) + 200
            dollars += max_cost(self.api, request.body, batch=True)
            if self.over(dollars):
                if not chosen:
                    fault = f"{self.ledger.spent:.4f} of {self.api.budget_usd:g} dollars are spent"
                    self.stop("budget_usd", fault, RAISE)
                break
            if chosen and (size > MAX_BYTES or len(chosen) == MAX_REQUESTS):
                break
            chosen.append(request)
        return chosen

    async def submit(self, requests: Sequence[Request]) -> Batch:
        """Upload requests, and note the batch before it is sent: a run that is killed between finds it again."""
        lines = [
            {"custom_id": request.key, "method": "POST", "url": PATH, "body": self.adapted(request.body)}
            for request in requests
        ]
        text = "".join(to_json(line) + "\n" for line in lines).encode()
        file = await self.called(lambda: self.client.files.create(file=("callwright.jsonl", text), purpose="batch"))
        batch = Batch(uuid.uuid4().hex, file.id, None, {r.key: r.body["model"] for r in requests})
        self.ledger.open_batch(batch)
        return batch

    async def collect(self, batch: Batch) -> None:
        """Send a batch unless the server has it, wait for its end, and keep its answers."""
        if batch.id is None:
            identity = await self.called(lambda: self.find_or_create(batch))
            batch = Batch(batch.nonce, batch.file, identity, batch.requests)
            self.ledger.open_batch(batch)
        while True:
            state = await self.called(lambda: self.client.batches.retrieve(str(batch.id)))
            if state.status == "failed":
                self.ledger.close_batch(batch.nonce, [])
                said = state.errors.data[0].message if state.errors and state.errors.data else "no reason given"
                self.stop(f"batch {batch.id}", f"failed: {said}", "mend it and run again: what was answered is kept")
            if state.status in ENDED:
                break
            await asyncio.sleep(POLL_S)
        lines: list[bytes] = []
        for identity in filter(None, (state.output_file_id, state.error_file_id)):
            content = await self.called(lambda identity=identity: self.client.files.content(identity))
            lines += content.content.splitlines()
        answers = [(key, answer) for key, answer in map(self.read, lines) if answer and key in batch.requests]
        longest = {"max_tokens": self.api.max_tokens}
        price = {key: Request({"model": model} | longest) for key, model in batch.requests.items()}
        self.ledger.close_batch(batch.nonce, [(k, a, paid(self.api, price[k], a, batch=True)) for k, a in answers])

    def read(self, raw: bytes) -> tuple[str, Answer | None]:
        """Return the key and the answer of a line of a batch's result; None where the request is to be asked again."""
        try:
            line = parse_json(raw.decode())
            key, response = str(line["custom_id"]), line.get("response") or {}
            status, body = response.get("status_code"), response.get("body")
            if status == 200:
                return key, answer_of(completion_of(body))
        except (ValueError, LookupError, TypeError, AttributeError):  # no such line: its request is asked again
            return "", None
        if not isinstance(status, int) or status >= 500 or status in (408, 409, 429):
            return key, None
        before = self.plain, self.long_key
        self.learn(said := redact(to_json(body)))
        if (self.plain, self.long_key) != before or (self.plain and "response_format" in said):
            return key, None
        return key, Answer(content=f"HTTP {status}: {said[:MOST_WORDS]}", finish=REFUSED)

    async def find_or_create(self, batch: Batch) -> str:
        """Return the server's id of a batch: of one that was sent before, told by its nonce, or else of a new one."""
        for known in (await self.client.batches.list(limit=100)).data:
            if (known.metadata or {}).get("callwright") == batch.nonce:
                return known.id
        create, nonce = self.client.batches.create, {"callwright": batch.nonce}
        return (await create(input_file_id=batch.file, endpoint=PATH, completion_window="24h", metadata=nonce)).id

    async def called(self, call: Any) -> Any:
        """Make a call about files and batches, with retries; a refusal stops the run."""
        try:
            return await self.tried(call)
        except RefusedError as error:
            self.stop(server(), str(error), "check that the server has a Batch API, and the model there")
