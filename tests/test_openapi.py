"""OpenAPI documents of all habits: what each operation becomes, and what is said of what it loses."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from callwright.errors import UserError
from callwright.records import Call
from callwright.schema import call_fault
from callwright.tool_sources import ToolSet, tools_from
from callwright.tool_sources.schemas import Inliner

HEAD = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\n"


@pytest.fixture
def api(tmp_path: Path) -> Any:
    """Import a document, and the files beside it by their names."""

    def run(text: str, **files: str) -> ToolSet:
        for name, content in files.items():
            path = tmp_path / name.replace("__", "/").replace("_", ".", 1)
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, "utf-8")
        (tmp_path / "api.yaml").write_text(text, "utf-8")
        return tools_from(tmp_path / "api.yaml")

    return run


def functions(tools: ToolSet) -> dict[str, Any]:
    return {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools.tools}


def body(schema: str, more: str = "", kind: str = "application/json", required: str = "true") -> str:
    """A document with one operation `f`, whose body has this schema in flow YAML."""
    content = f"{{required: {required}, content: {{{kind}: {{schema: {schema}}}}}}}"
    return f"{HEAD}paths:\n  /f:\n    post:\n      operationId: f\n      requestBody: {content}\n{more}"


def test_words_of_yaml_1_1_are_text(api: Any) -> None:
    tools = api(
        body(
            "{type: object, properties: {on: {type: string, enum: [on, off, no, 12:30, 2020-01-01, 1_000]}, "
            "no: {type: string, example: 0123, default: 2020-01-01}, 200: {type: integer, default: 0o17}}}"
        )
    )
    fields = functions(tools)["f"]["properties"]
    assert fields["on"]["enum"] == ["on", "off", "no", "12:30", "2020-01-01", "1_000"]
    assert fields["no"] == {"type": "string", "examples": ["0123"], "default": "2020-01-01"}
    assert fields["200"]["default"] == 15


def test_numbers_among_the_values_of_a_string_are_read_as_text_and_told(api: Any) -> None:
    tools = api(body("{type: object, properties: {v: {type: string, enum: [1, 2.5, true, x], default: 1}}}"))
    assert functions(tools)["f"]["properties"]["v"] == {
        "type": "string",
        "enum": ["1", "2.5", "true", "x"],
        "default": "1",
    }
    assert {str(note) for note in tools.notes} == {
        "f: body.v: enum of a string read as text",
        "f: body.v: default of a string read as text",
    }


FILES = {
    "a_yaml": "Name: {type: string, minLength: 1}\nPet: {type: object, properties: {name: {$ref: '#/Name'}, "
    "owner: {$ref: 'deep/b.json#/Own~1er%20x'}}}\n",
    "deep__b_json": json.dumps({"Own/er x": {"type": "object", "properties": {"pet": {"$ref": "../a.yaml#/Name"}}}}),
    "p_yaml": "get: {operationId: one, parameters: [{$ref: 'a.yaml#/P'}]}\n",
}


def test_references_to_files_below_the_document(api: Any) -> None:
    files = FILES | {"a_yaml": FILES["a_yaml"] + "P: {name: n, in: query, schema: {$ref: '#/Name'}}\n"}
    tools = api(body("{$ref: 'a.yaml#/Pet'}", "  /one: {$ref: p.yaml}\n"), **files)
    name = {"type": "string", "minLength": 1}
    assert functions(tools)["f"]["properties"] == {
        "name": name,
        "owner": {"type": "object", "properties": {"pet": name}},
    }
    assert functions(tools)["one"]["properties"] == {"n": name}
    assert tools.notes == []


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("../out.yaml#/X", "never fetched"),
        ("/etc/passwd", "never fetched"),
        ("file:///etc/passwd", "never fetched"),
        ("http://127.0.0.1:9/x.json", "never fetched"),
        ("//127.0.0.1/x.json", "never fetched"),
        ("%2e%2e/out.yaml", "never fetched"),
        ("link.yaml", "never fetched"),
        ("nothere.yaml#/X", "no such file"),
        ("a.yaml#/Nowhere", "leads nowhere"),
        ("a.yaml#/Name/-1", "leads nowhere"),
        ("broken.yaml", "not YAML"),
        ("#/components/%ZZ", "leads nowhere"),
        ("#nobody", "leads nowhere"),
        (".", "no such file"),
    ],
)
def test_references_that_cannot_be_followed_leave_any_value(api: Any, tmp_path: Path, reference: str, why: str) -> None:
    (tmp_path.parent / "out.yaml").write_text("X: {type: string}")
    (tmp_path / "link.yaml").symlink_to(tmp_path.parent / "out.yaml")
    schema = f"{{type: object, properties: {{x: {{$ref: '{reference}', description: d}}, y: {{type: string}}}}}}"
    tools = api(body(schema), a_yaml="Name: [1]", broken_yaml="a: [")
    assert functions(tools)["f"]["properties"] == {"x": {"description": "d"}, "y": {"type": "string"}}
    (note,) = map(str, tools.notes)
    assert why in note
    assert reference in note


def test_cycles_through_files_are_cut(api: Any) -> None:
    schema = "{type: object, properties: {next: {$ref: 'a.yaml#/Node'}}}"
    tools = api(body(schema), a_yaml="Node: {type: object, properties: {next: {$ref: 'a.yaml#/Node'}, n: {}}}")
    assert functions(tools)["f"]["properties"]["next"]["properties"] == {"next": {}, "n": {}}
    assert "cycle" in str(tools.notes[0])


def test_anchors_identities_and_names_that_look_like_references(api: Any) -> None:
    more = "components:\n  schemas:\n    A: {$anchor: here, type: string}\n    B: {$id: 'https://x.example/b', type: integer}\n"
    schema = (
        "{type: object, properties: {a: {$ref: '#here'}, b: {$ref: 'https://x.example/b'}, "
        "$ref: {type: string}, enum: {$ref: '#here'}}}"
    )
    tools = api(body(schema, more))
    fields = functions(tools)["f"]["properties"]
    assert fields["a"] == fields["enum"] == {"type": "string"}
    assert fields["b"] == {"type": "integer"}
    assert fields["$ref"] == {"type": "string"}
    data = {"enum": [{"$ref": "#here"}], "default": {"default": {"$ref": "x"}}}
    assert Inliner({}, pytest.fail).inline({"properties": {"c": data}}) == {"properties": {"c": data}}


def test_what_stands_beside_a_reference_is_kept(api: Any) -> None:
    more = "components: {schemas: {N: {type: string, maxLength: 9, description: far}}}\n"
    tools = api(
        body("{type: object, properties: {n: {$ref: '#/components/schemas/N', minLength: 2, description: near}}}", more)
    )
    assert functions(tools)["f"]["properties"]["n"] == {
        "type": "string",
        "maxLength": 9,
        "minLength": 2,
        "description": "near",
    }


NAMES = {
    "''": "get_berths_id",
    "'   '": "get_berths_id",
    "查詢": "get_berths_id",
    "查詢_x": "get_berths_id",
    "12": "get_berths_id",  # a number is no name
    "'12'": "12",
    "null": "get_berths_id",
    "Größe.lesen": "Große_lesen",
    "naïve/übung": "naive_ubung",
    "'...'": "get_berths_id",
    "a" * 80: "a" * 64,
}


@pytest.mark.parametrize("operation", NAMES)
def test_names(api: Any, operation: str) -> None:
    tools = api(f"{HEAD}paths:\n  '/berths/{{id}}':\n    get: {{operationId: {operation}}}\n")
    (name,) = functions(tools)
    assert name == NAMES[operation].replace("ß", "_")
    assert all(char.isascii() and (char.isalnum() or char in "_-") for char in name)
    assert functions(tools)[name] == {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def test_names_are_unique_and_valid_ones_stay(api: Any) -> None:
    paths = "  /a: {get: {operationId: x.y}, put: {operationId: x_y}, post: {operationId: x_y}, delete: {}}\n  /A/: {delete: {}}\n"
    tools = api(f"{HEAD}paths:\n{paths}")
    assert list(functions(tools)) == ["x_y_2", "x_y", "x_y_3", "delete_a", "delete_A"]
    assert tools.names["x_y_2"] == "x.y"


def test_descriptions_fall_back(api: Any) -> None:
    paths = "  /a: {summary: the path, get: {}, put: {summary: S, description: D}, post: {description: ' '}}\n  /b: {get: {}}\n"
    tools = api(f"{HEAD}paths:\n{paths}")
    said = [tool["function"]["description"] for tool in tools.tools]
    assert said == ["the path", "S\nD", "the path", "GET /b"]


def test_parameters(api: Any) -> None:
    tools = api(
        f"""{HEAD}
