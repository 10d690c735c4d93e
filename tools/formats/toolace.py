"""ToolACE: the tools inside the system text, calls as `[Name(arg="…"), …]`, names with spaces."""

import re
from typing import Any

from callwright.files import parse_json_at
from callwright.literals import CALLS_OPEN, parse_calls
from tools.formats.conversation import Conversation, Talk, list_of_objects, senders, text_of, tools_of
from tools.formats.python_text import json_schema_tool

DIRECTIONS = (
    "Here is a list of functions in JSON format that you can invoke:",
    "You should only return the function call in tools call sections.",
    "You should only return the function call in the tools call sections.",
    "NO other text MUST be included.",
)
"""how to write a call in this format: the template of the model says it in its own way"""
_FORMAT = re.compile(r"Should you decide to return the function call\(s\)\.?[^\[]{0,200}\[[^\]]{0,400}\]\.?")
_LIST = re.compile(r"\[\s*(?=[{\]])")


def read(record: dict[str, Any]) -> Conversation:
    """Turns with their calls and results. What the system text says beside tools and directions stays."""
    talk = Talk()
    system = text_of(record.get("system"), "system")
    tools, rest = _tools(system)
    if rest:
        talk.say("system", rest)
    for _, sender, value in senders(record, ("user", "assistant", "tool")):
        if sender == "tool":
            talk.result(value)
        elif sender == "assistant" and CALLS_OPEN.match(value.lstrip()):
            talk.call(parse_calls(value.strip()))
        else:
            talk.say(sender, value)
    return Conversation(talk.messages, tools_of(tools, json_schema_tool))


def _tools(system: str) -> tuple[list[dict[str, Any]], str]:
    """The tools, and the system text without them and without directions."""
    tools: Any = []
    if found := _LIST.search(system):
        try:
            tools, end = parse_json_at(system, found.start())
        except ValueError as error:
            raise ValueError(f"tools in the system text: not JSON ({error})") from None
        system = system[: found.start()] + system[end:].lstrip(". ")
    rest = _FORMAT.sub("", system)
    for direction in DIRECTIONS:
        rest = rest.replace(direction, "")
    return list_of_objects(tools, "tools"), re.sub(r"\n{2,}", "\n", rest).strip()
