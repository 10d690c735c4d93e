"""Records come out of every kind of file, one at a time, and what is wrong with a file is said in one line."""

import datetime
import decimal
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tools.formats.ingest
from callwright.errors import UserError
from callwright.files import ROOT, to_json
from tools.convert import main
from tools.formats.ingest import Tally, ingest, record_of, records

CHAT = {"messages": [{"role": "user", "content": "hi [1, {2"}, {"role": "assistant", "content": '好 \\"'}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(path: Path) -> list[tuple[str, Any]]:
    return [(place.removeprefix(str(path)), record_of(raw)) for place, raw in records(str(path))]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.jsonl.gz", "x.json.gz"])
def test_lines(tmp_path: Path, name: str):
    path = tmp_path / name
    text = f"\n{to_json(CHAT)}\r\n\n{to_json(CHAT)}".encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert read(path) == [(":2", CHAT), (":4", CHAT)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["x.json", "x.json.gz"])
def test_a_list(tmp_path: Path, name: str, indent: int | None):
    path = tmp_path / name
    text = ("\ufeff \n" + json.dumps([CHAT] * 5, indent=indent) + "\n").encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert read(path) == [(f"[{index}]", CHAT) for index in range(5)]


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(("indent", "end"), [(2, ""), ("\t", "\n\n"), (2, "\r\n")])
def test_objects_over_several_lines(tmp_path: Path, count: int, indent: int | str, end: str):
    path = tmp_path / "x.json"
    text = json.dumps(CHAT, indent=indent)
    for form in (text, text.replace("{", '{"key": 1,', 1) if count == 1 else text):
        path.write_text(f"\ufeff{end.join([form + chr(10)] * count)}{end}".replace("\n", end[:2] or "\n"), newline="")
        whole, tools.formats.ingest.CHUNK = tools.formats.ingest.CHUNK, 7
        try:
            assert [{**value, "key": 1} for _, value in read(path)] == [{**CHAT, "key": 1}] * count
        finally:
            tools.formats.ingest.CHUNK = whole


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=6), st.sampled_from([None, 1]), st.integers(1, 9)
)
def test_a_list_is_read_alike_whatever_the_chunks(values: list[dict], indent: int | None, chunk: int):
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else "/tmp") / f"callwright-{os.getpid()}.json"
    path.write_text(json.dumps(values, indent=indent, ensure_ascii=False), encoding="utf-8")
    whole, tools.formats.ingest.CHUNK = tools.formats.ingest.CHUNK, chunk
    try:
        assert [value for _, value in read(path)] == values
    finally:
        tools.formats.ingest.CHUNK = whole
        path.unlink()


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        ("[{}, {]", "[1]", "not JSON"),
        ("[{} {}]", "[1]", "no comma"),
        ("[{}, ", "[1]", "does not end"),
        ('[{}, {"a": "', "[1]", "Unterminated"),
        ("[{}] []", "", "something after the list"),
        ('{\n"a": 1}\n{\n"a": }', "[1]", "not JSON"),
        ('{\n"a": 1', "[0]", "not JSON"),
        ("[" * 100_000, "[0]", "nested too deeply"),
    ],
)
def test_a_broken_list_says_where(tmp_path: Path, text: str, place: str, fault: str):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        list(records(str(path)))
    assert caught.value.place == f"{path}{place}"
    assert fault in caught.value.fault


def test_a_faulty_item_of_a_list_does_not_end_it(tmp_path: Path):
    path = tmp_path / "x.json"
    faulty = '{"a": 1, "a": 2}', '{"a": NaN}', "7", '{"a": "\\ud800"}', '{"a": %s}' % ("1" * 5000)
    path.write_text(f'[{", ".join(faulty)}, {{"a": 1}}]')
    tally = Tally()
    made = list(ingest(records(str(path)), lambda record, lost: record, tally, "skip"))
    assert made == [(f"{path}[5]", {"a": 1})]
    assert tally.skipped.total() == 5
    assert any("stands twice" in line and f"{path}[0]" in line for line in tally.lines())


