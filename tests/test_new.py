"""A new task of any tools: laid out whole or not at all, and `make data` passes at once."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import api_server
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import callwright.config
from callwright.config import load_data_config
from callwright.files import ROOT, read_jsonl, write_json, write_jsonl
from callwright.records import Example, as_line, read_records
from callwright.schema import load_tools
from callwright.tasks import read_golden, read_seeds, seed_fault
from callwright.text import fold_case
from tools.checks.lint import CrossRowChecks, asked_texts, lint_file
from tools.formats.dataset_info import SHAREGPT
from tools.new import main
from tools.rows.build import convert_task
from tools.split import main as split
from tools.utterances.augment import augment
from tools.utterances.grammar_file import load_grammar
from tools.utterances.starter.layout import STARTERS
from tools.utterances.starter.wording import words

CASES = Path(__file__).parent / "cases/tools"
LABELS = ("call", "no_call")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty house, of which tools.new and the steps of `make data` think that it is theirs."""
    monkeypatch.setattr(callwright.config, "ROOT", tmp_path)
    monkeypatch.setattr("tools.new.ROOT", tmp_path)
    return tmp_path


def said(value: Any) -> list[str]:
    """The strings and numbers of an argument that a text says as they are: no dates, times, durations or switches."""
    if isinstance(value, dict | list):
        return [text for item in (value.values() if isinstance(value, dict) else value) for text in said(item)]
    if isinstance(value, bool) or value is None or re.fullmatch(r"[\dTZ:P.+-]*[TZ:P-][\dHMDTZ:+-]*", str(value)):
        return []
    return [str(value)] if not set("{}[]<>") & set(str(value)) and str(value).isprintable() else []


def check(house: Path, task: str) -> dict[str, list[Example]]:
    """Make the data of a task and look at it: both labels in seeds, golden and rows; arguments said; nothing to lint."""
    config = load_data_config(task)
    known = load_tools(config.seeds / "tools.json")
    seeds = read_seeds(config.seeds / "seeds.jsonl", known)
    golden = read_golden(config.seeds / "golden.jsonl", known)
    most = max(STARTERS, len(known))
    counts = Counter(seed.label for seed in seeds)  # a tool without arguments leaves less to say
    assert 12 <= counts["call"] <= most and counts["no_call"] == most
    assert {call.name for seed in seeds for call in seed.calls} == {tool["function"]["name"] for tool in known}
    assert all(seed.id.startswith("starter-") for seed in seeds + golden)
    assert {seed.tags["lang"] for seed in seeds} == {"en", "zh-TW"}
    examples = list(augment(config, seeds, known))
    assert Counter(e.label for e in examples) == {"call": config.augment.call, "no_call": config.augment.no_call}
    for example in [*examples, *golden]:
        assert seed_fault(example, known) is None
        assert not set("{}") & set(example.utterance), example.id
        if "typo" in getattr(example, "transforms", []):  # a listed value stays however it is misspelt
            continue
        for text in (text for call in example.calls for text in said(call.arguments)):
            assert fold_case(text) in fold_case(example.utterance), (example.id, text, example.utterance)
    write_jsonl(config.work / "examples.jsonl", map(as_line, examples))
    assert split([task]) == 0
    parts = {part: read_records(config.work / f"{part}.jsonl", Example) for part in ("train", "val", "test")}
    assert all(parts.values())
    for part in parts.values():
        assert 0.25 < sum(example.label == "call" for example in part) / len(part) < 0.75
    convert_task(config)
    across = CrossRowChecks(asked_texts([config.built("test"), config.built("golden")]))
    for part in ("train", "val"):
        rows, findings = lint_file(config.built(part), dict(SHAREGPT), across)
        assert rows
        assert [str(finding) for finding in findings if finding.severity == "error"] == []
    return {**parts, "examples": examples}


