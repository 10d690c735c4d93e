import shutil

import pytest
from run_folder import call, make_run, write_run

from callwright.files import read_jsonl, sha256, write_jsonl
from eval.compare import main
from eval.reporting.compare import compare
from eval.scoring.runs import read_run


def test_two_runs_are_told_apart_case_by_case(tmp_path, capsys):
    a, b = make_run(tmp_path / "a", "tuned", 4), make_run(tmp_path / "b", "tuned", 9)
    assert main([str(a), str(b), "--out", str(tmp_path / "c.html")]) == 0
    printed = capsys.readouterr().out
    assert "19 cases are scored in both: 19 in A, 19 in B" in printed
    assert "decision right: 5 only B, 0 only A, exact McNemar p = 0.0625" in printed
    page = (tmp_path / "c.html").read_text("utf-8")
    assert page.count('class="item"') == 5 and page.count("only B right</span>") == 5
    found = compare(read_run(a).results, read_run(b).results)
    assert found.gains["recall"].value == pytest.approx(0.5)
    assert found.gains["strict_accuracy"].value == pytest.approx(5 / 19)
    assert found.gains["precision"].value == pytest.approx(0.9 - 0.8)
    low, high = found.gains["strict_accuracy"].ci95
    assert 0 < low < 5 / 19 < high < 0.6
    back = compare(read_run(b).results, read_run(a).results)
    assert back.gains["strict_accuracy"].ci95 == pytest.approx((-high, -low))
    assert [kind for kind, _, _ in back.changed()] == ["only A right"] * 5


def test_both_wrong_counts_as_changed_where_the_verdicts_differ(tmp_path):
    a, b = make_run(tmp_path / "a", "a", 4), make_run(tmp_path / "b", "b", 4)
    lines = [line for _, line in read_jsonl(b / "predictions.jsonl")]
    lines[7]["tool_calls"] = call('{"x": "貓"}')
    write_jsonl(b / "predictions.jsonl", lines)
    found = compare(read_run(a).results, read_run(b).results)
    assert [(kind, x.verdict, y.verdict) for kind, x, y in found.changed()] == [
        ("both wrong", "no_call", "wrong_value")
    ]


def test_only_the_cases_that_both_share_are_compared(tmp_path, capsys):
    a = make_run(tmp_path / "a", "a", 4)
    shutil.copytree(a, tmp_path / "b")
    cases = [line for _, line in read_jsonl(tmp_path / "t_golden.jsonl")][:12]
    cases[0]["expected"] = []  # the same id, but another case
    cases[1]["messages"][0]["content"] = "another line"
    write_jsonl(tmp_path / "other.jsonl", cases)
    predictions = [line for _, line in read_jsonl(a / "predictions.jsonl")][:12]
    b = write_run(tmp_path / "b", "b", [tmp_path / "other.jsonl"], predictions)
    assert main([str(a), str(b)]) == 0
    assert "10 cases are scored in both: 19 in A, 12 in B" in capsys.readouterr().out
    assert (b / "compare.html").exists()


def test_runs_over_other_cases_are_refused_with_both_hashes(tmp_path, capsys):
    a = make_run(tmp_path / "a" / "run", "a", 4)
    b = make_run(tmp_path / "b" / "run", "b", 4, "other words")
    assert main([str(a), str(b)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "no case of it was scored in" in said
    for folder in ("a", "b"):
        assert sha256(tmp_path / folder / "t_golden.jsonl")[:16] in said
    assert not (b / "compare.html").exists()


def test_sets_are_compared_apart(tmp_path, capsys):
    a = make_run(tmp_path / "a", "a", 4, sets=("golden", "test"))
    b = make_run(tmp_path / "b", "b", 9, sets=("golden", "test"))
    assert main([str(a), str(b)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("exact McNemar") == 2 and "39 cases are scored in both" in printed


def test_no_run_folder_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err
