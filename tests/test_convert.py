"""Rows and cases: their form, and that LLaMA-Factory's own loader keeps every row."""

import copy
import json
from collections import Counter
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest
from made_records import made

from callwright.config import DataConfig
from callwright.files import ROOT, read_jsonl, write_jsonl
from callwright.records import Call, Example, Seed
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from tools.formats import call_turn, sharegpt
from tools.formats.dataset_info import SHAREGPT, register
from tools.formats.ingest import record_of
from tools.formats.readers import READERS
from tools.formats.reshape import reshaped
from tools.rows.build import rows_by_tag, to_case, to_rows, to_turns, toolboxes

FOLDER = ROOT / "data/seeds/image_intent"
TOOLS = load_tools(FOLDER / "tools.json")
CAT = Call(name="generate_image", arguments={"prompt": "一隻貓"})


def load_rows(rows: list[dict], model: Path, folder: Path) -> tuple[list[str], list[str]]:
    """What LLaMA-Factory's loader makes of rows: the whole texts, and the parts that are trained on."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    write_jsonl(folder / "rows.jsonl", rows)
    register({"rows": {"file_name": "rows.jsonl", **SHAREGPT}}, folder / "dataset_info.json")
    args = {
        "model_name_or_path": str(model), "template": "qwen", "default_system": "S.", "stage": "sft", "do_train": True,
        "dataset": "rows", "dataset_dir": str(folder), "output_dir": str(folder / "out"), "cutoff_len": 100_000,
        "use_cpu": True, "report_to": "none",
    }  # fmt: skip
    model_args, data_args, training_args, _, _ = get_train_args(args)
    module = load_tokenizer(model_args)
    with patch.dict(TEMPLATES, qwen=copy.deepcopy(TEMPLATES["qwen"])):  # it is changed in place, for the whole process
        template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    train = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    decode = module["tokenizer"].decode
    trained = [decode([token for token in row["labels"] if token >= 0]) for row in train]
    return [decode(row["input_ids"]) for row in train], trained


def test_llamafactory_keeps_every_row(tiny_model: Path, tmp_path: Path):
    seeds = read_seeds(FOLDER / "seeds.jsonl", TOOLS)
    seeds.append(Seed(id="m", calls=[CAT, CAT], messages=[
        {"role": "user", "content": "畫貓"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "generate_image", "arguments": '{"prompt": "狗"}'}}]},
        {"role": "tool", "content": "好了"},
        {"role": "assistant", "content": "畫好了。"},
        {"role": "user", "content": "再來兩隻"},
    ]))  # fmt: skip
    rows = list(to_rows(seeds, TOOLS, None, 4))
    assert len(rows) == 91
    texts, trained = load_rows(rows, tiny_model, tmp_path)
    assert len(texts) == len(rows)
    everything = "\n".join(texts)
    for seed in seeds:
        assert seed.utterance in everything
    answers = "\n".join(trained)
    assert answers.count("<tool_call>") == sum(len(seed.calls) for seed in seeds) + 1
    assert '{"name": "generate_image", "arguments": {"prompt": "狗"}}' in answers
    assert "# Tools" not in answers, "the prompt is not trained on"


def test_llamafactory_keeps_the_rows_of_every_format(tiny_model: Path, tmp_path: Path):
    rows = []
    for form, read in READERS.items():
        records = [made(form, number, Random(number)) for number in range(3)]
        for _, line in read_jsonl(ROOT / f"tests/cases/nasty/{form}.jsonl"):
            if "turns" in line and isinstance(line["raw"], str):
                records.append(record_of(line["raw"].encode()))
        rows += [sharegpt.write(one) for record in records for one in reshaped(read(record))]
    texts, trained = load_rows(rows, tiny_model, tmp_path)
    assert len(texts) == len(rows)
    assert sum("<think>\nhm\n</think>\n\n" in text for text in trained) > 5
    assert sum("Let me see.\n<tool_call>\n{" in text for text in trained) > 2


@pytest.mark.parametrize(
    ("template", "written"),
    {
        "qwen": "<tool_call>\n{", "phi": "Action: f", "llama3": '{"name": "f"', "mistral_small": '[{"name": "f"', "glm4": "f\n{",
        "gemma4": "<|tool_call>call:f", "glm4_moe": "\n<tool_call>f", "seed_oss": "\n<seed:tool_call>", "bailing_v2": "<tool_call>\n{",
        "qwen3_5": "<tool_call>\n<function=f>", "minimax1": "<tool_calls>\n{", "minimax2": "<invoke name=",
    }.items(),
)  # fmt: skip
def test_llamafactory_learns_words_and_a_thought_before_the_calls(template: str, written: str):
    """In each of its tool formats but lfm2's, whose marks are others; and not in its Llama2Template, which looks for none."""
    from tools.checks.encode import encode_pairs, load_view

    value, _ = call_turn.write("hm", "Let me see.", [{"name": "f", "arguments": {"a": 1}}])
    messages = [{"role": "user", "content": "hi"}, {"role": "function", "content": value}]
    [(_, learned)] = encode_pairs(messages, "", "", load_view({"template": template}))
    assert f"<think>\nhm\n</think>\n\nLet me see.\n{written}" in "".join(learned)
    for dies in ("lfm2", "mistral", "gemma3"):
        with pytest.raises(RuntimeError, match="Invalid JSON"):
            encode_pairs(messages, "", "", load_view({"template": dies}))


