import json
import sys
import time
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from callwright.call_readers import attempts_call, find_calls, read_calls
from callwright.call_readers.forms import FORMS
from callwright.files import to_json
from callwright.tool_prompts import CALLS

FAMILIES = json.loads((Path(__file__).parent / "cases" / "families.json").read_text("utf-8"))
CALL = '<tool_call>{"name": "tide_table", "arguments": {}}</tool_call>'
CASES = json.loads((Path(__file__).parent / "cases" / "call_readers.json").read_text("utf-8"))
PIECES = ["<tool_call>", "</tool_call>", "Action:", " f", "\n", "Action Input:", '{"name"', ': "f"', ', "arguments": ']
PIECES += [
    "{}",
    "}",
    "[",
    '"',
    "\\",
    "\\ud800",
    "\ud800",
    "parameters",
    " ",
    "1e999",
    "NaN",
    "圖",
    "{" * 40,
    "[TOOL_CALLS]",
    "[ARGS]",
    "<|tool_call>call:f{",
    "<tool_call|>",
    '<|"|>',
    "x:1,",
    "[f(",
    "x=",
    "'",
    ")",
    "f\n{",
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['form']}: {case['name']}")
def test_readings(case):
    reading = read_calls(case["text"], case["form"], case.get("names"))
    assert [[found.call.name, found.call.arguments] for found in reading.calls] == case["calls"]
    assert reading.outside == case["outside"]
    assert reading.fault is None if case["fault"] is None else case["fault"] in (reading.fault or "")
    assert bool(attempts_call(case["text"], case.get("names", ()))) >= case.get("attempt", False)
    assert reading.whole == (bool(case["calls"]) and case["fault"] is None)


def test_spans_cut_the_calls_out_of_the_text():
    text = 'a <tool_call>{"name": "f", "arguments": {}}</tool_call> b'
    found = read_calls(text, "qwen").calls[0]
    assert text[found.start : found.end] == '<tool_call>{"name": "f", "arguments": {}}</tool_call>'


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        '{"name": "f", "arguments": {"x": 1}',
        "{'name': 'f', 'arguments': {}}",
        'Sure: {"name": "f", "parameters": {}}',
        '[TOOL_CALLS][{"f": 1}]',
        "Action: f\nAction Input: {x}",
        "draw(prompt='a')",
        "```\ndraw(prompt='a')",
    ],
)
def test_an_attempt_says_why_it_fails(text):
    assert find_calls(text) is None
    assert attempts_call(text, ["draw"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot draw(yet).",
        "My name is draw; here are my arguments.",
        '{"a": 1}',
        "Action: a film genre",
        "<b>bold</b>",
        '<tool_call>{"name": "f", "arguments": {}}</tool_call>',  # whole, so it does not fail
    ],
)
def test_what_is_no_attempt(text):
    assert attempts_call(text, ["draw"]) is None


@pytest.mark.parametrize(("family", "text"), FAMILIES.items())
def test_every_family_is_read_and_counted_as_a_call(family, text):
    arguments = {"city": "Brest", "days": 2}
    tools = {"tide_table": {"properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}
    for said in (text, f"<think>\nmaybe {CALL}?\n</think>\n{text}"):
        reading = find_calls(said, tools)
        assert reading is not None, attempts_call(said, tools)
        assert [(found.call.name, found.call.arguments) for found in reading.calls] == [("tide_table", arguments)]
        assert attempts_call(said, tools) is None
    assert (
        find_calls(text.replace("tide_table", "rm"), tools)
        or attempts_call(text.replace("tide_table", "rm"), tools)
        or (family in ("GLM-4", "ToolACE", "Llama 4 without marks"))
    )  # whatever has marks, or says that it is a call, is never plain text
    answered = text.split("</think>")[-1]
    assert find_calls(f"<think>\nmaybe {answered}?\n</think>\nHello!", tools) is None
    assert attempts_call(f"<think>\nmaybe {answered}?\n</think>\nHello!", tools) is None
    cut = text[: text.index("Brest") + 2]
    assert find_calls(cut, tools) is None
    assert attempts_call(cut, tools), cut


@pytest.mark.parametrize("text", [text for text in FAMILIES.values() if "tide_table" in text])
def test_two_calls_of_a_family(text):
    if text.startswith(("{", "[", "```json", "tide_table", "analysis")):
        pytest.skip("the whole answer is one list, object or call")
    tools = {"tide_table": {"properties": {"city": {"type": "string"}}}}
    text = text.split("</think>")[-1].split("[/THINK]")[-1]
    reading = find_calls(f"{text}\n{text.replace('Brest', 'Sète')}", tools)
    assert reading is not None
    assert [found.call.arguments["city"] for found in reading.calls] == ["Brest", "Sète"]


def test_the_schema_types_the_values_of_xml():
    text = "<function=f>\n<parameter=x>\n5\n</parameter>\n</function>"
    values = {"string": "5", "integer": 5, "number": 5, "array": 5, None: 5}
    for kind, value in values.items():
        tools = {"f": {"properties": {"x": {"type": kind}}}} if kind else ["f"]
        assert find_calls(text, tools).calls[0].call.arguments == {"x": value}
    assert find_calls(text.replace("5", "True"), {"f": {"properties": {"x": {"type": "boolean"}}}}).calls[
        0
    ].call.arguments == {"x": True}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=40).map("".join))
