"""From failures to data: each cause gets its remedy, golden and test give nothing, and LLaMA-Factory trains on the pairs."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import api_server
import pytest
import yaml
from endpoint import answer, endpoint

import tools.augment
import tools.convert
import tools.mine
import tools.register
import tools.split
from callwright.config import DataConfig, load_data_config
from callwright.files import ROOT, read_json, read_jsonl, sha256, write_json, write_jsonl
from callwright.records import Example, Seed, as_line, read_records
from callwright.results import Result
from callwright.schema import load_tools
from callwright.tasks import seed_fault
from eval import run
from tools.formats import dataset_info
from tools.formats.dataset_info import PAIRS
from tools.rows.build import is_masked, to_case
from tools.rows.mine import to_pair
from tools.rows.remedies import GrammarRemedies, cause_of, grow
from tools.rows.split import SIDES
from tools.rows.split import split as split_examples
from tools.utterances.clean import leaks

TASK, RECIPE = "assistant_tools", "smollm2-135m_lora"
OVERRIDES = [f"dataset={TASK}_train", "output_dir=runs/r/train"]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": json.dumps(arguments)}}


def told(*calls: dict[str, Any]) -> dict[str, Any]:
    result = answer(finish="tool_calls")
    result["choices"][0]["message"]["tool_calls"] = [
        {"id": f"c{n}", "type": "function", **c} for n, c in enumerate(calls)
    ]
    return result


def wrong(example: Example, number: int) -> dict[str, Any]:
    """An answer of a model that errs in every way, in turn."""
    if not example.calls:
        if example.tags["kind"] == "missing":
            return told(call("set_reminder", text="something", time="now"))
        return [
            told(call("get_weather", city="Taipei")),
            answer('<tool_call>{"name": "get_weather", "arguments": {"city": '),
            answer("\nAll right."),
        ][number % 3]
    right = [call(one.name, **one.arguments) for one in example.calls]
    first, arguments = example.calls[0], dict(example.calls[0].arguments)
    key = {"get_weather": "city", "set_reminder": "text"}.get(first.name)
    other = "set_reminder" if first.name != "set_reminder" else "get_weather"
    return [
        answer("\nHow nice."),
        told(call(other, **({"city": "Taipei"} if other == "get_weather" else {"text": "x", "time": "y"})), *right[1:]),
        told(*right[1:])
        if len(right) > 1
        else told(call(first.name, **{**arguments, **({key: "zzz"} if key else {})})),
        told(call("no_such_tool", x=1), *right[1:]),
        told(*right),
    ][number % 5]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with a small task that has a mining split, and a run of a model on it that errs in every way."""
    house, patch = tmp_path_factory.mktemp("mine").resolve(), pytest.MonkeyPatch()
    for name in ("configs", f"data/seeds/{TASK}"):
        shutil.copytree(ROOT / name, house / name)
    modules = "callwright.config", "callwright.recipes", "tools.convert", "tools.formats.dataset_info", "tools.mine"
    for module in modules:
        patch.setattr(f"{module}.ROOT", house)
    patch.setattr(dataset_info.register, "__defaults__", (house / "dataset_info.json",))
    patch.chdir(house)
    configure(house, augment={"call": 130, "no_call": 130, "variants": 2})
    configure(house, split={"train": 140, "val": 20, "test": 40, "mine": 60})
    make_data()
    examples = {e.utterance: (e, n) for n, e in enumerate(read_records(work(house, "mine"), Example))}
    reply = lambda request: wrong(*examples[request["messages"][-1]["content"]])  # noqa: E731
    with endpoint(reply) as server:
        cases, out = f"data/{TASK}_mine.jsonl", "runs/r/eval/mine/tuned"
        assert run.main(["--cases", cases, "--base-url", server.url, "--model", "m", "--out", out]) == 0
    yield house
    patch.undo()


@pytest.fixture
def copy(house: Path, tmp_path: Path) -> Iterator[Path]:
    """The house, put back as it was when the test is over."""
    shutil.copytree(house, tmp_path / "before")
    yield house
    shutil.rmtree(house)
    shutil.copytree(tmp_path / "before", house)
    os.chdir(house)  # the folder of this name is another one


def configure(house: Path, **keys: dict[str, Any]) -> None:
    path = house / f"configs/data/{TASK}.yaml"
    value = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(value | {key: value.get(key, {}) | change for key, change in keys.items()}))


