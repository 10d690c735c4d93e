"""What `make new` draws for an argument, and how it says it."""

import re
import time
from datetime import date
from typing import Any

import pytest

from callwright.schema import canonical_tool
from callwright.yaml_config import read_yaml
from tools.utterances.starter.arguments import argument_sets, inlined
from tools.utterances.starter.hints import said_examples, variants
from tools.utterances.starter.regex import matching
from tools.utterances.starter.values import Values, fits
from tools.utterances.starter.wording import GROUPS, TEMPLATES, Wording, lexicon

PHRASES = read_yaml(TEMPLATES / "phrases.yaml")
EN, ZH = (Wording(lang, PHRASES[lang]) for lang in ("en", "zh-TW"))


def drawn(schema: Any, name: str = "thing", group: str = "grammar", wording: Wording = EN) -> list[Any]:
    values = Values(wording, group).of(schema, name)
    assert all(fits(schema, value) for value in values)
    return values


@pytest.mark.parametrize(
    "pattern",
    [
        r"^evt_[a-z0-9]{8}$",
        r"^[A-Z]{3}-\d{5}$",
        r"^(?=.*[A-Z])(?=.*\d).{8,16}$",
        r"^[^aeiou]{4,}$",
        r"^(\d{1,3}\.){3}\d{1,3}$",
        r"^(a+)+$",
        r"\d+",
        r"^(?:red|green|blue|black)-[1-9]$",
    ],
)
def test_a_pattern_gives_many_values(pattern: str) -> None:
    values = drawn({"type": "string", "pattern": pattern})
    assert len(values) >= 4 and max(map(len, values)) <= 60
    one_example = drawn({"type": "string", "pattern": pattern, "examples": values[:1]})
    assert one_example[0] == values[0] and len(one_example) >= 4, "with one example as well"
    assert set(drawn({"type": "string", "pattern": pattern}, group="golden")) != set(values)


@pytest.mark.parametrize(
    ("pattern", "python"),
    [
        (r"^[\w-\.]+@x$", r"^[\w.-]+@x$"),
        (r"^(?<year>\d{4})-\k<year>$", r"^(\d{4})-\1$"),
        (r"^\p{Lu}\p{Ll}+$", r"^[A-Z][a-z]+$"),
        (r"^[\p{L}\p{Nd}]{3}$", r"^[A-Za-z0-9]{3}$"),
        (r"^\u{41}B$", r"^AB$"),
        (r"^a\/b$", r"^a/b$"),
    ],
)
def test_what_ecma_writes_otherwise(pattern: str, python: str) -> None:
    texts = list(matching(pattern, "seed"))
    assert texts and all(re.search(python, text) for text in texts)


@pytest.mark.parametrize(
    "pattern", ["((a{900}){900}){900}", "(", "[z-a]", r"\p{L", "(?P=x)", "(?<=a)b" * 400, "(" * 300 + ")" * 300]
)
def test_a_hostile_pattern_ends_soon(pattern: str) -> None:
    start = time.monotonic()
    assert all(len(text) < 5_000 for text in matching(pattern, "seed"))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("description", "examples"),
    [
        ("City name, e.g. Taipei or San Francisco.", ["Taipei", "San Francisco"]),
        ("The city and state, e.g. San Francisco, CA", ["San Francisco, CA"]),
        ("A colour such as red, green or blue; default none", ["red", "green", "blue"]),
        ('SQL, for example "SELECT a, b FROM t" or "SELECT 1".', ["SELECT a, b FROM t", "SELECT 1"]),
        ("城市名稱，例如：台北、高雄", ["台北", "高雄"]),
        ("幣別，如 TWD、USD 等", ["TWD", "USD"]),
        ("Der Raum, z. B. Küche oder Bad", ["Küche", "Bad"]),
        ("Units (e.g. 'kg', 'lb')", ["kg", "lb"]),
        ("Branch, e.g. ``main``, ``dev`` or ``release/1.0``.", ["main", "dev", "release/1.0"]),
        ("A pattern, e.g. ``a; b`` or ``f(`x`)``", ["a; b", "f(`x`)"]),
        ("A key, such as ```x``` or `y`.", ["x", "y"]),
        ('A greeting, e.g. "Hello; you. There".', ["Hello; you. There"]),
        ("如果沒有就留空", []),
        ("what you would like to eat", []),
    ],
)
def test_examples_of_a_description(description: str, examples: list[str]) -> None:
    assert said_examples(description) == examples


RANGES = [
    *(("start_date", "end_date"), ("from", "to"), ("after", "before"), ("gte", "lte"), ("opens_at", "closes_at")),
    *(("earliest", "latest"), ("check_in", "check_out"), ("pickup_date", "dropoff_date"), ("min_date", "max_date")),
]


