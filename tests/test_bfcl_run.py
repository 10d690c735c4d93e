"""BFCL over HTTP: gold answers miss the known-bad gold and nothing else; errors are unscored; conversations resume."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bfcl_oracle import data, said
from endpoint import answer, endpoint
from werkzeug import Response

from callwright.files import read_json, read_jsonl
from callwright.records import Case, Prediction
from eval.bfcl import checker, replay
from eval.bfcl.__main__ import main
from eval.bfcl.questions import CATEGORIES, GOLD_FAILS, GOLD_UNFIT, MULTI_TURN, Question, read_questions
from eval.bfcl.table import CategoryRow, comparable
from eval.scoring.verdict import judge

SEED = 20260323


@pytest.fixture(scope="module", autouse=True)
def unpacked() -> None:
    data()


def test_gold_answers_over_http_miss_exactly_the_known_bad_gold(tmp_path, capsys, monkeypatch):
    """A seeded quarter of every category, all known-bad entries in it; `python -m eval.bfcl --replay` takes all."""
    rng = random.Random(SEED)

    def part(category: str) -> list[Question]:
        known = read_questions(category)
        kept = {question.id for question in rng.sample(known, len(known) // 4)} | GOLD_FAILS | GOLD_UNFIT
        return [question for question in known if question.id in kept]

    monkeypatch.setattr("eval.bfcl.__main__.read_questions", part)
    assert main(["--replay", "--out", str(tmp_path), "--concurrency", "8"]) == 0
    out = capsys.readouterr().out
    assert out.count("misses exactly the known-bad gold") == 2
    rows = read_json(tmp_path / "bfcl.json")["categories"]
    assert len(rows) == 12
    assert rows["live_simple"]["compatible"][0] == rows["live_simple"]["n"] - 2
    assert all(row["compatible_good_gold"][0] == row["compatible_good_gold"][1] for row in rows.values())
    assert read_json(tmp_path / "multiple" / "manifest.json")["command"][:3] == ["python", "-m", "eval.bfcl"]

    monkeypatch.setattr(replay, "ABSTENTION", '<tool_call>{"name": ')  # BFCL credits it as an abstention; we do not
    assert main(["--replay", "--out", str(tmp_path), "--categories", "irrelevance"]) == 1
    assert "BFCL-compatible: misses exactly" in (out := capsys.readouterr().out)
    assert "strict: differs on irrelevance_" in out


def test_any_endpoint_is_asked_and_unscored_answers_are_asked_again(tmp_path, capsys):
    def reply(request: dict[str, Any]) -> Any:
        return Response("no", 500) if "triangle" in str(request["messages"]) and broken else answer("No.")

    command = ["--model", "m", "--out", str(tmp_path), "--limit", "8", "--retries", "0"]
    command += ["--categories", "irrelevance", "multiple"]
    with endpoint(reply) as server:
        broken = True
        assert main([*command, "--base-url", server.url]) == 0
        rows = read_json(tmp_path / "bfcl.json")
        assert rows["categories"]["multiple"]["infra_errors"] > 0
        assert rows["categories"]["multiple"]["strict"][0] == rows["categories"]["multiple"]["compatible"][0] == 0
        assert rows["categories"]["irrelevance"]["compatible"][0] == rows["categories"]["irrelevance"]["compatible"][1]
        assert rows["comparable"] == dict.fromkeys(("non_live_ast", "python_simple", "live_ast", "irrelevance"))
        assert "overall" not in capsys.readouterr().out.lower()
        server.requests.clear()
        broken = False
        assert main([*command, "--base-url", server.url]) == 0
        assert server.requests and all("triangle" in str(request["messages"]) for request in server.requests)
        assert server.requests[0]["tools"][0]["function"]["parameters"]["type"] == "object"
        more = ["9" if part == "8" else part for part in command]
        assert main([*more, "--base-url", server.url]) == 2
        assert "holds answers for other limit (8; now 9)" in capsys.readouterr().err


@pytest.fixture
def conversation(tmp_path) -> Iterator[Callable[[Any], dict[str, Any]]]:
    """Holds the first multi-turn conversation with a scripted model; a second time, it resumes."""
    with endpoint() as server:
        files = ["--model", "m", "--out", str(tmp_path), "--limit", "1", "--retries", "0", "--categories", MULTI_TURN]

        def hold(reply: Any) -> dict[str, Any]:
            server.reply = reply
            assert main([*files, "--base-url", server.url]) in (0, 1)
            [(_, result)] = read_jsonl(tmp_path / MULTI_TURN / "results.jsonl")
            return result

        yield hold


def called(*calls: checker.Call) -> dict[str, Any]:
    message = answer()
    message["choices"][0]["message"]["tool_calls"] = [{"type": "function", **call} for call in said(list(calls))]
    return message


def test_a_conversation_breaks_off_and_is_taken_up_again(conversation):
    question, asked = read_questions(MULTI_TURN)[0], []
    golds = replay.gold_by_words([question])
    down = True

    def reply(request: dict[str, Any]) -> Any:
        asked.append(request["messages"])
        turn = sum(message["role"] == "user" for message in request["messages"])
        return Response("no", 500) if turn == 3 and down else replay.respond(request, golds)

    assert conversation(reply)["verdict"] == "infra_error"
    before, down = len(asked), False
    assert conversation(reply)["verdict"] == "correct"
    assert sum(message["role"] == "user" for message in asked[before]) == 3, "two turns are not asked again"
    results = [message for message in asked[-1] if message["role"] == "tool"]
    assert any("Year2024" in message["content"] for message in results), "the tools' real answers go back"


def test_raw_mode_reads_the_calls_from_the_text_and_writes_them_back(tmp_path):
    def reply(request: dict[str, Any]) -> Any:
        assert "tools" not in request
        last = request["messages"][-1]["content"]
        done = "<tool_response>" in last
        return answer("Done." if done else '<tool_call>\n{"name": "ls", "arguments": {}}\n</tool_call>')

    with endpoint(reply) as server:
        command = ["--model", "m", "--out", str(tmp_path), "--limit", "1", "--mode", "raw", "--base-url", server.url]
        assert main([*command, "--categories", MULTI_TURN, "irrelevance"]) == 0
        turn = next(request["messages"] for request in server.requests if len(request["messages"]) == 4)
    assert "document" in turn[-1]["content"], "the tool's own answer"
    assert turn[-2]["content"].count("<tool_call>") == 1
    [(_, result)] = read_jsonl(tmp_path / "irrelevance" / "results.jsonl")
    assert result["verdict"] == "malformed_attempt", "no tool of that name is on offer"


def test_a_model_that_never_stops_is_stopped(conversation):
    result = conversation(lambda request: called(("ls", {})))
    assert (result["verdict"], len(result["got"])) == ("state_mismatch", 21)
    assert "too many steps" in result["detail"]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (lambda request: answer("I am done."), "no_call"),
        (lambda request: called(("unheard_of", {})), "unknown_tool"),
        (lambda request: called(("cd", {"folder": 1})), "schema_violation"),
        (lambda request: answer(arguments="{"), "bad_json"),
    ],
)
def test_a_conversation_gets_one_of_our_verdicts(conversation, reply, verdict):
    assert conversation(reply)["verdict"] == verdict


def test_a_column_of_the_leaderboard_needs_every_category_in_full():
    def row(category: str, wrong: int, unscored: int = 0) -> CategoryRow:
        results = [judged(f"{category}_{n}", error="x" if n < unscored else None) for n in range(CATEGORIES[category])]
        return CategoryRow(category, results, {r.id: "wrong" if n < wrong else None for n, r in enumerate(results)})

    live = [row("live_simple", 129), row("live_multiple", 0), row("live_parallel", 16)]
    assert comparable([*live, row("irrelevance", 120), row("live_irrelevance", 0), row("simple_python", 4)]) == [
        None,
        99.0,
        None,
        75.0,
    ]
    whole = comparable([*live, row("live_parallel_multiple", 24)])[2]
    assert whole == pytest.approx(100 * (129 + 1053) / 1351)
    assert comparable([row("simple_python", 0, unscored=1)])[1] is None


def judged(identity: str, error: str | None) -> Any:
    case = Case(id=identity, messages=[{"role": "user", "content": "hi"}], tools=[], expected=[])
    return judge(case, Prediction(id=identity, content="No.", error=error))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--base-url", "http://127.0.0.1:9/v1"],
        ["--replay", "--limit", "0"],
        ["--replay", "--categories", "java"],
        ["--replay", "--mode", "raw"],
    ],
)
def test_a_wrong_command_line_is_refused(arguments):
    assert main(arguments) == 2
