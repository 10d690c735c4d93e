"""What is typed behind a verb stays text: it reaches programs as it is, or make refuses it; and what make says itself."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from callwright.errors import expand_args
from callwright.files import ROOT
from tools.verbs import MAIN, verbs

# `make test` runs these tests: its own variables must not reach the make that is tested.
OUTSIDE = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")} | {"MFLAGS": ""}

MAKEFILE = (ROOT / "Makefile").read_text()


def make(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make with `echo` for Python, so that each line shows the arguments that a program would get."""
    return subprocess.run(["make", "-s", "-o", ".venv/stamp", "-o", ".venv/llamacpp.stamp", "PY=echo", *words], cwd=cwd, capture_output=True, text=True,
                          env=OUTSIDE | environment, timeout=60)  # fmt: skip


HOSTILE = ['"; touch PWN; "', "'; touch PWN; '", "$(touch PWN)", "`touch PWN`", "$(shell touch PWN)", "x\ntouch PWN",
           "a && touch PWN", "a | tee PWN", "> PWN", "# x \\", "$HOME costs $5", "-5 degrees", "*", "圖 'n' \"quotes\""]  # fmt: skip


VERBS = [("ask", "Q"), ("try", "Q"), ("try", "TOOLS"), ("compare", "A"), ("compare", "B"), ("keep", "AS"), ("new", "TOOLS"), ("data", "TASK"), ("eval", "RECIPE"),
         ("eval", "TASK"), ("eval", "ADAPTER"), ("eval", "SUITE"), ("eval", "RUNTIME"), ("export", "GGUF"), ("estimate", "GPU"),
         ("audit", "ARGS"), ("train", "ARGS"), ("report", "ARGS"), ("bench-train", "ARGS")]  # fmt: skip


@pytest.mark.parametrize("words", [*HOSTILE, "a b", "a'b"])
@pytest.mark.parametrize(("verb", "variable"), VERBS)
def test_words_reach_the_program_as_they_are_and_no_shell(verb: str, variable: str, words: str):
    for done in (make(verb, f"{variable}={words}"), make(verb, **{variable: words})):
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
    assert not (ROOT / "PWN").exists()


@pytest.mark.parametrize("words", HOSTILE)
def test_words_that_no_line_shows_reach_no_shell_either(words: str):
    for verb, variable in (
        ("train", "NPROC"),
        ("train", "NNODES"),
        ("audit-deps", "ARGS"),
        ("bfcl", "ARGS"),
        ("help", "TASK"),
    ):
        make(verb, f"{variable}={words}", "PYTHON=echo")
        make(verb, "PYTHON=echo", **{variable: words})
    assert not (ROOT / "PWN").exists()


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        ("learning_rate=2e-4 num_train_epochs=2", ["learning_rate=2e-4", "num_train_epochs=2"]),
        ("--price 0.15 0.60", ["--price", "0.15", "0.60"]),
        ("--say 'two words' a={b: null}", ["--say", "two words", "a={b:", "null}"]),
        ("; touch PWN", [";", "touch", "PWN"]),
        ("$(shell touch PWN)", ["$(shell", "touch", "PWN)"]),
        ("`touch PWN`", ["`touch", "PWN`"]),
        ("a\ntouch PWN", ["a", "touch", "PWN"]),
        ("x > PWN *", ["x", ">", "PWN", "*"]),
        ("", []),
    ],
)
def test_args_are_words_of_a_command_line_and_no_more(words: str, taken: list[str]):
    assert expand_args(["task", f"ARGS={words}", "more"]) == ["task", *taken, "more"]


