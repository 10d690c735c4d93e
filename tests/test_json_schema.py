"""JSON Schema in bounded time: odd and hostile schemas, every draft, and a second opinion on tame ones."""

import json
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from callwright.files import parse_json
from callwright.json_schema import DEEPEST, ArgumentSchema, JsonSchema, Unchecked
from callwright.patterns import portable
from callwright.records import Call
from callwright.schema import call_fault, canonical_tool

BOUND_S = 10.0
"""of one schema and one value, on two slow cores that others use as well; alone it is about a second"""

DRAFTS = {
    "http://json-schema.org/draft-04/schema#": jsonschema.Draft4Validator,
    "http://json-schema.org/draft-06/schema#": jsonschema.Draft6Validator,
    "https://json-schema.org/draft-07/schema": jsonschema.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema.Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema.Draft202012Validator,
}


def faults(schema: Any, value: Any) -> list[str]:
    return [fault.keyword for fault in JsonSchema(schema).faults(value)]


def nested(depth: int, inner: Any = 1) -> Any:
    for _ in range(depth):
        inner = [inner]
    return inner


def doubled(keyword: str, levels: int, **more: Any) -> dict[str, Any]:
    """A schema that a validator would walk in 2 to the power of `levels` ways."""
    defs: dict[str, Any] = {f"l{n}": {keyword: [{"$ref": f"#/$defs/l{n + 1}"}] * 2, **more} for n in range(levels)}
    return {"$ref": "#/$defs/l0", "$defs": {**defs, f"l{levels}": {"type": "integer"}}}


def chain(length: int) -> dict[str, Any]:
    defs: dict[str, Any] = {f"l{n}": {"not": {"$ref": f"#/$defs/l{n + 1}"}} for n in range(length)}
    return {"$ref": "#/$defs/l0", "$defs": {**defs, f"l{length}": {}}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"properties": {"a": schema}}
    return schema


