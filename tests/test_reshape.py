"""What does not alternate is folded on request, what is not to be learned is not, and each change is told."""

from typing import Any

import pytest

from tools.formats import openai, sharegpt
from tools.formats.conversation import Conversation, LeftOut
from tools.formats.reshape import Options, reshaped

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "ok"}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


def call(identity: str = "a", content: str | None = None, **more: Any) -> dict[str, Any]:
    made = {"id": identity, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {"role": "assistant", "content": content, "tool_calls": [made], **more}


def result(identity: str = "a", content: str = "1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": content}


def read(*messages: dict[str, Any]) -> Conversation:
    return openai.read({"messages": list(messages), "tools": TOOLS})


def turns(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn["from"], turn["value"]) for turn in sharegpt.write(conversation)["conversations"]]


F = '{"name": "f", "arguments": {}}'


@pytest.mark.parametrize(
    ("messages", "row"),
    [
        ([USER, {"role": "user", "content": "there"}, ANSWER], [("human", "hi\n\nthere"), ("gpt", "ok")]),
        (
            [USER, {**ANSWER, "content": "One moment."}, call()],
            [("human", "hi"), ("function_call", f"One moment.\n<tool_call>{F}</tool_call>")],
        ),
        ([USER, ANSWER, ANSWER], [("human", "hi"), ("gpt", "ok\n\nok")]),
        (
            [USER, {**ANSWER, "reasoning_content": "a"}, {**ANSWER, "reasoning_content": "b"}],
            [("human", "hi"), ("gpt", "<think>\na\n\nb\n</think>\n\nok\n\nok")],
        ),
        (
            [USER, call("a"), call("b"), result("b", "2"), result("a", "1"), ANSWER],
            [("human", "hi"), ("function_call", f"[{F}, {F}]"), ("observation", "1\n2"), ("gpt", "ok")],
        ),
        (
            [
                USER,
                call(),
                result(),
                {"role": "user", "content": "in km"},
                {"role": "user", "content": "please"},
                ANSWER,
            ],
            [("human", "hi"), ("function_call", F), ("observation", "1\n\nin km\n\nplease"), ("gpt", "ok")],
        ),
        (
            [{"role": "system", "content": "A"}, {"role": "developer", "content": "B"}, USER, ANSWER],
            [("human", "hi"), ("gpt", "ok")],
        ),
    ],
)
def test_folding(messages: list[dict[str, Any]], row: list[tuple[str, str]]):
    conversation = read(*messages)
    with pytest.raises(ValueError, match="--fold"):
        [sharegpt.write(one) for one in reshaped(conversation)]
    [folded] = reshaped(conversation, Options(fold=True))
    assert turns(folded) == row
    assert len(folded.lost) == len(messages) - len(folded.messages)
    assert all("folded" in loss.what for loss in folded.lost)


def test_what_would_change_its_meaning_is_not_folded():
    for messages in (
        [USER, call(), ANSWER],
        [USER, {**ANSWER, "weight": 0}, ANSWER],
    ):
        with pytest.raises(ValueError, match="cannot be folded"):
            reshaped(read(*messages), Options(fold=True))


def test_thoughts_and_words_are_dropped_on_request():
    messages = [USER, call(content="Let me see.", reasoning_content="hm"), result(), {**ANSWER, "thinking": "so"}]
    [plain] = reshaped(read(*messages), Options(drop=("thoughts", "words")))
    assert turns(plain) == [("human", "hi"), ("function_call", F), ("observation", "1"), ("gpt", "ok")]
    assert sorted((loss.text, loss.at) for loss in plain.lost) == [
        ("Let me see.", "message 2"),
        ("hm", "message 2"),
        ("so", "message 4"),
    ]


def test_weights():
    zero, more = {**ANSWER, "content": "no idea", "weight": 0}, {"role": "user", "content": "look"}
    [cut] = reshaped(read(USER, ANSWER, more, zero))
    assert turns(cut) == [("human", "hi"), ("gpt", "ok")]
    assert [loss.text for loss in cut.lost] == ["look", "no idea"]
    [kept] = reshaped(read(USER, zero, more, ANSWER))
    with pytest.raises(ValueError, match="--unlearned"):
        sharegpt.write(kept)
    assert openai.read(openai.write(kept)) == kept
    [learned] = reshaped(kept, Options(unlearned="learn"))
    assert turns(learned)[1] == ("gpt", "no idea")
    assert [loss.text for loss in learned.lost] == ["no idea"]
    talk = read(USER, zero, more, call(), result(), ANSWER)
    masked = reshaped(talk, Options(unlearned="mask"))
    assert [turns(one)[-1][0] for one in masked] == ["function_call", "gpt"]
    assert [len(turns(one)) for one in masked] == [4, 6]
    with pytest.raises(LeftOut):
        reshaped(read(USER, zero))
