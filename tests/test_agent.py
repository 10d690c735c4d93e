"""Agents against a scripted endpoint that really calls the tools, through a Python module and through MCP."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from endpoint import answer, endpoint
from werkzeug import Response

from callwright.files import ROOT, read_json, read_jsonl, write_jsonl, write_text
from callwright.records import Prediction
from eval.agent import main
from eval.agents.toolbox import ToolResult, bounded
from eval.agents.trajectory import AgentCase, Trajectory, Turn, missing_facts, result_used, says, score_trajectory

EXAMPLE = ROOT / "examples" / "agent"
MCP = shlex.join([sys.executable, str(EXAMPLE / "mcp_server.py")])
EXAMPLES = {case["id"]: case for _, case in read_jsonl(EXAMPLE / "cases.jsonl")}

MOODS = """
import os, time
from collections.abc import Callable
from os.path import join
print("a module that talks on standard output")

def find(key: int, exact: bool = False) -> dict[str, int]:
    print("so does a tool")
    return {"answer": key * 1000 + 7}

def broken(key: int) -> str:
    raise KeyError("no shelf " + str(key))

def slow() -> str:
    time.sleep(60)

def long() -> str:
    return "the word is heron " + "x" * 1_000_000

def dies() -> str:
    os._exit(3)

async def later(keys: list[int]) -> list[int]:
    return [key + 1 for key in keys]

def untyped(key): return key
def spread(*keys: int) -> int: return 0
def watch(then: Callable[[], None]) -> int: return 0
def _secret(key: int) -> int: return key
"""


def calls(*made: tuple[str, Any]) -> dict[str, Any]:
    """An answer with these calls; arguments that are no string are written as JSON."""
    body = answer()
    body["choices"][0]["message"]["tool_calls"] = [
        {"id": f"{name}-{i}", "type": "function", "function": {"name": name, "arguments": text}}
        for i, (name, arguments) in enumerate(made)
        for text in [arguments if isinstance(arguments, str) else json.dumps(arguments)]
    ]
    return body


def case(identity: str, steps: list[Any], facts: list[Any]) -> dict[str, Any]:
    """A case whose text is its id."""
    steps = [{"name": name, "arguments": arguments} for name, arguments in steps]
    return {"id": identity, "messages": [{"role": "user", "content": identity}], "steps": steps, "facts": facts}


def gold(request: dict[str, Any]) -> dict[str, Any]:
    """A model that makes an example's calls, in one turn where they are independent, and tells the results on."""
    messages = request["messages"]
    case = next(c for c in EXAMPLES.values() if c["messages"][-1] in messages)
    due = [(step["name"], {k: v["contains"][0] for k, v in step["arguments"].items()}) for step in case["steps"]]
    told = [message["content"] for message in messages if message["role"] == "tool"]
    if case["tags"]["kind"] == "two at once":
        return answer(" ".join(told)) if told else calls(*due)
    return calls(due[len(told)]) if len(told) < len(due) else answer(" ".join(told) or "不客氣，是 7 首。")


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Run cases against an endpoint: exit status, results by id, and the folder."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_text(tmp_path / "moods.py", MOODS)

    def run(cases, url, *more, tools=("--tools", str(tmp_path / "moods.py"))):
        write_jsonl(tmp_path / "cases.jsonl", cases)
        out = tmp_path / "out"
        words = ["--cases", str(tmp_path / "cases.jsonl"), *tools, "--base-url", url, "--model", "m", "--out", str(out)]
        status = main([*words, "--retries", "0", *more])
        found = {line["id"]: line for _, line in read_jsonl(out / "results.jsonl")} if status != 2 else {}
        return status, found, out

    return run


@pytest.mark.parametrize(
    ("tools", "chain"),
    [(("--tools", str(EXAMPLE / "lookups.py")), "chain-titan"), (("--mcp", MCP), "both-songs")],
    ids=["module", "mcp"],
)
def test_the_examples_tools_are_called_and_their_results_fed_back(play, tools, chain):
    with endpoint(gold) as server:
        cases = [EXAMPLES[chain], EXAMPLES["none-thanks"]]
        status, found, out = play(cases, server.url, "--llamafactory", tools=tools)
    assert status == 0
    assert [line["success"] for line in found.values()] == [True] * 2
    assert [[made["verdict"] for made in line["calls"]] for line in found.values()] == [["correct"] * 2, []]
    assert all(made["used"] for line in found.values() for made in line["calls"])
    assert {tool["function"]["name"] for tool in server.requests[0]["tools"]} == {
        *("sort_waste", "anime_facts", "song_facts")
    }
    if chain == "both-songs":
        last = next(request["messages"] for request in server.requests if "1977" in str(request["messages"]))
        assert [message["role"] for message in last] == ["user", "function", "tool"], "two results in a row are merged"
        assert "鄧麗君" in last[-1]["content"]
        assert "田馥甄" in last[-1]["content"]
    else:
        assert "Linked Horizon" in found[chain]["answer"]
    summary = read_json(out / "summary.json")
    assert (summary["task_success"]["k"], summary["step_accuracy"]["n"], summary["stops"]) == (2, 2, {"answer": 2})
    assert summary["slices"]["kind=no call"]["n"] == 1
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        *("trajectories.jsonl", "results.jsonl", "summary.json", "manifest.json", "tools.log")
    }


