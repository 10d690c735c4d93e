"""The command on files: what is left out and lost keeps its reasons, a dry run writes nothing, real forms go through."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from callwright.config import Source
from callwright.errors import UserError
from callwright.files import to_json
from tools.convert import main
from tools.formats.arguments import settled
from tools.formats.dataset_info import SHAREGPT, faults_of
from tools.formats.foreign import foreign_form
from tools.formats.readers import READERS
from tools.rows.convert_file import sources_of

GOOD = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}]}
BAD = {"messages": [{"role": "bot", "content": "hi"}]}
LEFT_OUT = {**GOOD, "weight": 0}


def write(path: Path, *records: Any) -> str:
    path.write_text("".join(to_json(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_where_no_record_is_good_the_reasons_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, out = write(tmp_path / "in.jsonl", BAD, BAD), tmp_path / "out.jsonl"
    assert main(["--from", "openai", source, "--out", str(out), "--on-error", "skip"]) == 2
    error = capsys.readouterr().err
    assert "role 'bot' is not one of" in error and f"{source}:1" in error and error.count("\n") == 1
    assert not out.exists()
    assert [line["place"] for line in lines_of(tmp_path / "out.jsonl.lost.jsonl")] == [f"{source}:1", f"{source}:2"]


CALL_ITEM = {"type": "function_call", "call_id": "c1", "name": "tide", "arguments": "{}"}
ASK_PARTS = {"role": "user", "parts": [{"text": "Tide in Brest?"}]}
FOREIGN = [
    ({"input": [{"role": "user", "content": "Tide?"}, CALL_ITEM]}, "Responses", "--from openai"),
    ({"input": "Tide?", "output": [CALL_ITEM]}, "Responses", "--from openai"),
    ({"messages": [{"role": "user", "content": "Tide?"}, CALL_ITEM]}, "Responses", "--from openai"),
    (CALL_ITEM, "Responses", "--from openai"),
    ({"custom_id": "1", "body": {"model": "m", "input": [{"role": "user", "content": "hi"}]}}, "Responses", "openai"),
    ({"contents": [ASK_PARTS]}, "Gemini", "--from openai"),
    ({**GOOD, "tools": [{"function_declarations": [{"name": "tide"}]}]}, "Gemini", "--from openai"),
    (
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}], "toolConfig": {"tools": []}},
        "Bedrock",
        "anthropic",
    ),
    ({**GOOD, "tools": [{"toolSpec": {"name": "tide"}}]}, "Bedrock", "--from anthropic"),
    ({"messages": [{"role": "assistant", "content": [{"toolUse": {"name": "tide"}}]}]}, "Bedrock", "anthropic"),
]


@pytest.mark.parametrize(("record", "name", "remedy"), FOREIGN)
@pytest.mark.parametrize("form", ["openai", "anthropic", "sharegpt"])
def test_a_form_that_no_reader_takes_is_named(
    record: dict[str, Any], name: str, remedy: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source, out = write(tmp_path / "in.jsonl", record), tmp_path / "out.jsonl"
    for more in ([], ["--on-error", "skip"]):
        assert main(["--from", form, source, "--out", str(out), *more]) == 2
        error = capsys.readouterr().err
        assert f"{source}:1" in error and name in error and remedy in error and error.count("\n") == 1


def test_an_answer_of_anthropics_is_not_taken_for_another_form():
    answer = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]}
    assert foreign_form(answer) is None and foreign_form({"messages": [answer]}) is None


@pytest.mark.parametrize("label", [False, 0, 0.0, "false", "False", "0"])
@pytest.mark.parametrize("key", ["label", "kto_tag"])
def test_an_answer_that_is_labelled_bad_is_never_learned(key: str, label: Any):
    with pytest.raises(ValueError, match=f"labelled false .{key} is "):
        READERS["openai"]({**GOOD, key: label})


@pytest.mark.parametrize("label", [True, 1, "true", "chosen", None, ""])
def test_an_answer_that_is_labelled_good_is_learned(label: Any):
    assert len(READERS["openai"]({**GOOD, "label": label}).messages) == 2


TURNS = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ok"}]


@pytest.mark.parametrize("value", [0, False])
@pytest.mark.parametrize(
    ("form", "record", "key"),
    [
        ("openai", GOOD, "tools"),
        ("sharegpt", {"conversations": TURNS}, "system"),
        ("sharegpt", {"conversations": TURNS}, "images"),
        ("alpaca", {"instruction": "hi", "output": "ok"}, "system"),
        ("alpaca", {"instruction": "double it", "output": "0"}, "input"),
        ("alpaca", {"instruction": "hi", "output": "ok"}, "history"),
    ],
)
def test_nought_and_false_are_not_taken_for_nothing(form: str, record: dict[str, Any], key: str, value: Any):
    with pytest.raises(ValueError, match=r"is a (number|boolean), not"):
        READERS[form]({**record, key: value})


def test_a_record_of_weight_0_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, out = write(tmp_path / "in.jsonl", LEFT_OUT, GOOD), tmp_path / "out.jsonl"
    assert main(["--from", "openai", source, "--out", str(out)]) == 0
    assert "1 of 2 records" in capsys.readouterr().out
    assert "weight is 0" in lines_of(tmp_path / "out.jsonl.lost.jsonl")[0]["reason"]


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = write(tmp_path / "in.jsonl", {**GOOD, "model": "m"}, BAD, {**GOOD, "model": "m"}, BAD)
    assert main(["--from", "openai", source, "--dry-run", "--limit", "3"]) == 0
    table = [line.strip("│┃ \n") for line in capsys.readouterr().out.splitlines()]
    rows = {line.split("│")[0].strip(): line.split("│")[1].strip() for line in table if "│" in line}
    reason = next(key for key in rows if key.startswith("left out: message 1: role 'bot'"))
    assert (rows["read"], rows["converted"], rows[reason]) == ("3", "2", "1")
    assert rows["lost: key 'model' of a record"] == "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_limit(tmp_path: Path):
    source, out = write(tmp_path / "in.jsonl", GOOD, GOOD, BAD), tmp_path / "out.jsonl"
    assert main(["--from", "openai", source, "--out", str(out), "--limit", "2"]) == 0
    assert len(lines_of(out)) == 2
    assert main(["--from", "openai", source, "--out", str(out), "--limit", "0"]) == 2


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.jsonl.gz", "x.json.gz", "x"])
@pytest.mark.parametrize("form", ["list", "indented list", "lines", "lines with CR"])
def test_a_file_is_what_it_holds_not_what_it_is_called(tmp_path: Path, name: str, form: str):
    text = {
        "list": to_json([GOOD, GOOD]),
        "indented list": json.dumps([GOOD, GOOD], indent=2),
        "lines": f"{to_json(GOOD)}\n{to_json(GOOD)}",
        "lines with CR": f"{to_json(GOOD)}\r\n{to_json(GOOD)}\r\n",
    }[form]
    data = b"\xef\xbb\xbf" + text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    out = tmp_path / "out.jsonl"
    assert main(["--from", "openai", str(tmp_path / name), "--out", str(out)]) == 0
    assert len(lines_of(out)) == 2


def test_padded_parquet_keeps_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    import pyarrow
    import pyarrow.parquet

    def record(name: str, argument: str) -> dict[str, Any]:
        schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
        called = [{"id": "c", "type": "function", "function": {"name": name, "arguments": {argument: "x"}}}]
        messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": None, "tool_calls": called}]
        return {"messages": messages, "tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}

    records = [record("tide", "city"), record("moon", "day")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "x.parquet")
    out = tmp_path / "out.jsonl"
    write(tmp_path / "x.jsonl", *pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist())
    for source in ("x.parquet", "x.jsonl"):
        assert main(["--from", "openai", str(tmp_path / source), "--out", str(out)]) == 0
        rows = lines_of(out)
        assert [json.loads(row["conversations"][1]["value"])["arguments"] for row in rows] == [
            {"city": "x"},
            {"day": "x"},
        ]
        assert [list(json.loads(row["tools"])[0]["parameters"]["properties"]) for row in rows] == [["city"], ["day"]]
        assert "2 lost: null argument" in capsys.readouterr().out


def test_padding_within_arguments():
    inner = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}}}
    schema = {"type": "object", "properties": {"o": inner, "p": inner, "l": {"type": "array", "items": inner}}}
    tool = {"type": "function", "function": {"name": "f", "description": "", "parameters": schema}}

    def kept(**arguments: Any) -> Any:
        return json.loads(settled({"name": "f", "arguments": to_json(arguments)}, tool)[0])

    assert kept(o={"a": "x", "c": None}, p={"a": None}, l=[{"a": None, "b": None}]) == {
        "o": {"a": "x"},
        "l": [{"b": None}],
    }
    assert kept(o={}, q=None) == {"o": {}}
    schema["required"] = ["p"]
    assert kept(p={"a": None}) == {"p": {}}


def test_masked_rows_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    turns = [*GOOD["messages"], *GOOD["messages"]]
    source = write(
        tmp_path / "in.jsonl", {"messages": [turns[0], {**turns[1], "weight": 0}, *turns[2:]]}, {"messages": turns}
    )
    out = tmp_path / "out.jsonl"
    assert main(["--from", "openai", source, "--out", str(out)]) == 2
    assert "--unlearned" in capsys.readouterr().err
    assert main(["--from", "openai", source, "--out", str(out), "--unlearned", "mask"]) == 0
    assert "mask_history: true" in capsys.readouterr().out
    assert [len(row["conversations"]) for row in lines_of(out)] == [4, 2, 4]
    assert list(faults_of({"file_name": "out.jsonl", **SHAREGPT}, tmp_path)) == []


def test_sources_on_the_command_line_take_the_places_of_a_configs():
    config = [Source.model_validate({"from": "glaive", "hub": "a/b", "share": 4, "max_samples": 9})]
    first, second = sources_of(["sharegpt:x/y.json", "chat:hub:c/d"], config)
    assert (first.from_, first.path, first.hub, first.share, first.max_samples) == ("sharegpt", "x/y.json", None, 4, 9)
    assert (second.from_, second.hub, second.share) == ("chat", "c/d", None)
    for wrong in ("x.json", "nonesuch:x.json", "chat:"):
        with pytest.raises(UserError, match="choose a format of"):
            sources_of([wrong], config)