@pytest.mark.parametrize("begin_end", RANGES)
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date", "description": "A day, e.g. 2026-03-05"},
        {"type": "string", "format": "date", "examples": ["2027-06-01", "2025-01-31"]},
        {"type": "string", "description": "As HH:MM"},
    ],
)
@pytest.mark.parametrize("group", GROUPS)
def test_nothing_ends_before_it_begins(begin_end: tuple[str, str], schema: dict[str, Any], group: str) -> None:
    begin, end = begin_end
    window = {"type": "object", "properties": dict.fromkeys(begin_end, schema), "required": list(begin_end)}
    tool = canonical_tool({"name": "f", "parameters": window})
    for wording in (EN, ZH):
        objects = drawn(window, "search/window", group, wording)
        assert objects and all(value[begin] < value[end] for value in objects)
        [table] = argument_sets(tool, [tool], Values(wording, group))
        assert max(table.columns[begin]) < min(table.columns[end]), "every day goes with every other"


def test_other_digits_make_no_day() -> None:
    for value in drawn({"type": "string", "format": "date", "description": "e.g. 2026-03-05"}, "day"):
        date.fromisoformat(value)


@pytest.mark.parametrize(
    ("key", "schema", "name"),
    [
        ("guest_name", {"title": "訂位人", "description": "訂位人的全名，必填"}, "訂位人"),
        ("subject", {"description": "信件主旨，必填"}, "信件主旨"),
        ("subject", {"title": "Subject"}, "主旨"),
        ("project", {}, "專案"),
        ("city", {}, "城市"),
    ],
)
def test_an_argument_is_called_what_its_schema_calls_it(key: str, schema: dict[str, Any], name: str) -> None:
    assert ZH.name(key, schema) == name


def test_the_authors_values_come_first_and_codes_get_other_digits() -> None:
    values = drawn({"type": "string", "description": "Order number, e.g. PO-20391"}, "ref")
    assert values[0] == "PO-20391" and len(values) == 6
    assert all(re.fullmatch(r"PO-\d{5}", value) for value in values)
    assert drawn({"type": "integer", "description": "a year, e.g. 1999, 2005 or 2020"})[:3] == [1999, 2005, 2020]
    assert list(variants("Taipei 1", "x")) == []
    assert drawn({"type": "string", "description": "e.g. low or high"}, "grade") == ["low", "high"], (
        "nothing odd beside"
    )
    assert drawn({"type": "string", "description": "e.g. EUR"}, "into")[1:] != drawn({"type": "string"}, "into")[1:]
    assert set(drawn({"type": "string", "description": "e.g. EUR"}, "into")) <= set(EN.of(EN.role("currency")))


@pytest.mark.parametrize(
    "form", ["date", "time", "date-time", "email", "uri", "uuid", "ipv4", "ipv6", "duration", "hostname"]
)
def test_formats(form: str) -> None:
    values = [drawn({"type": "string", "format": form}, group=group) for group in GROUPS]
    assert all(len(set(some)) >= 3 for some in values)
    if form == "date":
        assert all(date.fromisoformat(value) for some in values for value in some)


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"type": "integer", "minimum": -5, "maximum": -1}, "delta"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "ratio"),
        ({"type": "integer", "multipleOf": 25, "minimum": 100}, "step"),
        ({"type": "number", "multipleOf": 0.01}, "price"),
        ({"type": "integer", "minimum": 10**6}, "big"),
        ({"type": "string", "minLength": 80}, "essay"),
        ({"type": "string", "minLength": 2, "maxLength": 2}, "zz"),
        ({"type": "array", "items": {"type": "string"}, "minItems": 3, "maxItems": 3, "uniqueItems": True}, "labels"),
        ({"anyOf": [{"type": "string", "format": "email"}, {"type": "string", "format": "uuid"}]}, "to"),
        ({"type": ["string", "null"], "maxLength": 20}, "memo"),
    ],
)
def test_bounds(schema: Any, name: str) -> None:
    assert len(drawn(schema, name)) >= 4


@pytest.mark.parametrize(
    "schema", [{"multipleOf": 10**400}, {"type": "integer", "minimum": 10**400}, {"maximum": True}]
)
def test_hostile_bounds_raise_nothing(schema: Any) -> None:
    Values(EN, "grammar").suggested({**schema, "type": "number"}, "x", 6)


