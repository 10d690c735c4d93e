"""The split: nothing crosses sides, sizes and strata come out, near pairs are what brute force finds."""

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from rapidfuzz import fuzz

from callwright.config import Split, load_data_config
from callwright.errors import UserError
from callwright.files import ROOT, write_jsonl
from callwright.records import Call, Example, as_line
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from callwright.text import converter, normal_form
from tools.rows import split as module
from tools.rows.split import LOPSIDED, SIDES, Sides, components, interleave, split
from tools.split import main
from tools.utterances.augment import augment
from tools.utterances.near_duplicates import near_pairs


def example(number: int, text: str, lineage: str, call: bool = True, lang: str = "en") -> Example:
    calls = [Call(name="draw", arguments={"prompt": text})] if call else []
    reply = None if call else "no"
    return Example(
        id=f"e{number}", text=text, calls=calls, reply=reply, lineage=lineage, source="seed", tags={"lang": lang}
    )


def sample(count: int = 600) -> list[Example]:
    """Lineages of one to five examples, each of one label and language, with words of their own."""
    rng = Random(5)
    examples: list[Example] = []
    while len(examples) < count:
        lineage, call, lang = f"l{len(examples)}", rng.random() < 0.5, rng.choice(["en", "zh", "xx"])
        for _ in range(rng.randint(1, 5)):
            text = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(5))
            examples.append(example(len(examples), text, lineage, call, lang))
    return examples[:count]


def sides_of(sides: Sides) -> dict[str, str]:
    return {e.id: side for side, part in sides.parts.items() for e in part}


@pytest.fixture(scope="module")
def shipped() -> tuple[list[Example], Sides]:
    config = load_data_config("image_intent")
    tools = load_tools(config.seeds / "tools.json")
    examples = list(augment(config, read_seeds(config.seeds / "seeds.jsonl", tools), tools))
    return examples, split(examples, config.split, config.seed)


def test_near_pairs_are_those_that_brute_force_finds() -> None:
    rng = Random(2)
    texts = ["".join(rng.choices("abc ", k=rng.randint(1, 14))) + "x" for _ in range(300)]
    forms = [normal_form(text) for text in texts]
    brute = {
        (i, j) for i in range(len(texts)) for j in range(i + 1, len(texts)) if fuzz.ratio(forms[i], forms[j]) >= 75
    }
    found = list(near_pairs(texts, 75))
    assert len(found) == len(set(found))
    assert set(found) == brute
    assert brute


def test_the_same_words_in_another_script_are_near() -> None:
    assert list(near_pairs(["那畫面太美我不敢看", "wholly different", "那画面太美我不敢看！"], 90)) == [(0, 2)]


def test_components_join_lineage_text_and_near_pairs() -> None:
    examples = [
        example(0, "one", "a"),
        example(1, "two", "a"),
        example(2, "TWO!", "b"),
        example(3, "three", "c"),
        example(4, "four", "d"),
    ]
    assert components(examples, [(2, 3)]) == [[0, 1, 2, 3], [4]]
    assert components(examples, []) == [[0, 1, 2], [3], [4]]


def test_sizes_and_strata_come_out_as_asked() -> None:
    examples = sample(600)
    sides = split(examples, Split(train=432, val=48, test=120), seed=1)
    assert [len(sides.parts[side]) for side in SIDES] == [432, 48, 120]
    share = Counter((e.tags["lang"], e.label) for e in examples)
    for side, size in (("train", 432), ("test", 120)):
        part = Counter((e.tags["lang"], e.label) for e in sides.parts[side])
        for stratum, count in share.items():
            assert abs(part[stratum] / size - count / 600) < 0.04, (side, stratum)


def test_no_lineage_crosses_sides_and_nothing_is_lost() -> None:
    examples = sample(300)
    sides = split(examples, Split(train=200, val=40, test=60), seed=9)
    where = sides_of(sides)
    assert sorted(where) == sorted(e.id for e in examples)
    assert all(len({where[e.id] for e in examples if e.lineage == x}) == 1 for x in {e.lineage for e in examples})


def test_by_line_keeps_nothing_together() -> None:
    examples = sample()
    sides = split(examples, Split(train=400, val=40, test=160, by="line"), 1)
    assert [len(sides.parts[side]) for side in SIDES] == [400, 40, 160]
    train, test = ({example.lineage for example in sides.parts[side]} for side in ("train", "test"))
    assert train & test


def test_sizes_are_proportions_for_fewer_examples_and_a_side_may_be_empty() -> None:
    sides = split(sample(100), Split(train=900, val=0, test=100), seed=1)
    assert [len(sides.parts[side]) for side in SIDES] == [90, 0, 10]


def test_a_mining_split_is_held_out_like_test() -> None:
    sides = split(sample(300), Split(train=200, val=20, test=40, mine=40), seed=1)
    assert {side: len(part) for side, part in sides.parts.items()} == {"train": 200, "val": 20, "test": 40, "mine": 40}
    lineages = [{e.lineage for e in part} for part in sides.parts.values()]
    assert sum(map(len, lineages)) == len(set().union(*lineages))


def test_one_giant_component_stays_whole() -> None:
    sides = split([example(i, f"{i} text", "same") for i in range(20)], Split(train=10, val=5, test=5), seed=1)
    assert sorted(len(part) for part in sides.parts.values()) == [0, 0, 20]


