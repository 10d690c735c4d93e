"""The grammar's form, its faults in words, and what is generated for tools that nobody here ships."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.expectations import content_words, is_free_text
from callwright.records import Call
from callwright.schema import call_fault, canonical_tools
from callwright.tasks import expected_fault
from tools.utterances.augment import GrammarWriter
from tools.utterances.generate import (
    apply_style,
    converted,
    draw_style,
    drop_unmentioned_arguments,
    generate,
    pinned,
)
from tools.utterances.grammar import Grammar, Pattern, SlotValue, places_in
from tools.utterances.grammar_file import load_grammar
from tools.utterances.transform import Draft, apply_transform, swap


def tool(name: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"name": name, "parameters": {"type": "object", "properties": properties, "required": required}}


TOOLS = canonical_tools(
    [
        tool("weather", {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}}, ["city"]),
        tool("remind", {"what": {"type": "string"}, "date": {"type": "string", "format": "date"}}, ["what", "date"]),
        tool(
            "play", {"songs": {"type": "array", "items": {"type": "string"}}, "volume": {"type": "integer"}}, ["songs"]
        ),
    ],
    "tools",
)
GRAMMAR = """
languages: {en: {share: 3}, fr: {share: 1, borrow: {from: en, share: 1, with: [french]}}}
registers: {plain: {share: 3}, polite: {share: 1, native: 0}, shouted: {share: 1, native: 0}}
carriers: {en: {plain: ["hey, {text}"], polite: ["please, {text}", "{text}, thanks"]}}
transforms:
  - {name: french, lang: fr, do: replace, words: {weather: meteo, remind: rappelle, play: joue, like: aime}}
  - {name: shout, lang: [en, fr], register: shouted, do: append, choices: ["!!"]}
slots:
  en:
    city: [Taipei, Oslo, Rome, Lagos, Lima, Quito]
    day: [{text: tomorrow, value: "2026-01-02"}, {text: on Sunday, value: "2026-01-04"}]
    unit: [{text: Celsius, value: celsius}, {text: Fahrenheit, value: fahrenheit}]
    level: [{text: ten, value: 10}, {text: 5, value: 5}]
    chore: ["call the {who}", water the plants]
    who: [dentist, bank]
patterns:
  - id: weather
    lang: en
    register: plain
    kind: ask
    calls: [{name: weather, arguments: {city: "{city}"}}]
    texts:
      - weather in {city}
      - text: ["weather in {city} in {unit}", "{unit} weather for {city}"]
        calls: [{name: weather, arguments: {city: "{city}", unit: "{unit}"}}]
      - text: weather in {city} and in {city.2}
        calls: [{name: weather, arguments: {city: "{city}"}}, {name: weather, arguments: {city: "{city.2}"}}]
  - id: remind
    lang: en
    register: plain
    kind: ask
    calls: [{name: remind, arguments: {what: "{span}", date: "{day}"}}]
    texts: ["remind me {day} to [{chore}]"]
  - id: play
    lang: en
    register: plain
    kind: ask
    calls: [{name: play, arguments: {songs: ["{city}", "{city.2}"], volume: "{level}"}}]
    texts: ["play {city} and {city.2} at {level}"]
  - id: chat
    lang: en
    register: plain
    kind: chat
    texts:
      - do you like {city}?: ["Yes, {city} is lovely.", "Not much."]
      - I like the weather in {city}: So do I.
