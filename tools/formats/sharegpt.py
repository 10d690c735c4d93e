"""ShareGPT rows, as LLaMA-Factory reads them: from/value turns, the system text, tools as JSON text, and images."""

from collections.abc import Callable
from typing import Any

from callwright.files import to_json
from tools.formats.conversation import (
    RESULT_SEPARATOR,
    Conversation,
    Message,
    Talk,
    Tool,
    calls_of,
    from_json,
    list_of_objects,
    pair_of,
    senders,
    text_of,
    tools_of,
)

Turn = dict[str, str]
Lose = Callable[[str, str], None]
"""told of what a row has no place for: what it is, and its text"""

SENDERS = {"user": "human", "assistant": "gpt", "tool": "observation"}
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
THOUGHT = ("<think>", "</think>")


def read(record: dict[str, Any]) -> Conversation:
    """A record with `conversations`, `system` (or a first turn of it), `tools`, and `image` or `images` (paths)."""
    talk = Talk()
    if record.get("system"):
        talk.say("system", record["system"])
    for number, sender, value in senders(record, (*ROLES, "function_call", "observation")):
        if sender == "function_call":
            cut = 0
            if value.startswith(THOUGHT[0]):  # LLaMA-Factory lets a thought stand before the call
                cut = value.find(THOUGHT[1]) + len(THOUGHT[1])
            talk.call(_calls(value[cut:], number), value[:cut])
        elif sender == "observation":
            talk.result(value)
        else:
            talk.say(ROLES[sender], value)
    images = record.get("images") or record.get("image") or []
    images = [text_of(path, "an image") for path in (images if isinstance(images, list) else [images])]
    return Conversation(talk.messages, tools_of(list_of_objects(record.get("tools") or [], "tools")), images)


def _calls(text: str, number: int) -> list[tuple[Any, Any]]:
    value = from_json(text, f"turn {number}")
    calls = value if isinstance(value, list) else [value]
    if not calls:
        raise ValueError(f"turn {number}: a list of no calls")
    return [pair_of(call, f"a call in turn {number}") for call in calls]


def turns(messages: list[Message], lose: Lose = lambda what, text: None, first: int = 1) -> list[Turn]:
    """Messages after the system's (the first of them is number `first`) as turns that alternate as LLaMA-Factory
    demands: {human, observation} and {gpt, function_call}, the last one the model's. The results of parallel calls
    become one turn, in the order of the calls.

    LLaMA-Factory has no place for text beside a call (its issue 9107), a thought or a participant's name: `lose` is
    told of each. ValueError: messages that cannot alternate so.
    """
    result: list[Turn] = []
    order: list[str] = []
    results: dict[str, str] = {}
    for number, message in enumerate(messages, first):
        calls = [{"name": name, "arguments": arguments} for name, arguments in calls_of(message)]
        content = str(message["content"] or "")
        if message["role"] == "tool":
            results[message["tool_call_id"]] = content
            if len(results) < len(order):
                continue
            content = RESULT_SEPARATOR.join(results[identity] for identity in order)
        elif "name" in message:
            lose("participant's name", message["name"])
        if "reasoning_content" in message:
            lose("thought", message["reasoning_content"])
        turn = {"from": SENDERS.get(message["role"], str(message["role"])), "value": content}
        if calls:
            if content:
                lose("text beside a call", content)
            order, results = [call["id"] for call in message["tool_calls"]], {}
            turn = {"from": "function_call", "value": to_json(calls[0] if len(calls) == 1 else calls)}
        if turn["from"] not in (("human", "observation"), ("gpt", "function_call"))[len(result) % 2]:
            raise ValueError(f"message {number} may not be {turn['from']!r}: roles must alternate")
        result.append(turn)
    if len(result) % 2:
        raise ValueError(f"the last message is the {messages[-1]['role']}'s: nothing to train on")
    return result


def write(conversation: Conversation, lose: Lose = lambda what, text: None) -> dict[str, Any]:
    """The row of a conversation."""
    head = conversation.messages[0]
    start, system = (1, head["content"]) if head["role"] == "system" else (0, "")
    turned = turns(conversation.messages[start:], lose, start + 1)
    row = {"conversations": turned, "system": system, "tools": tools_text(conversation.tools)}
    return {**row, "images": conversation.images} if conversation.images else row


def tools_text(tools: list[Tool]) -> str:
    """Tools as the row holds them; no tools are no text, for `[]` would add an empty system block.

    Only the keys that LLaMA-Factory's API server rebuilds from a request stay, so that training and serving agree.
    """
    keys = ("name", "description", "parameters")
    return to_json([{key: tool["function"][key] for key in keys} for tool in tools]) if tools else ""
