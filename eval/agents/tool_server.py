"""Serve the typed functions of a Python module over MCP's stdio, as eval.agent does for --tools.

python -m eval.agents.tool_server my_tools.py
"""

import asyncio
import functools
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

from pydantic_core import to_jsonable_python

from callwright.errors import Parser, command
from callwright.files import to_json
from callwright.tool_sources import module


def typed(function: Callable[..., Any]) -> bool:
    """Return whether a model may call a function that its module names: every parameter is public, typed and a keyword."""
    return all(
        one.annotation is not one.empty
        and one.name[0] != "_"
        and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        for one in inspect.signature(function).parameters.values()
    )


def as_text(function: Callable[..., Any]) -> Callable[..., str]:
    """Wrap a function so that it returns text, or JSON of anything else, and that its errors reach the model."""
    from mcp.server.mcpserver.exceptions import ToolError

    @functools.wraps(function)
    def run(*args: Any, **keywords: Any) -> str:
        try:
            value = function(*args, **keywords)
            value = asyncio.run(value) if inspect.iscoroutine(value) else value
            return value if isinstance(value, str) else to_json(to_jsonable_python(value))
        except (Exception, SystemExit) as error:  # whatever the tool's own code raises
            raise ToolError(f"{type(error).__name__}: {error}") from error

    return run


def end_with(parent: int) -> None:
    """End this process once its parent has gone, also amid a tool that hangs, for which the server would wait."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Serve until standard input ends."""
    from mcp.server.mcpserver import MCPServer

    parser = Parser("python -m eval.agents.tool_server", (__doc__ or "").splitlines()[0])
    parser.add_argument("module", help="a .py file or a dotted name: importing it RUNS it")
    args = parser.parse_args(argv)
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    server = MCPServer(args.module, log_level="WARNING")
    with redirect_stdout(sys.stderr):  # standard output belongs to the protocol
        for name, function in module.functions(module.load(args.module)).items():
            if typed(function) and module.found(name, function).parameters is not None:
                server.add_tool(as_text(function), name, structured_output=False)
    server.run("stdio")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