"""


@pytest.fixture
def grammar(tmp_path: Path) -> Grammar:
    return load(tmp_path, yaml.safe_load(GRAMMAR))


def load(folder: Path, value: dict[str, Any]) -> Grammar:
    path = folder / "grammar.yaml"
    path.write_text(yaml.safe_dump(value, sort_keys=False))
    return load_grammar(path, TOOLS)


def pattern(grammar: Grammar, identity: str) -> Pattern:
    return next(pattern for pattern in grammar.patterns() if pattern.id == identity)


def many(grammar: Grammar, identity: str, count: int = 40) -> list[Draft]:
    rng = Random(1)
    return [generate(pattern(grammar, identity), grammar, TOOLS, rng) for _ in range(count)]


def test_typed_values_are_passed_as_their_type_and_said_as_their_text(grammar: Grammar) -> None:
    said = {"ten": 10, "5": 5}
    for draft in many(grammar, "play-1"):
        volume = draft.calls[0].arguments["volume"]
        assert draft.text.split(" at ")[1] in said
        assert volume == said[draft.text.split(" at ")[1]]
        assert draft.expected[0].arguments["volume"] == volume


def test_an_enum_and_a_date_are_expected_literally_and_free_text_by_its_words(grammar: Grammar) -> None:
    reminder = many(grammar, "remind-1")[0]
    assert reminder.expected[0].arguments["date"] in ("2026-01-02", "2026-01-04")
    assert set(reminder.expected[0].arguments["what"]["contains"]) <= {"call", "dentist", "bank", "water", "plants"}
    assert many(grammar, "weather-2")[0].expected[0].arguments["unit"] in ("celsius", "fahrenheit")


def test_parallel_calls_and_arrays_take_different_values_in_the_order_said(grammar: Grammar) -> None:
    for draft in many(grammar, "weather-3"):
        first, second = (call.arguments["city"] for call in draft.calls)
        assert draft.text == f"weather in {first} and in {second}"
        assert first != second
    songs = many(grammar, "play-1")[0].calls[0].arguments["songs"]
    assert len(set(songs)) == 2


def test_every_generated_call_fits_its_tool_and_its_own_expectation(grammar: Grammar) -> None:
    for each in grammar.patterns():
        for draft in many(grammar, each.id, 20):
            assert [call_fault(call, TOOLS) for call in draft.calls] == [None] * len(each.calls)
            for call, expected in zip(draft.calls, draft.expected, strict=True):
                assert expected_fault(call, expected) is None
            assert (draft.reply is None) == bool(each.calls)


def test_what_is_optional_and_not_said_is_not_passed(grammar: Grammar) -> None:
    call = Call(name="play", arguments={"songs": ["{city}", "{city.2}"], "volume": "{level}"})
    for text, arguments in {
        "play {city} and {city.2} at {level}": call.arguments,
        "play {city}": {"songs": ["{city}"]},
        "play {city.2} at {level}": {"songs": ["{city.2}"], "volume": "{level}"},
        "play": {"songs": ["{city}", "{city.2}"]},  # required, so that the grammar's check names the text
    }.items():
        assert drop_unmentioned_arguments(call, places_in(text), TOOLS).arguments == arguments
    required = Call(name="remind", arguments={"what": "{span}", "date": "{day}"})
    assert drop_unmentioned_arguments(required, places_in("remind me"), TOOLS) == required


PLACES = {"city": {"type": "string"}, "unit": {"enum": ["{unit}", "K"]}, "note": {"type": "string"}}
UNIT, BY_REFERENCE = {"$defs": {"unit": PLACES["unit"]}}, {**PLACES, "unit": {"$ref": "#/$defs/unit"}}
SHAPES: dict[str, dict[str, Any]] = {
    "properties": {"properties": PLACES, "required": ["city"]},
    "$ref": {"$ref": "#/$defs/all", "$defs": {"all": {"properties": PLACES, "required": ["city"]}}},
    "allOf": {"allOf": [{"properties": PLACES}, {"required": ["city"]}]},
    "anyOf": {"properties": PLACES, "anyOf": [{"required": ["city"]}, {"required": ["x"]}]},
    "then": {"properties": PLACES, "if": {"properties": {"city": True}}, "then": {"required": ["city"]}},
    "patternProperties": {
        "properties": {"city": PLACES["city"]},
        "patternProperties": {"^un": PLACES["unit"]},
        "additionalProperties": True,
        "required": ["city"],
    },
    "a property's $ref": {"properties": BY_REFERENCE, "required": ["city"], **UNIT},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_schema_decides_what_is_optional_and_free(shape: str) -> None:
    tools = canonical_tools([{"name": "ask", "parameters": {"type": "object", **SHAPES[shape]}}], "tools")
    call = Call(name="ask", arguments={"city": "{city}", "unit": "{unit}", "note": "{note}"})
    kept = drop_unmentioned_arguments(call, places_in("what about {unit}"), tools)
    assert kept.arguments == {"city": "{city}", "unit": "{unit}"}
    parameters = tools[0]["function"]["parameters"]
    assert is_free_text({"city": "Oslo"}, parameters)
    assert not is_free_text({"unit": "K"}, parameters)


def test_a_transform_leaves_an_enum_alone_where_it_changes_how_it_is_said(grammar: Grammar) -> None:
    grammar.slots["en"]["unit"][0] = grammar.slots["en"]["unit"][0].model_copy(update={"text": "celsius"})
    shout = transform({"do": "upper"})
    said = [apply_transform(shout, draft, Random(1)) for draft in many(grammar, "weather-2")]
    assert all("CELSIUS" in d.text or "FAHRENHEIT" in d.text for d in said if d)
    assert {d.calls[0].arguments["unit"] for d in said if d} == {"celsius", "fahrenheit"}
    assert all(d.calls[0].arguments["city"].isupper() for d in said if d)
    assert all(d and expected_fault(d.calls[0], d.expected[0]) is None for d in said)


def test_a_url_stays_to_the_letter_and_a_schema_may_be_true() -> None:
    page, tags = "https://example.net/b?id=7", {"type": "array", "items": {"enum": ["daily"]}}
    properties = {"url": {"type": "string", "format": "uri"}, "tags": tags, "note": True}
    call = Call(name="open", arguments={"url": page, "tags": ["daily"], "note": "really now"})
    fixed, copied = pinned([call], canonical_tools([tool("open", properties, [])], "tools"))
    assert (fixed, copied) == ({page, "daily"}, {page})
    draft = Draft(f"open {page}, daily, really now?", (call,), fixed=fixed, copied=copied)
    for do, text in {
        "unpunctuate": f"open {page} daily really now",
        "upper": f"OPEN {page}, DAILY, REALLY NOW?",
    }.items():
        after = apply_transform(transform({"do": do}), draft, Random(1))
        note = "REALLY NOW" if do == "upper" else "really now"
        assert after and (after.text, after.calls[0].arguments) == (text, {**call.arguments, "note": note})
    assert all(
        page in typed.text
        for n in range(20)
        if (typed := apply_transform(transform({"do": "keyboard"}), draft, Random(n)))
    )


def test_an_a_within_a_word_gets_no_n(grammar: Grammar) -> None:
    grammar.slots["en"]["city"] = [SlotValue(text="Rosalía"), SlotValue(text="a oak")]
    assert {draft.text for draft in many(grammar, "weather-3")} == {
        "weather in Rosalía and in an oak",
        "weather in an oak and in Rosalía",
    }


def test_a_reply_repeats_the_slot_of_its_text(grammar: Grammar) -> None:
    for draft in many(grammar, "chat-1"):
        city = draft.text.removeprefix("do you like ").rstrip("?")
        assert draft.reply in (f"Yes, {city} is lovely.", "Not much.")


def test_a_manner_does_not_touch_values_that_are_not_said(grammar: Grammar) -> None:
    rng = Random(3)
    for _ in range(60):
        draft = generate(pattern(grammar, "remind-1"), grammar, TOOLS, rng)
        said = apply_style(draft, draw_style(grammar, "en", rng), grammar, rng, borrowed=False)
        assert said is not None
        assert said[0].calls[0].arguments["date"] == draft.calls[0].arguments["date"]


def test_borrowed_lines_are_turned_into_the_language_or_left(grammar: Grammar, tmp_path: Path) -> None:
    config = DataConfig(task="any", seed=1)
    writer = GrammarWriter(config, grammar, TOOLS, Random(1))
    made = [writer.from_pattern("call", "fr", "") for _ in range(12)]
    assert all(e and any(word in e.text for word in ("meteo", "rappelle", "joue")) for e in made)
    assert {e.tags["lang"] for e in made if e} == {"fr"}


def test_a_borrowed_carrier_keeps_its_space(grammar: Grammar) -> None:
    grammar.transforms[0].words["please"] = ["svp"]
    borrow = grammar.languages["fr"].borrow
    assert borrow and converted("please, ", grammar, borrow.with_, Random(1)) == "svp, "
    assert converted(" ", grammar, borrow.with_, Random(1)) == " "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("一隻戴墨鏡的柴犬，水彩風", ["戴墨鏡", "柴犬", "水彩風"]),
        ("一位穿和服的女子在河邊", ["穿和服", "女子", "河邊"]),
        ("the last tree on Earth, low-poly", ["last", "tree", "Earth", "low-poly"]),
        ("it", ["it"]),
    ],
)
def test_content_words(text: str, words: list[str]) -> None:
    assert content_words(text) == words


def transform(grammar_part: dict[str, Any]) -> Any:
    whole = yaml.safe_load(GRAMMAR) | {"transforms": [{"name": "t", "lang": "en", **grammar_part}]}
    whole["languages"] = {"en": {"share": 1}}
    return Grammar.model_validate(whole).transforms[0]


def test_transforms_change_text_and_arguments_alike(grammar: Grammar) -> None:
    draft = next(d for d in many(grammar, "weather-1") if "Taipei" in d.text)
    for part in (
        {"do": "replace", "words": {"Taipei": "Taipeh"}},
        {"do": "upper"},
        {"do": "lower"},
    ):
        after = apply_transform(transform(part), draft, Random(1))
        assert after is not None and after != draft
        city = after.calls[0].arguments["city"]
        assert city in after.text
        assert after.expected[0].arguments["city"] == {"contains": [city]}


def test_replace_leaves_parts_of_longer_latin_words_alone() -> None:
    swap_and = transform({"do": "replace", "words": {"and": "&"}})
    assert apply_transform(swap_and, Draft(text="Rembrandt and sand"), Random(1)) == Draft(text="Rembrandt & sand")
    assert apply_transform(swap_and, Draft(text="Rembrandt"), Random(1)) is None


def test_unpunctuate_keeps_numbers_and_halfwidth_turns_marks() -> None:
    assert apply_transform(transform({"do": "unpunctuate"}), Draft(text="play 3.5, now!"), Random(1)) == Draft(
        text="play 3.5 now"
    )
    free = Draft(text="see a.org/b?id=7 at 5~7?!")
    assert apply_transform(transform({"do": "unpunctuate"}), free, Random(1)) == Draft(text="see a.org/b?id=7 at 5~7")
    assert apply_transform(transform({"do": "halfwidth"}), Draft(text="好，走！"), Random(1)) == Draft(text="好, 走!")


def test_swap_takes_a_whole_word_to_another_of_its_group_everywhere(grammar: Grammar) -> None:
    after = swap(Draft(text="a cat in a catalogue", reply="A cat it is."), [["cat", "dog"]], Random(1))
    assert after == Draft(text="a dog in a catalogue", reply="A dog it is.")
    assert swap(Draft(text="nothing"), [["cat", "dog"]], Random(1)) is None
    assert swap(Draft(text="nothing"), [], Random(1)) is None


BROKEN = {
    "pattern with an unknown slot": (
        lambda g: g["patterns"][0]["texts"].append("weather in {town}"),
        "patterns.weather-4: unknown slot {town}",
    ),
    "empty slot": (lambda g: g["slots"]["en"].update(city=[]), "slots.en.city: is empty"),
    "neither calls nor reply": (
        lambda g: g["patterns"][3]["texts"].append("hello"),
        "patterns.chat-3: has neither calls nor reply",
    ),
    "call that breaks the schema": (
        lambda g: g["slots"]["en"].update(unit=["kelvin"]),
        'patterns.weather-2: weather.unit: "kelvin" is not one of',
    ),
    "unknown tool": (
        lambda g: g["patterns"][0].update(calls=[{"name": "wether", "arguments": {}}]),
        "patterns.weather-1: tool 'wether' is not one of weather, remind, play",
    ),
    "slot in a call that the text does not say": (
        lambda g: g["patterns"][1].update(texts=["remind me [now]"]),
        "patterns.remind-1: the text 'remind me [now]' has no {day}",
    ),
    "span without brackets": (
        lambda g: g["patterns"][1].update(texts=["remind me {day}"]),
        "patterns.remind-1: the text 'remind me {day}' has no [brackets]",
    ),
    "another slot than the text says": (
        lambda g: g["patterns"][0]["texts"].append(
            {"text": "weather in {city}", "calls": [{"name": "weather", "arguments": {"city": "{city.2}"}}]}
        ),
        "patterns.weather-4: the text 'weather in {city}' has no {city.2}",
    ),
    "optional argument of an unknown slot": (
        lambda g: g["patterns"][0]["calls"][0]["arguments"].update(unit="{units}"),
        "patterns.weather-1: unknown slot {units}",
    ),
    "unknown key": (lambda g: g.update(colour="red"), "colour: Extra inputs are not permitted"),
    "unknown language": (lambda g: g["patterns"][0].update(lang="xx"), "patterns.weather-1.lang: no language 'xx'"),
    "unknown register": (lambda g: g["carriers"]["en"].update(rude=["{text}"]), "carriers.en: no register 'rude'"),
    "carrier without text": (
        lambda g: g["carriers"]["en"]["plain"].append("hey"),
        "carriers.en.plain: 'hey' has not exactly one {text}",
    ),
    "transform without its words": (
        lambda g: g["transforms"][0].pop("words"),
        "transforms.french: replace needs words",
    ),
    "borrowing by an unknown transform": (
        lambda g: g["languages"]["fr"]["borrow"].update({"with": ["latin"]}),
        "languages.fr.borrow.with: no transform 'latin'",
    ),
    "slots that hold each other": (
        lambda g: g["slots"]["en"].update(who=["the one who will {chore}"]),
        "slots.en.",
    ),
    "not a regular expression": (
        lambda g: g["transforms"][0].update(unless="("),
        "transforms.0.unless: Input should be a valid regular expression",
    ),
    "no such opencc configuration": (
        lambda g: g["transforms"][0].update(do="opencc", config="tw2xx"),
        "transforms.0.config: Input should be 'hk2s'",
    ),
    "two families of one id": (lambda g: g["patterns"].append(g["patterns"][0]), "patterns.weather: is the id of two"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_faults_name_the_file_and_the_key(case: str, tmp_path: Path) -> None:
    value = yaml.safe_load(GRAMMAR)
    breaks, message = BROKEN[case]
    breaks(value)
    with pytest.raises(UserError) as error:
        load(tmp_path, value)
    place, _, said = str(error.value).removeprefix(f"{tmp_path / 'grammar.yaml'}:").partition(": ")
    assert said.startswith(message)
    key = message.partition(":")[0].split(".")[0]
    lines = (tmp_path / "grammar.yaml").read_text().splitlines()
    assert place.isdecimal() and any(line.startswith(f"{key}:") for line in lines[: int(place)])


@pytest.mark.parametrize(
    ("old", "new", "at", "fault"),
    [
        ("weather in {city} in {unit}", "weather in {citty} in {unit}", "{citty}", "did you mean 'city'?"),
        ("remind me {day} to [{chore}]", "remind me to [{chore}]", "remind me to", "has no {day}"),
        ("do: replace, words", "do: replase, words", "replase", "transforms.0.do: Input should be"),
        (
            "{name: shout, lang",
            "{name: shout, lnag",
            "name: shout",
            "lnag: Extra inputs are not permitted, did you mean",
        ),
        ("value: celsius", "value: kelvin", "weather in {city} in", '"kelvin" is not one of'),
        ("register: plain\n    kind: chat", "register: plane\n    kind: chat", "plane", "(did you mean 'plain'?)"),
    ],
)
def test_faults_name_the_line(old: str, new: str, at: str, fault: str, tmp_path: Path) -> None:
    path, text = tmp_path / "grammar.yaml", GRAMMAR.replace("value: fahrenheit", "value: celsius").replace(old, new)
    path.write_text(text)
    line = text[: text.index(at)].count("\n") + 1
    with pytest.raises(UserError) as error:
        load_grammar(path, TOOLS)
    assert str(error.value).startswith(f"{path}:{line}: ") and fault in str(error.value)


def test_an_unknown_key_is_told_which_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "grammar.yaml"
    path.write_text(GRAMMAR.replace("borrow: {from: en, share: 1, with", "borrow: {form: en, share: 1, with"))
    with pytest.raises(UserError, match="did you mean 'from'"):
        load_grammar(path, TOOLS)
