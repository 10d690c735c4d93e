"""Look through a task's generated lines, suspicious first, and decide: python -m tools.review image_intent"""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.records import Example, read_records
from callwright.schema import load_tools
from tools.checks.review_page import HOST, MOST_BYTES, POLICY, PORT, build
from tools.utterances.clean import hand_written
from tools.utterances.review_log import read_decisions
from tools.utterances.review_queue import ReviewQueue, inspect


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Show data/work/<task>/examples.jsonl, write data/seeds/<task>/review.jsonl."""
    parser = Parser("python -m tools.review", __doc__)
    parser.add_argument("task", help="a task of configs/data/")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0 takes one that is free")
    args = parser.parse_args(argv)
    config = load_data_config(args.task)
    path, tools = config.seeds / "review.jsonl", load_tools(config.seeds / "tools.json")
    read_decisions(path)
    from callwright.web import OwnHosts, listen, make_server

    with listen(HOST, args.port) as server:
        lines = inspect(read_records(config.work / "examples.jsonl", Example), tools)
        lines = [line for line in lines if not hand_written(line.example)]
        if not lines:
            raise UserError(config.work / "examples.jsonl", "has no generated line", "raise `augment:` in the config")
        queue = ReviewQueue({line.example.id: line for line in lines}, path, tools)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        warnings.simplefilter("ignore", DeprecationWarning)  # Gradio 5 announces Gradio 6
        import gradio
        from fastapi import FastAPI

        app = FastAPI(openapi_url=None)
        app.add_middleware(OwnHosts, most_bytes=MOST_BYTES)

        @app.middleware("http")
        async def seal(request: Any, call_next: Callable[[Any], Any]) -> Any:
            response = await call_next(request)
            response.headers["Content-Security-Policy"] = POLICY
            return response

        with contextlib.redirect_stdout(io.StringIO()):  # Gradio prints the path
            gradio.mount_gradio_app(app, build(queue, f"review {args.task}"), "/", show_api=False, ssr_mode=False)
        doubtful, port = sum(bool(line.reasons) for line in lines), server.getsockname()[1]
        print(
            f"review {args.task}: {len(lines)} lines, {doubtful} suspicious, at http://{HOST}:{port} until Ctrl-C",
            flush=True,
        )
        make_server(app).run(sockets=[server])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
