"""What the rows of a task of many tools offer: which tools, in which order and under which names, and which requests none of
them fits (`rows.tools_by` in configs/data/<task>.yaml)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.files import parse_json, to_json
from callwright.records import Example, Seed
from callwright.yaml_config import read_yaml
from tools.formats import call_turn

DECLINES = "declines.yaml"
Tool = dict[str, Any]


def called(seed: Seed) -> set[str]:
    """Return the names of the tools that a seed calls, earlier turns included."""
    earlier = (call for message in seed.messages or () for call in message.get("tool_calls") or ())
    return {call.name for call in seed.calls} | {call["function"]["name"] for call in earlier}


def toolboxes(seeds: Iterable[Seed], tools: Sequence[Tool], tag: str) -> dict[str, list[Tool]]:
    """Map each value of a tag to the tools, in the order of tools.json, that calls of seeds with that value name."""
    names: dict[str, set[str]] = {}
    for seed in seeds:
        names.setdefault(seed.tags.get(tag, ""), set()).update(called(seed))
    return {value: [tool for tool in tools if tool["function"]["name"] in used] for value, used in names.items()}


def load_declines(path: Path) -> dict[str, list[str]]:
    """Read what is said where no tool on offer fits: language → sentences.

    Raises:
        UserError: naming the file, for a missing file or one of another form.
    """
    sentences = read_yaml(path)
    good = all(
        isinstance(some, list) and some and all(isinstance(one, str) for one in some) for some in sentences.values()
    )
    if not sentences or not good:
        raise UserError(
            path, "is not language → a list of sentences", "data/seeds/many_tools/declines.yaml shows the form"
        )
    return sentences


@dataclass(frozen=True)
class Irrelevant:
    """A request that meets the tools of another tag value, none of which fits."""

    example: Example
    wanted: set[str]
    """The tools that would fit: they must not be on offer."""


def draw_irrelevant(
    examples: Sequence[Example],
    boxes: Mapping[str, Sequence[Tool]],
    config: DataConfig,
    declines: Mapping[str, list[str]],
) -> list[Irrelevant]:
    """Draw requests that call a tool, and turn each into one that no tool fits, under another value of `rows.tools_by`.

    Args:
        boxes: value of the tag → its tools.
        declines: language → sentences; an example in a language that has none is not drawn.
    """
    rng, tag = Random(f"{config.seed}/irrelevant"), str(config.rows.tools_by)
    calls = [one for one in examples if one.text and one.calls and one.tags.get("lang") in declines]
    drawn = []
    for one in rng.sample(calls, round(config.rows.irrelevant * len(calls))):
        values = [value for value, box in boxes.items() if not called(one) & {tool["function"]["name"] for tool in box}]
        tags = {**one.tags, "kind": "no_tool", tag: rng.choice(values)}
        reply = rng.choice(declines[one.tags["lang"]])
        update: dict[str, Any] = {
            "id": f"{one.id}-irrelevant",
            "calls": [],
            "expected": None,
            "reply": reply,
            "tags": tags,
        }
        drawn.append(Irrelevant(one.model_copy(update=update), called(one)))
    return drawn


def offer(group: Sequence[Seed], own: Sequence[Tool], others: Sequence[Tool], most: int, rng: Random) -> list[Tool]:
    """Draw what a row offers: its own tools and up to `most` others, in any order.

    Where every line of the row calls, its own tools that none calls are left out of a third of the rows: a user may have
    one tool alone.
    """
    if all(seed.calls for seed in group) and rng.random() < 1 / 3:
        used = set().union(*map(called, group))
        own = [tool for tool in own if tool["function"]["name"] in used]
    drawn = [*own, *rng.sample(list(others), min(rng.randint(0, most), len(others)))]
    rng.shuffle(drawn)
    return drawn


def masked_names(tools: Sequence[Tool], rng: Random, arguments: bool) -> dict[str, tuple[str, dict[str, str]]]:
    """Map each tool's name to another one (tool_1, tool_2, …, in an order drawn) and its arguments to other ones.

    Args:
        tools: as a row holds them: name, description, parameters.
        arguments: whether arguments that a description tells apart get other names (arg_1, …), too.
    """
    order = rng.sample(range(1, len(tools) + 1), len(tools))
    names: dict[str, tuple[str, dict[str, str]]] = {}
    for tool, number in zip(tools, order, strict=True):
        properties = (tool.get("parameters") or {}).get("properties") or {}
        told = [key for key, schema in properties.items() if arguments and schema.get("description")]
        numbers = rng.sample(range(1, len(told) + 1), len(told))
        names[tool["name"]] = (f"tool_{number}", {key: f"arg_{n}" for key, n in zip(told, numbers, strict=True)})
    return names


def renamed(row: dict[str, Any], names: Mapping[str, tuple[str, dict[str, str]]]) -> dict[str, Any]:
    """Rename tools and arguments of a row alike in `tools` and in every call, whose arguments get the order of the schema.

    Args:
        names: tool → its name and those of its arguments; what is not in it keeps its name. A call of a tool that the row
            does not offer becomes one of tool_0 where tools have other names.
    """
    tools = [renamed_tool(tool, names) for tool in parse_json(row["tools"])]
    orders = {tool["name"]: list((tool.get("parameters") or {}).get("properties") or {}) for tool in tools}

    def renamed_call(call: dict[str, Any]) -> dict[str, Any]:
        name, keys = names.get(call["name"], ("tool_0", {}))
        arguments = {keys.get(key, key): value for key, value in call["arguments"].items()}
        order = [key for key in orders.get(name, ()) if key in arguments]
        return {**call, "name": name, "arguments": {key: arguments[key] for key in (*order, *arguments)}}

    turns = []
    for turn in row["conversations"]:
        if turn["from"] == "function_call":
            held = call_turn.read(turn["value"])
            turn = {**turn, "value": call_turn.write(held.thought, held.words, list(map(renamed_call, held.calls)))[0]}
        turns.append(turn)
    return {**row, "conversations": turns, "tools": to_json(tools)}


def renamed_tool(tool: Tool, names: Mapping[str, tuple[str, dict[str, str]]]) -> Tool:
    """Rename a tool and its arguments."""
    name, keys = names[tool["name"]]
    parameters = tool.get("parameters") or {}
    if keys:
        properties = {keys.get(key, key): schema for key, schema in parameters["properties"].items()}
        parameters = {**parameters, "properties": properties}
        if "required" in parameters:
            parameters["required"] = [keys.get(key, key) for key in parameters["required"]]
    return {**tool, "name": name, **({"parameters": parameters} if "parameters" in tool else {})}


def reordered(row: dict[str, Any], rng: Random) -> dict[str, Any]:
    """Put the arguments of a row's tools, and of its calls with them, in another order."""
    tools = parse_json(row["tools"])
    for tool in tools:
        properties = (tool.get("parameters") or {}).get("properties")
        if properties:
            tool["parameters"]["properties"] = dict(rng.sample(list(properties.items()), len(properties)))
    return renamed({**row, "tools": to_json(tools)}, {tool["name"]: (tool["name"], {}) for tool in tools})


def varied(row: dict[str, Any], config: DataConfig, rng: Random) -> dict[str, Any]:
    """Write a row with what `rows.reorder` and `rows.masked` ask for."""
    if config.rows.reorder:
        row = reordered(row, rng)
    if rng.random() < config.rows.masked:
        row = renamed(row, masked_names(parse_json(row["tools"]), rng, arguments=True))
    return row
