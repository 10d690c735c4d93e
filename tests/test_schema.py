"""Tools and their schemas: what is taken, under which names, and what a call may hold."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from callwright.files import ROOT, to_json
from callwright.matchers import is_matcher
from callwright.records import Call, Case, Prediction, read_arguments
from callwright.schema import SPELLINGS, call_fault, canonical_tool, load_tools, null_is_padding
from eval.scoring.cases import case_fault
from eval.scoring.verdict import judge

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
SHIPPED = {
    "assistant_tools": "7cd052e127efa76a",
    "bicycle_workshop": "9da241563400f2f5",
    "many_tools": "b1d60f43a0cc7b1e",
    "image_intent": "b79149f7c5685b65",
    "ward_kitchen": "1dda50f40ce26c55",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_api_s_name_of_the_schema_is_known(spelling: str):
    tool = {"name": "tide_table", "description": "tides", spelling: CITY}
    canonical = canonical_tool({**tool, "annotations": {"readOnlyHint": True}, "input_examples": [{"city": "Brest"}]})
    assert canonical["function"] == {"name": "tide_table", "description": "tides", "parameters": CITY}
    assert canonical_tool({"type": "function", "function": tool}) == canonical


@pytest.mark.parametrize("key", ["args", "arguments", "inputs", "schema", "Parameters", "properties", "inputschema"])
@pytest.mark.parametrize("parameters", [{}, {"parameters": CITY}, {"parameters": {}}])
def test_a_key_that_may_hold_the_schema_is_refused(key: str, parameters: dict[str, Any]):
    with pytest.raises(ValueError, match=f"'{key}'"):
        canonical_tool({"name": "f", **parameters, key: CITY})


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("parameters", "remedy"),
    [
        ({"$ref": "#/$defs/City"}, "write what it means in its place"),
        ({"$ref": "city.json"}, "write what it means in its place"),
        ({"$ref": "#"}, "write the schema that it means in its place"),
        ({"$ref": "#/$defs/City", "$defs": {"City": TEXT}}, "write `type: object` there"),
        ({"allOf": [{"$ref": "#/definitions/City"}], "definitions": {"City": TEXT}}, "write `type: object` there"),
        ({"$ref": "#/$defs/City", "$defs": {"City": CITY}}, None),
        ({"anyOf": [{"$ref": "#/$defs/City"}, TEXT], "$defs": {"City": CITY}}, None),
    ],
)
def test_a_schema_that_is_only_a_reference_holds_what_it_leads_to(parameters: dict[str, Any], remedy: str | None):
    tool = {"name": "f", "parameters": parameters}
    if remedy:
        with pytest.raises(ValueError, match=f"'f'.*{remedy}"):
            canonical_tool(tool)
    else:
        assert call_fault(Call(name="f", arguments={"city": "Brest"}), [canonical_tool(tool)]) is None


@pytest.mark.parametrize("value", ["city: str", 3, True, ["city"], [{"name": "city"}], {"city": "str"}])
def test_without_a_schema_every_unknown_key_may_hold_it(value: Any):
    for tool in ({"name": "f", "args": value}, {"type": "function", "function": {"name": "f"}, "args": value}):
        with pytest.raises(ValueError, match="'args' of tool 'f' is not known"):
            canonical_tool(tool)


@pytest.mark.parametrize(
    "parameters",
    [
        {"json": CITY},
        {"city": {"type": "string"}},
        {"city": "str"},
        {"type": "object", "properties": {}, "city": {"a": 1}},
    ],
)
def test_a_schema_that_names_no_arguments_hides_none(parameters: dict[str, Any]):
    with pytest.raises(ValueError, match="is no keyword of JSON Schema"):
        canonical_tool({"name": "f", "parameters": parameters})


@pytest.mark.parametrize("beside", [{"x-a": {"b": 1}}, {"additionalProperties": {}}, {"default": {}}, {"strict": True}])
def test_a_schema_without_arguments_may_say_more(beside: dict[str, Any]):
    canonical_tool({"name": "f", "parameters": {"type": "object", **beside}})


def test_beside_a_schema_plain_words_are_no_schema():
    tool = {"name": "f", "parameters": CITY, "category": "weather", "version": 2, "tags": ["a", "b"], "type": None}
    assert canonical_tool(tool) == canonical_tool({"name": "f", "parameters": CITY})
    with pytest.raises(ValueError, match="'parameters'"):
        canonical_tool({"type": "function", "function": {"name": "f"}, "parameters": CITY})
    with pytest.raises(ValueError, match="'web_search_20250305'"):
        canonical_tool({"type": "web_search_20250305", "name": "web_search"})


def test_what_says_nothing_is_no_unknown_key():
    plain = canonical_tool({"name": "f", "parameters": CITY})
    assert canonical_tool({"name": "f", "parameters": CITY, "args": None, "schema": {}, "input_schema": CITY}) == plain
    with pytest.raises(ValueError, match="parameters and input_schema of 'f' differ"):
        canonical_tool({"name": "f", "parameters": CITY, "input_schema": {"type": "object"}})


def test_required_beside_the_schema_belongs_into_it():
    bare = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert canonical_tool({"name": "f", "parameters": bare, "required": ["city"]})["function"]["parameters"] == CITY
    with pytest.raises(ValueError, match="'required'"):
        canonical_tool({"name": "f", "parameters": CITY, "required": ["town"]})


@pytest.mark.parametrize("text", ["", "  \n", None, "null", "{}", {}])
def test_nothing_at_all_is_no_arguments(text: Any):
    assert read_arguments(text) == {}
    tools = [canonical_tool({"name": "server_uptime"})]
    case = Case(id="a", messages=[{"role": "user", "content": "?"}], tools=tools, expected=[])
    case = case.model_copy(update={"expected": [Call(name="server_uptime", arguments={})]})
    functions = [{"name": "server_uptime", "arguments": text}] if text != {} else []
    functions += [{"name": "server_uptime"}] if text is None else []
    for function in functions:
        assert judge(case, Prediction(id="a", tool_calls=[{"function": function}])).verdict == "correct"


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "{", "NaN", [], 0, False, "{}{}"])
def test_anything_else_is_no_arguments_that_can_be_read(text: Any):
    with pytest.raises(ValueError, match="JSON"):
        read_arguments(text)


NULLS = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer"},
        "unit": {"type": ["string", "null"]},
        "zone": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "mode": {"enum": ["a", None]},
        "kind": {"enum": ["a", "b"]},
        "node": {"$ref": "#/$defs/node"},
        "free": {},
        "old": {"type": "string", "nullable": True},
    },
    "required": ["city"],
    "$defs": {"node": {"type": "object"}},
}


@pytest.mark.parametrize(
    ("key", "padding"),
    [
        *[("moon", True), ("days", True), ("kind", True), ("node", True)],
        *[("city", False), ("unit", False), ("zone", False), ("mode", False), ("free", False), ("old", False)],
    ],
)
def test_a_null_is_padding_where_it_says_nothing(key: str, padding: bool):
    assert null_is_padding(key, NULLS) is padding
    for root in ({"allOf": [NULLS]}, {"$ref": "#/$defs/args"}):
        root = {"type": "object", "properties": {}, **root, "$defs": {"args": NULLS, "node": {"type": "object"}}}
        assert null_is_padding(key, root) is padding


def test_the_shipped_tools_keep_their_bytes():
    for path in sorted(ROOT.glob("data/seeds/*/tools.json")):
        digest = hashlib.sha256(to_json(load_tools(path)).encode()).hexdigest()[:16]
        assert digest == SHIPPED[path.parent.name], path
        assert json.loads(Path(path).read_text(encoding="utf-8")) == load_tools(path)


MAP = {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}
BASE = {
    "type": "object",
    "allOf": [{"$ref": "#/$defs/Base"}, {"properties": {"title": {"type": "string"}}}],
    "$defs": {"Base": {"properties": {"identifier": {"type": "string"}}, "required": ["identifier"]}},
}


@pytest.mark.parametrize(
    ("parameters", "arguments", "fault"),
    [
        (MAP, {"colour": "blue"}, None),
        (MAP, {"colour": {"any_of": ["blue", 3]}}, "colour: 3 is not of type"),
        (MAP, {"colour": {"any": True}}, None),
        ({**MAP, "additionalProperties": False}, {"colour": {"any": True}}, "expects argument 'colour'"),
        ({**MAP, "additionalProperties": False}, {"colour": "blue"}, "expects argument 'colour'"),
        (BASE, {"identifier": "a7", "title": "Sweep"}, None),
        (BASE, {"title": "Sweep"}, "requires 'identifier'"),
        (BASE, {"identifier": "a7", "size": {"any": True}}, "expects argument 'size'"),
        (
            {"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"c": {}}},
            {"c": 1},
            "not valid under any",
        ),
        ({"dependentRequired": {"a": ["b"]}, "properties": {"a": {}, "b": {}}}, {"a": 1}, "required property"),
        ({"properties": {"p": {"type": "array", "items": [{"type": "number"}]}}}, {"p": [1, "x"]}, None),
        ({"properties": {"n": {"minimum": 0, "exclusiveMinimum": True}}}, {"n": 0}, "n: 0 is less than or equal"),
    ],
)
def test_a_case_is_held_against_its_schema_by_json_schema(parameters: Any, arguments: Any, fault: str | None):
    tool = {"name": "f", "parameters": parameters}
    call = Call(name="f", arguments=arguments)
    case = Case(id="a", messages=[{"role": "user", "content": "?"}], tools=[tool], expected=[call])
    found = case_fault(case)
    assert found is None if fault is None else fault in str(found)
    if fault is None and not any(map(is_matcher, arguments.values())):
        answer = [{"function": {"name": "f", "arguments": json.dumps(arguments)}}]
        assert judge(case, Prediction(id="a", tool_calls=answer)).verdict == "correct"
