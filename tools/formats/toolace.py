"""ToolACE: the tools inside the system text, calls as `[Name(arg="…"), …]`, names with spaces."""

import re
from typing import Any

from callwright.files import parse_json_at
from callwright.literals import CALLS_OPEN, parse_calls
from tools.formats.builder import ConversationBuilder
from tools.formats.call_turn import split_thought
from tools.formats.conversation import Conversation
from tools.formats.python_text import python_tool
from tools.formats.values import list_of_objects, text_of

ROLES = {"user": "user", "assistant": "assistant", "tool": "tool"}
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
    """Read turns with their calls and results. What the system text says beside tools and directions stays."""
    builder = ConversationBuilder.of_record(record, ("system", "conversations"))
    tools, rest = _tools(text_of(record.get("system"), "system"))
    builder.add_system(rest)
    names = [tool.get("name") for tool in tools]
    for _, role, value, weight in builder.read_turns(record, ROLES):
        if role == "tool":
            builder.add_results(value)
        elif role == "user":
            builder.add("user", value)
        elif (start := _calls_at(value, names)) is not None:
            calls = [{"name": name, "arguments": arguments} for name, arguments in parse_calls(value[start:].strip())]
            thought, words = split_thought(value[:start])
            builder.add_calls(calls, words.strip(), [thought], **weight)
        else:
            builder.add("assistant", value, **weight)
    return builder.build(tools, python_tool)


def _calls_at(text: str, names: list[Any]) -> int | None:
    """Find where the calls of an answer begin: at its own beginning, behind a thought, or behind words, where a tool is named."""
    _, rest = split_thought(text)
    start = len(text) - len(rest.lstrip())
    if CALLS_OPEN.match(text, start):
        return start
    return next((found.start() for found in CALLS_OPEN.finditer(text, start) if found[1].strip() in names), None)


def _tools(system: str) -> tuple[list[dict[str, Any]], str]:
    """Part the tools from the rest of the system text, without them and without directions."""
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