def test_no_text_raises(text):
    never_raises(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["f", "", "{}", "function"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "arguments", "parameters", "function", "type", "tool_calls", "tool", "args"]),
            inner,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    VALUES,
    st.sampled_from(["{}", "<tool_call>{}</tool_call>", "[TOOL_CALLS]{}", "f\n{}", "x\n{}\ny", "<|python_tag|>{}; {}"]),
)
def test_no_json_raises(value, around):
    never_raises(around.replace("{}", json.dumps(value)))


def never_raises(text):
    for grammar in dict.fromkeys(name for form in FORMS for name in form.names):
        for names in (None, ["f"]):
            reading = read_calls(text, grammar, names)
            assert all(0 <= found.start < found.end <= len(text) for found in reading.calls)
            to_json([found.call.model_dump() for found in reading.calls]).encode()
    attempts_call(text, ["f"])
    find_calls(text)


HOSTILE = [
    *(text[: text.index("Brest")] for text in FAMILIES.values()),
    *FAMILIES.values(),
    *[
        "<tool_call>",
        "</tool_call>",
        "[TOOL_CALLS]",
        "<|tool_call>",
        "<think>",
        "</think>",
        "Action Input:",
        "<function=f>",
    ],
    *[
        "f\n",
        "f\n{",
        "[f(",
        "[f(x=[",
        "[f(x='a',",
        "[f(x='",
        "[f(x=a+",
        "Action: a\n",
        '"name" : ',
        "\n{",
        '\n{"',
        "\n[{",
    ],
    *[
        "```\n",
        "`",
        '"',
        "'",
        "“",
        "「",
        '"<a>',
        "'<tool_call>",
        "\\",
        '\\"',
        " ",
        "\n",
        "</s>",
        "<|im_end|> ",
        "<answer>",
    ],
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_linear_time(unit):
    def grows_linearly(head: str) -> bool:
        def seconds(length: int) -> float:
            text = head + unit * (length // len(unit))
            started = time.process_time()
            attempts_call(text, ["f"])
            return time.process_time() - started

        return seconds(100_000) < 0.2 + 20 * seconds(10_000)

    assert any(grows_linearly("") for _ in range(3))


@pytest.mark.parametrize(
    "unit", ["1 ", "true ", "a", "a ", "a:", ",", "[", "{a:", '<|"|>', "-", " ", "f(", "x=", "'", '"', "<parameter=x>"]
)
@pytest.mark.parametrize(
    "head",
    [
        "<|tool_call>call:f{",
        "<|tool_call_start|>[f(",
        "<function=f>",
        "<tool_call>f\n<arg_key>",
        "<tool_calls>{",
        "[f(x=",
    ],
)
def test_hostile_arguments_take_linear_time(head, unit):
    def seconds(length: int) -> float:
        started = time.process_time()
        attempts_call(head + unit * (length // len(unit)), ["f"])
        return time.process_time() - started

    assert any(seconds(60_000) < 0.2 + 20 * seconds(6_000) for _ in range(3))


def test_a_long_call_takes_linear_time():
    def seconds(items: int) -> float:
        started = time.process_time()
        assert read_calls(f"[{'f(x=1), ' * items}f(x=[{'1, ' * items}])]", "pythonic", ["f"]).whole
        assert len(read_calls("<|tool_call>call:f{x:1}<tool_call|>" * items, "gemma4").calls) == items
        return time.process_time() - started

    assert any(seconds(20_000) < 1 + 20 * seconds(2_000) for _ in range(3))


LOOKS_LIKE_MARKS = st.sampled_from(
    ["</tool_call>", "<think>a</think>", "</think>", "[TOOL_CALLS]", "```json\n{}\n```", "Action: f\nAction Input: {}", "5",
     "true", "null", '{"name": "f", "arguments": {}}', "<function=f>", "<|tool_call_start|>", "a\nb", '"', "\\", "", "圖 🦊"]
)  # fmt: skip
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | LOOKS_LIKE_MARKS
KEYS = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
ARGUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**12), 10**12)
        | st.floats(allow_nan=False, allow_infinity=False)
        | TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=6,
    ),
    max_size=4,
)
TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
UNCARRIED = {
    "gemma4": ('<|"|>', "<|"),
    "lfm2": ('"', "\\", "think"),
    "qwen3_5": ("</parameter>",),
    "minimax2": ("</parameter>",),
    "seed_oss": ("</parameter>",),
    "glm4_moe": ("</arg_value>",),
}
"""what LLaMA-Factory does not escape in a text, so that no reader can tell it from the form itself"""


