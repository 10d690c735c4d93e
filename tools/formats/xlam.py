"""xlam-function-calling-60k: query, tools and answers, with the tools' parameters as flat Python types."""

import json
from functools import lru_cache
from typing import Any

from callwright.files import to_json
from tools.formats.conversation import Conversation, Talk, Tool, kind, list_of_objects, only, tools_of
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
    tools = [_tool(to_json(tool)) for tool in list_of_objects(record.get("tools"), "tools")]
    return Conversation(talk.messages, tools)


@lru_cache(maxsize=4096)
def _tool(text: str) -> Tool:
    tool = json.loads(text)
    if isinstance(tool.get("function"), dict):
        tool = tool["function"]
    parameters = tool.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError(f"parameters of {tool.get('name')!r} are {kind(parameters)}, not an object")
    if parameters.get("type") != "object":
        tool["parameters"] = _object(parameters)
    return tools_of([tool])[0]


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
