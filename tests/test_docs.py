"""docs/evaluate.md: its ten-line client and its three verdicts, over HTTP from an endpoint that answers as the page says."""

import ast
import os
import re
import subprocess
import sys

from endpoint import endpoint

from callwright.files import ROOT, read_jsonl, write_text
from callwright.results import STAGES
from callwright.summary import COUNTED, FIGURES
from eval.run import main
from eval.scoring.attribution import CAUSES
from eval.scoring.gates import read_gates

PAGE = (ROOT / "docs" / "evaluate.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_an_outside_client_reproduces_three_verdicts(tmp_path, monkeypatch):
    (cases,), (client,), (said, verdicts, *_) = blocks("jsonl"), blocks("python"), blocks("text")
    assert len(client.splitlines()) == 10
    write_text(tmp_path / "cases.jsonl", cases)
    asked = {line["messages"][-1]["content"]: line["id"] for _, line in read_jsonl(tmp_path / "cases.jsonl")}
    calls = {identity: ast.literal_eval(made) for identity, made in (line.split(" ", 1) for line in said.splitlines())}

    def reply(request):
        made = calls[asked[request["messages"][-1]["content"]]]
        functions = [{"function": {"name": name, "arguments": text}} for name, text in made]
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", **f} for f in functions],
        }
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}

    with endpoint(reply, key="none") as server:
        environment = os.environ | {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
        command = [sys.executable, "-c", client]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == (said, "")
        assert [request["temperature"] for request in server.requests] == [0, 0, 0]
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        command = ["--cases", str(tmp_path / "cases.jsonl"), "--base-url", server.url, "--model", "m"]
        assert main([*command, "--out", str(tmp_path / "run")]) == 0
    results = [line for _, line in read_jsonl(tmp_path / "run" / "results.jsonl")]
    assert [f"{r['id']} {r['verdict']} {r['detail']}" for r in results] == verdicts.splitlines()


def test_the_page_names_every_verdict_cause_and_figure_that_there_is():
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w[\w ]*)`", row)]
    assert sorted(named) == sorted([*STAGES, *CAUSES, *FIGURES])
    for gates in re.findall(r"--fail-under (\S+=\S+)", PAGE):
        assert set(read_gates(gates)) <= set(FIGURES)
    assert COUNTED.rstrip(".") in PAGE, "the decision is told in the same words everywhere"
