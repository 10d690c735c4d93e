import re
from html import unescape
from xml.etree import ElementTree

from run_folder import make_run

from eval.report import main
from eval.reporting.ci import code

HOSTILE = "<b>&]]> | `x` @someone #1 [a](http://x) www.x.org\n\n* {{7*7}} \x00\x0b\ufffe\u202e"


def test_junit_holds_a_test_case_a_case(tmp_path):
    run = make_run(tmp_path / "run", "tuned", 7, HOSTILE, sets=("golden", "test"))
    assert main([str(run), "--junit", str(tmp_path / "j.xml")]) == 0
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    golden, test = root
    assert root.tag == "testsuites" and golden.get("name") == "tuned golden"
    counts = [tuple(int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")) for suite in root]
    assert counts == [(20, 4, 0, 0), (20, 4, 1, 0)]  # 3 calls missed, 1 false call, 1 without an answer
    for suite, (tests, failures, errors, _) in zip(root, counts, strict=True):
        assert len(suite.findall("testcase")) == tests
        assert (len(suite.findall("*/failure")), len(suite.findall("*/error"))) == (failures, errors)
    names = [case.get("name") for case in test]
    assert len(set(names)) == 20 and {case.get("classname") for case in test} == {"tuned test"}
    assert {case.get("time") for case in golden} == {"0.500"}
    failure = next(case for case in golden if case.get("name") == "golden7").find("failure")
    assert failure.get("type") == "no_call" and failure.get("message").startswith("no_call: plain text")
    assert "<b>&]]> | `x`" in failure.text and "\ufffd\ufffd\ufffd\u202e" in failure.text
    error = test.find("testcase/error")
    assert error.get("type") == "infra_error" and "HTTP 500" in error.get("message")


def test_markdown_is_a_table_and_foreign_words_stay_words(tmp_path):
    base, run = make_run(tmp_path / "base", "base", 2, HOSTILE), make_run(tmp_path / "run", "tuned", 7, HOSTILE)
    files = ["--markdown", str(tmp_path / "m.md"), "--fail-under", "f1=0.5,recall=0.9"]
    assert main([str(run), "--base", str(base), *files]) == 1
    text = (tmp_path / "m.md").read_text("utf-8")
    assert "| F1 of the decision to call | 0.308 [" in text and "| 0.778 [" in text and "| +0.470 [" in text
    assert "F1 gain +0.470 [" in text and ": p = 0.0" in text
    assert "decision right: 5 only <code>tuned</code>, 0 only <code>base</code>, exact McNemar p = 0.0625" in text
    assert "**gate missed**: recall is 0.7, and must be at least 0.9" in text
    assert text.count("\n| no_call | ") == 3 and text.count("\n| false_call | ") == 1
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {5}
    without = re.sub(r"&#\d+;", "", text)
    assert not re.search(r"[@`\x00\x0b\ufffe\[]someone|<b>|\]\(|www\.|\{\{", without)
    assert set(re.findall(r"</?(\w+)", without)) == {"code", "details", "summary"}


def test_words_in_markdown_read_as_they_were():
    assert unescape(code("a|b <i> *x*\n_y_")) == "<code>a|b <i> *x* _y_</code>"
    assert "more characters" in code("x" * 1_000)
    assert code(" \n") == ""
