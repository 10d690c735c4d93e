"""A scriptable OpenAI-compatible endpoint for tests, and the cases that are put to it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TOOL = {
    "type": "function",
    "function": {
        "name": "generate_image",
        "description": "Generate an image.",
        "parameters": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
    },
}

Reply = Callable[[dict[str, Any]], Response | dict[str, Any]]


def case(identity: str, text: str, call: bool) -> dict[str, Any]:
    """A case as its JSONL line: `call` says whether generate_image is due."""
    expected = [{"name": "generate_image", "arguments": {"prompt": {"any": True}}}] if call else []
    return {"id": identity, "messages": [{"role": "user", "content": text}], "tools": [TOOL], "expected": expected}


def answer(content: str | None = None, arguments: Any = None, finish: str = "stop") -> dict[str, Any]:
    """An answer in OpenAI's form: text, or a call of generate_image with these arguments."""
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if arguments is not None:
        function = {"name": "generate_image", "arguments": arguments}
        message["tool_calls"] = [{"id": "call_1", "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "choices": [choice],
        "usage": {"completion_tokens": 7},
    }


def draws(request: dict[str, Any]) -> dict[str, Any]:
    """A model that calls when it reads "draw" and talks otherwise."""
    text = request["messages"][-1]["content"]
    return answer(arguments=json.dumps({"prompt": text})) if "draw" in text else answer("Hello!")


class Endpoint:
    """The endpoint's URL, and the requests that it got."""

    def __init__(self, server: HTTPServer, reply: Reply, key: str | None) -> None:
        self.server, self.reply, self.key = server, reply, key
        self.url = server.url_for("/v1")
        self.requests: list[dict[str, Any]] = []
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self._handle)

    def _handle(self, request: Request) -> Response:
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return Response("no", 401)
        self.requests.append(json.loads(request.data))
        reply = self.reply(self.requests[-1])
        return reply if isinstance(reply, Response) else Response(json.dumps(reply), mimetype="application/json")

    @property
    def asked(self) -> list[str]:
        """What the users said last, a request."""
        return [request["messages"][-1]["content"] for request in self.requests]


@contextmanager
def endpoint(reply: Reply = draws, key: str | None = None) -> Iterator[Endpoint]:
    """Serve `reply` on a free port, one thread a request."""
    with HTTPServer(threaded=True) as server:
        yield Endpoint(server, reply, key)
