"""Serve on this machine, out of reach of strangers' pages and half-sent requests: an ASGI layer, a server with deadlines."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from callwright.errors import UserError
from callwright.redact import keep_secret

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@\[\]]+))(?::\d{1,5})?")
"""A Host header: an address of IPv6, or a name or an address of IPv4; and a port."""
REQUEST_S = 15.0
"""Seconds for a request to arrive whole, from its first byte or from its connection on; then the connection is closed."""
MOST_IDLE = 200
"""Connections without a whole request; the oldest makes room for the next."""
MOST_CONNECTIONS = 1_000
"""Connections of all kinds; beyond them uvicorn answers 503 by itself."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]


class TooLargeError(Exception):
    """A body that passes the bound."""


class OwnHosts:
    """Refuses what is not meant for this server, before the application sees it.

    Another Host than ours is 400: a stranger's page whose name was made to lead to this machine (DNS rebinding). What
    another site's page asks is 403 (Origin, and Sec-Fetch-Site but for a link that is followed). A body over
    `most_bytes` is 413.

    Args:
        hosts: names and addresses that this server is reached by, beside loopback's.
        most_bytes: of a body; without it there is no bound.
    """

    def __init__(self, app: App, hosts: Iterable[str] = (), most_bytes: int | None = None) -> None:
        self.app, self.most_bytes = app, most_bytes
        self.hosts = {host.lower().strip("[]") for host in (*LOOPBACK, *hosts)}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        if refusal := self.refusal(scope):
            return await refuse(scope, send, *refusal)
        return await self.bounded(scope, receive, send)

    def refusal(self, scope: Any) -> tuple[int, str] | None:
        """Say why a request is refused, as status and words; None where it is not."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        given = headers.get(b"host", [])
        match = HOST.fullmatch(given[0]) if len(given) == 1 else None
        if not match or (match[1] or match[2]).decode("latin-1").lower() not in self.hosts:
            return 400, "this server is not known by that Host"
        foreign = not all(self.own(origin.decode("latin-1")) for origin in headers.get(b"origin", []))
        changes = scope.get("method") not in ("GET", "HEAD", "OPTIONS")
        if foreign or (changes and b"cross-site" in headers.get(b"sec-fetch-site", [])):
            return 403, "another site's page may not ask this"
        return None

    def own(self, origin: str) -> bool:
        """Tell whether an Origin is a page of ours."""
        try:
            return urlsplit(origin).hostname in self.hosts
        except ValueError:
            return False

    async def bounded(self, scope: Any, receive: Receive, send: Send) -> None:
        """Run the application with a body of most_bytes at most."""
        if self.most_bytes is None or scope["type"] != "http":
            return await self.app(scope, receive, send)
        came, answering = 0, False

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > (self.most_bytes or 0):
                raise TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        declared = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
        try:
            if not declared.isdigit() or int(declared[:20]) > self.most_bytes:
                raise TooLargeError
            await self.app(scope, counted, watched)
        except TooLargeError:
            if not answering:
                await refuse(scope, send, 413, f"the body is larger than {self.most_bytes:,} bytes")


async def refuse(scope: Any, send: Send, status: int, words: str) -> None:
    """Answer with a status and words, and close the connection: the rest of the request is not waited for."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008})
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    return await send({"type": "http.response.body", "body": body})


class DeadlineProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with a deadline for a request to arrive whole: a byte now and then would hold every connection.

    Connections that wait for a request, begun or not, are kept in order of age, and the oldest goes where they are too
    many, so that nobody keeps others out by opening them.
    """

    waiting: "ClassVar[dict[DeadlineProtocol, None]]"
    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.await_request()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self.await_request()
        else:
            self.settle()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.waiting[self] = None  # idle: uvicorn's own keep-alive timer runs
            self.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self.settle()
        super().connection_lost(exc)

    def await_request(self) -> None:
        """Start the deadline, unless it runs."""
        if self.deadline is None and not self.transport.is_closing():
            self.deadline = self.loop.call_later(REQUEST_S, self.transport.abort)
            self.waiting.setdefault(self)
            self.make_room()

    def settle(self) -> None:
        """Stop the deadline: the request is whole, or nobody waits for it any more."""
        self.waiting.pop(self, None)
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None

    def make_room(self) -> None:
        """Close the oldest connections that wait, where they are too many."""
        while len(self.waiting) > MOST_IDLE:
            oldest = next(iter(self.waiting))
            oldest.settle()
            oldest.transport.abort()


def make_server(app: Any) -> uvicorn.Server:
    """Return a server of an ASGI application, with deadlines and bounds; `.run(sockets=[listen(…)])` serves until it is stopped."""

    class OwnProtocol(DeadlineProtocol):
        waiting: ClassVar = {}  # of this server alone

    config = uvicorn.Config(
        app,
        http=OwnProtocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
    )
    return uvicorn.Server(config)


def bind(host: str, port: int, place: str = "--port") -> socket.socket:
    """Return a socket at an address, which does not listen yet.

    Args:
        place: where the port was given.

    Raises:
        UserError: the port is taken, or one of the two is none.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        raise UserError(f"{place} {port}", str(error), "choose another; 0 takes one that is free") from None
    return bound


def listen(host: str, port: int, place: str = "--port") -> socket.socket:
    """Return a socket that listens at an address; see bind."""
    bound = bind(host, port, place)
    bound.listen(128)
    return bound


def check_open(place: str, host: str, key: str, variable: str) -> None:
    """Refuse to serve to other machines without a key.

    Args:
        place: where the host was given.
        variable: that holds the key.
    """
    keep_secret(key)
    if not key and host not in LOOPBACK:
        raise UserError(f"{place} {host}", "is open to others without a key", f"export {variable}=… first")
