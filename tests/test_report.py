import json
import re
import sys
from html.parser import HTMLParser

import pytest
from run_folder import make_run

from callwright.files import read_json, sha256, write_json, write_text
from callwright.records import Baseline, baseline_path
from eval.report import main
from eval.reporting.pages import anchor, take_turns

HOSTILE = (
    "<script>document.title = 'pwned'</script><img src=x onerror=\"document.title='pwned'\">{{ 7*7 }}</pre></details>"
)


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
    assert len(printed.splitlines()) <= 15
    html = (tuned / "report.html").read_text("utf-8")
    page = Page(html)
    for words in (printed, page.text):
        assert "0.308" in words  # base: tp 2, fp 1, fn 8
        assert "0.900" in words  # tuned: tp 9, fp 1, fn 1
        assert "+0.592" in words
        assert "p = 0.0156" in words  # 7 against 0: 2 / 2^7
    order = [page.text.index(words) for words in ("base F1", "tuned F1", "exact McNemar", "a call is due", "By slice")]
    assert order == sorted(order) and order[-1] < page.text.index("Case by case") < page.text.index("How it was")
    assert "base: 1 of 20, tuned: 1 of 20" in page.text
    assert "zh-TW" in page.text and "畫 9" in page.text and 'f(x={"contains": ["圖"]})' in page.text
    assert "&#34;" not in page.text and "&lt;" not in page.text, "escaped twice"


def test_two_runs_of_one_model_are_told_apart_by_their_folders(tmp_path, capsys):
    first, second = make_run(tmp_path / "first", "m", 2), make_run(tmp_path / "second", "m", 9)
    assert main([str(second), "--base", str(first)]) == 0
    assert "only second" in capsys.readouterr().out
    assert "first F1" in Page((second / "report.html").read_text("utf-8")).text


def test_the_page_needs_nothing_else(tmp_path):
    run = make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(run)]) == 0
    html = (run / "report.html").read_text("utf-8")
    assert not re.search(r"https?://|@import|url\(|<link|<iframe", html)
    links = [a.get("src", a.get("href")) for _, a in Page(html).tags if "src" in a or "href" in a]
    assert links and all(link.startswith("#") for link in links)
    assert html.count("<script") == 1 and "default-src 'none'" in html
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert not list(run.glob(".*"))


def test_what_a_model_writes_stays_text(tmp_path):
    base = make_run(tmp_path / "base", "base", 2, HOSTILE)
    tuned = make_run(tmp_path / "tuned", "tuned", 7, HOSTILE)
    assert main([str(tuned), "--base", str(base)]) == 0
    page = Page((tuned / "report.html").read_text("utf-8"))
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"]
    assert not [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    assert page.text.count(HOSTILE) > 10


def test_the_funnel_counts_what_each_stage_leaves(tmp_path):
    base, tuned = make_run(tmp_path / "base", "base", 2), make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(tuned), "--base", str(base)]) == 0
    labels = [a["aria-label"] for tag, a in Page((tuned / "report.html").read_text("utf-8")).tags if tag == "svg"]
    stages = [label for label in labels if label.endswith(" left")]
    assert stages == [
        *("no_call: 8 lost, 2 left", "no_call: 1 lost, 9 left", "correct: 0 lost, 2 left", "correct: 0 lost, 9 left"),
        *("infra_error: 1 lost, 9 left", "infra_error: 1 lost, 9 left"),
        *("false_call: 1 lost, 8 left", "false_call: 1 lost, 8 left"),
        *("correct: 0 lost, 8 left", "correct: 0 lost, 8 left"),
    ]


def test_attribution_is_shown_where_there_is_one(tmp_path):
    run = make_run(tmp_path / "tuned", "tuned", 9)
    rows = [{"native": "no_call", "raw": "correct", "n": 7, "cause": "server", "ids": ["a", HOSTILE]}]
    write_json(run / "attribution.json", rows)
    assert main([str(run)]) == 0
    page = Page((run / "report.html").read_text("utf-8"))
    assert "The model's error, or its server's?" in page.text and "loses what the model can do" in page.text
    assert f"a {HOSTILE}" in [attributes.get("title") for _, attributes in page.tags]
    write_json(run / "attribution.json", [{"native": "no_call"}])
    assert main([str(run)]) == 2


def test_a_page_of_many_failures_shows_some_of_each_kind():
    kinds = ["a"] * 5_000 + ["b"] * 3 + ["c"] * 200
    shown = take_turns(list(enumerate(kinds)), lambda item: item[1], 300)
    assert len(shown) == 300 and shown == sorted(shown)
    assert [sum(kind == one for _, kind in shown) for one in "abc"] == [149, 3, 148]
    assert take_turns("abc", str) == ["a", "b", "c"]