def make_data() -> None:
    for step in (tools.augment, tools.split, tools.convert, tools.register):
        assert step.main([TASK]) == 0


def work(house: Path, part: str) -> Path:
    return house / f"data/work/{TASK}/{part}.jsonl"


def results(house: Path) -> list[dict[str, Any]]:
    return [line for _, line in read_jsonl(house / "runs/r/eval/mine/tuned/results.jsonl")]


def lines(house: Path) -> list[Example]:
    return read_records(house / f"data/seeds/{TASK}/mined.jsonl", Example)


def pairs(house: Path) -> list[dict[str, Any]]:
    return [line for _, line in read_jsonl(house / f"data/{TASK}_pairs.jsonl")]


def mined(*more: str) -> int:
    return tools.mine.main([RECIPE, *OVERRIDES, *more])


@pytest.fixture
def done(copy: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, str]:
    """The house after a mining, and what was printed."""
    capsys.readouterr()
    assert mined() == 0
    return copy, capsys.readouterr().out


def test_every_cause_gets_its_remedy(done: tuple[Path, str]) -> None:
    house, out = done
    verdicts = Counter(line["verdict"] for line in results(house))
    table = {(row[:20].strip(), row[27:49].strip()): list(map(int, (row[20:25], *row[49:].split()))) for row in
             out.splitlines()[1:-1]}  # fmt: skip
    remedies = {cause: {remedy for verdict, remedy in table if verdict == cause} for cause, _ in table}
    assert remedies == {
        "false_call": {"minimal pairs", "clarifying replies"},
        "malformed_attempt": {"minimal pairs"},
        "wrong_tool": {"name masking"},
        "unknown_tool": {"name masking"},
        "wrong_value": {"argument paraphrases"},
        "no_call": {"more like it"},
        "missing_call": {"more like it"},
    }
    for cause in remedies:
        assert sum(row[0] for (verdict, _), row in table.items() if verdict == cause) == verdicts[cause]
    assert all(count and new and made == count for count, new, made in table.values())
    found, made = len(lines(house)), len(pairs(house))
    assert [sum(row[n] for row in table.values()) for n in (1, 2)] == [found, made]
    wrong = sum(count for verdict, count in verdicts.items() if verdict != "correct")
    assert out.splitlines()[-1].startswith(f"mine {TASK}: {wrong} failures; {found} lines in data/seeds/{TASK}/mined")


def test_lines_are_new_sound_and_no_siblings_of_what_is_measured(done: tuple[Path, str]) -> None:
    house, _ = done
    config, tools = load_data_config(TASK), load_tools(house / f"data/seeds/{TASK}/tools.json")
    sides = {side: read_records(work(house, side), Example) for side in (*SIDES, "mine")}
    known = {e.utterance for side in sides.values() for e in side}
    held = {e.lineage for side in ("val", "test") for e in sides[side]}
    writer = GrammarRemedies(config, tools, sides).writer
    every = {pattern.id for pattern in writer.grammar.patterns()}
    assert {pattern.id for own in writer.cells.values() for pattern in own} == every - held and every & held
    origin = {e.lineage: e for e in sides["mine"]}
    made = lines(house)
    assert {line.source for line in made} == {"mine"}
    assert not [line.id for line in made if seed_fault(line, tools) or line.utterance in known or line.lineage in held]
    golden = read_records(house / f"data/seeds/{TASK}/golden.jsonl", Seed)
    assert not leaks(made, golden, config.clean.golden) and not leaks(made, sides["test"], config.split.near)
    masked = [line for line in made if is_masked(line)]
    assert masked and all(line.calls for line in masked)
    swapped = [line for line in made if line.calls and "swap" in line.transforms and not is_masked(line)]
    assert swapped and all(line.calls != origin[line.lineage].calls for line in swapped)
    asking = [line for line in made if line.tags["kind"] == "missing"]
    assert sum("?" in line.reply or "？" in line.reply for line in asking) > 0.6 * len(asking) > 0, (
        "the others ask without"
    )