def few_large_groups(near: bool) -> list[Example]:
    """Two labels, each of a few large lineages and as many lone lines; with `near`, all calls are near one another."""
    lines = list[Example]()
    for number, one in enumerate(sample(240)):
        call, lineage = number % 2 == 0, f"l{number % 12}" if number < 180 else f"m{number}"
        text = f"please book a table for {str(one.text)[:11]} this evening" if near and call else str(one.text)
        lines.append(example(number, text, f"n{number}" if near and call else lineage, call, "en"))
    return lines


@pytest.mark.parametrize("near", [False, True])
def test_every_side_gets_both_labels_though_a_label_has_few_groups(near: bool) -> None:
    config = Split(train=80, val=10, test=20, near=75)
    lines = few_large_groups(near)
    sides = split(lines, config, 3)
    for part in sides.parts.values():
        assert 0.3 < sum(e.label == "call" for e in part) / len(part) < 0.7
    assert (sides.limit > 75) == near
    assert sides.skew <= LOPSIDED
    assert split(sample(), config, 3).limit == 75


def test_lines_that_no_split_can_balance_are_told() -> None:
    lines = [
        example(n, f"book a table please at {n:03}", f"l{n}")
        if n % 2
        else e.model_copy(update={"calls": [], "reply": "no"})
        for n, e in enumerate(sample(200))
    ]
    sides = split(lines, Split(train=80, val=10, test=10, near=75), 3)
    assert sides.skew > LOPSIDED
    assert sides.limit == 75, "nothing is parted for nothing"


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    examples, sizes = sample(200), Split(train=150, val=20, test=30)
    again = [sides_of(split(examples, sizes, seed)) for seed in (1, 1, 2)]
    assert again[0] == again[1]
    assert again[0] != again[2]


def test_interleave_puts_every_lineage_first_and_balances_every_beginning() -> None:
    examples = sample(400)
    order = interleave(examples, Random(1))
    assert sorted(e.id for e in order) == sorted(e.id for e in examples)
    for label in ("call", "no_call"):
        mine = [e.lineage for e in order if e.label == label]
        rounds = len(set(mine))
        assert len(set(mine[: rounds - module.NOISE])) > 0.95 * (rounds - module.NOISE)
    total = sum(e.label == "call" for e in examples) / len(examples)
    for size in (50, 100, 200):
        assert abs(sum(e.label == "call" for e in order[:size]) / size - total) < 0.12
    labels = [e.label for e in order]
    alternations = sum(a != b for a, b in pairwise(labels)) / (len(labels) - 1)
    assert 0.3 < alternations < 0.75


def test_shipped_sizes(shipped: tuple[list[Example], Sides]) -> None:
    config = load_data_config("image_intent").split
    _, sides = shipped
    for side, size in zip(SIDES, (config.train, config.val, config.test), strict=True):
        part = sides.parts[side]
        assert abs(len(part) - size) <= 5
        assert 0.47 < sum(e.label == "call" for e in part) / len(part) < 0.53


def test_shipped_sides_share_no_lineage_and_no_near_duplicate(shipped: tuple[list[Example], Sides]) -> None:
    _, sides = shipped
    where = sides_of(sides)
    everything = [e for part in sides.parts.values() for e in part]
    lineages: dict[str, set[str]] = {}
    for e in everything:
        lineages.setdefault(e.lineage, set()).add(where[e.id])
    assert all(len(found) == 1 for found in lineages.values())
    near = load_data_config("image_intent").split.near
    simplify = converter("t2s").convert
    forms = {side: [normal_form(simplify(e.utterance)) for e in sides.parts[side]] for side in SIDES}
    for one, other in (("test", "val"), ("val", "test")):
        assert all(fuzz.ratio(a, b) < near for a in forms[one] for b in forms[other])
    assert all(fuzz.ratio(a, b) < near for a in forms["test"][::6] for b in forms["train"])


def test_command_without_examples_says_what_to_run(capsys: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    (tmp_path / "configs/data").mkdir(parents=True)
    (tmp_path / "configs/data/toy.yaml").write_text("task: toy\n")
    assert main(["toy"]) == 2
    assert capsys.readouterr().err.endswith(
        "data/work/toy/examples.jsonl: no such file; check the path, or run: make data TASK=toy\n"
    )
    assert main(["nothing"]) == 2
    assert "choose one of: toy" in capsys.readouterr().err


def test_a_task_like_another_keeps_its_val_and_test(
    shipped: tuple[list[Example], Sides], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples, sides = shipped
    more = load_data_config("image_intent_more")
    golden = read_seeds(more.seeds / "golden.jsonl", load_tools(more.seeds / "tools.json"))
    copy = examples[0].model_copy(update={"id": "near", "lineage": "near", "text": f"{golden[0].utterance}!"})
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    shutil.copytree(ROOT / "configs/data", tmp_path / "configs/data")
    shutil.copytree(ROOT / "data/seeds/image_intent", tmp_path / "data/seeds/image_intent")
    with pytest.raises(UserError, match=r"val\.jsonl: no such file"):
        module.split_like(more, examples)
    for side in ("val", "test"):
        write_jsonl(tmp_path / f"data/work/image_intent/{side}.jsonl", map(as_line, sides.parts[side]))
    made = module.split_like(more, [*examples, copy])
    assert [made.parts[side] for side in ("val", "test")] == [sides.parts[side] for side in ("val", "test")]
    assert sorted(e.id for e in made.parts["train"]) == sorted(e.id for e in sides.parts["train"])
    assert made.left_out == len(sides.parts["val"]) + len(sides.parts["test"]) + 1