def test_every_example_holds_under_its_tools_and_is_solved_by_what_the_service_says(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import lookups

    assert len(EXAMPLES) >= 12
    assert len({line["messages"][-1]["content"] for line in EXAMPLES.values()}) == len(EXAMPLES)
    for line in EXAMPLES.values():
        said = "7"
        for step in line["steps"]:
            matcher = next(iter(step["arguments"].values()))
            said += " " + json.dumps(getattr(lookups, step["name"])(matcher["contains"][0]), ensure_ascii=False)
        assert "查無" not in said
        assert missing_facts(line["facts"], said) == [], line["id"]


SCRIPT: dict[str, list[dict[str, Any]]] = {
    "mended": [calls(("find", {"key": "4"})), calls(("find", {"key": 4})), answer("It is 4007.")],
    "wrong": [calls(("later", {"keys": [4]})), calls(("find", {"key": 5})), answer("It is 5007.")],
    "endless": [calls(("find", {"key": 4}))] * 99,
    "raises": [calls(("broken", {"key": 4}), ("long", {})), answer("There is no such shelf, but a heron.")],
    "hangs": [calls(("slow", {})), calls(("find", {"key": 4})), answer("Too slow, but it is 4007.")],
    "dies": [calls(("dies", {})), answer("Never said.")],
    "guessed": [answer("It is 4007.")],
    "text call": [answer('<tool_call>\n{"name": "find", "arguments": {"key": 4}}\n</tool_call>')],
    "bad json": [calls(("find", '{"key": 4')), answer("I give up.")],
    "not on offer": [
        calls(*((name, {"key": 1}) for name in ("_secret", "untyped", "join", "__import__"))),
        answer("4007"),
    ],
    "needless": [calls(("find", {"key": "x"})), answer("Hello!")],
    "empty": [answer("  ")],
    "cut": [answer("All is well and", finish="length")],
}
STEP = [("find", {"key": 4})]
FIND = ("mended", "wrong", "endless", "guessed", "text call", "bad json", "not on offer")
CASES = [
    *(case(key, STEP, ["4007"]) for key in FIND),
    case("raises", [("broken", {"key": 4}), ("long", {})], ["shelf", "heron"]),
    case("hangs", [("slow", {}), *STEP], ["4007"]),
    case("dies", [("dies", {})], []),
    *(case(key, [], []) for key in ("needless", "empty", "cut")),
]


def scripted(request: dict[str, Any]) -> dict[str, Any]:
    messages = request["messages"]
    return SCRIPT[messages[0]["content"]][sum(message["role"] == "assistant" for message in messages)]


def test_what_can_go_wrong_is_told_to_the_model_and_scored(play, capsys):
    with endpoint(scripted) as server:
        limits = ("--max-steps", "3", "--tool-timeout", "1.5", "--max-result", "300", "--concurrency", "3")
        status, found, out = play(CASES, server.url, *limits)
    assert status == 0
    output = capsys.readouterr()
    assert all(f"{name}: left out" in output.err for name in ("untyped", "spread", "watch"))
    assert "12 of 13 cases scored, 1 infra errors" in output.out
    assert {key: (line["success"], line["stop"]) for key, line in found.items()} == {
        "mended": (True, "answer"),
        "wrong": (False, "answer"),
        "endless": (False, "max_steps"),
        "guessed": (False, "answer"),
        "text call": (False, "answer"),
        "bad json": (False, "answer"),
        "not on offer": (False, "answer"),
        "raises": (True, "answer"),
        "hangs": (True, "answer"),
        "dies": (None, "infra_error"),
        "needless": (False, "answer"),
        "empty": (False, "empty"),
        "cut": (False, "cut"),
    }
    assert {key: [made["verdict"] for made in line["calls"]] for key, line in found.items() if line["calls"]} == {
        "mended": ["wrong_type", "correct"],
        "wrong": ["wrong_tool", "wrong_value"],
        "endless": ["correct", "extra_call", "extra_call"],
        "bad json": ["bad_json"],
        "not on offer": ["unknown_tool"] * 4,
        "raises": ["correct"] * 2,
        "hangs": ["correct"] * 2,
        "needless": ["false_call"],
    }
    assert found["guessed"]["answer_verdict"] == "no_call"
    assert found["text call"]["answer_verdict"] == "text_call_unparsed"
    assert found["dies"]["error"] == "the tool server: Connection closed; see tools.log"

    told = {}
    for _, line in read_jsonl(out / "trajectories.jsonl"):
        told[line["id"]] = [(result["error"], result["text"]) for turn in line["turns"] for result in turn["results"]]
    assert told["mended"] == [
        ("refused", 'error: find.key: "4" is not of type "integer"'),
        (None, '{"answer": 4007}'),
    ]
    assert told["wrong"] == [(None, "[5]"), (None, '{"answer": 5007}')]
    (broken, said), (fine, long) = told["raises"]
    assert (broken, fine) == ("failed", None)
    assert "KeyError: 'no shelf 4'" in said
    assert long.endswith("x … (cut: 1000018 characters)")
    assert len(long) < 350
    assert told["hangs"] == [("timeout", "error: no result within 1.5 s"), (None, '{"answer": 4007}')]
    assert [error for error, _ in told["not on offer"]] == ["refused"] * 4
    assert "not one of find, broken, slow, long, dies, later" in told["not on offer"][0][1]
    assert [[made["used"] for made in found[key]["calls"]] for key in ("mended", "wrong", "endless", "raises")] == [
        [None, True],
        [None, True],
        [False, None, None],
        [None, True],
    ]

    sent = next(r for r in server.requests if r["messages"][0]["content"] == "bad json" and len(r["messages"]) > 1)
    assert sent["messages"][1]["tool_calls"][0]["function"] == {"name": "find", "arguments": "{}"}
    assert sent["messages"][2]["tool_call_id"] == sent["messages"][1]["tool_calls"][0]["id"]
    summary = read_json(out / "summary.json")
    assert summary["task_success"] == {"k": 3, "n": 12, "share": 0.25, "ci95": [0.0889, 0.5323]}
    assert summary["flawless"]["k"] == 2
    assert summary["tool_errors"] == {"refused": 7, "failed": 1, "timeout": 1}


def test_failures_of_ours_are_unscored_and_played_again(play):
    cases = [case(key, STEP, ["4007"]) for key in ("bad json", "guessed")]

    def half(request):
        return Response("oops", 500) if len(request["messages"]) > 1 else scripted(request)

    with endpoint(half) as server:
        status, found, _ = play(cases, server.url)
        assert (status, found["bad json"]["success"], found["bad json"]["stop"]) == (0, None, "infra_error")
        assert found["bad json"]["error"].startswith("HTTP 500")
        server.reply = scripted
        server.requests.clear()
        status, found, _ = play(cases, server.url)
        assert (found["bad json"]["success"], found["bad json"]["stop"]) == (False, "answer")
        assert {request["messages"][0]["content"] for request in server.requests} == {"bad json"}


def test_a_killed_run_goes_on_where_it_was(play, tmp_path):
    def slow(request):
        time.sleep(0.15)
        return answer("x")

    cases = [case(f"{i}", [], []) for i in range(14)]
    write_jsonl(tmp_path / "cases.jsonl", cases)
    log = tmp_path / "out" / "trajectories.jsonl"
    with endpoint(slow) as server:
        words = ["--cases", str(tmp_path / "cases.jsonl"), "--tools", str(tmp_path / "moods.py"), "--retries", "0"]
        command = [sys.executable, "-m", "eval.agent", *words, "--base-url", server.url, "--model", "m"]
        process = subprocess.Popen([*command, "--out", str(tmp_path / "out")], cwd=ROOT, stderr=subprocess.DEVNULL)
        while not (log.exists() and log.read_text("utf-8").count("\n") >= 3):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = log.read_text("utf-8").count("\n")
        with open(log, "a") as file:
            file.write('{"id": "torn')
        server.reply = lambda request: answer("x")
        time.sleep(0.3)
        server.requests.clear()
        status, found, _ = play(cases, server.url)
        assert (status, len(server.requests)) == (0, 14 - kept)
        assert list(found) == [f"{i}" for i in range(14)]
        assert play(cases, server.url, "--max-steps", "2")[0] == 2
        assert play(cases[:2], server.url)[0] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [{"name": "nothing", "arguments": {}}]}, "expects a call of 'nothing'"),
        ({"steps": [{"name": "find", "arguments": {"key": "four"}}]}, '"four" is not of type "integer"'),
        ({"steps": [{"name": "find", "arguments": {"key": {"contains": []}}}]}, "contains needs a list of words"),
        ({"steps": None}, "steps: "),
        ({"facts": [[]]}, "facts holds an empty one"),
        ({"facts": [" "]}, "facts holds an empty one"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the last message is of role 'assistant'"),
        ({"tools": [{}]}, "has tools; they come from --tools or --mcp"),
        ({"id": "mended"}, "stands already at"),
        ({"extra": 1}, "extra: Extra inputs"),
    ],
)
def test_a_broken_case_is_named_before_anything_is_asked(play, capsys, change, said):
    with endpoint(scripted) as server:
        assert play([CASES[0], case("x", STEP, []) | change], server.url)[0] == 2
        assert server.requests == []
    error = capsys.readouterr().err.splitlines()[-1]
    assert "cases.jsonl:2: " in error
    assert said in error


