"""LLaMA-Factory v1's rows: `messages` of typed parts (text, reasoning, tool_call), each with its text in `value`."""

from typing import Any

from tools.formats.builder import ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.python_text import python_tool
from tools.formats.values import from_json, list_of_objects, text_of

TYPES = ("text", "reasoning", "tool_call")
ROLES = {role: role for role in ("system", "user", "assistant", "tool")}


def read(record: dict[str, Any]) -> Conversation:
    """Read messages with their thoughts, calls and results; the tools' types may be Python's."""
    builder = ConversationBuilder.of_record(record, ("messages", "tools"))
    for number, message in enumerate(list_of_objects(record.get("messages"), "messages"), 1):
        at = f"message {number}"
        role = builder.read_role(message, ROLES, ("content",), at)
        parts: dict[str, list[str]] = {kind: [] for kind in TYPES}
        for part in list_of_objects(message.get("content"), f"content of {at}"):
            if part.get("type") not in TYPES:
                raise ValueError(f"{at}: a part of type {part.get('type')!r} is not one of {', '.join(TYPES)}")
            builder.check_keys(part, "part", ("type", "value"), at)
            parts[part["type"]].append(text_of(part.get("value"), f"{at}: the value of a part"))
        texts, thoughts, calls = (parts[kind] for kind in TYPES)
        weight = builder.read_weight(message, at)
        if role != "assistant" and (thoughts or calls):
            raise ValueError(f"{at}: the {role} may neither think nor call")
        if calls:
            builder.add_calls(
                [from_json(call, f"a call in {at}") for call in calls], "".join(texts), thoughts, **weight
            )
        elif role == "tool":
            builder.add_results(*texts)
        else:
            builder.add(role, "".join(texts), at, thoughts, **weight)
    return builder.build(record.get("tools"), python_tool)
