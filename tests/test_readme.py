"""The README's folders, commands, links and worked example are the repository's, in both languages, and so are docs' links."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from callwright.files import ROOT, read_jsonl, read_text, write_text
from tools import new

READMES = ("README.md", "README.zh-TW.md")
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
TEXTS = [*READMES, *(f"docs/{page}" for page in PAGES)]
CODE = ("callwright", "tools", "eval", "bench")
LONGEST = 195
"""lines that a README may have and still be read in five minutes"""


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page that are marked with a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", read_text(ROOT / page), re.DOTALL | re.MULTILINE)
    return [block for name, block in found if name == language]


def tree(readme: str) -> set[str]:
    """The paths of the annotated folders: one a line, and an indented one belongs to the folder above."""
    found: set[str] = set()
    folder = ""
    for line in next(block for block in blocks(readme, "text") if block.startswith("callwright/")).splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
            found.add(name)
        else:
            found.add(folder + name)
    return found


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub links to the headings of a page."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"^```.*?^```", "", read_text(page), flags=re.DOTALL | re.MULTILINE), re.M
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("readme", READMES)
def test_every_folder_that_is_named_exists(readme: str):
    assert [path for path in tree(readme) if not (ROOT / path).is_dir()] == []


@pytest.mark.parametrize("readme", READMES)
def test_every_package_is_named(readme: str):
    packages = [path.parent for top in CODE for path in (ROOT / top).rglob("__init__.py")]
    rooms = {f"{path.relative_to(ROOT)}/" for path in packages if len(path.relative_to(ROOT).parts) <= 2}
    assert rooms - tree(readme) == set()


@pytest.mark.parametrize("page", TEXTS)
def test_every_verb_and_module_that_is_named_exists(page: str):
    text = read_text(ROOT / page)
    targets = set(re.findall(r"^([a-z-]+):", read_text(ROOT / "Makefile"), re.MULTILINE))
    quoted = "\n".join(re.findall(r"`[^`\n]*`", text) + blocks(page, "sh"))
    for words in re.findall(r"\bmake ((?:[a-z-]+\b(?!=) ?)+)", quoted):
        assert set(words.split()) <= targets, words
    for package, name in re.findall(r"python -m (tools|eval|bench)\.([a-z_.]+)", text):
        module = ROOT / package / name.strip(".").replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), f"{package}.{name}"
    for path in re.findall(r"`((?:tools|eval|callwright|bench|examples)/[\w./-]*(?:\.\w+|/))`", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", TEXTS)
def test_every_relative_link_leads_somewhere(page: str):
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", read_text(path)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if fragment:
            assert fragment in anchors(target), link


def test_every_recipe_has_a_row():
    page = read_text(ROOT / "docs/recipes.md")
    assert [p.stem for p in (ROOT / "configs/train").glob("*.yaml") if f"| `{p.stem}` |" not in page] == []


@pytest.mark.parametrize("readme", READMES)
def test_every_page_is_linked(readme: str):
    text = read_text(ROOT / readme)
    assert [page for page in PAGES if f"(docs/{page})" not in text] == []


@pytest.mark.parametrize("readme", READMES)
def test_it_reads_in_five_minutes(readme: str):
    assert len(read_text(ROOT / readme).splitlines()) <= LONGEST


def test_both_languages_have_the_same_commands_and_figures():
    def essence(readme: str) -> tuple[list[str], list[str], list[str]]:
        commands = [line.split("#")[0].strip() for block in blocks(readme, "sh") for line in block.splitlines()]
        return commands, blocks(readme, "json"), sorted(re.findall(r"0\.\d{2,}", read_text(ROOT / readme)))

    assert essence("README.md") == essence("README.zh-TW.md")


def test_the_worked_example_is_what_make_new_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tools, seed = (block for block in blocks("README.md", "json") if "book_table" in block)
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    monkeypatch.setattr("tools.new.ROOT", tmp_path)
    write_text(tmp_path / "tools.json", tools)
    assert new.main(["bookings", "--tools", str(tmp_path / "tools.json")]) == 0
    assert json.loads(seed) in [line for _, line in read_jsonl(tmp_path / "data/seeds/bookings/seeds.jsonl")]


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
