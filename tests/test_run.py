import os
import signal
import subprocess
import sys
import time

import numpy
import pytest
from endpoint import answer, case, draws, endpoint
from safetensors.numpy import save_file
from werkzeug import Response

from callwright import machine
from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_jsonl, write_jsonl, write_text
from callwright.recipes import Recipe, load_recipe
from callwright.records import Case
from callwright.yaml_config import load_config
from eval.endpoint.plan import Plan, open_run_folder, run_plan
from eval.endpoint.server import check_models
from eval.endpoint.settings import Endpoint, Sampling
from eval.reporting.run import attribute_failures, share_out
from eval.reporting.suites import Suite, load_suite
from eval.run import main
from eval.scoring.runs import read_run

CASES = [case(f"c{i}", f"draw {i}" if i % 2 else f"hi {i}", bool(i % 2)) for i in range(6)]


@pytest.fixture
def arguments(tmp_path, monkeypatch):
    """Arguments for a run of six cases, but for the URL."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    write_jsonl(tmp_path / "cases.jsonl", CASES)
    files = ["--cases", str(tmp_path / "cases.jsonl"), "--out", str(tmp_path / "out")]
    return [*files, "--model", "m", "--retries", "0", "--base-url"]


def test_cases_of_a_pipe_are_refused_as_they_could_be_read_but_once(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    given = ["--cases", str(tmp_path / "pipe"), "--out", str(tmp_path / "out"), "--model", "m"]
    assert main([*given, "--base-url", "http://127.0.0.1:9/v1"]) == 2
    assert "write them to a file" in capsys.readouterr().err


def test_any_endpoint_is_asked_scored_and_reported(tmp_path, arguments, capsys, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-5555")
    with endpoint(key="sk-secret-5555") as server:
        assert main([*arguments, server.url, "--api-key-env", "MY_KEY"]) == 0
    output = capsys.readouterr()
    assert "1.000" in output.out
    assert "6 of 6, 0 infra errors" in output.out
    assert len(output.out.splitlines()) <= 13
    assert {path.name for path in (tmp_path / "out").iterdir() if path.name[0] != "."} == {
        *("predictions.jsonl", "results.jsonl", "summary.json", "manifest.json", "report.html")
    }
    summary = read_json(tmp_path / "out" / "summary.json")
    keys = ("n", "scored", "infra_errors", "decision", "strict_accuracy", "verdicts", "slices", "latency")
    assert all(key in summary for key in keys)
    assert summary["decision"]["f1"] == 1
    for path in (tmp_path / "out").iterdir():
        assert "sk-secret-5555" not in path.read_text("utf-8")
    assert "sk-secret-5555" not in output.out + output.err


def test_two_runs_do_not_share_a_folder(tmp_path, arguments, capsys):
    def slow(request):
        time.sleep(0.2)
        return draws(request)

    with endpoint(slow) as server:
        command = [sys.executable, "-m", "eval.run", *arguments, server.url]
        first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        while not server.requests:
            time.sleep(0.05)
        for more in ([], ["--fresh"], ["--mode", "raw"]):
            assert main([*arguments, server.url, *more]) == 2
            said = capsys.readouterr().err
            assert f"is being written by process {first.pid}, since 2" in said and said.count("\n") == 1
        assert "6 of 6" in first.communicate()[0] and first.returncode == 0
        assert len(server.requests) == 6
        assert main([*arguments, server.url]) == 0, "it is free again"


def test_infra_errors_are_counted_and_asked_again(tmp_path, arguments, capsys):
    with endpoint(lambda r: Response("no", 500) if "3" in str(r["messages"]) else draws(r)) as server:
        assert main([*arguments, server.url]) == 0
        assert "5 of 6, 1 infra errors" in capsys.readouterr().out
        server.reply = draws
        server.requests.clear()
        assert main([*arguments, server.url]) == 0
        assert server.asked == ["draw 3"]
        assert "6 of 6, 0 infra errors" in capsys.readouterr().out


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/properties/prompt"},
        {"pattern": "(" * 40},
        {"type": "STRING"},
        {"$schema": "http://json-schema.org/draft-99/schema#", "type": 7},
        nested(300),
        nested(460),
        {"pattern": "^(?:(a|aa)(?=a))+d"},
    ],
    ids=lambda schema: str(schema)[:40],
)
def test_a_schema_that_cannot_be_used_costs_its_own_case_alone(tmp_path, arguments, capsys, schema):
    function = {"name": "generate_image", "parameters": {"type": "object", "properties": {"prompt": schema}}}
    due = [{"name": "generate_image", "arguments": {"prompt": "a" * 60 + "b"}}]
    odd = {**CASES[1], "id": "odd-1", "tools": [{"type": "function", "function": function}], "expected": due}
    write_jsonl(tmp_path / "cases.jsonl", [odd, *CASES])
    with endpoint() as server:
        assert main([*arguments, server.url]) == 0
        asked = len(server.requests)
        assert main([*arguments, server.url]) == 0
        assert asked == len(server.requests) == 6, "it is never asked"
    said = capsys.readouterr().out
    assert "6 of 7, 0 infra errors" in said and "unchecked, and so unscored: odd-1: " in said
    summary = read_json(tmp_path / "out" / "summary.json")
    assert (summary["n"], summary["scored"], summary["verdicts"]) == (7, 6, {"unchecked": 1, "correct": 6})
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "could not be checked" in page and 'id="case-odd-1"' in page


def test_a_run_whose_cases_cannot_be_checked_asks_nobody_and_fails(tmp_path, arguments, capsys):
    function = {"name": "f", "parameters": {"properties": {"x": {"$ref": "#/$defs/none"}}}}
    write_jsonl(tmp_path / "cases.jsonl", [{**CASES[0], "tools": [{"type": "function", "function": function}]}])
    assert main([*arguments, "http://127.0.0.1:9/v1"]) == 1
    assert "0 of 1, 0 infra errors" in capsys.readouterr().out


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
    assert main([*arguments, "http://127.0.0.1:9/v1", flag, "0"]) == 2


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "eval").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_suite_loads(path):
    suite = load_suite(path.stem)
    part = path.stem if path.stem in ("mine", "talk") else "golden"
    assert suite.cases[0] == f"data/{{task}}_{part}.jsonl"
    assert suite.temperature == 0


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "train").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_tells_its_task(path):
    assert (ROOT / "configs" / "data" / f"{load_recipe(path.stem).task}.yaml").exists()


def test_a_suite_with_an_unknown_key_names_it(tmp_path):
    write_text(tmp_path / "s.yaml", "cases: [a]\nmax_token: 3\n")
    with pytest.raises(UserError, match=r"s\.yaml:2: max_token: Extra inputs"):
        load_config(tmp_path / "s.yaml", Suite)


def test_copies_of_a_server_fit_the_cores_the_cases_and_the_memory(monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: [])
    monkeypatch.setattr(machine, "cores", lambda: 3)
    assert share_out(200, 1) == (3, 1)
    assert share_out(60, 1) == (2, 1)
    assert share_out(4, 1) == (1, 3)
    assert share_out(200, 1 << 50) == (1, 3)
    assert share_out(200, None) == (1, 3), "nobody knows how large it is"
    monkeypatch.setattr(machine, "gpus", lambda: [machine.Gpu("H100", 81559.0)])
    assert share_out(200, 1) == (1, None)


def by_mode(request):
    """A model that calls rightly in text, behind a server that loses its calls but for the first."""
    text = request["messages"][-1]["content"]
    if "tools" in request:
        return draws(request) if text == "draw 1" else answer("Hello!" if "hi" in text else "I drew it.")
    call = f'<tool_call>{{"name": "generate_image", "arguments": {{"prompt": "{text}"}}}}</tool_call>'
    return answer(call if "draw" in text and text != "draw 5" else "Hello!")


def test_both_modes_tell_the_server_from_the_model(tmp_path, arguments, capsys):
    out = tmp_path / "out"
    with endpoint(by_mode) as server:
        assert main([*arguments, server.url, "--mode", "both"]) == 0
        assert "attribution: 6 answers native and raw: server 1, model 1, both right 4" in capsys.readouterr().out
        assert len(server.requests) == 12
        rows = read_json(out / "attribution.json")
        assert rows[0] == {"native": "no_call", "raw": "correct", "n": 1, "cause": "server", "ids": ["c3"]}
        assert rows[1] == {"native": "no_call", "raw": "no_call", "n": 1, "cause": "model", "ids": ["c5"]}
        native, raw = (read_json(folder / "manifest.json") for folder in (out, out / "raw"))
        assert "mode" not in native["fingerprint"]["sampling"]
        assert raw["fingerprint"]["sampling"]["mode"] == "raw"
        assert read_json(out / "raw" / "summary.json")["strict_accuracy"] == pytest.approx(5 / 6, abs=1e-3)
        assert (out / "raw" / "report.html").exists()

        server.requests.clear()
        assert main([*arguments, server.url, "--mode", "both"]) == 0
        assert server.requests == []
        log = out / "raw" / "predictions.jsonl"
        log.write_text("".join(log.read_text("utf-8").splitlines(keepends=True)[:4]), "utf-8")
        assert main([*arguments, server.url, "--mode", "both"]) == 0
        assert len(server.requests) == 2
        assert read_json(out / "attribution.json") == rows


def test_raw_mode_begins_with_what_the_servers_template_says(arguments):
    with endpoint(by_mode) as server:
        assert main([*arguments, server.url, "--mode", "raw", "--raw-system", "You are terse."]) == 0
        assert all(r["messages"][0]["content"].startswith("You are terse.\n\n# Tools") for r in server.requests)


def test_raw_mode_alone_is_a_run_of_its_own(tmp_path, arguments, capsys):
    with endpoint(by_mode) as server:
        assert main([*arguments, server.url, "--mode", "raw", "--raw-format", "llama3"]) == 0
        assert not any("tools" in request for request in server.requests)
        assert '{"name": function name, "parameters"' in server.requests[0]["messages"][0]["content"]
        assert not (tmp_path / "out" / "raw").exists()
        assert not (tmp_path / "out" / "attribution.json").exists()
        capsys.readouterr()
        for more in (["--mode", "native"], ["--mode", "raw"]):  # another mode, another format
            assert main([*arguments, server.url, *more]) == 2
            assert "holds answers for other sampling" in capsys.readouterr().err


def test_a_raw_format_without_words_is_refused(arguments):
    assert main([*arguments, "http://127.0.0.1:9/v1", "--mode", "raw", "--raw-format", "seed_oss"]) == 2


def blamed(tmp_path, url, **suite):
    """What is told of six cases that were asked natively, and the requests that it took."""
    cases = [Case(**line) for line in CASES]
    write_jsonl(tmp_path / "cases.jsonl", CASES)
    sampling = Sampling()
    plan = Plan("tuned", tmp_path / "out", [tmp_path / "cases.jsonl"], cases, sampling, {"sampling": sampling.fingerprint()}, [])  # fmt: skip
    suite = Suite(cases=["x"], retries=0, **suite)
    start = lambda missing: [Endpoint(url, "m")]  # noqa: E731
    with open_run_folder(plan, False, False):
        run = run_plan(plan, start, suite.limits)
        settings = {"template": "qwen", "default_system": "Be brief."}
        return attribute_failures(plan, run, settings, suite, False, start)


@pytest.mark.parametrize(
    ("which", "asked"), [("failures", {"c3", "c5"}), ("all", {f"c{i}" for i in range(6)}), ("off", set())]
)
def test_a_recipes_failures_are_asked_again_raw(tmp_path, which, asked):
    out = tmp_path / "out"
    with endpoint(by_mode) as server:
        line = blamed(tmp_path, server.url, attribution=which)
        raw = [request for request in server.requests if "tools" not in request]
        assert len(raw) == len(asked)
        if which == "off":
            assert (line, (out / "attribution.json").exists()) == ("attribution: off", False)
            return
        assert line.startswith("attribution: ")
        assert "server 1, model 1" in line
        assert all(request["messages"][0]["content"].startswith("Be brief.\n\n# Tools") for request in raw)
        assert {line["id"] for _, line in read_jsonl(out / "raw" / "predictions.jsonl")} == asked
        assert {row["cause"]: row["ids"] for row in read_json(out / "attribution.json")}["server"] == ["c3"]
        server.requests.clear()
        assert blamed(tmp_path, server.url, attribution=which) == line
        assert server.requests == []
        assert read_run(out / "raw").asked
        assert len(list(read_jsonl(out / "raw" / "results.jsonl"))) == len(asked)
        if which == "all":  # fewer cases need no new answers
            assert "server 1, model 1" in blamed(tmp_path, server.url, attribution="failures")
            assert server.requests == []
            assert read_run(out / "raw").asked
            assert len(list(read_jsonl(out / "raw" / "results.jsonl"))) == 2


def test_where_nothing_failed_nobody_is_asked_again(tmp_path):
    with endpoint() as server:
        assert blamed(tmp_path, server.url) == "attribution: nothing failed"
        assert len(server.requests) == 6
    assert read_json(tmp_path / "out" / "attribution.json") == []


def test_several_samples_of_a_case_give_pass_hat_k(tmp_path, arguments, capsys):
    def every_other(request):
        return draws(request) if len(server.requests) % 2 else answer("Well, well.")

    with endpoint(every_other) as server:
        assert main([*arguments, server.url, "--samples", "4"]) == 2
        assert "4 at temperature 0 are all the same" in capsys.readouterr().err
        assert main([*arguments, server.url, "--samples", "4", "--temperature", "0.7", "--concurrency", "1"]) == 0
        assert len(server.requests) == 24
        assert main([*arguments, server.url, "--samples", "4", "--temperature", "0.7"]) == 0
        assert len(server.requests) == 24
        assert main([*arguments, server.url, "--samples", "3", "--temperature", "0.7"]) == 2
    summary = read_json(tmp_path / "out" / "summary.json")
    assert (summary["n"], summary["cases"], summary["strict_accuracy"]) == (24, 6, 0.75)
    assert {k: figures["value"] for k, figures in summary["pass_hat_k"].items()} == {
        "1": 0.75,  # (3 cases of 1 + 3 of 2/4) / 6
        "2": pytest.approx(0.5 + 0.5 / 6, abs=1e-4),
        "3": 0.5,
        "4": 0.5,
    }


def test_a_cpu_is_asked_for_some_failures_of_every_verdict(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: [])

    def wrong(request):
        text = request["messages"][-1]["content"]
        return answer(arguments="{}") if text in ("hi 0", "hi 2", "hi 4", "draw 5") else answer("Well.")

    with endpoint(wrong) as server:
        assert blamed(tmp_path, server.url, attribution_cases=3).startswith("attribution: 3 answers")
        assert [line["id"] for _, line in read_jsonl(tmp_path / "out" / "raw" / "cases.jsonl")] == ["c0", "c1", "c5"]
        monkeypatch.setattr(machine, "gpus", lambda: [machine.Gpu("H100", 81559.0)])
        server.requests.clear()
        assert blamed(tmp_path, server.url, attribution_cases=3).startswith("attribution: 6 answers")
        assert len(server.requests) == 3


def test_an_adapter_of_another_base_is_named(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "models/other"}')
    save_file({"a": numpy.ones(2, numpy.float32)}, tmp_path / "adapter_model.safetensors")
    recipe = load_recipe("smollm2-135m_lora", [f"output_dir={tmp_path}"])
    with pytest.raises(UserError, match="another base: models/other, and the recipe's is models/smollm2-135m-instruct"):
        check_models(recipe, tuned=True)


def test_the_base_that_an_adapter_is_served_on_must_be_there(tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "models/none"}')
    save_file({"a": numpy.ones(2, numpy.float32)}, tmp_path / "adapter_model.safetensors")
    recipe = load_recipe("smollm2-135m_lora", [f"output_dir={tmp_path}"])
    served = recipe.serve(tuned=True) | {"model_name_or_path": "models/none"}
    monkeypatch.setattr(Recipe, "serve", lambda recipe, tuned: served)
    with pytest.raises(
        UserError, match="models/none: the base model is not there; run: make model RECIPE=smollm2-135m_lora"
    ):
        check_models(recipe, tuned=True)


def test_what_a_recipe_lacks_is_named_with_the_command_that_repeats_its_task_and_adapter():
    def remedy(*overrides):
        with pytest.raises(UserError) as told:
            check_models(load_recipe("smollm2-135m_lora", overrides), tuned=True)
        return told.value.remedy

    of_task = ["dataset=no_task_train", "output_dir=runs/smollm2-135m_lora/no_task/train"]
    assert remedy(*of_task) == "run: make train RECIPE=smollm2-135m_lora TASK=no_task"
    with pytest.raises(UserError) as told:
        load_suite("mine").files("no_task")
    assert "make data TASK=no_task" in told.value.remedy and "split.mine" in told.value.remedy
