"""Plain chat without tools: `messages` of role/content, `conversations` of from/value, or ChatML in `text`."""

from typing import Any

from tools.formats.conversation import Conversation, Talk, list_of_objects, only

ROLES = {
    "system": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant",
    "gpt": "assistant", "bot": "assistant",
}  # fmt: skip


def read(record: dict[str, Any]) -> Conversation:
    """Turns of the system, the user and the assistant, whatever the source calls them."""
    talk = Talk()
    keys = [key for key in ("messages", "conversations", "conversation") if key in record]
    if keys:
        turns = list_of_objects(record[keys[0]], keys[0])
    elif isinstance(record.get("text"), str):
        turns = _chatml(record["text"])
    else:
        raise ValueError("none of the keys messages, conversations, conversation and text (ChatML)")
    for number, turn in enumerate(turns, 1):
        only(turn, ("role", "content", "from", "value"), f"message {number}")
        role = turn.get("role", turn.get("from"))
        if str(role) not in ROLES:
            raise ValueError(f"message {number}: role {role!r} is not one of {', '.join(ROLES)}")
        talk.say(ROLES[str(role)], turn.get("content", turn.get("value")))
    return Conversation(talk.messages)


def _chatml(text: str) -> list[dict[str, Any]]:
    before, *pieces = text.split("<|im_start|>")
    turns = []
    for piece in pieces:
        said, closed, after = piece.partition("<|im_end|>")
        if not closed or after.strip():
            raise ValueError("text is not ChatML through and through")
        role, _, content = said.partition("\n")
        turns.append({"role": role, "content": content})
    if before.strip() or not turns:
        raise ValueError("text is not ChatML through and through")
    return turns
