"""List the tools of an MCP server: over stdio, or at an address over streamable HTTP (SSE where its path ends with /sse)."""

import asyncio
import logging
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.records import explain
from callwright.redact import redact
from callwright.tool_sources.documents import shown
from callwright.tool_sources.found import Found, Note, first_line
from callwright.tool_sources.modern import Modern, expect
from callwright.tool_sources.schemas import Inliner

if TYPE_CHECKING:
    from mcp import Client

LOG_LINES = 12
"""Lines of the server's stderr that a failure shows."""
MOST_PAGES = 1000
"""Pages of a server's list: a cursor can lead on for ever."""
ROOT_ONLY = {"$defs", "definitions", "title"}
"""Keys of a schema's root that its tool does not need once references are resolved."""
SCHEMA = ("inputSchema", "input_schema", "parameters")
"""Keys under which servers give a tool's schema; the first is MCP's own."""
CARRIED = {"name", "description", *SCHEMA}
"""Keys of a tool that an OpenAI tool has a place for."""


def is_url(source: str) -> bool:
    """Tell whether a source is an address, not a file or a command."""
    return source.lower().startswith(("http://", "https://"))


class _Notes(logging.Handler):
    """Notes what the client warns of: messages that are none, and tools that it drops."""

    def __init__(self, server: Found) -> None:
        super().__init__(logging.WARNING)
        self.server = server

    def emit(self, record: logging.LogRecord) -> None:
        self.server.notes.append(Note("server", "server", redact(record.getMessage())))


def read(source: str, timeout_s: float, headers: Mapping[str, str] | None = None) -> list[Found]:
    """List the tools of the server that a command starts or an address names; first, what belongs to no tool.

    Args:
        timeout_s: seconds for everything: start, list page by page, stop.
        headers: of each request to an address.

    Raises:
        UserError: it does not start or answer, dies, is too slow, or answers nonsense; with the end of its stderr.
    """
    from mcp import MCPError

    server, place = Found("server"), f"mcp server {place_of(source)!r}"
    handler = _Notes(server)
    logging.getLogger("mcp").addHandler(handler)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            raws = asyncio.run(_list(source, timeout_s, log, headers or {}))
        except Exception as error:  # whatever the client's tasks meet; what is none of these is raised again
            leaf = first_cause(error)
            if not isinstance(leaf, OSError | MCPError | ValueError | RuntimeError) and not _is_http(leaf):
                raise
            fault = first_line(leaf)
            if isinstance(leaf, TimeoutError):
                fault = f"no list of tools within {timeout_s:g} s"
            elif isinstance(leaf, ValidationError):
                fault = f"no list of tools ({explain(leaf)})"
            if server.notes:
                fault += f" ({len(server.notes)} of its lines are no messages)"
            log.seek(0)
            lines = log.read().splitlines()[-LOG_LINES:]
            if lines:
                fault += ". Its stderr ends:\n" + "".join(f"    {line}\n" for line in lines)
            remedy = "run the command by itself, or give it longer with --timeout"
            if is_url(source):
                remedy = "check the address and --header, or give it longer with --timeout"
            raise UserError(place, redact(fault), remedy) from None
        finally:
            logging.getLogger("mcp").removeHandler(handler)
    return [server, *(found(raw, number) for number, raw in enumerate(raws, 1))]


def place_of(source: str) -> str:
    """Write a command or an address for messages, without what may be secret: the query, and the values of `KEY=value`."""
    return shown(source) if is_url(source) else re.sub(r"(\b[A-Za-z_]\w*=)\S+", r"\1…", source)


def _is_http(error: BaseException) -> bool:
    import httpx2

    return isinstance(error, httpx2.HTTPError | httpx2.InvalidURL)


