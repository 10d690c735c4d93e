"""Builds a conversation message by message, and counts every key of the source that it has no place for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from callwright.files import to_json
from callwright.tool_results import part_results
from tools.formats.arguments import settled
from tools.formats.conversation import Conversation, LeftOut, Loss, Message
from tools.formats.thought import split_thought
from tools.formats.tool import Shape, read_tools
from tools.formats.values import from_json, is_empty, kind, list_of_objects, object_of, text_of

CONTENT: dict[str, tuple[str, ...]] = {
    "record": (
        *("messages", "conversations", "conversation", "history", "tools", "functions", "system"),
        *("images", "image", "videos", "video", "audios", "audio", "chosen", "rejected", "preferred_output"),
    ),
    "message": (
        *("content", "value", "text", "parts", "tool_calls", "function_call", "tool_call_id", "refusal", "prefix"),
        *("images", "image", "videos", "video", "audios", "audio", "reasoning_content", "reasoning", "thinking"),
    ),
    "part": (),
    "call": (),
}
"""keys in which words, calls, media or a judgement stand: a reader that does not understand one refuses what holds it"""

LABELS = ("label", "kto_tag")
"""keys by which preference data says that an answer is bad"""
WEIGHTS = ("weight", "loss_weight", "train")
"""keys by which OpenAI's files, LLaMA-Factory v1 and axolotl say whether a message is learned: 0 or false means not"""
THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought", "thinking_blocks", "reasoning_details")


def is_no(value: Any) -> bool:
    """Tell whether a label says no: false, 0, or their text (a CSV file knows nothing else)."""
    return value.strip().lower() in ("false", "0") if isinstance(value, str) else value is False or value == 0


