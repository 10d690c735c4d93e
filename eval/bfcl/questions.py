"""BFCL's questions: read, its tools converted as BFCL converts them, its accepted answers, and the gold known to be bad."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callwright.bfcl import FOLDER, matchers, unfold
from callwright.errors import UserError
from callwright.files import read_jsonl
from callwright.records import Call, Case, Prediction
from callwright.schema import parameters_of
from eval.bfcl import checker
from eval.scoring.verdict import read_call

DATA = FOLDER / "bfcl_eval" / "data"
PREFIX = "BFCL_v4_"

SINGLE_TURN = {
    "simple_python": 400, "multiple": 200, "parallel": 200, "parallel_multiple": 200, "irrelevance": 240,
    "live_simple": 258, "live_multiple": 1053, "live_parallel": 16, "live_parallel_multiple": 24,
    "live_irrelevance": 884, "live_relevance": 16,
}  # fmt: skip
"""the Python categories of one turn, and how many questions each has"""
MULTI_TURN = "multi_turn_base"
CATEGORIES = {**SINGLE_TURN, MULTI_TURN: 200}

DOCUMENTS = {
    "GorillaFileSystem": "gorilla_file_system", "MathAPI": "math_api", "MessageAPI": "message_api",
    "TwitterAPI": "posting_api", "TicketAPI": "ticket_api", "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking", "VehicleControlAPI": "vehicle_control",
}  # fmt: skip
"""the classes that multi-turn questions call, and the name of the file that documents (and of the module that holds) each"""

JSON_TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
"""BFCL's Python types; the others are JSON Schema's own"""

GOLD_FAILS = frozenset({
    "parallel_multiple_12", "parallel_multiple_26", "live_simple_106-63-0", "live_simple_112-68-0",
    "live_multiple_507-149-4", "live_multiple_862-181-3", "live_multiple_964-207-0",
})  # fmt: skip
"""what BFCL's own checker refuses the gold answer of, or rather any answer"""

GOLD_UNFIT = frozenset({
    "parallel_multiple_12", "parallel_multiple_21", "parallel_multiple_26", "parallel_multiple_94",
    "live_simple_71-35-0", "live_simple_106-63-0", "live_simple_112-68-0", "live_multiple_87-38-4",
    "live_multiple_152-58-6", "live_multiple_552-153-1", "live_multiple_595-158-1", "live_multiple_596-158-2",
    "live_multiple_731-167-2", "live_multiple_733-167-4", "live_multiple_735-167-6", "live_multiple_750-169-5",
    "live_multiple_756-169-11", "live_multiple_835-178-10", "live_multiple_862-181-3", "live_multiple_871-182-8",
    "live_multiple_947-197-0", "live_multiple_964-207-0", "live_multiple_1038-265-0", "live_parallel_multiple_2-2-0", "multi_turn_base_173",
})  # fmt: skip
"""of which no accepted answer fits the schema that the model is shown: whoever keeps to the schema is wrong there"""


@dataclass(frozen=True)
class Question:
    """One entry of a category."""

    id: str
    category: str
    turns: list[list[dict[str, Any]]]
    """OpenAI messages; more than one turn only in multi_turn_base"""
    functions: list[dict[str, Any]]
    """BFCL's documents, in its own types"""
    accepted: list[Any]
    """calls with the accepted values of each argument; in multi_turn_base, the source text of a turn's gold calls"""
    config: dict[str, Any] = field(default_factory=dict)
    """what the classes of a multi-turn question begin with"""
    classes: list[str] = field(default_factory=list)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """What a model is offered."""
        return [openai_tool(function) for function in self.functions]

    @property
    def tags(self) -> dict[str, str]:
        """What its result can be sliced by; `known-bad` gold cannot be trusted."""
        return {"category": self.category, "gold": "known-bad" if self.id in GOLD_FAILS | GOLD_UNFIT else "good"}


def read_questions(category: str) -> list[Question]:
    """Read the questions of a category, in BFCL's order.

    Raises:
        UserError: the data is not there, or not whole.
    """
    if not DATA.is_dir():
        raise UserError(FOLDER, "BFCL's data is not there", "run python -m tools.fetch_bfcl")
    name = f"{PREFIX}{category}.json"
    answers: dict[str, Any] = {}
    if (DATA / "possible_answer" / name).exists():  # (ir)relevance has none
        answers = {line["id"]: line["ground_truth"] for _, line in read_jsonl(DATA / "possible_answer" / name)}
    folder = DATA / "multi_turn_func_doc"
    files = {owner: folder / f"{file}.json" for owner, file in DOCUMENTS.items() if category == MULTI_TURN}
    documents = {owner: [line for _, line in read_jsonl(path)] for owner, path in files.items()}
    questions = []
    for _, line in read_jsonl(DATA / name):
        classes = line.get("involved_classes", [])
        functions = line.get("function") or [function for owner in classes for function in documents[owner]]
        accepted, config = answers.get(line["id"], []), line.get("initial_config", {})
        questions.append(Question(line["id"], category, line["question"], functions, accepted, config, classes))
    if len(questions) != CATEGORIES[category]:
        fault = f"{len(questions)} questions, not {CATEGORIES[category]}"
        raise UserError(DATA / name, fault, f"drop {FOLDER.name} and run python -m tools.fetch_bfcl")
    return questions


