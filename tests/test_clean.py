"""Cleaning: what each step drops and keeps, seeds that must not vanish, and the funnel."""

from pathlib import Path

import pytest

from callwright.config import Clean, load_data_config
from callwright.errors import UserError
from callwright.files import read_jsonl, write_json, write_jsonl, write_text
from callwright.records import Call, Example, Seed
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from callwright.text import language_fault, script_of
from tools.split import main
from tools.utterances.augment import augment
from tools.utterances.clean import STEPS, Drop, clean, funnel

NUMBERS = iter(range(10**6))


def line(text: str, tool: str | None = "draw", seed: bool = False, **keys: object) -> Example:
    number = f"e{next(NUMBERS)}"
    calls = [Call(name=tool, arguments={"prompt": text})] if tool else []
    given = {
        "lineage": number if seed else "l",
        "source": "seed" if seed else "grammar",
        "tags": {"lang": "en"},
        **keys,
    }
    return Example(id=number, text=text, calls=calls, reply=None if tool else "no", **given)  # type: ignore[arg-type]


def dropped(*examples: Example, golden: list[Seed] | None = None, **config: object) -> dict[str, list[str]]:
    """step → texts that it drops"""
    kept, lost = clean(examples, Clean(**config), golden or [])  # type: ignore[arg-type]
    assert sorted(e.id for e in [*kept, *(drop.example for drop in lost)]) == sorted(e.id for e in examples)
    found: dict[str, list[str]] = {}
    for drop in lost:
        found.setdefault(drop.step, []).append(drop.example.utterance)
    return found


def test_lengths() -> None:
    found = dropped(line("x "), line("draw a fox"), line("far too long a line"), shortest=2, longest=12)
    assert found == {"length": ["x ", "far too long a line"]}


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("zh-TW", "用 SVG 寫一個 loading 的圓圈"),
        ("zh-TW", "後面有台車，只要一隻貓ㄅ"),
        ("zh-TW", "「画一只猫」用繁體字怎麼寫，標點會變嗎"),
        ("zh-CN", "画一只猫，旁边写个logo"),
        ("zh-CN", "干净的台面里只有面包"),
        ("zh", "畫一隻画猫"),
        ("en", "how do you pronounce 畫一隻貓"),
        ("en", "🐶 123 ?!"),
        ("ja", "猫の絵をかいて"),
        ("ko", "고양이 그려줘"),
        ("ru", "нарисуй кота для Instagram"),
        ("mixed", "Ελλάδα"),
        ("", "whatever"),
    ],
)
def test_languages_in_their_own_script_pass(lang: str, text: str) -> None:
    assert language_fault(text, lang) is None


@pytest.mark.parametrize(
    ("char", "script"),
    [("a", "LATIN"), ("ａ", "LATIN"), ("中", "CJK"), ("か", "HIRAGANA"), ("ｶ", "KATAKANA"), ("ー", "KATAKANA"), ("1", ""), ("。", "")],
)  # fmt: skip
def test_the_script_of_a_letter(char: str, script: str) -> None:
    assert script_of(char) == script


@pytest.mark.parametrize(
    ("lang", "text", "fault"),
    [
        ("zh-TW", "画一只猫", "tagged zh-TW, written in simplified characters"),
        ("zh-CN", "畫一隻貓", "tagged zh-CN, written in traditional characters"),
        ("zh-TW", "draw a cat, please", "tagged zh-TW, written in Latin script"),
        ("en", "畫一隻貓 ok", "tagged en, written in Cjk script"),
        ("ru", "draw a cat", "tagged ru, written in Latin script"),
        ("ko", "猫を描いて", "tagged ko, written in Hiragana script"),
    ],
)
def test_another_script_is_a_fault(lang: str, text: str, fault: str) -> None:
    assert language_fault(text, lang) == fault


def test_conflicting_lines_both_go_unless_a_person_wrote_one() -> None:
    assert dropped(line("Draw a fox!"), line("a badger"), line("draw a fox", None)) == {
        "conflict": ["Draw a fox!", "draw a fox"]
    }
    assert dropped(line("draw a fox", "paint"), line("draw a fox")) == {"conflict": ["draw a fox", "draw a fox"]}
    assert dropped(line("draw a fox", seed=True), line("Draw a fox", None)) == {"conflict": ["Draw a fox"]}
    with pytest.raises(UserError, match=r"^seed 'e\d+': conflict: call of draw, but e\d+ is no_call; mend it"):
        dropped(line("draw a fox", seed=True), line("draw a fox?", None, seed=True))


