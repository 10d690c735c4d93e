import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import api_server
import httpx2
import pytest
from endpoint import TOOL, answer, endpoint
from werkzeug import Response

from callwright.files import ROOT
from callwright.records import Case
from callwright.web import OwnHosts, bind, make_server
from eval.agents.handlers import HANDLERS
from eval.endpoint.settings import Endpoint
from examples.router import service
from examples.router.service import MOST_BYTES, Bounds, Router, main, make_app

SECRET = "sesame-4711"
WORDS = "draw my secret garden"
BEGUN = b"POST /intent HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
SYSTEM = {"role": "system", "content": "You draw."}
BOUNDS = Bounds()


@contextmanager
def routed(url: str, bounds: Bounds = BOUNDS, key: str = "") -> Iterator[httpx2.Client]:
    """A client of a router that asks the model at `url`, over real sockets."""

    def case_of(text: str) -> Case:
        return Case(id="ask", messages=[SYSTEM, {"role": "user", "content": text}], tools=[TOOL], expected=[])

    app = OwnHosts(make_app(Router(Endpoint(url, "m", SECRET), case_of, bounds), key), ["router.example"])
    server, listening = make_server(app), bind("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = listening.getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def say(client: httpx2.Client, text: str = WORDS, **more) -> httpx2.Response:
    return client.post("/intent", json={"text": text}, **more)


def outcomes(client: httpx2.Client, **more) -> dict[str, int]:
    text = client.get("/metrics", **more).text
    return {
        name: int(count) for name, count in re.findall(r'^router_answers_total\{outcome="(\w+)"\} (\d+)$', text, re.M)
    }


def test_an_utterance_becomes_an_intent_that_is_handled_or_a_reply():
    with endpoint() as model, routed(model.url) as client:
        found = say(client).json()
        assert say(client, "hello").json() == {"intent": None, "reply": "Hello!"}
        call = {"name": "generate_image", "arguments": {"prompt": WORDS}}
        assert found == {"intent": "generate_image_intent", "call": call, "done": [{"would_draw": WORDS}]}
        asked = model.requests[0]
        assert asked["messages"] == [SYSTEM, {"role": "user", "content": WORDS}] and asked["tools"] == [TOOL]
        assert asked["temperature"] == 0 and not asked.get("stream")
        text = client.get("/metrics").text
        assert outcomes(client) == {"intent": 1, "reply": 1}
        assert 'router_seconds_bucket{le="+Inf"} 2\n' in text and "\nrouter_in_flight 0\n" in text


@pytest.mark.parametrize("arguments", ["{", '{"text": "a"}', '{"prompt": 4}', "[]", '{"prompt": "a", "os": "rm"}'])
def test_a_call_that_breaks_its_schema_is_never_run(arguments, monkeypatch):
    monkeypatch.setitem(HANDLERS, "generate_image", lambda **_: pytest.fail("it was run"))
    with endpoint(lambda _: answer(arguments=arguments)) as model, routed(model.url) as client:
        found = say(client)
        assert found.status_code == 200 and found.json()["intent"] is None and found.json()["fault"]
        assert outcomes(client) == {"invalid_call": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"\xff", 422),
        (b'{"text": " "}', 422),
        (b'{"text": 4}', 422),
        (b'{"text": "a", "tools": []}', 422),
        (json.dumps({"text": "a" * 2_001}).encode(), 422),
        (b'{"text": "' + b"a" * MOST_BYTES, 413),
        (iter([b'{"text": "', b"a" * MOST_BYTES]), 413),
    ],
    ids=["empty", "no JSON", "no UTF-8", "blank", "number", "more keys", "long", "large", "large in chunks"],
)
def test_what_is_no_utterance_is_refused_before_the_model_is_asked(body, status):
    with endpoint() as model, routed(model.url) as client:
        found = client.post("/intent", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
        assert found.status_code == status and found.json()["error"]
        assert not model.requests and outcomes(client) == {f"http_{status}": 1}


def test_a_page_of_another_site_cannot_use_a_users_browser():
    with endpoint() as model, routed(model.url) as client:
        for kind in ("application/json", "Application/JSON ; charset=utf-8"):
            found = client.post("/intent", content='{"text": ""}', headers={"Content-Type": kind})
            assert found.status_code == 422, kind
        for kind in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "text/plain; application/json"}):
            assert client.post("/intent", content=json.dumps({"text": WORDS}), headers=kind).status_code == 415
        assert not model.requests


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/redoc"])
def test_nothing_describes_the_service_to_those_without_a_key(path):
    with endpoint() as model, routed(model.url, key="sesame") as client:
        assert client.get(path).status_code == 404


def test_what_takes_long_to_check_keeps_nobody_waiting(monkeypatch):
    def slow(said, tools):
        time.sleep(1)
        return {"intent": None, "reply": ""}

    monkeypatch.setattr(service, "read_decision", slow)
    with endpoint() as model, routed(model.url, Bounds(timeout_s=0.3)) as client, ThreadPoolExecutor(1) as pool:
        asked, started = pool.submit(say, client), time.monotonic()
        time.sleep(0.1)
        assert client.get("/metrics").status_code == 200 and time.monotonic() - started < 0.8
        assert asked.result().status_code == 504


def test_a_body_that_does_not_come_is_not_waited_for():
    with endpoint() as model, routed(model.url, Bounds(body_s=0.2)) as client:
        with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as slow:
            slow.sendall(BEGUN)
            assert slow.recv(1_000).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as gone:
            gone.sendall(BEGUN)
        time.sleep(0.3)
        assert outcomes(client) == {"http_408": 2} and not model.requests


