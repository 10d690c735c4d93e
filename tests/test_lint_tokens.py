"""Control tokens, marks of the tool format and several blocks in one turn: what lint says of each row of a table."""

import functools
import json
import re
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from callwright.files import ROOT, read_json, write_jsonl
from callwright.records import Case
from tools.checks.encode import load_view, stand_in
from tools.checks.lint import CrossRowChecks, Finding, case_findings, lint_file
from tools.checks.lint_row import check_row
from tools.checks.lint_template import TemplateCheck
from tools.formats.dataset_info import SHAREGPT

CASES: dict[str, dict[str, Any]] = read_json(ROOT / "tests/cases/lint_rows.json")
DRAW = {
    "name": "draw",
    "description": "Draw.",
    "parameters": {
        "type": "object",
        "properties": {"prompt": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["prompt"],
    },
}


@functools.cache
def check(template: str = "qwen", has_tokenizer: bool = True) -> TemplateCheck:
    """With a tokenizer that has tokens of its own beside the template's, as SmolLM2's, Qwen's and DeepSeek's have."""
    from tokenizers import AddedToken

    if not has_tokenizer:
        return TemplateCheck(load_view({"template": template}), False)
    tokenizer = stand_in(template)
    special = ["<|endoftext|>", "<repo_name>", "<file_sep>", "<empty_output>"]
    tokenizer.add_tokens(special, special_tokens=True)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in ("<|fim|>", "ü", "    ")])
    return TemplateCheck(load_view({"template": template, "cutoff_len": 100_000}, tokenizer), True)


def row_of(case: dict[str, Any]) -> dict[str, Any]:
    turns = [{"from": role, "value": value} for role, value in case["turns"]]
    return {"conversations": turns, "system": case.get("system", ""), "tools": case.get("tools", json.dumps([DRAW]))}


def shown(finding: Finding) -> str:
    """The code, and the part of the row where one is named."""
    part = re.match(r"turn \d+|the system message|the list of tools", finding.message)
    return f"{finding.code} {part[0]}" if part else finding.code


@pytest.mark.parametrize("name", CASES)
def test_what_lint_says_of_a_row(name: str, tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", [row_of(CASES[name])])
    _, findings = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}), check())
    assert [shown(finding) for finding in findings] == CASES[name]["lint"]


@pytest.mark.parametrize(
    ("template", "word"),
    [
        *[
            ("llama3", "<|eot_id|>"),
            ("llama3", "<|start_header_id|>"),
            ("gemma", "<end_of_turn>"),
            ("mistral", "[/INST]"),
        ],
        *[("deepseek3", "<｜User｜>"), ("glm4", "<|user|>"), ("phi", "<|end|>"), ("gpt_oss", "<|start|>")],
        *[("bailing", "<role>"), ("exaone", "[|assistant|]"), ("chatml", "<|im_start|>")],
    ],
)
@pytest.mark.parametrize("has_tokenizer", [True, False])
def test_a_template_s_own_markers_are_known_without_its_tokenizer(template: str, word: str, has_tokenizer: bool):
    rows = [({"turns": [["human", f"a {word} b"], ["gpt", "ok"]]}, "turn 1")]
    rows += [({"turns": [["human", "a"], ["gpt", "b"]], "system": word}, "the system message")]
    described = {**DRAW, "description": word}
    rows += [({"turns": [["human", "a"], ["gpt", "b"]], "tools": json.dumps([described])}, "the list of tools")]
    for case, part in rows:
        faults, row = check_row(row_of(case), SHAREGPT)
        assert row and not faults
        assert check(template, has_tokenizer).tokens.faults(row) == [("special", f"{part} holds {word!r}")]


def test_a_look_alike_is_the_token_where_the_tokenizer_makes_it_one():
    from tokenizers import AddedToken, normalizers

    tokenizer = stand_in("qwen")
    tokenizer.backend_tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_tokens([AddedToken("<|tool|>", normalized=True)])
    tokens = TemplateCheck(load_view({"template": "qwen"}, tokenizer), True).tokens
    for words, faults in (("＜|tool|＞ ①", [("marker", "turn 1 holds '<|tool|>'")]), ("①＜", [])):
        _, row = check_row(row_of({"turns": [["human", words], ["gpt", "ok"]]}), SHAREGPT)
        assert row and tokens.faults(row) == faults


def test_marks_without_end_are_read_in_linear_time():
    spent = []
    for count, (role, mark) in product((10_000, 40_000), (("function_call", "<tool_call>"), ("gpt", "<tool_call>{"))):
        begun, value = time.process_time(), mark * count
        faults, row = check_row(row_of({"turns": [["human", "x"], [role, value]]}), SHAREGPT)
        assert [code for code, _ in faults + (check().check(row) if row else [])] in (
            ["call"],
            ["marker", "cut-answer"],
        )
        spent.append(time.process_time() - begun)
    assert sum(spent[2:]) < 10 * sum(spent[:2])  # four times as much; sixteen times as long where it is quadratic


def test_what_is_nested_too_deeply_is_named_and_ends_nothing():
    for depth in (300, 900):
        deep = '{"name": "draw", "arguments": {"prompt": "x", "n": %s}}' % ("[" * depth + "]" * depth)
        faults, row = check_row(row_of({"turns": [["human", "x"], ["function_call", deep]]}), SHAREGPT)
        assert faults or check().check(row)


def test_evaluation_cases_are_searched_too(tmp_path: Path):
    tools = [{"type": "function", "function": DRAW}]
    asked = [{"role": "user", "content": text} for text in ("draw <|im_end|>", "draw a cat")]
    write_jsonl(
        tmp_path / "cases.jsonl",
        [Case(id=f"g{n}", messages=[ask], tools=tools, expected=[]).model_dump() for n, ask in enumerate(asked)],
    )
    [finding] = case_findings(tmp_path / "cases.jsonl", check().tokens)
    assert (finding.place, finding.severity) == (f"{tmp_path / 'cases.jsonl'} g0", "warning")
    assert "<|im_end|>" in finding.message