def test_leaves_of_an_object_differ_and_optional_ones_come_and_go() -> None:
    address = {
        "type": "object",
        "properties": {key: {"type": "string"} for key in ("street", "city", "zip", "country", "foo", "bar")},
        "required": ["street", "city"],
    }
    for wording in (EN, ZH):
        values = drawn(address, "address", wording=wording)
        assert all(len(set(value.values())) == len(value) for value in values if len(value) < 5)
        assert {len(value) for value in values} == {2, 6}
        assert values[0]["city"] in wording.of(wording.role("city"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "contains": {"const": 5}},
        {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]{2}$"},
            "additionalProperties": {"type": "number"},
            "minProperties": 2,
        },
        {"type": "object", "patternProperties": {"^x-[a-z]+$": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer", "maximum": 9}, "minItems": 2, "maxItems": 2},
        },
    ],
)
def test_tuples_maps_and_lists_of_lists(schema: Any) -> None:
    values = drawn(schema, "grid")
    assert len(values) >= 4 and all(values)


def test_what_is_listed_is_all_there() -> None:
    assert drawn({"enum": [f"v{number}" for number in range(30)]}) == [f"v{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("wording", "tool", "asks"),
    [
        (EN, ("get_weather", "Get the current weather for a city."), ("get the current weather", "get the weather")),
        (EN, ("billing.invoices.create", "Creates an invoice"), ("create an invoice", "create billing invoices")),
        (EN, ("listDevices", ""), ("list devices", "list devices")),
        (EN, ("whois", "WHOIS."), ('run "whois"', 'run "whois"')),
        (EN, ("turn_on", "Turn the lamps of a room on."), ("turn on", "turn on")),
        (EN, ("turn_off_lamp", "Turn off the lamp of a room."), ("turn off the lamp", "turn off the lamp")),
        (EN, ("logs_in", ""), ("log in", "log in")),
        (ZH, ("turn_on", "Turn on a lamp."), ("打開", "打開")),
        (ZH, ("turn_off_light", ""), ("關掉燈", "關掉燈")),
        (ZH, ("create_event", "Create an event"), ("建立活動", "建立活動")),
        (ZH, ("book", "查詢天氣，可選日期。"), ("查詢天氣", "預訂")),
    ],
)
def test_how_a_tool_is_asked_for(wording: Wording, tool: tuple[str, str], asks: tuple[str, str]) -> None:
    assert wording.asks({"function": {"name": tool[0], "description": tool[1]}}) == asks


@pytest.mark.parametrize(
    ("wording", "key", "schema", "value", "told"),
    [
        (EN, "start", {"format": "date-time"}, "2026-03-05T08:30:00Z", "March 5, 2026 at 08:30 UTC"),
        (ZH, "start", {"format": "date-time"}, "2026-03-05T08:30:00Z", "2026年3月5日 08:30 UTC"),
        (EN, "start", {"format": "date-time"}, "2026-03-05T08:30:10+02:00", "2026-03-05T08:30:10+02:00"),
        (EN, "day", {"format": "date"}, "2026-03-06", "2026-03-06"),
        (EN, "day", {"format": "date"}, "2026-02-31", "2026-02-31"),
        (EN, "wait", {"format": "duration"}, "PT1H", "1 hour"),
        (ZH, "wait", {"format": "duration"}, "P3D", "3 天"),
        (EN, "include_tax", {"type": "boolean"}, False, "without tax"),
        (ZH, "all_day", {"type": "boolean"}, True, "整天：是"),
        (EN, "who", {}, [{"name": "Mei", "email": "m@x.org"}, {"name": "Sam"}], "Mei, m@x.org; Sam"),
        (EN, "size", {}, {"width": 3, "height": 4}, "width 3, height 4"),
    ],
)
def test_how_a_value_is_said(wording: Wording, key: str, schema: Any, value: Any, told: str) -> None:
    assert wording.spoken_value(value, key, schema) == told


@pytest.mark.parametrize("key", ["allOf", "anyOf", "oneOf"])
def test_arguments_of_branches_are_arguments(key: str) -> None:
    branches = [{"properties": {"a": {"type": "string"}}}, {"$ref": "#/$defs/b"}]
    defined = {"b": {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}}
    tool = {"function": {"name": "x", "parameters": {"type": "object", key: branches, "$defs": defined}}}
    assert set(inlined(tool)["properties"]) == {"a", "b"}


def test_the_lexicon_has_things_enough_for_every_group() -> None:
    for role in lexicon()["roles"]:
        for lang in ("en", "zh-TW"):
            things = role[lang].get("things")
            assert things is None or len(set(things)) == 12, role["words"][0]
            assert "{value}" in role[lang]["say"]
    assert all({"en", "zh-TW"} < PHRASES.keys() and len(PHRASES[lang]["things"]) == 12 for lang in ("en", "zh-TW"))
