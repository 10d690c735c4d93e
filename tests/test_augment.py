"""What augment makes of a task: counts, soundness, and that no manner of speaking tells the label."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from callwright.config import Augment, DataConfig, load_data_config
from callwright.errors import UserError
from callwright.files import ROOT, write_json, write_jsonl, write_text
from callwright.records import Call, Example, Seed, as_line, read_records
from callwright.schema import canonical_tools, load_tools
from callwright.tasks import read_seeds, seed_fault
from callwright.text import converter, fold_case, normal_form
from tools.augment import main
from tools.utterances.augment import augment
from tools.utterances.near_duplicates import Novelty

CONFIG = load_data_config("image_intent")
TOOLS = load_tools(CONFIG.seeds / "tools.json")
LABELS = ("call", "no_call")


@pytest.fixture(scope="module")
def seeds() -> list[Seed]:
    return read_seeds(CONFIG.seeds / "seeds.jsonl", TOOLS)


@pytest.fixture(scope="module")
def examples(seeds: list[Seed]) -> list[Example]:
    return list(augment(CONFIG, seeds, TOOLS))


def shares(examples: list[Example], lang: str, names: Any) -> dict[str, dict[str, float]]:
    """label → name → share in percent of the language's examples of that label."""
    result = {}
    for label in LABELS:
        mine = [e for e in examples if e.label == label and e.tags["lang"] == lang]
        result[label] = {k: 100 * n / len(mine) for k, n in Counter(n for e in mine for n in set(names(e))).items()}
    return result


def test_counts_and_sources(examples: list[Example], seeds: list[Seed]) -> None:
    assert Counter(e.label for e in examples) == {"call": CONFIG.augment.call, "no_call": CONFIG.augment.no_call}
    assert len({e.id for e in examples}) == len(examples)
    from_seeds = [e for e in examples if e.source == "seed"]
    assert abs(len(from_seeds) / len(examples) - CONFIG.augment.from_seeds) < 0.02
    assert {e.lineage for e in from_seeds} == {seed.id for seed in seeds}
    untouched = {e.id: e for e in from_seeds if not e.transforms}
    assert all(untouched[seed.id].text == seed.text and untouched[seed.id].calls == seed.calls for seed in seeds)


def test_languages_come_in_their_shares(examples: list[Example]) -> None:
    langs = Counter(e.tags["lang"] for e in examples)
    for lang, share in {"zh-TW": 50, "en": 28, "zh-CN": 12, "mixed": 10}.items():
        assert abs(100 * langs[lang] / len(examples) - share) < 1.5


def test_every_kind_and_register_is_there_in_every_language(examples: list[Example]) -> None:
    kinds = Counter(e.tags["kind"] for e in examples if e.label == "no_call")
    assert set(kinds) == {
        *("pictures", "how_to", "negation", "past", "other_modality", "figurative"),
        *("quoted", "ability", "code", "existing", "chat"),
    }
    assert min(kinds.values()) > 0.05 * CONFIG.augment.no_call
    registers = {"plain", "colloquial", "terse", "polite", "emoji", "typo", "indirect", "long"}
    for lang in ("zh-TW", "en", "zh-CN", "mixed"):
        for label in LABELS:
            assert {e.tags["register"] for e in examples if e.tags["lang"] == lang and e.label == label} == registers


@pytest.mark.parametrize(("lang", "points"), [("zh-TW", 5), ("en", 5), ("zh-CN", 7), ("mixed", 7)])
def test_transforms_do_not_tell_the_label(examples: list[Example], lang: str, points: float) -> None:
    drawn = lambda e: [n for n in e.transforms if not n.startswith("carrier:") and n != "swap"]  # noqa: E731
    share = shares(examples, lang, drawn)
    assert share["call"].keys() == share["no_call"].keys()
    for name in share["call"]:
        assert abs(share["call"][name] - share["no_call"][name]) < points, name


@pytest.mark.parametrize(("lang", "points"), [("zh-TW", 2), ("en", 2), ("zh-CN", 5), ("mixed", 5)])
def test_carriers_do_not_tell_the_label(examples: list[Example], lang: str, points: float) -> None:
    share = shares(examples, lang, lambda e: [n for n in e.transforms if n.startswith("carrier:")])
    for name in {*share["call"], *share["no_call"]}:
        assert abs(share["call"].get(name, 0) - share["no_call"].get(name, 0)) < points, name
    any_carrier = shares(examples, lang, lambda e: ["any"] if any(n[:8] == "carrier:" for n in e.transforms) else [])
    assert abs(any_carrier["call"]["any"] - any_carrier["no_call"]["any"]) < 6


