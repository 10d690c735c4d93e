"""The hand-written data of each task, and what grows from it: form, balance, and golden apart from what is trained on."""

from collections import Counter

import pytest

from callwright.config import DataConfig, load_data_config
from callwright.expectations import expected_words
from callwright.records import Example, Seed
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from callwright.text import fold_case
from tools.utterances.augment import augment
from tools.utterances.near_duplicates import nearest

SIZES = {"image_intent": (300, 200), "assistant_tools": (150, 100)}
"""task → least numbers of seeds and golden lines"""
CALL_KINDS = {"image_intent": {"create"}, "assistant_tools": {"weather", "reminder", "music", "parallel"}}
OTHER_KINDS = {
    "image_intent": {
        *("pictures", "how_to", "negation", "past", "other_modality", "figurative"),
        *("quoted", "ability", "code", "existing", "chat"),
    },
    "assistant_tools": {
        *("missing", "about", "past", "negation", "other_tool", "ability", "figurative", "quoted", "chat"),
    },
}
REGISTERS = {"plain", "colloquial", "terse", "polite", "emoji", "typo", "indirect", "long"}


def read(config: DataConfig, name: str) -> list[Seed]:
    return read_seeds(config.seeds / f"{name}.jsonl", load_tools(config.seeds / "tools.json"))


@pytest.fixture(scope="module", params=SIZES)
def config(request: pytest.FixtureRequest) -> DataConfig:
    return load_data_config(request.param)


@pytest.fixture(scope="module", params=["seeds", "golden"])
def seeds(config: DataConfig, request: pytest.FixtureRequest) -> list[Seed]:
    return read(config, request.param)


@pytest.fixture(scope="module")
def examples(config: DataConfig) -> list[Example]:
    return list(augment(config, read(config, "seeds"), load_tools(config.seeds / "tools.json")))


def test_sizes(config: DataConfig):
    assert all(len(read(config, name)) >= least for name, least in zip(("seeds", "golden"), SIZES[config.task]))  # noqa: B905


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


def test_kinds(config: DataConfig, seeds: list[Seed]):
    assert {seed.tags["kind"] for seed in seeds if seed.calls} == CALL_KINDS[config.task]
    assert {seed.tags["kind"] for seed in seeds if not seed.calls} == OTHER_KINDS[config.task]


def test_expected_words_come_from_the_utterance(seeds: list[Seed]):
    for seed in seeds:
        for word in expected_words(seed.expected or []):
            assert fold_case(word) in fold_case(seed.utterance), seed.id


def test_nothing_is_said_twice(seeds: list[Seed]):
    texts = [fold_case(seed.utterance) for seed in seeds]
    assert len(set(texts)) == len(texts)


def near_golden(config: DataConfig, lines: list[Seed], bound: float) -> list[tuple[str, str, int]]:
    """(id of a golden line, id of the nearest of `lines`, similarity) where the similarity reaches the bound."""
    golden = read(config, "golden")
    found = nearest([seed.utterance for seed in golden], [line.utterance for line in lines])
    return [(seed.id, lines[at].id, round(score)) for seed, (score, at) in zip(golden, found) if score >= bound]  # noqa: B905


def test_golden_is_no_near_copy_of_the_seeds(config: DataConfig):
    assert near_golden(config, read(config, "seeds"), config.split.near) == []


def test_golden_is_no_near_copy_of_what_is_generated(config: DataConfig, examples: list[Example]):
    """`clean.golden` is the similarity from which on cleaning would drop a line."""
    assert (
        near_golden(config, [example for example in examples if example.id != example.lineage], config.clean.golden)
        == []
    )


def test_every_kind_of_call_is_generated(config: DataConfig, examples: list[Example]):
    made = Counter(example.tags["kind"] for example in examples if example.source == "grammar")
    assert set(made) == CALL_KINDS[config.task] | OTHER_KINDS[config.task]
    calls = [made[kind] for kind in CALL_KINDS[config.task]]
    assert min(calls) > 0.1 * sum(calls)


def test_what_is_passed_is_said(examples: list[Example]):
    """Free text by its content words, the items of an array as they are and in their order."""
    for example in examples:
        said = fold_case(example.utterance)
        for word in expected_words(example.expected or []):
            assert fold_case(word) in said, example.id
        for items in (value for call in example.calls for value in call.arguments.values() if isinstance(value, list)):
            places = [said.find(fold_case(item)) for item in items]
            assert places[0] >= 0 and places == sorted(set(places)), example.id


def test_no_carrier_and_no_transform_tells_the_label(config: DataConfig, examples: list[Example]):
    """Shares of both classes differ by no more than chance does: three standard errors, and a line or two."""
    for lang in {example.tags["lang"] for example in examples}:
        counts = {label: Counter[str]() for label in ("call", "no_call")}
        sizes = Counter(example.label for example in examples if example.tags["lang"] == lang)
        for example in (example for example in examples if example.tags["lang"] == lang):
            counts[example.label].update({name for name in example.transforms if name != "swap"})
        for name in counts["call"] | counts["no_call"]:
            shares = [counts[label][name] / sizes[label] for label in sizes]
            mean, least = sum(shares) / 2, min(sizes.values())
            error = (2 * mean * (1 - mean) / least) ** 0.5
            assert abs(shares[0] - shares[1]) <= 3 * error + 2 / least, (lang, name)


def test_many_tools_is_apart_from_the_other_tasks():
    """What starts from it is measured on them: it holds none of their tools, and nothing near their golden lines."""
    many = load_data_config("many_tools")
    lines = [*read(many, "seeds"), *read(many, "golden")]
    names = {tool["function"]["name"] for tool in load_tools(many.seeds / "tools.json")}
    for task in SIZES:
        config = load_data_config(task)
        assert not names & {tool["function"]["name"] for tool in load_tools(config.seeds / "tools.json")}
        assert near_golden(config, lines, config.split.near) == []


def test_golden_of_many_tools_has_domains_of_its_own():
    many = load_data_config("many_tools")
    parts = [{seed.tags["domain"] for seed in read(many, name)} for name in ("seeds", "golden")]
    assert not parts[0] & parts[1]
    calls = [{call.name for seed in read(many, name) for call in seed.calls} for name in ("seeds", "golden")]
    assert not calls[0] & calls[1]
