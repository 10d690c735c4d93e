"""Every record of the nasty corpus gets its named fault or its right conversion, and no format loses anything."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.files import ROOT, parse_json, to_json
from callwright.records import Case
from callwright.tool_results import join_results, part_results
from eval.endpoint.client import for_llamafactory
from eval.scoring.cases import case_fault
from tools.convert import main
from tools.formats import call_turn, case, openai, sharegpt
from tools.formats.conversation import Conversation, Loss
from tools.formats.ingest import Tally, ingest
from tools.formats.readers import EVALUATION_ONLY, READERS
from tools.rows.convert_file import maker

NASTY = sorted((ROOT / "tests/cases/nasty").glob("*.jsonl"))


def unfolded(text: Any) -> str:
    """Text, or pieces of which `[piece, count]` stands for many."""
    if isinstance(text, str):
        return text
    pieces = [text] if len(text) == 2 and isinstance(text[1], int) else text
    return "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)


def raw_of(line: dict[str, Any]) -> bytes:
    return bytes.fromhex(line["hex"]) if "hex" in line else unfolded(line["raw"]).encode()


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def each() -> list[Any]:
    return [
        pytest.param(path.stem, line, id=f"{path.stem}: {line['why']}") for path in NASTY for line in lines_of(path)
    ]


def convert(form: str, raw: bytes, lost: list[str]) -> tuple[Any, str]:
    """The row (or case) of a raw line and "", or None and the fault."""
    tally = Tally(io.StringIO())
    to = "cases" if form in EVALUATION_ONLY else "sharegpt"
    source = iter([("x.jsonl:1", raw)])
    made = list(ingest(source, maker(form, to, "x.jsonl", tally), tally, "skip"))
    lines = [json.loads(line) for line in tally.aside.getvalue().splitlines()]
    lost.extend(line["lost"] for line in lines if made)
    return (parse_json(made[0][1]), "") if made else (None, lines[0]["reason"])


def test_the_corpus_is_large_enough():
    assert sum(len(lines_of(path)) for path in NASTY) >= 60
    assert {path.stem for path in NASTY} == {"lines", *READERS, *EVALUATION_ONLY}


@pytest.mark.parametrize(("form", "line"), each())
def test_a_named_fault_or_the_right_conversion(form: str, line: dict[str, Any]):
    lost: list[str] = []
    made, fault = convert("openai" if form == "lines" else form, raw_of(line), lost)
    if "fault" in line:
        assert made is None
        assert line["fault"] in fault
        assert len(fault) <= 300 and fault.isprintable()
        return
    assert fault == ""
    if "expected" in line:
        assert made["expected"] == line["expected"]
        assert case_fault(Case.model_validate(made)) is None
        return
    assert [[turn["from"], turn["value"]] for turn in made["conversations"]] == [
        [sender, unfolded(value)] for sender, value in line["turns"]
    ]
    assert {what: lost.count(what) for what in lost} == line.get("lost", {})
    if "system" in line:
        assert made["system"] == line["system"]
    tools = json.loads(made["tools"] or "[]")
    if "tools" in line:
        assert [tool["name"] for tool in tools] == line["tools"]
    if "schema" in line:
        assert tools[0]["parameters"] == line["schema"]


@pytest.mark.parametrize("path", NASTY, ids=lambda path: path.stem)
def test_the_command_never_dies(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    lines = [line for line in lines_of(path) if b"\n" not in raw_of(line)]
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"".join(raw_of(line) + b"\n" for line in lines))
    form = "openai" if path.stem == "lines" else path.stem
    args = ["--from", form, str(source), "--out", str(out), "--to", "cases" if form in EVALUATION_ONLY else "sharegpt"]
    good = sum("fault" not in line for line in lines)
    assert main([*args, "--on-error", "skip"]) == (0 if good else 2)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    if not good:
        assert not out.exists()
        return
    assert f"{good} of {len(lines)} records" in said.out
    assert len(out.read_text().splitlines()) == good
    first = next((number for number, line in enumerate(lines, 1) if "fault" in line), None)
    if first:
        aside = lines_of(Path(f"{out}.lost.jsonl"))
        assert sum("reason" in entry for entry in aside) == len(lines) - good
        out.unlink()
        assert main(args) == 2
        assert f"{source}:{first}: " in capsys.readouterr().err
        assert not out.exists()


# ---- nothing is lost ---------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
MARKED = st.lists(
    TEXT | st.sampled_from(["<tool_call>", "</tool_call>", "<think>", "</think>", "\n", "{}"]), min_size=1, max_size=5
).map("".join)
"""texts that name the marks of a row"""
RESULT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(["[1, 2]", "[1,", "2]", " ", "{\n}"])
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | TEXT, lambda v: st.lists(v, max_size=3), max_leaves=4)
ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=3)
SCHEMAS = st.dictionaries(st.sampled_from("abc"), st.sampled_from([{"type": "string"}, {"enum": [1, "x"]}, {}]))


@st.composite
def records(draw: st.DrawFn, text: st.SearchStrategy = TEXT, strict: bool = False) -> dict[str, Any]:
    """A canonical OpenAI record: turns that alternate, calls with words, thoughts and results beside."""

    def answer(content: str | None, **more: Any) -> dict[str, Any]:
        thought = draw(st.none() | text)
        return {"role": "assistant", "content": content, **({"reasoning_content": thought} if thought else {}), **more}

    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(TEXT)})
    calls = 0
    for _ in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(TEXT)})
        for _ in range(draw(st.integers(0, 2))):
            made = [
                {"name": draw(TEXT.filter(str.strip)), "arguments": to_json(draw(ARGUMENTS))}
                for _ in range(draw(st.integers(1, 3)))
            ]
            ids = [f"call_{calls + n}" for n in range(1, len(made) + 1)]
            calls += len(made)
            made = [{"id": i, "type": "function", "function": f} for i, f in zip(ids, made, strict=True)]
            messages.append(answer(draw(st.none() | text), tool_calls=made))
            messages += [{"role": "tool", "content": draw(RESULT), "tool_call_id": i} for i in ids]
        messages.append(answer(draw(TEXT)))
    names = draw(st.lists(st.sampled_from(["f", "g", "氣象"]), unique=True))
    tools = [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": draw(TEXT),
                "parameters": {"type": "object", "properties": draw(SCHEMAS)},
                **({"strict": True} if strict and draw(st.booleans()) else {}),
            },
        }
        for name in names
    ]
    return {"messages": messages, **({"tools": tools} if tools else {})}


@settings(deadline=None, max_examples=200)
@given(records(strict=True))
def test_openai_goes_through_unchanged(record: dict[str, Any]):
    assert parse_json(to_json(openai.write(openai.read(parse_json(to_json(record)))))) == record


@settings(deadline=None, max_examples=300)
@given(records())
def test_openai_goes_to_sharegpt_and_back_unchanged(record: dict[str, Any]):
    lost: list[Loss] = []
    row = parse_json(to_json(sharegpt.write(openai.read(record), lost)))
    assert not lost
    assert openai.write(sharegpt.read(row)) == record


@settings(deadline=None, max_examples=300)
@given(records(MARKED, strict=True))
def test_whatever_does_not_come_back_is_told(record: dict[str, Any]):
    before = openai.read(record)
    lost: list[Loss] = []
    row = sharegpt.write(before, lost)
    for turn in row["conversations"]:
        assert turn["from"] != "function_call" or call_turn.fault_of(turn["value"]) is None
    after = sharegpt.read(row).messages
    told = {(loss.at, loss.text) for loss in lost}
    for number, (old, new) in enumerate(zip(before.messages, after, strict=True), 1):
        for key in ("content", "reasoning_content"):
            same = old.get(key) == new.get(key)
            assert same or (f"message {number}", old[key]) in told
        assert old.get("tool_calls") == new.get("tool_calls")
    strict = [tool["function"]["name"] for tool in before.tools if "strict" in tool["function"]]
    assert [loss.at for loss in lost if loss.what == "key 'strict' of a tool"] == [f"tool {name!r}" for name in strict]


@settings(deadline=None, max_examples=300)
@given(st.lists(RESULT, min_size=1, max_size=4))
def test_joined_results_are_parted_as_they_were(results: list[str]):
    assert part_results(join_results(results), len(results)) == results


@settings(deadline=None, max_examples=100)
@given(records())
def test_a_case_asks_all_but_the_last_answer(record: dict[str, Any]):
    made = case.write(openai.read(record), "1")
    assert Case.model_validate_json(made.model_dump_json()) == made
    assert made.messages == record["messages"][:-1]
    assert made.expected == []


def test_results_are_merged_as_the_evaluator_sends_them():
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("a", "b")]
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "assistant", "content": "ok"},
    ]
    row = sharegpt.write(Conversation(messages))
    assert row["conversations"][2]["value"] == for_llamafactory(messages)[2]["content"]
    assert part_results("1\n2", 2) == ["1", "2"]


def test_sharegpt_keeps_the_keys_that_the_server_rebuilds():
    function = {"strict": True, "parameters": {"type": "object", "properties": {}}, "name": "f"}
    user, answer = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}
    conversation = openai.read({"messages": [user, answer], "tools": [{"type": "function", "function": function}]})
    assert openai.write(conversation)["tools"][0]["function"]["strict"] is True
    assert list(json.loads(sharegpt.write(conversation)["tools"])[0]) == ["name", "description", "parameters"]
