"""What a user may choose to change about conversations that rows cannot hold as they are: fold, drop, split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tools.formats.conversation import Conversation, LeftOut, Loss, Message

THOUGHTS, WORDS = "thoughts", "words"
PARAGRAPH = "\n\n"
"""between texts that are folded"""


@dataclass(frozen=True)
class Options:
    """The changes that a user asks for."""

    fold: bool = False
    """join messages of one role that follow each other, and a user's words to the result before them"""
    drop: Sequence[str] = ()
    """THOUGHTS, WORDS: leave thoughts, or words beside calls, out"""
    unlearned: Literal["learn", "mask"] | None = None
    """answers of weight 0 before others: learn them after all; or write a row for each answer that is learned, ending
    with it, for a recipe with `mask_history: true`"""


AS_THEY_ARE = Options()


def reshaped(conversation: Conversation, options: Options = AS_THEY_ARE) -> list[Conversation]:
    """Make the conversations that come of one; what is left out is told in their `lost`.

    Raises:
        LeftOut: no answer is to be learned.
        ValueError: messages that cannot be folded.
    """
    lost = list(conversation.lost)
    messages = _dropped(conversation.messages, options.drop, lost)
    if options.fold:
        messages = _folded(messages, lost)
    elif [message["role"] for message in messages[:2]] == ["system", "system"]:
        raise ValueError("message 2: a system message may only come first; --fold joins it to the first")
    messages = _ended(messages, lost)
    pieces = [messages]
    if options.unlearned == "learn":
        pieces = [[_learned(message, f"message {n}", lost) for n, message in enumerate(messages, 1)]]
    elif options.unlearned == "mask":
        pieces = [[_without_weight(message) for message in messages[:end]] for end in _learned_answers(messages)]
    return [replace(conversation, messages=piece, lost=[] if n else lost) for n, piece in enumerate(pieces)]


def _dropped(messages: Sequence[Message], drop: Sequence[str], lost: list[Loss]) -> list[Message]:
    result = []
    for number, message in enumerate(messages, 1):
        at = f"message {number}"
        if THOUGHTS in drop and "reasoning_content" in message:
            lost.append(Loss("thought, as --drop says", message["reasoning_content"], at))
            message = {key: value for key, value in message.items() if key != "reasoning_content"}
        if WORDS in drop and message.get("tool_calls") and message["content"]:
            lost.append(Loss("words beside a call, as --drop says", message["content"], at))
            message = {**message, "content": None}
        result.append(message)
    return result


def _ended(messages: list[Message], lost: list[Loss]) -> list[Message]:
    """Cut messages behind the last answer that is learned, where any is not."""
    if not any(message.get("weight") == 0 for message in messages):
        return messages
    learned = _learned_answers(messages)
    if not learned:
        raise LeftOut("every answer has weight 0: nothing to learn")
    end = learned[-1]
    for number, message in enumerate(messages[end:], end + 1):
        lost.append(_loss("message behind the last answer that is learned", message, f"message {number}"))
    return messages[:end]


def _learned_answers(messages: Sequence[Message]) -> list[int]:
    """Number, from 1, the answers that are learned."""
    return [n for n, message in enumerate(messages, 1) if message["role"] == "assistant" and "weight" not in message]


def _loss(what: str, message: Message, at: str) -> Loss:
    return Loss(what, str(message["content"] or ""), at)


def _learned(message: Message, at: str, lost: list[Loss]) -> Message:
    if "weight" not in message:
        return message
    lost.append(_loss("weight 0 of an answer, which is learned", message, at))
    return _without_weight(message)


def _without_weight(message: Message) -> Message:
    return {key: value for key, value in message.items() if key != "weight"}


def _folded(messages: Sequence[Message], lost: list[Loss]) -> list[Message]:
    """Fold messages so that they alternate as far as joining can make them, each join told in `lost`."""
    result: list[Message] = []
    for number, message in enumerate(messages, 1):
        before = result[-1] if result else None
        at = f"message {number}"
        role = message["role"]
        if before and before["role"] == role != "tool":
            if before.get("weight") != message.get("weight"):
                raise ValueError(f"{at}: messages of different weights cannot be folded")
            if before.get("tool_calls") and message["content"]:
                raise ValueError(f"{at}: words behind a call without a result cannot be folded")
            result[-1] = _joined(before, message)
            lost.append(_loss(f"border between two messages of the {role}, folded", message, at))
        elif before and before["role"] == "tool" and role == "user":
            result[-1] = {**before, "content": _texts(before["content"], message["content"])}
            lost.append(_loss("border between a result and the user's words, folded", message, at))
        else:
            result.append(message)
    return result


def _joined(first: Message, second: Message) -> Message:
    """Join two messages of one role: their texts, thoughts and calls one after the other."""
    joined = {**first, "content": _texts(first["content"], second["content"]) or None}
    if not joined["content"] and not first.get("tool_calls") and not second.get("tool_calls"):
        joined["content"] = ""
    if "reasoning_content" in second:
        joined["reasoning_content"] = _texts(first.get("reasoning_content"), second["reasoning_content"])
    if "tool_calls" in second:
        joined["tool_calls"] = [*first.get("tool_calls", []), *second["tool_calls"]]
    return joined


def _texts(*texts: str | None) -> str:
    return PARAGRAPH.join(text for text in texts if text)
