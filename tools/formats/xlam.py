"""xlam-function-calling-60k: query, tools and answers, with the tools' parameters as flat Python types."""

from typing import Any

from tools.formats.builder import ConversationBuilder
from tools.formats.conversation import Conversation
from tools.formats.python_text import python_tool
from tools.formats.values import list_of_objects, text_of


def read(record: dict[str, Any]) -> Conversation:
    """Read one question and its calls."""
    builder = ConversationBuilder.of_record(record, ("query", "tools", "answers"))
    builder.add("user", text_of(record.get("query"), "query"))
    answers = list_of_objects(record.get("answers"), "answers")
    if not answers:
        raise ValueError("no answers: nothing to train on")
    builder.add_calls(answers)
    return builder.build(record.get("tools"), python_tool)