def first_cause(error: BaseException) -> BaseException:
    """Return the first exception inside groups of them: the client's tasks wrap whatever happens to it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def client_of(
    source: str, log: Any, env: dict[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> "Client":
    """Return a client of the server at an address, or of one that starts when it is entered and stops when it is left.

    Args:
        source: a command or an address.
        log: where the stderr of a started server goes.
        env: the environment of a started server; by default only PATH, HOME and the like, and none of our keys.
        headers: of each request to an address.

    Raises:
        ValueError: the command is empty, or a quotation in it is open.
    """
    from mcp import Client

    return Client(_transport(source, log, env, headers))


def _transport(source: str, log: Any, env: dict[str, str] | None, headers: Mapping[str, str] | None) -> Any:
    """Return what carries messages to and from a server, once it is entered."""
    from mcp import StdioServerParameters, stdio_client
    from mcp.client.sse import sse_client

    if is_url(source):
        if urlsplit(source).path.rstrip("/").endswith("/sse"):
            return sse_client(source, httpx_client_factory=lambda *_, **__: _http_client(headers))
        return _streamable(source, headers)
    words = shlex.split(source)
    if not words:
        raise ValueError("the command is empty")
    return stdio_client(StdioServerParameters(command=words[0], args=words[1:], env=env, cwd=Path.cwd()), errlog=log)


def _http_client(headers: Mapping[str, str] | None) -> Any:
    """Return a client that reads so much of an answer and no more, and follows no redirect."""
    import httpx2

    from callwright.bounded import bound

    own = {**(headers or {}), "Accept-Encoding": "identity"}
    return httpx2.AsyncClient(headers=own, timeout=httpx2.Timeout(30, read=300), event_hooks={"response": [bound]})


@asynccontextmanager
async def _streamable(url: str, headers: Mapping[str, str] | None) -> AsyncIterator[Any]:
    from mcp.client.streamable_http import streamable_http_client

    async with _http_client(headers) as client, streamable_http_client(url, http_client=client) as streams:
        yield streams


@asynccontextmanager
async def _keeping(transport: Any, tools: list[Any]) -> AsyncIterator[Any]:
    async with transport as (read, write):
        yield _Reader(read, tools), write


class _Reader:
    """Hands a server's messages on, but keeps the tools of each list: the client refuses a list with one broken tool.

    Args:
        read: the stream of the transport.
        tools: where the tools go, as the server wrote them.
    """

    def __init__(self, read: Any, tools: list[Any]) -> None:
        self.read, self.tools = read, tools

    def __getattr__(self, name: str) -> Any:
        return getattr(self.read, name)

    async def __aenter__(self) -> "_Reader":
        await self.read.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self.read.__aexit__(*error)

    def __aiter__(self) -> "_Reader":
        return self

    async def __anext__(self) -> Any:
        item = await self.read.__anext__()
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and isinstance(result.get("tools"), list):
            self.tools += result["tools"]
            result["tools"] = []
        return item


async def _list(source: str, timeout_s: float, log: Any, headers: Mapping[str, str]) -> list[Any]:
    """Return the raw tools of all pages, whatever they are."""
    from mcp import Client

    tools: list[Any] = []
    transport = _keeping(_transport(source, log, None, headers), tools)
    async with asyncio.timeout(timeout_s), Client(transport) as client:
        cursor: str | None = None
        met: set[str | None] = set()
        while cursor not in met:
            if len(met) == MOST_PAGES:
                raise ValueError(f"more than {MOST_PAGES} pages of tools")
            met.add(cursor)
            page = await client.list_tools(cursor=cursor)
            if not (cursor := page.next_cursor):
                return tools
        raise ValueError(f"it gives the same page twice ({cursor!r})")


def found(raw: Any, number: int = 1) -> Found:
    """Read a tool as the server wrote it, its schema without `$ref` and in today's form."""
    name = raw.get("name") if isinstance(raw, dict) else None
    result = Found(name if isinstance(name, str) and name else f"tool {number}")
    try:
        raw = expect(raw, dict, "the tool")
        if not isinstance(name, str) or not name:
            raise ValueError(f"its name is {name!r}, not a text")
        titles = [raw.get("description"), raw.get("title")]
        result.description = next((text for text in titles if isinstance(text, str) and text), "")
        result.unknown(key for key in raw if key not in CARRIED and raw[key] and raw[key] != result.description)
        result.parameters = _parameters(next((raw[key] for key in SCHEMA if key in raw), None), result)
    except (ValueError, RecursionError) as error:
        result.leave_out(error)
    return result


def _parameters(raw: Any, tool: Found) -> dict[str, Any]:
    if raw is None:
        tool.note("read otherwise", "no inputSchema: no arguments")
        return {"type": "object", "properties": {}}
    own = {key: value for key, value in expect(raw, dict, "inputSchema").items() if key not in ROOT_ONLY}
    schema = Modern(tool, sent=False).schema(Inliner(raw, tool.any_value).inline(own), "")
    kind = expect(schema, dict, "inputSchema").get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise ValueError(f"inputSchema is of type {kind!r}, not object")
    return {**schema, "type": "object"}