def test_pairs_hold_the_right_answer_over_the_model_s_own(done: tuple[Path, str]) -> None:
    house, _ = done
    examples = {e.utterance: e for e in read_records(work(house, "mine"), Example)}
    said = {line["text"]: line for line in results(house)}
    seen = Counter[str]()
    for pair in pairs(house):
        (asked,) = pair["conversations"]
        example, result = examples[asked["value"]], said[asked["value"]]
        chosen, worse = pair["chosen"], pair["rejected"]
        if example.calls:
            calls = json.loads(chosen["value"])
            assert [c["name"] for c in (calls if isinstance(calls, list) else [calls])] == [
                c.name for c in example.calls
            ]
        else:
            assert chosen == {"from": "gpt", "value": f"\n{example.reply}"}
        assert worse["value"] == result["content"] if worse["from"] == "gpt" else json.loads(worse["value"])
        seen[chosen["from"] + ">" + worse["from"]] += 1
    assert set(seen) == {f"{a}>{b}" for a in ("gpt", "function_call") for b in ("gpt", "function_call")}
    entry = read_json(house / "dataset_info.json")[f"{TASK}_pairs"]
    assert entry == {"file_name": f"data/{TASK}_pairs.jsonl", **PAIRS}
    assert not list(dataset_info.faults_of(entry, house))
    broken = [{**pair, "rejected": {"from": "human", "value": "x"}} for pair in pairs(house)[:1]]
    write_jsonl(house / f"data/{TASK}_pairs.jsonl", broken)
    assert "roles must alternate" in next(dataset_info.faults_of(entry, house))


def test_mining_again_changes_nothing_and_earlier_lines_stay(done: tuple[Path, str]) -> None:
    house, _ = done
    files = [house / f"data/seeds/{TASK}/mined.jsonl", house / f"data/{TASK}_pairs.jsonl", house / "dataset_info.json"]
    first = [sha256(path) for path in files]
    assert mined() == 0 and [sha256(path) for path in files] == first
    path = house / "runs/r/eval/mine/tuned/results.jsonl"
    write_jsonl(path, [{**line, "verdict": "correct"} for line in results(house)])
    assert mined() == 0
    assert sha256(files[0]) == first[0]
    assert not files[1].exists(), "there is no failure to prefer anything to"


