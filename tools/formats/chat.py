"""Plain chat without tools: `messages` of role/content, `conversations` of from/value, or ChatML in `text`."""

from typing import Any

from tools.formats.builder import THOUGHTS, ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.openai import read_content
from tools.formats.values import is_empty, list_of_objects, text_of

ROLES = {
    "system": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant",
    "gpt": "assistant", "bot": "assistant",
}  # fmt: skip
PLACES = ("messages", "conversations", "conversation", "text")


def read(record: dict[str, Any]) -> Conversation:
    """Read turns of the system, the user and the assistant, whatever the source calls them."""
    given = [key for key in PLACES[:3] if not is_empty(record.get(key))] or [key for key in PLACES if key in record]
    builder = ConversationBuilder.of_record(record, given[:1])
    if given and given[0] != "text":
        turns = list_of_objects(record[given[0]], given[0])
    elif isinstance(record.get("text"), str):
        turns = _chatml(record["text"])
    else:
        raise ValueError("none of the keys messages, conversations, conversation and text (ChatML)")
    for number, turn in enumerate(turns, 1):
        at = f"message {number}"
        sender, text = ("from", "value") if "from" in turn else ("role", "content")
        role = builder.read_role(turn, ROLES, (text, *THOUGHTS), at, sender)
        content, thoughts = read_content(builder, turn.get(text), at)
        thoughts += [text_of(turn[key], f"{at}: {key}") for key in THOUGHTS if not is_empty(turn.get(key))]
        weight = builder.read_weight(turn, at) if role == "assistant" else {}
        builder.add(role, content, at, thoughts, **weight)
    return builder.build()


def _chatml(text: str) -> list[dict[str, Any]]:
    before, *pieces = text.split("<|im_start|>")
    turns = []
    for piece in pieces:
        turn, closed, after = piece.partition("<|im_end|>")
        if not closed or after.strip():
            raise ValueError("text is not ChatML through and through")
        role, _, content = turn.partition("\n")
        turns.append({"role": role, "content": content})
    if before.strip() or not turns:
        raise ValueError("text is not ChatML through and through")
    return turns
