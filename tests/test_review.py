"""The review page: what it finds suspicious, and real key presses in a browser up to the next augment."""

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from callwright.files import ROOT, read_jsonl, write_jsonl, write_text
from callwright.records import Call, Example, read_records
from callwright.schema import canonical_tools
from tools.checks.review_page import MOST_BYTES
from tools.review import main
from tools.utterances.review_log import apply_decisions, digest, read_decisions, replay_log
from tools.utterances.review_queue import ReviewedLine, ReviewQueue, inspect

HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">{{ 7*7 }}</pre>"
PROPERTIES = {
    "what": {"type": "string"},
    "size": {"enum": ["large"]},
    "tags": {"type": "array", "items": {"enum": ["x"]}},
}
PARAMETERS = {"type": "object", "properties": PROPERTIES, "required": ["what"]}
TOOLS = canonical_tools([{"name": "draw", "parameters": PARAMETERS}], "tools")


def example(identity: str, text: str, what: str = "", lineage: str = "", **more) -> Example:
    value = {"calls": [Call(name="draw", arguments={"what": what, **more})] if what else []}
    return Example(
        id=identity, text=text, reply=None if what else "ok", lineage=lineage or identity, source="x", **value
    )


def reasons(examples: list[Example]) -> dict[str, list[str]]:
    return {line.example.id: [reason.kind for reason in line.reasons] for line in inspect(examples, TOOLS)}


def test_arguments_that_the_utterance_lacks_are_suspicious(capsys):
    lines = [
        example("said", "畫一隻橘貓 in the rain", "橘貓 in the RAIN", size="large", tags=["x"]),
        example("unsaid", "畫點什麼給我吧", "a melting clock"),
    ]
    assert reasons(lines) == {"unsaid": ["grounding"], "said": []}
    assert "labels are not checked: " in capsys.readouterr().out


def test_near_copies_with_another_label_come_first():
    lines = [
        example("far", "完全不同的一句話"),
        example("b/1", "畫一隻戴墨鏡的柴犬給我看", "戴墨鏡的柴犬", "b"),
        example("b/2", "畫一隻戴墨鏡的柴犬給我看。", "戴墨鏡的柴犬", "b"),
        example("c", "畫隻戴墨鏡的柴犬給我看", "戴墨鏡的柴犬"),
        example("d", "畫一隻戴墨鏡的柴犬給他看"),
    ]
    found = inspect(lines, TOOLS)
    assert [line.example.id for line in found][-1] == "far" and found[-1].reasons == []
    assert found[0].example.id == "d" and [reason.weight for reason in found[0].reasons] == [1.0, 1.0, 1.0]
    twins = {line.example.id: {reason.text.split()[4] for reason in line.reasons} for line in found}
    assert twins["b/1"] == {"c", "d"}  # not its own sibling


def test_labels_that_their_ngrams_deny_are_suspicious():
    lines = [example(f"c{n}", f"please draw a picture of thing {n}", f"thing {n}") for n in range(30)]
    lines += [example(f"n{n}", f"what time is it in city {n}") for n in range(30)]
    lines[7] = example("c7", "what time is it in city x", "x")
    found = [line.example.id for line in inspect(lines, TOOLS) if any(r.kind == "label" for r in line.reasons)]
    assert found == ["c7"]


def test_what_has_been_applied_stays_decided_and_can_be_changed_again(tmp_path):
    born = example("a", "畫貓", "貓")
    call = '[{"name": "draw", "arguments": {"what": "%s"}}]'

    def queue(subject: Example) -> ReviewQueue:
        return ReviewQueue({"a": ReviewedLine(subject, digest(subject), [])}, tmp_path / "review.jsonl", TOOLS)

    live, _ = queue(born).rewrite("a", "畫狗", call % "狗", "")
    edited = next(apply_decisions([born], live, TOOLS, Counter(), []))
    again = queue(edited)
    assert again.lines["a"].held(live).action == "edit"
    assert queue(example("a", "畫魚", "魚")).lines["a"].held(live) is None
    live, new = again.judge("accept", ["a"])
    assert new == [] and live["a"].action == "edit"  # to accept an edited line keeps the edit
    live, _ = again.rewrite("a", "畫熊", call % "熊", "")
    assert next(apply_decisions([born], live, TOOLS, Counter(), [])).text == "畫熊"
    with pytest.raises(ValueError, match="draw has no argument 'color'"):
        again.rewrite("a", "x", '[{"name": "draw", "arguments": {"color": 1}}]', "")
    with pytest.raises(ValueError, match=r"^relabel needs text"):
        again.rewrite("a", "x", "[]", " ")
    live, new = again.undo(["earlier", new_time := live["a"].time])
    assert new_time and [one.id for one in new] == ["a"] and live["a"].text == "畫狗"


