"""What tools answer in training rows: after how many calls, in which words, and that LLaMA-Factory keeps it."""

import json
from pathlib import Path

import pytest
import yaml

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.files import ROOT
from callwright.records import Call, Seed
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from tests.test_convert import load_rows
from tools.rows.build import in_talk, to_case, to_rows
from tools.rows.tool_results import follow, load_results, nothing

SEEDS = ROOT / "data/seeds"
TASKS = ["assistant_tools", "image_intent"]


def config(share: float, task: str = "image_intent") -> DataConfig:
    return DataConfig.model_validate({"task": task, "rows": {"results": share}})


def call(n: int, calls: int = 1, lang: str = "en") -> Seed:
    cat = Call(name="generate_image", arguments={"prompt": "a cat"})
    return Seed(id=f"s{n}", text=f"a cat, {n}", calls=[cat] * calls, tags={"lang": lang})


@pytest.mark.parametrize("task", TASKS)
def test_the_shipped_answers_are_of_the_task_s_tools_and_languages(task: str):
    tools = load_tools(SEEDS / task / "tools.json")
    answers = load_results(SEEDS / task / "results.yaml", tools)
    assert answers.keys() == {tool["function"]["name"] for tool in tools}
    spoken = {seed.tags["lang"] for seed in read_seeds(SEEDS / task / "seeds.jsonl", tools)}
    assert all(answer.reply.keys() == spoken for found in answers.values() for answer in found)


def test_a_share_of_the_single_calls_is_answered():
    tools = load_tools(SEEDS / "image_intent/tools.json")
    after = follow(config(0.3), tools)
    answered = [turns for n in range(1000) if (turns := after(call(n)))]
    assert 250 < len(answered) < 350
    assert len({turns[0]["value"] for turns in answered}) == 6
    assert [after(call(n)) for n in range(50)] == [follow(config(0.3), tools)(call(n)) for n in range(50)]
    assert follow(config(0), tools) is nothing
    always = follow(config(1), tools)
    assert always(call(0, calls=2)) == []
    assert always(call(0, lang="fr")) == always(call(0, lang="zh-TW")) != always(call(0, lang="en"))


def test_llamafactory_trains_on_the_words_and_not_on_the_result(tiny_model: Path, tmp_path: Path):
    tools = load_tools(SEEDS / "image_intent/tools.json")
    quiet = Seed(id="q", text="thanks", calls=[], reply="Welcome.")
    rows = list(to_rows([call(1), call(2), quiet], tools, None, 3, "\n", follow(config(1), tools)))
    assert [turn["from"] for turn in rows[0]["conversations"]] == [
        *["human", "function_call", "observation", "gpt"] * 2, "human", "gpt",
    ]  # fmt: skip
    texts, trained = load_rows(rows, tiny_model, tmp_path)
    for turn in rows[0]["conversations"]:
        words = json.dumps("a cat") if turn["from"] == "function_call" else turn["value"]
        assert words in texts[0]
        assert (words in trained[0]) == (turn["from"] in ("function_call", "gpt"))


def test_golden_is_asked_again_in_a_conversation():
    tools = load_tools(SEEDS / "image_intent/tools.json")
    golden = [to_case(seed, tools, "Be kind.") for seed in read_seeds(SEEDS / "image_intent/golden.jsonl", tools)[:20]]
    quiet = [Seed(id=f"q{n}", text=f"hi {n}", calls=[], reply="Hello.") for n in range(5)]
    examples = [*quiet, *(call(n) for n in range(5)), call(9, calls=2)]
    after = follow(config(0), tools, 1.0)
    asked = list(in_talk(golden, examples, after, 42))
    assert asked == list(in_talk(golden, examples, after, 42))
    for one, case in zip(golden, asked, strict=True):
        roles = [message["role"] for message in case.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant", "tool", "assistant", "user"]
        assert (case.messages[-1], case.expected, case.group) == (one.messages[-1], one.expected, one.group)
        called, result = case.messages[4:6]
        assert len(called["tool_calls"]) == 1
        assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len({case.messages[1]["content"] for case in asked}) > 1
    assert list(in_talk(golden, quiet, after, 42)) == [], "no call, no such conversation"


@pytest.mark.parametrize(
    ("answers", "fault"),
    [
        ({"draw": [{"result": 1, "reply": {"en": "x"}}]}, "draw: is no tool of this task"),
        ({"generate_image": []}, "has no answers"),
        ({"generate_image": [{"result": 1, "reply": {"en": ""}}]}, "without words"),
        ({"generate_image": [{"result": 1, "said": {}}]}, "generate_image.0.reply: Field required"),
        ([1], "not a mapping"),
    ],
)
def test_faults_are_named(answers: object, fault: str, tmp_path: Path):
    path = tmp_path / "results.yaml"
    path.write_text(yaml.safe_dump(answers))
    with pytest.raises(UserError, match=fault):
        load_results(path, load_tools(SEEDS / "image_intent/tools.json"))


def test_a_share_without_answers_is_refused():
    with pytest.raises(UserError, match=r"results\.yaml"):
        follow(config(0.5, "many_tools"), load_tools(SEEDS / "many_tools/tools.json"))
