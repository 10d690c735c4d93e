"""Alpaca: instruction, input, output, and optionally system and history; no tools."""

from typing import Any

from tools.formats.conversation import Conversation, Talk, kind, text_of


def read(record: dict[str, Any]) -> Conversation:
    """The instruction and the input, a line break between them, are one user's turn, as LLaMA-Factory has it."""
    talk = Talk()
    if record.get("system"):
        talk.say("system", record["system"])
    history = record.get("history") or []
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise ValueError(f"history is {kind(history)}, not a list of pairs")
    for question, answer in history:
        talk.say("user", question)
        talk.say("assistant", answer)
    asked = [text_of(record[key], key) for key in ("instruction", "input") if record.get(key)]
    talk.say("user", "\n".join(asked))
    talk.say("assistant", text_of(record.get("output"), "output"))
    return Conversation(talk.messages)
