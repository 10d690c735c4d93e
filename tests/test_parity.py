"""The chat template that we write sends what LLaMA-Factory trains on: every recipe, every tool format, token for token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import TemplateError

from callwright.errors import UserError
from callwright.files import ROOT, write_json, write_jsonl
from callwright.recipes import load_recipe
from tools.checks import parity
from tools.checks.chat_template import MACROS, write_template
from tools.checks.encode import View, load_tokenizer, load_view, stand_in, turn_markers
from tools.checks.lint_row import ParsedRow, ParsedTurn, read_tools
from tools.checks.parity import TOOL, against_own, differences, fuzzed, made_up_row, render
from tools.formats.dataset_info import SHAREGPT
from tools.parity import main

STEMS = sorted(path.stem for path in (ROOT / "configs/train").glob("*.yaml"))
FORMATS = sorted(path.stem for path in MACROS.glob("*.jinja"))
SMOLLM2 = ROOT / "models/smollm2-135m-instruct"


def all_differences(view: View, talks: Iterator[ParsedRow]) -> list[parity.Difference]:
    template = write_template(view)
    return [difference for talk in talks for difference in differences(talk, template, view)]


def talks_for(view: View, count: int) -> Iterator[ParsedRow]:
    return fuzzed(count, parallel=view.tool_format != "glm4")


@pytest.mark.parametrize("stem", STEMS)
def test_parity_of_every_recipe(stem: str):
    settings = load_recipe(stem).train
    view = load_view(settings, stand_in(settings["template"]))
    assert all_differences(view, talks_for(view, 60)) == []


@pytest.fixture(scope="module")
def merging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that cuts words as those of Llama 3 and Qwen do, with merges for what tool prompts hold."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(words), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    view = load_view({"template": "qwen"}, stand_in("qwen"))
    template = write_template(view)
    texts = [render(template, view.tokenizer, talk, prompt=False) for talk in fuzzed(80, parallel=True)]
    tokenizer.train_from_iterator([*texts, "\n\n\n \n\n"], trainer)
    folder = tmp_path_factory.mktemp("merging")
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("template", ["phi", "llama3", "qwen", "mistral", "glm4", "gemma4", "gemma3", "qwen3"])
def test_parity_token_for_token_under_a_tokenizer_that_merges(template: str, merging: Path):
    """As under the template's own models: its special tokens are single tokens, all else merges."""
    from llamafactory.data.template import TEMPLATES

    loaded, _ = load_tokenizer({"model_name_or_path": str(merging)})
    loaded.add_special_tokens({"additional_special_tokens": sorted(turn_markers(TEMPLATES[template]))})
    view = load_view({"template": template}, loaded)
    assert all_differences(view, talks_for(view, 40)) == []


def test_parity_token_for_token_under_the_default_recipes_own_tokenizer():
    if not SMOLLM2.is_dir():
        pytest.skip("run: make model")
    settings = load_recipe("smollm2-135m_lora").train
    view = load_view(settings, load_tokenizer({"model_name_or_path": str(SMOLLM2)})[0])
    assert all_differences(view, talks_for(view, 60)) == []


def test_parity_of_every_template_whose_format_we_have():
    from llamafactory.data.template import TEMPLATES

    without = []
    for name in TEMPLATES:
        view = load_view({"template": name}, stand_in(name))
        try:
            assert all_differences(view, talks_for(view, 5)) == [], name
        except UserError:
            without.append(name)
    assert len(without) == 14, without


@pytest.mark.parametrize("settings", [{"enable_thinking": None}, {"enable_thinking": False}, {"default_system": "S."},
                                      {"tool_format": "default"}, {"tool_format": "mistral"}])  # fmt: skip
@pytest.mark.parametrize("template", ["qwen3", "llama3", "gemma"])
def test_parity_under_other_settings(template: str, settings: dict[str, Any]):
    view = load_view({"template": template, **settings}, stand_in(template))
    assert all_differences(view, talks_for(view, 12)) == []


