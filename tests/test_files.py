"""Files are read with good errors and written whole or not at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import UserError, command
from callwright.files import (
    ROOT,
    atomic,
    make_folder,
    parse_json,
    read_json,
    read_jsonl,
    to_json,
    write_jsonl,
    write_text,
    writing,
)
from callwright.records import Prediction
from eval.scoring.predictions import read_log

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic(target) as file:
        file.write("half of the n")
        raise RuntimeError("killed here")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_text(tmp_path / "a.txt", "old")
    real = os.fdopen
    monkeypatch.setattr(
        os, "fdopen", lambda fd, *a, **k: (os.close(fd), real(os.open("/dev/full", os.O_WRONLY), *a, **k))[1]
    )
    with pytest.raises(UserError, match="No space left"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_broken_line_is_named(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    for broken, fault in [
        (b"{", "not JSON"),
        (b"[1]", "a list, not an object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e999}', "too large a number"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": "\\ud800"}', "lone surrogate"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ]:
        path.write_bytes(b'{"ok": 1}\n\n' + broken + b"\n")
        with pytest.raises(UserError) as caught:
            list(read_jsonl(path))
        assert caught.value.place == f"{path}:3"
        assert fault in caught.value.fault


def test_missing_files(tmp_path: Path):
    for read in (read_json, lambda path: list(read_jsonl(path))):
        with pytest.raises(UserError, match="no such file"):
            read(tmp_path / "none")


@given(JSON)
def test_json_round_trip(value: object):
    text = to_json(value)
    assert "\n" not in text
    assert parse_json(text) == value


def test_write_jsonl_counts_and_refuses_nan(tmp_path: Path):
    path = tmp_path / "deep" / "x.jsonl"
    assert write_jsonl(path, [{"字": "貓"}, {}]) == 2
    assert path.read_text() == '{"字": "貓"}\n{}\n'
    with pytest.raises(ValueError):
        write_jsonl(path, [{"a": float("nan")}])
    assert [value for _, value in read_jsonl(path)] == [{"字": "貓"}, {}]


def test_only_user_errors_become_one_line(capsys: pytest.CaptureFixture[str]):
    @command
    def wrong(argv):
        raise UserError("here", "this", "do that")

    @command
    def ours(argv):
        raise KeyError("bug")

    assert wrong() == 2
    assert capsys.readouterr().err == "error: here: this; do that\n"
    with pytest.raises(KeyError):
        ours()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"file/a/b: cannot be written \(Not a directory\); make the folder writable"):
        make_folder(tmp_path / "file" / "a" / "b")
    with pytest.raises(UserError, match=r"somewhere: cannot be written .*; free some space"), writing("somewhere"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert make_folder(tmp_path / "c" / "d").is_dir()


WRITES = """
import resource, signal, sys
from pathlib import Path
from callwright.errors import command
from callwright.files import write_json, write_jsonl, write_text
from callwright.records import Prediction
from eval.scoring.predictions import append, log

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
path, many = Path(sys.argv[2]), ["x" * 100] * 1_000

def answers():
    with log(path, []) as file:
        for number, text in enumerate(many):
            append(file, Prediction(id=str(number), content=text))

@command
def main(argv=None):
    writers = {"text": lambda: write_text(path, str(many)), "json": lambda: write_json(path, many), "log": answers}
    writers |= {"jsonl": lambda: write_jsonl(path, iter(many)), "other": lambda: path.write_text(str(many))}
    writers[argv[0]]()
    return 0

raise SystemExit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("writer", ["text", "json", "jsonl", "log", "other"])
def test_a_full_disk_is_one_line_whoever_writes(tmp_path: Path, writer: str):
    path = tmp_path / "file"
    path.write_text("old", "utf-8")
    command = [sys.executable, "-X", "dev", "-c", WRITES, writer, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "File too large" in done.stderr and "free some space" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    if writer in ("text", "json", "jsonl"):
        assert path.read_text("utf-8") == "old"
    if writer == "log":
        assert len(read_log(path, Prediction)) > 50
