"""ToolACE: the tools inside the system text, calls as `[Name(arg="…"), …]`, names with spaces."""

import json
import re
from functools import lru_cache
from typing import Any

from callwright.files import parse_json_at, to_json
from tools.formats.conversation import Conversation, Talk, Tool, list_of_objects, only, text_of, tools_of
from tools.formats.python_text import json_schema_tool, literal

DIRECTIONS = (
    "Here is a list of functions in JSON format that you can invoke:",
    "You should only return the function call in tools call sections.",
    "You should only return the function call in the tools call sections.",
    "NO other text MUST be included.",
)
"""how to write a call in this format: the template of the model says it in its own way"""
_FORMAT = re.compile(r"Should you decide to return the function call\(s\)\.?[^\[]{0,200}\[[^\]]{0,400}\]\.?")
_LIST = re.compile(r"\[\s*(?=[{\]])")
_OPEN = re.compile(r"\[\s*[^\[\]{}()\"'=,]+\(")
_TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([\[({])|([\])}])|(,)|[^"'\[({\])},]+|["']""", re.DOTALL)


def read(record: dict[str, Any]) -> Conversation:
    """Turns with their calls and results. What the system text says beside tools and directions stays."""
    talk = Talk()
    system = text_of(record.get("system"), "system")
    tools, rest = _tools(system)
    if rest:
        talk.say("system", rest)
    for number, turn in enumerate(list_of_objects(record.get("conversations"), "conversations"), 1):
        only(turn, ("from", "value"), f"turn {number}")
        sender, value = turn.get("from"), text_of(turn.get("value"), f"the value of turn {number}")
        if sender == "tool":
            talk.result(value)
        elif sender == "assistant" and _OPEN.match(value.lstrip()):
            talk.call(_calls(value.strip()))
        elif sender in ("user", "assistant"):
            talk.say(sender, value)
        else:
            raise ValueError(f"turn {number}: from {sender!r} is not one of user, assistant, tool")
    return Conversation(talk.messages, [_tool(to_json(tool)) for tool in tools])


@lru_cache(maxsize=4096)
def _tool(text: str) -> Tool:
    return tools_of([json_schema_tool(json.loads(text))])[0]


def _tools(system: str) -> tuple[list[dict[str, Any]], str]:
    """The tools, and the system text without them and without directions."""
    tools: Any = []
    if found := _LIST.search(system):
        try:
            tools, end = parse_json_at(system, found.start())
        except ValueError as error:
            raise ValueError(f"tools in the system text: not JSON ({error})") from None
        system = system[: found.start()] + system[end:].lstrip(". ")
    rest = _FORMAT.sub("", system)
    for direction in DIRECTIONS:
        rest = rest.replace(direction, "")
    return list_of_objects(tools, "tools"), re.sub(r"\n{2,}", "\n", rest).strip()


def _calls(text: str) -> list[tuple[str, Any]]:
    calls = []
    for call in _parts(text, "[", "]"):
        name, bracket, _ = call.partition("(")
        if not bracket:
            raise ValueError(f"{call[:40]!r} is no call")
        arguments: dict[str, Any] = {}
        for argument in _parts(call[len(name) :], "(", ")"):
            key, equals, value = argument.partition("=")
            if not equals or not re.fullmatch(r"[\w.-]+", key.strip()):
                raise ValueError(f"argument {argument[:40]!r} of {name.strip()!r} has no name")
            if key.strip() in arguments:
                raise ValueError(f"argument {key.strip()!r} of {name.strip()!r} stands twice")
            arguments[key.strip()] = literal(value)
        calls.append((name.strip(), arguments))
    return calls


def _parts(text: str, opening: str, closing: str) -> list[str]:
    """What stands between commas inside the brackets that the whole text is in."""
    found, depth, start = [], 0, 1
    for token in _TOKEN.finditer(text):
        _, opened, closed, comma = token.groups()
        if token[0] in "\"'":  # a quote that nothing closes
            break
        depth += bool(opened) - bool(closed)
        if (comma and depth == 1) or (closed and depth == 0):
            found.append(text[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            break
    if not text.startswith(opening) or depth or text[start - 1] != closing or text[start:].strip():
        raise ValueError(f"{text[:40]!r} does not end with its {closing!r}")
    return found if found != [""] else []