def test_the_first_bytes_tell_what_a_file_is(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([CHAT]), tmp_path / "table")
    (tmp_path / "zipped.jsonl").write_bytes(gzip.compress(to_json(CHAT).encode()))
    (tmp_path / "plain.jsonl.gz").write_text(to_json(CHAT))
    for path in tmp_path.iterdir():
        assert [record_of(raw) for _, raw in records(str(path))] == [CHAT], path.name


def test_a_column_of_no_json_beside_the_talk_refuses_no_row(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    odd = {"score": float("nan"), "cost": decimal.Decimal("1.5"), "took": datetime.timedelta(1)}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{**CHAT, **odd}]), tmp_path / "x.parquet")
    [(_, raw)] = records(str(tmp_path / "x.parquet"))
    read = record_of(raw)
    assert read["score"] is None
    assert {key: read[key] for key in CHAT} == CHAT
    assert all(isinstance(read[key], str) for key in ("cost", "took"))


def test_parquet(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([CHAT, CHAT]), path)
    assert read(path) == [("[0]", CHAT), ("[1]", CHAT)]


def test_structs_that_arrow_merged_are_refused_where_no_tool_tells_what_is_meant(tmp_path: Path):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    calls = [[{"function": {"name": "f", "arguments": arguments}}] for arguments in ({"a": 1}, {"b": 2})]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"calls": call} for call in calls]), path)
    with pytest.raises(ValueError, match="the keys of other rows, and no tools"):
        read(path)


def test_a_time_is_text_but_in_arguments():
    at = datetime.datetime(2024, 1, 1, 8)
    assert record_of({"at": at, "messages": [{"at": at.date()}]}) == {
        "at": "2024-01-01T08:00:00",
        "messages": [{"at": "2024-01-01"}],
    }
    with pytest.raises(ValueError, match="has no form in JSON"):
        record_of({"calls": [{"arguments": {"at": at}}]})


def test_what_json_has_no_form_for_is_refused():
    for value in (b"x", float("nan"), Path("x")):
        with pytest.raises(ValueError, match="has no form in JSON"):
            record_of({"a": [value]})  # type: ignore[dict-item]


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "wide.jsonl").write_bytes('{"a": 1}\n'.encode("utf-16"))
    (tmp_path / "wider.jsonl").write_bytes('{"a": 1}\n'.encode("utf-32-le"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:40])
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "latin.json").write_bytes(b'[{"a": "caf\xe9"}]')
    for name, fault in {
        "none.jsonl": "no such file",
        "folder.jsonl": "Is a directory",
        "wide.jsonl": "UTF-16",
        "wider.jsonl": "UTF-16",
        "cut.jsonl.gz": "ended before",
        "bad.parquet": "not Parquet",
        "latin.json": "not UTF-8",
        "a\0b.jsonl": "null byte",
        "a\nb.jsonl": "no such file",
        "x" * 300: "File name too long",
    }.items():
        with pytest.raises(UserError) as caught:
            list(records(str(tmp_path / name)))
        assert fault in str(caught.value)
        assert str(caught.value).isprintable()


def test_a_line_that_is_too_long_is_one_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tools.formats.ingest, "LIMIT", 100)
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"a": "{"x" * 1000}"}}\n{{"a": 1}}\n')
    tally = Tally()
    made = list(ingest(records(str(path)), lambda record, lost: record, tally, "skip"))
    assert made == [(f"{path}:2", {"a": 1})]
    assert tally.skipped.total() == 1