def test_tools_that_are_none(play, tmp_path, capsys):
    write_text(tmp_path / "none.py", "from os.path import join\ndef f(x): return x\ndef _g(x: int): return x\n")
    with endpoint(scripted) as server:
        assert play(CASES, server.url, tools=("--tools", str(tmp_path / "none.py")))[0] == 2
        assert "offers no tools; f: left out" in capsys.readouterr().err
        assert play(CASES, server.url, tools=("--tools", str(tmp_path / "gone.py")))[0] == 2
        assert "no such file" in capsys.readouterr().err
        assert play(CASES, server.url, tools=("--mcp", "no-such-program"))[0] == 2
        assert "No such file" in capsys.readouterr().err
        assert server.requests == []


def test_a_server_that_knows_no_calls_is_told_on_and_its_key_stays_hidden(play):
    server = shlex.join([sys.executable, str(ROOT / "tests/cases/tools/mcp_server.py")])
    tools = ("--mcp", f"env MY_KEY=sk-secret-777 {server}")
    with endpoint(lambda request: calls(("ping", {}))) as model:
        status, found, out = play([case("a", [("ping", {})], [])], model.url, "--max-steps", "1", tools=tools)
    assert (status, found["a"]["calls"][0]["error"]) == (0, "failed")
    assert "no method tools/call" in (out / "trajectories.jsonl").read_text("utf-8")
    for path in out.iterdir():
        assert "sk-secret-777" not in path.read_text("utf-8"), path


