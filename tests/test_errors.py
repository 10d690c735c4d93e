"""What a user did wrong, in words."""

import subprocess
import sys
from collections.abc import Sequence

import pytest

from callwright.errors import Parser, command, did_you_mean


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
        ([], "required: task; write python -m tools.x [-h] [--dry-run] task"),
        (["a", "--dry-rnu"], "unrecognized arguments: --dry-rnu; did you mean '--dry-run'? write python -m tools.x"),
        (["a", "b"], "unrecognized arguments: b; write python -m tools.x"),
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
