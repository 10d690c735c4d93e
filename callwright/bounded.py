"""A bound on what is read of a response, whatever the server sends: `httpx2.AsyncClient(event_hooks={"response": [bound]})`."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2  # the openai client's own transport

MOST_BYTES = 4 << 20
"""of a body; an answer of 4,000 tokens takes about 20 kB"""


class _Bounded(httpx2.AsyncByteStream):
    """A stream that ends with the chunk that completes MOST_BYTES."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for chunk in self.stream:
            yield chunk
            left -= len(chunk)
            if left <= 0:
                return

    @property
    def elapsed(self) -> timedelta | None:
        """How long the answer took, once it is read or closed."""
        return getattr(self.stream, "elapsed", None)

    async def aclose(self) -> None:
        await self.stream.aclose()


async def bound(response: httpx2.Response) -> None:
    """Let the body end after MOST_BYTES, and leave a compressed one as it is: a few bytes of it can hold any number."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    response.stream = _Bounded(response.stream)
    response.headers.pop("Content-Encoding", None)
