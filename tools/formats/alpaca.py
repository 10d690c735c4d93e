"""Alpaca: instruction, input, output, and optionally system, history and tools."""

from typing import Any

from callwright.files import parse_json
from tools.formats.builder import ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.values import is_empty, kind, text_of


def read(record: dict[str, Any]) -> Conversation:
    """Read the instruction and the input, a line break between them, as one user's turn, as LLaMA-Factory has it.

    With tools, an output that is JSON of calls (`name` and `arguments`) is calls; LLaMA-Factory would learn it as text.
    """
    builder = ConversationBuilder.of_record(record, ("instruction", "input", "output", "system", "history", "tools"))
    builder.add_system(record.get("system"))
    history = [] if is_empty(record.get("history")) else record["history"]
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise ValueError(f"history is {kind(history)}, not a list of pairs")
    for question, answer in history:
        builder.add("user", question)
        builder.add("assistant", answer)
    asked = [text_of(record[key], key) for key in ("instruction", "input") if not is_empty(record.get(key))]
    builder.add("user", "\n".join(asked))
    output = text_of(record.get("output"), "output")
    calls = _calls(output) if not is_empty(record.get("tools")) else []
    if calls:
        builder.add_calls(calls)
    else:
        builder.add("assistant", output)
    return builder.build(record.get("tools"))


def _calls(output: str) -> list[Any]:
    """Read an output that is calls through and through; [] for words."""
    try:
        value = parse_json(output)
    except ValueError:
        return []
    calls = value if isinstance(value, list) else [value]
    return calls if all(isinstance(call, dict) and {"name", "arguments"} <= call.keys() for call in calls) else []
