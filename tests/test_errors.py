"""What a user did wrong, in words."""

import subprocess
import sys

import pytest

from callwright.errors import did_you_mean


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
    "when", ["import callwright; raise KeyboardInterrupt", "import callwright.config, signal; signal.raise_signal(2)"]
)
def test_ctrl_c_while_a_command_loads_is_no_traceback(when: str) -> None:
    done = subprocess.run([sys.executable, "-c", when], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (-2, "interrupted\n")
    broken = subprocess.run(
        [sys.executable, "-c", "import callwright; 1 / 0"], capture_output=True, text=True, timeout=60
    )
    assert "Traceback" in broken.stderr and "ZeroDivisionError" in broken.stderr
