"""What a user did wrong, in words."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from callwright.config import config_path
from callwright.errors import Parser, UserError, command, did_you_mean


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("goldne", "golden"),
        ("Golden", "golden"),
        ("image-intent", "image_intent"),
        ("imageintent", "image_intent"),
        ("lnag", "lang"),
        ("langs", "lang"),
        ("weather", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_named_and_a_far_one_is_not(name: str, meant: str) -> None:
    said = did_you_mean(name, ["golden", "test", "image_intent", "lang"])
    assert said == (f"did you mean {meant!r}?" if meant else "")


def test_a_known_name_is_not_offered_instead_of_itself() -> None:
    assert did_you_mean("lang", ["lang"]) == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "required: task; write python -m tools.x [-h] [--dry-run] [--from {shared,own}] task"),
        (["a", "--dry-rnu"], "unrecognized arguments: --dry-rnu; did you mean '--dry-run'? write python -m tools.x"),
        (["a", "b"], "unrecognized arguments: b; write python -m tools.x"),
        (
            ["a", "--from", "shaerd"],
            "--from: invalid choice: 'shaerd'; did you mean 'shared'? choose from shared, own\n",
        ),
        (["a", "--from", "XYZ"], "--from: invalid choice: 'XYZ'; choose from shared, own\n"),
        (["a", "--from", "it's"], "; choose from shared, own\n"),
    ],
)
def test_a_mistake_in_the_arguments_is_one_line_that_shows_how_to_write_them(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @command
    def main(argv: Sequence[str] | None = None) -> int:
        parser = Parser("python -m tools.x", "Do it:\n  python -m tools.x TASK")
        parser.add_argument("task")
        parser.add_argument("--dry-run", action="store_true")
        parser.add_argument("--from", choices=("shared", "own"))
        parser.parse_args(argv)
        return 0

    assert main(typed) == 2
    assert said in (err := capsys.readouterr().err)
    assert err.startswith("error: python -m tools.x: ") and err.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "Do it:\n  python -m tools.x TASK\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "when", ["import callwright; raise KeyboardInterrupt", "import callwright.config, signal; signal.raise_signal(2)"]
)
def test_ctrl_c_while_a_command_loads_is_no_traceback(when: str) -> None:
    done = subprocess.run([sys.executable, "-c", when], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (-2, "interrupted\n")
    broken = subprocess.run(
        [sys.executable, "-c", "import callwright; 1 / 0"], capture_output=True, text=True, timeout=60
    )
    assert "Traceback" in broken.stderr and "ZeroDivisionError" in broken.stderr


@pytest.mark.parametrize(
    "main",
    [
        "print('word ' * 50_000); print(1); return 0",
        "print('one line'); return 0",
        "print('one line'); raise SystemExit(0)",
        "print('word ' * 50_000, file=sys.stderr); raise UserError('a', 'is wrong', 'mend it')",
    ],
    ids=["while it prints", "at its end", "after its help", "on stderr"],
)
def test_a_reader_that_goes_away_is_no_fault(main: str) -> None:
    script = (
        f"import sys; from callwright.errors import *\n@command\ndef main(argv=None):\n    {main}\nsys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stderr
    (process.stderr if "stderr" in main else process.stdout).close()
    said = "" if "stderr" in main else process.stderr.read()
    assert (process.wait(), said) == (141, "")


def test_another_pipe_that_breaks_keeps_its_traceback() -> None:
    @command
    def main(argv: Sequence[str] | None = None) -> int:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        main([])


def test_a_place_is_told_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(UserError(tmp_path / "data/a.jsonl", "no such file", "look")) == "data/a.jsonl: no such file; look"
    assert UserError("/elsewhere/a.jsonl:3", "x", "y").place == "/elsewhere/a.jsonl:3"


@pytest.mark.parametrize("typed", [[], ["a", "--cases", "b", "--option-2", "x"], ["a", "--cases", "b", "--strange"]])
def test_a_long_usage_shows_what_is_needed_alone(typed: list[str]) -> None:
    parser = Parser("python -m tools.x", "")
    for number in range(20):
        parser.add_argument(f"--option-{number}", type=int)
    either = parser.add_mutually_exclusive_group(required=True)
    either.add_argument("--cases")
    either.add_argument("--recipe")
    parser.add_argument("task")
    with pytest.raises(UserError) as error:
        parser.parse_args(typed)
    usage = error.value.remedy.partition("write ")[2]
    assert usage == "python -m tools.x (--cases CASES | --recipe RECIPE) task (--help shows the options)"


def test_every_command_says_in_one_line_what_is_wrong_with_its_arguments() -> None:
    root = Path(__file__).parent.parent
    sources = {path: path.read_text() for part in ("tools", "eval", "examples") for path in (root / part).rglob("*.py")}
    assert [path for path, text in sources.items() if "ArgumentParser(" in text] == []


def test_a_mistake_stays_one_line() -> None:
    assert str(UserError("a\nb", "is\nno name", "choose another")) == r"a\nb: is\nno name; choose another"


def test_a_name_that_no_file_system_takes_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @command
    def main(argv: Sequence[str] | None = None) -> int:
        return len(config_path("configs/data", "a" * 5000, "task").parts)

    assert main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "choose a shorter one" in said and len(said) < 200
