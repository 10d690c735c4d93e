"""Tools of MCP servers of all habits, over stdio and at an address."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from callwright.errors import UserError
from callwright.records import Call
from callwright.schema import call_fault
from callwright.tool_sources import mcp_server, tools_from
from callwright.tool_sources.costs import shrink
from callwright.tool_sources.found import to_tools
from callwright.tool_sources.mcp_server import found
from tools.import_tools import main

KEY = "Bearer s3cret-of-mine"
TEXT = {"type": "string"}
JSON = "application/json"


def parameters(schema: Any) -> Any:
    tool = found({"name": "t", "inputSchema": schema})
    return tool.parameters if tool.parameters is not None else str(tool.notes[-1])


def test_schemas_of_older_drafts_and_without_a_type() -> None:
    assert parameters({}) == {"type": "object"}
    assert parameters({"allOf": [{"type": "object", "properties": {"a": TEXT}}]}) == {
        "type": "object",
        "properties": {"a": TEXT},
    }
    draft7 = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": ["object", "null"],
        "properties": {
            "pair": {"type": "array", "items": [TEXT, {"type": "number"}], "additionalItems": False},
            "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            "of": {"$ref": "#/definitions/Of"},
            "id": {"$id": "#x", "type": "string", "title": "Id"},
        },
        "dependencies": {"n": ["pair"], "of": {"required": ["n"]}},
        "definitions": {"Of": {"type": "object", "properties": {"q": {"type": "string", "required": True}}}},
    }
    assert parameters(draft7) == {
        "type": "object",
        "properties": {
            "pair": {"type": "array", "prefixItems": [TEXT, {"type": "number"}], "items": False},
            "n": {"type": "integer", "minimum": 0, "exclusiveMinimum": 0},
            "of": {"type": "object", "properties": {"q": TEXT}, "required": ["q"]},
            "id": TEXT,
        },
        "dependentRequired": {"n": ["pair"]},
        "dependentSchemas": {"of": {"required": ["n"]}},
    }


BROKEN = {
    "3": "not a dict",
    '{"name": 3}': "its name is 3",
    '{"name": ""}': "its name is ''",
    '{"inputSchema": {}}': "its name is None",
    '{"name": "t", "inputSchema": [1]}': "inputSchema is a list",
    '{"name": "t", "inputSchema": {"type": "string"}}': "of type 'string'",
    '{"name": "t", "inputSchema": {"properties": [1]}}': "properties is a list",
    '{"name": "t", "inputSchema": {"properties": {"a": 3}}}': "a is a int",
    '{"name": "t", "inputSchema": {"anyOf": {"a": 3}}}': "anyOf is a dict",
}


@pytest.mark.parametrize("tool", BROKEN)
def test_a_broken_tool_says_why(tool: str) -> None:
    (note,) = found(json.loads(tool), 7).notes
    assert BROKEN[tool] in note.what
    assert note.tool in ("t", "tool 7")


def test_what_is_no_part_of_a_tool_is_counted() -> None:
    tool = found(
        {
            "name": "t",
            "title": "T",
            "inputSchema": {"type": "object", "properties": {"a": {"type": "string", "x-order": 1}}},
            "outputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": True},
            "icons": [{"src": "x"}],
            "_meta": {"v": 1},
            "execution": None,
            "new": 3,
        }
    )
    assert tool.description == "T"  # for want of a description
    assert [note.what for note in tool.notes] == [
        *("outputSchema dropped", "annotations dropped", "icons dropped", "_meta dropped", "new dropped"),
        "x-order dropped",
    ]


def answer(tools: list[Any], server: HTTPServer) -> Any:
    """What answers JSON-RPC over HTTP, in pages of one tool, if the key is right."""

    def handle(request: Request) -> Response:
        if request.method != "POST":
            return Response(status=405)
        message = json.loads(request.data)
        if request.headers.get("Authorization") != KEY:
            error = {"code": -32001, "message": f"wrong key {request.headers.get('Authorization')}"}
            return Response(
                json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "error": error}), 200, content_type=JSON
            )
        if "id" not in message:
            return Response(status=202)
        result: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] == "initialize":
            about = {"name": "t", "version": "1"}
            version = message["params"]["protocolVersion"]
            result["result"] = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        elif message["method"] == "tools/list":
            page = int((message.get("params") or {}).get("cursor") or 0)
            result["result"] = {"tools": [tools[page % len(tools)]]}
            if page + 1 < len(tools) or tools[-1] == "endless":
                result["result"]["nextCursor"] = str(page + 1)
        else:
            result["error"] = {"code": -32601, "message": "no such method"}
        return Response(json.dumps(result), 200, content_type=JSON)

    server.expect_request("/mcp").respond_with_handler(handle)
    return server.url_for("/mcp")


def test_a_server_at_an_address_with_a_key_from_the_environment(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVER_KEY", KEY)
    url, out = (
        answer([{"name": "天氣.now", "inputSchema": {}}, {"name": 3}, {"name": "no"}], httpserver),
        tmp_path / "t.json",
    )
    assert main(["--mcp", url, "--header", "Authorization=SERVER_KEY", "--out", str(out)]) == 0
    assert [tool["function"]["name"] for tool in json.loads(out.read_text())] == ["now", "no"]
    printed = capsys.readouterr()
    assert "tool 2: left out: its name is 3" in printed.err
    assert "2 tools" in printed.out
    assert "1 left out: tool 2" in printed.out
    assert tools_from(url, headers={"Authorization": KEY}, only=["n*"]).names == {"now": "天氣.now", "no": "no"}


def test_a_key_that_a_server_repeats_is_blotted(httpserver: HTTPServer) -> None:
    url = answer([{}], httpserver).replace("http://", "http://user:word@") + "?token=t0ken"
    with pytest.raises(UserError, match="wrong key") as caught:
        tools_from(f"mcp:{url}", headers={"Authorization": "Bearer other-secret"}, timeout_s=10)
    assert "/mcp" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("other-secret", "user", "word", "t0ken"))


def test_endless_pages_end(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_server, "MOST_PAGES", 5)
    with pytest.raises(UserError, match="more than 5 pages"):
        tools_from(answer([{"name": "a"}, "endless"], httpserver), headers={"Authorization": KEY})


@pytest.mark.parametrize("path", ["mcp", "sse", "openapi.json"])
def test_an_address_where_nobody_answers(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"http://user:word@127.0.0.1:9/{path}?key=k", "--timeout", "5"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"http://127.0.0.1:9/{path}" in error
    assert "word" not in error


@pytest.mark.parametrize("value", [None, "", "a\nb", "ключ"])
def test_a_header_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], value: str | None
) -> None:
    monkeypatch.delenv("KEY_OF_MINE", raising=False)
    if value is not None:
        monkeypatch.setenv("KEY_OF_MINE", value)
    for header in ("Authorization=KEY_OF_MINE", f"Authorization: {KEY}", "=X"):
        assert main(["http://127.0.0.1:9/mcp", "--header", header]) == 2
        error = capsys.readouterr().err
        assert "--header" in error
        assert KEY not in error


def test_documents_at_an_address(httpserver: HTTPServer) -> None:
    document = {"openapi": "3.1.0", "paths": {"/a": {"get": {"parameters": [{"$ref": "b.yaml#/P"}]}, "put": {}}}}
    httpserver.expect_request("/api").respond_with_data("﻿" + json.dumps(document), content_type="text/plain; charset=x")
    httpserver.expect_request("/moved").respond_with_data("", 302, {"Location": "https://user:w@other.example/x?k=1"})
    httpserver.expect_request("/gone").respond_with_data("", 404)
    httpserver.expect_request("/latin").respond_with_data(b"openapi: '\xe9'")
    httpserver.expect_request("/tools").respond_with_json([{"name": "a"}])
    tools = tools_from(httpserver.url_for("/api"))
    assert list(tools.names) == ["put_a"]
    assert "never fetched" in str(tools.notes)
    assert list(tools_from(httpserver.url_for("/tools")).names) == ["a"]
    faults = {"/moved": "redirects to https://other.example/x,", "/gone": "status 404", "/latin": "not UTF-8"}
    for path, fault in faults.items():
        with pytest.raises(UserError, match=fault):
            tools_from(httpserver.url_for(path))


def test_keys_in_a_command_are_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--mcp", "env API_KEY=s3cret no-such-program"]) == 2
    error = capsys.readouterr().err
    assert "API_KEY=…" in error
    assert "s3cret" not in error


KEYS = [
    *(
        "type",
        "properties",
        "required",
        "items",
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
        "$defs",
        "definitions",
        "enum",
        "const",
    ),
    *(
        "default",
        "examples",
        "example",
        "nullable",
        "title",
        "description",
        "dependencies",
        "additionalProperties",
        "a",
    ),
    *(
        "exclusiveMinimum",
        "minimum",
        "discriminator",
        "pattern",
        "additionalItems",
        "readOnly",
        "prefixItems",
        "x-a",
        "not",
    ),
]
LEAVES = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1e300,
        "",
        "object",
        "string",
        ["object", "null"],
        "#",
        "#/$defs/a",
        "#/x",
        ["a", "a"],
        "a.json",
    ]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(schema=st.dictionaries(st.sampled_from(KEYS), SCHEMAS, max_size=6))
def test_no_schema_costs_more_than_its_tool(schema: dict[str, Any]) -> None:
    tools, notes = to_tools([found({"name": "t", "inputSchema": schema}), found({"name": "ok"})])
    assert [tool["function"]["name"] for _, tool in tools][-1] == "ok"
    assert len(tools) == 2 or any(note.kind == "left out" for note in notes)
    for _, tool in tools:
        shrink(tool, 30, lambda it: len(json.dumps(it)))


def test_tools_as_servers_in_the_wild_write_them() -> None:
    script = Path(__file__).parent / "cases/tools/mcp_wild.py"
    tools = tools_from("mcp:" + shlex.join([sys.executable, str(script), "--untyped"]))
    assert list(map(str, tools.notes)) == [
        "plain.dotted/name: named plain_dotted_name",
        "recursive: cycle #/$defs/Node → #/$defs/Node: any value is accepted there",
    ]
    fits = [
        Call(name="root_allof", arguments={"identifier": "a", "title": "b"}),
        Call(name="tuple07", arguments={"pivot": [1, 2]}),
        Call(name="zod_refs", arguments={"second": {"x": 1}}),
        Call(name="definitions07", arguments={"p": {"q": "a"}}),
        Call(name="exclusive04", arguments={"n": 1}),
        Call(name="untyped_root", arguments={"a": "b"}),
        Call(name="empty", arguments={}),
    ]
    wrong = [
        Call(name="root_allof", arguments={"title": "b"}),
        Call(name="tuple07", arguments={"pivot": [1, 2, 3]}),
        Call(name="zod_refs", arguments={"second": {"x": "1"}}),
        Call(name="exclusive04", arguments={"n": 0}),
        Call(name="untyped_root", arguments={"a": 1}),
    ]
    assert [call.name for call in fits if call_fault(call, tools.tools)] == []
    assert [call.name for call in wrong if not call_fault(call, tools.tools)] == []
