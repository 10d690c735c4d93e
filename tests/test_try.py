"""`make try`: a kept adapter over the base model's own GGUF file, asked about tools that it never saw."""

import json
from datetime import date
from pathlib import Path

import numpy
import pytest
from endpoint import TOOL, endpoint
from gguf import GGUFReader, GGUFWriter
from safetensors.numpy import save_file

from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_text, to_json, write_json, write_private, write_text
from callwright.lora_gguf import lora_gguf, permute
from callwright.recipes import load_recipe
from eval.agents.general_caller import Caller, find_or_start_caller, tools_case
from eval.endpoint.kept_server import find_told, told
from eval.try_tools import GENERAL, main

HEADS, KV, HEAD, WIDTH, RANK = 4, 2, 8, 32, 2
CALLER = "eval.agents.general_caller"


def base_file(path: Path, kind: str) -> Path:
    """Write a GGUF file of one block with two of a model's tensors."""
    writer = GGUFWriter(path, kind)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV)
    for name, rows in (("q", HEADS * HEAD), ("k", KV * HEAD)):
        writer.add_tensor(f"blk.0.attn_{name}.weight", numpy.zeros((rows, WIDTH), numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def adapter_folder(folder: Path, **settings: object) -> Path:
    """Write an adapter of peft's over those tensors."""
    folder.mkdir()
    random = numpy.random.default_rng(0)
    tensors = {}
    for name, rows in (("q", HEADS * HEAD), ("k", KV * HEAD)):
        module = f"base_model.model.model.layers.0.self_attn.{name}_proj"
        tensors[f"{module}.lora_A.weight"] = random.normal(size=(RANK, WIDTH)).astype(numpy.float16)
        tensors[f"{module}.lora_B.weight"] = random.normal(size=(rows, RANK)).astype(numpy.float16)
    save_file(tensors, folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", {"r": RANK, "lora_alpha": 4, **settings})
    return folder


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_an_adapter_is_written_as_llamacpp_reads_it(kind: str, tmp_path: Path):
    base, adapter = base_file(tmp_path / "base.gguf", kind), adapter_folder(tmp_path / "adapter")
    path = lora_gguf(adapter, base, tmp_path / "out")
    written = path.stat().st_mtime_ns
    assert lora_gguf(adapter, base, tmp_path / "out") == path and path.stat().st_mtime_ns == written
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    reader = GGUFReader(path)
    keys = {key: field.contents() for key, field in reader.fields.items()}
    assert keys["general.type"] == "adapter" and keys["adapter.type"] == "lora"
    assert keys["general.architecture"] == kind and keys["adapter.lora.alpha"] == 4.0
    tensors = {tensor.name: tensor.data for tensor in reader.tensors}
    assert sorted(tensors) == [f"blk.0.attn_{name}.weight.lora_{half}" for name in "kq" for half in "ab"]
    rows = tensors["blk.0.attn_q.weight.lora_b"]
    assert rows.shape == (HEADS * HEAD, RANK)
    if kind == "llama":  # llama.cpp's converter puts row 4 of a head's 8 behind its row 0
        ours = lora_gguf(adapter, base_file(tmp_path / "plain.gguf", "qwen2"), tmp_path / "plain")
        plain = {tensor.name: tensor.data for tensor in GGUFReader(ours).tensors}["blk.0.attn_q.weight.lora_b"]
        assert (rows[:4] == plain[[0, 4, 1, 5]]).all() and (rows[HEAD] == plain[HEAD]).all()


def test_permuting_an_adapter_is_permuting_what_it_adds():
    random = numpy.random.default_rng(1)
    b, a = random.normal(size=(16, 2)), random.normal(size=(2, 8))
    assert numpy.allclose(permute(b @ a, 2), permute(b, 2) @ a)


@pytest.mark.parametrize(
    ("settings", "fault"), [({"use_dora": True}, "has use_dora"), ({"rank_pattern": {"q": 4}}, "has rank_pattern")]
)
def test_what_llamacpp_cannot_apply_is_refused(settings: dict[str, object], fault: str, tmp_path: Path):
    base, adapter = base_file(tmp_path / "base.gguf", "qwen2"), adapter_folder(tmp_path / "adapter", **settings)
    with pytest.raises(UserError, match=fault):
        lora_gguf(adapter, base, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_adapter_of_another_base_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    adapter = adapter_folder(tmp_path / "adapter")
    monkeypatch.setattr("test_try.HEAD", 16)
    with pytest.raises(UserError, match="an adapter of another base"):
        lora_gguf(adapter, base_file(tmp_path / "base.gguf", "qwen2"), tmp_path / "out")
    write_text(tmp_path / "text.gguf", "no model")
    with pytest.raises(UserError, match="no whole GGUF file"):
        lora_gguf(adapter, tmp_path / "text.gguf", tmp_path / "out")


@pytest.fixture
def caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Caller:
    """A caller whose files are small texts, found in place of whichever is asked for."""
    for name in ("base.gguf", "adapter_model.safetensors", "chat_template.jinja"):
        write_text(tmp_path / name, name)
    recipe = load_recipe(GENERAL, [f"output_dir={tmp_path / 'train'}"])
    made = Caller(recipe, tmp_path / "base.gguf", tmp_path, tmp_path / "chat_template.jinja")
    monkeypatch.setattr("eval.try_tools.find_caller", lambda recipe: made)
    return made


def ask(tmp_path: Path, *words: str) -> int:
    """Ask with one tool."""
    write_json(tmp_path / "tools.json", [TOOL])
    return main([*words, "--tools", str(tmp_path / "tools.json")])


def test_a_kept_server_of_the_same_files_is_asked(
    caller: Caller, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{CALLER}.start_in_background", None)
    with endpoint(key="k") as server:
        write_private(caller.folder / "try-server.json", told(server.url, "m", "k", caller.serves))
        assert (caller.folder / "try-server.json").stat().st_mode & 0o077 == 0
        assert ask(tmp_path, "draw a cat") == 0
        write_text(tmp_path / "questions.txt", "hello\n\ndraw a dog\n")
        assert ask(tmp_path, "--file", str(tmp_path / "questions.txt"), "--today") == 0
    first, *others = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {"intent": "generate_image_intent", "call": {"name": "generate_image", "arguments": {"prompt": "draw a cat"}}}  # fmt: skip
    assert [(one["text"], one["intent"]) for one in others] == [
        ("hello", None),
        ("draw a dog", "generate_image_intent"),
    ]
    assert "messages" in server.requests[0] and len(server.requests[0]["messages"]) == 1
    assert server.requests[1]["messages"][0]["content"].startswith("Today is ")
    assert find_told(caller.folder / "try-server.json").endpoint.llamafactory is False  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["base.gguf", "adapter_model.safetensors", "chat_template.jinja"])
def test_a_server_of_other_files_is_ended_and_not_asked(
    name: str, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ended = []
    monkeypatch.setattr(f"{CALLER}.end", ended.append)
    monkeypatch.setattr(f"{CALLER}.start_in_background", lambda caller: "new")
    write_private(caller.folder / "try-server.json", told("http://127.0.0.1:9/v1", "m", "k", caller.serves))
    write_text(tmp_path / name, "another")
    with find_or_start_caller(caller, keep=True) as asked:
        assert asked == "new" and len(ended) == 1


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["draw"], "TOOLS: no tools are given"),
        (["draw", "--tools=", "--mcp="], "python -m tools.import_tools"),
        (["draw", "--tools", "nothing.json"], "nothing.json: no such file"),
        (["draw", "--tools", "Makefile"], "Makefile"),
        ([" ", "--tools", "a.json"], "question: is empty"),
        (["draw", "--tools", "a.json", "--adapter", "adapters/none"], "there is no such adapter"),
        (
            ["draw", "--tools", "a.json", "--recipe", "smollm2-135m_lora", "--adapter", f"adapters/{GENERAL}"],
            "another base",
        ),
        (["draw", "--tools", "a.json", "--recipe", "none"], "none"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: list[str], fault: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(f"{CALLER}.environment", dict)
    made = ROOT / "models" / "made.gguf"
    if "nothing.json" in words or "Makefile" in words:
        monkeypatch.setattr("eval.try_tools.find_caller", lambda recipe: made)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert fault in error and error.startswith("error: ") and error.count("\n") == 1


def test_what_is_missing_is_named_with_its_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("callwright.llamacpp.FOLDER", tmp_path / "none")
    assert ask(tmp_path, "draw") == 2
    assert "make llamacpp" in capsys.readouterr().err
    monkeypatch.setattr(f"{CALLER}.environment", dict)
    monkeypatch.setattr(f"{CALLER}.ROOT", tmp_path)
    monkeypatch.setattr(f"{CALLER}.check_base", lambda *_: None)
    assert ask(tmp_path, "draw") == 2
    assert "python -m tools.fetch_model qwen2.5-coder-0.5b-instruct --gguf" in capsys.readouterr().err


def test_the_day_is_said_only_if_asked():
    assert [message["role"] for message in tools_case("a", [TOOL]).messages] == ["user"]
    said = tools_case("a", [TOOL], date(2027, 1, 2)).messages[0]
    assert said == {"role": "system", "content": "Today is Saturday, 2027-01-02."}


def test_the_general_caller_is_kept_with_its_template():
    folder = ROOT / "adapters" / GENERAL
    assert "as tools.parity wrote and proved it" in read_text(folder / "chat_template.jinja").splitlines()[0]
    assert read_json(folder / "adapter_config.json")["base_model_name_or_path"] == load_recipe(GENERAL).model
    assert to_json(load_recipe(GENERAL).train["default_system"]) in read_text(folder / "chat_template.jinja")
