"""What a function_call turn says, what LLaMA-Factory would learn of it, and what lint and convert make of the difference."""

import json
from pathlib import Path

import pytest

from callwright.files import write_jsonl
from tools.checks.lint_row import check_row, read_calls
from tools.formats import call_turn
from tools.formats.call_turn import CallTurn
from tools.formats.dataset_info import SHAREGPT, faults_of

F = {"name": "f", "arguments": {"a": 1}}
TEXT = json.dumps(F)


@pytest.mark.parametrize(
    ("value", "turn", "beside"),
    [
        (TEXT, CallTurn("", "", [F]), ""),
        (f"[{TEXT}, {TEXT}]", CallTurn("", "", [F, F]), ""),
        (f"<tool_call>[{TEXT}, {TEXT}]</tool_call>", CallTurn("", "", [F, F]), ""),
        (f"Let me see.\n<tool_call>\n{TEXT}\n</tool_call>", CallTurn("", "Let me see.", [F]), "Let me see.\n"),
        (f"<think>hm</think>{TEXT}", CallTurn("hm", "", [F]), "<think>hm</think>"),
        (f"<think>\n<tool_call>?\n</think>\n\n{TEXT}", CallTurn("<tool_call>?", "", [F]), "<think>\n<tool_call>?\n</think>\n\n"),
        (
            f"<think>\nhm\n</think>\n\nSo.\n<tool_call>{TEXT}</tool_call>",
            CallTurn("hm", "So.", [F]),
            "<think>\nhm\n</think>\n\nSo.\n",
        ),
        (f"<tool_call>{TEXT}</tool_call> Done.", CallTurn("", "Done.", [F]), " Done."),
    ],
)  # fmt: skip
def test_what_lint_and_convert_read_alike(value: str, turn: CallTurn, beside: str):
    assert call_turn.read(value) == turn
    parsed = read_calls(value)
    assert (parsed.beside, [call.model_dump() for call in parsed.calls]) == (beside, turn.calls)


@pytest.mark.parametrize(
    "value",
    [
        f"<tool_call>{TEXT}</tool_call>\n<tool_call>{TEXT}</tool_call>",
        f"So.<tool_call>{TEXT}</tool_call> and <tool_call>{TEXT}</tool_call>",
        json.dumps({"name": "f", "arguments": {"a": "<tool_call>x</tool_call>"}}),
        f"<tool_call>{json.dumps({'name': 'f', 'arguments': {'a': '</tool_call>'}})}</tool_call>",
    ],
)
def test_what_llamafactory_would_learn_otherwise_is_an_error_that_convert_mends(value: str):
    with pytest.raises(ValueError, match=r"tool_call|not JSON"):
        read_calls(value)
    turn = call_turn.read(value)
    mended, held = call_turn.write(turn.thought, turn.words, turn.calls)
    assert held.calls == turn.calls
    assert [call.model_dump() for call in read_calls(mended).calls] == turn.calls


@pytest.mark.parametrize(
    "value",
    ["", "f()", "[]", "<tool_call>", f"<tool_call>{TEXT}", f"{TEXT} so", "<think>hm", "5 <tool_call>x</tool_call>"],
)
def test_what_is_no_call_at_all(value: str):
    for read in (call_turn.read, read_calls):
        with pytest.raises(ValueError):
            read(value)


def test_rows_with_words_and_thoughts_pass_register_and_lint(tmp_path: Path):
    rows = []
    for number in range(8):
        value, _ = call_turn.write("hm" * (number % 2), "So. <|x|>" * (number // 2 % 2), [F])
        turns = [{"from": "human", "value": f"hi {number}"}, {"from": "function_call", "value": value}]
        rows.append({"conversations": turns, "system": "", "tools": json.dumps([{"name": "f", "description": "", "parameters": {"type": "object", "properties": {"a": {}}}}])})  # fmt: skip
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert list(faults_of({"file_name": "rows.jsonl", **SHAREGPT}, tmp_path)) == []
    assert [check_row(row, SHAREGPT)[0] for row in rows] == [[]] * 8


def test_lint_and_templates(tmp_path: Path):
    from tests.test_lint import check_of

    def codes(template: str, thought: str, words: str) -> set[str]:
        value, _ = call_turn.write(thought, words, [F])
        turns = [{"from": "human", "value": "hi"}, {"from": "function_call", "value": value}]
        _, row = check_row({"conversations": turns, "system": "", "tools": ""}, SHAREGPT)
        return {code for code, _ in check_of(template).check(row)}

    assert codes("qwen3", "hm", "So.") == codes("qwen", "hm", "So.") == codes("llama3", "", "So.") - {"date"} == set()
    assert codes("lfm2", "", "So.") == codes("mistral", "hm", "") == codes("gpt_oss", "hm", "") == {"call"}
    assert "special" in codes("qwen3", "hm", "So <|im_end|>.")