def test_bad_input_is_one_line(tmp_path, capsys, monkeypatch):
    assert main(["no_such_task"]) == 2
    assert "choose one of" in capsys.readouterr().err
    assert main(["image_intent", "--port", "99999"]) == 2
    assert "error: --port 99999: " in capsys.readouterr().err


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the house with a task `mini`: eight seeds, one of them hostile, and what augment makes of them."""
    for name in ("callwright", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    seeds = tmp_path / "data" / "seeds" / "mini"
    seeds.mkdir(parents=True)
    for name in ("tools.json", "grammar.yaml"):
        shutil.copy(ROOT / "data" / "seeds" / "image_intent" / name, seeds)
    said = {"s1": "draw a red fox", "s2": f"draw {HOSTILE}", "s3": "paint two owls", "s4": "sketch a lighthouse"}
    not_said = {
        "n1": "how tall is a fox",
        "n2": f"what does {HOSTILE} do",
        "n3": "owls sleep when",
        "n4": "good morning",
    }
    tags = {"lang": "en", "register": "plain", "kind": "chat"}
    lines = [
        {
            "calls": [{"name": "generate_image", "arguments": {"prompt": text.split(" ", 1)[1]}}],
            "reply": None,
            "text": text,
        }
        for text in said.values()
    ]
    lines += [{"calls": [], "reply": "I see.", "text": text} for text in not_said.values()]
    ids = [*said, *not_said]
    write_jsonl(seeds / "seeds.jsonl", [{"id": i, "tags": tags, **line} for i, line in zip(ids, lines, strict=True)])
    augment = {"call": 12, "no_call": 12, "from_seeds": 1.0, "variants": 4}
    write_text(tmp_path / "configs" / "data" / "mini.yaml", yaml.safe_dump({"task": "mini", "augment": augment}))
    run_augment(tmp_path)
    return tmp_path


def run_augment(house: Path) -> str:
    command = [sys.executable, "-m", "tools.augment", "mini"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True, check=True, timeout=60).stdout


class Browser:
    """The page in headless Chromium."""

    def __init__(self, url: str) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        self.url = url
        self.driver.get(url)
        self.until(lambda: self.number("left") > 0)

    def until(self, condition) -> None:
        from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = [NoSuchElementException, StaleElementReferenceException]
        WebDriverWait(self.driver, 20, 0.05, ignored).until(lambda driver: condition())

    def find(self, selector: str):
        return self.driver.find_element("css selector", selector)

    def number(self, name: str) -> int:
        return int(self.find(f"#{name}").text)

    def counts(self) -> tuple[int, int, int]:
        return self.number("done"), self.number("left"), self.number("picked")

    @property
    def line(self) -> str:
        return self.find("#line").text

    def hosts(self) -> set[str]:
        """Whom the page has asked; what its policy blocked has not left."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        blocked = {e["params"]["requestId"] for e in events if e["params"].get("blockedReason")}
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        urls = [one["request"]["url"] for one in sent if one["requestId"] not in blocked]
        return {url.split("/")[2] for url in urls if url.startswith("http")}

    def press(self, keys: str) -> None:
        self.find("body").send_keys(keys)

    def step(self, key: str) -> None:
        before = self.line
        self.press(key)
        self.until(lambda: self.line != before)

    def write(self, selector: str, text: str) -> None:
        """Put `text` in place of what a text field holds, key by key."""
        from selenium.webdriver.common.keys import Keys

        self.find(selector).send_keys(Keys.CONTROL + "a")
        self.find(selector).send_keys(Keys.DELETE + text)

    def save(self) -> None:
        from selenium.webdriver.common.keys import Keys

        self.driver.switch_to.active_element.send_keys(Keys.CONTROL + Keys.ENTER)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no chromium here")
