"""An utterance → an intent, over HTTP, by any OpenAI-compatible server; the intent's handler is run.

python -m examples.router.service --base-url http://127.0.0.1:8000/v1 --model smollm2-135m_lora
"""

import asyncio
import hmac
import importlib
import logging
import os
import re
import time
import traceback
from bisect import bisect_left
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from openai import OpenAIError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from callwright.chat import open_client
from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import to_json
from callwright.records import Call, Case, Prediction, explain
from callwright.web import OwnHosts, check_open, listen, make_server
from eval.agents.ask import MAX_TOKENS, case_of, read_decision
from eval.agents.handlers import HANDLERS, dispatch
from eval.endpoint.client import ask_once
from eval.endpoint.settings import Endpoint, Limits, Sampling, endpoint_at, positive

MOST_BYTES, MOST_CHARACTERS = 16 << 10, 2_000
UNREAD = (401, 404, 405, 408, 413, 415)
"""what is answered while the request is still coming: its connection is closed"""
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

log = logging.getLogger("router")


@dataclass(frozen=True)
class Bounds:
    """How much is taken on."""

    concurrency: int = 4  # requests at a time to the model's server
    queue: int = 32  # requests that may wait for their turn; the next gets 429
    timeout_s: float = 30.0  # of a request, its wait included; then 504
    body_s: float = 5.0  # for a client to send its few bytes; then 408


class Utterance(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(pattern=r"\S", max_length=MOST_CHARACTERS)


class Router:
    """Asks the model, a bounded number of requests at a time, and runs handlers; counts what came of it.

    Args:
        case_of: makes a case of an utterance: the messages, and always the same tools.
    """

    def __init__(self, endpoint: Endpoint, case_of: Callable[[str], Case], bounds: Bounds) -> None:
        self.endpoint, self.case_of, self.bounds = endpoint, case_of, bounds
        self.tools = case_of("?").tools
        self.limits = Limits(bounds.concurrency, 2 * bounds.timeout_s, retries=0)  # our own deadline comes first
        self.client = open_client(endpoint.base_url, endpoint.api_key, self.limits.timeout_s, self.limits.retries)
        self.slots = asyncio.Semaphore(bounds.concurrency)
        self.pool = ThreadPoolExecutor(bounds.concurrency, "handler")
        self.in_flight = 0
        self.probe, self.probed_at, self.lives = asyncio.Lock(), 0.0, False
        self.outcomes: Counter[str] = Counter()
        self.seconds, self.sum_s = [0] * (len(BUCKETS) + 1), 0.0

    async def answer(self, text: str) -> tuple[int, dict[str, Any]]:
        """Return the HTTP status and the decision, with what the handlers returned under `done`."""
        if self.in_flight >= self.bounds.concurrency + self.bounds.queue:
            raise HTTPException(429, "too many requests are waiting", {"Retry-After": "1"})
        self.in_flight += 1
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.bounds.timeout_s):
                outcome, found = await self._decide(text)
        except TimeoutError:
            raise HTTPException(504, f"no answer within {self.bounds.timeout_s:g} s") from None
        finally:
            self.in_flight -= 1
            self.sum_s += (seconds := time.monotonic() - started)
            self.seconds[bisect_left(BUCKETS, seconds)] += 1
        self.outcomes[outcome] += 1
        return 500 if outcome == "handler_failed" else 200, found

    async def _decide(self, text: str) -> tuple[str, dict[str, Any]]:
        await self.slots.acquire()
        with ExitStack() as slot:
            slot.callback(self.slots.release)
            asked = self.case_of(text)
            try:  # with the evaluator's own request, so that the figure it measured holds here
                prediction = await ask_once(self.client, self.endpoint, asked, Sampling(MAX_TOKENS), self.limits, False)
                fault = re.split("[:(]", prediction.error or "")[0].strip()  # what follows may repeat the user's words
            except UserError as error:
                fault = error.fault
            if fault:
                log.error("the model's server: %s", fault)
                raise HTTPException(502, f"the model's server: {fault}")
            done = asyncio.get_running_loop().run_in_executor(self.pool, self._act, prediction)
            # No thread can be stopped: a handler that is overdue keeps its slot, so that they never pile up.
            release = slot.pop_all().close
            done.add_done_callback(lambda _: release())
            return await asyncio.shield(done)

    def _act(self, prediction: Prediction) -> tuple[str, dict[str, Any]]:
        """Check the calls of an answer and run their handlers, in a thread: both may take their time."""
        found = read_decision(prediction, self.tools)
        if found["intent"] is None:
            return "invalid_call" if "fault" in found else "reply", found
        well, done = self._handle([Call.model_validate(call) for call in found.get("calls", [found["call"]])])
        return "intent" if well else "handler_failed", {**found, "done": done}

    def _handle(self, calls: list[Call]) -> tuple[bool, list[Any]]:
        done: list[Any] = []
        for call in calls:
            try:
                to_json(result := dispatch(call, self.tools))  # what cannot be sent is its handler's fault as well
            except Exception as error:  # not its message: that may hold the user's words
                where = traceback.extract_tb(error.__traceback__)[-1]
                fault = f"{type(error).__name__} at {where.filename}:{where.lineno}"
                log.error("the handler of %s failed: %s", call.name, fault)
                return False, [*done, {"failed": call.name}]
            done.append(result)
        return True, done

    async def model_lives(self) -> bool:
        """Return whether the model's server answers: asked once a second at most, however many ask us."""
        async with self.probe:
            if time.monotonic() - self.probed_at > 1:
                try:
                    self.lives = bool(await self.client.with_options(timeout=2).models.list())
                except OpenAIError:
                    self.lives = False
                self.probed_at = time.monotonic()
        return self.lives

    def metrics(self) -> str:
        """Write the counts in Prometheus' text format 0.0.4."""
        lines = ["# TYPE router_answers_total counter"]
        lines += [f'router_answers_total{{outcome="{name}"}} {n}' for name, n in sorted(self.outcomes.items())]
        lines += ["# TYPE router_in_flight gauge", f"router_in_flight {self.in_flight}"]
        lines += ["# TYPE router_seconds histogram"]
        edges = zip([*BUCKETS, "+Inf"], accumulate(self.seconds), strict=True)
        lines += [f'router_seconds_bucket{{le="{edge}"}} {n}' for edge, n in edges]
        lines += [f"router_seconds_sum {self.sum_s:.6f}", f"router_seconds_count {sum(self.seconds)}"]
        return "\n".join(lines) + "\n"


