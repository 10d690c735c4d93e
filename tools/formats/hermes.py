"""hermes-function-calling-v1: ShareGPT with <tools>, <tool_call> and <tool_response> in the text."""

import re
from typing import Any

from callwright.literals import literal
from tools.formats.builder import ConversationBuilder
from tools.formats.call_turn import marked_calls, split_thought
from tools.formats.conversation import Conversation
from tools.formats.values import is_empty, sequence

ROLES = {"system": "system", "human": "user", "gpt": "assistant", "tool": "tool"}
PROMPTS = (("You are a function calling AI model.", "</tool_call>"), ("<tools>", "</tools>"))
"""where the format's own tool prompt begins and ends"""
_TOOLS = re.compile(r"<tools>\s*(?=[\[{])")


def read(record: dict[str, Any]) -> Conversation:
    """Read turns with their calls and results; tools from the column `tools`, else from the system text.

    The format's own tool prompt leaves the system text: the template of the model has its own. What else the system
    text says stays. JSON may be written as Python literals, as much of this data set is.
    """
    builder = ConversationBuilder.of_record(record, ("conversations", "tools"))
    tools = record.get("tools")
    for _, role, value, weight in builder.read_turns(record, ROLES):
        if role == "system":
            tools = _tools(value) if is_empty(tools) else tools
            builder.add_system(_without_prompt(value))
        elif role == "tool":
            builder.add_results(*_results(value))
        elif role == "user":
            builder.add("user", value)
        else:
            thought, rest = split_thought(value)
            words, calls = marked_calls(rest, literal)
            if calls:
                builder.add_calls(calls, words.strip(), [thought], **weight)
            else:
                builder.add("assistant", value, **weight)
    return builder.build(tools)


def _tools(system: str) -> list[Any]:
    """Read the tools of a system text: a list, or objects one after the other."""
    opened = _TOOLS.search(system)
    if opened is None:
        return []
    text = system[opened.end() : system.find("</tools>", opened.end())].strip()
    try:
        found = sequence(text, 0, "tools in the system text")
    except ValueError:
        found = [literal(text)]
    return found[0] if len(found) == 1 and isinstance(found[0], list) else found


def _without_prompt(system: str) -> str:
    for opening, closing in PROMPTS:
        start, end = system.find(opening), system.rfind(closing)
        if 0 <= start < end:
            system = system[:start] + system[end + len(closing) :]
    return system.strip()


def _results(text: str) -> list[str]:
    """Read the results of a turn."""
    before, *found = text.split("<tool_response>")
    if not found:
        return [text]
    results = []
    for piece in found:
        result, closed, after = piece.partition("</tool_response>")
        if not closed or after.strip() or before.strip():
            raise ValueError("text beside the tool responses, or one that is not closed")
        results.append(result.strip())
    return results
