"""The Modelfile's template, run by Go's own text/template, writes what the chat template writes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from callwright.files import ROOT
from callwright.schema import load_tools
from tools.checks.chat_template import write_template
from tools.checks.encode import load_tokenizer, load_view
from tools.ship.modelfile import write_modelfile

PROGRAM = """package main

import ("encoding/json"; "os"; "text/template")

type Message struct { Role, Content string; ToolCalls []Said }
type Said struct { Function struct { Name string; Arguments string } }
type Talk struct { Messages []Message; Tools []json.RawMessage }

func main() {
    text, _ := os.ReadFile(os.Args[1])
    made := template.Must(template.New("").Parse(string(text)))
    var talks []Talk
    if err := json.NewDecoder(os.Stdin).Decode(&talks); err != nil { panic(err) }
    for _, talk := range talks {
        if err := made.Execute(os.Stdout, talk); err != nil { panic(err) }
        os.Stdout.WriteString("\\x00")
    }
}
"""
TOOLS = load_tools(ROOT / "data/seeds/assistant_tools/tools.json")
SETTINGS = {"template": "qwen", "default_system": "You are a helpful assistant.", "stage": "sft"}
ASKED = {"role": "user", "content": 'say "hi" {{ .Tools }} <b>\n 好'}
CALLS = [{"function": {"name": name, "arguments": {"city": "台北"}}} for name in ("get_weather", "play_music")]
TALKS = [
    [ASKED],
    [ASKED, {"role": "assistant", "content": "\nhi"}, ASKED],
    [ASKED, {"role": "assistant", "content": None, "tool_calls": CALLS[:1]}, {"role": "tool", "content": "22°"}],
    [ASKED, {"role": "assistant", "content": None, "tool_calls": CALLS}, {"role": "tool", "content": "22°"}, ASKED],
]


@pytest.mark.skipif(not shutil.which("go"), reason="needs Go: apt-get install golang-go")
def test_go_writes_what_the_chat_template_writes(tiny_model: Path, tmp_path: Path):
    settings = SETTINGS | {"model_name_or_path": str(tiny_model)}
    template = write_template(load_view(settings, *load_tokenizer(settings)))
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)

    def render(messages: list[dict], tools: list[dict] | None, answer: bool) -> str:
        return tokenizer.apply_chat_template(
            messages, tools=tools, tokenize=False, add_generation_prompt=answer, chat_template=template
        )

    made = write_modelfile(render, TOOLS, "m.gguf", "<|im_end|>")
    head, text, tail = made.split('"""')
    assert (head, tail.split("\n")[1]) == ("FROM ./m.gguf\nTEMPLATE ", 'PARAMETER stop "<|im_end|>"')
    assert "}}<tool_call>\n" in text, "bare, for Ollama to find"
    (tmp_path / "main.go").write_text(PROGRAM)
    (tmp_path / "template").write_text(text)
    blank = json.dumps(CALLS[0]["function"]["arguments"], ensure_ascii=False)
    talks, wanted = [], []
    for talk in TALKS:
        for tools in (TOOLS, None):
            wanted.append(render(talk, tools, True))
            given = [{**turn, "content": turn["content"] or ""} for turn in talk]
            for turn in given:
                turn["ToolCalls"] = [
                    {"Function": {"Name": call["function"]["name"], "Arguments": blank}}
                    for call in turn.pop("tool_calls", [])
                ]
            talks.append({"Messages": given, "Tools": tools})
    done = subprocess.run(
        ["go", "run", "main.go", "template"], cwd=tmp_path, input=json.dumps(talks), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\0")[:-1] == wanted
