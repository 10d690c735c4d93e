"""llama.cpp's server behind eval, and the table of runtimes: a real GGUF of random weights, served and asked."""

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy
import pytest
import yaml
from run_folder import make_run
from safetensors.numpy import save_file
from test_server import gone

from callwright import llamacpp
from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_text, sha256, write_json, write_text
from callwright.recipes import Recipe
from eval.endpoint.llamacpp import gguf_files, serve_gguf
from eval.endpoint.prompts import sameness, served_prompt, trained_prompts
from eval.reporting.deploy import RuntimeRow, compare_with_best, slug, table
from eval.scoring.cases import read_cases
from eval.scoring.runs import read_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(not llamacpp.FOLDER.is_dir(), reason="no llama.cpp here: make llamacpp"),
]
SMOLLM2 = ROOT / "models/smollm2-135m-instruct"
TEMPLATE = """\
{%- for message in messages -%}
{{- "<|im_start|>" + message.role + "\\n" -}}
{%- if loop.first and tools -%}{%- for tool in tools -%}{{- (tool | tojson) + "\\n" -}}{%- endfor -%}{%- endif -%}
{{- message.content or "" -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>\\n{"name": ' + (call.function.name | tojson) + ', "arguments": ' -}}
{{- (call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) -}}
{{- "}\\n</tool_call>" -}}
{%- endfor -%}
{{- "<|im_end|>\\n" -}}
{%- endfor -%}
{{- "<|im_start|>assistant\\n" if add_generation_prompt -}}
"""


