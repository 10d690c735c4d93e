"""What a task's lines lack, said before anything is trained."""

from typing import Any

import pytest
from run_folder import make_run

from callwright.errors import UserError
from callwright.files import read_json, write_json
from callwright.records import Call, Seed
from callwright.schema import canonical_tools
from callwright.tasks import authors, golden_gaps, read_golden
from eval.report import main as write_report_of
from eval.reporting.report import make_report
from eval.scoring.runs import read_run
from tools.utterances.gaps import argument_gaps, given_values, label_gaps, tag_gaps
from tools.utterances.grammar import Grammar

TOOLS = canonical_tools(
    [
        {
            "name": "track",
            "parameters": {
                "type": "object",
                "properties": {
                    "number": {"type": "string"},
                    "unit": {"enum": ["a", "b"]},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
                },
            },
        },
        {"name": "cancel"},
    ],
    "tools",
)
GRAMMAR = Grammar.model_validate(
    {
        "languages": {"en": {"share": 1}, "zh-TW": {"share": 1}},
        "registers": {"plain": {"share": 1}},
        "patterns": [{"id": "x", "lang": "en", "register": "plain", "kind": "track", "reply": "no", "texts": ["a"]}],
    }
)


def line(
    number: int, call: dict[str, Any] | None = None, name: str = "track", identity: str = "s", **tags: str
) -> Seed:
    calls = [] if call is None else [Call(name=name, arguments=call)]
    tags = {"lang": "en", "register": "plain", "kind": "track", **tags}
    return Seed(id=f"{identity}{number}", text=f"line {number}", calls=calls, reply=None if calls else "no", tags=tags)


def test_arguments_of_one_value_are_told() -> None:
    one = [line(n, {"number": "A-1", "unit": "a", "items": [{"sku": f"S{n % 3}"}]}) for n in range(12)]
    said = list(argument_gaps(one, TOOLS))
    assert [text.split(":")[0] for text in said if text.startswith("train")] == ["train never calls cancel of 2 tools"]
    assert any(text.startswith("track.number has 1 different values in 12") for text in said)
    assert any(text.startswith("track.items[].sku has 3 different values") for text in said)
    assert not any("unit" in text for text in said), "a listed value is as various as its list"


def test_one_value_in_most_lines_is_told_and_various_ones_are_not() -> None:
    most = [line(n, {"number": "A-1" if n < 10 else f"B-{n}", "unit": "a", "items": []}) for n in range(18)]
    assert any('track.number is "A-1" in 10 of 18' in text for text in argument_gaps(most, TOOLS))
    various = [line(n, {"number": f"B-{n}", "unit": "a", "items": [{"sku": f"S{n}"}]}) for n in range(18)]
    assert list(argument_gaps([*various, line(99, {}, "cancel")], TOOLS)) == []
    assert len(given_values(various, TOOLS)["track", "number"]) == 18


def test_an_argument_that_is_never_given_is_told() -> None:
    said = list(argument_gaps([line(n, {"number": f"B-{n}"}) for n in range(9)], TOOLS))
    assert {"unit", "items"} <= {word.rstrip(":") for text in said for word in text.split()}


def test_labels_and_kinds_that_a_side_lacks() -> None:
    sides = {"train": [line(1, {}), line(2)], "val": [line(3, {})], "golden": [line(4, {}, kind="odd")]}
    said = list(label_gaps(sides))
    assert said[0].startswith("val has lines of one label only (call)")
    assert any("golden measures kinds that train never shows: odd" in text for text in said)
    assert any("golden measures nothing of kind track" in text for text in said)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"langs": "en"}, "tag 'langs' means nothing here; did you mean 'lang'?"),
        ({"Lang": "en"}, "did you mean 'lang'?"),
        ({"mood": "sad"}, "tag 'mood' means nothing here; known are lang"),
        ({"lang": "english"}, "lang 'english' is no language tag"),
        ({"lang": "zh_TW"}, "did you mean 'zh-TW'?"),
        ({"lang": "zh-tw"}, "did you mean 'zh-TW'?"),
        ({"register": "plian"}, "did you mean 'plain'?"),
        ({"register": "angry"}, "the grammar has plain"),
        ({"kind": "trakc"}, "did you mean 'track'?"),
    ],
)
def test_mistyped_tags_are_told(tags: dict[str, str], said: str) -> None:
    lines = [line(n, {}) for n in range(9)]
    found = tag_gaps([*lines, line(77, {}, **tags)], [], GRAMMAR)
    assert len(found) == 1 and found[0].startswith("s77: ") and said in found[0]


def test_tags_that_a_task_means_are_not_told() -> None:
    own = [line(n, {}, domain="shop", lang="mixed", kind="other", team="a") for n in range(9)]
    assert tag_gaps(own, ["domain"], None) == []
    assert tag_gaps([line(1, kind="rare one")], [], GRAMMAR) == []
    assert tag_gaps([line(1, lang="de"), line(2, lang="zh-Hant-TW")], [], None) == []


def test_golden_that_measures_little_is_told(tmp_path: Any) -> None:
    few = golden_gaps([("starter-golden-001", True), ("g-1", True)])
    assert "1 of 2 golden lines are starter lines" in few[0]
    assert "only lines that call" in few[1]
    assert "has 2 lines" in golden_gaps([("a", True), ("b", False)])[0]
    assert golden_gaps([(f"g{n}", n % 2 == 0) for n in range(40)]) == []
    (tmp_path / "golden.jsonl").write_text("\n")
    with pytest.raises(UserError, match="holds no line: nothing would be measured; write what users type"):
        read_golden(tmp_path / "golden.jsonl", TOOLS)


def test_who_wrote_a_line_is_told_by_its_id() -> None:
    lines = [line(1, {}, identity="starter-"), line(2, {}, identity="written-"), line(3, {}), line(4, {})]
    assert authors(lines) == {"people": 2, "starter": 1, "model": 1}
    assert authors(lines[:1]) == {"starter": 1}


def test_the_head_of_a_report_says_that_golden_measures_little(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "tuned", "tuned", 9)
    write_report_of([str(run)])
    page = (run / "report.html").read_text("utf-8")
    head = page[: page.index("</header>")]
    assert "golden has 20 lines: its intervals are wide" in head
    make_report(read_run(run)).print()
    assert "warning: golden has 20 lines" in capsys.readouterr().out
    both = make_run(tmp_path / "x" / "both", "tuned", 9, sets=("test", "golden"))
    write_report_of([str(both)])
    page = (both / "report.html").read_text("utf-8")
    assert "golden has 20 lines" in page and "test has 20 lines" in page
    given = make_run(tmp_path / "y" / "given", "tuned", 9)
    write_report_of([str(given)])
    manifest = read_json(given / "manifest.json")
    write_json(given / "manifest.json", {**manifest, "suite": None, "cases": {"mine.v2.jsonl": "0" * 64}})
    make_report(read_run(given)).print()
    assert "warning: mine.v2 has 20 lines" in capsys.readouterr().out, "whatever the file is called"


def test_arguments_of_branches_are_looked_at_like_others() -> None:
    whole = {"properties": {"day": {"$ref": "#/$defs/day"}, "note": {"type": "string"}}}
    parameters = {"type": "object", "allOf": [whole], "$defs": {"day": {"enum": ["a"]}}}
    tools = canonical_tools([{"name": "track", "parameters": parameters}], "tools")
    said = list(argument_gaps([line(n, {"day": "a"}) for n in range(12)], tools))
    assert len(said) == 1 and "its argument note" in said[0]
