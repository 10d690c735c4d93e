"""A conversation as an evaluation case."""

from callwright.matchers import is_matcher
from callwright.records import Call, Case
from tools.formats.conversation import Conversation, Loss, calls_of


def write(conversation: Conversation, identity: str, lost: list[Loss] | None = None) -> Case:
    """Write a case: what comes before the last answer is asked; its calls are expected. `lost` gets what is lost.

    Raises:
        ValueError: the last message is not the assistant's, or is not to be learned.
    """
    if conversation.images:
        raise ValueError("images: only ShareGPT rows can hold them")
    if lost is not None:
        lost += conversation.lost
    *asked, answer = [{key: message[key] for key in message if key != "weight"} for message in conversation.messages]
    if answer["role"] != "assistant" or not asked:
        raise ValueError(f"the last message is the {answer['role']}'s: nothing to expect")
    if conversation.messages[-1].get("weight") == 0:
        raise ValueError("the last answer has weight 0: nothing to expect")
    expected = [
        Call(name=name, arguments={k: {"any_of": [v]} if is_matcher(v) else v for k, v in arguments.items()})
        for name, arguments in calls_of(answer)
    ]
    return Case(id=identity, messages=asked, tools=conversation.tools, expected=expected, group=identity)