def test_made_up_talks_cover_what_they_say():
    talks = list(fuzzed(60, parallel=True))
    assert {len(talk.tools.given) for talk in talks} == {0, 1, 2, 3}
    contents = [message["content"] for talk in talks for message in talk.messages if message["role"] == "function"]
    assert any(isinstance(json.loads(content), list) for content in contents)
    assert any(message["role"] == "observation" for talk in talks for message in talk.messages)
    assert {bool(talk.system) for talk in talks} == {True, False}
    assert any("柴犬" in talk.tools.text for talk in talks)
    assert any(len(talk.messages) >= 6 for talk in talks)


def test_a_template_that_is_off_by_a_line_break_is_found():
    view = load_view({"template": "qwen"}, stand_in("qwen"))
    template = write_template(view).replace("</tool_response><|im_end|>\\n", "</tool_response><|im_end|>")
    found = [difference for talk in talks_for(view, 20) for difference in differences(talk, template, view)]
    assert found
    assert {difference.kind for difference in found} == {"text"}


def test_tokens_that_merge_over_the_end_of_a_prompt_are_found(merging: Path):
    """Training encodes prompt and answer apart; a server encodes the history in one go."""
    view = load_view({"template": "qwen"}, load_tokenizer({"model_name_or_path": str(merging)})[0])
    talk = made_up_row([("human", "a"), ("gpt", "\n\nb")])
    [difference] = differences(talk, write_template(view), view)
    assert difference.kind == "history", "the prompt itself is served as it was trained"
    loaded, _ = load_tokenizer({"model_name_or_path": str(merging)})
    loaded.chat_template = None
    apart = load_view({"template": "vicuna", "default_system": "S"}, loaded)
    apart.template.format_prefix.slots.append("p\n")
    apart.template.format_system.slots.insert(0, "\n")
    kinds = {difference.kind for difference in differences(talk, write_template(apart), apart)}
    assert kinds == {"tokens", "history"}, "a prompt whose pieces merge is a fault"


@pytest.mark.parametrize("template", ["qwen", "llama3", "gemma", "mistral"])
def test_the_prompt_is_that_of_llamafactorys_own_server(template: str):
    view = load_view({"template": template}, stand_in(template))
    messages = [{"role": "user", "content": "畫一隻貓"}, {"role": "assistant", "content": ""}]
    ids, _ = view.template.encode_oneturn(view.tokenizer, messages, "S.", TOOL)
    asked = ParsedRow((ParsedTurn("human", "畫一隻貓"),), "S.", read_tools(TOOL))
    served = render(write_template(view), view.tokenizer, asked, prompt=True)
    assert view.tokenizer.encode(served, add_special_tokens=False) == ids


def served(messages: list[dict[str, Any]], tools: Any = None, template: str = "qwen", prompt: bool = False) -> str:
    view = load_view({"template": template}, stand_in(template))
    return view.tokenizer.apply_chat_template(messages, tools=tools, chat_template=write_template(view), tokenize=False,
                                              add_generation_prompt=prompt)  # fmt: skip


ASK = {"role": "user", "content": "q"}


