"""Tools from an MCP server, an OpenAPI document and a Python module, and what of them is named as lost."""

import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from callwright.records import Call
from callwright.schema import call_fault, load_tools
from callwright.tool_sources.found import valid_name
from callwright.tool_sources.schemas import Inliner, flat
from tools.import_tools import main

CASES = Path(__file__).parent / "cases/tools"


def server(mood: str = "") -> str:
    return shlex.join([sys.executable, str(CASES / "mcp_server.py"), mood])


@pytest.fixture
def imported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Import with these arguments: the parameters of each tool by its name, the tools, and the lines on stderr."""

    def run(*arguments: str) -> tuple[dict[str, Any], list[dict[str, Any]], list[str]]:
        out = tmp_path / "tools.json"
        assert main([*arguments, "--out", str(out)]) == 0
        tools = load_tools(out)
        functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
        return functions, tools, capsys.readouterr().err.splitlines()

    return run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "--out", "/nowhere/tools.json"]) == 2
    return capsys.readouterr().err


def test_mcp(imported: Any) -> None:
    functions, tools, lost = imported("--mcp", server())
    assert list(functions) == ["files_read_text", "ping", "walk"]
    assert functions["files_read_text"]["properties"]["from"]["required"] == ["x", "y"]
    assert tools[0]["function"]["description"] == "Read a text file."
    assert functions["walk"]["properties"]["next"]["properties"]["next"] == {}
    assert lost == [
        "files/read.text: named files_read_text",
        "walk: cycle #/$defs/Node → #/$defs/Node: any value is accepted there",
        "broken: left out: parameters of 'broken' are not JSON Schema that can be checked: properties: x: type: "
        '"no such type" is not one of "array", "boolean" or 5 other candidates',
    ]


def test_mcp_server_that_babbles_is_read_and_told_on(imported: Any) -> None:
    functions, _, lost = imported("--mcp", server("babbles"), "--only", "ping", "--prefix", "x_")
    assert list(functions) == ["x_ping"]
    assert any("Failed to parse" in line for line in lost)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (server("dies"), "    Traceback: no such database"),
        (server("hangs"), "no list of tools within 2 s"),
        (server("loops"), "the same page twice"),
        ("no-such-program --flag", "No such file"),
        (shlex.join([sys.executable, "-c", "raise SystemExit('no key')"]), "    no key"),
        ("'", "No closing quotation"),
        ("", "the command is empty"),
    ],
)
def test_mcp_server_that_fails(capsys: pytest.CaptureFixture[str], command: str, said: str) -> None:
    started = time.monotonic()
    error = refused(capsys, "--mcp", command, "--timeout", "2")
    assert error.startswith("error: mcp server ")
    assert said in error
    assert time.monotonic() - started < 8


def test_openapi(imported: Any) -> None:
    functions, tools, lost = imported(str(CASES / "api.yaml"))
    assert list(functions) == ["getPet", "update_pet_now", "post_photos", "rawPhoto", "onlyFile", "choose", "remote"]
    assert functions["onlyFile"] == {"type": "object", "properties": {}, "required": []}
    pet = functions["getPet"]
    bounds = {"minimum": 0, "exclusiveMinimum": 0}
    assert pet["properties"]["pet_id"] == {"type": "integer", **bounds, "description": "Which pet."}
    assert pet["properties"]["since"] == {"type": "string", "format": "date", "default": "2026-01-31"}
    assert pet["required"] == ["pet_id"]
    update = functions["update_pet_now"]
    assert update["required"] == ["pet_id", "name"]
    assert update["properties"]["name"] == {"type": ["string", "null"], "enum": ["Rex", "Tom", None]}
    assert set(update["properties"]) == {"pet_id", "name", "mother", "tags"}
    assert functions["post_photos"]["properties"] == {"title": {"type": "string", "examples": ["My cat"]}}
    assert functions["post_photos"]["required"] == ["title"]
    assert "oneOf" in functions["choose"]["properties"]["body"]
    assert functions["remote"]["properties"] == {"where": {}, "lost": {}, "free": {}}
    assert call_fault(Call(name="update_pet_now", arguments={"pet_id": 1, "name": None}), tools) is None
    cycle = "cycle #/components/schemas/Pet → #/components/schemas/Pet: any value is accepted there"
    outside = "$ref 'https://example.com/schemas.json#/Where' leads outside the document's folder, and is never fetched"
    assert [line.removesuffix(": inf") for line in lost] == [
        "document: security dropped",
        "getPet: header parameter 'X-Trace' dropped",
        "getPet: cookie parameter 'session' dropped",
        "update.pet/now: callbacks dropped",
        f"update.pet/now: {cycle}",
        "update.pet/now: body.id: read-only; dropped",
        "update.pet/now: body.name: xml dropped",
        "update.pet/now: named update_pet_now",
        "post/photos: body as application/octet-stream dropped",
        "post/photos: body.file: binary; dropped",
        "post/photos: named post_photos",
        "rawPhoto: body as image/png dropped",
        "onlyFile: body.file: binary; dropped",
        f"remote: {outside}: any value is accepted there",
        "remote: $ref '#/components/schemas/Nowhere' leads nowhere: any value is accepted there",
        "remote: free: untyped; any value is accepted",
        "broken: left out: parameters is a dict, not a list",
        "infinite: left out: parameters of 'infinite' are not JSON Schema that can be checked: "
        "Out of range float values are not JSON compliant",
    ]


def test_module(imported: Any) -> None:
    functions, tools, lost = imported("--module", str(CASES / "functions.py"))
    assert list(functions) == ["book", "loose", "walk"]
    book = functions["book"]
    assert tools[0]["function"]["description"] == "Book a table for some guests."
    assert book["required"] == ["table", "guests", "when", "where"]
    properties = book["properties"]
    assert properties["table"] == {"type": "integer", "description": "Its number."}
    assert properties["guests"]["items"]["required"] == ["name", "age"]
    assert properties["when"] == {"type": "string", "format": "date", "description": "The day."}
    assert properties["where"]["required"] == ["x"]
    assert properties["color"]["enum"] == ["red", "blue"]
    assert properties["color"]["default"] == "red"
    assert properties["mood"]["enum"] == ["quiet", "loud"]
    assert properties["note"]["description"] == "For the kitchen."
    assert {"minimum": 1, "maximum": 8, "default": 2, "description": "How many."}.items() <= properties["seats"].items()
    assert properties["extras"]["additionalProperties"] == {"type": "number"}
    guests = [{"name": "Mei", "age": 30}]
    call = Call(name="book", arguments={"table": 1, "guests": guests, "when": "2026-01-31", "where": {"x": 1}})
    assert call_fault(call, tools) is None
    assert [line.split(";")[0] for line in lost] == [
        "module: imported: dataclass, join, Field dropped",
        "module: private: _private dropped",
        "book: the docstring after its first paragraph dropped",
        "loose: anything: positional-only",
        "loose: anything: untyped",
        "loose: *rest: any number of arguments",
        "loose: done: Cannot generate a JsonSchema for core_schema.CallableSchema",
        "loose: **others: any number of arguments",
        "walk: node: cycle #/$defs/Node → #/$defs/Node: any value is accepted there",
        "watch: left out: callback: Cannot generate a JsonSchema for core_schema.CallableSchema",
        "lost: left out: thing: name 'Undefined' is not defined",
    ]


def test_module_by_dotted_name(imported: Any) -> None:
    functions, _, _ = imported("--module", "callwright.matchers", "--only", "accepts", "equal")
    assert set(functions) == {"accepts", "equal"}


BAD = {
    "swagger.yaml": ("swagger: '2.0'\npaths: {}\n", "not an OpenAPI 3 document (version 2.0)"),
    "list.yaml": ("- a\n", "no `openapi: 3…` at the top"),
    "broken.yaml": ("openapi: [3\n", "not YAML"),
    "broken.json": ('{"openapi": "3.1.0",}', "not JSON"),
    "nopaths.yaml": ("openapi: 3.1.0\n", "has no paths"),
    "empty.yaml": ("openapi: 3.1.0\npaths: {}\n", "no tools to import"),
    "crash.py": ("raise SystemExit(7)\n", "cannot be imported (SystemExit: 7)"),
    "syntax.py": ("def f(:\n", "cannot be imported (SyntaxError"),
    "none.py": ("x = 1\n", "no tools to import"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    text, said = BAD[name]
    path = tmp_path / name
    path.write_text(text)
    error = refused(capsys, *(["--module"] if path.suffix == ".py" else []), str(path))
    assert error.startswith(f"error: {path}: ")
    assert said in error
    assert error.count("\n") == 1


def test_missing_sources(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no such file" in refused(capsys, str(tmp_path / "api.yaml"))
    assert "no such file" in refused(capsys, "--module", str(tmp_path / "f.py"))
    assert "cannot be imported (ModuleNotFoundError" in refused(capsys, "--module", "no_such_module_here")
    error = refused(capsys, str(CASES / "api.yaml"), "--only", "getPets")
    assert "--only getPets" in error
    assert "getPet, update.pet/now" in error


def test_names_are_valid_and_their_own() -> None:
    assert valid_name("a.b/c", []) == "a_b_c"
    assert valid_name("天氣", []) == "tool"
    assert valid_name("a-b", ["a-b", "a-b_2"]) == "a-b_3"
    assert valid_name("x" * 80, ["x" * 64]) == "x" * 62 + "_2"


def test_references_that_double_are_stopped() -> None:
    schemas: dict[str, Any] = {f"s{i}": {"a": {"$ref": f"#/s{i + 1}"}, "b": {"$ref": f"#/s{i + 1}"}} for i in range(40)}
    with pytest.raises(ValueError, match="more than"):
        Inliner(schemas | {"s40": {}}, print).inline({"$ref": "#/s0"})


def test_all_of_is_merged_only_where_nothing_conflicts() -> None:
    merged = flat(
        {"allOf": [{"type": "object", "properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}]}
    )
    assert merged == {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}
    assert "allOf" in flat({"type": "string", "allOf": [{"type": "integer"}]})


def test_a_name_among_dependencies_is_no_keyword() -> None:
    schema = {"dependencies": {"default": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"required": ["b"]}}}
    own = {"dependencies": schema["dependencies"]}
    assert Inliner(schema, print).inline(own) == {"dependencies": {"default": {"required": ["b"]}}}
