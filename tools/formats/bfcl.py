"""BFCL (bfcl-eval's data): evaluation cases only. Its questions must never be trained on."""

from pathlib import Path
from typing import Any

from callwright.bfcl import matchers
from callwright.files import read_jsonl
from callwright.records import Call, Case
from callwright.schema import parameters_of
from tools.formats.conversation import Tool
from tools.formats.python_text import python_tool
from tools.formats.tool import read_tools
from tools.formats.values import list_of_objects, text_of

SOURCE_TEXT = ("simple_java", "java")
Answers = dict[str, Any]


def read_answers(path: Path) -> Answers:
    """Read the accepted answers by id, from the folder `possible_answer` beside a file of questions; {} where there is none."""
    beside = path.parent / "possible_answer" / path.name
    if beside not in beside.parent.glob("*"):
        return {}
    return {str(value.get("id")): value.get("ground_truth") for _, value in read_jsonl(beside)}


def read_case(record: dict[str, Any], answers: Answers) -> Case:
    """Read one question as a case: each argument accepts BFCL's list of values; "" in it lets the argument be absent.

    Raises:
        ValueError: several turns, no known answer (live_relevance has none), or no accepted value that fits the schema.
    """
    identity = text_of(record.get("id"), "id")
    question = record.get("question")
    if not isinstance(question, list) or len(question) != 1:
        raise ValueError("not one turn: multi-turn questions need BFCL's own simulation")
    if identity.startswith(SOURCE_TEXT):
        raise ValueError("accepted values are Java's or JavaScript's source text, not JSON")
    tools, _ = read_tools(list_of_objects(record.get("function"), "function"), python_tool)
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
    expected = matchers(arguments, schema)
    for key, matcher in expected.items():
        if not matcher["any_of"] and "optional" not in matcher:
            raise ValueError(f"no accepted value of argument {key!r} of {name!r} fits its schema")
    return Call(name=name, arguments=expected)
