"""OpenAI messages and tools, as its API, its fine-tuning files and most data sets write them."""

from typing import Any

from tools.formats.conversation import (
    EMPTY,
    Conversation,
    Message,
    call_of,
    list_of_objects,
    only,
    pair_of,
    text_of,
    tools_of,
)

ROLES = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool",
    "function": "tool",
}  # fmt: skip
KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "reasoning_content"}


def read(record: dict[str, Any]) -> Conversation:
    """A record with `messages`, and `tools` or the older `functions` (a list or its JSON text).

    Arguments may be text or objects; missing ids are numbered; the older `function_call` and the roles `developer` and
    `function` become today's.
    """
    messages: list[Message] = []
    waiting: list[str] = []
    count = 0
    for number, given in enumerate(list_of_objects(record.get("messages"), "messages"), 1):
        where = f"message {number}"
        only(given, KEYS, where)
        message = {key: value for key, value in given.items() if value not in EMPTY or key == "content"}
        role = ROLES.get(str(message.get("role")))
        if role is None:
            raise ValueError(f"{where}: role {message.get('role')!r} is not one of {', '.join(ROLES)}")
        calls = message.get("tool_calls", [])
        if "function_call" in message:
            if calls:
                raise ValueError(f"{where}: tool_calls and the older function_call")
            calls = [{"function": message["function_call"]}]
        result: Message = {"role": role, "content": _content(message.get("content"), where, optional=bool(calls))}
        if calls and role != "assistant":
            raise ValueError(f"{where}: the {role} may not call")
        if calls:
            made = []
            for call in list_of_objects(calls, f"tool_calls of {where}"):
                what = f"a call in {where}"
                only(call, ("id", "type", "function", "index"), what)
                if call.get("type", "function") != "function":
                    raise ValueError(f"{what} of type {call['type']!r}, not a function")
                count += 1
                identity = text_of(call.get("id") or f"call_{count}", f"the id of {what}")
                made.append(call_of(identity, *pair_of(call.get("function"), what)))
            result["tool_calls"] = made
            waiting = [call["id"] for call in made]
        if role == "tool":
            identity = message.get("tool_call_id") or next(iter(waiting), "")
            result["tool_call_id"] = identity
            waiting = [other for other in waiting if other != identity]
        result |= {key: text_of(message[key], where) for key in ("name", "reasoning_content") if key in message}
        messages.append(result)
    tools = record.get("tools") or record.get("functions") or []
    return Conversation(messages, tools_of(list_of_objects(tools, "tools")))


def _content(content: Any, where: str, optional: bool) -> str | None:
    """Content as text; a list of one text part is its text."""
    if isinstance(content, list):
        if len(content) != 1 or not isinstance(content[0], dict) or content[0].get("type") != "text":
            raise ValueError(f"{where}: content of {len(content)} parts, not of one text")
        content = content[0].get("text")
    if content is None and optional:
        return None
    return text_of(content, f"{where}: content")


def write(conversation: Conversation) -> dict[str, Any]:
    """The record; reading it gives the same conversation. ValueError: images, which only rows can hold."""
    if conversation.images:
        raise ValueError("images: only ShareGPT rows can hold them")
    return {"messages": conversation.messages, **({"tools": conversation.tools} if conversation.tools else {})}
