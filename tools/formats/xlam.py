"""xlam-function-calling-60k: query, tools and answers, with the tools' parameters as flat Python types."""

from typing import Any

from tools.formats.conversation import Conversation, Talk, kind, list_of_objects, only, tools_of
from tools.formats.python_text import type_schema


def read(record: dict[str, Any]) -> Conversation:
    """One question and its calls."""
    talk = Talk()
    talk.say("user", record.get("query"))
    answers = list_of_objects(record.get("answers"), "answers")
    if not answers:
        raise ValueError("no answers: nothing to train on")
    for answer in answers:
        only(answer, ("name", "arguments", "id"), "an answer")
    talk.call((answer.get("name"), answer.get("arguments")) for answer in answers)
    return Conversation(talk.messages, tools_of(list_of_objects(record.get("tools"), "tools"), _shaped))


def _shaped(tool: dict[str, Any]) -> dict[str, Any]:
    if isinstance(tool.get("function"), dict):
        tool = tool["function"]
    parameters = tool.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"parameters of {tool.get('name')!r} are {kind(parameters)}, not an object")
    return tool if parameters.get("type") == "object" else {**tool, "parameters": _object(parameters)}


def _object(parameters: dict[str, Any]) -> dict[str, Any]:
    """An object schema. Required is what neither is called optional nor has a default."""
    properties, required = {}, []
    for name, given in parameters.items():
        if not isinstance(given, dict) or not isinstance(given.get("type"), str):
            raise ValueError(f"parameter {name!r} has no type")
        schema, optional = type_schema(given["type"])
        properties[name] = {**schema, **{key: value for key, value in given.items() if key not in ("type", "required")}}
        if given.get("required", not optional and "default" not in given):
            required.append(name)
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}
