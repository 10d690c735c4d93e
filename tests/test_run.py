import os
import signal
import subprocess
import sys
import time

import pytest
from endpoint import answer, case, draws, endpoint
from werkzeug import Response

from callwright.config import load_config
from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_jsonl, write_jsonl, write_text
from callwright.recipes import load_recipe
from eval import manifest
from eval.run import main, share_out
from eval.suites import Gates, Suite, load_suite, task_of

CASES = [case(f"c{i}", f"draw {i}" if i % 2 else f"hi {i}", bool(i % 2)) for i in range(6)]


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Arguments for a run of six cases, but for the URL."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(tmp_path / "cases.jsonl", CASES)
    files = ["--cases", str(tmp_path / "cases.jsonl"), "--out", str(tmp_path / "out")]
    return [*files, "--model", "m", "--retries", "0", "--base-url"]


def test_any_endpoint_is_asked_scored_and_reported(tmp_path, arguments, capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-5555")
    with endpoint(key="sk-secret-5555") as server:
        assert main([*arguments, server.url, "--api-key-env", "MY_KEY"]) == 0
    output = capsys.readouterr()
    assert "1.000" in output.out
    assert "6 of 6, 0 infra errors" in output.out
    assert len(output.out.splitlines()) <= 13
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("predictions.jsonl", "results.jsonl", "summary.json", "manifest.json", "report.html")
    }
    summary = read_json(tmp_path / "out" / "summary.json")
    keys = ("n", "scored", "infra_errors", "decision", "strict_accuracy", "verdicts", "slices", "latency")
    assert all(key in summary for key in keys)
    assert summary["decision"]["f1"] == 1
    for path in (tmp_path / "out").iterdir():
        assert "sk-secret-5555" not in path.read_text("utf-8")
    assert "sk-secret-5555" not in output.out + output.err


def test_infra_errors_are_counted_and_asked_again(tmp_path, arguments, capsys):
    with endpoint(lambda r: Response("no", 500) if "3" in str(r["messages"]) else draws(r)) as server:
        assert main([*arguments, server.url]) == 0
        assert "5 of 6, 1 infra errors" in capsys.readouterr().out
        server.reply = draws
        server.requests.clear()
        assert main([*arguments, server.url]) == 0
        assert server.asked == ["draw 3"]
        assert "6 of 6, 0 infra errors" in capsys.readouterr().out


def test_a_run_in_which_nothing_was_scored_fails(tmp_path, arguments, capsys):
    with endpoint(lambda r: Response("no", 500)) as server:
        assert main([*arguments, server.url]) == 1
    assert "0 of 6, 6 infra errors" in capsys.readouterr().out


def test_answers_to_other_cases_or_of_other_models_are_not_reused(tmp_path, arguments, capsys):
    with endpoint() as server:
        assert main([*arguments, server.url]) == 0
        before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
        asked = len(server.requests)
        old = read_json(tmp_path / "out" / "manifest.json")["fingerprint"]["cases"]
        for change in (["--max-tokens", "9"], ["--model", "other"]):
            assert main([*arguments, server.url, *change]) == 2
            assert "holds answers for other" in capsys.readouterr().err
        write_jsonl(tmp_path / "cases.jsonl", CASES[:2])
        assert main([*arguments, server.url]) == 2
        message = capsys.readouterr().err
        assert "holds answers for other cases" in message
        assert old in message
        assert (len(server.requests), (tmp_path / "out" / "predictions.jsonl").read_bytes()) == (asked, before)
        assert main([*arguments, server.url, "--fresh"]) == 0
        assert len(server.requests) == asked + 2
        (tmp_path / "out" / "manifest.json").unlink()
        assert main([*arguments, server.url]) == 2
        assert "(None; now " in capsys.readouterr().err


def test_a_killed_run_goes_on_where_it_was(tmp_path, arguments):
    def slow(request):
        time.sleep(0.15)
        return answer("x")

    write_jsonl(tmp_path / "cases.jsonl", [case(f"{i}", f"hi {i}", False) for i in range(40)])
    log = tmp_path / "out" / "predictions.jsonl"
    with endpoint(slow) as server:
        command = [sys.executable, "-m", "eval.run", *arguments, server.url, "--concurrency", "2"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (log.exists() and log.read_text("utf-8").count("\n") >= 4):
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kept = log.read_text("utf-8").count("\n")
        server.reply = lambda request: answer("x")
        time.sleep(0.3)
        server.requests.clear()
        assert main([*arguments, server.url]) == 0
        assert len(server.requests) == 40 - kept
    assert [line["id"] for _, line in read_jsonl(tmp_path / "out" / "results.jsonl")] == [f"{i}" for i in range(40)]


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("127.0.0.1:8000/v1", "is not a URL"),
        ("ftp://x/v1", "is not a URL"),
        ("http://me:secret@127.0.0.1/v1", "holds a user or a password"),
        ("http://127.0.0.1:9/v1", "no connection"),
    ],
)
def test_a_wrong_url_is_one_line(tmp_path, arguments, capsys, url, fault):
    assert main([*arguments, url]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert fault in error
    assert "secret" not in error


def test_broken_cases_are_found_before_anything_is_asked(tmp_path, arguments, capsys):
    write_jsonl(tmp_path / "cases.jsonl", [*CASES, {**CASES[1], "id": "z", "tools": []}])
    with endpoint() as server:
        assert main([*arguments, server.url]) == 2
        assert server.requests == []
    assert "cases.jsonl:7: expects a call of 'generate_image', which the case does not offer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--concurrency", "--max-tokens"])
def test_a_count_of_nothing_is_refused(arguments, flag):
    with pytest.raises(SystemExit):
        main([*arguments, "http://127.0.0.1:9/v1", flag, "0"])


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "eval").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_suite_loads(path):
    suite = load_suite(path.stem)
    assert suite.files("image_intent")[0] == ROOT / "data" / "image_intent_golden.jsonl"
    assert suite.temperature == 0


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "train").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_tells_its_task(path):
    assert (ROOT / "configs" / "data" / f"{task_of(load_recipe(path.stem))}.yaml").exists()


def test_a_suite_with_an_unknown_key_names_it(tmp_path):
    write_text(tmp_path / "s.yaml", "cases: [a]\nmax_token: 3\n")
    with pytest.raises(UserError, match=r"s\.yaml: max_token: Extra inputs"):
        load_config(tmp_path / "s.yaml", Suite)


def test_gates():
    summary = {"decision": {"f1": 0.8, "precision": None, "recall": 1.0}, "strict_accuracy": 0.7}
    assert Gates().missed(summary) == []
    assert Gates(f1=0.8, recall=0.9).missed(summary) == []
    assert Gates(f1=0.81, precision=0.1, strict_accuracy=0.7).missed(summary) == [
        "f1 0.8 < 0.81",
        "precision None < 0.1",
    ]


def test_copies_of_a_server_fit_the_cores_the_cases_and_the_memory(monkeypatch):
    monkeypatch.setattr(manifest, "gpus", lambda: [])
    monkeypatch.setattr(manifest, "cores", lambda: 3)
    assert share_out(200, 1) == (3, 1)
    assert share_out(60, 1) == (2, 1)
    assert share_out(4, 1) == (1, 3)
    assert share_out(200, 1 << 50) == (1, 3)
    assert share_out(200, None) == (1, 3), "nobody knows how large it is"
    monkeypatch.setattr(manifest, "gpus", lambda: ["H100"])
    assert share_out(200, 1) == (1, None)