def data_files(category: str) -> list[Path]:
    """Return the files that decide a category."""
    name = f"{PREFIX}{category}.json"
    return [path for path in (DATA / name, DATA / "possible_answer" / name) if path.exists()]


def openai_tool(function: dict[str, Any]) -> dict[str, Any]:
    """Convert a function document as BFCL sends it to a model with function calling: no dots in names, JSON Schema's types.

    Source: bfcl-eval, model_handler/utils.py, convert_to_tool. What a function returns (`response`, in multi-turn
    documents) is no part of OpenAI's form and stays out.
    """
    parameters = function["parameters"]
    properties = {key: _schema(value) for key, value in parameters["properties"].items()}
    converted = {
        "name": function["name"].replace(".", "_"),
        "description": function["description"] + " Note that the provided function is in Python 3 syntax.",
        "parameters": {**parameters, "type": "object", "properties": properties},
    }
    return {"type": "function", "function": converted}


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    result = _typed(schema)
    if schema.get("type") == "float":
        result |= {"format": "float", "description": schema["description"] + " This is a float type value."}
    return result


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    given = schema.get("type", "string")
    result = {**schema, "type": JSON_TYPES.get(given, given)}
    if "properties" in schema:
        result["properties"] = {key: _schema(value) for key, value in schema["properties"].items()}
    elif "items" in schema:
        result["items"] = _typed(schema["items"])
    return result


def as_case(question: Question) -> Case:
    """Make a case of a single-turn question: strict verdicts want a value that fits the schema as well.

    live_relevance, which accepts any call, expects one of the first tool; see `relevance_case`.
    """
    tools = question.tools
    expected = [_expected(name, values, tools) for one in question.accepted for name, values in one.items()]
    if question.category == "live_relevance":
        expected = [Call(name=tools[0]["function"]["name"], arguments={})]
    own = {"id": question.id, "group": question.id, "tags": question.tags, "messages": question.turns[0]}
    return Case(**own, tools=tools, expected=expected)


def _expected(name: str, values: dict[str, Any], tools: list[dict[str, Any]]) -> Call:
    name = name.replace(".", "_")
    schema = parameters_of(name, tools) or {"properties": {}}
    known = {key: given for key, given in values.items() if key in schema["properties"]}  # 4 bad golds have others
    return Call(name=name, arguments=matchers(known, schema))


def relevance_case(case: Case, prediction: Prediction) -> Case:
    """Adapt a live_relevance case, which any call answers: it expects what was called, whatever the arguments.

    So the strict verdict asks that each call can be read, is of a tool on offer and fits its schema.
    """
    calls = [call for call in map(read_call, prediction.tool_calls) if isinstance(call, Call)]
    anything = [Call(name=call.name, arguments={key: {"any": True} for key in call.arguments}) for call in calls]
    return case.model_copy(update={"expected": anything}) if anything else case


def gold_calls(question: Question) -> list[list[checker.Call]]:
    """Return a right answer, turn by turn: the first accepted value of each argument, one that fits the schema if there is one.

    Where any call will do (live_relevance), one of the first tool; where none is due, none.
    """
    if question.category == MULTI_TURN:
        return [[_parsed(source, question.functions) for source in turn] for turn in question.accepted]
    tools = question.tools
    if question.category == "live_relevance":
        function = tools[0]["function"]
        return [[(function["name"], _sample(function["parameters"]))]]
    return [[_first(name, values, tools) for one in question.accepted for name, values in one.items()]]


def _first(name: str, values: dict[str, Any], tools: list[dict[str, Any]]) -> checker.Call:
    expected, arguments = _expected(name, values, tools), {}
    for key, given in values.items():
        matcher = expected.arguments.get(key, {"any_of": []})
        options = [value for value in matcher["any_of"] if value != ""]  # "" stands for an absent argument
        if not options and "optional" not in matcher:
            options = [value for one in given for value in unfold(one) if value != ""]
        if options:
            arguments[key] = options[0]
    return expected.name, arguments


def _parsed(source: str, functions: Sequence[dict[str, Any]]) -> checker.Call:
    """Read a gold call from its source text, as data; positional arguments get the names of their documents."""
    call = ast.parse(source.strip(), mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise ValueError(f"{source!r} is no call")
    name = call.func.id
    document = next(function for function in functions if function["name"] == name)
    arguments = {
        key: ast.literal_eval(value)
        for key, value in zip(document["parameters"]["properties"], call.args, strict=False)
    }
    return name, arguments | {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}


def _sample(schema: dict[str, Any]) -> Any:
    """Return a value that fits one of BFCL's schemas."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {key: _sample(schema["properties"][key]) for key in schema.get("required", [])}
    return {"string": "x", "integer": 1, "number": 1.0, "boolean": True, "array": []}[schema["type"]]