REFUSED = {
    "a $ref to itself": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        "'#/$defs/a' leads back to itself",
    ),
    "by way of another": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}},
        "leads back to itself",
    ),
    "the root": ({"$ref": "#"}, "'#' leads back"),
    "a dynamic reference to nothing": ({"properties": {"x": {"$dynamicRef": "#nope"}}}, "'#nope' leads nowhere"),
    "a dynamic circle": ({"$dynamicAnchor": "n", "$dynamicRef": "#n"}, "leads back"),
    "a recursive reference": (
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "#"},
        "leads back",
    ),
    "another host": ({"items": {"$ref": "http://127.0.0.1:9/y"}}, "nothing is ever fetched"),
    "a file": ({"items": {"$ref": "file:///etc/hostname"}}, "nothing is ever fetched"),
    "nowhere": ({"items": {"$ref": "#/$defs/a"}}, "leads nowhere"),
    "an anchor beside dependencies": (
        {"dependencies": {"a": ["b"]}, "$id": "#", "oneOf": [{"$ref": "#a"}]},
        "'#a' leads nowhere",
    ),
    "no regular expression": ({"items": {"pattern": "(["}}, "is not a"),
    "a pattern that explodes": ({"pattern": "((a{1,1000}){1,1000}){1,1000}"}, "is not a"),
    "many patterns": (
        {"properties": {f"p{n}": {"pattern": f"a{n}"} for n in range(501)}},
        "more than 500 different patterns",
    ),
    "too deep": (deep(100), "nested too deeply"),
    "far too deep": (deep(400), "nested too deeply"),
    "a long chain": (chain(2000), "inside one another"),
    "a far longer one": (chain(30_000), "objects and lists"),
    "unevaluated branches": (doubled("anyOf", 20, unevaluatedProperties=False), "branches beside"),
    "a type of another language": ({"items": {"type": "STRING"}}, 'items: type: "STRING" is not one of'),
    "a multiple of nothing": ({"multipleOf": 0}, "multipleOf"),
    "no number": ({"maximum": float("inf")}, "maximum"),
    "a lone surrogate": ({"properties": {"x\ud800": {}}}, "surrogate"),
    "no schema": (3, "boolean"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_validator_should_be_given_is_refused(name: str):
    schema, fault = REFUSED[name]
    started = time.perf_counter()
    with pytest.raises(ValueError) as caught:
        JsonSchema(schema)
    assert fault in str(caught.value)
    assert time.perf_counter() - started < BOUND_S


LISTS = {"$ref": "#/$defs/n", "$defs": {"n": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/n"}] * 2}}}}
UNCHECKED = {
    "branches in branches": (doubled("anyOf", 30), 1),
    "all of them": (doubled("allOf", 40), 1),
    "one of them": (doubled("oneOf", 30), "x"),
    "a schema that refers to itself twice": (LISTS, nested(50)),
    "a back reference": ({"pattern": r"(a*)*\1b"}, "a" * 3_000),
    "one within a branch": ({"anyOf": [{"type": "null"}, {"pattern": r"(a*)*\1b"}]}, "a" * 3_000),
    "a long text for a pattern that looks ahead": ({"pattern": "(?!x)[ab]+c"}, "ab" * 50_000),
}


@pytest.mark.parametrize("name", UNCHECKED)
def test_what_would_take_too_long_is_given_up(name: str):
    schema, value = UNCHECKED[name]
    started = time.perf_counter()
    with pytest.raises(Unchecked):
        JsonSchema(schema).faults(value)
    assert time.perf_counter() - started < BOUND_S


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {side: {"$ref": "#/$defs/node"} for side in ("left", "right")}}},
}
BIG = 10**400
CHECKED = {
    "a number of 400 digits": ({"multipleOf": 0.01}, BIG, []),
    "that is no multiple": ({"multipleOf": 3}, BIG, ["multipleOf"]),
    "of a number that is hardly one": ({"multipleOf": 1e-320}, 5, []),
    "a decimal": ({"multipleOf": 0.01}, 4.35, []),
    "beyond every float": ({"maximum": 1e308}, BIG, ["maximum"]),
    "a whole number with a point": ({"type": "integer"}, 1.0, []),
    "a pattern that backtracks elsewhere": ({"pattern": "^(a+)+$"}, "a" * 36 + "!", ["pattern"]),
    "one that looks ahead": ({"pattern": r"^(?=.*[A-Z])(?=.*\d).{8,}$"}, "Abcdefg1", []),
    "and is broken": ({"pattern": r"^(?=.*[A-Z])(?=.*\d).{8,}$"}, "abcdefgh", ["pattern"]),
    "20,000 different lists": ({"uniqueItems": True}, [[[n], {"a": n}] for n in range(20_000)], []),
    "200,000 choices": ({"enum": list(range(200_000))}, -1, ["enum"]),
    "a deep tree, one side at a time": (TREE, {"left": {"left": {"left": {"right": {"left": {}}}}}}, []),
    "and a fault in it": (TREE, {"left": {"left": {"left": 3}}}, ["type"]),
    "as deep as a value may be": (True, nested(DEEPEST), []),
    "deeper": (True, nested(DEEPEST + 1), ["size"]),
    "a thousand levels": ({"properties": {"x": {}}}, {"x": nested(1_000)}, ["size"]),
    "100,000 levels": (True, nested(100_000), ["size"]),
    "100,000 faults": ({"additionalProperties": {"type": "string"}}, {f"k{n}": n for n in range(50_000)}, ["schema"]),
    "$ref where it is data": (
        {"enum": [{"$ref": "#/nope"}], "default": {"$ref": "http://x/y"}, "const": {"$ref": "#/nope"}},
        {"$ref": "#/nope"},
        [],
    ),
    "a property that is called $ref": ({"properties": {"$ref": {"type": "string"}}}, {"$ref": "#/nope"}, []),
    "what its draft does not know": (
        {"items": [{}], "$defs": 3, "dependentSchemas": {"a": {"properties": None, "enum": 3, "patternProperties": 0}}},
        {"a": 1},
        [],
    ),
    "an unknown $schema": ({"$schema": "http://127.0.0.1:9/meta", "type": "integer"}, "x", ["type"]),
    "a format": ({"format": "date"}, "tomorrow", []),
    "an older draft's format": (
        {"$schema": "http://json-schema.org/draft-07/schema#", "format": "date"},
        "tomorrow",
        [],
    ),
    "content": ({"$schema": "http://json-schema.org/draft-07/schema#", "contentEncoding": "base64"}, "%", []),
    "not a number": ({"type": "number"}, float("nan"), ["type"]),
    "a lone surrogate": ({"minLength": 3}, "\ud800", ["schema"]),
    "false": (False, 1, ["falseSchema"]),
}


