"""Builds a conversation message by message, and counts every key of the source that it has no place for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from callwright.files import to_json
from callwright.tool_results import part_results
from tools.formats.arguments import settled
from tools.formats.call_turn import split_thought
from tools.formats.conversation import Conversation, LeftOut, Loss, Message
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
class ConversationBuilder:
    """A conversation in the making, for formats without ids of their own as well."""

    messages: list[Message] = field(default_factory=list)
    calls: int = 0
    lost: list[Loss] = field(default_factory=list)

    @classmethod
    def of_record(cls, record: dict[str, Any], known: Sequence[str]) -> "ConversationBuilder":
        """Begin the conversation of a record, and note the keys that its format does not know.

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
        builder = cls()
        builder.check_keys(record, "record", (*known, "id", *(key for key, weight in weights.items() if weight == 1)))
        return builder

    def lose(self, what: str, value: Any, at: str = "") -> None:
        """Note something that the conversation has no place for."""
        self.lost.append(Loss(what, value if isinstance(value, str) else to_json(value), at))

    def check_keys(self, value: dict[str, Any], level: str, known: Iterable[str], at: str = "") -> None:
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

    def read_role(
        self, message: dict[str, Any], roles: Mapping[str, str], known: Sequence[str], at: str, sender: str = "role"
    ) -> str:
        """Check the keys of a message, and return its role; ValueError for a role that is not among `roles`.

        Args:
            roles: what the format calls a role → what we call it.
            known: the keys that are understood, besides those of the role and the weight.
            sender: the key of the role.
        """
        self.check_keys(message, "message", (sender, *known, *WEIGHTS), at)
        role = roles.get(str(message.get(sender)))
        if role is None:
            raise ValueError(f"{at}: {sender} {message.get(sender)!r} is not one of {', '.join(roles)}")
        return role

    def read_turns(
        self, record: dict[str, Any], roles: Mapping[str, str]
    ) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """Read the from/value turns in `conversations`: where each stands, its role, its text and its weight."""
        for number, turn in enumerate(list_of_objects(record.get("conversations"), "conversations"), 1):
            at = f"turn {number}"
            role = self.read_role(turn, roles, ("value",), at, "from")
            yield at, role, text_of(turn.get("value"), f"the value of {at}"), self.read_weight(turn, at)

    def read_weight(self, message: dict[str, Any], at: str) -> dict[str, Any]:
        """Read a message's weight: {"weight": 0} where it is not to be learned; other weights become 1, which is {}."""
        given = [message[key] for key in WEIGHTS if message.get(key) is not None]
        if any(not isinstance(value, int | float) for value in given):
            raise ValueError(f"{at}: a weight that is {kind(given[0])}, not 0 or 1")
        if 0 in given:
            return {"weight": 0}
        if odd := [value for value in given if value != 1]:
            self.lose("weight of a message, which becomes 1", odd[0], at)
        return {}

    def add_system(self, content: Any) -> None:
        """Add a system message, where there is one."""
        if not is_empty(content):
            self.add("system", content)

    def add(self, role: str, content: Any, at: str = "", thoughts: Iterable[str] = (), **more: Any) -> None:
        """Add a message of the system, the user or the assistant.

        An assistant's thought may stand in front of what it says, or beside it, and then perhaps under several keys.
        """
        at = at or f"message {len(self.messages) + 1}"
        text = text_of(content, f"{at}: content")
        given = "\n\n".join(dict.fromkeys(filter(None, thoughts)))
        if role == "assistant":
            thought, rest = split_thought(text)
            # Servers that part the thought from the text may leave it in the text as well.
            if thought and (not given or thought.strip() == given.strip()):
                text, given = rest, given or thought
            more = {"reasoning_content": given, **more} if given else more
        else:
            more.pop("weight", None)  # only answers are learned
            if given:
                self.lose(f"thought of the {role}", given, at)
        self.messages.append({"role": role, "content": text, **more})

    def add_calls(
        self, calls: Iterable[Any], words: str | None = None, thoughts: Iterable[str] = (), **more: Any
    ) -> None:
        """Add an assistant's message with calls, each as `read_call` takes it, and the words beside them."""
        where = f"a call in message {len(self.messages) + 1}"
        read = [self.read_call(call, where) for call in calls]
        self.add("assistant", words or "", thoughts=thoughts, **more)
        message = self.messages[-1]
        self.messages[-1] = {**message, "content": message["content"] or None, "tool_calls": read}

    def read_call(self, call: Any, what: str) -> dict[str, Any]:
        """Read an OpenAI tool call of {"name", "arguments"}, by itself or as `function`; arguments may be JSON text.

        Text is kept to the byte. What is empty is settled when the tools are known.

        Raises:
            ValueError: no name, arguments that are not an object, or a key in which they could hide.
        """
        call = object_of(call, what)
        if call.get("type") not in (None, "function"):
            raise ValueError(f"{what} of type {call['type']!r}, not a function")
        function = call
        if "function" in call:
            self.check_keys(call, "call", ("id", "type", "function", "index"), what)
            function = object_of(call["function"], what)
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not name.strip():
            raise ValueError("a call without a name")
        for key, value in function.items():
            if arguments in (None, "") and isinstance(value, dict | list) and value:
                raise ValueError(f"{what}: no arguments, but the key {key!r} holds {kind(value)}")
        self.check_keys(function, "call", ("name", "arguments", "id", "type", "index"), what)
        self.calls += 1
        identity = call.get("id") or f"call_{self.calls}"
        if "function" in call:
            text_of(identity, f"the id of {what}")
        elif not isinstance(identity, str):  # a number within the record, to which no result refers
            identity = f"call_{self.calls}"
        text = "" if arguments is None else arguments
        if not isinstance(text, str):
            text = to_json(object_of(arguments, f"arguments of {name!r}"))
        elif text.strip() in ("", "null"):
            text = ""
        else:
            read = from_json(text, f"arguments of {name!r}")
            if not isinstance(read, dict):
                raise ValueError(f"arguments of {name!r} are {kind(read)}, not an object")
        return {"id": identity, "type": "function", "function": {"name": name, "arguments": text}}

    def add_results(self, *contents: Any) -> None:
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

    def build(self, tools: Any = None, shaped: Shape = dict, images: Sequence[str] = ()) -> Conversation:
        """Settle the calls by the tools (a list or its JSON text); ValueError where the messages are no conversation."""
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