def test_mined_lines_join_train_and_move_nothing_else(
    done: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    house, _ = done
    before = {
        side: [e.id for e in read_records(work(house, side), Example)] for side in ("train", "val", "test", "mine")
    }
    assert any("tool_" in row for row in rows(house)) is False
    configure(house, augment={"mined": True})
    make_data()
    after = {side: read_records(work(house, side), Example) for side in before}
    for side in ("val", "test", "mine"):
        assert [e.id for e in after[side]] == before[side]
    joined = [e for e in after["train"] if e.source == "mine"]
    assert {e.id for e in after["train"]} - {e.id for e in joined} == set(before["train"])
    assert len(joined) > 0.8 * len(lines(house)), "the others are near copies of each other, or of val"
    masked = [json.loads(row) for row in rows(house) if '"name": "tool_' in row.replace('\\"', '"')]
    said = sum(turn["from"] == "human" for row in masked for turn in row["conversations"])
    assert said == sum(map(is_masked, joined)) > 0
    real = {tool["function"]["name"]: tool["function"] for tool in load_tools(house / f"data/seeds/{TASK}/tools.json")}
    for row in masked:
        tools = json.loads(row["tools"])
        names = {next(n for n, r in real.items() if r["parameters"] == t["parameters"]): t["name"] for t in tools}
        assert sorted(names.values()) == [f"tool_{n + 1}" for n in range(len(real))]
        for human, turn in pairwise(row["conversations"]):
            if (human["from"], turn["from"]) != ("human", "function_call"):
                continue
            calls = json.loads(turn["value"])
            right = next(e for e in joined if e.text == human["value"]).calls
            assert [c["name"] for c in (calls if isinstance(calls, list) else [calls])] == [
                names[c.name] for c in right
            ]
    assert len({json.dumps(json.loads(row["tools"])) for row in masked}) > 1, "no order of names is the rule"
    configure(house, split={"mine": 0})
    make_data()
    assert not (house / f"data/{TASK}_mine.jsonl").exists() and not work(house, "mine").exists()


def rows(house: Path) -> list[str]:
    return (house / f"data/{TASK}_train.jsonl").read_text().splitlines()


def test_a_mined_line_beside_val_or_test_is_left_out() -> None:
    def line(text: str, lineage: str, source: str = "grammar") -> Example:
        return Example(id=text, text=text, calls=[], reply="ok", lineage=lineage, source=source)

    texts = ["".join(chr(97 + (n * k) % 26) for k in range(3, 20)) for n in range(1, 60, 2)]
    examples = [line(text, f"l{n}") for n, text in enumerate(texts)]
    config = DataConfig(task="t", split={"train": 20, "val": 5, "test": 5}).split
    plain = split_examples(examples, config, 1)
    test, train = plain.parts["test"], plain.parts["train"]
    more = [
        line(f"{test[0].text}q", "new", "mine"),
        line("1234567890", test[1].lineage, "mine"),
        line("0987654321", train[0].lineage, "mine"),
    ]
    sides = split_examples([*examples, *more], config, 1)
    assert sides.left_out == 2 and (sides.parts["val"], sides.parts["test"]) == (plain.parts["val"], test)
    assert {e.id for e in sides.parts["train"]} == {e.id for e in train} | {"0987654321"}


def manifest(house: Path, cases: Any) -> None:
    path = house / "runs/r/eval/mine/tuned/manifest.json"
    write_json(path, {**read_json(path), "cases": cases})


def asked_golden(house: Path) -> None:
    manifest(house, {f"data/{TASK}_golden.jsonl": sha256(house / f"data/{TASK}_golden.jsonl")})


def copied(house: Path, part: str) -> None:
    path = house / f"data/{TASK}_mine.jsonl"
    shutil.copy(house / f"data/{TASK}_{part}.jsonl", path)
    manifest(house, {f"data/{TASK}_mine.jsonl": sha256(path)})


def reworded(house: Path, part: str) -> None:
    """Golden or test under another name, with other ids, tags and marks, in every file that is compared."""
    tools, path = load_tools(house / f"data/seeds/{TASK}/tools.json"), house / f"data/{TASK}_mine.jsonl"
    known = (
        read_records(work(house, "test"), Example)
        if part == "test"
        else [
            Example(**seed.model_dump(), lineage=seed.id, source="seed")
            for seed in read_records(house / f"data/seeds/{TASK}/golden.jsonl", Seed)
        ]
    )
    changed = [e.model_copy(update={"id": f"m{n}", "text": f"{e.text} !!", "tags": {}}) for n, e in enumerate(known)]
    write_jsonl(work(house, "mine"), map(as_line, changed))
    write_jsonl(path, (to_case(e, tools, None).model_dump() for e in changed))
    manifest(house, {f"data/{TASK}_mine.jsonl": sha256(path)})
    failed = [{"id": e.id, "text": e.text, "verdict": "no_call"} for e in changed]
    write_jsonl(house / "runs/r/eval/mine/tuned/results.jsonl", failed)


def append(house: Path, name: str, text: str) -> None:
    with (house / name).open("a") as file:
        file.write(text + "\n")


RUN = "runs/r/eval/mine/tuned"
REFUSED: list[tuple[Callable[[Path], Any], str]] = [
    (lambda house: configure(house, split={"mine": 0}), "has no mining split, and nothing else is mined; set split.mine"),
    (lambda house: shutil.rmtree(house / RUN), "no finished run there; run make eval RECIPE=r SUITE=mine"),
    (asked_golden, "assistant_tools_golden.jsonl; only assistant_tools_mine.jsonl is mined, golden and test never"),
    (lambda house: manifest(house, {"/etc/\0": 1}), "only assistant_tools_mine.jsonl is mined"),
    (lambda house: manifest(house, ["x"]), "nobody knows what"),
    (lambda house: write_json(house / RUN / "manifest.json", []), "nobody knows what"),
    (lambda house: copied(house, "golden"), "is a copy of assistant_tools_golden.jsonl"),
    (lambda house: copied(house, "test"), "is a copy of assistant_tools_test.jsonl"),
    (lambda house: reworded(house, "golden"), "'m0' is near golden g"),
    (lambda house: reworded(house, "test"), "what is measured on is never mined"),
    (lambda house: append(house, f"data/{TASK}_mine.jsonl", ""), "has changed since the run was asked"),
    (lambda house: work(house, "mine").write_text(""), "is not what"),
    (lambda house: append(house, f"{RUN}/results.jsonl", '{"id": "g1", "text": "x", "verdict": "no_call"}'), "'g1' is no case"),
    (lambda house: append(house, f"{RUN}/results.jsonl", '{"id": "g1"'), "results.jsonl:61: not JSON"),
    (lambda house: append(house, f"{RUN}/results.jsonl", '{"id": "g1", "text": "x"}'), "results.jsonl:61: verdict: Field required"),
    (lambda house: append(house, f"data/seeds/{TASK}/mined.jsonl", "{}"), "mined.jsonl:1: id: Field required"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "fault"), REFUSED)
def test_refused(copy: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Path], Any], fault: str) -> None:
    change(copy)
    kept = copy / f"data/seeds/{TASK}/mined.jsonl"
    before = kept.read_bytes() if kept.exists() else None
    assert mined() == 2
    error = capsys.readouterr().err
    assert fault in error and error.count("\n") == 1, error
    assert (kept.read_bytes() if kept.exists() else None) == before and not (copy / f"data/{TASK}_pairs.jsonl").exists()


