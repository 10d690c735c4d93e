"""Alpaca: instruction, input, output, and optionally system, history and tools."""

from typing import Any

from callwright.files import parse_json
from tools.formats.conversation import Conversation
from tools.formats.talk import Talk
from tools.formats.values import is_empty, kind, text_of


def read(record: dict[str, Any]) -> Conversation:
    """The instruction and the input, a line break between them, are one user's turn, as LLaMA-Factory has it.

    With tools, an output that is JSON of calls (`name` and `arguments`) is calls; LLaMA-Factory would learn it as text.
    """
    talk = Talk()
    talk.record(record, ("instruction", "input", "output", "system", "history", "tools"))
    if not is_empty(record.get("system")):
        talk.say("system", record["system"])
    history = [] if is_empty(record.get("history")) else record["history"]
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise ValueError(f"history is {kind(history)}, not a list of pairs")
    for question, answer in history:
        talk.say("user", question)
        talk.say("assistant", answer)
    asked = [text_of(record[key], key) for key in ("instruction", "input") if not is_empty(record.get(key))]
    talk.say("user", "\n".join(asked))
    output = text_of(record.get("output"), "output")
    calls = _calls(output) if not is_empty(record.get("tools")) else []
    if calls:
        talk.call(calls)
    else:
        talk.say("assistant", output)
    return talk.done(record.get("tools"))


def _calls(output: str) -> list[Any]:
    """The calls that an output is, through and through; [] for words."""
    try:
        value = parse_json(output)
    except ValueError:
        return []
    calls = value if isinstance(value, list) else [value]
    return calls if all(isinstance(call, dict) and {"name", "arguments"} <= call.keys() for call in calls) else []
