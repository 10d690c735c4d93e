"""Bound what is read of a response, whatever the server sends: `httpx2.AsyncClient(event_hooks={"response": [bound]})`."""

import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2  # the openai client's own transport

MOST_BYTES = 4 << 20
"""The most of a body, decompressed; an answer of 4,000 tokens takes about 20 kB."""
MOST_FILE_BYTES = 1 << 30
"""The most of a file of the Batch API, which holds up to 50,000 answers."""


class _Bounded(httpx2.AsyncByteStream):
    """A stream, decompressed where it is gzip or deflate, that ends with the chunk that completes `left` bytes."""

    def __init__(self, stream: httpx2.AsyncByteStream, left: int, compressed: bool) -> None:
        self.stream, self.left = stream, left
        self.inflater = zlib.decompressobj(wbits=47) if compressed else None  # 47: reads either header

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.stream:
            try:
                chunk = self.inflater.decompress(chunk, self.left) if self.inflater else chunk
            except zlib.error as error:
                raise httpx2.DecodingError(f"its compression is broken: {error}") from None
            yield chunk
            self.left -= len(chunk)
            if self.left <= 0:
                return
        if self.inflater and not self.inflater.eof:
            raise httpx2.DecodingError("its compression is broken: it stops half way")

    @property
    def elapsed(self) -> timedelta | None:
        """Return how long the answer took, once it is read or closed."""
        return getattr(self.stream, "elapsed", None)

    async def aclose(self) -> None:
        await self.stream.aclose()


async def bound(response: httpx2.Response) -> None:
    """Let the body end after MOST_BYTES, as UTF-8 whatever charset the header names: JSON is nothing else (RFC 8259).

    Raises:
        httpx2.DecodingError: it is compressed in a way that was not asked for and is not read here.
    """
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    compression = response.headers.pop("Content-Encoding", "identity").strip().lower()
    if compression not in ("identity", "", "gzip", "x-gzip", "deflate"):
        raise httpx2.DecodingError(f"Content-Encoding {compression[:40]!r} was not asked for")
    most = MOST_FILE_BYTES if "/files/" in response.request.url.path else MOST_BYTES
    response.stream = _Bounded(response.stream, most, compression not in ("identity", ""))
    response.encoding = "utf-8"