def test_exact_and_normalised_repeats() -> None:
    assert dropped(line("a fox"), line("A fox!"), line("a fox"), line("a badger")) == {
        "exact": ["a fox"],
        "normalised": ["A fox!"],
    }
    assert dropped(line("A FOX"), line("a fox", seed=True)) == {"normalised": ["A FOX"]}
    traditional, simplified = (line("畫貓", tags={"lang": "zh-TW"}), line("画猫", tags={"lang": "zh-CN"}))
    assert dropped(traditional, simplified) == {}


def test_conversations_that_end_alike_are_not_the_same() -> None:
    def talk(first: str) -> Example:
        messages = [{"role": "user", "content": first}, {"role": "user", "content": "yes, draw it"}]
        return line("x", None).model_copy(update={"text": None, "messages": messages})

    assert dropped(talk("shall I picture a fox?"), talk("do you want your flat in blue?")) == {}


SENTENCE = "please draw a fox that reads a newspaper under a street lamp"


def test_near_copies_go_across_lineages() -> None:
    twin = SENTENCE.replace("reads", "read")
    assert dropped(line(SENTENCE, lineage="a"), line(twin, lineage="b")) == {"near": [twin]}
    assert dropped(line(twin, lineage="a"), line(SENTENCE, seed=True)) == {"near": [twin]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {}),
        ({"lineage": "a"}, {"lineage": "b", "tool": None}),
        ({"seed": True}, {"seed": True}),
        ({"lineage": "a", "text": SENTENCE + " at 7:15"}, {"lineage": "b", "text": SENTENCE + " at 7:45"}),
    ],
    ids=["transforms of one line", "minimal pair", "both by hand", "other numbers"],
)
def test_near_copies_that_are_meant_stay(one: dict, other: dict) -> None:
    assert (
        dropped(line(**{"text": SENTENCE, **one}), line(**{"text": SENTENCE.replace("reads", "read"), **other})) == {}
    )


def test_a_large_models_near_copies_go_within_a_lineage_too() -> None:
    twin = SENTENCE.replace("reads", "read")
    assert dropped(line(SENTENCE), line(twin, source="openai:m")) == {"near": [twin]}


def test_golden_is_kept_apart() -> None:
    golden = [Seed(id="g", text=SENTENCE, calls=[], reply="no")]
    assert dropped(line(SENTENCE + " now"), line("a badger"), golden=golden) == {"golden": [SENTENCE + " now"]}
    with pytest.raises(UserError, match=r"seed 'e\d+': golden: near golden g \(100\)"):
        dropped(line(SENTENCE, seed=True), golden=golden)


def test_semantic_repeats_are_an_option() -> None:
    lines = [line("a fox in a red scarf, in watercolour"), line("in watercolour, a fox in a red scarf", lineage="m")]
    assert dropped(*lines) == {}
    assert dropped(*lines, semantic=0.8) == {"semantic": ["in watercolour, a fox in a red scarf"]}


def test_funnel_counts_each_step_and_shows_its_first() -> None:
    drops = [Drop("near", line("a"), "first"), Drop("near", line("b"), "second")]
    table = funnel(drops)
    assert [step for step, _, _ in table] == list(STEPS)
    assert [(count, example.partition(": ")[2]) for _, count, example in table if count] == [(2, "first")]


def test_command_names_what_it_drops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    write_text(tmp_path / "configs/data/toy.yaml", "task: toy\nclean: {longest: 12}\n")
    write_json(tmp_path / "data/seeds/toy/tools.json", [{"type": "function", "function": {"name": "draw"}}])
    write_jsonl(tmp_path / "data/seeds/toy/golden.jsonl", [{"id": "g", "text": "hi", "calls": [], "reply": "hello"}])
    work = tmp_path / "data/work/toy"
    assert main(["toy"]) == 2
    assert capsys.readouterr().err.endswith(
        "examples.jsonl: no such file; check the path, or run: make data TASK=toy\n"
    )
    write_jsonl(work / "examples.jsonl", [line(text).model_dump() for text in ("a fox", "a fox, and far too long")])
    assert main(["toy"]) == 0
    out = capsys.readouterr().out
    assert "1 of 2 examples stay; dropped by length 1, language 0" in out
    assert "23 characters, not 2 to 12" in out
    ((_, row),) = read_jsonl(work / "dropped.jsonl")
    assert (row["step"], row["text"]) == ("length", "a fox, and far too long")


def test_the_shipped_task_loses_next_to_nothing() -> None:
    config = load_data_config("image_intent")
    tools = load_tools(config.seeds / "tools.json")
    examples = list(augment(config, read_seeds(config.seeds / "seeds.jsonl", tools), tools))
    kept, _ = clean(examples, config.clean, read_seeds(config.seeds / "golden.jsonl", tools))
    assert len(kept) >= 0.99 * len(examples)
