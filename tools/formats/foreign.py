"""Forms that no reader takes, so that a record of one is named when it is refused, and what to bring it to is said."""

from collections.abc import Iterator
from typing import Any

BRING = {
    "OpenAI's Responses API": "write each dialogue as Chat Completions have it (messages with tool_calls, tools) for --from openai",
    "Gemini's API": "write contents as messages with tool_calls, and functionDeclarations as tools, for --from openai",
    "Bedrock's Converse API": "write toolUse and toolResult as blocks of type tool_use and tool_result for --from anthropic",
}
"""form → what to do with a record of it"""

CALL_ITEMS = ("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")
"""types of the Responses API's items that no other API has"""
ITEMS = (*CALL_ITEMS, "message", "reasoning")
"""types of what the Responses API has in `output`; Anthropic's answers are of type `message` as well"""


def foreign_form(record: dict[str, Any]) -> str | None:
    """Say which form of BRING a record seems to have, itself or one level down (a log of requests); None for no such."""
    return next(filter(None, map(_form_of, [record, *filter(_is_object, record.values())])), None)


def _form_of(value: dict[str, Any]) -> str | None:
    tools = list(_objects(value.get("tools")))
    parts = [part for message in _objects(value.get("messages")) for part in _objects(message.get("content"))]
    if any({"toolUse", "toolResult"} & part.keys() for part in parts):
        return "Bedrock's Converse API"
    if (_is_object(value.get("toolConfig")) and "messages" in value) or any("toolSpec" in tool for tool in tools):
        return "Bedrock's Converse API"
    if any("parts" in turn for turn in _objects(value.get("contents"))):
        return "Gemini's API"
    if any({"functionDeclarations", "function_declarations"} & tool.keys() for tool in tools):
        return "Gemini's API"
    calls = any(item.get("type") in CALL_ITEMS for item in (value, *_objects(value.get("messages"))))
    answers = any(item.get("type") in ITEMS for item in _objects(value.get("output")))
    if calls or answers or any(_objects(value.get("input"))):
        return "OpenAI's Responses API"
    return None


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return filter(_is_object, value if isinstance(value, list) else ())


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
