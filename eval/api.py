"""LLaMA-Factory's API server as `llamafactory-cli api` runs it, for those alone whom it is meant for.

python -m eval.api configs/serve/smollm2-135m_lora.yaml key=value

LLaMA-Factory's own answers any Host, and lets every site's page read its answers (CORS `*`), which none of its settings
changes; and of a conversation with calls it makes another prompt than training saw. API_HOST, API_PORT, API_KEY and API_MODEL_NAME are read from the environment as it reads them, and
API_HOST_NAMES: what else clients call it in their URL, parted by commas.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from callwright.errors import UserError, command
from callwright.web import LOOPBACK, OwnHosts, bind, check_open, make_server
from eval.endpoint.client import for_llamafactory


def as_trained(process: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let LLaMA-Factory's `process` see the messages of a request as the rows of training hold them: see for_llamafactory."""

    def processed(request: Any) -> Any:
        written = for_llamafactory([message.model_dump(exclude_none=True) for message in request.messages])
        kind = type(request)
        return process(kind.model_validate(request.model_dump(exclude_none=True) | {"messages": written}))

    return processed


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Serve until stopped."""
    words = list(sys.argv[1:] if argv is None else argv)
    host, port = os.environ.get("API_HOST") or LOOPBACK[0], os.environ.get("API_PORT") or "8000"
    if not port.isdecimal():
        raise UserError("API_PORT", f"{port!r} is no port", "take a number, such as 8000")
    check_open("API_HOST", host, os.environ.get("API_KEY", ""), "API_KEY")
    names = [name.strip() for name in os.environ.get("API_HOST_NAMES", "").split(",") if name.strip()]
    with bind(host, int(port), "API_PORT") as server:
        from llamafactory.api import chat
        from llamafactory.api.app import create_app
        from llamafactory.chat import ChatModel

        chat._process_request = as_trained(chat._process_request)

        sys.argv[1:] = words  # where LLaMA-Factory reads its settings
        make_server(OwnHosts(create_app(ChatModel()), [host, *names])).run(sockets=[server])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
