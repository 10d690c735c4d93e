"""The openai backend against a server that behaves, and misbehaves, like the API."""

import hashlib
import json
import multiprocessing
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from api_server import SEEDS, Server, house, model, serve

import callwright.config
from callwright.config import Rows, Source, load_data_config
from callwright.errors import UserError
from callwright.files import ROOT, read_jsonl, write_jsonl
from callwright.records import Example, read_records
from callwright.schema import load_tools
from callwright.tasks import seed_fault
from tools.augment import main
from tools.utterances.llm import batch, client


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("callwright.config.ROOT", tmp_path)
    monkeypatch.setattr(client, "BACKOFF_S", 0.01)
    monkeypatch.setattr(batch, "POLL_S", 0.01)
    monkeypatch.setattr(batch, "SETTLE_S", 0.05)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return house(tmp_path)


@pytest.fixture
def run(toy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the command against a server; returns its status, output and errors."""

    def run(server: Server | str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("OPENAI_BASE_URL", server if isinstance(server, str) else server.url)
        status = main(["toy", *arguments])
        return status, *capsys.readouterr()

    return run


def examples(root: Path) -> list[Example]:
    return read_records(root / "data/work/toy/examples.jsonl", Example)


def rejected(root: Path) -> list[dict[str, Any]]:
    return [line for _, line in read_jsonl(root / "data/work/toy/rejected.jsonl")]


def paid(root: Path) -> tuple[int, float]:
    with closing(sqlite3.connect(root / "data/work/toy/ledger.sqlite")) as db:
        return db.execute("SELECT count(*), total(dollars) FROM answers").fetchone()


def error(status: int, message: str, **headers: str) -> tuple[int, dict[str, str], str]:
    return status, {k.replace("_", "-"): v for k, v in headers.items()}, json.dumps({"error": {"message": message}})


def test_as_many_of_each_label_as_asked_with_their_history(toy: Path, run) -> None:
    with serve(key="sk-secret") as server:
        status, out, err = run(server)
        first = len(server.requests)
        assert status == 0 and out.startswith("augment toy: 24 examples (") and out.count("\n") == 1
        made = examples(toy)
        tools = load_tools(toy / "data/seeds/toy/tools.json")
        assert Counter(e.label for e in made) == {"call": 12, "no_call": 12}
        assert [e.id for e in made[:5]] == [seed["id"] for seed in SEEDS] and {e.source for e in made[:5]} == {"seed"}
        assert {e.source for e in made[5:]} == {"openai:m"} and not any(seed_fault(e, tools) for e in made)
        assert {e.transforms[0] for e in made[5:]} == {"paraphrase", "new", "minimal_pair"}
        roots = {e.id: e for e in made[:5]}
        for e in made[5:]:
            assert e.reply == (None if e.calls else f"So {e.text}.")
            assert (e.lineage in roots) == (e.transforms != ["new"])
            if e.transforms == ["minimal_pair"]:
                assert not e.calls and roots[e.lineage].calls
            if e.calls:
                words = e.expected[0].arguments["prompt"]["contains"]
                assert (
                    words == [*e.text.split()[2:4], e.text.split()[-1]] and e.calls[0].arguments["prompt"] == e.text[5:]
                )
        assert paid(toy)[0] == first == len(server.asked) and paid(toy)[1] > 0
        assert run(server)[0] == 0
        assert examples(toy) == made and len(server.requests) == first, "a second run asks nothing"
    label = next(body for body in server.requests if "tools" in body)
    assert [m["role"] for m in label["messages"]] == ["system", "user"] and label["tools"] == tools
    everything = "".join(p.read_bytes().decode("latin-1") for p in toy.rglob("*") if p.is_file()) + out + err
    assert "sk-secret" not in everything


def test_a_share_of_the_calls_is_told_on_to_an_answer_after_the_result(toy: Path, run) -> None:
    house(toy, 40, 40, round=4)
    with serve() as server:
        assert run(server)[0] == 0
        plain, asked, (_, dollars) = examples(toy), len(server.requests), paid(toy)
        house(toy, 40, 40, round=4, results=0.25)
        _, out, _ = run(server, "--dry-run")
        assert "about 140 requests" in out, "24 for 75 lines, 96 for their labels, 10 for results and 10 for answers"
        assert run(server)[0] == 0
        assert len(server.requests) == asked + 20 and max(server.asked.values()) == 1, "the rest is in the ledger"
        made = examples(toy)
        told = [e for e in made if e.after_result]
        assert [e for e in made if not e.after_result] == plain, "they come beside the quotas"
        assert run(server)[0] == 0 and examples(toy) == made and len(server.requests) == asked + 20
    assert len(told) == 10 and paid(toy)[1] > dollars
    parents = {e.id: e for e in made}
    for e in told:
        parent = parents[e.id.partition("/result")[0]]
        assert e.utterance == parent.text and e.lineage == parent.lineage and e.source == "openai:m"
        assert (e.calls, e.text, e.tags) == ([], None, {**parent.tags, "kind": "result"})
        assert [m["role"] for m in e.messages] == ["user", "assistant", "tool"] and e.reply == f"So {parent.text}."
        assert json.loads(e.messages[1]["tool_calls"][0]["function"]["arguments"]) == parent.calls[0].arguments
        assert e.messages[2]["content"] == '{"url":"https://img.example/7.png"}'.replace(":", ": ", 1)
    body = next(b for b in server.requests if b["messages"][-1]["role"] == "tool")
    assert "without calling again" in body["messages"][0]["content"] and body["tools"]


@pytest.mark.parametrize(
    ("results", "answered", "reason", "detail"),
    [
        (None, ("", '{"prompt": "x"}'), "disagreement", "written for no call, labelled generate_image"),
        (None, ("", None), "broken", "neither a call nor a reply"),
        (None, ("圖片好了", None), "script", "en in CJK"),
        ('{"results": ["{}", "{}"]}', None, "broken", "2 results of 1 calls"),
        ('{"results": ["done"]}', None, "broken", "a result is not JSON text"),
    ],
)
def test_what_is_wrong_after_a_result_is_said(toy: Path, run, results, answered, reason: str, detail: str) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        if "Make up what each call returns" in body["messages"][0]["content"]:
            return said(results) if results else None
        return said(*answered) if answered and len(body["messages"]) > 3 else None

    house(toy, 3, 2, results=1)
    with serve(fault) as server:
        assert run(server)[0] == 0
    found = [line for line in rejected(toy) if line["label"] == "result"]
    assert {line["lineage"] for line in found} == {"c0", "c1", "c2"} and len(found) == (6 if reason == "broken" else 3)
    assert all(line["reason"] == reason and detail in line["detail"] for line in found), found
    assert len(examples(toy)) == 5


def test_answers_after_results_pass_every_later_step(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools import split
    from tools.checks import audit
    from tools.checks.lint_row import check_row
    from tools.formats.dataset_info import entry_of
    from tools.rows.build import convert_task
    from tools.rows.split import SIDES
    from tools.utterances import clean
    from tools.utterances.review_log import Decision, rewritten

    monkeypatch.setattr("tools.formats.dataset_info.ROOT", toy)
    house(toy, 60, 60, results=0.5)
    write_jsonl(toy / "data/seeds/toy/golden.jsonl", [{**SEEDS[4], "text": "which year is it in the far north?"}])
    with serve() as server:
        assert run(server)[0] == 0
    made = examples(toy)
    kept, dropped = clean.clean(made, load_data_config("toy").clean, [])
    assert sum(e.after_result for e in made) == 30 and sum(e.after_result for e in kept) > 20
    assert {drop.step for drop in dropped if drop.example.after_result} <= {"near"}
    assert split.main(["toy"]) == 0
    line = next(e for e in kept if e.after_result)
    edited = Decision(id=line.id, action="edit", text="draw it", calls=[], reply="Done.", sha="", time="")
    assert rewritten(line, edited).messages == [{"role": "user", "content": "draw it"}, *line.messages[1:]]
    config = load_data_config("toy")
    sides = {side: read_records(config.work / f"{side}.jsonl", Example) for side in SIDES}
    side_of = {e.lineage: side for side, lines in sides.items() for e in lines}
    assert all(side_of[e.lineage] == side for side, lines in sides.items() for e in lines)
    assert not [e for lines in audit.load(config).parts.values() for e in lines if e.after_result]
    convert_task(config)
    rows = [row for _, row in read_jsonl(config.built("train"))]
    talks = [row for row in rows if any(turn["from"] == "observation" for turn in row["conversations"])]
    assert len(talks) == sum(e.after_result for e in sides["train"]) > 0
    for row in rows:
        assert check_row(row, entry_of(config.built("train")))[0] == []
    turns = [turn["from"] for turn in talks[0]["conversations"]]
    assert turns == ["human", "function_call", "observation", "gpt"]


def test_outputs_are_seeds_of_later_rounds(toy: Path, run) -> None:
    house(toy, 40, 40, round=4, modes={"paraphrase": 1})
    with serve() as server:
        assert run(server)[0] == 0
    made = examples(toy)
    seeds = {seed["id"] for seed in SEEDS}
    assert {e.lineage for e in made} == seeds and len(made) == 80
    prompts = [body["messages"][0]["content"] for body in server.requests if "tools" not in body]
    assert any(e.text in text.splitlines() for e in made if e.id not in seeds for text in prompts)
    assert any("too common so far" in text for text in prompts) and not any("rare so far" in text for text in prompts)


def test_dry_run_asks_nobody_and_needs_no_key(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with serve() as server:
        status, out, _ = run(server, "--dry-run")
        assert status == 0 and not server.requests
    assert len(re.findall(r"^--- (paraphrase|new|minimal_pair)/", out, re.MULTILINE)) == 3
    assert re.search(
        r"about \d+ requests, [\d,]+ tokens in and [\d,]+ out \(by 3.5 bytes a token\), 0.\d\d dollars", out
    )
    assert not (toy / "data/work").exists()


def test_a_wrong_key_is_one_line_and_costs_one_request(toy: Path, run) -> None:
    with serve(key="another") as server:
        status, _, err = run(server)
        assert status == 2 and not server.requests
    assert err.splitlines()[-1].startswith(f"error: {server.url}: refuses the key (HTTP 401); set OPENAI_API_KEY")
    assert paid(toy) == (0, 0) and not (toy / "data/work/toy/examples.jsonl").exists()
    assert not (toy / "data/work/toy/rejected.jsonl").exists()


def test_nobody_at_the_url_is_one_line(toy: Path, run) -> None:
    status, _, err = run("http://127.0.0.1:9/v1")
    assert status == 2 and "error: http://127.0.0.1:9/v1: no connection" in err.splitlines()[-1]


def test_no_key_for_a_server_elsewhere(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    status, _, err = run("https://api.example.com/v1")
    assert status == 2 and "OPENAI_API_KEY: is not set" in err


@pytest.mark.parametrize(
    ("api", "fault"),
    [
        ({"prices": {}}, "augment.api.prices: has no 'm'; write its dollars"),
        ({"relabel_model": "big"}, "augment.api.prices: has no 'big'"),
        ({"budget_usd": 0.001}, "augment.api.budget_usd: 0.001 dollars are less than the estimate"),
        ({"modes": {"rewrite": 1}}, "augment.api.modes.rewrite"),
        ({"modes": {"new": 0}}, "modes are shares"),
    ],
)
def test_refused_before_anything_is_asked(toy: Path, run, api: dict[str, Any], fault: str) -> None:
    house(toy, **api)
    with serve() as server:
        status, _, err = run(server)
        assert (status, len(server.requests)) == (2, 0) and fault in err.splitlines()[-1]


def test_the_budget_is_never_passed(toy: Path, run) -> None:
    house(toy, 60, 60, prices={"m": {"input": 0, "output": 1}}, budget_usd=0.02, max_tokens=500)

    def greedy(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        said = {**model(body), "usage": {"prompt_tokens": 900, "completion_tokens": body["max_tokens"]}}
        return 200, {}, json.dumps(said)

    with serve(greedy) as server:
        status, _, err = run(server)
    assert status == 2 and "dollars are spent; raise augment.api.budget_usd" in err.splitlines()[-1]
    count, dollars = paid(toy)
    assert 0.019 < dollars <= 0.02 and count == len(server.requests)
    assert not (toy / "data/work/toy/examples.jsonl").exists()


def test_faults_of_the_server_are_tried_again_once_in_one_layer(toy: Path, run) -> None:
    faults = {3: error(500, "x"), 5: (200, {}, "<html>busy</html>"), 7: (200, {}, '{"id": "x", "cho'), 9: (0, {}, ""),
              11: (200, {}, '{"id": "x"}'), 13: error(503, "y")}  # fmt: skip
    with serve(lambda number, body: faults.get(number)) as server:
        assert run(server)[0] == 0
        assert max(server.asked.values()) == 1 and len(server.requests) == len(server.asked) + len(faults)
    assert len(examples(toy)) == 24


def test_a_server_that_stays_down_stops_the_run_and_keeps_the_answers(toy: Path, run) -> None:
    with serve(lambda number, body: error(500, "down") if number > 10 else None) as server:
        status, _, err = run(server)
        assert status == 2 and "no answer in 6 tries, the last: HTTP 500" in err and "what was answered is kept" in err
        assert paid(toy)[0] == 10
        server.fault = lambda number, body: None
        assert run(server)[0] == 0 and max(server.asked.values()) == 1


def test_a_hang_ends_at_the_timeout(toy: Path, run) -> None:
    house(toy, timeout_s=0.5, max_tokens=100)

    def hang(number: int, body: dict[str, Any]) -> None:
        if number in (4, 8):
            time.sleep(20)

    with serve(hang) as server:
        assert run(server)[0] == 0
        repeated = Counter(json.dumps(body, sort_keys=True) for body in server.requests)
        assert sorted(repeated.values())[-3:] == [1, 2, 2]


def test_retry_after_pauses_everybody(toy: Path, run) -> None:
    with serve(lambda number, body: error(429, "slow down", Retry_After="1") if number == 6 else None) as server:
        assert run(server)[0] == 0
    refused = server.at[5]
    assert not [at for at in server.at if refused + 0.1 < at < refused + 0.9], "nobody asks during the pause"
    assert len(server.requests) == len(server.asked) + 1


def test_an_account_without_money_stops_at_once(toy: Path, run) -> None:
    body = json.dumps({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    with serve(lambda number, _: (429, {}, body)) as server:
        status, _, err = run(server)
        assert status == 2 and "You exceeded your quota" in err and len(server.requests) == 1


def test_structured_output_falls_back_once_for_the_run(toy: Path, run) -> None:
    refuse = lambda number, body: error(400, "unknown field response_format") if "response_format" in body else None  # noqa: E731
    with serve(refuse) as server:
        assert run(server)[0] == 0
        assert sum("response_format" in body for body in server.requests) == 1
    assert len(examples(toy)) == 24


def test_the_form_is_asked_for_as_a_json_schema(toy: Path, run) -> None:
    with serve() as server:
        run(server)
    form = next(body["response_format"] for body in server.requests if "tools" not in body)
    assert form["type"] == "json_schema" and form["json_schema"]["strict"] is True


def said(content: str | None, arguments: str | None = None, finish: str = "stop") -> tuple[int, dict[str, str], str]:
    from endpoint import answer

    value = {**answer(content, arguments, finish), "usage": {"prompt_tokens": 9, "completion_tokens": 9}}
    return 200, {}, json.dumps(value)


@pytest.mark.parametrize(
    ("broken", "detail"),
    [
        (said('{"utterances": ["draw a c', finish="length"), "the answer is truncated"),
        (said("Sure! Here they are:"), "the answer is not JSON alone"),
        (said('```json\n{"utterances": ["draw a cat"]}\n```'), "the answer is not JSON alone"),
        (said('{"lines": ["draw a cat"]}'), "utterances: Field required"),
        (said('{"utterances": "draw a cat"}'), "utterances: Input should be a valid list"),
        (said('{"utterances": ["a", NaN]}'), "NaN is not JSON"),
    ],
)
def test_broken_answers_are_kept_and_tried_once_more_with_the_error_told(toy: Path, run, broken, detail: str) -> None:
    with serve(lambda number, body: broken if number in (1, 2) else None) as server:
        assert run(server)[0] == 0
    kept = [line for line in rejected(toy) if line["reason"] == "broken"]
    assert len(kept) == 2 and all(detail in line["detail"] for line in kept), kept
    told = [
        body["messages"][1]["content"] for body in server.requests if len(body["messages"]) > 1 and "tools" not in body
    ]
    assert told and all(detail.split(":")[0] in text for text in told) and len(examples(toy)) == 24


@pytest.mark.parametrize(
    ("text", "answered", "reason", "detail"),
    [
        ("draw a red ox", said("No."), "disagreement", "written for 1 of generate_image, labelled no call"),
        ("draw a red ox", said(None, '{"prompt": 7}'), "broken", 'generate_image.prompt: 7 is not of type "string"'),
        ("draw a red ox", said(None, '{"prompt": "x", "size": 1}'), "broken", "has no argument 'size'"),
        ("draw a red ox", said(None, '{"prompt": "a red'), "broken", "are not JSON"),
        ("draw a red ox", said(None), "broken", "neither a call nor a reply"),
        (
            "draw a red ox",
            said(None, '{"prompt": "a masterpiece, 8k, sunset"}'),
            "ungrounded",
            "is not in the utterance",
        ),
        ("畫一隻牛", said(None, '{"prompt": "一隻牛"}'), "script", "en in CJK: CJK is wrong or missing"),
        ("Draw a BOAT!", said(None, '{"prompt": "a BOAT"}'), "duplicate", ""),
    ],
)
def test_what_is_wrong_with_a_line_is_said(toy: Path, run, text: str, answered, reason: str, detail: str) -> None:
    def fault(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        if number == 1:
            return said(json.dumps({"utterances": [text]}))
        return answered if "tools" in body and text in body["messages"][1]["content"] else None

    house(toy, 12, 0)
    with serve(fault) as server:
        assert run(server)[0] == 0
    line = next(line for line in rejected(toy) if line["text"] == text)
    assert line["reason"] == reason and detail in line["detail"] and line["label"] == "call"
    assert text not in {e.text for e in examples(toy)}
    asked = sum("tools" in body and body["messages"][1]["content"] == text for body in server.requests)
    assert asked == {"script": 0, "duplicate": 0, "broken": 2}.get(reason, 1)


def test_a_server_that_repeats_itself_says_how_many_are_missing(toy: Path, run) -> None:
    fixed = said('{"utterances": ["draw a red ox", "draw a blue ox"]}')
    with serve(lambda number, body: None if "tools" in body else fixed) as server:
        status, _, err = run(server)
    assert status == 0 and "7 call examples are missing: 3 rounds brought nothing new" in err
    assert "10 no_call examples are missing" in err
    assert Counter(e.label for e in examples(toy)) == {"call": 5, "no_call": 2}


class Killed(BaseException):
    """The end of a run that nobody catches."""


@pytest.mark.parametrize("killed", ["retrieve", "create"])
def test_batches_answer_at_their_price_across_restarts(
    toy: Path, run, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    with serve() as server:
        assert run(server)[0] == 0
    made, (count, dollars) = examples(toy), paid(toy)
    (toy / "data/work/toy/ledger.sqlite").unlink()
    from openai.resources.batches import AsyncBatches

    create = AsyncBatches.create

    async def die(self: AsyncBatches, *args: Any, **more: Any) -> None:
        if killed == "create":
            await create(self, **more)
        raise Killed

    with serve(key="sk-secret") as server:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(AsyncBatches, killed, die)
            run(server, "--batch")
        assert len(server.batches) == 1 and not server.requests, "sent, and the run knows no answer, nor perhaps the id"
        status, _, _ = run(server, "--batch")
        assert status == 0 and examples(toy) == made
        assert max(server.asked.values()) == 1
        assert run(server)[0] == 0 and examples(toy) == made, "both ways give the same"
    assert paid(toy) == (count, pytest.approx(dollars / 2))


def test_lines_of_a_batch_that_are_no_answers_are_asked_again(toy: Path, run) -> None:
    with serve() as server:
        batched = server.batch

        def broken_once(path: str, body: Any) -> Any:
            state = batched(path, body)
            if state.get("output_file_id") == "out-b0" and not state.get("broken"):
                state["broken"] = True
                first, *others = server.files["out-b0"].splitlines()
                junk = ["{", "[]", '{"custom_id": 7}', '{"custom_id": "x", "response": []}', "\u2028"]
                server.files["out-b0"] = "\n".join([*junk, first[: len(first) // 2], *others])
            return state

        server.batch = broken_once  # type: ignore[method-assign]
        status, _, err = run(server, "--batch")
        assert (status, len(server.batches) > 1) == (0, True), err
        assert sorted(server.asked.values())[-1] == 2, "the one whose line was cut"


def test_a_redirect_stops_the_run_and_is_not_followed(toy: Path, run) -> None:
    with serve() as other:
        moved = 307, {"Location": f"{other.url}/chat/completions"}, ""
        with serve(lambda number, body: moved) as server:
            status, _, err = run(server)
        assert status == 2 and not other.requests and len(server.requests) == 1
    assert f"HTTP 307: redirects to {other.url}" in err and "check OPENAI_BASE_URL" in err


def test_an_answer_is_utf8_whatever_its_header_says(toy: Path, run) -> None:
    with serve() as server:
        assert run(server)[0] == 0
    made = examples(toy)
    (toy / "data/work/toy/ledger.sqlite").unlink()

    def mislabelled(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        charset = ("utf-16", "zlib", "rot13", "base64", "nonsense")[number % 5]
        return 200, {"Content-Type": f"application/json; charset={charset}"}, json.dumps(model(body))

    with serve(mislabelled) as server:
        assert run(server)[0] == 0
    assert examples(toy) == made


def test_a_key_that_the_server_repeats_is_in_no_file(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-Echo-4711")

    def echoes(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        if number % 3 == 0:
            return 400, {}, "you sent Bearer sk-Echo-4711"
        return said("draw sk-Echo-4711") if number % 3 == 1 else None

    with serve(echoes) as server:
        _, out, err = run(server)
    files = [path.read_bytes() for path in (toy / "data/work").rglob("*") if path.is_file()]
    assert files and not any(b"Echo-4711" in text for text in [*files, (out + err).encode()])


@pytest.mark.parametrize("answers", [401, 0], ids=["a refusal", "nobody"])
def test_a_run_that_fails_leaves_no_connection_open(toy: Path, answers: int) -> None:
    with serve(lambda number, body: (answers, {}, "") if number > 3 else None) as server:
        code = (
            "import sys; from pathlib import Path; import callwright.config; callwright.config.ROOT = Path(sys.argv[1])"
        )
        code += "; from tools.utterances.llm import client; client.BACKOFF_S = 0.01; from tools.augment import main; sys.exit(main(['toy']))"
        environment = {**os.environ, "OPENAI_BASE_URL": server.url}
        command = [sys.executable, "-X", "dev", "-c", code, str(toy)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Unclosed" not in done.stderr, done.stderr


def test_a_full_disk_is_one_line_and_keeps_the_answers(toy: Path, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.utterances.llm.ledger import Ledger

    opened = Ledger.__init__

    def small(self: Ledger, path: Path) -> None:
        opened(self, path)
        self._db.execute("PRAGMA max_page_count = 1")

    with serve() as server:
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "__init__", small)
            status, _, err = run(server)
        assert (status, "ledger.sqlite: could not be written" in err.splitlines()[-1]) == (2, True), err
        assert paid(toy)[0] > 0
        assert run(server)[0] == 0 and max(server.asked.values()) <= 2


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2), ("-5", 0), ("nan", 1), ("", 1), ("soon", 1), ("Wed, 99 Oct 99999999 07:28:00 GMT", 1), ("\x00", 1)],
)
def test_how_long_to_wait_is_read_from_any_header(header: str, seconds: float) -> None:
    assert client.retry_after(header) == seconds


@pytest.mark.parametrize("url", ["foo", "http://[::1", "http://a:99999/v1", "https://me:pass@a.example/v1"])
def test_a_base_url_that_is_none_is_one_line(toy: Path, run, url: str) -> None:
    status, _, err = run(url)
    assert status == 2 and "error: OPENAI_BASE_URL: " in err and "pass@" not in err


def test_two_runs_do_not_share_a_ledger(toy: Path, run) -> None:
    from tools.utterances.llm.ledger import Ledger

    held = Ledger(toy / "data/work/toy/ledger.sqlite")
    with serve() as server:
        status, _, err = run(server)
        assert status == 2 and "wait for the run that uses it" in err and not server.requests
    held.close()


def test_flags_belong_to_the_backend(run) -> None:
    status, _, err = run("", "--bach")
    assert status == 2 and "did you mean '--batch'?" in err
    assert main(["image_intent", "--dry-run"]) == 2


def test_seeds_of_both_labels_are_needed(toy: Path, run) -> None:
    house(toy, seeds=SEEDS[:3])
    status, _, err = run("http://127.0.0.1:9/v1")
    assert status == 2 and "seeds.jsonl: has no no_call utterance; write some, or set augment.no_call to 0" in err


def test_config_asks_for_the_api_section(toy: Path) -> None:
    (toy / "configs/data/toy.yaml").write_text("task: toy\naugment: {backend: openai}\n")
    with pytest.raises(UserError, match="backend openai needs api: model, prices and budget_usd"):
        load_data_config("toy")


def one_run(root: str, url: str) -> None:
    """A run of its own process."""
    callwright.config.ROOT = Path(root)
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k"}
    with open(os.devnull, "w") as nowhere:
        sys.stderr = sys.stdout = nowhere
        os._exit(main(["toy"]))


PLAN = """
from callwright.config import Api, Augment, DataConfig
from callwright.files import ROOT
from callwright.schema import load_tools
from callwright.tasks import read_seeds
from tools.utterances.llm.estimate import start
config = DataConfig(task="image_intent", augment=Augment(backend="openai", api=Api(model="m", prices={"m": {"input": 0, "output": 0}}, budget_usd=0)))
tools = load_tools(config.seeds / "tools.json")
print([job.request.key for job in start(config, read_seeds(config.seeds / "seeds.jsonl", tools), tools)[1].plan()])
"""


def test_another_process_plans_the_same_requests() -> None:
    """Its hash seed is another one: what hangs on the order of a set would be asked, and paid, again."""
    plans = [
        subprocess.run(
            [sys.executable, "-c", PLAN], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True
        )
        for seed in ("1", "2")
    ]
    assert plans[0].stdout == plans[1].stdout and len(plans[0].stdout) > 60 * 100, plans[0].stderr


def test_twenty_kills_lose_and_repeat_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are forked from one that has imported everything: they are killed at work, not while they start."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["test_api", "openai.resources.chat.completions", "jinja2", "rich.progress"])
    rng, more = Random(0), {"round": 8, "concurrency": 8, "requests_per_minute": 3000}

    def start(root: Path, server: Server) -> Any:
        process = context.Process(target=one_run, args=(str(root), server.url))
        process.start()
        return process

    def flaky(number: int, body: dict[str, Any]) -> tuple[int, dict[str, str], str] | None:
        if number % 31 == 0:
            return error(500, "x")
        words = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()[0]
        return said('{"utterances": ["draw', finish="length") if words < 20 and "tools" not in body else None

    straight = house(tmp_path / "straight", 80, 80, **more)
    with serve(flaky) as server:
        process = start(straight, server)
        process.join(60)
        assert process.exitcode == 0 and max(server.asked.values()) == 1
    killed, kills = house(tmp_path / "killed", 80, 80, **more), 0
    with serve(flaky, delay_s=0.02) as server:
        while kills < 20:
            process, before = start(killed, server), len(server.requests)
            until, patience = before + rng.uniform(1, 6), time.monotonic() + 20
            while len(server.requests) < until and process.is_alive() and time.monotonic() < patience:
                time.sleep(0.003)
            time.sleep(rng.uniform(0, 0.02))
            process.kill()
            process.join()
            assert process.exitcode == -9, f"ended after {kills} kills and {len(server.requests)} requests"
            kills += 1
            kept = {identity: server.said[identity] for identity in ledger_ids(killed)}
            server.closed |= set(kept.values())
            assert len(server.said) - len(kept) <= 8 * kills, "only what was under way is not in the ledger"
        process = start(killed, server)
        process.join(60)
        assert process.exitcode == 0
        assert not server.again, "what the ledger held at a kill is never asked again"
        assert len(kept) > 0.2 * len(server.asked), "the kills reached far into the run"
    assert as_bytes(killed) == as_bytes(straight)


def as_bytes(root: Path) -> list[bytes]:
    return [(root / f"data/work/toy/{name}.jsonl").read_bytes() for name in ("examples", "rejected")]


def ledger_ids(root: Path) -> list[str]:
    with closing(sqlite3.connect(root / "data/work/toy/ledger.sqlite")) as db:
        return [json.loads(answer)["id"] for (answer,) in db.execute("SELECT answer FROM answers")]


def test_a_share_of_training_rows_is_chat(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.rows.build import with_chat

    monkeypatch.setattr("tools.rows.mix.ROOT", toy)
    talks = [[{"role": "user", "content": f"hi {n}"}, {"role": "assistant", "content": "hello"}] for n in range(50)]
    write_jsonl(toy / "chat.jsonl", ({"messages": messages} for messages in talks))
    chat = Source.model_validate({"from": "openai", "path": "chat.jsonl", "share": 0.2})
    rows = [{"conversations": [{"from": "human", "value": str(n)}], "system": "", "tools": "[]"} for n in range(40)]
    mixed = with_chat(rows, chat, 1, "\n")
    added = [row for row in mixed if row not in rows]
    assert len(added) == 10 and [row for row in mixed if row in rows] == rows and mixed[-10:] != added
    assert all(row["tools"] == "" and row["conversations"][1]["value"].startswith("\nhello") for row in added)
    assert with_chat(rows, chat, 1, "\n") == mixed
    with pytest.raises(UserError, match="no such format"):
        with_chat(rows, chat.model_copy(update={"from_": "bfcl"}), 1, "")
    with pytest.raises(ValueError, match=r"chat\.share is a part"):
        Rows(chat=chat.model_copy(update={"share": 1.0}))