def test_says():
    assert says("它在 2013年首播", "2013")
    assert says("由ＬｉＳＡ演唱", "lisa")
    assert not says("in 2013", "13")
    assert not says("a party", "art")
    assert missing_facts(["a", ["b", "c"], "d"], "A and c") == ["d"]


def test_result_used():
    facts = ["紅蓮華"]
    assert result_used(facts, "片頭曲是紅蓮華喔", "鬼滅的片頭曲？", "是《紅蓮華》。")
    assert result_used([], '{"year": 2019, "ok": true}', "哪一年？", "2019 年")
    assert result_used([], '{"year": 2019}', "哪一年？", "我不知道") is False
    assert result_used([], '{"year": 2019}', "是 2019 年嗎？", "2019") is None, "it said nothing new"
    assert result_used([], "", "", "x") is None


def test_steps_in_any_order_and_a_retry_after_a_failure_is_no_extra_call():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"k": {}}, "type": "object"}}}
    steps = [{"name": "f", "arguments": {"k": key}} for key in (1, 2)]
    line = AgentCase(id="a", messages=[{"role": "user", "content": "x"}], tools=[tool], steps=steps, facts=[])

    def turn(key: int, error: Any = None) -> Turn:
        call = {"id": "c", "function": {"name": "f", "arguments": json.dumps({"k": key})}}
        return Turn(prediction=Prediction(id="a", tool_calls=[call]), results=[ToolResult(text="x", error=error)])

    end = Turn(prediction=Prediction(id="a", content="done"), results=[])
    result = score_trajectory(line, Trajectory(id="a", turns=[turn(2, "timeout"), turn(2), turn(1), end]))
    assert ([made.verdict for made in result.calls], result.success, result.flawless) == (["correct"] * 3, True, True)
    result = score_trajectory(line, Trajectory(id="a", turns=[turn(1), turn(1), end]))
    assert ([made.verdict for made in result.calls], result.done, result.success) == (
        ["correct", "wrong_value"],
        1,
        False,
    )
    assert score_trajectory(line, None).success is None


def test_bounded():
    assert bounded("a\ud800b", 9) == "a?b"
    assert bounded("abcdef", 3) == "abc … (cut: 6 characters)"
