"""YAML 1.2 as JSON readers mean it, against hostile documents too."""

import time
from typing import Any

import pytest

from callwright.yaml12 import parse_yaml

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
    with pytest.raises(ValueError, match=r"line|character") as caught:
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