@pytest.mark.parametrize("template", ["qwen", "qwen3", "lfm2", "glm4_7"])
def test_llamafactory_learns_a_thought_that_names_the_mark_of_a_call(template: str):
    from tools.checks.encode import encode_pairs, load_view

    value, held = call_turn.write("shall I <tool_call>?", "", [{"name": "f", "arguments": {"a": "<think>x</think>"}}])
    messages = [{"role": "user", "content": "hi"}, {"role": "function", "content": value}]
    [(_, learned)] = encode_pairs(messages, "", "", load_view({"template": template}))
    assert held.thought == "shall I <tool_call>?"
    assert "<think>\nshall I <tool_call>?\n</think>" in "".join(learned)
    assert "<think>x</think>" in "".join(learned)


def test_a_row_shares_one_tool_prompt_among_its_turns():
    seeds = [Seed(id=str(i), text=f"t{i}", calls=[CAT] if i % 2 else [], reply="r") for i in range(5)]
    rows = list(to_rows(seeds, TOOLS, "S", 4))
    assert [len(row["conversations"]) for row in rows] == [8, 2]
    assert json.loads(rows[0]["tools"]) == [tool["function"] for tool in TOOLS]
    assert [turn["from"] for turn in rows[0]["conversations"][:4]] == ["human", "gpt", "human", "function_call"]
    assert rows[0]["system"] == "S"


def test_parallel_calls_are_a_list():
    value = json.loads(to_turns(Seed(id="1", text="t", calls=[CAT, CAT]))[-1]["value"])
    assert value == [CAT.model_dump()] * 2


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "hello"}],
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "developer", "content": "a"}],
    ],
)
def test_messages_that_cannot_become_a_row(messages: list[dict]):
    with pytest.raises(ValueError):
        to_turns(Seed(id="1", messages=messages, calls=[], reply="r"))


def test_a_case_asks_what_the_seed_says():
    seed = Seed(id="1", text="t", calls=[CAT], tags={"lang": "en"})
    case = to_case(seed, TOOLS, "S")
    assert case.messages == [{"role": "system", "content": "S"}, {"role": "user", "content": "t"}]
    assert case.expected == [CAT]
    assert case.group == "1"


def test_rows_by_tag_show_the_tools_of_their_value_and_distractors():
    def tool(name: str) -> dict:
        return {"type": "function", "function": {"name": name, "description": name, "parameters": {"type": "object"}}}

    def example(number: int, domain: str, name: str | None) -> Example:
        answer = {"calls": [Call(name=name, arguments={})]} if name else {"calls": [], "reply": "no"}
        history = {"tags": {"domain": domain}, "lineage": str(number), "source": "seed"}
        return Example(id=str(number), text=f"{domain} {number}", **answer, **history)

    tools = [tool(name) for name in ("on", "off", "taxi", "bus")]
    called = {"lights": ("on", "off", None), "rides": ("taxi", None, None), "talk": (None,)}
    examples = [
        example(3 * turn + place, domain, name)
        for domain, names in called.items()
        for turn in range(10)
        for place, name in enumerate(names)
    ]
    boxes = toolboxes(examples, tools, "domain")
    assert {value: [t["function"]["name"] for t in box] for value, box in boxes.items()} == {
        "lights": ["on", "off"], "rides": ["taxi"], "talk": []
    }  # fmt: skip
    config = DataConfig(task="t", rows={"tools_by": "domain", "distractors": 2})
    rows = rows_by_tag(examples, boxes, config, 4)
    assert rows == rows_by_tag(examples, boxes, config, 4)
    assert sum(len(row["conversations"]) for row in rows) == 2 * len(examples)
    beside = set()
    for row in rows:
        (domain,) = {turn["value"].split()[0] for turn in row["conversations"] if turn["from"] == "human"}
        shown = [each["name"] for each in json.loads(row["tools"] or "[]")]
        own = {t["function"]["name"] for t in boxes[domain]}
        used = {json.loads(turn["value"])["name"] for turn in row["conversations"] if turn["from"] == "function_call"}
        assert used <= set(shown) and len(set(shown)) == len(shown) <= len(own) + 2
        if any(
            turn["from"] == "gpt" for turn in row["conversations"]
        ):  # a line that asks back needs the tool it is about
            assert own <= set(shown)
        beside.add(len(shown) - len(own & set(shown)))
    assert {0, 1} <= beside


def with_system(number: int, system: str | None) -> Example:
    return Example(
        id=f"e{number}", text=f"say {number}", calls=[], reply="no", system=system, lineage=f"l{number}", source="seed"
    )


def test_lines_of_one_system_message_share_rows_and_cases_have_it():
    days = ["Today is Friday.", "Today is Monday.", None]
    lines = [with_system(number, days[number % 3]) for number in range(18)]
    rows = list(to_rows(lines, [], "Be brief.", turns=4))
    found = [(row["system"], len(row["conversations"]) // 2) for row in rows]
    systems = ["Be brief.\nToday is Friday.", "Be brief.\nToday is Monday.", "Be brief."]
    assert Counter(found) == Counter({(system, size): 1 for system in systems for size in (4, 2)})
    assert to_case(lines[0], [], "Be brief.").messages[0] == {"role": "system", "content": systems[0]}
    assert to_case(lines[2], [], None).messages == [{"role": "user", "content": "say 2"}]


def test_a_conversation_may_begin_with_a_system_message_of_its_own():
    messages = [{"role": "system", "content": "Today is Friday."}, {"role": "user", "content": "now"}]
    seed = Seed(id="s", messages=messages, calls=[], reply="no")
    [row] = to_rows([seed], [], "Be brief.", turns=4)
    assert row["system"] == "Be brief.\nToday is Friday."
    assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"]
    assert [message["role"] for message in to_case(seed, [], "Be brief.").messages] == ["system", "user"]
