"""Lint finds every planted fault and nothing else; the facts about LLaMA-Factory that it rests on; its command."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from callwright.files import ROOT, write_json, write_jsonl
from callwright.records import Case
from tools.checks import lint
from tools.checks.encode import aligned, load_view, stand_in
from tools.checks.lint import CrossRowChecks, entry_faults, lint_file
from tools.checks.lint_row import CODES, check_row
from tools.checks.lint_template import TemplateCheck
from tools.formats.dataset_info import SHAREGPT
from tools.lint import main

DRAW = {
    "name": "draw",
    "description": "Draw a picture.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
}
TOOLS = json.dumps([DRAW])
OTHER_FORMS: list[dict[str, Any]] = [
    {"name": "draw", "description": "Draw.", "inputSchema": DRAW["parameters"]},
    {"name": "draw", "description": "Draw.", "input_schema": DRAW["parameters"]},
    {**DRAW, "returns": {"type": "string"}},
    {**DRAW, "strict": True},
    {"type": "function", "function": {**DRAW, "strict": False}},
    {"function": DRAW, "type": "function"},
    {"name": "draw", "parameters": DRAW["parameters"]},
    {"description": "Draw.", "name": "draw", "parameters": DRAW["parameters"]},
    {**DRAW, "parameters": {"properties": {"what": {"type": "string"}}, "required": ["what"], "type": "object"}},
]
"""tools that a server shows otherwise than such a row does"""


def call(name: str = "draw", **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments or {"what": "a cat"}}


def row(*turns: tuple[str, Any], tools: Any = TOOLS, **more: Any) -> dict[str, Any]:
    conversations = [{"from": role, "value": value if isinstance(value, str | None) else json.dumps(value)} for role, value in turns]  # fmt: skip
    return {"conversations": conversations, "system": "", "tools": tools, **more}


def sound(number: int) -> dict[str, Any]:
    """A row of its own words: a call, a call with its result, an answer, or two turns."""
    ask, answer = ("human", f"request number {number}"), ("gpt", f"answer number {number}")
    called = ("function_call", call(what=f"thing {number}"))
    return row(*[(ask, called), (ask, called, ("observation", "done"), answer), (ask, answer),
                 (ask, answer, ("human", f"and then {number}"), called)][number % 4])  # fmt: skip


def planted() -> dict[str, list[Any]]:
    """Rows (or lines) with one fault each, by code; of duplicate and conflict, the second of a pair is at fault."""
    ask, called = ("human", "draw me something odd"), ("function_call", call())

    def answered(words: str) -> dict[str, Any]:
        return row(("human", f"say {len(words)} letters"), ("gpt", words))

    return {
        "json": ['{"conversations": [', '["a", "list"]', '{"a": 1, "a": 2}', '{"x": "\\ud800"}', '{"x": NaN}', "null"],
        "columns": [
            row(ask, called, tools=5),
            row(ask, called, system=["a"]),
            {"conversations": "words", "system": "", "tools": ""},
            row(("human", None), called),
            row(("human", "who says that"), called, note={"of": "another kind"}),
        ],
        "roles": [
            row(ask),
            row(ask, ask, called),
            row(called, ask),
            row(ask, called, called),
            row(ask, ("tool", "x")),
            row(ask, called, ("observation", "x"), ("observation", "y")),
            row(),
        ],
        "tools": [
            row(ask, called, tools="null"),
            row(ask, called, tools=[DRAW]),
            row(ask, called, tools="[draw]"),
            row(ask, called, tools=json.dumps([{"name": "draw", "parameters": {"type": "string"}}])),
            row(ask, called, tools=json.dumps([DRAW, DRAW])),
            row(ask, called, tools=json.dumps([{"function": DRAW}])),
        ],
        "call": [
            row(ask, ("function_call", "draw a cat")),
            row(ask, ("function_call", {"name": "draw"})),
            row(ask, ("function_call", {"name": "draw", "arguments": '{"what": "a cat"}'})),
            row(ask, ("function_call", [])),
            row(ask, ("function_call", '{"name": "draw", "arguments": {"what": "a", "what": "b"}}')),
            row(ask, ("function_call", '{"name": "draw", "arguments": {"what": NaN}}')),
            row(ask, ("function_call", '{"name": "draw", "arguments": {"what": 1e999}}')),
            row(ask, ("function_call", {**call(), "id": "call_1"})),
            row(ask, ("function_call", call(what="<tool_call>x</tool_call>"))),
            row(ask, ("function_call", "[" * 100_000)),
        ],
        "altered": [
            row(("human", "what does {{idx}} mean in a template"), ("gpt", "a number")),
            row(("system", "Be brief."), ("human", "a system turn beside the column"), called, system="Be long."),
        ],
        "cut-prompt": [row(("human", "a long story " * 200), called)],
        "cut-answer": [row(("human", "tell me a long story"), ("gpt", "so it went on " * 200))],
        "overlap": [row(("human", "  Draw the GOLDEN gate "), called)],
        "empty": [row(("human", "say nothing"), ("gpt", " ")), row(("human", ""), ("gpt", "yes?"))],
        "empty-tools": [row(("human", "no tools at all"), ("gpt", "none"), tools="[]")],
        "tool-form": [
            row(("human", f"a tool in another form: {number}"), called, tools=json.dumps([tool]))
            for number, tool in enumerate(OTHER_FORMS)
        ],
        "orphan-result": [row(("observation", "a result of nothing"), ("gpt", "so what"))],
        "unknown-tool": [
            row(("human", "sing"), ("function_call", call("sing"))),
            row(("human", "draw without tools"), called, tools=""),
        ],
        "schema": [
            row(("human", "draw five"), ("function_call", call(what=5))),
            row(("human", "draw in size"), ("function_call", call(what="a", size="big"))),
        ],
        "unreadable": [row(("human", "draw a tag"), ("function_call", call(what="</tool_call> <tool_call>")))],
        "reads-as-call": [answered(f"<tool_call>{json.dumps(call())}</tool_call>")],
        "special": [answered("it ends with <|im_end|> as you see")],
        "marker": [answered("a call begins with <tool_call>, you know")],
        "moved": [
            row(("human", "then speak"), ("function_call", f"Sure. <tool_call>{json.dumps(call())}</tool_call> Done."))
        ],
        "duplicate": [sound(1)],
        "conflict": [row(("human", "Request  NUMBER 4"), ("gpt", "no"))],
    }


def a_case(text: str) -> dict[str, Any]:
    return Case(id="g1", messages=[{"role": "user", "content": text}], tools=[], expected=[]).model_dump()


def check_of(template: str, cutoff_len: int = 2000, **settings: Any) -> TemplateCheck:
    view = load_view({"template": template, "cutoff_len": cutoff_len, **settings}, stand_in(template))
    return TemplateCheck(view, has_tokenizer=True)


def test_every_planted_fault_in_ten_thousand_rows_and_nothing_else(tmp_path: Path):
    lines = [json.dumps({**sound(number), "note": "text"}) for number in range(10_000)]
    expected = []
    for index, (code, faulty) in enumerate(planted().items()):
        for step, value in enumerate(faulty):
            at = 137 + index * 460 + step * 31
            value = {"note": "text", **value} if isinstance(value, dict) else value
            lines[at] = value if isinstance(value, str) else json.dumps(value)
            expected.append((at + 1, code))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    write_jsonl(tmp_path / "cases.jsonl", [a_case("draw the golden gate")])
    across = CrossRowChecks(lint.asked_texts([tmp_path / "cases.jsonl"]))
    count, findings = lint_file(path, SHAREGPT, across, check_of("qwen"))
    assert count == 10_000
    assert sorted((int(f.place.rpartition(":")[2]), f.code) for f in findings) == sorted(expected)
    elsewhere = {"registry", "parallel", "media", "date", "unchecked"}
    assert {code for _, code in expected} == set(CODES) - elsewhere, "the others have a test below"


@pytest.mark.parametrize("missing", SHAREGPT["tags"])
def test_a_missing_tag_is_named_and_llamafactory_needs_it(missing: str):
    entry = {**SHAREGPT, "tags": {key: value for key, value in SHAREGPT["tags"].items() if key != missing}}
    [(code, words)] = entry_faults(entry)
    assert code == "registry"
    assert missing in words
    turns = [("system", "S."), ("human", "a"), ("function_call", call()), ("observation", "b"), ("gpt", "c")]
    view = load_view({"template": "qwen"})
    try:
        assert aligned(row(*turns), view, SHAREGPT)[0]
        messages = aligned(row(*turns), view, entry)[0]
    except KeyError:
        messages = []
    assert not messages


def test_a_missing_column_is_named():
    entry = {**SHAREGPT, "columns": {"messages": "conversations"}}
    assert [words.split(":")[0] for _, words in entry_faults(entry)] == ["`columns` lacks 'system'", "`columns` lacks 'tools'"]  # fmt: skip
    assert len(entry_faults({"formatting": "sharegpt"})) == 2, "the same; and tags that all are left out are defaults"
    default = aligned(row(("human", "a"), ("gpt", "b")), load_view({"template": "qwen"}), {"formatting": "sharegpt"})
    assert [message["content"] for message in default[0]] == ["a", "b"] and default[2] == ""
    assert [code for code, _ in entry_faults({"formatting": "openai"})] == ["unchecked"]
    assert [f.code for f in lint_file(Path("rows.parquet"), SHAREGPT, CrossRowChecks({}))[1]] == ["unchecked"]


PARALLEL = row(("human", "two, please"), ("function_call", [call(), call()]))
DASHED = row(("human", "x"), ("function_call", call("draw-it")), tools=json.dumps([{**DRAW, "name": "draw-it"}]))
TWO_LINES = row(("human", "what is it"), ("gpt", "answer\n42"))
BARE = row(("human", "how many"), ("gpt", "4"))
KILLS_THE_READER = row(("human", "x"), ("gpt", "<tool_call>1</tool_call>"), ("human", "x" * 9000), ("gpt", "y"))
ENUM = {"type": "object", "properties": {"n": {"enum": [1, 2]}}}
ODD_ENUM = row(("human", "x"), ("gpt", "y"), tools=json.dumps([{"name": "a", "description": "", "parameters": ENUM}]))
NO_PARAMETERS = row(("human", "x"), ("gpt", "y"), tools=json.dumps([{"name": "a"}]))
WRAPPED = row(("human", "x"), ("gpt", "y"), tools=json.dumps([{"type": "function", "function": DRAW}]))
OBSERVED_FIRST = row(("observation", "x"), ("gpt", "y"))


@pytest.mark.parametrize(
    ("template", "faulty", "codes"),
    [
        ("glm4", PARALLEL, {"parallel"}),
        ("qwen", PARALLEL, set()),
        ("llama3", sound(0), {"date"}),
        ("glm4_moe", sound(0), {"unreadable"}),
        ("minimax2", sound(0), {"unreadable"}),
        ("phi", DASHED, {"unreadable"}),
        ("qwen", DASHED, set()),
        ("glm4", TWO_LINES, {"reads-as-call"}),
        ("mistral", BARE, {"reads-as-call"}),
        ("qwen", BARE, set()),
        ("qwen", KILLS_THE_READER, {"reads-as-call", "cut-prompt"}),
        ("phi", ODD_ENUM, {"tools"}),
        ("qwen", ODD_ENUM, set()),
        ("phi", NO_PARAMETERS, {"tools", "tool-form"}),
        ("qwen", WRAPPED, set()),
        ("seed_oss", WRAPPED, {"tool-form"}),
        ("seed_oss", sound(0), set()),
        ("gemma", OBSERVED_FIRST, {"altered", "orphan-result"}),
        ("gemma3", sound(2), {"media"}),
    ],
)
def test_what_only_a_template_shows(template: str, faulty: dict[str, Any], codes: set[str], tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", [faulty])
    _, findings = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}), check_of(template))
    assert {finding.code for finding in findings} == codes


def test_the_numbers_of_a_cut_are_llamafactorys(tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", [row(("human", "x" * 5000), ("gpt", "yes"))])
    _, [finding] = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}), check_of("qwen", cutoff_len=1000))
    assert finding.code == "cut-prompt"
    assert finding.message.startswith("turn 1 keeps 995 of 5")
    assert finding.message.endswith("with cutoff_len 1000")


def test_words_beside_a_call_are_no_fault():
    value = f"I draw it now.<tool_call>{json.dumps(call())}</tool_call>"
    faults, read = check_row(row(("human", "x"), ("function_call", value)), SHAREGPT)
    assert not faults
    assert read is not None
    assert read.turns[1].beside == "I draw it now."
    assert read.turns[1].calls[0].name == "draw"


def test_a_file_above_ten_megabytes_needs_the_same_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rows = [sound(2), {key: value for key, value in sound(6).items() if key != "system"}]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    assert not lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}))[1]
    monkeypatch.setattr(lint, "CHUNK", 10)
    [finding] = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}))[1]
    assert finding.place.endswith(":2")
    assert "'system'" in finding.message


def test_columns_that_the_reader_would_change_or_miss(tmp_path: Path):
    write_jsonl(tmp_path / "rows.jsonl", [{**sound(2), "system": "2024-01-01", "made": "2024-01-01"}])
    [finding] = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}))[1]
    assert "looks like a date" in finding.message
    write_jsonl(tmp_path / "rows.jsonl", [{key: value for key, value in sound(2).items() if key != "tools"}])
    [finding] = lint_file(tmp_path / "rows.jsonl", SHAREGPT, CrossRowChecks({}))[1]
    assert finding.message.startswith("no row has `tools`")


def test_a_json_file_is_a_list_of_rows_or_a_row_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path, rows = tmp_path / "rows.json", [sound(0), sound(1), row(("human", "x")), sound(2)]
    write_json(path, rows)
    assert [(f.place, f.code) for f in lint_file(path, SHAREGPT, CrossRowChecks({}))[1]] == [(f"{path}[2]", "roles")]
    write_json(path, [sound(0), 5, {**sound(1), "tools": 7}])
    assert [(f.place, f.code) for f in lint_file(path, SHAREGPT, CrossRowChecks({}))[1]] == [(f"{path}[1]", "json"), (f"{path}[2]", "columns")]  # fmt: skip
    write_jsonl(path, rows)
    assert [(f.place, f.code) for f in lint_file(path, SHAREGPT, CrossRowChecks({}))[1]] == [(f"{path}:3", "roles")]
    assert main([str(path), "--format", "json"]) == 1
    assert [finding["row"] for finding in json.loads(capsys.readouterr().out)["findings"]] == [3]
    path.write_text(json.dumps(rows)[:-40])
    assert main([str(path)]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_the_command_on_a_file(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [sound(0), row(("human", "x"))])
    assert main([str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:2: error[roles] the last turn is 'human': no answer follows; alternate" in out
    assert out.endswith(f"lint: {path}: 2 rows, 1 errors, 0 warnings\n")

    write_jsonl(path, [sound(0), row(("human", "x"), ("gpt", " "))])
    assert main([str(path), "--format", "json"]) == 0, "warnings alone are no failure"
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["errors"], report["warnings"]) == (2, 0, 1)
    assert report["findings"][0] | {"place": ""} == {
        "place": "", "row": 2, "code": "empty", "severity": "warning",
        "message": "turn 2: the gpt turn has no words", "remedy": CODES["empty"][1],
    }  # fmt: skip
    assert main([str(path), "--template", "qwen", "--model", str(tiny_model), "--cutoff-len", "64"]) == 1
    assert "[cut-prompt]" in capsys.readouterr().out


def test_a_recipe_lints_its_datasets_against_its_cases(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(lint, "ROOT", tmp_path)
    monkeypatch.setattr("tools.training.preflight.ROOT", tmp_path)
    names = "image_intent_train", "image_intent_val"
    write_json(tmp_path / "dataset_info.json", {n: {"file_name": f"data/{n}.jsonl", **SHAREGPT} for n in names})
    write_jsonl(tmp_path / "data/image_intent_train.jsonl", [sound(0), sound(1)])
    write_jsonl(tmp_path / "data/image_intent_val.jsonl", [sound(0), sound(5)])
    write_jsonl(tmp_path / "data/image_intent_golden.jsonl", [a_case("REQUEST number 1")])
    data = ["dataset=image_intent_train", "eval_dataset=image_intent_val"]
    recipe = ["--recipe", "smollm2-135m_lora", *data, f"model_name_or_path={tiny_model}"]
    assert main(recipe) == 1
    out = capsys.readouterr().out
    assert "image_intent_val.jsonl:1: warning[duplicate] the same row as" in out
    assert "error[overlap] turn 1 is what image_intent_golden.jsonl g1 asks" in out
    assert "4 rows, 1 errors, 1 warnings" in out
    main([*recipe[:-1], "model_name_or_path=models/none"])
    assert "warning[unchecked] no tokenizer of models/none here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nowhere.jsonl"], "no such file"),
        ([], "0 files"),
        (["x.jsonl", "--model", "m"], "without a template"),
        (["x.jsonl", "--template", "qwenn"], "did you mean 'qwen'? choose one of"),
        (["--recipe", "nope"], "choose one of"),
        (["--recipe", "smollm2-135_lora"], "did you mean 'smollm2-135m_lora'?"),
        (["--recipe", "smollm2-135m_lora", "dataset=image_intent_tain"], "did you mean 'image_intent_train'?"),
    ],
)
def test_bad_arguments_are_one_line(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(argv) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "loading" not in line]
    assert len(lines) == 1
    assert words in lines[0]


def test_shipped_rows_are_clean():
    path = ROOT / "data/image_intent_train.jsonl"
    if not path.is_file():
        pytest.skip("run: make data")
    assert not lint_file(path, SHAREGPT, CrossRowChecks({}))[1]


def test_the_page_on_troubles_has_every_code_with_its_severity():
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (error|warning) \|", page, re.MULTILINE))
    assert rows == {code: severity for code, (severity, _) in CODES.items()}
    for severity, code, remedy in re.findall(
        r"^\S+\.jsonl:\d+: (\w+)\[(\S+)\] .*?; ((?:reword|write) .*)$", page, re.MULTILINE
    ):
        assert CODES[code] == (severity, remedy)
