import math

import pytest
from endpoint import case, draws, endpoint
from run_folder import make_run
from werkzeug import Response

from callwright.errors import UserError
from callwright.files import read_jsonl, write_json, write_jsonl, write_text
from callwright.summary import FIGURES, Summary, read_summary
from callwright.yaml_config import load_config
from eval.compare import main as compare
from eval.report import main as report
from eval.reporting.suites import Suite
from eval.run import main as run
from eval.score import main as score
from eval.scoring.gates import missed, read_gates

FOUND = {"n": 20, "scored": 20, "decision": {"f1": 0.8, "precision": None, "recall": 1.0}, "strict_accuracy": 0.7}
SUMMARY = Summary.model_validate(FOUND)


def test_a_gate_is_missed_by_less_and_by_what_is_not_defined():
    assert missed({}, SUMMARY) == []
    assert missed({"f1": 0.8, "recall": 0.9}, SUMMARY) == []
    assert missed({"f1": 0.81, "precision": 0.0, "strict_accuracy": 0.7}, SUMMARY) == [
        "f1 is 0.8, and must be at least 0.81",
        "precision is not defined, and must be at least 0",
    ]


def test_a_summary_without_a_part_passes_no_gate_of_it():
    assert all(missed({name: 0}, Summary()) for name in FIGURES)


def test_figures_of_a_few_answers_pass_no_gate():
    few = Summary.model_validate({**FOUND, "scored": 1})
    assert missed({}, few) == []
    assert missed({"f1": 0.5}, few) == ["answered is 0.05 (1 of 20), and must be at least 1"]
    assert missed({"f1": 0.5, "answered": 0.05}, few) == []
    assert missed({"answered": 0.06}, few) == ["answered is 0.05 (1 of 20), and must be at least 0.06"]
    assert missed({"f1": 0.9}, Summary.model_validate({**FOUND, "scored": 19})) == [
        "answered is 0.95 (19 of 20), and must be at least 1",
        "f1 is 0.8, and must be at least 0.9",
    ]
    assert missed({"answered": 0}, Summary()) == ["answered is not defined, and must be at least 0"]


def test_what_is_no_number_passes_no_gate(tmp_path):
    nothing = Summary.model_validate({**FOUND, "strict_accuracy": None})
    assert missed({"strict_accuracy": 0}, nothing) == ["strict_accuracy is not defined, and must be at least 0"]
    assert missed({"strict_accuracy": 0}, Summary.model_validate({**FOUND, "strict_accuracy": math.nan}))
    for value in ({}, "many"):
        write_json(tmp_path / "summary.json", {**FOUND, "strict_accuracy": value})
        with pytest.raises(UserError, match=r"summary\.json: strict_accuracy: .*valid number"):
            read_summary(tmp_path / "summary.json")


def test_every_figure_stands_in_the_summary_of_a_run(tmp_path):
    run = make_run(tmp_path / "run", "tuned", 9)
    once = [line for _, line in read_jsonl(run / "predictions.jsonl")]
    write_jsonl(run / "predictions.jsonl", [*once, *({**line, "sample": 1} for line in once)])
    assert report([str(run)]) == 0
    summary = read_summary(run / "summary.json")
    for name in FIGURES:
        value, bounds = summary.figure(name)
        assert value is not None and bounds is not None, name


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("f2=0.9", "'f2' is no figure; known are f1, precision, "),
        ("f1=0.9,", "'' has no number"),
        ("f1", "'f1' has no number"),
        ("f1=0.9,f1=0.8", "'f1' stands twice"),
        ("f1=x", "f1: Input should be a valid number"),
        ("f1=nan", "f1: "),
        ("f1=90", "less than or equal to 1"),
        ("f1=-1", "greater than or equal to 0"),
    ],
)
def test_gates_that_cannot_be_read_are_one_line(tmp_path, capsys, text, fault):
    with pytest.raises(UserError, match=r"^--fail-under: "):
        read_gates(text)
    assert report([str(tmp_path), "--fail-under", text]) == 2
    said = capsys.readouterr().err
    assert fault in said and said.count("\n") == 1


