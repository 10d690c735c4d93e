"""The README's tree and commands are the repository's, in both languages."""

import re
import subprocess
from pathlib import Path

import pytest

from callwright.files import ROOT

READMES = ("README.md", "README.zh-TW.md")
CODE = ("callwright", "tools", "eval")


def blocks(readme: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / readme).read_text(), re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def tree(readme: str) -> set[str]:
    """The paths of the annotated tree: a path a line, indented names belong to the folder above."""
    found: set[str] = set()
    folder = ""
    for line in next(block for block in blocks(readme, "") if "callwright/" in block).splitlines():
        name = line.split()[0] if line.strip() else ""
        if not name:
            continue
        if not line.startswith(" "):
            folder = name if name.endswith("/") else ""
            found.add(name)
        else:
            found.add(folder + name)
    return found


@pytest.mark.parametrize("readme", READMES)
def test_everything_in_the_tree_exists(readme: str):
    missing = [path for path in tree(readme) if not any(ROOT.glob(path.rstrip("/")))]
    made = {"models/", "runs/"}
    assert set(missing) <= made


@pytest.mark.parametrize("readme", READMES)
def test_every_module_is_in_the_tree(readme: str):
    named = tree(readme)
    for folder in CODE:
        for path in (ROOT / folder).glob("*"):
            if path.name == "__init__.py" or path.name == "__pycache__":
                continue
            name = f"{folder}/{path.name}" + ("/" if path.is_dir() else "")
            assert name in named, name


@pytest.mark.parametrize("readme", READMES)
def test_every_verb_and_module_that_is_named_exists(readme: str):
    text = (ROOT / readme).read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in re.findall(r"make ((?:[a-z-]+ ?)+)", "\n".join(re.findall(r"`[^`]*`", text) + blocks(readme, "sh"))):
        assert set(words.split()) <= targets, words
    for package, module in re.findall(r"\b(tools|eval)\.(?!json)([a-z_]+)\b", text):
        assert (ROOT / package / f"{module}.py").is_file(), f"{package}.{module}"


@pytest.mark.parametrize("readme", READMES)
def test_every_recipe_has_a_row(readme: str):
    text = (ROOT / readme).read_text()
    for path in (ROOT / "configs/train").glob("*.yaml"):
        assert f"| `{path.stem}` |" in text, path.stem


def test_both_languages_have_the_same_commands_and_figures():
    def essence(readme: str) -> tuple[list[str], list[str]]:
        text = (ROOT / readme).read_text()
        commands = [line.split("#")[0].strip() for block in blocks(readme, "sh") for line in block.splitlines()]
        return commands, sorted(re.findall(r"0\.\d{2,}", text))

    assert essence("README.md") == essence("README.zh-TW.md")


def test_help_lists_every_verb():
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True)
    for verb in ("data", "train", "eval", "ask", "test", "doctor"):
        assert re.search(rf"^{verb} ", done.stdout, re.MULTILINE), verb


def test_no_paths_of_a_machine_are_tracked():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    for name in filter(None, done.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in (".md", ".yaml", ".json", ".in", ".txt", ".toml") or path.name == "Makefile":
            assert str(Path.home()) + "/" not in path.read_text(), name
