"""Anthropic's Messages: `system` and `messages` of typed blocks (text, thinking, tool_use, tool_result), tools with
`input_schema`."""

from typing import Any

from tools.formats.builder import ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.values import is_empty, kind, list_of_objects, object_of, text_of

ROLES = {"user": "user", "assistant": "assistant"}
KEYS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
    "tool_result": ("tool_use_id", "content"),
}
"""the types of blocks, and the keys of each that are understood"""


def read(record: dict[str, Any]) -> Conversation:
    """Read a request with its answers. Results come before the words of the user who brings them, as Anthropic has it."""
    builder = ConversationBuilder.of_record(record, ("system", "messages", "tools"))
    if not is_empty(record.get("system")):
        builder.add_system(_text(builder, record["system"], "system"))
    for number, message in enumerate(list_of_objects(record.get("messages"), "messages"), 1):
        at = f"message {number}"
        role = builder.read_role(message, ROLES, ("content",), at)
        blocks = _blocks(builder, message.get("content"), at)
        if role == "user":
            _user(builder, blocks, at)
        else:
            _assistant(builder, blocks, builder.read_weight(message, at), at)
    return builder.build(record.get("tools"))


def _blocks(builder: ConversationBuilder, content: Any, at: str) -> list[dict[str, Any]]:
    """Read the blocks of a content, which may be one text; ValueError for a block of a type that no row can hold."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    blocks = list_of_objects(content, f"content of {at}")
    for block in blocks:
        if block.get("type") not in KEYS:
            raise ValueError(f"{at}: a block of type {block.get('type')!r} is not one of {', '.join(KEYS)}")
        builder.check_keys(block, "part", ("type", *KEYS[block["type"]]), at)
    return blocks


def _text(builder: ConversationBuilder, content: Any, at: str) -> str:
    """Read content that may hold nothing but text."""
    blocks = _blocks(builder, content, at)
    if odd := next((block["type"] for block in blocks if block["type"] != "text"), None):
        raise ValueError(f"{at}: a block of type {odd!r}, where only text may stand")
    return "".join(text_of(block.get("text"), f"{at}: text") for block in blocks)


def _user(builder: ConversationBuilder, blocks: list[dict[str, Any]], at: str) -> None:
    for block in blocks:
        if block["type"] == "tool_result":
            content = block.get("content")
            result = "" if is_empty(content) else _text(builder, content, at)
            identity = text_of(block.get("tool_use_id"), f"{at}: tool_use_id")
            builder.messages.append({"role": "tool", "tool_call_id": identity, "content": result})
    words = [block for block in blocks if block["type"] != "tool_result"]
    if words or not blocks:
        builder.add("user", _text(builder, words, at), at)


def _assistant(builder: ConversationBuilder, blocks: list[dict[str, Any]], weight: dict[str, Any], at: str) -> None:
    words: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        match block["type"]:
            case "text":
                words.append(text_of(block.get("text"), f"{at}: text"))
                if calls:
                    builder.lose("place of words behind a call", words[-1], at)
            case "thinking":
                thoughts.append(text_of(block.get("thinking"), f"{at}: thinking"))
            case "redacted_thinking":
                builder.lose("redacted thought", block.get("data") or "", at)
            case "tool_use":
                arguments = block.get("input")
                if arguments is not None:
                    object_of(arguments, f"{at}: the input of {block.get('name')!r}")
                calls.append({"id": block.get("id"), "name": block.get("name"), "arguments": arguments})
            case other:
                raise ValueError(f"{at}: a block of type {other!r} from the assistant, {kind(block)}")
    if calls:
        builder.add_calls(calls, "".join(words), thoughts, **weight)
    else:
        builder.add("assistant", "".join(words), at, thoughts, **weight)
