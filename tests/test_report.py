import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from callwright.files import sha256, write_json, write_jsonl, write_text
from eval import manifest
from eval.report import main

HOSTILE = (
    "<script>document.title = 'pwned'</script><img src=x onerror=\"document.title='pwned'\">{{ 7*7 }}</pre></details>"
)
TOOL = {
    "function": {
        "name": "f",
        "description": "",
        "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
    }
}


def make_run(folder, name, right, hostile="", sets=("",)):
    """A run folder of 20 cases a set; `right` of the 10 calls are made."""
    files = []
    predictions = []
    for one in sets:
        path = folder.parent / f"t_{one or 'golden'}.jsonl"
        cases = []
        for i in range(20):
            call = {"name": "f", "arguments": {"x": "圖"}}
            identity = f"{one}{i}"
            made = [{"function": {"name": "f", "arguments": '{"x": "圖"}'}}] if i < right or i == 19 else []
            tags = {"lang": "zh-TW" if i % 2 else "en", "kind": hostile or "plain"}
            messages = [{"role": "user", "content": f"畫 {i} {hostile}"}]
            expected = [call] if i < 10 else []
            cases.append({"id": identity, "messages": messages, "tools": [TOOL], "expected": expected, "tags": tags})
            text = {"content": hostile or "no", "tool_calls": made, "latency_s": 0.5, "finish_reason": "stop"}
            predictions.append({"id": identity, **text})
        write_jsonl(path, cases)
        files.append(path)
    predictions[-2] = {"id": predictions[-2]["id"], "error": f"HTTP 500 {hostile}"}
    write_jsonl(folder / "predictions.jsonl", predictions)
    fingerprint = {"cases": "0" * 64, "model": f"m {hostile}", "sampling": {"max_tokens": 9}}
    about = {"name": name, "suite": "golden", "cases": {str(path): sha256(path) for path in files}}
    write_json(folder / "manifest.json", {**manifest.describe(["x", hostile], 42), **about, "fingerprint": fingerprint})
    return folder


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_report_leads_with_base_against_tuned(tmp_path, capsys):
    base, tuned = make_run(tmp_path / "base", "base", 2), make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(tuned), "--base", str(base)]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 14
    html = (tuned / "report.html").read_text("utf-8")
    page = Page(html)
    for words in (printed, page.text):
        assert "0.308" in words  # base: tp 2, fp 1, fn 8
        assert "0.900" in words  # tuned: tp 9, fp 1, fn 1
        assert "+0.592" in words
        assert "p = 0.0156" in words  # 7 against 0: 2 / 2^7
    order = [page.text.index(words) for words in ("base F1", "tuned F1", "exact McNemar", "should call", "By slice")]
    assert order == sorted(order) and order[-1] < page.text.index("What went wrong") < page.text.index("How it was")
    assert "base: 1 of 20, tuned: 1 of 20" in page.text
    assert "zh-TW" in page.text and "畫 9" in page.text


def test_the_page_needs_nothing_else(tmp_path):
    run = make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(run)]) == 0
    html = (run / "report.html").read_text("utf-8")
    assert not re.search(r"https?://|@import|url\(|<script|<link|<iframe", html)
    assert not [attributes for _, attributes in Page(html).tags if "src" in attributes or "href" in attributes]
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert not list(run.glob(".*"))


def test_what_a_model_writes_stays_text(tmp_path):
    base = make_run(tmp_path / "base", "base", 2, HOSTILE)
    tuned = make_run(tmp_path / "tuned", "tuned", 7, HOSTILE)
    assert main([str(tuned), "--base", str(base)]) == 0
    page = Page((tuned / "report.html").read_text("utf-8"))
    assert {"script", "img"}.isdisjoint(tag for tag, _ in page.tags)
    assert not [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    assert page.text.count(HOSTILE) > 10


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_runs_nothing(tmp_path):
    tuned = make_run(tmp_path / "tuned", "tuned", 7, HOSTILE)
    assert main([str(tuned)]) == 0
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{tuned}/report.html"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    assert "<title>tuned – Callwright</title>" in dom


def test_sets_are_never_mixed(tmp_path, capsys):
    base = make_run(tmp_path / "base", "base", 2, sets=("golden", "test"))
    tuned = make_run(tmp_path / "tuned", "tuned", 9, sets=("golden", "test"))
    assert main([str(tuned), "--base", str(base)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("exact McNemar") == 2
    assert printed.index("golden") < printed.index("test")
    assert "of 20 cases" in printed and "of 19 cases" in printed


def test_answers_are_scored_again_unless_the_cases_changed(tmp_path, capsys):
    run = make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(run)]) == 0
    before = (run / "results.jsonl").read_text("utf-8")
    (run / "results.jsonl").unlink()
    assert main([str(run)]) == 0
    assert (run / "results.jsonl").read_text("utf-8") == before
    write_text(tmp_path / "t_golden.jsonl", "\n")
    capsys.readouterr()
    assert main([str(run)]) == 0
    assert "its cases changed since they were asked" in capsys.readouterr().out
    assert (run / "results.jsonl").read_text("utf-8") == before


def test_no_run_folder_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is no run folder (no manifest.json); run make eval first" in capsys.readouterr().err
