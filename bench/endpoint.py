"""An HTTP endpoint of this machine in a process of its own: it answers after a delay, and no more than a rate allows."""

import asyncio
import math
import multiprocessing
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

Answer = Callable[[bytes], bytes]
"""a request's body → its answer's, both JSON; a function of a module, as another process calls it"""


def serve(answer: Answer, delay_s: float, rate: float, pipe: Connection) -> None:
    """Answer on a free port, whose number goes into the pipe; with status 429 over `rate` in a second of the clock."""
    counts = Counter[int]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", head)[0]))
                second = int(time.time())
                counts[second] += 1
                status, text = b"429 Slow down\r\nRetry-After: 1", b"{}"
                if counts[second] <= rate:
                    await asyncio.sleep(delay_s)
                    status, text = b"200 OK", answer(body)
                kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text)
                writer.write(b"HTTP/1.1 " + status + b"\r\n" + kind + text)

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=64)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def endpoint(answer: Answer, delay_s: float, rate: float = math.inf) -> Iterator[str]:
    """Give the URL of an endpoint that lives as long as the block."""
    ours, theirs = multiprocessing.Pipe()
    words = (answer, delay_s, rate, theirs)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=words, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.kill()
