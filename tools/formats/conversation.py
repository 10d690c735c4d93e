"""The neutral conversation that every format is read into and written from: OpenAI messages and canonical tools."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from callwright.files import parse_json

Message = dict[str, Any]
Tool = dict[str, Any]

IMAGE = "<image>"
"""where an image stands in a text, for LLaMA-Factory (`IMAGE_PLACEHOLDER`)"""


class Loss(NamedTuple):
    """Something of a record that what is written has no place for."""

    what: str
    """its kind, under which it is counted: `key 'id' of a record`"""
    text: str
    at: str = ""
    """where in the record: `message 2`"""


class LeftOut(ValueError):
    """A record that says itself that nothing is to be learned from it: counted and left out, never a fault."""


@dataclass(frozen=True)
class Conversation:
    """A conversation: what is said and called, and the tools on offer.

    Messages are OpenAI's: system messages come first; arguments are JSON text of an object; every call has an id; a
    call's results follow at once, one for each call of the message, or there is none at all. An assistant's message
    may have a thought in `reasoning_content`, and `weight` 0 where it is not to be learned.

    Raises:
        ValueError: messages or tools that break these rules.
    """

    messages: list[Message]
    tools: list[Tool] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    """paths, from the root, of what each IMAGE in the texts stands for, in order"""
    lost: list[Loss] = field(default_factory=list, compare=False)
    """what the source held beside"""

    def __post_init__(self) -> None:
        names = [tool["function"]["name"] for tool in self.tools]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"tool {twice!r} is defined twice")
        places = sum(str(message["content"]).count(IMAGE) for message in self.messages)
        if self.images and len(self.images) != places:
            raise ValueError(f"{len(self.images)} images, and {places} times {IMAGE} in the texts")
        waiting: list[str] = []
        answered = False
        for number, message in enumerate(self.messages, 1):
            role = message["role"]
            if role == "tool":
                if message["tool_call_id"] not in waiting:
                    raise ValueError(f"message {number}: a result that belongs to no call")
                waiting.remove(message["tool_call_id"])
                answered = True
                continue
            if waiting and answered:
                raise ValueError(f"message {number}: call {waiting[0]!r} before it has no result")
            if role == "system" and number > 1 and self.messages[number - 2]["role"] != "system":
                raise ValueError(f"message {number}: a system message may only come first")
            called = [call["id"] for call in message.get("tool_calls", [])]
            goes_on = bool(waiting and called)  # calls of several messages in a row, which tools.formats.reshape joins
            waiting, answered = [*waiting, *called] if goes_on else called, False
            if len(set(waiting)) < len(waiting):
                raise ValueError(f"message {number}: two calls of one id")
            if not message["content"] and not waiting and role != "system":
                raise ValueError(f"message {number}: the {role} says nothing")
        if waiting and answered:
            raise ValueError(f"call {waiting[0]!r} has no result")
        if not any(message["role"] != "system" for message in self.messages):
            raise ValueError("no messages")


def calls_of(message: Message) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the arguments of each call of a message."""
    for call in message.get("tool_calls", []):
        yield call["function"]["name"], parse_json(call["function"]["arguments"])