async def read_text(request: Request, body_s: float) -> str:
    """Read the utterance of a request whose body must arrive within so many seconds.

    Raises:
        HTTPException: another content type, too large, too late, or of another form.
    """
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")  # which no other site's page can, from a user's browser
    body = b""
    try:
        async with asyncio.timeout(body_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise HTTPException(413, f"the body is larger than {MOST_BYTES:,} bytes")
        return Utterance.model_validate_json(body).text
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408, f"the body did not arrive within {body_s:g} s") from None
    except ValidationError as error:
        raise HTTPException(422, explain(error)) from None


def make_app(router: Router, key: str = "") -> FastAPI:
    """Make the service; clients must send `key` as `Authorization: Bearer`, unless it is empty."""

    def let_in(request: Request) -> None:
        given = request.headers.get("Authorization", "").encode("latin-1")
        if key and not hmac.compare_digest(given, f"Bearer {key}".encode()):
            raise HTTPException(401, "no key, or a wrong one", {"WWW-Authenticate": "Bearer"})

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await router.client.close()

    app = FastAPI(title="router", openapi_url=None, lifespan=lifespan)
    guarded = [Depends(let_in)]  # before any of the body is read

    @app.exception_handler(AnyHTTPException)
    async def refuse(request: Request, error: AnyHTTPException) -> Response:
        router.outcomes[f"http_{error.status_code}"] += 1
        ends = {"Connection": "close"} if error.status_code in UNREAD else {}
        return reply(error.status_code, {"error": error.detail}, {**(error.headers or {}), **ends})

    @app.post("/intent", dependencies=guarded)
    async def intent(request: Request) -> Response:
        return reply(*await router.answer(await read_text(request, router.bounds.body_s)))

    @app.get("/healthz")
    async def healthz() -> Response:
        lives = await router.model_lives()
        return reply(200 if lives else 503, {"model": "answers" if lives else "does not answer"})

    @app.get("/metrics", dependencies=guarded)
    async def metrics() -> Response:
        return Response(router.metrics(), media_type="text/plain; version=0.0.4")

    return app


def reply(status: int, value: Any, headers: Any = None) -> Response:
    """Return a JSON response."""
    return Response(to_json(value), status, headers, "application/json")


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped."""
    parser = Parser("python -m examples.router.service", None)
    parser.add_argument("--base-url", required=True, help="the model's server, URL ending in /v1; gets OPENAI_API_KEY")
    parser.add_argument("--model", required=True, help="the model's name there")
    parser.add_argument("--task", default="image_intent", help="whose tools (default: image_intent)")
    parser.add_argument(
        "--handlers", metavar="MODULE", help="registers more handlers, with eval.agents.handlers.handles"
    )
    parser.add_argument("--host", default="127.0.0.1", help="another than loopback needs ROUTER_API_KEY")
    parser.add_argument(
        "--host-name",
        action="append",
        default=[],
        metavar="NAME",
        help="what clients call it in their URL; loopback always",
    )
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--concurrency", type=positive, default=Bounds.concurrency, help="requests at a time")
    parser.add_argument("--queue", type=positive, default=Bounds.queue, help="that may wait; the next gets 429")
    parser.add_argument("--timeout", type=float, default=Bounds.timeout_s, help="seconds of a request; then 504")
    args = parser.parse_args(argv)
    key = os.environ.get("ROUTER_API_KEY", "")
    check_open("--host", args.host, key, "ROUTER_API_KEY")
    if args.handlers:
        importlib.import_module(args.handlers)
    data, bounds = load_data_config(args.task), Bounds(args.concurrency, args.queue, args.timeout)
    router = Router(
        endpoint_at(args.base_url, args.model, None, False), lambda text: case_of(text, data, date.today()), bounds
    )
    if lacking := [name for tool in router.tools if (name := tool["function"]["name"]) not in HANDLERS]:
        raise UserError("--handlers", f"nothing handles {', '.join(lacking)}", "name a module that registers handlers")
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    with listen(args.host, args.port) as server, suppress(KeyboardInterrupt):  # stopped: what it was to do is done
        port = server.getsockname()[1]
        print(f"router: http://{args.host}:{port}/intent, {'with' if key else 'without'} a key", flush=True)
        make_server(OwnHosts(make_app(router, key), [args.host, *args.host_name])).run(sockets=[server])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
