"""ToolACE: the tools inside the system text, calls as `[Name(arg="…"), …]`, names with spaces."""

import re
from typing import Any

from callwright.files import parse_json_at
from callwright.literals import CALLS_OPEN, parse_calls
from tools.formats.conversation import Conversation
from tools.formats.python_text import python_tool
from tools.formats.talk import Talk, senders
from tools.formats.thought import split_thought, with_thought
from tools.formats.values import list_of_objects, text_of

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
    talk.record(record, ("system", "conversations"))
    tools, rest = _tools(text_of(record.get("system"), "system"))
    if rest:
        talk.say("system", rest)
    names = [tool.get("name") for tool in tools]
    for _, sender, value, weight in senders(talk, record, ("user", "assistant", "tool")):
        if sender == "tool":
            talk.result(value)
        elif sender == "user":
            talk.say("user", value)
        elif (start := _calls_at(value, names)) is not None:
            calls = [{"name": name, "arguments": arguments} for name, arguments in parse_calls(value[start:].strip())]
            thought, words = split_thought(value[:start])
            talk.call(calls, with_thought(thought, words.strip()), **weight)
        else:
            talk.say("assistant", value, **weight)
    return talk.done(tools, python_tool)


def _calls_at(text: str, names: list[Any]) -> int | None:
    """Where the calls of an answer begin: at its own beginning, behind a thought, or behind words, where a tool is named."""
    _, said = split_thought(text)
    start = len(text) - len(said.lstrip())
    if CALLS_OPEN.match(text, start):
        return start
    return next((found.start() for found in CALLS_OPEN.finditer(text, start) if found[1].strip() in names), None)


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