def test_without_the_key_there_is_only_health():
    with endpoint() as model, routed(model.url, key="clé") as client:
        for given in ({}, {"Authorization": "Bearer cl"}, {"Authorization": "clé".encode()}):
            refused = say(client, headers=given)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status_code == 401 and not model.requests
        right = {"Authorization": "Bearer clé".encode()}
        assert say(client, headers=right).status_code == 200
        assert outcomes(client, headers=right) == {"http_401": 4, "intent": 1}
        assert client.get("/healthz").status_code == 503, "this model's server lists no models"


def test_health_is_that_of_the_models_server():
    with endpoint() as model, routed(model.url) as client:
        model.server.expect_request("/v1/models").respond_with_json({"object": "list", "data": []})
        assert [client.get("/healthz").status_code for _ in range(20)] == [200] * 20
        assert len(model.server.log) <= 2, "however many ask"


def test_what_finds_no_place_in_the_queue_is_told_so_at_once():
    with (
        api_server.serve(delay_s=0.5) as model,
        routed(model.url, Bounds(1, 1)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: say(client), range(8)))
        statuses = sorted(found.status_code for found in answers)
        assert statuses == [200] * 2 + [429] * 6 and len(model.requests) == 2
        refused = [found for found in answers if found.status_code == 429]
        assert all(found.headers["Retry-After"] == "1" for found in refused)
        assert max(found.elapsed.total_seconds() for found in refused) < 0.5
        assert outcomes(client) == {"http_429": 6, "intent": 2} and say(client).status_code == 200


def test_the_wait_counts_towards_the_timeout():
    with (
        api_server.serve(delay_s=2) as model,
        routed(model.url, Bounds(1, 3, 0.4)) as client,
        ThreadPoolExecutor(3) as pool,
    ):
        answers = list(pool.map(lambda _: say(client), range(3)))
        assert [found.status_code for found in answers] == [504] * 3
        assert max(found.elapsed.total_seconds() for found in answers) < 2
        assert "\nrouter_in_flight 0\n" in client.get("/metrics").text


@pytest.mark.parametrize(
    "reply",
    [
        lambda asked: Response(f"cannot do {asked['messages'][-1]['content']} with {SECRET}", 500),
        lambda asked: Response("no", 401),
        lambda asked: Response(f"not JSON: {WORDS}"),
        lambda asked: {"choices": [WORDS]},
    ],
    ids=["500", "401", "no JSON", "another form"],
)
def test_a_model_server_that_fails_is_a_bad_gateway(reply, caplog, capfd):
    with endpoint(reply) as model, routed(model.url) as client:
        found = say(client)
        assert found.status_code == 502 and found.json()["error"].startswith("the model's server: ")
    said = caplog.text + "".join(capfd.readouterr()) + found.text
    assert "the model's server" in caplog.text and SECRET not in said and "secret garden" not in said


def test_a_model_server_that_is_gone_is_a_bad_gateway():
    with routed("http://127.0.0.1:9/v1") as client:
        assert (say(client).status_code, client.get("/healthz").status_code) == (502, 503)


@pytest.mark.parametrize("result", [ValueError(WORDS), {1, 2}], ids=["raises", "returns what cannot be sent"])
def test_a_handler_that_fails_is_named_and_not_what_it_was_told(result, monkeypatch, caplog, capfd):
    def fails(prompt: str) -> object:
        if isinstance(result, Exception):
            raise result
        return result

    monkeypatch.setitem(HANDLERS, "generate_image", fails)
    with endpoint() as model, routed(model.url) as client:
        found = say(client)
        assert (found.status_code, found.json()["done"]) == (500, [{"failed": "generate_image"}])
        assert outcomes(client) == {"handler_failed": 1}
    said = caplog.text + "".join(capfd.readouterr())
    assert "the handler of generate_image failed: " in said and "secret garden" not in said


def test_an_overdue_handler_keeps_its_place_and_hangs_nobody(monkeypatch):
    go, running = threading.Event(), []
    monkeypatch.setitem(HANDLERS, "generate_image", lambda prompt: running.append(prompt) or go.wait(20))
    with endpoint() as model, routed(model.url, Bounds(1, 1, 0.3)) as client:
        try:
            assert [say(client).status_code for _ in range(3)] == [504] * 3
            assert (len(running), len(model.requests)) == (1, 1), "no second one was started"
            assert client.get("/metrics").status_code == 200
        finally:
            go.set()
        time.sleep(0.1)
        assert say(client).json()["done"] == [True]


def test_it_does_not_start_open_to_others_or_without_handlers(capsys, monkeypatch):
    monkeypatch.delenv("ROUTER_API_KEY", raising=False)
    monkeypatch.setattr(service, "make_server", lambda *_: pytest.fail("it started"))
    where = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m"]
    assert main([*where, "--host", "0.0.0.0"]) == 2
    assert "is open to others without a key; export ROUTER_API_KEY" in capsys.readouterr().err
    assert main([*where, "--task", "assistant_tools"]) == 2
    assert re.search(r"nothing handles \w+, .*; name a module", capsys.readouterr().err)


def test_under_load_every_request_is_answered_and_memory_stays_flat():
    command = [sys.executable, "-m", "examples.router.load", "--requests", "400"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"400 requests, 40 under way: 400 × 200 \(.*\); \d+ requests/s", done.stdout)
    assert re.search(r" 160 under way, .* × 200 .* × 429 .*\nother answers: none; memory flat\n", done.stdout)
    assert not done.stderr
