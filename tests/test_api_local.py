"""A small model on one's own machine as the writer: slow, few at a time, rambling, with calls in its text."""

# ruff: noqa: F811  # fixtures that are imported are named again as arguments

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from api_server import SEEDS, Server, house, model, serve
from test_api import examples, paid, rejected, run, said, toy  # noqa: F401

from callwright.files import ROOT, atomic, sweep
from callwright.records import Call, Seed
from tools.utterances.llm import rate_limiter
from tools.utterances.llm.label import longest_label
from tools.utterances.llm.progress import Shortfall
from tools.utterances.llm.rate_limiter import FIRST_S, RateLimiter

RUN = """
import sys
from pathlib import Path
import callwright.config
from tools import augment
from tools.utterances.llm import client, progress
callwright.config.ROOT = Path(sys.argv[1])
client.BACKOFF_S, progress.EVERY_S = 0.01, 0.1
sys.exit(augment.main(["toy"]))
"""


def start(root: Path, server: Server) -> subprocess.Popen[str]:
    """A run of its own process, whose stderr is a pipe."""
    environment = {**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "k"}
    command = [sys.executable, "-c", RUN, str(root)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


async def windows(tell: list[float | str], widest: int = 16) -> list[int]:
    """The window after each event: seconds that all of a full window took, `429`, or `silence`."""
    found, own = [], RateLimiter(1e6, widest, least_s=60)
    for event in tell:
        while not own.places.locked():
            await own.places.acquire()
        change = own.change
        if event == "429":
            own.since = time.monotonic()  # the last cut is long ago
            own.slow_down(0)
        elif event == "silence":
            own.silent(change)
        else:
            for _ in range(max(own.window, rate_limiter.LEAST)):
                own.answered("label", float(event), change)
        found.append(own.window)
    return found


@pytest.mark.parametrize(
    ("tell", "found"),
    [
        ([9, 9, 9, 9, 9, 9], [2, 4, 8, 16, 16, 16]),  # answers take as long however many are asked for
        ([9, 18, 9, 18, 9, 18], [2, 1, 2, 1, 2, 1]),  # one slot: two at a time take twice as long
        ([9, 9, 9, 30, 10, 10, 10], [2, 4, 8, 5, 6, 7, 8]),
        ([0.02, 0.02, 0.4, 0.9], [2, 4, 8, 16]),  # nobody waits worth mentioning
        ([9, 9, 9, "429", 9, "429"], [2, 4, 8, 5, 6, 4]),
        ([9, 9, 9, "silence", 9, "silence", "silence", "silence"], [2, 4, 8, 4, 5, 2, 1, 1]),
    ],
)
def test_the_window_grows_while_answers_take_no_longer_and_shrinks_when_they_do(tell, found: list[int]) -> None:
    assert asyncio.run(windows(tell)) == found


def test_silence_is_measured_by_the_answers_before() -> None:
    async def patience(*took_s: float, longest: int = 100) -> float:
        own = RateLimiter(1e6, 4, least_s=60)
        for seconds in took_s:
            own.answered("label", seconds, own.change)
        return own.patience(longest)

    assert asyncio.run(patience()) == FIRST_S
    assert asyncio.run(patience(1, 2)) == 60 and asyncio.run(patience(20, 50)) == 200
    assert asyncio.run(patience(20, 20, longest=1000)) == 2 * 1000 * 20 / 50, "another one may take all its tokens"


def test_a_server_of_one_slot_is_asked_few_at_a_time_and_nothing_is_cancelled(
    toy: Path,
    run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limiter, "QUICK_S", 0.01)
    house(toy, timeout_s=0.5, concurrency=16)
    slot, lock, waiting = threading.Lock(), threading.Lock(), Counter[str]()

    def slow(number: int, body: dict[str, Any]) -> None:
        with lock:
            waiting["now"] += 1
            waiting["most"] = max(waiting["most"], waiting["now"])
        with slot:
            time.sleep(0.15)
        with lock:
            waiting["now"] -= 1

    with serve(slow) as server:
        assert run(server)[0] == 0
    assert len(server.requests) == len(server.asked) == paid(toy)[0], "each was asked once, and its answer waited for"
    assert waiting["most"] <= 8 and len(examples(toy)) == 24


def test_a_first_answer_that_never_comes_is_one_line(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limiter, "FIRST_S", 0.2)
    house(toy, timeout_s=0.1)
    with serve(lambda number, body: time.sleep(1)) as server:
        status, _, err = run(server)
    assert status == 2 and "nothing within" in err.splitlines()[-1] and "loads its model" in err.splitlines()[-1]


def test_labels_are_bounded_by_what_a_call_can_take(toy: Path, run) -> None:
    with serve() as server:
        assert run(server)[0] == 0
    bounds = {body["max_tokens"] for body in server.requests if "tools" in body}
    assert max(bounds) < 200 and {body["max_tokens"] for body in server.requests if "tools" not in body} == {1024}
    names = {"city": {"type": "string", "enum": ["x" * 500, "y"]}}
    tool = {"function": {"name": "go", "parameters": {"type": "object", "properties": names}}}
    two = Seed(id="s", text="go twice", calls=[Call(name="go", arguments={"city": "y"})] * 2)
    assert 1000 < longest_label([two], [tool]) < 1100 and longest_label([], [tool]) > 500


RAMBLE = "That is a fine question. Painting is an art, and there is a lot to be said about it, as"


@pytest.mark.parametrize(
    ("answered", "reply"),
    [
        (said(RAMBLE, finish="length"), "That is a fine question."),
        (said("這是一幅好畫。它的作者", finish="length"), "這是一幅好畫。"),
        (said("<think>no tool</think>\nNobody knows."), "Nobody knows."),
        (said("without any end of a sentence in sight", finish="length"), "the answer is truncated"),
    ],
)
def test_of_a_reply_that_rambles_the_first_sentence_counts(toy: Path, run, answered, reply: str) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        return answered if "tools" in body and not body["messages"][1]["content"].startswith("draw") else None

    house(toy, 4, 4)
    with serve(fault) as server:
        run(server)
    made = {e.reply for e in examples(toy) if not e.calls and e.source != "seed"}
    broken = [line["detail"] for line in rejected(toy) if line["reason"] == "broken"]
    cjk = [line["detail"] for line in rejected(toy) if line["reason"] != "broken"]
    assert made == {reply} or (made == set() and any(reply in detail for detail in broken)), (made, broken, cjk)
    assert max(body["max_tokens"] for body in server.requests if "tools" in body) < 200, "no second try is longer"


@pytest.mark.parametrize("thought", ["", "<think>The user wants"])
def test_a_labeller_that_still_thinks_at_the_bound_gets_all_its_tokens(toy: Path, run, thought: str) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        return said(thought, finish="length") if "tools" in body and body["max_tokens"] < 1024 else None

    with serve(fault) as server:
        assert run(server)[0] == 0
    assert len(examples(toy)) == 24 and not [line for line in rejected(toy) if line["reason"] == "broken"]


@pytest.mark.parametrize(
    "form",
    [
        '<tool_call>\n{{"name": "generate_image", "arguments": {0}}}\n</tool_call>',
        '{{"name": "generate_image", "parameters": {0}}}',
    ],
)
def test_a_call_in_the_text_is_a_label(toy: Path, run, form: str) -> None:
    def in_text(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        message = model(body)["choices"][0]["message"]
        calls = message.get("tool_calls")
        return said(form.format(calls[0]["function"]["arguments"])) if calls else None

    with serve() as server:
        assert run(server)[0] == 0
    made = examples(toy)
    (toy / "data/work/toy/ledger.sqlite").unlink()
    with serve(in_text) as server:
        assert run(server)[0] == 0
    assert examples(toy) == made


@pytest.mark.parametrize("text", ["<tool_call>\n{", '{{"name": "generate_image", "arguments": {}'])
def test_a_call_that_cannot_be_read_is_asked_for_once_more_in_a_form(toy: Path, run, text: str) -> None:
    def unreadable(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        return said(text) if "tools" in body and body["messages"][1]["content"].startswith("draw") else None

    with serve(unreadable) as server:
        assert run(server)[0] == 0
    made = [e for e in examples(toy) if e.calls and e.source != "seed"]
    assert len(made) == 9 and all(e.calls[0].arguments == {"prompt": e.text[5:]} for e in made)
    schemas = [
        body["response_format"]["json_schema"]["schema"] for body in server.requests if body.get("response_format")
    ]
    calls = next(schema["properties"]["calls"] for schema in schemas if "calls" in schema["properties"])
    assert calls["maxItems"] == 1 and calls["items"]["anyOf"][0]["properties"]["name"] == {"const": "generate_image"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_no_files_and_keeps_what_was_under_way(toy: Path, number: signal.Signals) -> None:
    house(toy, 12, 12, concurrency=4)
    with serve(delay_s=0.3) as server:
        process = start(toy, server)
        while len(server.requests) < 10 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number and err.splitlines()[-1] == "interrupted", err
        left = {path.name for path in (toy / "data/work/toy").iterdir()}
        assert left <= {"ledger.sqlite", "ledger.sqlite-wal", ".lock"}, left
        assert paid(toy)[0] == len(server.requests), "what the server had begun is in the ledger"
        server.delay_s = 0
        assert start(toy, server).communicate(timeout=60) and max(server.asked.values()) == 1


def test_what_a_killed_run_left_goes_at_the_next_start(toy: Path) -> None:
    work = toy / "data/work/toy"
    with serve(delay_s=0.1) as server:
        process = start(toy, server)
        while len(server.requests) < 3 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert len(list(work.glob(".*.part"))) == 2
        server.delay_s = 0
        start(toy, server).communicate(timeout=60)
    assert not list(work.glob(".*.part")) and (work / "examples.jsonl").is_file()


def test_a_file_that_is_being_written_is_not_swept(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.jsonl") as file:
        sweep(tmp_path)
        file.write("{}\n")
    assert (tmp_path / "a.jsonl").read_text() == "{}\n"


def test_a_log_that_is_no_terminal_has_a_line_now_and_then(toy: Path) -> None:
    def red(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        return said("No.") if "tools" in body and number % 3 == 0 else None

    with serve(red, delay_s=0.1) as server:
        process = start(toy, server)
        _, err = process.communicate(timeout=60)
    lines = [line for line in err.splitlines() if "s an answer" in line]
    assert len(lines) > 3 and "\x1b" not in err and "━" not in err, err
    for part in (
        "augment toy: ",
        " answers",
        " good lines of 19",
        " rejected (",
        " disagreement",
        " at a time",
        " min left",
    ):
        assert part in lines[-1], part


def test_a_model_that_copies_is_told_from_one_that_is_used_up(toy: Path, run) -> None:
    texts = [seed["text"] for seed in SEEDS]
    with serve(lambda number, body: None if "tools" in body else said(json.dumps({"utterances": texts}))) as server:
        status, _, err = run(server)
    assert status == 0 and "this model copies; raise augment.api.temperature" in err, err
    shortfall = Shortfall()
    for reason in [*[""] * 40, *["duplicate"] * 60]:
        shortfall.line("call", reason)
    assert "no more new lines to be had: 60 of the last 60" in shortfall.why("call")
    for reason in ["disagreement"] * 9 + ["broken"] * 60:
        shortfall.line("no_call", reason)
    assert "of the last 69 lines none was good (60 broken, 9 disagreement)" in shortfall.why("no_call")
