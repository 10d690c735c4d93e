"""YAML 1.2 as JSON readers mean it, against hostile documents too."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from callwright.errors import UserError
from callwright.files import ROOT
from callwright.settings import read_settings
from callwright.yaml12 import LOADER, YamlFault, dump_yaml, parse_yaml
from callwright.yaml_config import load_config, read_yaml
from tools.utterances.grammar import Grammar

TEXT = [
    "on",
    "off",
    "no",
    "yes",
    "y",
    "n",
    "0123",
    "-007",
    "08",
    "12:30",
    "1:20:30",
    "1_000",
    "2020-01-01",
    "0b11",
    "1e",
]
TEXT += ["1.2.3", "=", ".", "+", "~x"]
VALUES: dict[str, Any] = {
    "~": None,
    "null": None,
    "": None,
    "true": True,
    "FALSE": False,
    "-12": -12,
    "+3": 3,
    "0o17": 15,
    "0x1F": 31,
}
VALUES |= {"1e3": 1000.0, "1.": 1.0, ".5": 0.5, "-.Inf": float("-inf"), "!!float 1": 1.0}
VALUES |= {"'12'": "12", "!!str 12": "12", "! 12": "12", '"x\\/y"': "x/y"}


@pytest.mark.parametrize("word", TEXT)
def test_what_yaml_1_1_reads_as_something_else_is_text(word: str) -> None:
    assert parse_yaml(f"enum: [{word}]\nx: {word}") == {"enum": [word], "x": word}
    assert parse_yaml(f"{word}: 1") == {word: 1}


@pytest.mark.parametrize("word", VALUES)
def test_values_of_the_core_schema(word: str) -> None:
    read, value = parse_yaml(f"a: {word}")["a"], VALUES[word]
    assert (read, type(read)) == (value, type(value))


def test_keys_are_the_text_that_stands_there() -> None:
    assert parse_yaml("on: 1\n200: 2\ntrue: 3\n0123: 4\n~: 5\n1.10: 6") == dict(
        zip(["on", "200", "true", "0123", "~", "1.10"], range(1, 7), strict=True)
    )


def test_merges_and_aliases() -> None:
    value = parse_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {x: 9, z: 1}]}\nd: *a")
    assert value["b"] == {"y": 3, "x": 1}
    assert value["c"] == {"x": 1, "y": 2, "z": 1}
    assert value["d"] is value["a"]
    assert parse_yaml("") is None


BAD = {
    "a: 1\nb: 2\na: 3": "line 3: key 'a' stands twice",
    "a: !!python/object/apply:os.system [x]": "!!python/object/apply:os.system is no part of JSON",
    "a: !Ref x": "!Ref is no part of JSON",
    "a: !!timestamp 2020-01-01": "!!timestamp",
    "a: !!int 0123": "is no int",
    "a: " + "1" * 5000: "is no int",
    "? [a]\n: 1": "a key is no text",
    "a: *b": "no anchor &b",
    "a: {<<: 3}": "merges what is no mapping",
    "a: 1\n--- 2": "line 2: a second document",
    "a: [": "line 2",
    "a: \x01": "unacceptable character",
    "[" * 100_000 + "]" * 100_000: "nested too deeply",
    "{a: " * 300: "nested too deeply",
}


@pytest.mark.parametrize("text", BAD, ids=list(BAD.values()))
def test_what_json_does_not_have_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(YamlFault, match=r"line|character") as caught:
        parse_yaml(text)
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bombs_take_neither_time_nor_room() -> None:
    started = time.monotonic()
    doubling = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    merging = [f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 9)}]}}" for i in range(1, 40)]
    value = parse_yaml("\n".join(["a0: &a0 {x: 1}", *doubling, "b0: &b0 {x: 1}", *merging, "c: &c {d: *c}"]))
    assert value["b39"] == {"x": 1}
    assert value["c"]["d"] is value["c"]
    assert time.monotonic() - started < 2


WORDS = st.sampled_from(
    [*TEXT, *VALUES, "0o17", "1e3", "1e-4", ".1e2", "12:30:45.5", "<<", "!x", "- a", "null ", "a: b"]
)
SCALARS = WORDS | st.booleans() | st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(WORDS | st.text(max_size=5), inner))


@given(JSON)
def test_what_is_written_reads_back_the_same_by_each_version(value: Any) -> None:
    text = dump_yaml(value)
    assert parse_yaml(text) == value
    assert yaml.safe_load(text) == value


def test_what_is_written_reads_back_the_same_as_settings(tmp_path: Path) -> None:
    value = {"text": [*TEXT, *VALUES, "1e-4", "0o17", "12:30"], "number": [1e-5, 1e22, 0.5, 3], "no": False}
    (tmp_path / "x.yaml").write_text(dump_yaml(value), encoding="utf-8")
    assert read_settings(tmp_path / "x.yaml") == value


def test_our_own_files_say_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "grammar.yaml"
    path.write_text(
        "languages: {en: {share: 1}}\nregisters: {plain: {share: 1e-1}}\nslots: {en: {mode: [on, no, 16:9]}}\n"
    )
    grammar = load_config(path, Grammar)
    assert [value.passed for value in grammar.slots["en"]["mode"]] == ["on", "no", "16:9"]
    assert grammar.registers["plain"].share == 0.1


@pytest.mark.parametrize(
    ("text", "line", "fault"), [("a: 1\nb: 2\na: 3\n", 3, "stands twice"), ("a:\n " + "[" * 100_000, 2, "nested")]
)
def test_what_is_wrong_with_a_file_of_ours_has_its_line(text: str, line: int, fault: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    for read in (read_yaml, read_settings):
        with pytest.raises(UserError, match=fault) as caught:
            read(tmp_path / "x.yaml")
        assert caught.value.place == f"{tmp_path / 'x.yaml'}:{line}"


SHIPPED = [path for folder in ("configs", "data/seeds", "tools") for path in sorted((ROOT / folder).rglob("*.yaml"))]


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_shipped_files_mean_the_same_to_other_readers(path: Path) -> None:
    """But for a ratio in a grammar, which YAML 1.1 takes for a time. words.yaml has words that are truth values there."""
    text = path.read_text(encoding="utf-8").replace(", 16:9,", ", '16:9',")
    if path.name != "words.yaml":
        assert read_yaml(path) == yaml.load(text, Loader=LOADER)
    if path.parent.parent.name == "configs" and path.parent.name in ("train", "serve", "export"):
        assert read_settings(path) == read_yaml(path)
