"""Plain chat without tools: `messages` of role/content, `conversations` of from/value, or ChatML in `text`."""

from typing import Any

from tools.formats.conversation import Conversation
from tools.formats.openai import read_content, thought_of
from tools.formats.talk import THOUGHTS, WEIGHTS, Talk
from tools.formats.values import is_empty, list_of_objects, text_of

ROLES = {
    "system": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant",
    "gpt": "assistant", "bot": "assistant",
}  # fmt: skip
PLACES = ("messages", "conversations", "conversation", "text")


def read(record: dict[str, Any]) -> Conversation:
    """Turns of the system, the user and the assistant, whatever the source calls them."""
    talk = Talk()
    given = [key for key in PLACES[:3] if not is_empty(record.get(key))] or [key for key in PLACES if key in record]
    talk.record(record, given[:1])
    if given and given[0] != "text":
        turns = list_of_objects(record[given[0]], given[0])
    elif isinstance(record.get("text"), str):
        turns = _chatml(record["text"])
    else:
        raise ValueError("none of the keys messages, conversations, conversation and text (ChatML)")
    for number, turn in enumerate(turns, 1):
        at = f"message {number}"
        sender, said = ("from", "value") if "from" in turn else ("role", "content")
        talk.keys(turn, "message", (sender, said, *THOUGHTS, *WEIGHTS), at)
        if str(turn.get(sender)) not in ROLES:
            raise ValueError(f"{at}: role {turn.get(sender)!r} is not one of {', '.join(ROLES)}")
        role = ROLES[str(turn.get(sender))]
        content, thoughts = read_content(talk, turn.get(said), at)
        thoughts += [text_of(turn[key], f"{at}: {key}") for key in THOUGHTS if not is_empty(turn.get(key))]
        more = {**thought_of(thoughts, at), **talk.weight(turn, at)} if role == "assistant" else {}
        talk.say(role, content, at, **more)
    return talk.done()


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
