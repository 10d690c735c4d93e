"""The training bench: a tiny model through the real trainer and through the bare loop, and a run that fails."""

import sys
from pathlib import Path

import pytest
import yaml

from bench import train as bench_train
from bench.train import BASE, FIXED, batch, main, measure, of_recipe, table
from callwright.errors import UserError
from callwright.files import read_json, write_text
from tools.training.estimate import Shape

TINY = Shape(64, 2, 4, 2, 16, 128, 49152, True, float32=True)


@pytest.mark.skipif(not bench_train.ROWS.is_file() or not bench_train.TOKENIZER.is_dir(), reason="run: make data model")
@pytest.mark.long
@pytest.mark.slow
def test_a_tiny_model_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lora = {"lora_rank": 4, "lora_alpha": 8, "lora_target": "q_proj,v_proj"} | batch(1)
    entries = {
        "tiny-real": (6, lora),
        "tiny-bare": (6, lora),
    }
    monkeypatch.setattr(bench_train, "ENTRIES", entries)
    monkeypatch.setattr(bench_train, "SIZES", {"tiny": "tiny"})
    monkeypatch.setattr(bench_train, "SHAPES", {"tiny": TINY})
    monkeypatch.setitem(BASE, "max_samples", 8)
    assert main(["--only", "tiny", "--out", str(tmp_path), "--steps", "4", "--timeout", "200"]) == 0
    real, bare = read_json(tmp_path / "results.json")["runs"]
    for one in (real, bare):
        assert one["utterances_s"] == pytest.approx(6 * one["rows_s"])
        assert 400 < one["tokens_s"] / one["rows_s"] < 1200, "the rows have six utterances"
        assert len(one["losses"]) == 4
        assert one["losses"][0] == pytest.approx(10.8, abs=0.3), "ln 49152: nothing is known yet"
    assert (tmp_path / "table.md").read_text().count("| tiny-") == 2


@pytest.mark.parametrize(
    ("program", "said"),
    [("print('why'); raise SystemExit(3)", "3: why"), ("import time; time.sleep(60)", "out of time: ")],
)
def test_a_run_that_fails_becomes_a_row(program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench_train, "here", lambda call: [sys.executable, "-c", program])
    settings = {"output_dir": str(tmp_path / "out"), "tokenized_path": str(tmp_path)}
    row = measure("tiny-bare", settings, TINY, 1, 5)
    assert row == {"run": "tiny-bare", "failed": said}
    assert f"| tiny-bare | failed, {said}" in table([row], {"device": "a GPU", "flops": 1e12}, 1)


@pytest.mark.parametrize("there", [True, False])
def test_a_bare_run_makes_the_tokens_that_no_other_run_left(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    monkeypatch.setattr(bench_train, "here", lambda call: [call])
    monkeypatch.setattr(bench_train, "run", lambda call, *_: (done.append(call[0].partition("(")[0]), (0, []))[1])
    (tmp_path / "tokens").mkdir() if there else None
    settings = {"output_dir": str(tmp_path / "out"), "tokenized_path": str(tmp_path / "tokens")}
    measure("tiny-bare", settings, TINY, 1, 5)
    assert done == (["train"] if there else ["tokenise", "train"])


@pytest.mark.skipif(not bench_train.ROWS.is_file() or not bench_train.TOKENIZER.is_dir(), reason="run: make data model")
@pytest.mark.slow
def test_the_tokens_are_those_of_the_trainer(tmp_path: Path):
    from datasets import load_from_disk

    bench_train.prepare(tmp_path)
    settings = BASE | bench_train.ON_CPU | {
        "model_name_or_path": str(bench_train.TOKENIZER), "dataset_dir": str(tmp_path), "dataset": "rows6", "max_samples": 4,
        "output_dir": str(tmp_path / "out"), "tokenized_path": str(tmp_path / "tokens"),
    }  # fmt: skip
    write_text(tmp_path / "recipe.yaml", yaml.safe_dump(settings))
    status, lines = bench_train.run(bench_train.here(f"tokenise({str(tmp_path / 'recipe.yaml')!r})"), 120)
    assert status == 0, lines[-1]
    rows = load_from_disk(tmp_path / "tokens")["train"]
    assert len(rows) == 4 and set(rows.column_names) >= {"input_ids", "attention_mask", "labels"}


def test_a_recipe_is_measured_with_its_settings_and_our_rows():
    shape, turns, settings = of_recipe("phi3-mini_qlora")
    assert (shape.kind, turns) == ("phi3", 6)
    assert shape.vocab == 49152, "the rows hold tokens that Phi-3 does not know"
    assert settings["per_device_train_batch_size"] == 20
    assert settings["optim"] == "adamw_8bit"
    assert settings.items() >= FIXED.items()
    assert not {"dataset", "eval_dataset", "do_eval", "tool_format", "model_name_or_path"} & settings.keys()


@pytest.mark.parametrize("stem", ["smollm2-135m_dpo", "qwen2-vl-2b_lora"])
def test_a_recipe_of_other_rows_is_refused(stem: str):
    with pytest.raises(UserError, match="pairs or images"):
        of_recipe(stem)