@pytest.mark.parametrize("name", CHECKED)
def test_odd_schemas_and_values_get_their_answer(name: str):
    schema, value, found = CHECKED[name]
    started = time.perf_counter()
    assert [keyword for keyword in faults(schema, value) if keyword] == found
    assert time.perf_counter() - started < BOUND_S


HABITS = {
    "a tuple as items": ({"items": [{"type": "number"}, {"type": "string"}]}, [1, "a"], [1, 2]),
    "and what follows it": ({"items": [{"type": "number"}], "additionalItems": False}, [1], [1, 2]),
    "a Boolean bound": ({"minimum": 0, "exclusiveMinimum": True}, 1, 0),
    "dependencies": ({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}, {"a": 1, "b": 2}, {"a": 1}),
    "definitions": ({"items": {"$ref": "#/definitions/a"}, "definitions": {"a": {"type": "null"}}}, [None], [1]),
    "prefixItems": ({"prefixItems": [{"type": "number"}], "items": False}, [1], [1, 2]),
    "$anchor": ({"items": {"$ref": "#a"}, "$defs": {"x": {"$anchor": "a", "type": "null"}}}, [None], [1]),
    "$id": (
        {"$id": "http://127.0.0.1:9/y", "items": {"$ref": "/y#/$defs/a"}, "$defs": {"a": {"type": "null"}}},
        [None],
        [1],
    ),
    "if, then, else": ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 2}}, "ab", 1),
    "unevaluated": (
        {"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": False},
        {"a": 1, "b": 2},
        {"c": 1},
    ),
    "names": ({"propertyNames": {"pattern": "^x-"}}, {"x-a": 1}, {"a": 1}),
    "nullable": ({"type": "string", "nullable": True}, None, 1),
    "several types": ({"type": ["string", "null"]}, None, 1),
}


@pytest.mark.parametrize("name", HABITS)
def test_every_draft_s_habits_are_known_without_its_name(name: str):
    schema, good, bad = HABITS[name]
    assert not faults(schema, good)
    assert faults(schema, bad)


ECMA = [
    (r"^[\w-\.]+$", "a-b.c", "a b"),
    (r"^[a-\d]+$", "a-7", "b"),
    (r"^\d+$", "12", "١٢"),
    (r"^\p{L}+$", "é書", "1"),
    (r"^a\/b$", "a/b", "ab"),
    (r"^(?<year>\d{4})-\d\d$", "2026-01", "26-01"),
    (r"^(?!\.)a", "ab", ".ab"),
    (r"^\cA$", "\x01", "A"),
    (r"^\u{1F600}$", "😀", "u"),
    (r"^\ud83d\ude00$", "😀", "u"),
    (r"^\u0041$", "A", "u"),
    (r"^a$", "a", "a\n"),
    (r"^{a}$", "{a}", "a"),
    (r"^\{[^{}]*\}$", "{a}", "{{a}}"),
    (r"^[^]$", "\n", ""),
    (r"^[^[\]]+$", "a", "["),
    (r"^[a&&b]+$", "a&b", "c"),
    (r"^\0$", "\0", "0"),
    (r"\Aab\Z", "ab", "ab\n"),
    (r"^(a)\1$", "aa", "ab"),
    (r"^.$", "書", "\n"),
    (r"b", "abc", "ac"),
]


@pytest.mark.parametrize(("pattern", "good", "bad"), ECMA)
def test_patterns_are_read_as_ecma_script_does(pattern: str, good: str, bad: str):
    assert not faults({"pattern": pattern}, good)
    assert faults({"pattern": pattern}, bad) == ["pattern"]
    assert not faults({"patternProperties": {pattern: False}}, {bad: 1})
    assert faults({"patternProperties": {pattern: False}}, {good: 1})


def test_a_good_pattern_stays_as_it_is():
    for pattern in (r"^[\w.+-]+@[a-z-]+\.[a-z]{2,}$", r"\p{L}{1,3}", r"[]a]", r"(?:a|b){2}", r"[\]\-a]", "\\"):
        assert portable(pattern) == pattern


