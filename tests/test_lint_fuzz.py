"""Lint against LLaMA-Factory's own reader, converter and tokenisation: what it passes is kept whole, what dies it names.

`HYPOTHESIS_EXAMPLES=2000 pytest tests/test_lint_fuzz.py` runs more examples, over every text template.
"""

import contextlib
import io
import json
import os
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from callwright.errors import UserError
from tools.checks.encode import load_view, stand_in
from tools.checks.lint import CrossRowChecks, lint_file
from tools.checks.lint_template import TemplateCheck
from tools.formats.dataset_info import SHAREGPT

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
FEW = ["qwen", "llama3", "mistral", "glm4", "gemma", "phi", "chatml", "qwen3", "default", "deepseek3"]

# ---- rows, mostly sound --------------------------------------------------------------------------------------------


def rarely(usual: st.SearchStrategy, odd: st.SearchStrategy, once_in: int = 25) -> st.SearchStrategy:
    return st.integers(1, once_in).flatmap(lambda number: odd if number == once_in // 2 else usual)


TOKENS = ["<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "[INST]", "[/INST]", "<end_of_turn>",
          "<start_of_turn>", "<|user|>", "<|assistant|>", "<|end|>", "<｜User｜>", "<｜Assistant｜>", "</s>", "<|endoftext|>"]  # fmt: skip
"""what opens and closes turns in one family or another, and what merely ends"""
PLAIN = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["畫一隻貓", "{{idx}}", "{{content}}", "<tool_call>", "<think>\n", "\n</think>\n\n", "<image>", " ",
         "2024-01-01", "null", "4", "a\n1", "Action: a\nAction Input: {}", "\0", "\u2028", "a</tool_call>b", "<tool_call>{}</tool_call>", "’'\"\\"]
    ),
)  # fmt: skip
WORDS = rarely(PLAIN, st.sampled_from([*TOKENS, "<|im_", "end|>", "<|IM_END|>", "＜|im_end|＞"]), once_in=20)
TEXT = st.lists(WORDS, min_size=1, max_size=3).map("".join)
NAME = st.sampled_from(["draw", "get_weather", "搜尋", "a.b"])
VALUE = st.recursive(
    st.one_of(TEXT, st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CALL = st.fixed_dictionaries({"name": NAME, "arguments": st.dictionaries(TEXT, VALUE, max_size=3)})


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


CALLS = rarely(
    (CALL | st.lists(CALL, min_size=1, max_size=3)).map(dumps),
    st.one_of(
        TEXT,
        VALUE.map(dumps),
        st.just("[]"),
        st.sampled_from(['{"name": "draw"}', '{"name": "draw", "arguments": "{}"}', '{"arguments": {}}', "{broken"]),
        st.sampled_from(['{"name": "a", "name": "b", "arguments": {}}', '{"name": "a", "arguments": {"x": NaN}}']),
        st.sampled_from(['{"name": "a", "arguments": {"x": 1e999}}', '{"name": "a", "arguments": {}, "id": 7}']),
        st.sampled_from(
            [
                '{"name": "a", "arguments": {"x": "\\ud800"}}',
                '{"name": 5, "arguments": {}}',
                '{"name": "", "arguments": {}}',
            ]
        ),
        st.tuples(TEXT, CALL, TEXT).map(lambda all: f"{all[0]}<tool_call>{dumps(all[1])}</tool_call>{all[2]}"),
        st.lists(CALL, min_size=2, max_size=3).map(
            lambda calls: "".join(f"<tool_call>{dumps(call)}</tool_call>" for call in calls)
        ),
        CALL.map(lambda call: dumps(call).replace("<", "\\u003c")),
        CALL.map(lambda call: f"<think>\nhm\n</think>\n\n{dumps(call)}"),
        st.just("[" * 3000 + "]" * 3000),
    ),
    once_in=8,
)
PROPERTY = rarely(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "number", "array"])},
        optional={"description": TEXT, "enum": st.lists(TEXT, max_size=2), "default": VALUE, TOKENS[0]: TEXT},
    ),
    st.sampled_from([{}, True, {"enum": ["a", "b"]}, {"enum": [1]}, {"type": ["string", "null"]}, {"items": {"type": "string"}},
                     {"items": True}, {"type": "nonsense"}, {"$ref": "#/$defs/none"}, {"$ref": "#"}, {"pattern": "("}, {"pattern": "^(a+)+$"},
                     {"allOf": [{"type": "string"}, False]}, {"multipleOf": 1e-320}, {"const": {"a": None}}, {"type": []}, {"enum": "a"},
                     {"properties": {"deep": {"properties": {"deeper": {"type": "integer"}}}}}, {"$dynamicRef": "#none"}]),
)  # fmt: skip
FUNCTION = rarely(
    st.builds(
        lambda name, words, properties: {
            "name": name, "description": words,
            "parameters": {"type": "object", "properties": properties, "required": sorted(properties)[:1]},
        },
        st.sampled_from(["draw", "get_weather", "搜尋", "a.b"]), TEXT, st.dictionaries(st.sampled_from(["prompt", "n", "items", TOKENS[0]]), PROPERTY, max_size=3),
    ),
    st.sampled_from([{"name": "a<|im_end|>", "parameters": {"type": "object", "properties": {"<|eot_id|>": {}}}}, {"name": "a"}, {"name": "a", "parameters": {}}, {"parameters": {}}, {}, 5, {"name": "a", "parameters": {"type": "object"}}]),
)  # fmt: skip
TOOL = FUNCTION | FUNCTION.map(lambda tool: {"type": "function", "function": tool})
TOOLS = rarely(
    st.just("") | st.lists(TOOL, min_size=1, max_size=2).map(dumps),
    st.sampled_from(["[]", "null", "{}", "5", "{broken", " ", None, [{"name": "a"}], 5, {"name": "a"}]),
)