def test_sets_are_never_mixed(tmp_path, capsys):
    base = make_run(tmp_path / "base", "base", 2, sets=("golden", "test"))
    tuned = make_run(tmp_path / "tuned", "tuned", 9, sets=("golden", "test"))
    assert main([str(tuned), "--base", str(base)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("exact McNemar") == 2
    assert printed.index("golden") < printed.index("test")
    assert "on the 20 cases" in printed and "on the 19 cases" in printed


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
    assert "is no run folder (no manifest.json); run make eval" in capsys.readouterr().err


def test_figures_are_logged_for_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(run), "--log", "tensorboard"]) == 0
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    logged = {name: events.Tensors(name)[0].tensor_proto.float_val[0] for name in events.Tags()["tensors"]}
    assert logged["golden/f1"] == pytest.approx(0.9) and logged["golden/name_f1"] == pytest.approx(0.9)
    assert "golden/pass_hat_k" not in logged and not list(tmp_path.glob("tuned/trackio"))


def test_a_tracker_that_is_not_installed_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    assert main([str(make_run(tmp_path / "tuned", "tuned", 9)), "--log", "trackio"]) == 2
    assert capsys.readouterr().err == "error: --log trackio: trackio is not installed; pip install trackio\n"


def test_every_case_stands_there_with_both_answers_what_was_sent_and_a_place_of_its_own(tmp_path):
    base, tuned = make_run(tmp_path / "base", "base", 2), make_run(tmp_path / "tuned", "tuned", 9)
    assert main([str(tuned), "--base", str(base)]) == 0
    page = Page((tuned / "report.html").read_text("utf-8"))
    items = [attributes for tag, attributes in page.tags if attributes.get("class") == "item"]
    assert {item["id"] for item in items} == {f"case-{n}" for n in range(20)}
    outcomes = [json.loads(item["data-facets"])["outcome"] for item in items]
    assert (outcomes.count("right"), outcomes.count("wrong"), outcomes.count("unscored")) == (17, 2, 1)
    assert page.text.count("0.50 s · ended by stop") == 2 * 19
    places = {attributes.get("id") for _, attributes in page.tags}
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(link.startswith("#") and link[1:] in places for link in links) and "#tool-1" in links


def test_a_place_is_the_same_in_every_report_and_holds_whatever_an_id_holds():
    assert anchor("case", "g-1") == "case-g-1"
    assert anchor("case", 'a b"<狐') == "case-a%20b%22%3C%E7%8B%90"
    assert len({anchor("case", "x" * 1_000), anchor("case", "x" * 1_001), anchor("case", "\ud800")}) == 3


def test_neither_seconds_nor_words_are_told_of_answers_that_a_probe_cut(tmp_path, capsys):
    base, tuned = make_run(tmp_path / "base", "base", 2), make_run(tmp_path / "tuned", "tuned", 9)
    about = read_json(base / "manifest.json")
    about["fingerprint"]["sampling"]["probe_tokens"] = 16
    write_json(base / "manifest.json", about)
    assert main([str(tuned), "--base", str(base)]) == 0
    assert "(cut at 16 tokens)" in capsys.readouterr().out
    page = Page((tuned / "report.html").read_text("utf-8")).text
    assert "base: median" not in page and "tuned: median" in page and "cut after 16 tokens" in page


def test_the_n_grams_of_these_very_cases_stand_beside_the_models(tmp_path, capsys):
    run = make_run(tmp_path / "tuned", "tuned", 9)
    cases = tmp_path / "t_golden.jsonl"
    decided = Baseline(cases=sha256(cases), lines=1_234, calls={str(n): n < 8 for n in range(20)})
    write_json(baseline_path(cases), decided.model_dump())
    assert main([str(run), "--markdown", str(tmp_path / "m.md")]) == 0
    printed, page = capsys.readouterr().out, Page((run / "report.html").read_text("utf-8")).text
    assert "0.889" in printed and "1,234 lines" in printed  # tp 8, fn 2
    assert "n-grams alone" in page and "0.889" in page
    assert "| n-grams alone |" in (tmp_path / "m.md").read_text("utf-8")
    write_json(baseline_path(cases), {**decided.model_dump(), "cases": "of another file"})
    assert main([str(run)]) == 0
    assert "n-grams" not in capsys.readouterr().out
    write_json(baseline_path(cases), {"cases": 1})
    assert main([str(run)]) == 2


KEPT = "adapters/smollm2-135m_caller"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--task=no_task", f"--adapter={KEPT}", "--suite=talk"],
            f"run: make eval RECIPE=smollm2-135m_lora TASK=no_task ADAPTER={KEPT} SUITE=talk",
        ),
        (["--suite=no_suite"], "there is no configs/eval/no_suite.yaml"),
    ],
)
def test_a_recipe_that_was_not_evaluated_is_told_how(words: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["--recipe", "smollm2-135m_lora", *words]) == 2
    assert said in capsys.readouterr().err
