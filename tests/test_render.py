"""Render shows what LLaMA-Factory's processor makes of a row: text, ids, what is learned."""

from pathlib import Path

import pytest

from callwright.files import write_json, write_jsonl
from tools import render
from tools.encode import load_tokenizer
from tools.register import SHAREGPT
from tools.render import main, spans

STEM = "smollm2-135m_lora"


@pytest.fixture
def arguments(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A recipe on two rows of its own and the tiny model."""
    monkeypatch.setattr(render, "ROOT", tmp_path)
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
        (["dataset=other"], "run: make data"),
        (["model_name_or_path=models/none"], "python -m tools.fetch_model none"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], change: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main([*arguments, *change]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
