import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.grammars import Grammar, attempts_call, find_calls, read_calls

CASES = json.loads((Path(__file__).parent / "cases" / "grammars.json").read_text("utf-8"))
GRAMMARS: tuple[Grammar, ...] = ("default", "qwen", "llama3")
PIECES = ["<tool_call>", "</tool_call>", "Action:", " f", "\n", "Action Input:", '{"name"', ': "f"', ', "arguments": ']
PIECES += [
    "{}",
    "}",
    "[",
    '"',
    "\\",
    "\\ud800",
    "\ud800",
    "parameters",
    " ",
    "1e999",
    "NaN",
    "圖",
    "{" * 40,
    "[TOOL_CALLS]",
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['grammar']}: {case['name']}")
def test_readings(case):
    reading = read_calls(case["text"], case["grammar"])
    assert [[found.call.name, found.call.arguments] for found in reading.calls] == case["calls"]
    assert reading.outside == case["outside"]
    assert reading.fault is None if case["fault"] is None else case["fault"] in (reading.fault or "")
    assert reading.whole == bool(case["calls"])


def test_spans_cut_the_calls_out_of_the_text():
    text = 'a <tool_call>{"name": "f", "arguments": {}}</tool_call> b'
    found = read_calls(text, "qwen").calls[0]
    assert text[found.start : found.end] == '<tool_call>{"name": "f", "arguments": {}}</tool_call>'


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        '{"name": "f", "arguments": {"x": 1}',
        "{'name': 'f', 'arguments': {}}",
        'Sure: {"name": "f", "parameters": {}}',
        '[TOOL_CALLS][{"name": "f"}]',
        "Action: f\nAction Input: {x}",
        "draw(prompt='a')",
        "```\ndraw(prompt='a')",
    ],
)
def test_an_attempt_says_why_it_fails(text):
    assert find_calls(text) is None
    assert attempts_call(text, ["draw"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot draw(yet).",
        "My name is draw; here are my arguments.",
        '{"a": 1}',
        "Action: a film genre",
        "<b>bold</b>",
        '<tool_call>{"name": "f", "arguments": {}}</tool_call>',  # whole, so it does not fail
    ],
)
def test_what_is_no_attempt(text):
    assert attempts_call(text, ["draw"]) is None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
def test_no_text_raises(text):
    for grammar in GRAMMARS:
        reading = read_calls(text, grammar)
        assert all(0 <= found.start < found.end <= len(text) for found in reading.calls)
    attempts_call(text, ["f"])
    find_calls(text)


@pytest.mark.parametrize(
    "unit",
    [
        "<tool_call>",
        '<tool_call>["',
        '<tool_call>{"a',
        '<tool_call>{"name":"f","arguments":{}}</tool_call>',
        "</tool_call>",
        "Action: a\n",
        "Action: a\nAction Input: ",
        "Action: " + " " * 50,
        "[",
        '{"a":',
        '{"name": "f", "arguments": ',
        '"name" : ',
    ],
)
def test_hostile_text_takes_linear_time(unit):
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.perf_counter()
        attempts_call(text, ["f"])
        return time.perf_counter() - started

    seconds(1_000)
    assert seconds(400_000) < 2 + 40 * seconds(40_000)
    assert seconds(400_000) < 8
