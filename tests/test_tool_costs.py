"""What tools cost in a prompt, and by which rules they are cut; and how tools are chosen."""

import json
from pathlib import Path
from typing import Any

import pytest

from callwright.errors import UserError
from callwright.schema import canonical_tool, load_tools
from callwright.tool_sources.costs import counter, shrink
from callwright.tool_sources.found import Note, lines
from tools.import_tools import main

LONG = "The name. " + "It says a lot more than anybody wants to know about it. " * 5
DEEP = {
    "type": "object",
    "properties": {"a": {"type": "object", "description": "A.", "properties": {"b": {"type": "string"}}}},
}
TOOL = canonical_tool(
    {
        "name": "t",
        "description": "Do it. " + "And do it well. " * 20,
        "parameters": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": LONG, "examples": ["x" * 50], "title": "A title"},
                "kind": {"enum": [f"kind-{n}" for n in range(50)], "description": "K."},
                "deep": DEEP,
                "list": {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "string"}}}},
                "need": DEEP,
            },
            "required": ["need"],
        },
    }
)


def size(tool: dict[str, Any]) -> int:
    return len(json.dumps(tool))


def fields(tool: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = tool["function"]["parameters"]["properties"]
    return properties


def cut_until(what: str, tool: dict[str, Any] = TOOL) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The tool, cut just so far that this was done, and what was cut."""
    for most in range(size(tool), 0, -5):
        cut, made = shrink(tool, most, size)
        if cut and any(done.startswith(what) for _, done in made):
            return cut, made
    raise AssertionError(what)


def test_rules_come_in_their_order_and_each_cut_is_written_down() -> None:
    before, seen = json.dumps(TOOL), dict[str, int]()
    for most in range(size(TOOL), 0, -10):
        cut, made = shrink(TOOL, most, size)
        if cut is None:
            break
        assert size(cut) <= most
        canonical_tool(cut)
        for what in (what for _, what in made):
            seen.setdefault(what, most)
    assert json.dumps(TOOL) == before
    assert list(seen) == [
        "examples cut",
        "title cut",
        "description cut",
        "enum of 50 cut: any value of its type is accepted",
        "what is in it cut: any is accepted there",
        "optional argument cut",
    ]
    smallest, _ = shrink(TOOL, most + 10, size)
    assert smallest is not None
    assert set(fields(smallest)) == {"need"}
    assert fields(smallest)["need"] == {"type": "object"}


def test_a_tool_that_fits_stays_as_it_is() -> None:
    assert shrink(TOOL, size(TOOL), size) == (TOOL, [])


def test_a_long_enum_names_some_of_its_values() -> None:
    cut = cut_until("enum of 50")[0]
    assert fields(cut)["kind"]["type"] == "string"
    assert fields(cut)["kind"]["description"].startswith("K. One of 50, such as kind-0, kind-1,")
    assert fields(cut)["name"]["description"] == "The name."
    assert "A title" not in json.dumps(cut)


def test_the_deepest_optional_branches_go_first() -> None:
    deeper = json.loads(json.dumps(TOOL))
    del deeper["function"]["parameters"]["properties"]["kind"]
    fields(deeper)["deep"]["properties"]["a"]["properties"]["b"] = DEEP
    places = [where for where, what in cut_until("what is in it", deeper)[1] if what.startswith("what is in it")]
    assert places == ["deep.a.b.a"]


def test_costs_are_estimated_where_there_is_no_tokenizer_and_the_line_says_so(tmp_path: Path) -> None:
    unit, count = counter(root=tmp_path)
    assert "estimated" in unit
    assert count(TOOL) == pytest.approx(size(TOOL) / 3, rel=0.1)
    with pytest.raises(UserError, match="no tokenizer"):
        counter(str(tmp_path))


def api(tmp_path: Path, count: int) -> str:
    paths: dict[str, Any] = {}
    for number in range(count):
        operation = {
            "operationId": f"{'get' if number % 2 else 'put'}.{number}",
            "tags": [f"tag {number % 3}"],
            "x-y": 1,
        }
        paths[f"/{'pets' if number % 2 else 'shops'}/{number}"] = {"get": operation}
    path = tmp_path / "api.json"
    path.write_text(json.dumps({"openapi": "3.1.0", "paths": paths}))
    return str(path)


def test_many_notes_are_counted_by_kind_and_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes, out = tmp_path / "notes.txt", tmp_path / "tools.json"
    assert main([api(tmp_path, 60), "--out", str(out), "--notes", str(notes)]) == 0
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 2
    assert "x-y dropped (60)" in printed.err
    assert len(notes.read_text().splitlines()) == 120
    assert "40 others" in printed.out
    assert len(load_tools(out)) == 60


def test_what_is_left_out_is_always_named() -> None:
    some = [Note(f"t{n}", "extension", "x-a dropped") for n in range(100)]
    assert lines([*some, Note("lost", "left out", "broken")]) == [
        "lost: left out: broken",
        "extension, 100 times in 100 tools: x-a dropped (100)",
    ]


CHOICES = {
    ("--only", "get.1", "put_2"): ["get_1", "put_2"],
    ("--only", "get*"): ["get_1", "get_3", "get_5"],
    ("--only", "get.1", "--only", "get?3"): ["get_1", "get_3"],
    ("--tag", "tag 0"): ["put_0", "get_3"],
    ("--path", "/pets/*", "--tag", "tag 0"): ["get_3"],
}


@pytest.mark.parametrize("choice", CHOICES)
def test_choices(tmp_path: Path, choice: tuple[str, ...]) -> None:
    out = tmp_path / "tools.json"
    assert main([api(tmp_path, 6), *choice, "--out", str(out)]) == 0
    assert [tool["function"]["name"] for tool in load_tools(out)] == CHOICES[choice]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (["--only", "gat.1"], "did you mean 'get.1'?"),
        (["--tag", "pets"], "choose of: tag 0, tag 1, tag 2"),
        (["--path", "/pet/*"], "choose of: /shops/0"),
        (["--max-tokens", "3"], "--max-tokens 3"),
    ],
)
def test_choices_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: list[str], said: str) -> None:
    out = tmp_path / "tools.json"
    assert main([api(tmp_path, 6), *choice, "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert said in error.splitlines()[-1]
    assert not out.exists()


def test_a_tool_that_was_named_must_be_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "api.yaml"
    path.write_text("openapi: 3.1.0\npaths: {/a: {get: {operationId: a}, put: {operationId: b, parameters: 3}}}\n")
    assert main([str(path)]) == 0
    assert "1 left out: b" in capsys.readouterr().out
    assert main([str(path), "--only", "b"]) == 2
    assert "--only b: b: left out: parameters is a int" in capsys.readouterr().err


def test_bounded_leaves_out_what_cannot_be_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "mine.json", tmp_path / "tools.json"
    path.write_text(json.dumps([TOOL, {"name": "small"}]))
    assert main([str(path), "--max-tokens", "48", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert [tool["function"]["name"] for tool in load_tools(out)] == ["small"]
    assert "t: left out: takes" in printed.err
    assert "1 left out: t" in printed.out
