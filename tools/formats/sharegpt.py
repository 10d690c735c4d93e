"""ShareGPT rows, as LLaMA-Factory reads them: from/value turns, the system text, tools as JSON text, and images."""

from typing import Any

from callwright.files import to_json
from callwright.tool_results import join_results
from tools.formats import call_turn
from tools.formats.builder import ConversationBuilder
from tools.formats.call_turn import split_thought, with_thought
from tools.formats.conversation import Conversation, Loss, Message, Tool, calls_of
from tools.formats.tool import KEPT
from tools.formats.values import is_empty, text_of

Turn = dict[str, str]
SENDERS = {"user": "human", "assistant": "gpt", "tool": "observation"}
ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system",
    "function_call": "call", "observation": "tool",
}  # fmt: skip
ALTERNATE = ("human", "observation"), ("gpt", "function_call")
"""the roles that LLaMA-Factory takes at odd and at even places"""


def read(record: dict[str, Any]) -> Conversation:
    """Read a record with `conversations`, `system` (or a first turn of it), `tools`, and `image` or `images` (paths)."""
    builder = ConversationBuilder.of_record(record, ("conversations", "system", "tools", "image", "images"))
    builder.add_system(record.get("system"))
    for at, role, value, weight in builder.read_turns(record, ROLES):
        if role == "call":
            try:
                turn = call_turn.read(value)
            except ValueError as error:
                raise ValueError(f"{at}: {error}") from None
            builder.add_calls(turn.calls, turn.words, [turn.thought], **weight)
        elif role == "tool":
            builder.add_results(value)
        else:
            builder.add(role, value, **weight)
    given: Any = next((record[key] for key in ("images", "image") if not is_empty(record.get(key))), [])
    images = [text_of(path, "an image") for path in (given if isinstance(given, list) else [given])]
    return builder.build(record.get("tools"), images=images)


def turns(messages: list[Message], lost: list[Loss], first: int = 1) -> list[Turn]:
    """Write messages after the system's (the first of them is number `first`) as turns that alternate as LLaMA-Factory
    demands: {human, observation} and {gpt, function_call}, the last one the model's.

    The results of parallel calls become one turn, in the order of the calls. Words and thoughts beside a call stay where
    LLaMA-Factory learns them (see call_turn); `lost` gets what a row cannot hold.

    Raises:
        ValueError: messages that cannot alternate so, or one that is not to be learned, which a row cannot say.
    """
    result: list[Turn] = []
    order: list[str] = []
    results: dict[str, str] = {}
    for number, message in enumerate(messages, first):
        at = f"message {number}"
        if message.get("weight") == 0:
            raise ValueError(f"{at} has weight 0, and a row learns every answer; choose with --unlearned")
        if message["role"] == "tool":
            results[message["tool_call_id"]] = str(message["content"])
            if len(results) < len(order):
                continue
            turn = {"from": "observation", "value": join_results([results[identity] for identity in order])}
        elif message.get("tool_calls"):
            turn = {"from": "function_call", "value": _call_value(message, lost, at)}
            order, results = [call["id"] for call in message["tool_calls"]], {}
        else:
            sender = SENDERS.get(message["role"], str(message["role"]))
            turn = {"from": sender, "value": _value(message, lost, at)}
        if "name" in message and message["role"] != "tool":
            lost.append(Loss("participant's name", message["name"], at))
        if turn["from"] not in ALTERNATE[len(result) % 2]:
            remedy = "; --fold joins what does not" if result else ", the user first"
            raise ValueError(f"{at} may not be {turn['from']!r}: roles must alternate{remedy}")
        result.append(turn)
    if len(result) % 2:
        raise ValueError(f"the last message is the {messages[-1]['role']}'s: nothing to train on")
    return result


def _value(message: Message, lost: list[Loss], at: str) -> str:
    """Write what a message without calls says, its thought before it."""
    thought, content = message.get("reasoning_content", ""), str(message["content"])
    value = with_thought(thought, content)
    if thought and split_thought(value) != (thought, content):
        lost.append(Loss("thought that holds </think>", thought, at))
        return content
    return value


def _call_value(message: Message, lost: list[Loss], at: str) -> str:
    """Write the calls of a message, with the thought and the words that stand before them."""
    calls = [{"name": name, "arguments": arguments} for name, arguments in calls_of(message)]
    thought, words = message.get("reasoning_content", ""), str(message["content"] or "")
    value, held = call_turn.write(thought, words, calls)
    if held.thought != thought:
        lost.append(Loss("thought that names the mark of a call", thought, at))
    if held.words != words:
        lost.append(Loss("words beside a call that name its mark", words, at))
    return value


def write(conversation: Conversation, lost: list[Loss] | None = None) -> dict[str, Any]:
    """Write the row of a conversation; `lost` gets what it cannot hold."""
    lost = [] if lost is None else lost
    lost += conversation.lost
    head, *more = conversation.messages
    start, system = (1, head["content"]) if head["role"] == "system" else (0, "")
    if start and more[:1] and more[0]["role"] == "system":
        raise ValueError("message 2: a system message may only come first")
    if start and not system:
        lost.append(Loss("empty system message: a template has its default for it", "", "message 1"))
    turned = turns(conversation.messages[start:], lost, start + 1)
    for tool in conversation.tools:
        function = tool["function"]
        for key in [key for key in function if key not in KEPT and not is_empty(function[key])]:
            lost.append(Loss(f"key {key[:60]!r} of a tool", to_json(function[key]), f"tool {function['name']!r}"))
    row = {"conversations": turned, "system": system, "tools": tools_text(conversation.tools)}
    return {**row, "images": conversation.images} if conversation.images else row


def tools_text(tools: list[Tool]) -> str:
    """Write tools as the row holds them, KEPT keys alone; no tools are no text, for `[]` would add an empty system block."""
    return to_json([{key: tool["function"][key] for key in KEPT} for tool in tools]) if tools else ""