@st.composite
def conversations(draw: st.DrawFn) -> Any:
    turns: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        turns.append({"from": draw(rarely(st.just("human"), st.just("observation"))), "value": draw(TEXT)})
        if draw(st.booleans()):
            turns.append({"from": "function_call", "value": draw(CALLS)})
        else:
            turns.append({"from": "gpt", "value": draw(TEXT)})
    if draw(st.integers(0, 15)) == 7:
        index = draw(st.integers(0, len(turns) - 1))
        odd = [{"from": "gpt", "value": "x"}, {"from": "system", "value": "x"}, {"from": "human"}, {"value": "x"}, {"from": "human", "value": None},
               {"from": "tool", "value": "x"}, {"from": "human", "value": 5}, {"from": "human", "value": "x", "extra": 1}, "words", None]  # fmt: skip
        turns[index] = draw(st.sampled_from(odd))
    change = draw(st.integers(0, 40))
    if change == 17:
        turns = turns[:-1]
    elif change == 23:
        turns.insert(0, {"from": "system", "value": draw(TEXT)})
    return draw(st.sampled_from([None, "words", 5, {}])) if change == 31 else turns


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    row = {
        "conversations": draw(conversations()),
        "system": draw(rarely(TEXT, st.sampled_from([None, 5, []]))),
        "tools": draw(TOOLS),
    }
    if draw(st.integers(0, 15)) == 7:
        row["extra"] = draw(st.sampled_from([1, "x", None, [1], {"a": 1}, {"a": "x"}, True]))
    if draw(st.integers(0, 30)) == 7:
        del row[draw(st.sampled_from(sorted(row)))]
    return row


LINES = st.lists(rarely(rows().map(json.dumps) | rows().map(dumps), st.sampled_from(["", "{broken", "[1]", '{"a": 1, "a": 2}', '"words"'])) , min_size=1, max_size=3)  # fmt: skip

# ---- LLaMA-Factory's side ------------------------------------------------------------------------------------------


@cache
def checks(template: str) -> TemplateCheck:
    view = load_view({"template": template, "cutoff_len": 1_000_000}, stand_in(template))
    return TemplateCheck(view, has_tokenizer=True)


def train_on(path: Path, template: str) -> list[list[int] | None] | str:
    """What LLaMA-Factory trains on, token ids (or None: dropped) for each row; or what it dies of."""
    from datasets import Dataset
    from datasets.packaged_modules.json.json import Json, JsonConfig
    from llamafactory.data.converter import align_dataset
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.data.processor import SupervisedDatasetProcessor

    view = checks(template).view
    attr = DatasetAttr("file", dataset_name="rows")
    attr.join(SHAREGPT)
    reader = Json.__new__(Json)
    reader.config = JsonConfig(name="rows")
    arguments = SimpleNamespace(local_process_index=0)
    processor = SupervisedDatasetProcessor(view.template, view.tokenizer, None, view.data_args)
    rows: list[list[int] | None] = []
    try:
        tables = [table for _, table in reader._generate_tables([[str(path)]])]
        dataset = align_dataset(Dataset(tables[0]), attr, view.data_args, arguments)
        for number in range(len(dataset)):
            rows += processor.preprocess_dataset(dataset[number : number + 1])["input_ids"] or [None]
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return rows


