"""glaive-function-calling-v2: the tools in `system`, the dialogue as text in `chat`."""

import re
from typing import Any

from callwright.files import parse_json
from tools.formats.builder import ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.values import from_json, object_of, sequence, text_of

INTRODUCTIONS = (
    "You are a helpful assistant with access to the following functions. Use them if required -",
    "You are a helpful assistant, with no access to external functions.",
)
"""how the format says that there are tools or none: the template of the model says it in its own way"""
END = "<|endoftext|>"
_CALL = re.compile(r"<functioncall>\s*(?=\{)")
_SPEAKER = re.compile(r"\n\n(USER|ASSISTANT|FUNCTION RESPONSE):")


def read(record: dict[str, Any]) -> Conversation:
    """Read turns by their speaker; another system text than the format's own introductions stays."""
    builder = ConversationBuilder.of_record(record, ("system", "chat"))
    system = text_of(record.get("system"), "system").strip().removeprefix("SYSTEM:").strip()
    start = system.find("{") if "{" in system else len(system)
    tools = sequence(system, start, "tools in the system text")
    introduction = system[:start].strip()
    if introduction not in INTRODUCTIONS:
        builder.add_system(introduction)
    chat = "\n\n" + text_of(record.get("chat"), "chat").strip()
    before, *pieces = _SPEAKER.split(chat)
    if before.strip():
        raise ValueError("chat begins with no speaker")
    for speaker, text in zip(pieces[::2], pieces[1::2], strict=True):
        text = text.strip().removesuffix(END).strip()
        if speaker == "USER":
            builder.add("user", text)
        elif speaker == "FUNCTION RESPONSE":
            builder.add_results(text)
        elif _CALL.search(text):
            beside, *calls = _CALL.split(text)
            builder.add_calls([_call(call.replace(END, "").strip()) for call in calls], beside.strip())
        else:
            builder.add("assistant", text)
    return builder.build(tools)


def _call(text: str) -> dict[str, Any]:
    """`{"name": "f", "arguments": '{"a": 1}'}`: the arguments are JSON in single quotes, with or without escapes."""
    head, found, tail = text.partition('"arguments":')
    arguments = tail.strip().removesuffix("}").strip()
    if not (found and text.endswith("}") and len(arguments) > 1 and arguments[0] == arguments[-1] == "'"):
        return object_of(from_json(text, "a call"), "a call")
    named = object_of(from_json(head.strip().removesuffix(",") + "}", "a call"), "a call")
    return {**named, "arguments": _unescaped(arguments[1:-1])}


def _unescaped(text: str) -> str:
    try:
        parse_json(text)
    except ValueError:
        return text.replace("\\'", "'")
    return text
