import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.thoughts import MARKS, split_thoughts

CALL = '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'


@pytest.mark.parametrize(("opening", "closing"), MARKS.items())
def test_every_family(opening, closing):
    split = split_thoughts(f"{opening}\nhm <tool_call>\n{closing}\n\n{CALL}")
    assert split == (("\nhm <tool_call>\n",), CALL, False)
    assert split_thoughts(f"{opening}{closing}Hello!") == (("",), "Hello!", False)
    assert split_thoughts(f"{opening}\nhm {CALL}") == ((f"\nhm {CALL}",), "", True)
    if closing != "<|end|>":
        assert split_thoughts(f"hm {CALL}\n{closing}\n\nHello!") == ((f"hm {CALL}\n",), "Hello!", False)


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("Hello!", (), "Hello!"),
        (" Hello! ", (), " Hello! "),
        ("", (), ""),
        ("Sure. <think>a</think> Hello", ("a",), "Sure. Hello"),
        (f"<think>a</think>\n{CALL}\n<think>b</think>\n{CALL}", ("a", "b"), f"{CALL}\n{CALL}"),
        ("<think>a</think><think>b", ("a", "b"), ""),
        ("<think>the tag <think> opens one</think>Hello", ("the tag <think> opens one",), "Hello"),
        ("Sure.\n<think>cut", ("cut",), "Sure.\n"),
        ("The tag <think> opens one.", (), "The tag <think> opens one."),
        ("Write `<think>a</think>` so.", (), "Write `<think>a</think>` so."),
        ("It names `<think>`.\n</think>\nHello", ("It names `<think>`.\n",), "Hello"),
        ('"Yes"<think>a</think>Hello', ("a",), '"Yes"Hello'),
        ('{"name": "f", "arguments": {"x": "a <think>b</think>"}}', (), None),
        ('{"name": "f", "arguments": {"x": "\\"<think>b</think>"}}', (), None),
        ("<function=f>\n<parameter=x>\n<think>b</think>\n</parameter>\n</function>", (), None),
        ("<tool_call>f\n<arg_key>x</arg_key>\n<arg_value></think></arg_value>\n</tool_call>", (), None),
        ('<｜DSML｜parameter name="x" string="true"><think>b</think></｜DSML｜parameter>', (), None),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|>"
            "<|start|>assistant<|channel|>final<|message|>Hello<|return|>",
            ("a", "b"),
            "Hello",
        ),
        ("<|channel|>final<|message|>Hello<|return|>", (), "Hello"),
        ("analysisWe greet.assistantfinalHello", ("We greet.",), "Hello"),
        ("analysis of the text", (), "analysis of the text"),
    ],
)
def test_where_a_thought_stands(text, thoughts, answer):
    assert split_thoughts(text)[:2] == (thoughts, text if answer is None else answer)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*MARKS, *MARKS.values(), "a", "\n", '"', "`", "<parameter=x>"]), max_size=12))
def test_no_text_raises(pieces):
    split = split_thoughts("".join(pieces))
    assert all(thought in "".join(pieces) for thought in split.thoughts)


@pytest.mark.parametrize(
    "unit",
    [
        "<think>",
        "a <think>",
        "</think>",
        "a <parameter=x>",
        "<parameter=",
        "\\",
        " ",
        '"',
        "<|start|>assistant",
        "`<think>",
        "<think></think>",
    ],
)
def test_hostile_text_takes_linear_time(unit):
    def seconds(length: int) -> float:
        started = time.process_time()
        for head in ("", "a", "analysis"):
            split_thoughts(head + unit * (length // len(unit)))
        return time.process_time() - started

    assert any(seconds(400_000) < 0.05 + 20 * seconds(40_000) for _ in range(3))
