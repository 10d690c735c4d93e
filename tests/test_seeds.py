"""The hand-written data of each task: form, balance, and golden apart from what is trained on."""

import json
from collections import Counter

import pytest
from rapidfuzz import fuzz, process

from callwright.files import ROOT
from callwright.matchers import fold
from callwright.records import Seed
from callwright.schema import load_tools
from callwright.tasks import read_seeds

FOLDER = ROOT / "data/seeds/image_intent"
KINDS = {
    *("pictures", "how_to", "negation", "past", "other_modality", "figurative"),
    *("quoted", "ability", "code", "existing", "chat"),
}
REGISTERS = {"plain", "colloquial", "terse", "polite", "emoji", "typo", "indirect", "long"}


@pytest.fixture(scope="module", params=["seeds", "golden"])
def seeds(request: pytest.FixtureRequest) -> list[Seed]:
    return read_seeds(FOLDER / f"{request.param}.jsonl", load_tools(FOLDER / "tools.json"))


def test_sizes():
    tools = load_tools(FOLDER / "tools.json")
    assert len(read_seeds(FOLDER / "seeds.jsonl", tools)) >= 300
    assert len(read_seeds(FOLDER / "golden.jsonl", tools)) >= 200


def test_half_call(seeds: list[Seed]):
    assert Counter(seed.label for seed in seeds)["call"] * 2 == len(seeds)


def test_languages_and_registers_are_spread_alike_over_both_classes(seeds: list[Seed]):
    for tag, least in (("lang", 0.05), ("register", 0.05)):
        shares = {
            label: Counter(seed.tags[tag] for seed in seeds if seed.label == label) for label in ("call", "no_call")
        }
        assert shares["call"].keys() == shares["no_call"].keys()
        half = len(seeds) / 2
        for value, count in shares["call"].items():
            assert count / half >= least, value
            assert abs(count - shares["no_call"][value]) / half <= 0.03, value
    assert Counter(seed.tags["lang"] for seed in seeds)["zh-TW"] >= 0.45 * len(seeds)
    assert {seed.tags["register"] for seed in seeds} == REGISTERS


def test_kinds(seeds: list[Seed]):
    assert {seed.tags["kind"] for seed in seeds if seed.calls} == {"create"}
    assert {seed.tags["kind"] for seed in seeds if not seed.calls} == KINDS


def test_prompt_words_come_from_the_utterance(seeds: list[Seed]):
    for seed in seeds:
        for call in seed.expected or []:
            for word in call.arguments["prompt"]["contains"]:
                assert fold(word) in fold(seed.utterance), seed.id


def test_nothing_is_said_twice(seeds: list[Seed]):
    texts = [fold(seed.utterance) for seed in seeds]
    assert len(set(texts)) == len(texts)


def test_golden_is_no_near_copy_of_the_seeds():
    """Indel similarity of every golden utterance to its nearest seed; 100 is equality."""
    texts = {
        name: {json.loads(line)["id"]: fold(json.loads(line)["text"]) for line in (FOLDER / f"{name}.jsonl").open()}
        for name in ("seeds", "golden")
    }
    for identity, text in texts["golden"].items():
        nearest, score, seed = process.extractOne(text, texts["seeds"], scorer=fuzz.ratio)
        assert score < 75, f"{identity} is {score:.0f} like {seed}: {text} | {nearest}"