def test_registers_do_not_tell_the_label(examples: list[Example]) -> None:
    counts = {label: Counter(e.tags["register"] for e in examples if e.label == label) for label in LABELS}
    for register in counts["call"]:
        assert abs(counts["call"][register] - counts["no_call"][register]) < 0.04 * len(examples) / 2, register


def test_no_text_twice_and_so_none_with_two_labels(examples: list[Example]) -> None:
    forms = Counter(normal_form(e.utterance) for e in examples)
    assert [form for form, count in forms.items() if count > 1] == []


def test_every_example_is_sound(examples: list[Example]) -> None:
    for e in examples:
        assert seed_fault(e, TOOLS) is None, e
        assert bool(e.calls) == (e.reply is None)
        for call in e.expected or []:
            for matcher in call.arguments.values():
                assert all(fold_case(word) in fold_case(e.utterance) for word in matcher["contains"]), e
        assert "{" not in e.utterance.replace("{}", "") or e.source == "seed", e
        assert "[" not in e.utterance or e.source == "seed", e


def test_simplified_lines_are_simplified_whatever_they_come_from(examples: list[Example]) -> None:
    convert = converter("t2s").convert
    borrowed = [e for e in examples if e.tags["lang"] == "zh-CN" and "simplified" in e.transforms]
    assert len(borrowed) > 50
    for e in borrowed:
        assert convert(e.utterance) == e.utterance
        assert convert(json.dumps(as_line(e), ensure_ascii=False)).count(e.utterance)
        assert e.reply is None or convert(e.reply) == e.reply


def test_code_mixed_lines_hold_latin_and_chinese(examples: list[Example]) -> None:
    mixed = [e.utterance for e in examples if e.tags["lang"] == "mixed"]
    assert all(any("a" <= char.lower() <= "z" for char in text) for text in mixed)
    both = [text for text in mixed if any("\u4e00" <= char <= "\u9fff" for char in text)]
    assert len(both) > 0.95 * len(mixed)


def test_another_process_with_another_hash_seed_writes_the_same_bytes(examples: list[Example], tmp_path: Path) -> None:
    code = (
        "import sys; from callwright.config import *; from callwright.schema import *; from callwright.tasks import *\n"
        "from callwright.files import write_jsonl; from callwright.records import as_line; from tools.utterances.augment import augment\n"
        "c = load_data_config('image_intent'); t = load_tools(c.seeds / 'tools.json')\n"
        "write_jsonl(sys.argv[1], map(as_line, augment(c, read_seeds(c.seeds / 'seeds.jsonl', t), t)))"
    )
    there, here = tmp_path / "there.jsonl", tmp_path / "here.jsonl"
    env = {**os.environ, "PYTHONHASHSEED": "4321"}
    subprocess.run([sys.executable, "-c", code, str(there)], check=True, cwd=ROOT, env=env)
    write_jsonl(here, map(as_line, examples))
    assert there.read_bytes() == here.read_bytes()


GRAMMAR = """
languages: {en: {share: 1}}
registers: {plain: {share: 1}}
carriers: {en: {plain: ["hey, {text}", "{text} now"]}}
slots: {en: {thing: [a cat, a dog, a bird, a horse, a fish, a frog]}}
patterns:
  - {id: draw, lang: en, register: plain, kind: create, texts: ["draw [{thing}]"],
     calls: [{name: generate_image, arguments: {prompt: "{span}"}}]}
  - {id: say, lang: en, register: plain, kind: chat, texts: ["who has {thing}?": I do.]}
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a task `toy` of two seeds."""
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    folder = tmp_path / "data/seeds/toy"
    write_text(tmp_path / "configs/data/toy.yaml", "task: toy\naugment: {call: 8, no_call: 8, from_seeds: 0.5}\n")
    write_text(folder / "grammar.yaml", GRAMMAR)
    write_json(folder / "tools.json", TOOLS)
    call = {"name": "generate_image", "arguments": {"prompt": "a cow"}}
    tags = {"lang": "en", "register": "plain", "kind": "create"}
    write_jsonl(
        folder / "seeds.jsonl",
        [
            {"id": "s1", "text": "paint a cow", "calls": [call], "reply": None, "tags": tags},
            {"id": "s2", "text": "hello", "calls": [], "reply": "Hi!", "tags": {**tags, "kind": "chat"}},
            {"id": "s3", "messages": [{"role": "user", "content": "bye"}], "calls": [], "reply": "Bye!", "tags": {}},
        ],
    )
    return tmp_path