def test_reasons_that_differ_in_values_are_counted_as_one():
    tally = Tally()
    for number in range(500):
        tally.skip(f"message {number}: role 'r{number}' is not known", f"x:{number}")
    assert len(tally.skipped) == 1
    assert list(tally.lines()) == ["  500 skipped: message 0: role 'r0' is not known (first at x:0)"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's VmHWM")
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_memory_stays_flat(tmp_path: Path, form: str):
    """20 times the records, the same memory: measured in processes of their own."""
    measure = (
        "import re, sys; from tools.convert import main; main(sys.argv[1:]);"
        "print('PEAK', re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    peaks = []
    line = to_json({"messages": [{"role": "user", "content": "x" * 2000}, {"role": "assistant", "content": "ok"}]})
    for count in (500, 10_000):
        path = tmp_path / f"{count}.{form}"
        path.write_text(f"[{','.join([line] * count)}]" if form == "json" else f"{line}\n" * count)
        args = ["--from", "chat", str(path), "--out", str(tmp_path / "out.jsonl")]
        done = subprocess.run(
            [sys.executable, "-c", measure, *args], capture_output=True, text=True, cwd=ROOT, check=True
        )
        peaks.append(int(done.stdout.split("PEAK")[1]))
    assert peaks[1] < peaks[0] + 3_000, f"{peaks} KiB for 1 MB and 20 MB"


def test_a_hub_that_cannot_be_reached(tmp_path: Path):
    args = ["--from", "chat", "hub:nobody/nothing", "--out", str(tmp_path / "out.jsonl")]
    done = subprocess.run(
        [sys.executable, "-m", "tools.convert", *args], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "error: hub:nobody/nothing: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "fault"),
    [
        (["--from", "bfcl", "x", "--out", "y"], "an evaluation set is never trained on"),
        (["--from", "bfcl", "x", "--out", "y", "--to", "openai"], "an evaluation set is never trained on"),
        (["--from", "chat", "x"], "needs --out"),
        (["x", "--out", "y"], "belong to --from"),
        (["--from", "chat", "x", "--out", "data/y.jsonl", "--name", "../../etc"], "not letters, digits"),
        (["--from", "chat", "x", "--out", "data/y.jsonl", "--name", "a,b"], "not letters, digits"),
        (["--from", "chat", "x", "--out", "/tmp/y.jsonl", "--name", "a"], "outside the project"),
        (["--from", "chat", "x", "--out", "data/../../y.jsonl", "--name", "a"], "outside the project"),
        (["--from", "chat", "x", "--out", "y", "--to", "openai", "--name", "a"], "only ShareGPT rows"),
        (["--from", "chat", "/dev/null", "--out", "/dev/shm/callwright-none.jsonl"], "no records"),
    ],
)
def test_arguments_that_cannot_go_together(args: list[str], fault: str, capsys: pytest.CaptureFixture[str]):
    assert main(args) == 2
    assert fault in capsys.readouterr().err


def test_a_file_is_not_converted_onto_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "x.jsonl"
    path.write_text(to_json(CHAT) + "\n")
    (tmp_path / "same.jsonl").symlink_to(path)
    assert main(["--from", "chat", str(path), "--out", str(tmp_path / "same.jsonl")]) == 2
    assert "is the source as well" in capsys.readouterr().err
    assert read(path) == [(":1", CHAT)]


def test_what_gets_lost_stands_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hi", "at": 7},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    path, out = tmp_path / "x.jsonl", tmp_path / "out.jsonl"
    path.write_text(to_json({"messages": messages}) + "\nbroken\n")
    assert main(["--from", "openai", str(path), "--out", str(out), "--on-error", "skip"]) == 0
    said = capsys.readouterr().out
    assert "1 of 2 records" in said and "1 lost: key 'at' of a message" in said and f"first at {path}:2" in said
    aside = [json.loads(line) for line in Path(f"{out}.lost.jsonl").read_text().splitlines()]
    assert aside[0] == {"place": f"{path}:1", "lost": "key 'at' of a message", "text": "7", "at": "message 1"}
    assert aside[1]["place"] == f"{path}:2" and "not JSON" in aside[1]["reason"]
    path.write_text(to_json(CHAT) + "\n")
    assert main(["--from", "chat", str(path), "--out", str(out)]) == 0
    assert not Path(f"{out}.lost.jsonl").exists()
