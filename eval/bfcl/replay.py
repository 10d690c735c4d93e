"""A server on 127.0.0.1 that answers BFCL's questions with the gold answers: what is wrong then is the pipe, or the gold."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from callwright.files import to_json
from eval.bfcl import checker
from eval.bfcl.questions import Question, gold_calls

ABSTENTION = "I am not able to help with that."
Golds = dict[str, list[checker.Call]]
"""the calls of a turn, by what has been said so far"""


def gold_by_words(questions: Sequence[Question]) -> Golds:
    """Return the gold calls of each turn of a category's questions.

    Raises:
        ValueError: the same words call for two different answers.
    """
    found: Golds = {}
    for question in questions:
        for number, calls in enumerate(gold_calls(question)):
            so_far = [message for turn in question.turns[: number + 1] for message in turn]
            if found.setdefault(_key(so_far, question.tools), calls) != calls:
                raise ValueError(f"{question.id}: another question with the same words has another answer")
    return found


def _key(messages: Sequence[Mapping[str, Any]], tools: Any) -> str:
    names = [tool["function"]["name"] for tool in tools]
    return to_json([[m["content"] for m in messages if m["role"] in ("system", "user")], names])


def respond(request: Mapping[str, Any], known: Golds) -> dict[str, Any]:
    """Make a completion that holds the gold calls of the turn, or words where they have been made or none are due."""
    messages = request["messages"]
    due = [] if messages[-1]["role"] == "tool" else known[_key(messages, request.get("tools", []))]
    message: dict[str, Any] = {"role": "assistant", "content": None if due else ABSTENTION}
    if due:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": to_json(arguments)}}
            for i, (name, arguments) in enumerate(due)
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if due else "stop"}
    return {"id": "gold", "object": "chat.completion", "created": 0, "model": "gold", "choices": [choice]}


@contextmanager
def replay(categories: Mapping[str, Sequence[Question]]) -> Iterator[str]:
    """Serve the gold answers; yields the URL, to which `/<category>/v1` is added: categories contradict each other."""
    known = {category: gold_by_words(questions) for category, questions in categories.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = to_json(respond(request, known[self.path.split("/")[1]])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of a request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
