"""LLaMA-Factory v1's rows: `messages` of typed parts (text, reasoning, tool_call), each with its text in `value`."""

from typing import Any

from tools.formats.conversation import Conversation
from tools.formats.openai import thought_of
from tools.formats.python_text import python_tool
from tools.formats.talk import WEIGHTS, Talk
from tools.formats.values import from_json, list_of_objects, text_of

TYPES = ("text", "reasoning", "tool_call")
ROLES = ("system", "user", "assistant", "tool")


def read(record: dict[str, Any]) -> Conversation:
    """Messages with their thoughts, calls and results; the tools' types may be Python's."""
    talk = Talk()
    talk.record(record, ("messages", "tools"))
    for number, message in enumerate(list_of_objects(record.get("messages"), "messages"), 1):
        at = f"message {number}"
        talk.keys(message, "message", ("role", "content", *WEIGHTS), at)
        role = message.get("role")
        if role not in ROLES:
            raise ValueError(f"{at}: role {role!r} is not one of {', '.join(ROLES)}")
        parts: dict[str, list[str]] = {kind: [] for kind in TYPES}
        for part in list_of_objects(message.get("content"), f"content of {at}"):
            if part.get("type") not in TYPES:
                raise ValueError(f"{at}: a part of type {part.get('type')!r} is not one of {', '.join(TYPES)}")
            talk.keys(part, "part", ("type", "value"), at)
            parts[part["type"]].append(text_of(part.get("value"), f"{at}: the value of a part"))
        _add(talk, role, parts, talk.weight(message, at), at)
    return talk.done(record.get("tools"), python_tool)


def _add(talk: Talk, role: str, parts: dict[str, list[str]], weight: dict[str, int], at: str) -> None:
    texts, thoughts, calls = (parts[kind] for kind in TYPES)
    if role != "assistant" and (thoughts or calls):
        raise ValueError(f"{at}: the {role} may neither think nor call")
    more = {**thought_of(thoughts, at), **weight} if role == "assistant" else {}
    if calls:
        talk.call([from_json(call, f"a call in {at}") for call in calls], "".join(texts), **more)
    elif role == "tool":
        talk.result(*texts)
    else:
        talk.say(role, "".join(texts), at, **more)