CLOSED = {
    "nothing is said": ({"properties": {"a": {}}}, {"b": 1}, True),
    "no properties": ({}, {"b": 1}, True),
    "named in a branch": ({"allOf": [{"properties": {"b": {}}}]}, {"b": 1}, False),
    "named by what a root refers to": (
        {"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": {}}}}},
        {"b": 1},
        False,
    ),
    "and not there": ({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"b": {}}}}}, {"c": 1}, True),
    "required alone": ({"required": ["b"]}, {"b": 1}, False),
    "others are free": ({"additionalProperties": True}, {"b": 1}, False),
    "others have a schema": ({"additionalProperties": {"type": "string"}}, {"b": "x"}, False),
    "that they break": ({"additionalProperties": {"type": "string"}}, {"b": 1}, True),
    "others are forbidden": ({"additionalProperties": False}, {"b": 1}, True),
    "by pattern": ({"patternProperties": {"^x-": {}}}, {"x-b": 1}, False),
    "a pattern says nothing of the rest": ({"patternProperties": {"^x-": {}}}, {"b": 1}, False),
    "by pattern alone": ({"patternProperties": {"^x-": {}}, "additionalProperties": False}, {"b": 1}, True),
    "by name": ({"propertyNames": {"maxLength": 1}}, {"b": 1}, False),
    "by a name that is too long": ({"propertyNames": {"maxLength": 1}}, {"bb": 1}, True),
    "forbidden in a branch": ({"allOf": [{"properties": {"a": {}}, "additionalProperties": False}]}, {"b": 1}, True),
    "unevaluated": ({"allOf": [{"properties": {"b": {}}}], "unevaluatedProperties": False}, {"b": 1}, False),
    "with what another brings": ({"dependentSchemas": {"a": {"properties": {"b": {}}}}}, {"a": 1, "b": 1}, False),
}


@pytest.mark.parametrize("name", CLOSED)
def test_json_schema_decides_about_unknown_arguments_where_it_says_anything(name: str):
    parameters, arguments, wrong = CLOSED[name]
    tool = canonical_tool({"name": "f", "parameters": parameters})
    fault = call_fault(Call(name="f", arguments=arguments), [tool])
    assert (fault is not None) is wrong
    if wrong and "type" not in json.dumps(parameters) and "maxLength" not in json.dumps(parameters):
        assert fault == f"f has no argument {next(key for key in arguments if key != 'a')!r}"


def test_what_a_draft_does_not_know_names_no_argument():
    schema = ArgumentSchema({"properties": {"a": {"items": [{}]}}, "dependentRequired": [{}], "dependentSchemas": [[]]})
    assert [schema.takes(key) for key in "ab"] == [True, False]


def test_required_arguments_and_single_ones():
    schema = ArgumentSchema({"allOf": [{"$ref": "#/$defs/a"}], "required": ["b"], "$defs": {"a": {"required": ["a"]}}})
    assert sorted(schema.required) == ["a", "b"]
    assert schema.argument_faults("a", 1) == []
    assert [fault.message for fault in schema.argument_faults("c", 1)] == ["no argument 'c'"]


# Odd and hostile: whatever comes, the one function says so in its own words, soon.