def a_call(arguments: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": "draw", "arguments": arguments}}


@pytest.mark.parametrize("name", ["qwen", "llama3", "mistral", "phi", "glm4"])
def test_arguments_may_be_text(name: str):
    """Servers hand on what the client sent: arguments as JSON text, content null."""
    texts = {
        served([ASK, {"role": "assistant", "content": content, "tool_calls": [a_call(arguments)]}], template=name)
        for content in ("", None)
        for arguments in ({"what": "貓", "n": 1}, '{"what": "貓", "n": 1}')
    }
    assert len(texts) == 1


def test_results_of_parallel_calls_are_one_turn_as_in_a_row():
    calls = {"role": "assistant", "content": None, "tool_calls": [a_call({}), a_call({})]}
    apart = served([ASK, calls, {"role": "tool", "content": "one"}, {"role": "tool", "content": "two"}])
    assert apart == served([ASK, calls, {"role": "tool", "content": "one\ntwo"}])


def test_the_opening_of_an_answer_is_asked_for():
    assert served([ASK], prompt=True).removeprefix(served([ASK])) == "<|im_start|>assistant\n"


def test_an_empty_list_of_tools_is_not_the_same_as_none():
    """`"tools": "[]"` in a row adds an empty system block where the template has no system message of its own."""
    assert served([ASK], [], "phi") == "<|system|>\n<|end|>\n" + served([ASK], None, "phi")


def test_what_a_template_cannot_write_is_refused():
    for messages in ([{"role": "critic", "content": "x"}], [ASK, {"role": "system", "content": "late"}], [{"role": "user", "content": [{"type": "text"}]}]):  # fmt: skip
        with pytest.raises(TemplateError):
            served(messages)
    with pytest.raises(TemplateError, match="parallel"):
        served([ASK, {"role": "assistant", "tool_calls": [a_call({}), a_call({})]}], template="glm4")
    with pytest.raises(UserError, match="set tool_format: " + ", ".join(FORMATS)):
        write_template(load_view({"template": "seed_oss"}))


def test_llama3_keeps_the_day_of_training():
    view = load_view({"template": "llama3"}, stand_in("llama3"))
    assert "strftime_now" in write_template(view)
    dated = write_template(view, "01 Jan 2026")
    assert "strftime_now" not in dated
    text = render(dated, view.tokenizer, ParsedRow((ParsedTurn("human", "q"),), tools=read_tools(TOOL)), prompt=True)
    assert "Today Date: 01 Jan 2026\n" in text


def test_what_the_models_own_template_does_otherwise_is_told_by_aspect():
    view = load_view({"template": "qwen"}, stand_in("qwen"))
    own = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    lines = list(against_own(write_template(view), own, view.tokenizer))
    aspects = [line.split(":")[0].strip() for line in lines]
    assert aspects == ["without a system message", "the tools", "a call", "parallel calls", "a result"]


def test_the_command_writes_the_template_and_says_how_to_serve_it(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for place in ("tools.checks.lint", "tools.checks.parity", "tools.parity", "tools.training.preflight"):
        monkeypatch.setattr(f"{place}.ROOT", tmp_path, raising=False)
    monkeypatch.setattr("callwright.recipes.ROOT", tmp_path)
    write_json(tmp_path / "dataset_info.json", {"d": {"file_name": "d.jsonl", **SHAREGPT}})
    turns = [("human", "畫貓"), ("function_call", '{"name": "draw", "arguments": {"what": "貓"}}'), ("observation", "好"), ("gpt", "好了")]  # fmt: skip
    row = {"conversations": [{"from": f, "value": v} for f, v in turns], "system": "", "tools": TOOL}
    write_jsonl(tmp_path / "d.jsonl", [row] * 3)
    stem = "smollm2-135m_lora"
    argv = [stem, "dataset=d", "eval_dataset=", "output_dir=runs/x/train"]
    assert main([*argv, f"model_name_or_path={tiny_model}", "--fuzz", "5"]) == 0
    out = capsys.readouterr().out
    assert f"parity: runs/x/chat_template.jinja: 8 talks, 0 differences, by the tokenizer of {tiny_model}" in out
    assert "--chat-template runs/x/chat_template.jinja --enable-auto-tool-choice --tool-call-parser hermes" in out
    written = (tmp_path / "runs/x/chat_template.jinja").read_text()
    view = load_view(load_recipe(stem).train, stand_in("qwen"))
    assert written == write_template(view)
    assert main([*argv, "model_name_or_path=models/none", "--fuzz", "1"]) == 0
    assert "a stand-in tokenizer (python -m tools.fetch_model none for the real)" in capsys.readouterr().out
    assert main(["nope"]) == 2