@cache
def tool_utils():
    """LLaMA-Factory's tool_utils.py by itself: its package takes 16 s of a CPU to import."""
    path = Path(find_spec("llamafactory").origin).parent / "data" / "tool_utils.py"
    spec = spec_from_file_location("tool_utils", path)
    module = module_from_spec(spec)
    sys.modules["tool_utils"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("form", sorted(tool_utils().TOOLS))
@settings(max_examples=60, deadline=None)
@given(
    calls=st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z0-9_.-]{0,20}", fullmatch=True), ARGUMENTS),
        min_size=1,
        max_size=3,
        unique_by=lambda call: call[0],
    )
)
def test_what_llamafactory_writes_is_read_back(form, calls):
    calls = calls[:1] if form == "glm4" else calls
    assume(not any(part in text for part in UNCARRIED.get(form, ()) for text in map(to_text, calls)))
    theirs = tool_utils()
    functions = [theirs.FunctionCall(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
    text = CALLS.get(form, "{}").format(theirs.get_tool_utils(form).function_formatter(functions))
    tools = {
        name: {"properties": {key: {"type": TYPES.get(type(value), "null")} for key, value in arguments.items()}}
        for name, arguments in calls
    }
    reading = read_calls(text, form, tools)
    assert [(found.call.name, found.call.arguments) for found in reading.calls] == calls
    assert (reading.fault, reading.outside) == (None, "")
    assert find_calls(text, tools) is not None
    assert attempts_call(text, tools) is None


def to_text(call):
    """All that is text in the arguments, as it is."""
    return "\n".join(leaves(call[1]))


def leaves(value):
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [leaf for item in items for leaf in leaves(item)]


@pytest.mark.parametrize(
    "text",
    [
        'Call it so:\n```json\n[{"name": "draw", "arguments": {"prompt": "a"}}]\n```',
        'draw(prompt="a") draws a picture.',
        "[draw (prompt)](https://example.org) is a link",
        'person\n{"name": "Ann"}',
        '{"draw": 1}',
        '[{"name": "Ann", "age": 3}]',
        "[1, 2, 3]",
        "[print(x=1)]",
        '{"name": "Ann", "parameters": {"age": 3}}',
        '[{"name": "Ann", "arguments": {"age": 3}}]',
    ],
)
def test_plain_text_is_not_taken_for_a_call(text):
    assert find_calls(text, ["draw"]) is None


@pytest.mark.parametrize(("grammar", "text"), [("glm4", 'draw\n{"prompt": "a"}'), ("pythonic", "[draw(prompt='a')]")])
def test_what_plain_text_may_look_like_needs_a_tool_on_offer(grammar, text):
    assert find_calls(text, ["draw"]).form == grammar
    assert find_calls(text, ["paint"]) is None
    assert find_calls(text) is None


BREST = '{"name": "tide_table", "arguments": {"city": "Brest"}}'


@pytest.mark.parametrize(
    "text",
    [
        f"<Tool_Call>{BREST}</Tool_Call>",
        f"<THINK>hm</THINK>{BREST}",
        f"<tool_calls>\n<tool_call>\n{BREST}\n</tool_call>\n</tool_calls>",
        f"````json\n{BREST}\n````",
        f"~~~\n{BREST}\n~~~",
        f"```json {BREST} ```",
        f"```json\n{BREST}```",
        f"\ufeff{BREST}",
        'Action: tide_table\nAction Input:\n```json\n{"city": "Brest"}\n```',
        'action: tide_table\naction input: {"city": "Brest"}',
        '{"action": "tide_table", "action_input": {"city": "Brest"}}',
        '{"type": "tool_use", "id": "t1", "name": "tide_table", "input": {"city": "Brest"}}',
        'Calling:\n{"tool": "tide_table", "args": {"city": "Brest"}}',
        '<|channel|>commentary json to=functions.tide_table<|message|>{"city": "Brest"}<|call|>',
        '```tool_code\nprint(tide_table(city="Brest"))\n```',
        f"<|tool_call_start|>[{BREST}]<|tool_call_end|>",
        f"<|python_start|>{BREST}<|python_end|>",
    ],
)
def test_a_whole_call_in_a_looser_spelling(text):
    reading = find_calls(text, ["tide_table"])
    assert reading is not None, attempts_call(text, ["tide_table"])
    assert [found.call.arguments for found in reading.calls] == [{"city": "Brest"}]


@pytest.mark.parametrize(
    "text",
    [
        'I look it up.\n\ntide_table(city="Brest")',
        'tide_table {"city": "Brest"}',
        '{"tide_table": {"city": "Brest"}}',
        "<tide_table>\n<city>Brest</city>\n</tide_table>",
        '<tool>tide_table</tool><tool_input>{"city": "Brest"}</tool_input>',
        '**Action:** tide_table\n**Input:** {"city": "Brest"}',
        'call:tide_table{city:<|"|>Brest<|"|>}',
        '<tool_use><name>tide_table</name><arguments>{"city": "Brest"}</arguments></tool_use>',
    ],
)
def test_a_call_in_no_known_form_is_an_attempt(text):
    assert find_calls(text, ["tide_table"]) is None
    assert attempts_call(text, ["tide_table"])
    assert attempts_call(f"Never write this:\n```\n{text}\n```\nIt is no call.", ["tide_table"]) is None


@pytest.mark.parametrize(
    "text",
    [
        f"So:\n~~~\n{BREST}\n~~~\nShall I?",
        f"I look it up. ```json {BREST} ```",
        f"```\nls\n```\nand then\n```json\n[{BREST}]\n```",
        f"I look it up: `{BREST}`",
        f"So:\n```xml\n<tool_call>{BREST}</tool_call>\n```\nShall I?",
        "So:\n```python\n[tide_table(city='Brest')]\n```",
    ],
)
def test_a_whole_call_as_code_beside_words_is_an_attempt(text):
    assert find_calls(text, ["tide_table"]) is None
    assert attempts_call(text, ["tide_table"])
    assert attempts_call(text.replace("tide_table", "moon"), ["moon"])
    assert attempts_call(f"<think>{text}</think>\nHello.", ["tide_table"]) is None


@pytest.mark.parametrize(
    "text",
    [
        f"> <tool_call>{BREST}</tool_call>\n\nThat is what you wrote.",
        f"「<tool_call>{BREST}</tool_call>」是工具呼叫。",
        "Never write '<tool_call>'.",
        f"<THINK><tool_call>{BREST}</tool_call></THINK>\nHello.",
        f"So:\n~~~\n{BREST.replace('tide_table', 'moon')}\n~~~\nShall I?",
        "So:\n```json\n{'name': 'tide_table', 'arguments': {}}\n```",
        "So:\n```python\nprint(tide_table.__doc__)\n```",
        "Say `tide_table` or `tide_table(city)`.",
    ],
)
def test_a_quotation_or_a_thought_is_no_call(text):
    assert find_calls(text, ["tide_table"]) is None
    assert attempts_call(text, ["tide_table"]) is None
