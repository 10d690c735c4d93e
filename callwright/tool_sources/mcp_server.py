"""Tools of an MCP server over stdio."""

import asyncio
import logging
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.tool_sources.schemas import Found, Inliner

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import Tool

LOG_LINES = 12
"""of the server's stderr that a failure shows"""


def read(command: str, timeout_s: float) -> list[Found]:
    """Start the server, list its tools page by page within `timeout_s` seconds, stop it; first, what belongs to no tool.

    Raises:
        UserError: it does not start, dies, is too slow, or answers nonsense; with the end of its stderr.
    """
    from mcp import MCPError

    server = Found("server")
    handler = logging.Handler(logging.WARNING)  # the client warns of messages that are none, and of tools that it drops
    handler.emit = lambda record: server.lost.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("mcp").addHandler(handler)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            return [server, *map(found, asyncio.run(_list(command, timeout_s, log)))]
        except (OSError, MCPError, ValidationError, ValueError, ExceptionGroup) as error:
            leaf = first_cause(error)
            if not isinstance(leaf, OSError | MCPError | ValidationError | ValueError):
                raise
            slow = f"no list of tools within {timeout_s:g} s"
            fault = slow if isinstance(leaf, TimeoutError) else str(leaf).splitlines()[0]
            log.seek(0)
            lines = log.read().splitlines()[-LOG_LINES:]
            said = ". Its stderr ends:\n" + "".join(f"    {line}\n" for line in lines) if lines else ""
            remedy = "run the command by itself, or give it longer with --timeout"
            raise UserError(f"mcp server {command!r}", fault + said, remedy) from None
        finally:
            logging.getLogger("mcp").removeHandler(handler)


def first_cause(error: BaseException) -> BaseException:
    """The first exception inside groups of them: the client's tasks wrap whatever happens to it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def client_of(command: str, log: Any, env: dict[str, str] | None = None) -> "Client":
    """A client that starts the server when it is entered and stops it when it is left; the server's stderr goes to `log`.

    Args:
        env: the server's environment; by default only PATH, HOME and the like, and none of our keys.

    Raises:
        ValueError: the command is empty, or a quotation in it is open.
    """
    from mcp import Client, StdioServerParameters, stdio_client

    words = shlex.split(command)
    if not words:
        raise ValueError("the command is empty")
    server = StdioServerParameters(command=words[0], args=words[1:], env=env, cwd=Path.cwd())
    return Client(stdio_client(server, errlog=log))


async def _list(command: str, timeout_s: float, log: Any) -> "list[Tool]":
    tools: dict[str | None, list[Tool]] = {}
    async with asyncio.timeout(timeout_s), client_of(command, log) as client:
        cursor: str | None = None
        while cursor not in tools:
            page = await client.list_tools(cursor=cursor)
            tools[cursor] = page.tools
            if not (cursor := page.next_cursor):
                return [tool for page in tools.values() for tool in page]
        raise ValueError(f"it gives the same page twice ({cursor!r})")


def found(tool: "Tool") -> Found:
    """A tool of the server, its schema without `$ref`."""
    result = Found(tool.name, tool.description or "")
    own = {key: value for key, value in tool.input_schema.items() if key not in ("$defs", "$schema", "title")}
    try:
        result.parameters = Inliner(tool.input_schema, result.lost.append).inline(own)
    except (ValueError, RecursionError) as error:
        result.lost.append(f"left out: {error}")
    return result
