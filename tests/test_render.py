"""Render shows what LLaMA-Factory's processor makes of a row: text, ids, what is learned."""

from pathlib import Path

import pytest

from callwright.files import to_json, write_json, write_jsonl
from tools.checks.encode import load_tokenizer
from tools.checks.render import spans
from tools.formats.dataset_info import SHAREGPT
from tools.render import main

STEM = "smollm2-135m_lora"


@pytest.fixture
def arguments(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A recipe on two rows of its own and the tiny model."""
    for place in ("tools.checks.render", "tools.render"):
        monkeypatch.setattr(f"{place}.ROOT", tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    write_json(tmp_path / "dataset_info.json", {"d": {"file_name": "d.jsonl", **SHAREGPT}})
    turns = [
        ("human", "畫貓"),
        ("function_call", '{"name":"draw","arguments":{"what":"貓"}}'),
        ("human", "hi"),
        ("gpt", "yes?"),
    ]
    row = {"conversations": [{"from": f, "value": v} for f, v in turns], "system": "", "tools": ""}
    write_jsonl(tmp_path / "d.jsonl", [row, {**row, "conversations": row["conversations"][:1]}])
    return [STEM, "dataset=d", f"model_name_or_path={tiny_model}"]


def test_the_text_with_what_is_learned_between_marks(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n畫貓<|im_end|>\n"
        '<|im_start|>assistant\n⟦<tool_call>\n{"name": "draw", "arguments": {"what": "貓"}}\n</tool_call><|im_end|>\n⟧'
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n⟦yes?<|im_end|>\n⟧\nrender: d.jsonl:1: "
    )


def test_the_ids_are_the_tokenizers(arguments: list[str], tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    main([*arguments, "--ids"])
    *lines, _, summary = capsys.readouterr().out.splitlines()
    ids = [int(line.split()[0]) for line in lines]
    tokenizer, _ = load_tokenizer({"model_name_or_path": str(tiny_model)})
    learned = [number for number, line in zip(ids, lines, strict=True) if line.endswith("learned")]
    assert tokenizer.decode(learned).endswith("</tool_call><|im_end|>\nyes?<|im_end|>\n")
    assert summary.endswith(f"{len(ids)} tokens, {len(learned)} of them learned")


def test_a_cut_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    main([*arguments, "cutoff_len=40"])
    assert "40 tokens (cutoff_len reached)" in capsys.readouterr().out


def test_spans():
    assert list(spans([1, 2, 3, 4], [-100, 2, 3, -100])) == [([1], False), ([2, 3], True), ([4], False)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--row", "3"], "no such row"),
        (["--row", "0"], "rows count from 1"),
        (["--row", "2"], "LLaMA-Factory drops it"),
        (["dataset=other"], "python -m tools.convert"),
        (["model_name_or_path=models/none"], "python -m tools.fetch_model none"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], change: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main([*arguments, *change]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_file_needs_no_recipe(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    value = 'Let me see.\n<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    turns = [{"from": "human", "value": "hi"}, {"from": "function_call", "value": value}]
    path = tmp_path / "rows.json"
    path.write_text(to_json([{"conversations": turns, "system": "", "tools": ""}]))
    assert main([str(path), "--template", "qwen3"]) == 0
    learned = 'Let me see.\n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call><|im_end|>\n'
    assert f"⟦<think>\n\n</think>\n\n{learned}⟧" in capsys.readouterr().out
    assert main([STEM, *arguments[1:], "--file", str(path)]) == 0
    assert f"⟦{learned}⟧" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "remedy"),
    [
        ([], "--template"),
        (["--template", "nonesuch"], "choose one of"),
        (["--template", "qwen"], "tools.lint"),
    ],
)
def test_a_file_that_cannot_be_shown_is_one_line(
    tmp_path: Path, more: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
):
    turns = [{"from": "human", "value": "hi"}, {"from": "function_call", "value": "f()"}]
    write_jsonl(tmp_path / "rows.jsonl", [{"conversations": turns}])
    assert main([str(tmp_path / "rows.jsonl"), *more]) == 2
    error = capsys.readouterr().err
    assert remedy in error and error.count("\n") == 1
