"""The pages in headless Chromium, with every field of a run as hostile as it can be: nothing runs, and the search works."""

import shutil
from pathlib import Path

import pytest
from run_folder import TOOL, call, write_run

from callwright.files import read_json, to_json, write_json, write_jsonl
from eval.compare import main as compare
from eval.report import main as report

HTML = (
    "</script></title></style></textarea></details><script>window.pwned = 1; alert(1)</script>"
    '<img src=x onerror="window.pwned = 1"><svg/onload=pwned=1>\' onmouseover=pwned=1 "><!-- {{7*7}} ]]>&lt;'
)
CONTROL = "\u202eRTL\u2066\u200f \x00\x01\x1b\x7f\x85\ufffe\U0001f525"
HOSTILE = HTML + CONTROL
WORD = "字" * 100_000


def hostile_run(folder: Path, right: int) -> Path:
    """A run of 30 cases in which whatever can be hostile is, one of them of 100,000 letters without a space."""
    names = HOSTILE.replace("\x00", "")
    tool = {"function": {**TOOL["function"], "name": names}}
    cases, predictions = [], []
    for i in range(30):
        said = f"{'needle ' if i == 4 else ''}{HOSTILE} {i}"
        tags = {HOSTILE: HOSTILE, "lang": "zh" if i % 2 else "en", "__proto__": "x", "verdict": HTML}
        cases.append(
            {
                "id": f"{i} {HOSTILE}",
                "messages": [{"role": "user", "content": WORD if i == 0 else said}],
                "tools": [tool],
                "expected": [{"name": names, "arguments": {"x": HOSTILE}}],
                "tags": tags,
                "group": HOSTILE,
            }
        )
        made = call(to_json({"x": HOSTILE if i >= 30 - right else "no", **({HOSTILE: HTML} if i == 2 else {})}), names)
        made = {1: call(HOSTILE), 3: []}.get(i, made)
        predictions.append({"id": f"{i} {HOSTILE}", "content": WORD if i == 1 else HOSTILE, "tool_calls": made})
        predictions[-1] |= {"latency_s": 0.1 * (i + 1), "finish_reason": HOSTILE}
    predictions[5] = {"id": f"5 {HOSTILE}", "error": HOSTILE}
    path = folder.parent / "hostile.jsonl"
    write_jsonl(path, cases)
    write_run(folder, f"{HOSTILE}{right}", [path], predictions, HOSTILE)
    about = read_json(folder / "manifest.json")
    for key in ("time", "suite", "name"):
        about[key] = f"{about[key]}{HOSTILE}"
    about |= {"recipe": {"stem": HTML}, "git": {"commit": HTML, "dirty": True}, "packages": {HTML: HTML}, "asked": HTML}
    about["machine"] = dict.fromkeys(about["machine"], HTML) | {"gpus": [HTML]}
    about["fingerprint"][HTML] = {HTML: HTML}
    write_json(folder / "manifest.json", about)
    row = {"native": "no_call", "raw": "correct", "n": 2, "cause": "server", "ids": [HTML, CONTROL]}
    write_json(folder / "attribution.json", [row])
    return folder


@pytest.fixture(scope="module")
def browser():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium here")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def load(browser, path: Path) -> None:
    """Open a page, and make sure that it fits a desk's and a phone's width and that nothing but our script ran."""
    for width in (1200, 390):
        screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get(path.as_uri())
        browser.execute_script("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ran = browser.execute_script("return [window.pwned, document.scripts.length, document.images.length]")
    assert ran == [None, 1, 0]
    assert browser.execute_script("return document.querySelectorAll('[onerror], [onload], [onmouseover]').length") == 0
    assert browser.get_log("browser") == []
    text = browser.find_element("css selector", "main").text
    assert "{{7*7}}" in text and "&#3" not in text and "&amp;" not in text, "evaluated, or escaped twice"


def shown(browser) -> list[str]:
    """The first lines of the cases that can be seen."""
    items = browser.find_elements("css selector", ".item")
    return [item.find_element("css selector", "summary").text for item in items if item.is_displayed()]


@pytest.mark.slow
def test_nothing_runs_in_a_report_and_its_cases_can_be_searched(tmp_path, browser):
    from selenium.webdriver.support.ui import Select

    tuned, base = hostile_run(tmp_path / "tuned", 10), hostile_run(tmp_path / "base", 5)
    assert report([str(tuned), "--base", str(base)]) == 0
    assert (tuned / "report.html").stat().st_size < 1_000_000, "100 kB words are cut"
    load(browser, tuned / "report.html")
    assert len(shown(browser)) == 30
    search = browser.find_element("css selector", ".filter input")
    search.send_keys("NEEDLE ONERROR")
    assert len(shown(browser)) == 1 and "needle" in shown(browser)[0]
    assert browser.find_element("css selector", ".filter output").text == "1 of 30"
    search.clear()
    search.send_keys("no such words")
    assert shown(browser) == []
    search.send_keys("\ue003" * 20)  # backspace
    assert len(shown(browser)) == 30
    choices = {
        choice.get_attribute("aria-label"): choice for choice in browser.find_elements("css selector", ".filter select")
    }
    verdict, lang = choices["verdict"], choices["lang"]
    assert set(choices) == {"verdict", "base verdict", "outcome", "lang"}
    Select(verdict).select_by_value("wrong_value")
    values = len(shown(browser))
    assert 0 < values < 30 and browser.find_element("css selector", ".filter output").text == f"{values} of 30"
    Select(lang).select_by_value("zh")
    assert 0 < len(shown(browser)) < values
    assert browser.get_log("browser") == []


@pytest.mark.slow
def test_nothing_runs_in_a_comparison_and_its_changes_can_be_filtered(tmp_path, browser):
    from selenium.webdriver.support.ui import Select

    a, b = hostile_run(tmp_path / "a", 5), hostile_run(tmp_path / "b", 12)
    assert compare([str(a), str(b)]) == 0
    load(browser, b / "compare.html")
    assert len(shown(browser)) == 7
    browser.find_element("css selector", ".filter input").send_keys("zh")
    assert 0 < len(shown(browser)) < 7
    change = browser.find_elements("css selector", ".filter select")
    assert [choice.get_attribute("aria-label") for choice in change] == ["lang"], "all changed in the same way"
    Select(change[0]).select_by_value("en")
    assert shown(browser) == []


@pytest.mark.slow
def test_without_its_script_a_page_shows_every_case(tmp_path, browser):
    tuned = hostile_run(tmp_path / "tuned", 10)
    assert report([str(tuned)]) == 0
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get((tuned / "report.html").as_uri())
        assert len(shown(browser)) == 30
        assert not browser.find_element("css selector", ".filter").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