components:
  securitySchemes: {{k: {{type: apiKey, in: query, name: api_key}}}}
paths:
  /a/{{id}}:
    parameters:
      - {{name: id, in: path, schema: {{type: integer}}}}
      - {{name: n, in: query, required: true, schema: {{type: string}}}}
    get:
      operationId: f
      deprecated: true
      x-internal: 1
      parameters:
        - {{name: n, in: query, schema: {{type: boolean}}, x-y: 1, style: form}}
        - {{name: id, in: query, required: true, schema: {{type: string}}}}
        - {{name: api_key, in: query, required: true, schema: {{type: string}}}}
        - {{name: Authorization, in: header, required: true, schema: {{type: string}}}}
        - {{name: session, in: cookie, schema: {{type: string}}}}
        - {{name: e, in: query, schema: {{type: string}}, examples: {{one: {{value: x}}, two: {{value: 7}}}}}}
        - {{name: c, in: query, content: {{application/json: {{schema: {{type: object}}}}}}}}
"""
    )
    parameters = functions(tools)["f"]
    assert list(parameters["properties"]) == ["id", "n", "query_id", "e", "c"]
    assert parameters["required"] == ["id", "query_id"]
    assert parameters["properties"]["n"] == {"type": "boolean"}
    assert parameters["properties"]["e"]["examples"] == ["x", "7"]
    assert {str(note) for note in tools.notes} == {
        "f: deprecated dropped",
        "f: x-internal dropped",
        "f: n: x-y dropped",
        "f: query parameter 'id' named query_id",
        "f: query parameter 'api_key' dropped",
        "f: header parameter 'Authorization' dropped",
        "f: cookie parameter 'session' dropped",
        "f: e: examples of a string read as text",
    }


def test_read_only_fields_go_wherever_all_of_hides_them(api: Any) -> None:
    schema = (
        "{allOf: [{type: object, properties: {id: {type: string, readOnly: true}, n: {type: string}}}, {required: [id, n]}, "
        "{type: object, properties: {p: {type: object, required: [at], properties: {at: {readOnly: true}, "
        "secret: {type: string, writeOnly: true}}}}}]}"
    )
    parameters = functions(api(body(schema)))["f"]
    assert parameters["required"] == ["n"]
    assert parameters["properties"] == {
        "n": {"type": "string"},
        "p": {"type": "object", "required": [], "properties": {"secret": {"type": "string"}}},
    }


def test_a_discriminator_tells_branches_apart(api: Any) -> None:
    more = """components:
  schemas:
    Pet: {type: object, required: [kind], properties: {kind: {type: string}}}
    Cat: {allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {purrs: {type: boolean}}}]}
    Dog: {allOf: [{$ref: '#/components/schemas/Pet'}, {properties: {barks: {type: boolean}}}]}