def test_command_writes_examples_and_prints_one_line(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy"]) == 0
    made = read_records(toy / "data/work/toy/examples.jsonl", Example)
    assert Counter(e.label for e in made) == {"call": 8, "no_call": 8}
    seeds = [e for e in made if e.lineage == "s1"]
    assert 1 < len(seeds) <= 1 + load_data_config("toy").augment.variants
    assert all(e.calls == [Call(name="generate_image", arguments={"prompt": "a cow"})] for e in seeds)
    assert [e.utterance for e in made if e.lineage == "s3"] == ["bye"]
    out = capsys.readouterr().out
    assert out.startswith("augment toy: 16 examples (") and out.count("\n") == 1


def test_variants_of_seeds_leave_an_enum_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    properties = {"unit": {"enum": ["daily"]}, "url": {"type": "string", "format": "uri"}}
    tools = canonical_tools([{"name": "go", "parameters": {"type": "object", "properties": properties}}], "tools")
    call = Call(name="go", arguments={"unit": "daily", "url": "http://a.b/c?d=1"})
    text, tags = "go to http://a.b/c?d=1 daily, will you?", {"lang": "en"}
    seed = Seed(id="s", text=text, calls=[call], expected=[call], tags=tags)
    write_text(
        tmp_path / "data/seeds/toy/grammar.yaml",
        GRAMMAR.replace("generate_image", "go").replace('prompt: "{span}"', "")
        + "transforms: [{name: t, lang: en, share: 1, do: upper}, {name: u, lang: en, share: 1, do: unpunctuate}]\n",
    )
    made = list(augment(DataConfig(task="toy", augment=Augment(call=3, no_call=0, from_seeds=1)), [seed], tools))
    assert len(made) > 1 and all(e.calls == [call] == e.expected for e in made)
    assert all("GO TO http://a.b/c?d=1 DAILY" in e.text for e in made[1:])


def test_a_grammar_that_runs_dry_says_how_far_it_got(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(toy / "configs/data/toy.yaml", "task: toy\naugment: {call: 500, no_call: 8}\n")
    assert main(["toy"]) == 2
    error = capsys.readouterr().err
    assert "grammar.yaml: gives only" in error and "different call examples of 500" in error
    assert not (toy / "data/work/toy/examples.jsonl").exists()


def test_a_kind_whose_share_is_zero_is_left_out(toy: Path) -> None:
    how = '  - {id: how, lang: en, register: plain, kind: how_to, texts: ["how is {thing}?": Fine.]}\n'
    write_text(toy / "data/seeds/toy/grammar.yaml", f"{GRAMMAR}{how}kinds: {{chat: 1, how_to: 0}}\n")
    assert main(["toy"]) == 0
    made = read_records(toy / "data/work/toy/examples.jsonl", Example)
    assert {e.tags["kind"] for e in made if e.source == "grammar" and not e.calls} == {"chat"}
    write_text(toy / "configs/data/toy.yaml", "task: toy\naugment: {call: 8, no_call: 500}\n")
    assert main(["toy"]) == 2, "not even where the others run dry"


def test_two_seeds_that_say_the_same_are_named(toy: Path, seeds: list[Seed]) -> None:
    twice = [seeds[0], seeds[0].model_copy(update={"id": "again", "text": f"{seeds[0].text}！"})]
    config = DataConfig(task="toy", augment=Augment(call=4, no_call=0))
    with pytest.raises(UserError, match="seed 'again': says the same as another seed"):
        list(augment(config, twice, TOOLS))


def test_fewer_than_the_seeds_are_a_sample_of_them(toy: Path, seeds: list[Seed]) -> None:
    config = DataConfig(task="toy", augment=Augment(call=10, no_call=10))
    made = list(augment(config, seeds, TOOLS))
    assert Counter(e.label for e in made) == {"call": 10, "no_call": 10}
    assert all(e.source == "seed" and not e.transforms for e in made)


def test_novelty_lets_a_form_in_once() -> None:
    novelty = Novelty()
    said = ["Draw a cat", "draw  A CAT!!", "ｄｒａｗ a cat 😊", "draw a dog", "😊", "😊", "🐱"]
    assert [novelty.admits(text) for text in said] == [True, False, False, True, True, False, True]
