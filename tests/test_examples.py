"""Each example against the real `llamafactory-cli api`, started once, with a tiny model that knows three answers."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from callwright.files import ROOT
from callwright.recipes import Recipe
from callwright.schema import load_tools
from callwright.tool_prompts import call_text, raw_messages
from callwright.tool_sources.found import to_tools
from callwright.tool_sources.mcp_server import read
from eval.endpoint.server import serve
from eval.endpoint.settings import Endpoint

pytestmark = [pytest.mark.slow, pytest.mark.long]

MCP = f"{sys.executable} examples/agent/mcp_server.py"
SYSTEM = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
"""LLaMA-Factory's qwen template says it by itself"""


class Tiny(Recipe):
    """A recipe without files: the whole model is what is served."""

    def serve(self, tuned: bool) -> dict[str, Any]:
        backend = {"infer_backend": "huggingface", "infer_dtype": "float32", "trust_remote_code": False}
        return {"model_name_or_path": self.model, "template": "qwen", **backend}


def talks() -> list[tuple[str, list[dict[str, Any]], str]]:
    """What is said, the tools on offer, and what the model is to answer."""

    def call(name: str, **arguments: str) -> str:
        return call_text([{"function": {"name": name, "arguments": json.dumps(arguments)}}], "qwen")

    image = load_tools(ROOT / "data/seeds/image_intent/tools.json")
    waste = [tool for _, tool in to_tools(read(MCP, 60))[0]]
    return [
        ("draw a cat", image, call("generate_image", prompt="a cat")),
        ("hello", image, "Hello!"),
        ("電池要丟哪裡？", waste, call("sort_waste", item="電池")),
    ]


def teach(folder: Path) -> None:
    """Train the model in `folder` on the talks: first behind the end of the prompt, which is cheap, then behind all."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    rows = []
    for text, tools, said in talks():
        messages = raw_messages([{"role": "user", "content": text}], tools, "qwen", SYSTEM)
        asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        prompt, reply = (tokenizer(t, add_special_tokens=False).input_ids for t in (asked, f"{said}<|im_end|>"))
        rows.append((prompt, reply))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # other tests run beside this one
    for steps, length in ((200, 60), (60, 2_048)):
        for _ in range(steps):
            worst = 0.0
            for prompt, reply in rows:
                behind = prompt[-length:]
                ids, labels = behind + reply, [-100] * len(behind) + reply
                loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
                loss.backward()
                worst = max(worst, loss.item())
            optimizer.step()
            optimizer.zero_grad()
            if worst < 0.02:
                break
    torch.set_num_threads(threads)
    assert worst < 0.02, "the model did not learn its three answers"
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """The real server, for all of this module."""
    folder = tmp_path_factory.mktemp("taught")
    shutil.copytree(tiny_model, folder / "train")
    teach(folder / "train")
    where = {"model_name_or_path": str(folder / "train"), "output_dir": str(folder / "train")}
    recipe = Tiny("taught", folder, {**where, "finetuning_type": "full"})
    with serve(recipe, tuned=True, threads=1) as server:
        yield server.wait()


@pytest.fixture
def run(served: Endpoint):
    """Run an example against the server: what it prints."""

    def run(*words: str) -> str:
        environment = os.environ | {"OPENAI_BASE_URL": served.base_url, "OPENAI_API_KEY": served.api_key}
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_openai_client(run, served):
    assert run("examples/openai_client.py", served.model, "draw a cat") == "would draw: a cat\n"
    assert run("examples/openai_client.py", served.model, "hello") == "Hello!\n"


def test_the_langchain_client(run, served):
    pytest.importorskip("langchain_openai", reason="uv pip install -r examples/requirements.txt")
    assert run("examples/langchain_client.py", served.model, "draw a cat") == 'generate_image {"prompt": "a cat"}\n'
    assert run("examples/langchain_client.py", served.model, "hello") == "Hello!\n"


def test_the_mcp_host(run, served):
    said = run("-m", "examples.mcp_host", served.model, "電池要丟哪裡？", MCP)
    call, _, result = said.partition(" -> ")
    assert call == 'sort_waste {"item": "電池"}'
    assert json.loads(result)["category"] == "資源回收"


def test_the_router(served):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"OPENAI_API_KEY": served.api_key, "ROUTER_API_KEY": "sesame"}
    words = ["--base-url", served.base_url, "--model", served.model, "--port", f"{port}", "--concurrency", "1"]
    command = [sys.executable, "-m", "examples.router.service", *words]
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as router,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client,
    ):
        try:
            assert router.stdout.readline() == f"router: http://127.0.0.1:{port}/intent, with a key\n"
            for _ in range(100):
                try:
                    assert client.get("/healthz").json() == {"model": "answers"}
                    break
                except httpx2.ConnectError:
                    time.sleep(0.1)
            client.headers["Authorization"] = "Bearer sesame"
            call = {"name": "generate_image", "arguments": {"prompt": "a cat"}}
            intent = {"intent": "generate_image_intent", "call": call, "done": [{"would_draw": "a cat"}]}
            assert client.post("/intent", json={"text": "draw a cat"}).json() == intent
            assert client.post("/intent", json={"text": "hello"}).json() == {"intent": None, "reply": "Hello!"}
            assert 'router_answers_total{outcome="intent"} 1\n' in client.get("/metrics").text
        finally:
            router.terminate()