def test_a_tool_of_every_kind(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nasty", "--tools", str(CASES / "nasty.json")]) == 0
    said = capsys.readouterr().out
    assert "make data train eval TASK=nasty" in said
    assert sorted(path.name for path in house.rglob("*") if path.is_file()) == [
        *("README.md", "golden.jsonl", "grammar.yaml", "nasty.yaml", "seeds.jsonl", "tools.json"),
    ]
    check(house, "nasty")
    config = load_data_config("nasty")
    calls = [call for example in read_records(config.work / "train.jsonl", Example) for call in example.calls]
    searched = {frozenset(call.arguments) for call in calls if call.name == "search"}
    assert searched and all(("id" in keys) != ("text" in keys) for keys in searched)
    units = {call.arguments["from-unit"] for call in calls if call.name == "convertUnits-v2.1"}
    assert units <= {"{kg}", "[lb]", "<image>", "stone"}  # generation would change the others


def test_one_tool_without_arguments(house: Path, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    write_json(path, [{"type": "function", "function": {"name": "now"}}])
    assert main(["clock", "--tools", str(path)]) == 0
    check(house, "clock")


PATTERNS = [
    *(r"^[A-Z]{3}-\d{4}$", r"^evt_[a-z0-9]{8}$", r"^(\+?\d{1,3}[- ]?)?\d{6,10}$", r"^(?=.*\d)(?=.*[A-Z]).{6,12}$"),
    *(
        r"[^aeiou]+$",
        r"^(red|green|blue)(, (red|green|blue))*$",
        r"^(\d{4})/\d{2}$",
        r"^#[0-9a-fA-F]{6}$",
        r"^(a+)+$",
    ),
    r"^([A-Z0-9]{2,4}:){3}[A-Z0-9]{2}$",
]
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"maxLength": st.integers(3, 40), "description": TEXTS}
    ),
    st.fixed_dictionaries({"type": st.just("string"), "minLength": st.integers(0, 80)}),
    st.fixed_dictionaries({"enum": st.lists(TEXTS, min_size=1, max_size=4, unique=True)}),
    st.fixed_dictionaries(
        {"type": st.just("string"), "format": st.sampled_from(["date", "email", "uri", "time", "x"])}
    ),
    st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(-1000, 1000)}),
    st.fixed_dictionaries({"type": st.just("number"), "maximum": st.floats(-10, 1e6)}),
    st.fixed_dictionaries({"type": st.just("boolean")}, optional={"default": st.booleans()}),
    st.fixed_dictionaries({"type": st.just("string"), "pattern": st.sampled_from(PATTERNS)}),
    st.fixed_dictionaries(
        {"type": st.just("integer"), "multipleOf": st.integers(1, 30)}, optional={"maximum": st.integers(-90, 900)}
    ),
    st.just({}),
)


