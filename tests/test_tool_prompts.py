import json

import pytest

from callwright.errors import UserError
from callwright.schema import canonical_tools
from callwright.tool_prompts import FORMATS, call_text, format_of, raw_messages, tool_prompt
from tools.checks.parity import fuzzed, openai_form

TEMPLATE_OF = {
    "default": "phi",
    "qwen": "qwen3_nothink",
    "llama3": "llama3",
    "mistral": "mistral",
    "glm4": "glm4",
    "gemma4": "gemma4",
}
TOOLS = canonical_tools([{"name": "draw", "description": "Draw <it>.", "parameters": {"type": "object"}}], "tools")


def call(arguments: str = '{"prompt": "一隻貓"}', name: str = "draw") -> dict:
    return {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.fixture(scope="module")
def templates():
    """LLaMA-Factory's templates (16 s of a CPU to import)."""
    from llamafactory.data.template import TEMPLATES

    return TEMPLATES


def written(part, content: str) -> str:
    """What a formatter of theirs makes of a content, without the tokens that only an id can write."""
    return "".join(slot for slot in part.apply(content=content) if isinstance(slot, str))


@pytest.mark.parametrize("name", FORMATS)
def test_tools_and_calls_are_written_as_llamafactory_does(templates, name):
    template = templates[TEMPLATE_OF[name]]
    assert set(TEMPLATE_OF) == set(FORMATS)
    talks = [talk for talk in fuzzed(60, parallel=name != "glm4") if talk.tools.text]
    assert len(talks) > 20
    for talk in talks:
        tools = list(talk.tools.canonical)
        functions = json.dumps([tool["function"] for tool in tools], ensure_ascii=False)
        assert tool_prompt(tools, name) == template.format_tools.apply(content=functions)[0]
        for message in openai_form(talk)[0]:
            if message.get("tool_calls"):
                functions = [one["function"] for one in message["tool_calls"]]
                calls = [call(json.dumps(function["arguments"]), function["name"]) for function in functions]
                content = json.dumps(functions)
                assert written(template.format_function, content).startswith(call_text(calls, name))


@pytest.mark.parametrize("name", FORMATS)
def test_a_whole_prompt_is_what_the_server_makes_natively(templates, name):
    """Rendered by LLaMA-Factory's own template, once natively and once as raw mode sends it."""
    template = templates[TEMPLATE_OF[name]]
    if name in ("llama3", "glm4", "gemma4", "mistral"):
        history = [{"role": "user", "content": "Draw."}]  # their results have a role, or a slot, that text cannot open
    else:
        history = [
            {"role": "user", "content": "Draw."},
            {"role": "assistant", "content": None, "tool_calls": [call(), call()]},
            {"role": "tool", "content": "1"},
            {"role": "tool", "content": "2"},
        ]
    natively = [{"role": "user", "content": "Draw."}]
    if len(history) > 1:
        calls = [{"name": "draw", "arguments": {"prompt": "一隻貓"}}] * 2
        natively += [{"role": "function", "content": json.dumps(calls)}, {"role": "observation", "content": "1\n2"}]
    sent = raw_messages([{"role": "system", "content": "Be brief."}, *history], TOOLS, name)
    assert [message["role"] for message in sent] == [
        "system",
        *(["user", "assistant", "user"] if len(history) > 1 else ["user"]),
    ]

    def prompt(messages, system, tools):
        from tools.checks.encode import Verbatim

        pieces = template._encode(Verbatim(), [*messages, {"role": "assistant", "content": ""}], system, tools)
        return "".join("".join(piece) for piece in pieces[:-1])

    functions = json.dumps([tool["function"] for tool in TOOLS])
    assert prompt(sent[1:], sent[0]["content"], None) == prompt(natively, "Be brief.", functions)


def test_history_becomes_text():
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
        {"role": "user", "content": "Draw."},
        {"role": "assistant", "content": "Yes.", "tool_calls": [call("{}")]},
        {"role": "tool", "content": "{done}", "tool_call_id": "1"},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": [{"type": "image_url"}]},
    ]
    before = json.dumps(messages)
    system, *turns = raw_messages(messages, TOOLS, "mistral", "unused")
    assert system["content"].startswith('Be brief.[AVAILABLE_TOOLS] [{"type": "function"')
    assert [(turn["role"], turn["content"]) for turn in turns] == [
        ("user", "Draw."),
        ("assistant", 'Yes.\n[TOOL_CALLS] [{"name": "draw", "arguments": {}}]'),
        ("user", '[TOOL_RESULTS] {"content": {done}}[/TOOL_RESULTS]'),
        ("assistant", "Done."),
        ("user", [{"type": "image_url"}]),
    ]
    assert not any("tool_calls" in turn for turn in turns)
    assert json.dumps(messages) == before


def test_without_tools_nothing_is_added():
    user = [{"role": "user", "content": "hi"}]
    assert raw_messages(user, [], "qwen") == user
    assert raw_messages(user, [], "qwen", "Be brief.")[0] == {"role": "system", "content": "Be brief."}
    assert raw_messages(user, TOOLS, "qwen", "Be brief.")[0]["content"].startswith("Be brief.\n\n# Tools")


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("glm4", [call(), call()]),
        ("qwen", [call("{")]),
        ("qwen", [call('{"x": NaN}')]),
        ("qwen", [{"name": "draw"}]),
        ("qwen", ["draw"]),
        ("gemma4", [call("4")]),
    ],
)
def test_calls_that_cannot_be_written(name, calls):
    with pytest.raises(ValueError):
        call_text(calls, name)


def test_a_schema_that_cannot_be_described():
    tools = canonical_tools([{"name": "f", "parameters": {"type": "object", "properties": {"x": True}}}], "tools")
    with pytest.raises(ValueError, match="cannot write it"):
        tool_prompt(tools, "default")


def test_every_template_of_llamafactory_tells_its_format(templates):
    from llamafactory.data.tool_utils import TOOLS as FORMATS_OF_THEIRS

    names = {type(utils): name for name, utils in FORMATS_OF_THEIRS.items()}
    for name, template in templates.items():
        utils = getattr(template.format_tools, "tool_utils", None)
        assert format_of({"template": name}) == (names.get(type(utils), ""), template.default_system)


def test_a_recipe_may_set_its_own():
    assert format_of({"template": "gemma", "tool_format": "qwen", "default_system": ""}) == ("qwen", "")
    with pytest.raises(UserError, match="template 'none'"):
        format_of({"template": "none"})
    with pytest.raises(UserError, match="choose one of: default, gemma4"):
        tool_prompt(TOOLS, "seed_oss")
