"""hermes-function-calling-v1: ShareGPT with <tools>, <tool_call> and <tool_response> in the text."""

import re
from typing import Any

from callwright.literals import literal
from tools.formats.call_turn import marked_calls
from tools.formats.conversation import Conversation
from tools.formats.talk import Talk, senders
from tools.formats.thought import split_thought, with_thought
from tools.formats.values import is_empty, sequence

PROMPTS = (("You are a function calling AI model.", "</tool_call>"), ("<tools>", "</tools>"))
"""where the format's own tool prompt begins and ends"""
_TOOLS = re.compile(r"<tools>\s*(?=[\[{])")


def read(record: dict[str, Any]) -> Conversation:
    """Turns with their calls and results; tools from the column `tools`, else from the system text.

    The format's own tool prompt leaves the system text: the template of the model has its own. What else the system
    text says stays. JSON may be written as Python literals, as much of this data set is.
    """
    talk = Talk()
    talk.record(record, ("conversations", "tools"))
    tools = record.get("tools")
    for _, sender, value, weight in senders(talk, record, ("system", "human", "gpt", "tool")):
        if sender == "system":
            tools = _tools(value) if is_empty(tools) else tools
            if rest := _without_prompt(value):
                talk.say("system", rest)
        elif sender == "tool":
            talk.result(*_results(value))
        elif sender == "human":
            talk.say("user", value)
        else:
            thought, said = split_thought(value)
            words, calls = marked_calls(said, literal)
            if calls:
                talk.call(calls, with_thought(thought, words.strip()), **weight)
            else:
                talk.say("assistant", value, **weight)
    return talk.done(tools)


def _tools(system: str) -> list[Any]:
    """The tools of a system text: a list, or objects one after the other."""
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
    """The results of a turn."""
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
