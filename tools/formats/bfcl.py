"""BFCL (bfcl-eval's data): evaluation cases only. Its questions must never be trained on."""

from itertools import product
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from callwright.files import read_jsonl
from callwright.records import Call, Case
from callwright.schema import parameters_of
from tools.formats.conversation import Tool, list_of_objects, text_of, tools_of
from tools.formats.python_text import json_schema_tool

LIMIT = 1000
"""accepted values that one argument may unfold into"""
SOURCE_TEXT = ("simple_java", "java")
Answers = dict[str, Any]


def read_answers(path: Path) -> Answers:
    """Accepted answers by id, from the folder `possible_answer` beside a file of questions; {} where there is none."""
    beside = path.parent / "possible_answer" / path.name
    if beside not in beside.parent.glob("*"):
        return {}
    return {str(value.get("id")): value.get("ground_truth") for _, value in read_jsonl(beside)}


def read_case(record: dict[str, Any], answers: Answers) -> Case:
    """One question as a case: each argument accepts BFCL's list of values; "" in it lets the argument be absent.

    Raises:
        ValueError: several turns, no known answer (live_relevance has none), or no accepted value that fits the schema.
    """
    identity = text_of(record.get("id"), "id")
    question = record.get("question")
    if not isinstance(question, list) or len(question) != 1:
        raise ValueError("not one turn: multi-turn questions need BFCL's own simulation")
    if identity.startswith(SOURCE_TEXT):
        raise ValueError("accepted values are Java's or JavaScript's source text, not JSON")
    tools = tools_of(map(json_schema_tool, list_of_objects(record.get("function"), "function")))
    truth = record.get("ground_truth", answers.get(identity))
    if truth is None and "irrelevance" not in identity:
        raise ValueError(f"{identity!r} has no accepted answer")
    category = identity.rstrip("0123456789-").rstrip("_")
    return Case(
        id=identity,
        messages=list_of_objects(question[0], "question"),
        tools=tools,
        expected=[_expected(call, tools) for call in list_of_objects(truth or [], "ground_truth")],
        tags={"category": category},
        group=identity,
    )


def _expected(call: dict[str, Any], tools: list[Tool]) -> Call:
    if len(call) != 1:
        raise ValueError(f"an accepted answer of {len(call)} calls")
    [(name, arguments)] = call.items()
    schema = parameters_of(name, tools)
    if schema is None or not isinstance(arguments, dict):
        raise ValueError(f"the accepted call of {name!r} fits no tool")
    expected = {}
    for key, accepted in arguments.items():
        if not isinstance(accepted, list) or key not in schema["properties"]:
            raise ValueError(f"accepted argument {key!r} of {name!r} is not in its schema, or no list")
        validator = Draft202012Validator(schema["properties"][key])
        literals = [value for given in accepted for value in unfold(given)]
        absent = "" in accepted and key not in schema.get("required", [])
        fitting = [value for value in literals if validator.is_valid(value)]
        if not fitting and not absent:
            raise ValueError(f"no accepted value of argument {key!r} of {name!r} fits its schema")
        expected[key] = {"any_of": fitting, **({"optional": True} if absent else {})}
    return Call(name=name, arguments=expected)


def unfold(given: Any) -> list[Any]:
    """The values that an accepted one stands for: in an object, each key has a list of its own ("": may be absent)."""
    if isinstance(given, list):
        choices: list[list[Any]] = [unfold(item) for item in given]
        return [list(values) for values in product(*_bounded(choices))]
    if not isinstance(given, dict):
        return [given]
    choices = []
    for accepted in given.values():
        items = accepted if isinstance(accepted, list) else [accepted]
        choices.append([value for item in items for value in unfold(item)])
    return [
        {key: value for key, value in zip(given, values, strict=True) if value != ""}
        for values in product(*_bounded(choices))
    ]


def _bounded(choices: list[list[Any]]) -> list[list[Any]]:
    count = 1
    for choice in choices:
        count *= len(choice)
        if count > LIMIT:
            raise ValueError(f"an accepted answer unfolds into more than {LIMIT} values")
    return choices
