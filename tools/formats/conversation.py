"""The neutral conversation that every format is read into and written from: OpenAI messages and canonical tools."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from callwright.files import parse_json, parse_json_at, to_json
from callwright.schema import ANNOTATIONS, canonical_tool

Message = dict[str, Any]
Tool = dict[str, Any]
Shape = Callable[[dict[str, Any]], dict[str, Any]]

EMPTY: tuple[Any, ...] = (None, "", [], {})
"""what a key holds that says nothing: APIs dump every key that they know"""

_BETWEEN = re.compile(r"[\s,]*")

IMAGE = "<image>"
"""where an image stands in a text, for LLaMA-Factory (`IMAGE_PLACEHOLDER`)"""

RESULT_SEPARATOR = "\n"
"""between the results of parallel calls in one observation: what eval.client sends to LLaMA-Factory's server"""


@dataclass(frozen=True)
class Conversation:
    """What is said and called, and the tools on offer.

    Messages are OpenAI's: at most one system message, first; arguments are JSON text of an object; every call has an
    id; a call's results follow at once, one for each call of the message, or there is none at all.

    Raises:
        ValueError: messages or tools that break these rules.
    """

    messages: list[Message]
    tools: list[Tool] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    """paths, from the root, of what each IMAGE in the texts stands for, in order"""

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
            if role == "system" and number > 1:
                raise ValueError(f"message {number}: a system message may only come first")
            waiting, answered = [call["id"] for call in message.get("tool_calls", [])], False
            if len(set(waiting)) < len(waiting):
                raise ValueError(f"message {number}: two calls of one id")
            if not message["content"] and not waiting and role != "system":
                raise ValueError(f"message {number}: the {role} says nothing")
        if waiting and answered:
            raise ValueError(f"call {waiting[0]!r} has no result")
        if not any(message["role"] != "system" for message in self.messages):
            raise ValueError("no messages")


