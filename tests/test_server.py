import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from callwright.files import read_json, read_jsonl, write_text
from callwright.web import bind
from eval.scoring.predictions import read_samples

pytestmark = pytest.mark.slow

HOLD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background inherits an ignored Ctrl-C
from callwright.recipes import load_recipe
from eval.endpoint.server import serve
with serve(load_recipe("tiny_lora"), tuned=False, threads=1) as server:
    print(server.process.pid, flush=True)
    if sys.argv[1] == "raise":
        raise RuntimeError("something else went wrong")
    time.sleep(60)
"""


def gone(group: int) -> bool:
    """Whether no live process is left in a group; waits a little."""
    for _ in range(100):
        listing = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout.split()
        if all(state.startswith("Z") for state in listing):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "raise"], ids=str)
def test_the_server_ends_with_us_however_we_end(tiny_house, end):
    how = "raise" if end == "raise" else "hold"
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLD, how], cwd=tiny_house, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with parent:
        group = int(parent.stdout.readline())
        if end != "raise":
            os.killpg(group, 0)  # it runs
            parent.send_signal(end)
        assert parent.wait(timeout=20) != 0
    assert gone(group)


def evaluate(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"}
    command = [sys.executable, "-m", "eval.run", "--recipe", "tiny_lora", *arguments]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True, timeout=240)


def test_base_and_tuned_are_evaluated_end_to_end(tiny_house):
    done = evaluate(tiny_house)
    assert done.returncode == 0, done.stderr
    assert "report: runs/tiny_lora/eval/golden/tuned/report.html" in done.stdout
    assert "4 of 4, 0 infra errors" in done.stdout
    folder = tiny_house / "runs" / "tiny_lora" / "eval" / "golden"
    for which in ("base", "tuned"):
        files = {path.name for path in (folder / which).iterdir() if path.name[0] != "."}
        blame = {"attribution.json", "raw"} if which == "tuned" else set()
        assert files == {"predictions.jsonl", "results.jsonl", "summary.json", "report.html", "manifest.json"} | blame
        answers = [line for _, line in read_jsonl(folder / which / "predictions.jsonl")]
        assert len(answers) == 4
        assert all(line["error"] is None and line["latency_s"] > 0 for line in answers)
        assert read_json(folder / which / "summary.json")["scored"] == 4
    # The server's own prompt and ours are the same tokens, so that random weights say the same in both modes.
    natively, raw = (read_samples(path / "predictions.jsonl") for path in (folder / "tuned", folder / "tuned" / "raw"))
    assert raw
    for key, prediction in raw.items():
        assert prediction.usage["prompt_tokens"] == natively[key].usage["prompt_tokens"] > 100
        assert prediction.content == natively[key].content
    assert {row["cause"] for row in read_json(folder / "tuned" / "attribution.json")} == {"model"}
    assert "attribution: " in done.stdout
    base, tuned = (read_json(folder / which / "manifest.json") for which in ("base", "tuned"))
    assert base["fingerprint"]["adapter"] is None
    assert len(tuned["fingerprint"]["adapter"]) == 64
    assert base["fingerprint"]["model"] == tuned["fingerprint"]["model"]
    assert (base["asked"], base["machine"]["cpus"] >= 1, "torch" in base["packages"]) == (4, True, True)
    assert tuned["command"] == ["python", "-m", "eval.run", "--recipe", "tiny_lora"]

    # Nothing is missing: nobody is served or asked, and the scores are the same.
    started = time.monotonic()
    again = evaluate(tiny_house)
    assert again.returncode == 0
    assert time.monotonic() - started < 15
    assert again.stdout == done.stdout
    assert read_json(folder / "tuned" / "manifest.json") == tuned


def test_a_server_that_dies_shows_its_log(tiny_house):
    serve = tiny_house / "configs" / "serve" / "tiny_lora.yaml"
    before = serve.read_text("utf-8")
    try:
        write_text(serve, before.replace("template: qwen", "template: nonsense"))
        done = evaluate(tiny_house, "--fresh")
    finally:
        write_text(serve, before)
    assert done.returncode == 2
    assert "error: " in done.stderr
    assert "the server ended with status 1" in done.stderr
    assert "Template nonsense does not exist" in done.stderr


def test_an_untrained_recipe_says_what_to_run(tiny_house, tmp_path):
    adapter = tiny_house / "runs" / "tiny_lora" / "train"
    adapter.rename(tmp_path / "train")
    try:
        done = evaluate(tiny_house)
    finally:
        (tmp_path / "train").rename(adapter)
    assert done.returncode == 2
    assert "no adapter there; run: make train RECIPE=tiny_lora" in done.stderr
    assert done.stderr.count("\n") == 1


def test_unknown_names_list_those_that_exist(tiny_house):
    done = evaluate(tiny_house, "--suite", "silver")
    assert (done.returncode, "choose one of: golden" in done.stderr) == (2, True)


def test_the_api_is_for_those_whom_it_is_meant_for(tiny_house):
    import httpx2

    command = [sys.executable, "-m", "eval.api", "configs/serve/tiny_lora.yaml"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("API_")}
    opened = environment | {"API_HOST": "0.0.0.0"}
    done = subprocess.run(command, cwd=tiny_house, env=opened, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "is open to others without a key; export API_KEY" in done.stderr
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    environment |= {"API_PORT": str(port), "API_HOST_NAMES": "model.example, other.example"}
    server = subprocess.Popen(command, cwd=tiny_house, env=environment, stderr=subprocess.DEVNULL)
    try:
        client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60)
        for _ in range(600):
            try:
                found = client.get("/v1/models")
                break
            except httpx2.ConnectError:
                assert server.poll() is None
                time.sleep(0.2)
        asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}

        def status(**headers: str) -> list[int]:
            answers = [client.get("/v1/models", headers=headers)]
            answers.append(client.post("/v1/chat/completions", json=asked, headers=headers))
            return [answer.status_code for answer in answers]

        assert found.status_code == 200
        assert status() == status(Host="model.example") == status(Origin="http://localhost:3000") == [200, 200]
        assert status(Host="evil.example") == [400, 400]
        assert status(Origin="http://evil.example") == [403, 403]
        assert (
            "access-control-allow-origin"
            not in client.get("/v1/models", headers={"Origin": "http://a.example"}).headers
        )
    finally:
        server.terminate()
        server.wait(timeout=30)
