"""Load the router on loopback, against a scripted model of 20 ms: `python -m examples.router.load`."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import psutil

from callwright.errors import Parser, UserError, command

DELAY_S = 0.02
CONCURRENCY, QUEUE = 8, 32
TIMEOUT_S = 10.0
SLACK_MIB = 8.0
"""that the router may grow by after its first tenth of the requests"""


async def scripted() -> asyncio.Server:
    """Start a model's server that calls generate_image after DELAY_S, whatever it is asked."""
    function = {"name": "generate_image", "arguments": '{"prompt": "a cat"}'}
    message = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}], "data": []}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while asked := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)content-length: (\d+)", asked)
                await reader.readexactly(int(length[1]) if length else 0)
                await asyncio.sleep(DELAY_S)
                writer.write(head + body)

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def fire(session: aiohttp.ClientSession, url: str, count: int, at_once: int) -> list[tuple[int, float]]:
    """Send so many requests; return the status (0: no answer) and the seconds of so many requests, `at_once` of them under way all the time."""
    left, results = iter(range(count)), []

    async def worker() -> None:
        for number in left:
            started, status = time.perf_counter(), 0
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(url, json={"text": f"draw cat number {number}"}) as answer:
                    await answer.read()
                    status = answer.status
            results.append((status, time.perf_counter() - started))

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return results


def percentiles(results: Sequence[tuple[int, float]], status: int) -> str:
    """Return the middle and the slow end of the answers with a status."""
    times = sorted(1_000 * seconds for found, seconds in results if found == status)
    return f"{len(times):,} × {status}" + (
        f" (p50 {times[len(times) // 2]:.0f} ms, p99 {times[int(0.99 * len(times))]:.0f} ms, slowest {times[-1]:.0f} ms)"
        if times
        else ""
    )


async def wait_for(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until a URL answers with 200.

    Raises:
        UserError: it did not within 30 s.
    """
    for _ in range(150):
        with suppress(aiohttp.ClientError):
            async with session.get(url) as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.2)
    raise UserError("router", "did not answer within 30 s", "start it by itself and look")


async def measure(requests: int) -> bool:
    """Print the figures; whether every request was answered as it should be, in flat memory."""
    model = await scripted()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    where = ["--base-url", f"http://127.0.0.1:{model.sockets[0].getsockname()[1]}/v1", "--model", "m"]
    bounds = ["--concurrency", f"{CONCURRENCY}", "--queue", f"{QUEUE}", "--timeout", f"{TIMEOUT_S:g}"]
    environment = {name: value for name, value in os.environ.items() if name != "ROUTER_API_KEY"}
    router = subprocess.Popen(
        [sys.executable, "-m", "examples.router.service", *where, *bounds, "--port", f"{port}"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=2 * TIMEOUT_S)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await wait_for(session, f"{url}/healthz")
            process, memory, steady = psutil.Process(router.pid), [], []
            started = time.perf_counter()
            for _ in range(10):
                steady += await fire(session, f"{url}/intent", requests // 10, CONCURRENCY + QUEUE)
                memory.append(process.memory_info().rss / 2**20)
            seconds = time.perf_counter() - started
            print(f"{len(steady):,} requests, {CONCURRENCY + QUEUE} under way: {percentiles(steady, 200)}", end="; ")
            print(f"{len(steady) / seconds:.0f} requests/s of {CONCURRENCY / DELAY_S:.0f} at best")
            print("memory after each tenth, MiB:", " ".join(f"{mib:.1f}" for mib in memory))
            started = time.perf_counter()
            over = await fire(session, f"{url}/intent", requests, 4 * (CONCURRENCY + QUEUE))
            rate = sum(status == 200 for status, _ in over) / (time.perf_counter() - started)
            print(
                f"{len(over):,} requests, {4 * (CONCURRENCY + QUEUE)} under way, none waits after a refusal:", end=" "
            )
            print(f"{percentiles(over, 200)}, {rate:.0f}/s; {percentiles(over, 429)}")
            lost = Counter(status for status, _ in steady if status != 200)
            lost += Counter(status for status, _ in over if status not in (200, 429))
            flat = memory[-1] - memory[0] <= SLACK_MIB
            print(f"other answers: {dict(lost) or 'none'}; memory {'flat' if flat else 'GROWS'}")
            return flat and not lost
    finally:
        router.terminate()
        router.wait(TIMEOUT_S)
        await asyncio.sleep(0.1)  # the router's connections end first
        model.close()


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where an answer went missing or memory grew."""
    parser = Parser("python -m examples.router.load", __doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="in the steady part (default: 10,000)")
    args = parser.parse_args(argv)
    return 0 if asyncio.run(measure(max(args.requests, 100))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
