"""The label of an utterance: what is asked for it, and what is read from the answer: calls, or a reply."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from callwright.call_readers import attempts_call, find_calls
from callwright.config import Api, DataConfig
from callwright.files import parse_json, to_json
from callwright.records import Call, Seed, explain, read_arguments
from callwright.schema import call_fault
from callwright.thoughts import split_thoughts
from tools.utterances.llm.ledger import Answer, Request
from tools.utterances.llm.plan import prompt

FRAME, DENSE = 64, 2
"""Tokens of a label besides its JSON or sentence (marks, spaces), and the fewest bytes of a token (3 and more are usual)."""
SENTENCE = re.compile(r"\s*[^\n]{3,}?(?:[.!?…](?=\s)|[。！？]|(?=\n))")
"""The first sentence of a reply, or its first line."""


def longest_label(seeds: Sequence[Seed], tools: list[dict[str, Any]]) -> int:
    """Return the bytes that a label may take beside the user's own words: as a seed's, or as calls with every argument."""
    seeded = [to_json([call.model_dump() for call in seed.calls]) if seed.calls else seed.reply or "" for seed in seeds]
    filled = [to_json(tool["function"]["name"]) for tool in tools]
    for number, tool in enumerate(tools):
        for name, schema in tool["function"]["parameters"].get("properties", {}).items():
            listed = schema.get("enum", []) if isinstance(schema, dict) else []
            filled[number] += to_json(name) + max(map(to_json, listed), key=len, default="")
    calls = max((len(seed.calls) for seed in seeds), default=1)
    return max(longest_bytes(seeded), calls * longest_bytes(filled))


def longest_bytes(texts: Sequence[str]) -> int:
    """Return the bytes of the longest text."""
    return max((len(text.encode()) for text in texts), default=0)


def labelling(
    config: DataConfig, api: Api, said: Sequence[dict[str, Any]], tools: list[dict[str, Any]], room: int
) -> Request:
    """Return the request for a label, or for the answer after results: it knows what was said, the tools, and no purpose.

    Args:
        room: `longest_label`. The answer ends where no label could be longer: a model that rambles costs no more.
    """
    system = prompt("label", system=config.system, result=said[-1]["role"] == "tool")
    messages = [{"role": "system", "content": system}, *said]
    words = len(str(said[-1]["content"]).encode())  # a call may repeat all of them
    most = min(api.max_tokens, FRAME + (room + words) // DENSE)
    body: dict[str, Any] = {"model": api.relabel_model or api.model, "messages": messages, "max_tokens": most}
    if api.temperature is not None:
        body["temperature"] = 0.0
    return Request({**body, "tools": tools})


def in_form(request: Request, seeds: Sequence[Seed]) -> Request:
    """Ask for a label once more, as JSON of a form that the server can hold the model to.

    For small models, which write calls in a way that neither their server nor our readers can read. There may be as many
    calls as in a seed: small models go on and on.
    """
    body, most = dict(request.body), max(len(seed.calls) for seed in seeds)
    tools, (system, *said) = body.pop("tools"), body["messages"]
    text = prompt("label_form", label=system["content"], tools=[to_json(tool["function"]) for tool in tools])
    messages = [{"role": "system", "content": text}, *said]
    return Request({**body, "messages": messages, "response_format": label_form(tools, most)}, request.ordinal)


def label_form(tools: list[dict[str, Any]], most: int) -> dict[str, Any]:
    """Return a `response_format` for a LabelForm of at most so many calls of these tools."""
    call = [
        {
            "type": "object",
            "properties": {"name": {"const": own["name"]}, "arguments": _alone(own["parameters"])},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for own in (tool["function"] for tool in tools)
    ]
    properties = {
        "calls": {"type": "array", "items": {"anyOf": call}, "maxItems": max(most, 1)},
        "reply": {"type": "string"},
    }
    schema = {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "label", "strict": False, "schema": schema}}


def _alone(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that can stand inside another: its references would lead astray there."""
    return {"type": "object"} if '"$ref"' in to_json(parameters) else parameters


class LabelForm(BaseModel):
    """A label as JSON: calls, or a reply where there are none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    calls: list[Call]
    reply: str


class TextCallError(ValueError):
    """A call stands in the text of an answer, in no form that can be read."""


def read_label(answer: Answer, tools: list[dict[str, Any]]) -> tuple[list[Call], str | None]:
    """Read the calls, or the reply, of the labeller's answer.

    A call in the text counts where the server names none: small models write it in a form that their server does not
    read. Of a reply that rambles on to the end of its tokens, the first sentence counts.

    Raises:
        ValueError: truncated, arguments that are no JSON object or break the tool's schema, a call in the text that
            cannot be read, or nothing said.
    """
    said, cut = split_thoughts(answer.content or "").answer.strip(), answer.finish == "length"
    offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    calls = [_call(*call) for call in answer.calls]
    if not calls and (found := find_calls(said, offered)):
        calls = [one.call for one in found.calls]
    if not calls and said and attempts_call(said, offered):
        raise TextCallError("a call in the text that cannot be read")
    if cut and not calls:
        said = sentence[0].strip() if (sentence := SENTENCE.match(said)) else ""
        if not said:
            raise ValueError("the answer is truncated: be brief")
    return _label(calls, said, tools)


def read_form(answer: Answer, tools: list[dict[str, Any]]) -> tuple[list[Call], str | None]:
    """Read the calls, or the reply, of an answer to `in_form`.

    Raises:
        ValueError: not of the form, calls that break their tool's schema, or nothing said.
    """
    try:
        label = LabelForm.model_validate(parse_json(split_thoughts(answer.content or "").answer))
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    return _label(label.calls, label.reply.strip(), tools)


def _label(calls: list[Call], said: str, tools: list[dict[str, Any]]) -> tuple[list[Call], str | None]:
    for call in calls:
        if fault := call_fault(call, tools):
            raise ValueError(fault)
    if not calls and not said:
        raise ValueError("neither a call nor a reply")
    return calls, None if calls else said


def _call(name: str, text: str) -> Call:
    try:
        return Call(name=name, arguments=read_arguments(text))
    except ValueError as error:
        raise ValueError(f"the arguments of {name} are {error}") from None


def thinks(answer: Answer) -> bool:
    """Tell whether an answer ended before anything but thoughts was said, be they shown or kept by the server."""
    return answer.finish == "length" and not answer.calls and not split_thoughts(answer.content or "").answer.strip()