NAMES = st.sampled_from(["a", "b", "x", "$ref", "", "é"])
POINTERS = st.sampled_from(
    [
        "#",
        "#/$defs/a",
        "#/$defs/b",
        "#/definitions/a",
        "#/properties/a",
        "#a",
        "",
        "a",
        "http://127.0.0.1:9/a",
        "#/%",
        "/",
    ]
)
PATTERNS = st.sampled_from(
    [
        "^(a+)+$",
        r"(a*)*\1b",
        "(?=a)(a|aa)+$",
        "((a{1,99}){1,99}){1,99}",
        "([",
        "",
        r"[\w-\.]",
        r"\p{L}{1,200}",
        "(?<n>a)",
        r"\Z",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2, 0.01, 1e-320, 1e308, 10**400, 2**63, -0.0, True])
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.sampled_from(["", "a", "aaaaaaaaaaaaaaaaaaaaaaaa!", "x" * 5_000])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
DEEP = st.builds(nested, st.integers(1, 300), VALUES)
URIS = [*DRAFTS, "http://json-schema.org/draft-03/schema#", "http://127.0.0.1:9/meta", 3]


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of keywords, most of them well-formed."""
    named, listed = st.dictionaries(NAMES, inner, max_size=3), st.lists(inner, min_size=1, max_size=3)
    kinds = st.sampled_from(
        ["object", "array", "string", "integer", "number", "null", "STRING", ["string", "null"], []]
    )
    known: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("properties", "$defs", "definitions", "dependentSchemas"), named),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), listed),
        **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames", "additionalItems"), inner),
        **dict.fromkeys(("additionalProperties", "unevaluatedProperties", "unevaluatedItems"), inner | st.booleans()),
        **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "$id", "id"), POINTERS),
        **dict.fromkeys(("$anchor", "$dynamicAnchor"), st.just("a")),
        **dict.fromkeys(("minimum", "maximum", "multipleOf", "exclusiveMinimum", "minLength", "maxItems"), NUMBERS),
        **dict.fromkeys(("enum", "examples"), st.lists(VALUES, max_size=3)),
        **dict.fromkeys(("const", "default"), VALUES),
        "items": inner | listed,
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "dependencies": st.dictionaries(NAMES, inner | st.just(["a"]), max_size=2),
        **dict.fromkeys(("required", "dependentRequired"), st.lists(NAMES, max_size=2) | VALUES),
        "pattern": PATTERNS,
        "uniqueItems": st.booleans(),
        "type": kinds,
        "format": st.sampled_from(["date", "regex", "nonsense"]),
        "$schema": st.sampled_from(URIS),
    }
    some = st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True)
    broken = st.dictionaries(st.sampled_from(sorted(known)), VALUES, max_size=1)
    whole = some.flatmap(lambda keys: st.fixed_dictionaries({key: known[key] for key in keys}))
    return st.builds(lambda good, bad, spoil: {**good, **bad} if spoil == 0 else good, whole, broken, st.integers(0, 9))


ODD = st.recursive(st.booleans() | st.just({}) | st.builds(lambda to: {"$ref": to}, POINTERS), keywords, max_leaves=12)
ARGUMENTS = st.dictionaries(NAMES, VALUES | DEEP, max_size=4)
LOOSE = settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=500)


@LOOSE
@given(ODD, ARGUMENTS)
@example({"$schema": "http://json-schema.org/draft-07/schema#", "dependentSchemas": [[]]}, {})  # no keyword there
def test_no_schema_and_no_call_ends_a_run(schema: Any, arguments: dict[str, Any]):
    started = time.perf_counter()
    try:
        tool = canonical_tool({"name": "f", "parameters": schema})
    except ValueError as error:
        assert str(error)
    else:
        call_fault(Call.model_construct(name="f", arguments=arguments), [tool])
        parse_json(json.dumps(tool))
    assert time.perf_counter() - started < BOUND_S


# Tame: what two libraries must agree on.

TAME_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "b1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def tame(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields, listed = st.dictionaries(st.sampled_from("abc"), inner, max_size=3), st.lists(inner, min_size=1, max_size=3)
    kinds = ["object", "array", "string", "integer", "number", "boolean", "null"]
    counts = st.integers(0, 3)
    known: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(kinds) | st.lists(st.sampled_from(kinds), min_size=1, max_size=2, unique=True),
        "properties": fields,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "[0-9]"]), inner, max_size=2),
        "required": st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
        "enum": st.lists(
            TAME_VALUES, min_size=1, max_size=3, unique_by=lambda value: json.dumps(value, sort_keys=True)
        ),
        "pattern": st.sampled_from(["^a", "b$", "[0-9]", "^(a|b)+$"]),
        "multipleOf": st.integers(1, 3),
        "uniqueItems": st.booleans(),
        **dict.fromkeys(("minimum", "maximum"), st.integers(-2, 2)),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), counts),
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), listed),
        **dict.fromkeys(("not", "items", "additionalProperties"), inner),
    }
    some = st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True)
    return some.flatmap(lambda keys: st.fixed_dictionaries({key: known[key] for key in keys}))


TAME = st.recursive(st.just({}) | st.just({"$ref": "#/definitions/a"}), tame, max_leaves=8)


@LOOSE
@given(st.sampled_from(sorted(DRAFTS)), TAME, tame(st.just({})), TAME_VALUES)
def test_two_libraries_agree_on_tame_schemas(draft: str, schema: Any, shared: Any, value: Any):
    schema = {**schema, "$schema": draft, "definitions": {"a": shared}}
    assert (not faults(schema, value)) == DRAFTS[draft](schema).is_valid(value)