def objects(fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Object schemas of these fields, some of them required."""
    some = st.dictionaries(TEXTS, fields, max_size=4)
    return some.flatmap(
        lambda properties: st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.just(properties)},
            optional={
                "required": st.lists(st.sampled_from(sorted(properties)), unique=True) if properties else st.just([])
            },
        )
    )


SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 3)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        objects(inner),
    ),
    max_leaves=4,
)
TOOLS = st.lists(
    st.fixed_dictionaries({"name": NAMES, "description": st.text(max_size=60), "parameters": objects(SCHEMAS)}),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: words(tool["name"]),
)


@settings(
    max_examples=6, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(TOOLS)
def test_tools_that_nobody_thought_of(house: Path, functions: list[dict[str, Any]]) -> None:
    for path in house.iterdir():
        shutil.rmtree(path)
    source = house / "in" / "tools.json"
    write_json(source, [{"type": "function", "function": function} for function in functions])
    assert main(["any", "--tools", str(source)]) == 0, json.dumps(functions, ensure_ascii=False)
    check(house, "any")


def test_the_steps_of_make_data(tmp_path: Path) -> None:
    """The verbs themselves, in a copy of the house."""
    for name in ("callwright", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))

    def run(module: str, *arguments: str) -> str:
        command = [sys.executable, "-m", f"tools.{module}", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("new", "helper", "--tools", str(ROOT / "data/seeds/assistant_tools/tools.json"))
    for step in ("augment", "split", "convert", "register"):
        run(step, "helper")
    assert "0 errors" in run("lint", "data/helper_train.jsonl", "--cases", "data/helper_golden.jsonl")
    assert sum(1 for _ in read_jsonl(tmp_path / "data/helper_val.jsonl")) > 10
    assert "helper_val_sample" in json.loads((tmp_path / "dataset_info.json").read_text())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "holds no tools"),
        ("{}", "a dict, not a list of tools"),
        ('[{"name": ""}]', "a tool needs a name"),
        ('[{"name": "a"}, {"name": "a"}]', "defined twice"),
        ("[", "not JSON"),
        (
            '[{"name": "a", "parameters": {"type": "object", "required": ["b"], "properties":'
            ' {"b": {"type": "string", "pattern": "^(?!.)Q{9}$"}}}}]',
            "tool 'a': no value is known that fits b; add `examples` to its schema",
        ),
        (
            '[{"name": "a", "parameters": {"type": "object", "required": ["b"], "properties": {"b": false}}}]',
            "no value is known that fits b",
        ),
    ],
)
def test_bad_tools(house: Path, capsys: pytest.CaptureFixture[str], content: str, said: str) -> None:
    path = house / "tools.json"
    path.write_text(content)
    assert main(["x", "--tools", str(path)]) == 2
    assert said in capsys.readouterr().err
    assert [file for file in house.rglob("*") if file.is_file()] == [path]
    assert not list((house / "data/seeds").glob("*"))


def test_a_task_without_tools_says_what_to_type(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["x"]) == 2
    assert "run: make new TASK=x TOOLS=tools.json" in capsys.readouterr().err


@pytest.mark.parametrize("taken", ["data/seeds/x/notes.txt", "configs/data/x.yaml"])
def test_what_is_there_stays(house: Path, capsys: pytest.CaptureFixture[str], taken: str) -> None:
    path = house / taken
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    assert main(["x", "--tools", str(CASES / "nasty.json")]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [file for file in house.rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "mine"


@pytest.mark.parametrize("taken", ["data", "data/seeds", "configs"])
def test_a_house_that_cannot_be_written_is_one_line(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], taken: str
) -> None:
    (house / taken).parent.mkdir(parents=True, exist_ok=True)
    (house / taken).write_text("a file where a folder belongs: what a read-only folder says, for root as well")
    assert main(["x", "--tools", str(CASES / "nasty.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert [file.name for file in house.rglob("*") if file.is_file()] == [Path(taken).name]


def test_a_request_without_optional_arguments_says_nothing_of_them(house: Path, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    properties = {"room": {"type": "string"}, "verbose": {"type": "boolean"}}
    tool = {"name": "list_devices", "parameters": {"type": "object", "properties": properties}}
    write_json(path, [{"type": "function", "function": tool}])
    assert main(["optional", "--tools", str(path)]) == 0
    calls = [call for e in check(house, "optional")["examples"] for call in e.calls]
    assert {frozenset(call.arguments) for call in calls} == {frozenset(), frozenset({"room"}), frozenset({"verbose"})}


def test_dates_come_with_the_day_and_missing_arguments_are_asked_for(house: Path, tmp_path: Path) -> None:
    path = tmp_path / "tools.json"
    properties = {"date": {"type": "string", "format": "date"}, "title": {"type": "string"}}
    tool = {
        "name": "add_event",
        "parameters": {"type": "object", "properties": properties, "required": ["date", "title"]},
    }
    write_json(path, [{"type": "function", "function": tool}])
    assert main(["dates", "--tools", str(path)]) == 0
    parts = check(house, "dates")
    relative = [e for e in parts["examples"] if e.tags["kind"] == "relative_date"]
    assert {e.tags["lang"] for e in relative} == {"en", "zh-TW"}
    days = {"today": 0, "今天": 0, "tomorrow": 1, "明天": 1, "in three days": 3, "三天後": 3}
    seen = set()
    for example in relative:
        today = date.fromisoformat(str(example.system).split(", ")[1].rstrip("."))
        assert f"{today:%A}" in str(example.system)
        for word in (
            word
            for word in days
            if f"{word}" in example.utterance and not {"after", "week"} & set(example.utterance.split())
        ):
            assert example.calls[0].arguments["date"] == (today + timedelta(days=days[word])).isoformat()
            seen.add(word)
    assert len(seen) > 3
    assert all(e.system for e in parts["examples"]), "no label has a system message of its own"
    asked_back = [e for e in parts["examples"] if e.tags["kind"] == "missing_argument"]
    assert asked_back and all(not e.calls and e.reply for e in asked_back)
    rows = [row for _, row in read_jsonl(house / "data/dates_train.jsonl")]
    assert all(row["system"].startswith("Today is ") for row in rows)
    assert len(rows) < len(parts["train"]), "lines of one day share rows"
    cases = [case for _, case in read_jsonl(house / "data/dates_golden.jsonl")]
    assert all(case["messages"][0]["role"] == "system" for case in cases)


def test_a_tool_that_requires_more_than_a_line_can_say_gets_few_lines(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim, tide = ({f"field_{letter}": {"type": "string"} for letter in letters} for letters in (ascii_lowercase, "a"))
    tools = [
        {"name": name, "description": name, "parameters": {"type": "object", "properties": own, "required": [*own]}}
        for name, own in (("file_claim", claim), ("find_tide", tide))
    ]
    write_json(tmp_path / "tools.json", tools)
    assert main(["claims", "--tools", str(tmp_path / "tools.json")]) == 0
    [note] = capsys.readouterr().err.splitlines()
    assert "'file_claim' requires 26 arguments" in note and "seeds of your own" in note
    for file in ("seeds", "golden"):
        lines = [line for _, line in read_jsonl(house / f"data/seeds/claims/{file}.jsonl")]
        assert 2 <= sum(line["tags"]["kind"] == "file_claim" for line in lines) <= 4
        assert max(len(line["text"]) for line in lines if line["tags"]["kind"] != "file_claim") < 120
    check(house, "claims")


@pytest.mark.parametrize(
    "money", [["--price", "-1", "0"], ["--price", "0", "nan"], ["--price", "1", "2", "--budget=-1"]]
)
def test_what_a_model_costs_is_dollars(money: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["x", "--tools=tools.json", "--write=m", *money]) == 2
    assert "are no dollars" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["", "a b", "../x", "天氣"])
def test_names_of_tasks(house: Path, capsys: pytest.CaptureFixture[str], task: str) -> None:
    assert main([task, "--tools", str(CASES / "nasty.json")]) == 2
    assert "choose another name" in capsys.readouterr().err
    assert not list(house.iterdir())


def test_a_large_model_writes_the_seeds(
    house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tools.json"
    path.write_text((ROOT / "data/seeds/image_intent/tools.json").read_text())
    assert main(["drawn", "--tools", str(path), "--write", "m"]) == 2
    assert "its price is not known; say it: --price" in capsys.readouterr().err
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with api_server.serve(key="sk-secret") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["drawn", "--tools", str(path), "--write", "m", "--price", "0", "0"]) == 0
    folder = house / "data/seeds/drawn"
    seeds = read_seeds(folder / "seeds.jsonl", load_tools(path))
    assert {seed.id.partition("-")[0] for seed in seeds} == {"written"}
    sizes = Counter(seed.label for seed in seeds)  # the scripted model writes English only: Chinese lines are refused
    assert 5 <= sizes["call"] <= STARTERS and 5 <= sizes["no_call"] <= STARTERS
    assert {seed.tags["lang"] for seed in seeds} and all(seed.expected for seed in seeds if seed.calls)
    with api_server.serve(key="other") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert main(["refused", "--tools", str(path), "--write", "m", "--price", "0", "0"]) == 2
    assert not (house / "data/seeds/refused").exists()


def test_the_page_shows_what_make_new_writes(house: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs/own-task.md").read_text("utf-8")
    section = page[page.index("## From tools to lines") : page.index("## A local model as the writer")]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    path = tmp_path / "bookings.json"
    path.write_text(next(text for kind, text in blocks if kind == "json"))
    assert main(["bookings", "--tools", str(path)]) == 0
    folder = house / "data/seeds/bookings"
    written = [line for name in ("seeds.jsonl", "grammar.yaml") for line in (folder / name).read_text().splitlines()]
    quoted = [line for kind, text in blocks if kind in ("jsonl", "yaml") for line in text.splitlines()]
    assert len(quoted) > 20 and [line for line in quoted if line not in written] == []
    kinds = set(
        re.findall(
            r"`([a-z_]+)`", "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| "))
        )
    )
    grammar = load_grammar(folder / "grammar.yaml", load_tools(path))
    assert kinds == {family.kind for family in grammar.families} - {"book_table", "cancel_booking"}