def test_a_recipe_of_other_data_and_settings_that_cannot_be_mined(capsys: pytest.CaptureFixture[str]) -> None:
    assert tools.mine.main([RECIPE, "dataset=alpaca"]) == 2
    assert "dataset 'alpaca' does not tell the task" in capsys.readouterr().err
    for settings in (
        {"split": {"mine": 5, "by": "line"}},
        {"split": {"mine": 5}, "sources": [{"from": "xlam", "path": "x"}]},
    ):
        with pytest.raises(ValueError, match="mine"):
            DataConfig.model_validate({"task": "t", **settings})


def test_odd_answers_of_a_model() -> None:
    example = Example(id="a", text="hi", calls=[], reply="Hello.", lineage="a", source="seed")
    config = DataConfig(task="t")

    def pair(**result: Any) -> Any:
        failure = Result.model_validate({"id": "a", "text": "hi", "verdict": "false_call", "more": 1, **result})
        return to_pair(failure, example, config, "[]")

    assert pair(content="") is None and pair(content=" \n") is None, "nothing was said"
    assert pair(content="\nHello.") is None, "the same"
    assert pair(content="see <image>") is None, "LLaMA-Factory would look for the picture"
    assert pair(got=[{"name": "x", "arguments": "{broken", "fault": "not JSON"}]) is None
    assert pair(got=[{"name": "x", "arguments": "{"}], content="<tool_call>x")["rejected"]["from"] == "gpt"
    two = pair(got=[{"name": "x", "arguments": {}}, {"name": "y", "arguments": {"a": [1]}}])["rejected"]["value"]
    assert json.loads(two) == [{"name": "x", "arguments": {}}, {"name": "y", "arguments": {"a": [1]}}]


def test_a_large_model_writes_the_remedies_where_the_task_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callwright.config.ROOT", api_server.house(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    config, tools = load_data_config("toy"), load_tools(tmp_path / "data/seeds/toy/tools.json")
    train = [Example(**seed, lineage=seed["id"], source="seed") for seed in api_server.SEEDS]
    asked = train[-1].model_copy(update={"id": "m/1", "text": "who drew a swan", "lineage": "m", "source": "grammar"})
    drawn = train[0].model_copy(update={"id": "m/2", "text": "draw an old boat", "lineage": "k", "source": "grammar"})
    again = asked.model_copy(update={"id": "m/3", "text": "who drew a goose"})
    failed = {
        cause_of("false_call", asked): [asked, again],
        cause_of("wrong_tool", drawn): [drawn],
        ("state_mismatch", ""): [drawn],
    }
    with api_server.serve() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        sides = {"train": train, "val": [], "test": [], "mine": [asked, again, drawn]}
        made = grow(config, tools, sides, failed)
        asked_for = len(server.requests)
        assert grow(config, tools, sides, failed) == made and len(server.requests) == asked_for, "it is in the ledger"
    pairs, masked, none = made.values()
    assert (len(pairs), len(masked), none) == (2 * config.augment.variants, config.augment.variants, [])
    assert {line.source for line in (*pairs, *masked)} == {"mine"}
    assert not any(line.calls for line in pairs) and {line.transforms[-1] for line in pairs} == {
        "paraphrase",
        "minimal_pair",
    }
    assert {line.lineage for line in pairs} == {"m", "c0"}, "that of the failure, or of the call of train it is near to"
    assert all(line.calls and line.lineage == "k" and is_masked(line) for line in masked)
