"""What a server on this machine refuses, and what half-sent requests do to it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from callwright import web
from callwright.errors import UserError
from callwright.web import OwnHosts, bind, make_server


async def echo(scope, receive, send):
    """Answers with the length of the body."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def served(most_bytes: int | None = None) -> Iterator[int]:
    """The port of a server."""
    server, listening = make_server(OwnHosts(echo, ["Model.example"], most_bytes)), bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def ask(port: int, head: str, body: bytes = b"") -> int:
    """The status of a request."""
    with connect(port) as client:
        client.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        return int(client.recv(1_000).split()[1])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            (name, 200)
            for name in ("localhost", "LOCALHOST:80", "127.0.0.1:7861", "[::1]:1", "[::1]", "model.Example:443")
        ),
        *(
            (name, 400)
            for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost", "")
        ),
        *(
            (name, 400)
            for name in ("0.0.0.0", "localhost:x", "::1", "[::1", "10.0.0.1", "localhost\nHost: localhost", "\xe9")
        ),
    ],
)
def test_another_host_is_refused(host, status):
    with served() as port:
        assert ask(port, f"GET / HTTP/1.1\nHost: {host}") == status


def test_a_request_without_a_host_is_refused():
    with served() as port:
        assert ask(port, "GET / HTTP/1.0") == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", 200),
        ("Origin: http://localhost:7861", 200),
        ("Origin: https://model.example", 200),
        ("Sec-Fetch-Site: same-origin", 200),
        ("Origin: http://evil.example", 403),
        ("Origin: null", 403),
        ("Origin: http://[", 403),
        ("Origin: http://localhost\nOrigin: http://evil.example", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Origin: http://localhost\nSec-Fetch-Site: cross-site", 403),
    ],
)
def test_another_sites_page_changes_nothing(headers, status):
    with served() as port:
        more = f"\n{headers}" if headers else ""
        assert ask(port, f"POST / HTTP/1.1\nHost: localhost\nContent-Length: 1{more}", b"x") == status
        assert ask(port, f"GET / HTTP/1.1\nHost: localhost{more}") == (
            403 if "evil" in more or "null" in more or "[" in more else 200
        )


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("Content-Length: 10", b"x" * 10, 200),
        ("Content-Length: 11", b"x" * 11, 413),
        ("Content-Length: 99999999999", b"", 413),
        ("Transfer-Encoding: chunked", b"a\r\n0123456789\r\n0\r\n\r\n", 200),
        ("Transfer-Encoding: chunked", b"a\r\n0123456789\r\n1\r\nx\r\n", 413),
    ],
)
def test_a_body_has_a_bound(head, body, status):
    with served(10) as port:
        assert ask(port, f"POST / HTTP/1.1\nHost: localhost\n{head}", body) == status


HALVES = {
    "nothing": b"",
    "a line": b"POST / HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    "a body": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nx",
    "refused": b"POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: 9999\r\n\r\nx",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_a_request_that_dribbles_is_cut_off(half, monkeypatch):
    monkeypatch.setattr(web, "REQUEST_S", 0.5)
    with served() as port, connect(port) as client:
        started = time.monotonic()
        client.sendall(half)
        with pytest.raises(OSError):  # the connection ends, by a reset or a broken pipe
            while time.monotonic() - started < 5:
                time.sleep(0.1)
                client.sendall(b"x")
        assert time.monotonic() - started < 3


def test_half_sent_requests_keep_nobody_out(monkeypatch):
    monkeypatch.setattr(web, "MOST_IDLE", 50)
    monkeypatch.setattr(web, "MOST_CONNECTIONS", 60)
    whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with served() as port:
        opened = [connect(port) for _ in range(200)]
        for number, client in enumerate(opened):
            try:
                client.sendall(whole if number % 3 == 0 else HALVES["a line"])
            except OSError:
                continue  # the oldest have gone already
        assert [ask(port, "GET / HTTP/1.1\nHost: localhost") for _ in range(5)] == [200] * 5
        for client in opened:
            client.close()


def test_a_connection_serves_one_request_after_another():
    with served() as port:
        client = HTTPConnection("127.0.0.1", port, timeout=10)
        for size in range(3):
            client.request("POST", "/", body=b"x" * size)
            assert client.getresponse().read() == str(size).encode()
        client.close()
        with connect(port) as pipelined:
            pipelined.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
            time.sleep(0.3)
            assert pipelined.recv(9_000).count(b"HTTP/1.1 200") == 2


def test_a_port_that_is_taken_is_one_line():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(UserError, match="choose another"):
            bind("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UserError, match="--port 99999"):
        bind("127.0.0.1", 99999)
