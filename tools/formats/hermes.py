"""hermes-function-calling-v1: ShareGPT with <tools>, <tool_call> and <tool_response> in the text."""

import re
from typing import Any

from callwright.files import parse_json_at
from callwright.literals import literal
from tools.formats.conversation import Conversation, Talk, list_of_objects, pair_of, senders, sequence, tools_of

PROMPTS = (("You are a function calling AI model.", "</tool_call>"), ("<tools>", "</tools>"))
"""where the format's own tool prompt begins and ends"""
_TOOLS = re.compile(r"<tools>\s*(?=[\[{])")
_CALL = re.compile(r"<tool_call>\s*")
_CLOSE = "</tool_call>"


def read(record: dict[str, Any]) -> Conversation:
    """Turns with their calls and results; tools from the column `tools`, else from the system text.

    The format's own tool prompt leaves the system text: the template of the model has its own. What else the system
    text says stays. JSON may be written as Python literals, as much of this data set is.
    """
    talk = Talk()
    tools = record.get("tools")
    for _, sender, value in senders(record, ("system", "human", "gpt", "tool")):
        if sender == "system":
            tools = tools or _tools(value)
            if rest := _without_prompt(value):
                talk.say("system", rest)
        elif sender == "tool":
            talk.result(*_results(value))
        elif sender == "gpt" and "<tool_call>" in value:
            calls, beside = _calls(value)
            talk.call(calls, beside)
        else:
            talk.say("user" if sender == "human" else "assistant", value)
    return Conversation(talk.messages, tools_of(list_of_objects(tools or [], "tools")))


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


def _calls(text: str) -> tuple[list[tuple[Any, Any]], str]:
    """The calls of a turn, and the text beside them."""
    calls, beside, position = [], [], 0
    for opened in _CALL.finditer(text):
        if opened.start() < position:  # inside the arguments of the call before
            continue
        beside.append(text[position : opened.start()].strip())
        try:
            value, end = parse_json_at(text, opened.end())
            position = text.find(_CLOSE, end)
        except ValueError:
            position = end = text.find(_CLOSE, opened.end())
            value = literal(text[opened.end() : max(end, opened.end())])
        if position < 0 or text[end:position].strip():
            raise ValueError(f"a call does not end with {_CLOSE}")
        calls.append(pair_of(value, "a call"))
        position += len(_CLOSE)
    beside.append(text[position:].strip())
    return calls, "\n".join(piece for piece in beside if piece)


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