@dataclass
class Talk:
    """Builds messages turn by turn, where a format has no ids of its own."""

    messages: list[Message] = field(default_factory=list)
    calls: int = 0

    def say(self, role: str, content: Any) -> None:
        """Add a message of the system, the user or the assistant."""
        self.messages.append({"role": role, "content": text_of(content, f"message {len(self.messages) + 1}")})

    def call(self, calls: Iterable[tuple[Any, Any]], content: str | None = None) -> None:
        """Add an assistant message with calls, each a name and its arguments (an object, or its JSON text)."""
        made = []
        for name, arguments in calls:
            self.calls += 1
            made.append(call_of(f"call_{self.calls}", name, arguments))
        self.messages.append({"role": "assistant", "content": content or None, "tool_calls": made})

    def result(self, *contents: Any) -> None:
        """Add what the last calls returned: a text for each, or one text that holds all of theirs."""
        calls = self.messages[-1].get("tool_calls", []) if self.messages else []
        where = f"message {len(self.messages) + 1}"
        if not calls:
            raise ValueError(f"{where}: a result that belongs to no call")
        results = [text_of(content, where) for content in contents]
        if len(results) == 1:
            results = parts(results[0], len(calls), where)
        if len(results) != len(calls):
            raise ValueError(f"{where}: {len(calls)} calls and {len(results)} results")
        for call, part in zip(calls, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": part})


def text_of(value: Any, what: str) -> str:
    """A value that must be text; ValueError where it is not."""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {kind(value)}, not text")
    return value


def kind(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "a boolean"
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")


def list_of_objects(value: Any, what: str) -> list[dict[str, Any]]:
    """A list of objects, or the JSON text of one; ValueError where it is something else."""
    if isinstance(value, str):
        value = from_json(value, what)
    if not isinstance(value, list):
        raise ValueError(f"{what} is {kind(value)}, not a list")
    for item in value:
        if not isinstance(item, dict):
            raise ValueError(f"{what} holds {kind(item)}, not only objects")
    return value


def senders(record: dict[str, Any], known: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """The number, the sender and the text of each from/value turn in `conversations`; ValueError for any other."""
    for number, turn in enumerate(list_of_objects(record.get("conversations"), "conversations"), 1):
        only(turn, ("from", "value"), f"turn {number}")
        sender = str(turn.get("from"))
        if sender not in known:
            raise ValueError(f"turn {number}: from {sender!r} is not one of {', '.join(known)}")
        yield number, sender, text_of(turn.get("value"), f"the value of turn {number}")


def from_json(text: str, what: str) -> Any:
    """Strictly parsed JSON text; `what` names it in the fault."""
    try:
        return parse_json(text)
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from None


def call_of(identity: str, name: Any, arguments: Any) -> dict[str, Any]:
    """An OpenAI tool call. Arguments that are text are kept to the byte; an object becomes JSON text.

    ValueError: no name, or arguments that are not an object.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError("a call without a name")
    value = from_json(arguments, f"arguments of {name!r}") if isinstance(arguments, str) else arguments
    if not isinstance(value, dict):
        raise ValueError(f"arguments of {name!r} are {kind(value)}, not an object")
    text = arguments if isinstance(arguments, str) else to_json(value)
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": text}}


def pair_of(call: Any, what: str) -> tuple[Any, Any]:
    """The name and the arguments of a call; ValueError where it is no object, or has a key that would be lost."""
    if not isinstance(call, dict):
        raise ValueError(f"{what} is {kind(call)}, not an object")
    only(call, ("name", "arguments"), what)
    return call.get("name"), call.get("arguments")


def parts(text: str, count: int, where: str) -> list[str]:
    """The results of `count` calls in one text: a JSON list, LLaMA-Factory's join, or one a line; else ValueError."""
    if count == 1:
        return [text]
    for found in (items(text), text.split("\n</tool_response>\n<tool_response>\n"), text.split(RESULT_SEPARATOR)):
        if len(found) == count:
            return found
    raise ValueError(f"{where}: {count} calls, and a result that cannot be parted into {count}")


def items(text: str) -> list[str]:
    """The JSON text of each item of a JSON list, to the byte (of a string, the string); [] for anything else."""
    text = text.strip()
    try:
        listed = isinstance(parse_json(text), list)
    except ValueError:
        return []
    return [value if isinstance(value, str) else own for value, own in _values(text[:-1], 1)] if listed else []


def _values(text: str, position: int) -> Iterator[tuple[Any, str]]:
    while (position := _BETWEEN.match(text, position).end()) < len(text):  # type: ignore[union-attr]  # always matches
        value, end = parse_json_at(text, position)
        yield value, text[position:end]
        position = end


def sequence(text: str, start: int, what: str) -> list[Any]:
    """JSON values that stand one after the other from `start` to the end of a text; ValueError where one is not JSON."""
    try:
        return [value for value, _ in _values(text, start)]
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from None


def only(value: dict[str, Any], keys: Iterable[str], what: str) -> None:
    """ValueError for an object with a key that would be lost."""
    if extra := sorted(key for key in value if key not in keys and value[key] not in EMPTY):
        raise ValueError(f"{what}: the key {extra[0]!r} has no place in it")


def tools_of(tools: Iterable[Any], shaped: Shape = dict) -> list[Tool]:
    """Tools in canonical form; further keys of a function, such as `strict`, stay behind the canonical ones.

    `shaped` makes an OpenAI tool or function of what a format calls a tool. ValueError: a tool that is none.
    """
    return [_tool(to_json(tool), shaped) for tool in tools]


@lru_cache(maxsize=4096)
def _tool(text: str, shaped: Shape) -> Tool:
    # Data sets repeat their tools from row to row; checking a schema costs more than all the rest of a record.
    tool = json.loads(text)
    if not isinstance(tool, dict):
        raise ValueError(f"a tool is {kind(tool)}, not an object")
    tool = shaped(tool)
    if tool.get("type", "function") != "function":
        raise ValueError(f"a tool of type {tool['type']!r}, not a function")
    if "function" in tool:
        only(tool, ("type", "function"), "a tool")
    canonical = canonical_tool(tool)
    known = ANNOTATIONS - {*canonical["function"], "type"}
    more = {key: value for key, value in tool.get("function", tool).items() if key in known}
    return {"type": "function", "function": {**canonical["function"], **more}}


def calls_of(message: Message) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and the arguments of each call of a message."""
    for call in message.get("tool_calls", []):
        yield call["function"]["name"], json.loads(call["function"]["arguments"])
