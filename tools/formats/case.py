"""A conversation as an evaluation case."""

from callwright.matchers import is_matcher
from callwright.records import Call, Case
from tools.formats.conversation import Conversation, calls_of


def write(conversation: Conversation, identity: str) -> Case:
    """What comes before the last answer is asked; its calls are expected. ValueError: the last is not the assistant's."""
    if conversation.images:
        raise ValueError("images: only ShareGPT rows can hold them")
    *asked, answer = conversation.messages
    if answer["role"] != "assistant" or not asked:
        raise ValueError(f"the last message is the {answer['role']}'s: nothing to expect")
    expected = [
        Call(name=name, arguments={k: {"any_of": [v]} if is_matcher(v) else v for k, v in arguments.items()})
        for name, arguments in calls_of(answer)
    ]
    return Case(id=identity, messages=asked, tools=conversation.tools, expected=expected, group=identity)
