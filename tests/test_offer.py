"""What rows of many tools offer: the tools, their names and order, and requests that none of them fits."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.records import Call, Example
from tools.rows.build import rows_by_tag
from tools.rows.offer import draw_irrelevant, load_declines, masked_names, renamed, toolboxes, varied

DECLINES = {"en": ["No tool does that.", "I have nothing for it."]}


def tool(name: str, **described: str) -> dict[str, Any]:
    properties = {key: {"type": "string", **({"description": text} if text else {})} for key, text in described.items()}
    parameters = {"type": "object", "properties": properties, "required": list(described)[:1]}
    return {"type": "function", "function": {"name": name, "description": f"Does {name}.", "parameters": parameters}}


TOOLS = [
    tool("light", room="Where.", level="How bright."),
    tool("fan", room="Where."),
    tool("taxi", to="Where to.", at=""),
]


def example(number: int, domain: str, name: str | None, lang: str = "en", **arguments: str) -> Example:
    answer: dict[str, Any] = {"calls": [Call(name=name, arguments=arguments)]} if name else {"calls": [], "reply": "no"}
    tags = {"domain": domain, "lang": lang}
    return Example(id=f"e{number}", text=f"{domain} {number}", tags=tags, lineage=f"l{number}", source="seed", **answer)


EXAMPLES = [
    *(example(n, "home", "light", room="hall", level="low") for n in range(20)),
    *(example(n, "home", "fan", room="hall") for n in range(20, 24)),
    *(example(n, "rides", "taxi", at="noon", to="Lyon") for n in range(24, 44)),
    *(example(n, "rides", None) for n in range(44, 48)),
]
BOXES = toolboxes(EXAMPLES, TOOLS, "domain")


def config(**rows: Any) -> DataConfig:
    return DataConfig(task="t", rows={"tools_by": "domain", "reply_prefix": "", **rows})


def row(*turns: tuple[str, str], tools: list[dict[str, Any]] = TOOLS) -> dict[str, Any]:
    functions = [one["function"] for one in tools]
    conversations = [{"from": role, "value": value} for role, value in turns]
    return {"conversations": conversations, "system": "", "tools": json.dumps(functions)}


def calls_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(turn["value"]) for turn in made["conversations"] if turn["from"] == "function_call"]


def test_a_toolbox_holds_what_earlier_turns_call():
    call = {"id": "1", "type": "function", "function": {"name": "fan", "arguments": '{"room": "hall"}'}}
    talk = Example(
        id="t",
        messages=[{"role": "user", "content": "fan"}, {"role": "assistant", "tool_calls": [call]},
                  {"role": "tool", "tool_call_id": "1", "content": "ok"}],
        calls=[], reply="On.", tags={"domain": "air"}, lineage="t", source="seed",
    )  # fmt: skip
    assert [one["function"]["name"] for one in toolboxes([talk], TOOLS, "domain")["air"]] == ["fan"]


def test_masked_names_are_the_same_in_tools_and_calls():
    made = row(("human", "go"), ("function_call", '{"name": "light", "arguments": {"level": "low", "room": "hall"}}'))
    names = masked_names(json.loads(made["tools"]), Random(1), arguments=True)
    other = renamed(made, names)
    shown = {one["description"]: one for one in json.loads(other["tools"])}
    name, keys = names["light"]
    assert name.startswith("tool_") and set(keys.values()) == {"arg_1", "arg_2"}
    assert calls_of(other) == [{"name": name, "arguments": {keys["room"]: "hall", keys["level"]: "low"}}]
    light = shown["Does light."]["parameters"]
    assert light["properties"][keys["room"]]["description"] == "Where." and light["required"] == [keys["room"]]
    assert "at" in shown["Does taxi."]["parameters"]["properties"], "nothing but its name tells what it is"
    assert json.loads(made["tools"])[0]["name"] == "light", "the row that was given stays"


def test_calls_get_the_order_of_the_schema():
    made = row(("function_call", '{"name": "light", "arguments": {"level": "low", "room": "hall"}}'))
    orders = set()
    for seed in range(12):
        other = varied(made, config(reorder=True), Random(seed))
        order = list(json.loads(other["tools"])[0]["parameters"]["properties"])
        assert list(calls_of(other)[0]["arguments"]) == order
        orders.add(tuple(order))
    assert len(orders) == 2


def test_parallel_calls_and_results_are_renamed_too():
    both = '[{"name": "fan", "arguments": {"room": "a"}}, {"name": "fan", "arguments": {"room": "b"}}]'
    made = row(("human", "fans"), ("function_call", both), ("observation", '{"name": "fan"}'), ("gpt", "fan is on"))
    other = renamed(made, masked_names(json.loads(made["tools"]), Random(2), arguments=True))
    calls = json.loads(other["conversations"][1]["value"])
    assert len({call["name"] for call in calls}) == 1 and calls[0]["name"].startswith("tool_")
    assert other["conversations"][2:] == made["conversations"][2:], "what is said stays"


def test_irrelevant_requests_meet_no_tool_that_fits():
    drawn = draw_irrelevant(EXAMPLES, BOXES, config(irrelevant=0.5), DECLINES)
    assert len(drawn) == 22
    for one in drawn:
        assert not one.example.calls and one.example.reply in DECLINES["en"] and one.example.tags["kind"] == "no_tool"
        assert not one.wanted & {each["function"]["name"] for each in BOXES[one.example.tags["domain"]]}
    rows = rows_by_tag(EXAMPLES, BOXES, config(irrelevant=0.5, distractors=3), 3, declines=DECLINES)
    asked = 0
    for made in rows:
        shown = {one["name"] for one in json.loads(made["tools"])}
        turns = made["conversations"]
        for said, answer in zip(turns[::2], turns[1::2], strict=True):
            if answer["value"] in DECLINES["en"]:
                asked += 1
                (own,) = (one for one in EXAMPLES if one.text == said["value"])
                assert not {call.name for call in own.calls} & shown
    assert asked == len(drawn)


def test_a_language_without_declines_is_left_out():
    german = [example(1, "home", "fan", "de", room="Flur")]
    assert draw_irrelevant(german, BOXES, config(irrelevant=1.0), DECLINES) == []


def test_rows_that_only_call_may_offer_one_tool_alone():
    rows = rows_by_tag(EXAMPLES[:24], BOXES, config(), 2)
    offered = {len(json.loads(made["tools"])) for made in rows}
    assert offered == {1, 2}


@pytest.mark.parametrize("text", ["en: hello\n", "en: []\n", "en: [1]\n", "{}\n"])
def test_declines_of_another_form_are_named(tmp_path: Path, text: str):
    path = tmp_path / "declines.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"declines\.yaml"):
        load_declines(path)


def test_options_for_many_tools_need_a_tag():
    for option in ({"distractors": 2}, {"reorder": True}, {"masked": 0.1}, {"irrelevant": 0.1}):
        with pytest.raises(ValueError, match=f"{next(iter(option))} is for tasks of many tools"):
            DataConfig(task="t", rows=option)
