"""Take tools from tools.json, an OpenAPI document, an MCP server or a Python module: one function takes them all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright import schema
from callwright.errors import UserError
from callwright.redact import keep_secret
from callwright.tool_sources import documents, mcp_server, openapi
from callwright.tool_sources.found import Found, Note, select, to_tools

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ToolSet:
    """The tools of a source, and what of the source they do not hold."""

    source: str
    """Where they come from, without keys."""
    tools: list[dict[str, Any]]
    """The tools in canonical form (callwright.schema)."""
    names: dict[str, str]
    """Name of each tool → the source's own name."""
    notes: list[Note]

    @property
    def left_out(self) -> list[str]:
        """Return the source's names of tools that could not be taken at all."""
        return [note.tool for note in self.notes if note.kind == "left out"]


def tools_from(
    source: str | Path,
    *,
    only: Sequence[str] = (),
    tags: Sequence[str] = (),
    paths: Sequence[str] = (),
    prefix: str = "",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> ToolSet:
    """Read the tools of a source of any kind.

    Args:
        source: a file (tools.json, an OpenAPI 3 document, a list of an MCP server's tools, a .py file, which is run), an
            address (of a document; of an MCP server if its path ends with /mcp or /sse), or `mcp:COMMAND`, `mcp:URL`,
            `module:NAME`.
        only: names of tools, or shell patterns of them; all tools without any.
        tags, paths: the same, of the tags and paths of OpenAPI operations.
        prefix: begins every name; a tools.json keeps its names.
        headers: sent to an address; their values are secrets (callwright.redact) from then on.
        timeout_s: for a server or an address to give everything.

    Raises:
        UserError: no such source, one that is broken, or one that has none of the tools.
    """
    for value in (headers or {}).values():
        for secret in (value, *value.split()[-1:]):  # `Bearer KEY`, and the key by itself
            keep_secret(secret)
    found = read(str(source), headers or {}, timeout_s)
    place = mcp_server.place_of(re.sub("^(mcp|module):", "", str(source)))
    chosen, notes = to_tools(select(found, only, tags, paths, place), prefix)
    if not chosen:
        lost = [str(note) for note in notes if note.kind == "left out"]
        reason = f": {lost[0]}" + (f" (and {len(lost) - 1} more)" if lost[1:] else "") if lost else ""
        raise UserError(place, f"holds no tools to import{reason}", "mend the source, or give another")
    names = {tool["function"]["name"]: own for own, tool in chosen}
    return ToolSet(place, [tool for _, tool in chosen], names, notes)


def read(source: str, headers: Mapping[str, str], timeout_s: float) -> list[Found]:
    """Read the source itself, for what belongs to no tool, and then its tools; UserError where it is missing or broken."""
    kind, _, rest = source.partition(":")
    if kind == "mcp":
        return mcp_server.read(rest, timeout_s, headers)
    if kind == "module" or (Path(source).suffix == ".py" and Path(source).is_file()):
        from callwright.tool_sources import module

        return module.read(rest if kind == "module" else source)
    if mcp_server.is_url(source):
        place = documents.shown(source)
        if re.search(r"/(mcp|sse)/*$", place):
            return mcp_server.read(source, timeout_s, headers)
        return from_document(documents.fetch_document(source, headers, timeout_s), place, None)
    path = Path(source)
    if not path.is_file():
        fault = "a folder" if path.is_dir() else "no such file"
        raise UserError(source, fault, "check the path; an MCP server is mcp:COMMAND or mcp:URL, a module module:NAME")
    return from_document(documents.read_document(path), source, path)


def from_document(document: Any, place: str, path: Path | None) -> list[Found]:
    """Read a list of tools, what an MCP server answers to tools/list, or an OpenAPI document; UserError for anything else."""
    answer = document.get("result", document) if isinstance(document, dict) else document
    listed = answer.get("tools") if isinstance(answer, dict) else answer
    if isinstance(document, dict) and isinstance(document.get("mcpServers"), dict):
        fault = f"names MCP servers ({', '.join(document['mcpServers'])}), and holds no tools"
        raise UserError(place, fault, "give one of them by its command or url: mcp:COMMAND, mcp:URL")
    if not isinstance(listed, list) or (listed and not any(isinstance(tool, dict) for tool in listed)):
        return openapi.read(document, place, path)
    if any(isinstance(tool, dict) and "inputSchema" in tool for tool in listed):
        return [Found("list"), *(mcp_server.found(tool, number) for number, tool in enumerate(listed, 1))]
    functions = [tool["function"] for tool in schema.canonical_tools(listed, place)]
    return [Found("file"), *(Found(f["name"], f["description"], f["parameters"], canonical=True) for f in functions)]