@dataclass
class Talk:
    """Messages in the making, for formats without ids of their own as well."""

    messages: list[Message] = field(default_factory=list)
    calls: int = 0
    lost: list[Loss] = field(default_factory=list)

    def lose(self, what: str, value: Any, at: str = "") -> None:
        """Note something that the conversation has no place for."""
        self.lost.append(Loss(what, value if isinstance(value, str) else to_json(value), at))

    def keys(self, value: dict[str, Any], level: str, known: Iterable[str], at: str = "") -> None:
        """Note every key of an object that is neither known nor empty; ValueError for one of CONTENT.

        Args:
            level: what the object is, a key of CONTENT.
        """
        for key, item in value.items():
            if key in known or is_empty(item):
                continue
            if key in CONTENT[level]:
                raise ValueError(f"{at or 'the record'}: the key {key[:60]!r} has no place in it")
            self.lose(f"key {key[:60]!r} of a {level}", item, at)

    def record(self, record: dict[str, Any], known: Sequence[str]) -> None:
        """Note the keys of a whole record that a format does not know.

        Raises:
            LeftOut: its weight is 0.
            ValueError: it is labelled as bad, or holds content under a key that the format does not know.
        """
        if label := next((label for label in LABELS if is_no(record.get(label))), None):
            given = f"{label} is {to_json(record[label])}"
            raise ValueError(f"labelled false ({given}): an answer to unlearn (KTO), and rows teach every answer")
        weights = {key: record[key] for key in WEIGHTS if isinstance(record.get(key), int | float)}
        if 0 in weights.values():
            raise LeftOut("its weight is 0: not to be learned")
        self.keys(record, "record", (*known, "id", *(key for key, weight in weights.items() if weight == 1)))

    def weight(self, message: dict[str, Any], at: str) -> dict[str, Any]:
        """What a message keeps of its weight: {"weight": 0} where it is not to be learned; other weights are 1."""
        given = [message[key] for key in WEIGHTS if message.get(key) is not None]
        if any(not isinstance(value, int | float) for value in given):
            raise ValueError(f"{at}: a weight that is {kind(given[0])}, not 0 or 1")
        if 0 in given:
            return {"weight": 0}
        if odd := [value for value in given if value != 1]:
            self.lose("weight of a message, which becomes 1", odd[0], at)
        return {}

    def say(self, role: str, content: Any, at: str | None = None, **more: Any) -> None:
        """Add a message of the system, the user or the assistant, whose thought may stand in front of what it says."""
        text = text_of(content, at or f"message {len(self.messages) + 1}")
        thought, rest = split_thought(text) if role == "assistant" else ("", text)
        if thought and thought.strip() == more.setdefault("reasoning_content", thought).strip():
            text = rest  # servers that part the thought from the text may leave it in the text as well
        self.messages.append({"role": role, "content": text, **more})

    def call(self, calls: Iterable[Any], content: str | None = None, **more: Any) -> None:
        """Add an assistant message with calls, each as `read_call` takes it, and the words beside them."""
        where = f"a call in message {len(self.messages) + 1}"
        made = [self.read_call(call, where) for call in calls]
        self.say("assistant", content or "", **more)
        self.messages[-1] = {**self.messages[-1], "content": self.messages[-1]["content"] or None, "tool_calls": made}

    def read_call(self, call: Any, what: str) -> dict[str, Any]:
        """An OpenAI tool call of {"name", "arguments"}, by itself or as `function`; arguments may be JSON text.

        Text is kept to the byte. What is empty is settled when the tools are known.

        Raises:
            ValueError: no name, arguments that are not an object, or a key in which they could hide.
        """
        call = object_of(call, what)
        if call.get("type") not in (None, "function"):
            raise ValueError(f"{what} of type {call['type']!r}, not a function")
        function = call
        if "function" in call:
            self.keys(call, "call", ("id", "type", "function", "index"), what)
            function = object_of(call["function"], what)
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not name.strip():
            raise ValueError("a call without a name")
        for key, value in function.items():
            if arguments in (None, "") and isinstance(value, dict | list) and value:
                raise ValueError(f"{what}: no arguments, but the key {key!r} holds {kind(value)}")
        self.keys(function, "call", ("name", "arguments", "id", "type", "index"), what)
        self.calls += 1
        identity = call.get("id") or f"call_{self.calls}"
        if "function" in call:
            text_of(identity, f"the id of {what}")
        elif not isinstance(identity, str):  # a number within the record, to which no result refers
            identity = f"call_{self.calls}"
        if arguments is None or (isinstance(arguments, str) and arguments.strip() in ("", "null")):
            text = ""  # settled in `done`, when the tools are known
        else:
            read = from_json(arguments, f"arguments of {name!r}") if isinstance(arguments, str) else arguments
            if not isinstance(read, dict):
                raise ValueError(f"arguments of {name!r} are {kind(read)}, not an object")
            text = arguments if isinstance(arguments, str) else to_json(read)
        return {"id": identity, "type": "function", "function": {"name": name, "arguments": text}}

    def result(self, *contents: Any) -> None:
        """Add what the last calls returned: a text for each, or one text that holds all of theirs."""
        calls = self.messages[-1].get("tool_calls", []) if self.messages else []
        where = f"message {len(self.messages) + 1}"
        if not calls:
            raise ValueError(f"{where}: a result that belongs to no call")
        results = [text_of(content, where) for content in contents]
        if len(results) == 1:
            try:
                results = part_results(results[0], len(calls))
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
        if len(results) != len(calls):
            raise ValueError(f"{where}: {len(calls)} calls and {len(results)} results")
        for call, part in zip(calls, results, strict=True):
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": part})

    def done(self, tools: Any = None, shaped: Shape = dict, images: Sequence[str] = ()) -> Conversation:
        """The conversation, its calls settled by the tools (a list or its JSON text); ValueError where it is none."""
        read, lost = read_tools([] if is_empty(tools) else list_of_objects(tools, "tools"), shaped)
        self.lost += lost
        by_name = {tool["function"]["name"]: tool for tool in read}
        for number, message in enumerate(self.messages, 1):
            for call in message.get("tool_calls", ()):
                function = call["function"]
                function["arguments"], padding = settled(function, by_name.get(function["name"]))
                if padding:
                    self.lose("null argument that the tool has no place for", padding, f"message {number}")
        return Conversation(self.messages, read, list(images), self.lost)


def senders(talk: Talk, record: dict[str, Any], known: Sequence[str]) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """The number, sender, text and weight of each from/value turn in `conversations`; ValueError for any other."""
    for number, turn in enumerate(list_of_objects(record.get("conversations"), "conversations"), 1):
        talk.keys(turn, "message", ("from", "value", *WEIGHTS), f"turn {number}")
        sender = str(turn.get("from"))
        if sender not in known:
            raise ValueError(f"turn {number}: from {sender!r} is not one of {', '.join(known)}")
        yield (
            number,
            sender,
            text_of(turn.get("value"), f"the value of turn {number}"),
            talk.weight(turn, f"turn {number}"),
        )
