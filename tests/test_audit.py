"""The audit: the baseline, what it says of data with known faults, the gates, the card; the curriculum; the benchmark."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench.data import example_lines
from bench.data import main as bench
from callwright.config import Audit, DataConfig, Split
from callwright.errors import UserError
from callwright.files import read_json, sha256, write_json, write_jsonl, write_text
from callwright.records import Call, Example, Seed, as_line
from tools.audit import main
from tools.baseline import main as baseline_main
from tools.checks import audit as module
from tools.checks.audit import AT_LEAST, Data, balance, coverage, distinct, diversity, leakage, premium, verdicts
from tools.checks.data_card import cell
from tools.rows.split import easy_first, split
from tools.utterances.baseline import decide, fit, out_of_fold_label_error, score

THINGS = (
    "fox",
    "owl",
    "tram",
    "boat",
    "moon",
    "lamp",
    "fern",
    "clock",
    "crab",
    "kite",
    "piano",
    "goat",
    "tower",
    "drum",
)


TOY = DataConfig(task="toy", split=Split(train=160, val=20, test=60, near=100))
TOOL = {
    "name": "draw",
    "parameters": {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]},
}


def examples(count: int = 240, cue: bool = True, manner: str = "carrier:oh, {text}") -> list[Example]:
    """Lines of lineages of two. With `cue` the verb tells the label, without it nothing does."""
    rng, found = Random(7), list[Example]()
    for number in range(count):
        call = number // 2 % 2 == 0
        verb = ("draw" if call else "sell") if cue else "take"
        text = f"{verb} a {rng.choice(THINGS)} and a {rng.choice(THINGS)} near the {rng.choice(THINGS)} {number}"
        found.append(
            Example(
                id=f"e{number}",
                text=text,
                calls=[Call(name="draw", arguments={"prompt": text})] if call else [],
                reply=None if call else "no",
                tags={"lang": "en", "register": ("plain", "long")[number % 2], "kind": "create" if call else "chat"},
                lineage=f"l{number // 2}",
                source="grammar",
                transforms=[manner] if call and number < 120 else [],
            )
        )
    return found


def as_seeds(lines: list[Example]) -> list[Seed]:
    return [
        Seed(**{key: value for key, value in line.model_dump().items() if key in Seed.model_fields}) for line in lines
    ]


def data(lines: list[Example], golden: list[Example] | None = None) -> Data:
    return Data(
        {"train": lines[:160], "val": lines[160:180], "test": lines[180:]}, as_seeds(lines[:40]), as_seeds(golden or [])
    )


def test_the_baseline_finds_a_cue_and_nothing_where_there_is_none() -> None:
    for cue, low, high in ((True, 0.99, 1), (False, 0.2, 0.75)):
        lines = examples(cue=cue)
        found = score(fit(lines[:160]), lines[160:])
        assert low <= found.f1 <= high
        assert found.low <= found.f1 <= found.high
        assert (found.lines, found.majority, found.always) == (80, 0.5, pytest.approx(2 / 3))


def test_f1_and_its_interval_are_those_of_the_counts() -> None:
    class Fixed:
        def predict(self, texts: list[str]):
            import numpy

            return numpy.array([True] * 60 + [False] * 20)

    found = score(Fixed(), sorted(examples(80), key=lambda e: not e.calls))  # 40 calls first: tp 40, fp 20
    assert found.f1 == pytest.approx(0.8)
    assert found.accuracy == 0.75
    low, high = ((2 * q / (1 + q)) for q in (0.5408, 0.7727))  # Wilson of 40 in 60, by hand
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
    silent = score(fit(examples()[:160]), [e for e in examples()[160:] if not e.calls])
    assert (silent.f1, silent.low, silent.accuracy) == (0, 0, 1), "nothing calls, and nothing is said to"


def test_one_label_alone_cannot_be_learnt() -> None:
    calls = [e for e in examples() if e.calls]
    with pytest.raises(UserError, match="one label only"):
        fit(calls)
    with pytest.raises(UserError, match="only 0 lineages of no_call"):
        out_of_fold_label_error(calls)


def test_a_random_split_gains_from_siblings() -> None:
    """Labels are drawn a lineage, so only a sibling can tell them."""
    rng, lines = Random(1), examples(240, cue=False)
    names = {e.lineage: "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for e in lines}
    lines = [e.model_copy(update={"text": f"{names[e.lineage]} {e.id}"}) for e in lines]
    found = premium(TOY, data(lines))
    assert found["random"] > found["grouped"] + 0.1
    assert premium(TOY.model_copy(update={"split": TOY.split.model_copy(update={"by": "line"})}), data(lines)) == found
    assert "golden" not in found


def test_an_uneven_carrier_comes_first() -> None:
    shares = {share.name: share for share in balance(examples())}
    assert next(iter(shares)) in ("any carrier", "carrier:oh, {text}")
    assert (shares["any carrier"].lines, shares["any carrier"].calls) == (60, 60)
    assert shares["any carrier"].p < 1e-9 < 0.5 < shares["lang en"].p


def test_gaps_are_cells_without_train_lines() -> None:
    cells = coverage(data(examples()))
    assert len(cells) == 4
    assert all(cells.values())
    lines = [e.model_copy(update={"tags": {**e.tags, "lang": "zh-TW"}}) if e.id == "e239" else e for e in examples()]
    assert Counter(lang for (lang, _, _), count in coverage(data(lines)).items() if not count) == {"zh-TW": 4}


def test_distinct_counts_characters() -> None:
    assert distinct(["ab", "ab!"], 1) == 0.5
    assert distinct(["abab"], 2) == pytest.approx(2 / 3)
    assert distinct([], 2) == 0


def test_repetition_lowers_diversity() -> None:
    lines = examples()
    dull = [e.model_copy(update={"text": f"draw a fox and a fox near the fox {e.id}"}) for e in lines]
    found = [diversity(replace(data(lines), parts={"train": part, "val": [], "test": []}), 1) for part in (lines, dull)]
    assert found[1]["generated"]["distinct_2"] < found[0]["generated"]["distinct_2"]
    assert found[1]["generated"]["self_similarity"] > found[0]["generated"]["self_similarity"]
    assert found[0]["seeds"] == found[1]["seeds"]


def test_leakage_names_the_nearest_train_line() -> None:
    lines = examples()
    copy = lines[3].model_copy(update={"text": str(lines[3].text).upper(), "id": "copy"})
    found = leakage(data([*lines, copy]))
    assert list(found) == ["test"]
    assert (found["test"][0].line.id, found["test"][0].train.id, found["test"][0].similarity) == ("copy", "e3", 100)
    similar = [pair.similarity for pair in found["test"]]
    assert similar == sorted(similar, reverse=True)
    assert len(similar) == 61


def test_gates_hold_their_side_of_the_bound() -> None:
    assert set(Audit.model_fields) > AT_LEAST
    figures = {"skew": 0.2, "coverage": 0.6}
    assert verdicts(Audit(skew=0.2, coverage=0.6), figures) == [
        ("skew 0.2, at most 0.2", True),
        ("coverage 0.6, at least 0.6", True),
    ]
    assert [passed for _, passed in verdicts(Audit(skew=0.1, coverage=0.7), figures)] == [False, False]
    assert verdicts(Audit(premium=0.1), figures) == [("premium not measured, at most 0.1", False)]
    assert verdicts(Audit(), figures) == []


def test_every_gate_has_a_figure() -> None:
    lines = examples()
    assert module.audit(TOY, data(lines, lines[:30])).figures().keys() == set(Audit.model_fields)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a task `toy` that was split, and gates of which one fails."""
    for place in ("callwright.config", "tools.audit"):
        monkeypatch.setattr(f"{place}.ROOT", tmp_path)
    lines = [e.model_copy(update={"text": f"{e.text} <img src=x onerror=alert(1)> a|b"}) for e in examples()]
    parts = data(lines)
    for side, part in parts.parts.items():
        write_jsonl(tmp_path / f"data/work/toy/{side}.jsonl", map(as_line, part))
    write_jsonl(tmp_path / "data/work/toy/dropped.jsonl", [{"step": "near"}, {"step": "near"}])
    for name in ("seeds", "golden"):
        write_jsonl(tmp_path / f"data/seeds/toy/{name}.jsonl", map(as_line, parts.seeds))
    write_json(tmp_path / "data/seeds/toy/tools.json", [TOOL])
    write_text(tmp_path / "configs/data/toy.yaml", "task: toy\nsplit: {near: 100}\naudit: {skew: 0.2, coverage: 0.5}\n")
    return tmp_path


