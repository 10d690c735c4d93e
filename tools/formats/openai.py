"""OpenAI messages and tools, as its API, its fine-tuning files and most data sets write them."""

from typing import Any

from tools.formats.builder import THOUGHTS, ConversationBuilder
from tools.formats.conversation import Conversation, Loss
from tools.formats.values import is_empty, kind, list_of_objects, text_of

ROLES = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
KEYS = ("content", "name", "tool_calls", "tool_call_id", "function_call", *THOUGHTS)
TEXTS = ("text", "input_text", "output_text")
ELSEWHERE = {"tool_use": "anthropic", "tool_result": "anthropic", "tool_call": "llamafactory_v1"}
"""types of content parts that another format's reader takes"""


def read(record: dict[str, Any]) -> Conversation:
    """Read a record with `messages`, and `tools` or the older `functions` (a list or its JSON text).

    Arguments may be text or objects; missing ids are numbered; the older `function_call` and the roles `developer` and
    `function` become today's; several parts of text become one text, a thought `reasoning_content`.
    """
    builder = ConversationBuilder.of_record(record, ("messages", "tools", "functions"))
    if not is_empty(record.get("tools")) and not is_empty(record.get("functions")):
        raise ValueError("tools and the older functions: keep the one from which the calls come")
    waiting: list[str] = []
    for number, given in enumerate(list_of_objects(record.get("messages"), "messages"), 1):
        at = f"message {number}"
        role = builder.read_role(given, ROLES, KEYS, at)
        message = {key: value for key, value in given.items() if not is_empty(value)}
        content, thoughts = read_content(builder, given.get("content"), at)
        more: dict[str, Any] = {"name": text_of(message["name"], at)} if "name" in message else {}
        thoughts += [text for key in THOUGHTS if key in message for text in thought_texts(builder, message[key], at)]
        if role != "tool" and "tool_call_id" in message:
            builder.lose(f"tool_call_id of the {role}", message["tool_call_id"], at)
        if role == "assistant":
            more |= builder.read_weight(message, at)
        calls = _calls(message, role, at)
        if calls:
            builder.add_calls(calls, content, thoughts, **more)
            waiting = [call["id"] for call in builder.messages[-1]["tool_calls"]]
        elif role == "tool":
            identity = message.get("tool_call_id") or next(iter(waiting), "")
            builder.add(role, content, at, thoughts, tool_call_id=identity, **more)
            waiting = [other for other in waiting if other != identity]
        else:
            builder.add(role, content, at, thoughts, **more)
    return builder.build(record.get("functions") if is_empty(record.get("tools")) else record["tools"])


def _calls(message: dict[str, Any], role: str, at: str) -> list[Any]:
    """Read the calls of a message; ValueError where it may have none."""
    calls = message.get("tool_calls", [])
    if "function_call" in message:
        if calls:
            raise ValueError(f"{at}: tool_calls and the older function_call")
        calls = [{"function": message["function_call"]}]
    if calls and role != "assistant":
        raise ValueError(f"{at}: the {role} may not call")
    return list_of_objects(calls, f"tool_calls of {at}")


def read_content(builder: ConversationBuilder, content: Any, at: str) -> tuple[Any, list[str]]:
    """Read the text of a content that may be parts, and the thoughts among them; ValueError for a part of another kind."""
    if not isinstance(content, list):
        return content, []
    texts, thoughts = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        typed = part.get("type") if isinstance(part, dict) else kind(part)
        if typed in TEXTS:
            builder.check_keys(part, "part", ("type", "text"), at)
            texts.append(text_of(part.get("text"), f"{at}: the text of a part"))
        elif typed in ("thinking", "reasoning"):
            thoughts += thought_texts(builder, [part], at)
        else:
            hint = f"; --from {ELSEWHERE[typed]} reads it" if typed in ELSEWHERE else ", not text"
            raise ValueError(f"{at}: content with a part of type {typed!r}{hint}")
    return "".join(texts) if texts else None, thoughts


def thought_texts(builder: ConversationBuilder, value: Any, at: str) -> list[str]:
    """Read the texts of a thought, which may be parts, with parts in them; a part without a text is counted as lost."""
    if not isinstance(value, list):
        return [text_of(value, f"{at}: a thought")]
    texts: list[str] = []
    for part in value:
        inner = next((key for key in ("text", "summary", *THOUGHTS) if isinstance(part, dict) and part.get(key)), None)
        if inner:
            builder.check_keys(part, "part", ("type", inner, "signature", "id", "index", "format"), at)
            texts += thought_texts(builder, part[inner], at)
        elif isinstance(part, str):
            texts.append(part)
        else:
            builder.lose("thought without a text", part, at)
    return texts


def write(conversation: Conversation, lost: list[Loss] | None = None) -> dict[str, Any]:
    """Write the record, which reads as the same conversation; `lost` gets what the source held beside. ValueError: images, which only rows can hold."""
    if conversation.images:
        raise ValueError("images: only ShareGPT rows can hold them")
    if lost is not None:
        lost += conversation.lost
    return {"messages": conversation.messages, **({"tools": conversation.tools} if conversation.tools else {})}
