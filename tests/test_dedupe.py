"""Near pairs: MinHash proposes what comparing all finds; nearest neighbours; rearranged sentences."""

from random import Random

import pytest
from rapidfuzz import fuzz

from callwright.config import load_data_config
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from callwright.text import normal_form
from tools.utterances import near_duplicates as dedupe
from tools.utterances.augment import augment
from tools.utterances.near_duplicates import alike_pairs, near_pairs, nearest, plain_forms


@pytest.fixture(scope="module")
def shipped() -> list[str]:
    """The 3,000 utterances of image_intent, and 1,500 copies of them with one to four characters changed."""
    config, rng = load_data_config("image_intent"), Random(3)
    tools = load_tools(config.seeds / "tools.json")
    texts = [e.utterance for e in augment(config, read_seeds(config.seeds / "seeds.jsonl", tools), tools)]
    for text in texts[::2]:
        signs = list(text)
        for _ in range(rng.randint(1, 4)):
            signs[rng.randrange(len(signs))] = rng.choice(["的", "一", "a", "e", "o"])
        texts.append("".join(signs))
    return texts


@pytest.mark.parametrize("threshold", [75, 85, 95])
def test_minhash_finds_nearly_all_that_comparing_all_finds(shipped: list[str], threshold: float) -> None:
    every = list(near_pairs(shipped, threshold))
    found = list(near_pairs(shipped, threshold, exact=0))
    assert len(every) > 400
    assert len(found) == len(set(found))
    assert all(one < other for one, other in found)
    assert set(found) <= set(every)
    assert len(found) >= 0.98 * len(every)


def test_minhash_finds_pairs_of_short_and_of_equal_texts() -> None:
    rng = Random(4)
    texts = [
        "畫貓",
        "畫貓!",
        "draw it",
        "draw if",
        "",
        "?",
        *("".join(rng.choices("abcdefgh ", k=30)) for _ in range(40)),
    ]
    texts += texts[-3:]
    assert set(near_pairs(texts, 80, exact=0)) == set(near_pairs(texts, 80))
    assert {(0, 1), (2, 3), (43, 46), (44, 47), (45, 48)} <= set(near_pairs(texts, 80, exact=0))


def test_what_is_held_at_once_does_not_change_the_pairs(shipped: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    texts = shipped[:400] + shipped[3000:3200]
    whole = sorted(near_pairs(texts, 75, exact=0))
    for name, size in (("BLOCK", 7), ("LINES", 64), ("PAIRS", 5)):
        monkeypatch.setattr(dedupe, name, size)
    assert sorted(near_pairs(texts, 75, exact=0)) == whole
    assert whole


def test_plain_forms_are_one_for_both_scripts() -> None:
    assert plain_forms(["畫一隻貓！", "画一只猫", "Draw a CAT"]) == ["画一只猫", "画一只猫", "drawacat"]


def test_nearest_is_what_brute_force_finds(shipped: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "BLOCK", 16)
    texts, others = shipped[:60], shipped[3000:3100]
    for text, (score, at) in zip(plain_forms(texts), nearest(texts, others), strict=True):
        ratios = [fuzz.ratio(text, other) for other in plain_forms(others)]
        assert score == pytest.approx(max(ratios), abs=1e-3)
        assert ratios[at] == max(ratios)
    alone = nearest(texts)
    assert all(at != index for index, (_, at) in enumerate(alone))
    assert max(score for score, _ in alone) <= 100


def test_rearranged_words_are_alike_but_not_near() -> None:
    texts = [
        "a fox in a red scarf, watercolour, please",
        "what is the time",
        "please, watercolour, a fox in a red scarf",
    ]
    assert list(alike_pairs(texts, 0.6)) == [(0, 2)]
    assert list(near_pairs(texts, 80)) == []


def test_forms_without_letters_stay() -> None:
    assert normal_form(" 🎨?! ") == "🎨?!"