"""
    both = "oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}]"
    tools = api(body(f"{{{both}, discriminator: {{propertyName: kind, mapping: {{cat: Cat}}}}}}", more))
    for pet, fits in ({"kind": "cat", "purrs": True}, True), ({"kind": "Dog"}, True), ({"kind": "cow"}, False):
        fault = call_fault(Call(name="f", arguments={"body": pet}), tools.tools)
        assert (fault is None) == fits, fault
    assert tools.notes == []


def test_a_branch_that_says_its_kind_itself_keeps_it(api: Any) -> None:
    more = """components:
  schemas:
    Cat: {type: object, properties: {kind: {const: cat}}}
    Dog: {type: object, properties: {kind: {enum: [dog, wolf]}}}
"""
    both = "oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}]"
    tools = api(body(f"{{{both}, discriminator: {{propertyName: kind}}}}", more))
    for kind, fits in ("cat", True), ("wolf", True), ("Cat", False):
        fault = call_fault(Call(name="f", arguments={"body": {"kind": kind}}), tools.tools)
        assert (fault is None) == fits, fault


BODIES = {
    "{type: array, items: {type: string}}": {"body"},
    "{type: object, properties: {a: {}}, additionalProperties: {type: string}}": {"body"},
    "{type: object, additionalProperties: true}": {"body"},
    "{type: object, properties: {a: {}}, example: {a: 1}, description: d}": {"a"},
    "{type: object, properties: {id: {}}}": {"id"},
    "{oneOf: [{type: object, properties: {a: {}}}, {type: string}]}": {"body"},
    "{type: object, properties: {a: {}}, anyOf: [{required: [a]}, {required: [b]}]}": {"body"},
    "{type: [object, 'null'], properties: {a: {}}}": {"a"},
}


@pytest.mark.parametrize("schema", BODIES)
def test_bodies(api: Any, schema: str) -> None:
    assert set(functions(api(body(schema)))["f"]["properties"]) == BODIES[schema]


def test_media_types(api: Any) -> None:
    for kind in ("application/json; charset=utf-8", "'*/*'", "application/vnd.x+json", "multipart/form-data"):
        assert set(functions(api(body("{type: object, properties: {a: {}}}", kind=kind)))["f"]["properties"]) == {"a"}
    plain = functions(api(body("{type: string}", kind="text/markdown")))["f"]
    assert (plain["properties"], plain["required"]) == ({"body": {"type": "string"}}, ["body"])
    raw = api(body("{type: string, format: binary}", kind="'*/*'"))
    assert functions(raw)["f"]["properties"] == {}
    assert str(raw.notes[0]) == "f: body: binary; dropped"
    files = "{type: object, properties: {fs: {type: array, items: {type: string, format: binary}}, j: {type: string, "
    files += "contentMediaType: application/json}, i: {contentMediaType: image/png}}}"
    assert set(functions(api(body(files, kind="multipart/form-data")))["f"]["properties"]) == {"j"}


def test_nullable_and_old_bounds(api: Any) -> None:
    schema = (
        "{type: object, properties: {a: {type: string, nullable: true}, b: {nullable: true, allOf: [{type: integer}]}, "
        "c: {nullable: true, oneOf: [{type: string}, {type: integer}]}, d: {type: integer, minimum: 1, exclusiveMinimum: true}}}"
    )
    tools = api(body(schema))
    for arguments, fits in (({"a": None, "b": None, "c": None}, True), ({"d": 1}, False), ({"d": 2}, True)):
        assert (call_fault(Call(name="f", arguments=arguments), tools.tools) is None) == fits


@pytest.mark.parametrize("version", ["3.0.3", "'3.1'", "3.1", "3", "3.2.0"])
def test_versions(api: Any, version: str) -> None:
    assert api(f"openapi: {version}\npaths: {{/a: {{get: {{}}}}}}\n").tools


@pytest.mark.parametrize("text", ["swagger: '2.0'", "swagger: 2.0", "openapi: 4.0.0", "asyncapi: 3.0.0", "a: [1]", "3"])
def test_other_documents_are_refused(api: Any, text: str) -> None:
    with pytest.raises(UserError, match="not an OpenAPI 3 document") as caught:
        api(text + "\npaths: {}\n" if ":" in text else text)
    assert ("swagger2openapi" in str(caught.value)) == text.startswith("swagger")


def test_one_broken_operation_costs_one_tool(api: Any) -> None:
    tools = api(
        f"""{HEAD}paths:
  /a: {{get: 3, put: {{parameters: [3]}}, post: {{requestBody: {{content: [1]}}}}, delete: {{}}}}
  /b: [1]
  /c: {{$ref: '#/nowhere'}}
  /d: {{$ref: '#/paths/~1d'}}
  /e: {{get: {{parameters: [{{name: x, in: query, schema: {{type: nonsense}}}}]}}}}
  x-f: {{}}
