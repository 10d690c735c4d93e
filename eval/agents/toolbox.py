"""Tools that a model can really call: what an MCP server over stdio offers, or the typed functions of a Python module.

Every case gets a server of its own, started at its first call, so that no tool remembers what another case did.
"""

import asyncio
import os
import shlex
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.files import sha256
from callwright.records import Call, Record
from callwright.schema import call_fault
from callwright.tool_sources import mcp_server, module
from callwright.tool_sources.found import to_tools
from eval.agents.tool_server import typed
from eval.scoring.verdict import read_call

if TYPE_CHECKING:
    from mcp import Client

START_S = 60.0
"""for a server to start and import what it needs"""

ToolError = Literal["refused", "failed", "timeout"]
"""refused: never run, since it does not fit the schema; failed: the tool said so, or raised"""

Run = Callable[[str, dict[str, Any]], Awaitable[tuple[str, bool]]]
"""a tool's own name and its arguments → what it says, and whether that is an error; raises TimeoutError or ToolsDied"""


class ToolsDied(Exception):
    """The server is gone, or speaks nonsense: not the model's fault, so the case is unscored."""


class ToolResult(Record):
    """What the model is told of a call."""

    text: str
    error: ToolError | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Toolbox:
    """What is on offer, and how to run it."""

    tools: list[dict[str, Any]]
    """in canonical form"""
    names: dict[str, str]
    """name on offer → the tool's own"""
    lost: list[str]
    """what could not be offered, or not in full"""
    command: str
    """starts the server"""
    env: dict[str, str] | None
    """of the server: all of ours for a module, which is as much ours; else only what `mcp` deems safe"""
    timeout_s: float
    """of a call"""
    longest: int
    """characters of a result that the model gets to see"""
    version: str
    """hash of a module's file; what an MCP server runs is its own business"""

    async def execute(self, tool_call: dict[str, Any], run: Run) -> ToolResult:
        """Run one call as the model made it, if it can be read and fits its tool's schema. Nothing is ever evaluated.

        Raises:
            ToolsDied: the tools cannot be asked any more.
        """
        call, started = read_call(tool_call), time.monotonic()
        error: ToolError | None = "refused"
        if not isinstance(call, Call):
            text = f"arguments: {call['fault']}"
        elif fault := call_fault(call, self.tools):
            text = fault
        else:
            try:
                text, failed = await run(self.names[call.name], call.arguments)
                error = "failed" if failed else None
            except TimeoutError:
                text, error = f"no result within {self.timeout_s:g} s", "timeout"
        text = bounded(f"error: {text}" if error else text, self.longest)
        return ToolResult(text=text, error=error, seconds=round(time.monotonic() - started, 4))

    @asynccontextmanager
    async def open(self, log: Path) -> AsyncIterator[Run]:
        """Open what runs tools: a server that starts at the first call. Its standard error is appended to `log`."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT, TextContent

        def died(error: BaseException) -> ToolsDied:
            words = (str(error) or type(error).__name__).splitlines()[0]
            return ToolsDied(f"the tool server: {words}; see {log.name}")

        client: Client | None = None

        async def run(name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
            nonlocal client
            try:
                if client is None:
                    async with asyncio.timeout(START_S):
                        client = await stack.enter_async_context(mcp_server.client_of(self.command, file, self.env))
                result = await client.call_tool(name, arguments, read_timeout_seconds=self.timeout_s)
            except MCPError as error:
                if error.error.code == REQUEST_TIMEOUT:
                    raise TimeoutError from None
                if error.error.code == CONNECTION_CLOSED:
                    raise died(error) from None
                return error.error.message, True
            except (OSError, ValidationError, RuntimeError, ExceptionGroup) as error:
                raise died(mcp_server.first_cause(error)) from None
            blocks = [block.text if isinstance(block, TextContent) else f"({block.type})" for block in result.content]
            return "\n".join(blocks), bool(result.is_error)

        try:
            with open(log, "a", encoding="utf-8") as file:
                async with AsyncExitStack() as stack:
                    yield run
        except ExceptionGroup as group:  # the client's tasks wrap whatever leaves this block
            raise mcp_server.first_cause(group) from None


def bounded(text: str, longest: int) -> str:
    """Cut a text to what can be sent: so many characters at most, and no lone surrogates."""
    cut = text if len(text) <= longest else f"{text[:longest]} … (cut: {len(text)} characters)"
    return cut.encode("utf-8", "replace").decode()


def toolbox(source: str, is_module: bool, timeout_s: float, longest: int) -> Toolbox:
    """Collect the functions of a Python module, or the tools of the MCP server that a command starts. Importing a module runs it.

    Raises:
        UserError: it cannot be imported or started, or has no tools.
    """
    lost: list[str] = []
    if is_module:
        named = module.functions(module.load(source))
        found = [module.found(name, function) for name, function in named.items() if typed(function)]
        why = "left out: a parameter without a type, or that is no keyword"
        lost = [f"{name}: {why}" for name, function in named.items() if not typed(function)]
    else:
        found = mcp_server.read(source, START_S)
    tools, notes = to_tools(found)
    more = list(map(str, notes))
    if not tools:
        fault = "; ".join(["offers no tools", *lost, *more])
        raise UserError(source, fault, "name public functions whose parameters have types, or start another server")
    names = {tool["function"]["name"]: name for name, tool in tools}
    command = shlex.join([sys.executable, "-m", "eval.agents.tool_server", source]) if is_module else source
    version = sha256(source) if is_module and Path(source).is_file() else ""
    env = dict(os.environ) if is_module else None
    return Toolbox([tool for _, tool in tools], names, [*lost, *more], command, env, timeout_s, longest, version)
