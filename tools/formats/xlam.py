"""xlam-function-calling-60k: query, tools and answers, with the tools' parameters as flat Python types."""

from typing import Any

from tools.formats.conversation import Conversation
from tools.formats.python_text import python_tool
from tools.formats.talk import Talk
from tools.formats.values import list_of_objects


def read(record: dict[str, Any]) -> Conversation:
    """One question and its calls."""
    talk = Talk()
    talk.record(record, ("query", "tools", "answers"))
    talk.say("user", record.get("query"))
    answers = list_of_objects(record.get("answers"), "answers")
    if not answers:
        raise ValueError("no answers: nothing to train on")
    talk.call(answers)
    return talk.done(record.get("tools"), python_tool)