def test_a_failed_gate_fails_the_command_and_the_card_is_written(house: Path, capsys, recwarn) -> None:
    assert main(["toy"]) == 0
    assert main(["toy", "--gate"]) == 1
    out = capsys.readouterr().out
    assert "gate FAILED: skew 0.5, at most 0.2\n  gate passed: coverage 1, at least 0.5\n" in out
    assert "card: data/work/toy/card/README.md" in out
    card = (house / "data/work/toy/card/README.md").read_text()
    assert "<img" not in card
    assert "a\\|b" in card
    assert "Cleaning dropped 2 (near 2)." in card
    assert "- **failed**: skew 0.5, at most 0.2" in card
    assert "golden lines most like a train line (similarity 0 to 100: 100 at most" in card
    for row in (block := [line for line in card.splitlines() if line.startswith("|")]):
        assert row.endswith("|")
    assert len(block) > 30
    pictures = sorted((house / "data/work/toy/card").glob("*"))
    assert [path.name for path in pictures] == ["README.md", "baseline.png", "coverage.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures[1:])
    assert not [str(warning.message) for warning in recwarn if "Glyph" in str(warning.message)]


def test_leakage_alone_writes_nothing(house: Path, capsys) -> None:
    assert main(["leakage", "toy"]) == 0
    out = capsys.readouterr().out
    assert "golden: nearest train line 100 at most, p95 100" in out
    assert "leakage toy: n-gram F1 random" in out
    assert not (house / "data/work/toy/card").exists()


def test_gates_and_data_that_are_not_there_are_named(house: Path, capsys) -> None:
    write_text(house / "configs/data/toy.yaml", "task: toy\n")
    assert main(["toy", "--gate"]) == 2
    assert "configs/data/toy.yaml: has no `audit:`; write the bounds" in capsys.readouterr().err
    (house / "data/work/toy/train.jsonl").unlink()
    assert main(["toy"]) == 2
    assert "train.jsonl: no such file; check the path, or run: make data TASK=toy" in capsys.readouterr().err


def test_cells_show_text_as_it_is() -> None:
    assert cell("a|b\n<b> *c* [d](e) `f` & \\") == "a\\|b &lt;b&gt; \\*c\\* \\[d\\](e) \\`f\\` &amp; \\\\"


def test_a_curriculum_begins_with_what_the_surface_tells() -> None:
    lines = examples(160)
    odd = {"e40", "e43", "e100", "e107"}  # these say "sell" and call, or "draw" and do not
    swap = {"draw": "sell", "sell": "draw"}
    lines = [
        e.model_copy(update={"text": f"{swap[str(e.text)[:4]]}{str(e.text)[4:]}", "lineage": e.id})
        if e.id in odd
        else e
        for e in lines
    ]
    ease = easy_first(lines)
    assert {e.id for e in sorted(lines, key=ease)[-4:]} == odd
    sizes = Split(train=120, val=20, test=20, near=100)
    orders = [
        split(lines, sizes.model_copy(update={"order": order}), 1).parts
        for order in ("mixed", "easy_first", "easy_first")
    ]
    assert orders[1] == orders[2]
    assert orders[0]["test"] == orders[1]["test"]
    mixed, easy = orders[0]["train"], orders[1]["train"]
    assert mixed != easy
    assert sorted(e.id for e in mixed) == sorted(e.id for e in easy)
    late = [index for index, e in enumerate(easy) if e.id in odd]
    assert late
    assert min(late) > len(easy) // 2
    assert 0.3 < sum(bool(e.calls) for e in easy[:40]) / 40 < 0.7


def test_the_benchmark_runs_each_part_on_varied_lines(capsys) -> None:
    assert len({e.utterance for e in example_lines(300)}) > 280
    assert bench(["dedupe", "clean", "--lines", "300"]) == 0
    out = capsys.readouterr().out
    assert "near pairs at 75" in out
    assert out.count(" MiB (") == 2


def test_what_the_baseline_decides_stands_beside_the_cases(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "draw a fox and a boat"}]
    asked = [{"id": "a", "messages": said, "tools": [], "expected": []}]
    asked.append({**asked[0], "id": "b", "messages": [*said, {"role": "user", "content": "sell a fox and a boat"}]})
    write_jsonl(tmp_path / "t_golden.jsonl", asked)
    found = decide(fit(examples()), 240, tmp_path / "t_golden.jsonl")
    assert found.calls == {"a": True, "b": False}, "it decides by what the user says last"
    (tmp_path / "t_test.jsonl").touch()
    assert decide(fit(examples()), 240, tmp_path / "t_test.jsonl").calls == {}, "a task may keep no lines for a test"
    assert (found.lines, found.cases) == (240, sha256(tmp_path / "t_golden.jsonl"))


def test_the_baseline_may_learn_from_the_first_lines_alone(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"id": "a", "messages": [{"role": "user", "content": "draw a fox"}], "tools": [], "expected": []}
    write_jsonl(house / "data/toy_golden.jsonl", [said])
    assert baseline_main(["toy", "--lines", "20"]) == 0
    assert read_json(house / "data/toy_golden.baseline.json")["lines"] == 20
    assert baseline_main(["toy", "--lines", "0"]) == 2
    assert "--lines: 0 is no number" in capsys.readouterr().err