def test_a_quotation_that_does_not_end_is_said():
    done = subprocess.run(["make", "-s", "-o", ".venv/stamp", "audit", "ARGS=it's"], cwd=ROOT, env=OUTSIDE, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    assert "error: ARGS=it's: is no line of words (No closing quotation); close what is open" in done.stderr


def test_a_name_may_be_a_task_in_any_script_or_a_path():
    assert "圖片" in make("data", "TASK=圖片").stdout
    assert "adapters/a-b_1.0" in make("eval", "ADAPTER=adapters/a-b_1.0").stdout


def test_no_line_of_a_recipe_holds_what_was_typed():
    typed = re.search(r"foreach name,([A-Z ]+),", MAKEFILE)
    assert typed
    names = typed[1].replace(" ", "|")
    for line in MAKEFILE.splitlines():
        if line.startswith("\t"):
            bare = re.sub(r"\$\((?:if|findstring)[^$]*\$\(\w+\)", "", line)
            assert not re.findall(rf"\$\((?:{names})[):]", bare), line


def test_what_begins_with_a_dash_is_still_the_value_of_its_option():
    assert not re.findall(r"--[a-z]+ (?:\"\$\$(?!ARGS)|\$\((?:CHOSEN|TRAINED))", MAKEFILE)


@pytest.mark.parametrize(("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)])
def test_only_a_python_that_the_lock_was_made_for_makes_an_environment(
    version: tuple[int, int], fits: bool, tmp_path: Path
):
    for name in ("Makefile", "requirements.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    fake = tmp_path / "python"
    code = f"import sys; sys.version_info = {(*version, 0)}; exec(sys.argv[1])"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -c ] || exit 7\nexec {ROOT}/.venv/bin/python -c "{code}" "$2"\n')
    fake.chmod(0o755)
    done = subprocess.run(["make", "setup", f"PYTHON={fake}"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    if fits:
        assert "setup: .venv gets" in done.stdout, "and then the stand-in makes no environment"
    else:
        assert f"is Python {version[0]}.{version[1]}" in done.stderr and "make setup PYTHON=" in done.stderr
        assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("goal", "meant"),
    [("tarin", "'train'"), ("evla", "'eval'"), ("x$(touch PWN)", "make help"), ("'; touch PWN'", "make help")],
)
def test_an_unknown_verb_is_told_which_one_was_meant(goal: str, meant: str):
    done = subprocess.run(["make", goal], cwd=ROOT, env=OUTSIDE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no such verb" in done.stderr and meant in done.stderr
    assert not (ROOT / "PWN").exists()


def test_help_begins_with_what_matters_and_has_every_verb():
    groups = verbs(MAKEFILE)
    assert tuple(next(iter(groups.values()))) == MAIN and len(MAIN) == 12
    assert all(what for group in groups.values() for what in group.values()), "a verb of MAIN that is no verb"
    listed = {verb for group in groups.values() for verb in group}
    assert listed == set(re.findall(r"^([a-z][a-z-]*):.*##", MAKEFILE, re.MULTILINE))
    assert listed >= set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())  # type: ignore[index]


def test_make_works_from_a_path_with_spaces(tmp_path: Path):
    house = tmp_path / "a path with spaces"
    house.mkdir()
    (house / "Makefile").write_text(MAKEFILE)
    (house / "requirements.txt").touch()
    assert "-m tools.augment image_intent" in make("data", cwd=house).stdout


def test_the_lock_pins_every_file_that_setup_installs():
    for path in ROOT.glob("requirements*.txt"):
        for entry in re.split(r"\n(?=\w)", path.read_text()):
            assert "--hash=sha256:" in entry, f"{path.name}: {entry.splitlines()[0]}; run: make lock"


def test_the_page_of_licences_has_every_direct_dependency():
    """Those of Linux: the page is made from what is installed."""
    page = (ROOT / "docs/licences.md").read_text().lower().replace("_", "-")
    listed = {line.split("|")[1].strip() for line in page.splitlines() if line.count("|") == 4}
    direct = re.findall(r"^[\w.-]+", (ROOT / "requirements.in").read_text().lower(), re.MULTILINE)
    assert len(direct) > 40
    assert not set(direct) - listed, "run: make licences"