def test_a_suite_holds_gates_by_the_same_names(tmp_path):
    write_text(tmp_path / "s.yaml", "cases: [a]\ngates: {f1: 0.9, strict_accuracy: 0.5}\n")
    assert load_config(tmp_path / "s.yaml", Suite).gates == read_gates("strict_accuracy=0.5, f1=0.9")
    write_text(tmp_path / "s.yaml", "cases: [a]\ngates: {f2: 0.9}\n")
    with pytest.raises(UserError, match=r"s\.yaml:2: gates: 'f2' is no figure; known are f1"):
        load_config(tmp_path / "s.yaml", Suite)


def test_a_missed_gate_is_one_line_and_status_1(tmp_path, capsys):
    run = make_run(tmp_path / "run", "tuned", 9)
    files = ["--cases", str(tmp_path / "t_golden.jsonl"), "--predictions", str(run / "predictions.jsonl")]
    for command in ([*files, "--out", str(tmp_path / "out")], [str(run)]):
        main = score if "--out" in command else report
        assert main([*command, "--fail-under", "f1=0.9,answered=0.95"]) == 0
        assert main([*command, "--fail-under", "f1=0.9"]) == 1
        assert "gate missed: answered is 0.95 (19 of 20), and must be at least 1\n" in capsys.readouterr().err
        assert main([*command, "--fail-under", "f1=0.91,recall=0.9,strict_accuracy=0.95,answered=0.9"]) == 1
        assert capsys.readouterr().err.splitlines() == [
            "gate missed: f1 is 0.9, and must be at least 0.91",
            "gate missed: strict_accuracy is 0.8947, and must be at least 0.95",
        ]


def test_a_run_of_an_endpoint_is_held_to_its_gates(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(tmp_path / "cases.jsonl", [case("a", "draw", True), case("b", "hi", False), case("c", "hi", True)])
    with endpoint() as server:
        command = ["--cases", str(tmp_path / "cases.jsonl"), "--out", str(tmp_path / "out"), "--model", "m"]
        command += ["--base-url", server.url, "--fail-under"]
        assert run([*command, "f1=0.6"]) == 0
        assert run([*command, "f1=0.7"]) == 1
        assert "gate missed: f1 is 0.6667, and must be at least 0.7" in capsys.readouterr().err
        asked = len(server.requests)
        assert run([*command, "f0=0.7"]) == 2
        assert len(server.requests) == asked == 3


def test_a_comparison_needs_the_answers_of_both(tmp_path, capsys):
    whole, short = make_run(tmp_path / "a", "a", 9), make_run(tmp_path / "b", "b", 9)
    write_jsonl(whole / "predictions.jsonl", [{"id": str(i), "content": "no"} for i in range(20)])
    write_jsonl(short / "predictions.jsonl", [{"id": "0", "content": "no"}])
    for a, b, name in ((whole, short, "B"), (short, whole, "A")):
        assert compare([str(a), str(b)]) == 0
        said = capsys.readouterr().out
        assert "20 of 20 in " in said and f"1 of 20 in {name}" in said
        assert compare([str(a), str(b), "--fail-under", "accuracy=0"]) == 1
        assert f"gate missed by {name}: answered is 0.05 (1 of 20)" in capsys.readouterr().err
        assert compare([str(a), str(b), "--fail-under", "accuracy=0,answered=0.05"]) == 0


def test_an_endpoint_that_answers_one_of_twenty_passes_no_gate(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(tmp_path / "cases.jsonl", [case(f"c{i}", f"draw {i}", True) for i in range(20)])
    command = ["--cases", str(tmp_path / "cases.jsonl"), "--out", str(tmp_path / "out"), "--model", "m"]
    with endpoint(lambda r: draws(r) if "draw 0" in str(r) else Response("busy", 500)) as server:
        command += ["--retries", "0", "--base-url", server.url]
        assert run([*command, "--fail-under", "f1=0.5"]) == 1
        assert "gate missed: answered is 0.05 (1 of 20), and must be at least 1" in capsys.readouterr().err
        markdown, junit = tmp_path / "s.md", tmp_path / "j.xml"
        files = ["--markdown", str(markdown), "--junit", str(junit)]
        assert report([str(tmp_path / "out"), "--fail-under", "f1=0.5", *files]) == 1
    assert "**gate missed**: answered is 0.05 (1 of 20)" in markdown.read_text("utf-8")
    assert 'errors="19"' in junit.read_text("utf-8")


def test_a_summary_without_its_figures_is_none(tmp_path):
    write_json(tmp_path / "summary.json", {"n": 1})
    with pytest.raises(UserError, match=r"summary\.json: has no scored; evaluate again"):
        read_summary(tmp_path / "summary.json")