def test_keys_decide_and_the_next_augment_applies(house):
    examples = {one.id: one for one in read_records(house / "data" / "work" / "mini" / "examples.jsonl", Example)}
    shown = {i for i, one in examples.items() if one.transforms}
    assert sum("onerror" in examples[i].utterance for i in shown) >= 2
    path = house / "data" / "seeds" / "mini" / "review.jsonl"
    command = [sys.executable, "-m", "tools.review", "mini", "--port", "0"]
    server = subprocess.Popen(command, cwd=house, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        printed = [server.stdout.readline(), server.stdout.readline()]
        assert printed[0].startswith("labels are not checked") and f"review mini: {len(shown)} lines" in printed[1]
        page = Browser(printed[1].split(" at ")[1].split()[0])
        try:
            decided = walk(page, path, examples, shown)
        finally:
            page.driver.quit()
    finally:
        server.send_signal(signal.SIGINT)
        rest = server.communicate(timeout=30)[0]
    assert server.returncode in (0, 130) and "Traceback" not in rest  # 0 where Ctrl-C is ignored, as in the background
    printed = run_augment(house)
    assert "decisions applied: 1 accept, 1 edit" in printed and "not applied: 0" in printed
    after = {one.id: one for one in read_records(house / "data" / "work" / "mini" / "examples.jsonl", Example)}
    assert set(examples) - set(after) == decided["reject"]
    assert after[decided["edit"]].text == "draw a red fox, arlu" and after[decided["edit"]].source == "review"
    assert after[decided["edit"]].lineage == examples[decided["edit"]].lineage
    assert after[decided["relabel"]].label == "no_call" and after[decided["relabel"]].reply == "Which one?"
    assert after[decided["accept"]] == examples[decided["accept"]]


def refuses_strangers(url: str) -> None:
    """Nothing can be uploaded from another site's page, by another name, or at any size."""
    import httpx2

    def upload(size: int, **headers: str) -> int:
        files = {"files": ("a.txt", b"x" * size)}
        with httpx2.Client(trust_env=False, timeout=20) as client:
            return client.post(f"{url}/gradio_api/upload", files=files, headers=headers).status_code

    assert upload(9, Origin=url) == 200
    assert upload(9, Origin="http://evil.example") == upload(9, Origin="null") == 403
    assert upload(9, Host="evil.example") == 400
    assert upload(MOST_BYTES) == 413


def walk(page: Browser, path: Path, examples: dict[str, Example], shown: set[str]) -> dict:
    """Go through the page as a person would; return who was decided how."""
    from selenium.webdriver.common.keys import Keys

    total = len(shown)
    first = page.line
    assert page.counts() == (0, total, total) and first in shown
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.step("j")
    second = page.line
    page.step(Keys.ARROW_UP)
    assert page.line == first and not path.exists()

    page.step("a")
    assert page.counts() == (1, total - 1, total - 1) and page.line == second
    assert [(one.id, one.action) for one in read_decisions(path)] == [(first, "accept")]
    page.press("u")
    page.until(lambda: page.counts() == (0, total, total) and page.line == first)
    page.step("a")
    page.step("r")
    assert page.counts() == (2, total - 2, total - 2) and replay_log(read_decisions(path))[second].action == "reject"

    while not examples[page.line].calls:
        page.step("j")
    edit = page.line
    page.press("e")
    page.until(lambda: page.driver.switch_to.active_element.tag_name == "textarea")
    assert page.driver.switch_to.active_element.get_attribute("value") == examples[edit].text
    page.write("#text textarea", "draw a red fox, arlu")  # every key of the page is a letter here
    assert page.line == edit and page.number("done") == 2
    page.write("#calls textarea", json.dumps([{"name": "paint", "arguments": {}}]))
    page.save()
    page.until(lambda: "'paint' is not one of generate_image" in page.find("#notice").text)
    assert page.number("done") == 2 and len(read_decisions(path)) == 4
    page.write("#calls textarea", json.dumps([{"name": "generate_image", "arguments": {"prompt": "a red fox"}}]))
    page.save()
    page.until(lambda: page.number("done") == 3)

    while not examples[page.line].calls:
        page.step("j")
    relabel = page.line
    page.press("l")
    page.until(lambda: page.find("#calls textarea").get_attribute("value") == "[]")
    page.write("#reply textarea", "Which one?")
    page.save()
    page.until(lambda: page.number("done") == 4)
    assert [one.action for one in read_decisions(path)][-2:] == ["edit", "relabel"]
    assert page.line not in {first, second, edit, relabel}
    page.press("u")
    page.until(lambda: page.number("done") == 3)
    assert page.line == relabel
    page.press("l")
    page.until(lambda: page.find("#reply textarea").is_displayed())
    page.find("#text textarea").send_keys(Keys.ESCAPE)
    page.until(lambda: not page.driver.find_elements("css selector", "#save"))
    page.press("l")
    page.until(lambda: page.find("#reply textarea").is_displayed())
    page.write("#reply textarea", "Which one?")
    page.save()
    page.until(lambda: page.number("done") == 4)

    # at one stroke: a filter that a later letter sets off would close the question that is asked below
    once = "arguments[0].value = 'onerror'; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    page.driver.execute_script(once, page.find("#search :is(input, textarea)"))
    left = {i for i in shown - {first, second, edit, relabel} if "onerror" in str(examples[i])}
    page.until(lambda: page.number("picked") == len(left))
    assert HOSTILE in page.find("#card .said").text and page.number("done") == 4
    for selector in ("#card script", "#card img", "#card [onerror]"):
        assert not page.driver.find_elements("css selector", selector)
    assert page.driver.title == "review mini"
    page.find("#reject-all").click()
    page.until(lambda: page.find("#yes").text == f"yes, reject all {len(left)} shown")
    page.find("#no").click()
    page.until(lambda: not page.driver.find_elements("css selector", "#yes"))
    for _ in range(2):
        assert page.number("done") == 4
        page.find("#reject-all").click()
        page.until(lambda: page.find("#yes").is_displayed())
        page.find("#yes").click()
        page.until(lambda: page.counts() == (4 + len(left), total - 4 - len(left), 0))
        if _ == 0:  # one press takes back what one click did
            page.press("u")
            page.until(lambda: page.counts() == (4, total - 4, len(left)))
    live = replay_log(read_decisions(path))
    assert {i for i, one in live.items() if one.action == "reject"} == {second, *left}
    assert len({live[i].time for i in left}) == 1

    assert page.hosts() == {page.url.removeprefix("http://")}
    refuses_strangers(page.url)
    assert sum(1 for _ in read_jsonl(path)) == len(read_decisions(path))
    return {"accept": first, "reject": {second, *left}, "edit": edit, "relabel": relabel}