"""
    )
    assert list(functions(tools)) == ["delete_a"]
    assert tools.left_out == ["get/a", "put/a", "post/a", "/b", "/c", "/d", "get/e"]


def test_bombs_cost_their_tool_and_little_time(api: Any, tmp_path: Path) -> None:
    started = time.monotonic()
    steps = [
        f"    a{i}: {{properties: {{p: {{$ref: '#/c/a{i - 1}'}}, q: {{$ref: '#/c/a{i - 1}'}}}}}}" for i in range(1, 40)
    ]
    aliases = [f"    b{i}: &b{i} {{properties: {{p: *b{i - 1}, q: *b{i - 1}}}}}" for i in range(1, 40)]
    ops = "".join(
        f"  /{x}: {{put: {{requestBody: {{content: {{a/json: {{}}, application/json: {{schema: {{$ref: '#/c/{x}'}}}}}}}}}}}}\n"
        for x in ("a39", "b39", "self")
    )
    text = "\n".join(
        [HEAD, "c:", "    a0: {}", *steps, "    b0: &b0 {}", *aliases, "    self: &s {items: *s}", "paths:", ops]
    )
    tools = api(text + "  /ok: {get: {}}\n")
    assert list(functions(tools)) == ["get_ok"]
    assert len(tools.left_out) == 3
    assert time.monotonic() - started < 10


def test_a_document_with_names_that_meet() -> None:
    tools = functions(tools_from(Path(__file__).parent / "cases/tools/collision.yaml"))
    assert tools["update_berth"]["required"] == ["id", "body"]
    assert tools["update_berth"]["properties"]["id"]["type"] == "integer"
    assert tools["update_berth"]["properties"]["body"]["properties"]["id"]["type"] == "integer"
    assert tools["bulk"]["properties"]["body"]["type"] == "array"
    search = tools["search"]["properties"]
    assert search["status"] == {"type": "string", "enum": ["on", "off", "no"]}
    assert search["day"] == {"type": "string", "default": "2024-05-01", "examples": ["2024-05-01"]}
    assert search["code"]["examples"] == ["0123"]
    assert set(search) == {"since", "status", "size", "filter", "day", "code"}
