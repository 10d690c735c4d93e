"""Records, tools and matchers: what is taken, what is refused, and what is said then."""

import json
from pathlib import Path
from typing import Any

import pytest

from callwright.errors import UserError
from callwright.matchers import accepts, equal, matcher_fault, missing_words
from callwright.records import Call, Case, Seed, read_records
from callwright.schema import call_fault, canonical_tools
from callwright.tasks import read_seeds

TOOLS = canonical_tools(
    [
        {
            "type": "function",
            "function": {
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
                    "required": ["city"],
                },
                "name": "weather",
                "strict": True,
            },
        }
    ],
    "tools.json",
)


def test_what_the_user_says_last_is_read_from_parts_as_well():
    def said(content):
        messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "no"}]
        return Case(id="a", messages=messages, tools=[], expected=[]).text

    assert said("hi") == "hi" and said(None) == ""
    assert said([{"type": "text", "text": "draw"}, {"type": "image_url"}, "it"]) == "draw [image_url] it"


GOOD = {"id": "1", "text": "Rome?", "calls": [{"name": "weather", "arguments": {"city": "Rome"}}], "reply": None}


def test_canonical_tools_have_the_keys_that_the_server_rebuilds():
    function = TOOLS[0]["function"]
    assert list(function) == ["name", "description", "parameters"]
    assert function["description"] == ""


@pytest.mark.parametrize(
    ("tools", "fault"),
    [
        ({}, "not a list"),
        (["x"], "needs a name"),
        ([{"name": "a", "parameters": {"type": "string"}}], "must be an object schema"),
        ([{"name": "a", "parameters": {"type": "object", "properties": 3}}], "not JSON Schema"),
        ([{"name": "a"}, {"name": "a"}], "defined twice"),
    ],
)
def test_broken_tools(tools: Any, fault: str):
    with pytest.raises(UserError, match=fault):
        canonical_tools(tools, "tools.json")


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ({"name": "weather", "arguments": {"city": "Rome", "days": 2}}, None),
        ({"name": "wether", "arguments": {}}, "not one of weather"),
        ({"name": "weather", "arguments": {"town": "Rome"}}, "no argument 'town'"),
        ({"name": "weather", "arguments": {}}, "required"),
        ({"name": "weather", "arguments": {"city": 3}}, 'city: 3 is not of type "string"'),
        ({"name": "weather", "arguments": {"city": "Rome", "days": 0}}, "minimum"),
    ],
)
def test_call_faults(call: dict[str, Any], fault: str | None):
    found = call_fault(Call.model_validate(call), TOOLS)
    assert found is None if fault is None else fault in str(found)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"calls": []}, "no calls and no reply"),
        ({"text": None}, "either text or messages"),
        ({"text": ""}, "empty"),
        ({"label": "maybe"}, "label: Extra inputs"),
        ({"calls": [{"name": "weather"}]}, "arguments: Field required"),
        ({"expected": []}, "expected has 0 calls"),
        ({"calls": [{"name": "weather", "arguments": {}}]}, "required property"),
        ({"expected": [{"name": "weather", "arguments": {"city": {"contains": ["Paris"]}}}]}, "does not accept"),
        ({"expected": [{"name": "weather", "arguments": {}}]}, "says nothing of argument 'city'"),
    ],
)
def test_a_broken_seed_is_named_by_line(tmp_path: Path, change: dict[str, Any], fault: str):
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps({**GOOD, "id": "2", **change}) + "\n")
    with pytest.raises(UserError) as caught:
        read_seeds(path, TOOLS)
    assert caught.value.place == f"{path}:2"
    assert fault in caught.value.fault


def test_an_id_twice_is_named(tmp_path: Path):
    path = tmp_path / "seeds.jsonl"
    path.write_text((json.dumps(GOOD) + "\n") * 2)
    with pytest.raises(UserError, match=r"id '1' stands already at .*:1"):
        read_records(path, Seed)


def test_cases_are_frozen_and_closed():
    with pytest.raises(ValueError):
        Case(id="1", messages=[], tools=[], expected=[])


@pytest.mark.parametrize(
    ("matcher", "value", "right"),
    [
        ("a", "a", True),
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ([1, 2], [2, 1], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"any_of": ["x", 2]}, 2, True),
        ({"any_of": ["x", 2]}, "y", False),
        ({"contains": ["Shiba", "墨鏡"]}, "戴墨鏡的 SHIBA", True),
        ({"contains": ["Shiba"]}, "a cat", False),
        ({"contains": ["3"]}, 3, False),
        ({"any": True, "optional": True}, None, True),
        ("10.5", "105", False),
    ],
)
def test_matchers(matcher: Any, value: Any, right: bool):
    assert accepts(matcher, value) is right


def test_full_width_and_case_do_not_matter_to_contains():
    assert missing_words(["LOGO", "水彩"], "ｌｏｇｏ") == ["水彩"]


def test_equal_keeps_types_apart():
    assert not equal("1", 1)
    assert not equal(None, False)


@pytest.mark.parametrize(
    "matcher", [{"any_of": 3}, {"contains": []}, {"contains": [1]}, {"any": False}, {"any_of": [], "contains": ["a"]}]
)
def test_broken_matchers(matcher: Any):
    assert matcher_fault(matcher)
    assert matcher_fault("a literal") is None
