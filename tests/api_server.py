"""A server of OpenAI's form for the tests of tools.utterances.llm: a model whose answers hang on the question alone, and faults."""

import hashlib
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from endpoint import TOOL, answer

from callwright.files import write_json, write_jsonl, write_text

THINGS = ["cat", "dog", "fox", "owl", "bear", "frog", "swan", "wolf", "goat", "crab", "moth", "newt"]
PLACES = ["roof", "hill", "moon", "beach", "bridge", "tower", "island", "train", "desert", "castle", "garden", "market"]
MOODS = ["sleepy", "angry", "purple", "tiny", "golden", "hungry", "frozen", "ancient", "dancing", "winged"]
TAGS = {"lang": "en", "register": "plain"}
SEEDS: list[dict[str, Any]] = [
    {
        "id": f"c{i}",
        "text": f"draw a {thing}",
        "calls": [{"name": "generate_image", "arguments": {"prompt": f"a {thing}"}}],
        "reply": None,
        "tags": {**TAGS, "kind": "create"},
    }
    for i, thing in enumerate(["boat", "tree", "house"])
] + [
    {"id": f"n{i}", "text": text, "calls": [], "reply": "Sure.", "tags": {**TAGS, "kind": kind}}
    for i, (text, kind) in enumerate([("who painted this boat", "pictures"), ("tell me a joke", "chat")])
]


def house(root: Path, call: int = 12, no_call: int = 12, seeds: list[dict[str, Any]] = SEEDS, **api: Any) -> Path:
    """A root with a task `toy` whose backend is openai."""
    full = {"model": "m", "prices": {"m": {"input": 1, "output": 2}}, "budget_usd": 5, "requests_per_minute": 60000}
    augment = {"backend": "openai", "call": call, "no_call": no_call, "api": full | api}
    write_text(root / "configs/data/toy.yaml", yaml.safe_dump({"task": "toy", "augment": augment}))
    write_json(root / "data/seeds/toy/tools.json", [TOOL])
    write_jsonl(root / "data/seeds/toy/seeds.jsonl", seeds)
    return root


def model(body: dict[str, Any]) -> dict[str, Any]:
    """What the model says: the same to the same messages."""
    said = json.dumps(body["messages"])
    form = body.get("response_format", {}).get("json_schema", {}).get("name")
    if form == "label":
        calls = [{"name": "generate_image", "arguments": {"prompt": body["messages"][-1]["content"][5:]}}]
        result = answer(json.dumps({"calls": calls, "reply": ""}))
    elif "tools" in body:
        text = body["messages"][1]["content"]
        calls = text.startswith("draw ") and body["messages"][-1]["role"] == "user"
        result = answer(None if calls else f"So {text}.", json.dumps({"prompt": text[5:]}) if calls else None)
    elif "Make up what each call returns" in said:
        result = answer(json.dumps({"results": ['{"url":\n "https://img.example/7.png"}']}))
    else:
        start = (
            "who saw"
            if "must be answered in words" in said or "answer in words" in said or "still be" in said
            else "draw"
        )
        pick = lambda words, n: words[hashlib.sha256(f"{n}{said}".encode()).digest()[0] % len(words)]  # noqa: E731
        lines = [f"{start} a {pick(MOODS, n)} {pick(THINGS, n + 9)} on a {pick(PLACES, n + 99)}" for n in range(4)]
        result = answer(json.dumps({"utterances": lines}))
    return {**result, "usage": {"prompt_tokens": len(said) // 4, "completion_tokens": 20}}


Fault = Callable[[int, dict[str, Any]], tuple[int, dict[str, str], str] | None]
"""(number of the request, body) → (status, headers, text) instead of the model's answer; status 0 hangs up"""


class Server:
    """What the server was asked, and what it answered in full."""

    def __init__(self, fault: Fault, key: str | None, delay_s: float) -> None:
        self.fault, self.key, self.delay_s = fault, key, delay_s
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.at: list[float] = []
        self.said: dict[str, str] = {}
        """id of an answer → the request"""
        self.closed: set[str] = set()
        """requests that nobody may send again"""
        self.again: list[str] = []
        """those that somebody did"""
        self.asked: Counter[str] = Counter()
        self.url = ""
        self.files: dict[str, str] = {}
        self.batches: list[dict[str, Any]] = []
        self.polls_until_done = 2

    def chat(self, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        """The answer to a request, or a fault."""
        with self.lock:
            request = json.dumps(body, sort_keys=True)
            self.requests.append(body)
            self.again += [request] if request in self.closed else []
            self.at.append(time.monotonic())
            number = len(self.requests)
        time.sleep(self.delay_s)
        status, headers, text = self.fault(number, body) or (200, {}, json.dumps(model(body)))
        if status == 200 and "choices" in text:
            identity = uuid.uuid4().hex
            text = json.dumps({**json.loads(text), "id": identity})
            with self.lock:
                self.said[identity] = request
                self.asked[request] += 1
        return status, headers, text

    def batch(self, path: str, body: dict[str, Any] | None) -> Any:
        """The Batch API, polled `polls_until_done` times before the end."""
        if path == "/batches" and body is not None:
            self.batches.append(
                {"id": f"b{len(self.batches)}", "object": "batch", "status": "validating", **body, "polls": 0}
            )
            return self.batches[-1]
        if path == "/batches":
            return {"object": "list", "data": self.batches[::-1]}
        state = self.batches[int(path.rpartition("/b")[2])]
        state["polls"] += 1
        if state["polls"] >= self.polls_until_done and state["status"] != "completed":
            lines = []
            for line in map(json.loads, self.files[state["input_file_id"]].splitlines()):
                status, _, text = self.chat(line["body"])
                response = {"status_code": status, "request_id": "r", "body": json.loads(text)}
                lines.append({"id": "x", "custom_id": line["custom_id"], "response": response, "error": None})
            self.files[f"out-{state['id']}"] = "".join(json.dumps(line) + "\n" for line in reversed(lines))
            state |= {"status": "completed", "output_file_id": f"out-{state['id']}"}
        return state


@contextmanager
def serve(fault: Fault = lambda number, body: None, key: str | None = None, delay_s: float = 0.0) -> Iterator[Server]:
    """Serve on a free port, one thread a connection."""
    server = Server(fault, key, delay_s)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: Any) -> None:
            pass

        def reply(self, status: int, headers: dict[str, str], text: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text.encode()))}.items():
                self.send_header(name, value)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())
            self.wfile.flush()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/v1")
            if path.startswith("/files/"):
                return self.reply(200, {}, server.files[path.split("/")[2]])
            return self.reply(200, {}, json.dumps(server.batch(path, None)))

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if key and self.headers["Authorization"] != f"Bearer {key}":
                return self.reply(401, {}, json.dumps({"error": {"message": "Incorrect API key"}}))
            if self.path == "/v1/files":
                identity = f"f{len(server.files)}"
                server.files[identity] = "\n".join(x for x in data.decode().splitlines() if x.startswith("{"))
                return self.reply(200, {}, json.dumps({"id": identity, "object": "file"}))
            body = json.loads(data)
            if self.path == "/v1/batches":
                return self.reply(200, {}, json.dumps(server.batch("/batches", body)))
            status, headers, text = server.chat(body)
            if not status:
                self.close_connection = True
                return None
            with suppress(OSError):  # the client was killed
                self.reply(status, headers, text)
            return None

    class Quiet(ThreadingHTTPServer):
        daemon_threads, block_on_close = True, False

        def handle_error(self, *args: Any) -> None:
            """A client that was killed resets its connections."""

    with Quiet(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