def turns_in(ids: list[int], template: str) -> dict[str, int]:
    """How often each token that opens or closes a turn in a template stands in what is trained on."""
    tokenizer = checks(template).view.tokenizer
    words = checks(template).tokens.turns
    return {word: ids.count(tokenizer.convert_tokens_to_ids(word)) for word in words}


def without_tokens(line: str) -> str:
    """The same row, where texts hold no control token."""
    for token in TOKENS:
        for written in (token, dumps(token)[1:-1], json.dumps(token)[1:-1], token.replace("<", "\\\\u003c")):
            line = line.replace(written, "x")
    return line


def leaves(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return [leaf for item in items for leaf in leaves(item)]


def is_whole(line: str, text: str) -> bool:
    """Whether every word of a row is in the text, as it stands or as JSON writes it."""
    row = json.loads(line)
    words = [row.get("system") or ""]
    for turn in row["conversations"]:
        try:
            words += leaves(json.loads(turn["value"])) if turn["from"] == "function_call" else [turn["value"]]
        except json.JSONDecodeError:
            words += []  # words beside a call, or a thought before it
    if row.get("tools"):
        words += [tool.get("function", tool)["name"] for tool in json.loads(row["tools"])]
    kept = ("name", "arguments")
    whole = all(word in kept or word in text or dumps(word)[1:-1] in text for word in words)
    return whole and ("Infinity" in line or "Infinity" not in text)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.disable_caching()


def templates() -> list[str]:
    if EXAMPLES <= 100:
        return FEW
    from llamafactory.data.mm_plugin import BasePlugin
    from llamafactory.data.template import TEMPLATES

    return [name for name, template in TEMPLATES.items() if type(template.mm_plugin) is BasePlugin]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= 100,
    suppress_health_check=list(HealthCheck),
)
@given(lines=LINES, data=st.data())
def test_lint_says_what_llamafactory_does(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], data: st.DataObject
):
    template = data.draw(st.sampled_from(templates()))
    as_list = data.draw(st.booleans())

    def write(lines: list[str]) -> Path:
        path = tmp_path_factory.getbasetemp() / ("rows.json" if as_list else "rows.jsonl")
        path.write_text("[" + ",\n".join(filter(None, lines)) + "]" if as_list else "\n".join(lines), encoding="utf-8")
        return path

    path = write(lines)
    try:
        count, findings = lint_file(path, SHAREGPT, CrossRowChecks({}), checks(template))
    except UserError:
        assert as_list, "a list that is broken cannot be read on"
        return
    errors = [finding for finding in findings if finding.severity == "error"]
    with contextlib.redirect_stdout(io.StringIO()):
        trained = train_on(path, template)
    event("dies" if isinstance(trained, str) else "drops" if None in trained else "keeps")
    event("errors" if errors else "clean")
    kept = [line for line in lines if line]
    if not errors:
        assert not isinstance(trained, str), trained
        assert len(trained) == count
        for line, ids in zip(kept, trained, strict=True):
            assert ids is not None
            text = checks(template).view.tokenizer.decode(ids, clean_up_tokenization_spaces=False)
            assert is_whole(line, text), text
        if any(without_tokens(line) != line for line in kept):
            event("clean with tokens")
            harmless = train_on(write(list(map(without_tokens, lines))), template)
            assert not isinstance(harmless, str), harmless
            for ids, others in zip(trained, harmless, strict=True):
                assert turns_in(ids or [], template) == turns_in(others or [], template)
    elif not isinstance(trained, str):
        places = {finding.place for finding in errors}
        numbers = range(len(kept)) if as_list else [number for number, line in enumerate(lines, 1) if line]
        for number, ids in zip(numbers, trained, strict=True):
            assert ids is not None or f"{path}{f'[{number}]' if as_list else f':{number}'}" in places