@pytest.fixture(scope="module")
def house(tiny_house: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny_house with an export in F16 and its base, in the vocabulary of SmolLM2, and without an adapter."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from tools.ship.gguf import write_gguf

    if not SMOLLM2.is_dir():
        pytest.skip("no SmolLM2 here: make model")
    house = tmp_path_factory.mktemp("deploy") / "house"
    shutil.copytree(tiny_house, house)
    run, export = house / "runs/tiny_lora", house / "runs/tiny_lora/export"
    shutil.rmtree(run / "train")
    config = AutoConfig.from_pretrained(
        house / "models/tiny", vocab_size=49152, bos_token_id=1, eos_token_id=2, pad_token_id=0
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(export)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(SMOLLM2 / name, export)
    write_text(export / "chat_template.jinja", TEMPLATE)
    write_gguf(export, export, "tiny_lora", ["f16"], house / "log")
    write_json(export / "manifest.json", {"made_of": {"trained": {}}})
    shutil.copy(export / "tiny_lora-F16.gguf", run / "base-F16.gguf")
    return house


@pytest.fixture
def recipe(house: Path) -> Recipe:
    settings = yaml.safe_load(read_text(house / "configs/train/tiny_lora.yaml"))
    settings["output_dir"] = str(house / "runs/tiny_lora/train")
    return Recipe("tiny_lora", house / "configs/train/tiny_lora.yaml", settings)


def test_llama_cpp_gets_the_trained_tokens_behind_a_key(house: Path, recipe: Recipe):
    cases = read_cases([house / "data/tiny_golden.jsonl"])
    past = {"id": "a", "type": "function", "function": {"name": "generate_image", "arguments": '{"prompt": "a 貓"}'}}
    talk = [*cases[0].messages, {"role": "assistant", "content": "", "tool_calls": [past]}, *cases[1].messages]
    cases.append(cases[0].model_copy(update={"messages": talk}))
    trained = trained_prompts(recipe, cases)
    with serve_gguf(gguf_files(recipe)[1], recipe, threads=1) as server:
        endpoint = server.wait(60)
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        served = [served_prompt(endpoint, case) for case in cases]
        assert served == trained
        assert sameness(trained, served, []) == "ids equal"
        request = urllib.request.Request(f"{endpoint.base_url}/chat/completions", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=10)
        assert endpoint.api_key not in read_text(server.log)
    assert gone(server.process.pid)


def test_the_server_ends_with_us(house: Path):
    hold = (
        "import time; from callwright.recipes import load_recipe; from eval.endpoint.llamacpp import *; r = load_recipe('tiny_lora')\n"
        "with serve_gguf(gguf_files(r)[1], r, 1) as s: print(s.process.pid, flush=True); s.wait(60); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold], cwd=house, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        group = int(parent.stdout.readline())
        os.killpg(group, 0)
        parent.send_signal(signal.SIGKILL)
    assert gone(group)


def test_a_broken_gguf_shows_the_log(recipe: Recipe, tmp_path: Path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF nonsense")
    with (
        serve_gguf(broken, recipe, 1) as server,
        pytest.raises(UserError, match=r"(?s)ended with status.*The log ends:"),
    ):
        server.wait(60)


def test_an_export_of_another_adapter_is_refused(recipe: Recipe):
    manifest = recipe.run_dir / "export/manifest.json"
    before = read_text(manifest)
    write_json(manifest, {"made_of": {"trained": {"adapter_model.safetensors": "0"}}})
    try:
        with pytest.raises(UserError, match=r"exported before the last training; run: make export RECIPE="):
            gguf_files(recipe)
    finally:
        write_text(manifest, before)


def test_the_table_goes_on_where_a_runtime_is_missing(house: Path):
    command = [sys.executable, "-m", "eval.deploy", "tiny_lora", "--cases", "2"]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    folder = house / "runs/tiny_lora/deploy"
    lines = read_text(folder / "table.md").splitlines()
    assert "not measured: " in lines[2] and "no adapter there" in lines[2]
    f16 = next(line for line in lines if line.startswith("| llama.cpp F16 |"))
    assert f16.endswith("| ids equal |")
    assert next(line for line in lines if "unconstrained" in line).endswith("| number differs in 2 of 2 |")
    assert "not measured" in next(line for line in lines if line.startswith("| llama.cpp Q8_0 |"))
    row = read_json(folder / "llama.cpp-f16/runtime.json")
    assert row["load_s"] > 0 and row["peak"] > row["size"] > 0
    assert (folder / "table.png").stat().st_size > 1000
    again = subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=60)
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert read_text(folder / "table.md").splitlines() == lines  # nothing was asked again


def test_sameness_by_number_where_a_server_keeps_its_ids():
    assert sameness([[1, 2], [3]], [None, None], [2, 1]) == "number equal"
    assert sameness([[1, 2], [3]], [None, None], [2, 4]) == "number differs in 1 of 2"
    assert sameness([[1, 2], [3]], [[1, 2], [4]], [2, 1]) == "ids differ in 1 of 2"
    assert sameness(None, [], []) == "not compared: no export"


def test_rows_of_faults_and_folders_of_names():
    text = table([RuntimeRow("vLLM", fault="it | died. The log ends:\n    last words\n")])
    assert "| vLLM | not measured: it \\| died. The log ends: |" in text
    assert "    last words" in text
    assert slug("llama.cpp Q4_K_M, raw") == "llama.cpp-q4_k_m--raw"


def test_a_drop_by_more_than_the_interval_is_named_with_its_cause(tmp_path: Path):
    best, less, same = (
        make_run(tmp_path / name, name, right) for name, right in (("best", 10), ("less", 2), ("same", 9))
    )
    runs = [read_run(folder) for folder in (best, less, same)]
    dropped = compare_with_best(runs[1], runs[0], lambda: "attribution: server 8")
    assert dropped.startswith("**F1 -0.") and "more than the interval**; attribution: server 8" in dropped
    kept = compare_with_best(runs[2], runs[0], lambda: "never asked")
    assert "never asked" not in kept and "against best; 1 of " in kept


def test_base_and_tuned_are_evaluated_behind_llama_cpp(house: Path):
    adapter = house / "runs/tiny_lora/train/adapter_config.json"
    write_json(adapter, {"base_model_name_or_path": "models/tiny"})
    weights, manifest = adapter.with_name("adapter_model.safetensors"), house / "runs/tiny_lora/export/manifest.json"
    save_file({"a": numpy.ones(2, numpy.float32)}, weights)
    before = read_text(manifest)
    write_json(manifest, {"made_of": {"trained": {weights.name: sha256(weights)}}})
    try:
        command = [sys.executable, "-m", "eval.run", "--recipe", "tiny_lora", "--runtime", "llamacpp"]
        done = subprocess.run(command, cwd=house, capture_output=True, text=True, timeout=120)
    finally:
        shutil.rmtree(adapter.parent)
        write_text(manifest, before)
    assert done.returncode == 0, done.stderr
    folder = house / "runs/tiny_lora/eval/golden-llamacpp"
    base, tuned = (read_json(folder / which / "manifest.json")["fingerprint"] for which in ("base", "tuned"))
    assert base["model"].startswith("base-F16.gguf ") and tuned["model"].startswith("tiny_lora-F16.gguf ")
    assert base["server"] == tuned["server"] == f"xllamacpp {llamacpp.versions()['xllamacpp']}"
    assert read_json(folder / "tuned/summary.json")["scored"] == 4
