"""Our view of a row is LLaMA-Factory's: cuts, labels, and templates that stay as they were."""

import json
import random
from typing import Any

import pytest

from callwright.errors import UserError
from eval.api import as_trained
from tools.checks.encode import Verbatim, aligned, encode_pairs, encode_row, kept, load_tokenizer, load_view, stand_in
from tools.formats import openai, sharegpt
from tools.formats.dataset_info import SHAREGPT

TOOLS = json.dumps([{"name": "a", "description": "d", "parameters": {"type": "object", "properties": {}}}])


def row(lengths: list[int], tools: str = TOOLS) -> dict[str, Any]:
    turns = [{"from": ("human", "gpt")[at % 2], "value": "x" * length} for at, length in enumerate(lengths)]
    return {"conversations": turns, "system": "", "tools": tools}


@pytest.mark.parametrize("settings", [{}, {"mask_history": True}, {"train_on_prompt": True}])
@pytest.mark.parametrize("template", ["qwen", "glm4", "gemma", "gemma2"])
def test_kept_is_what_the_processor_keeps(template: str, settings: dict[str, Any]):
    if settings.get("train_on_prompt") and template in ("glm4", "gemma2"):
        pytest.skip("LLaMA-Factory refuses it")
    pick = random.Random(0)
    for _ in range(40):
        cutoff = pick.choice([100, 900, 1000, 2000])
        view = load_view({"template": template, "cutoff_len": cutoff, **settings}, stand_in(template))
        made = row([pick.choice([0, 5, 300, 1000]) for _ in range(2 * pick.randrange(1, 4))], pick.choice(["", TOOLS]))
        ids, labels = encode_row(made, view, SHAREGPT)
        lengths = [(len(source), len(target)) for source, target in encode_pairs(*aligned(made, view, SHAREGPT), view)]
        keep = kept(lengths, view)
        assert len(ids) == len(labels) == sum(map(sum, keep)) + view.template.efficient_eos
        assert all(
            k <= have for pair, had in zip(keep, lengths, strict=True) for k, have in zip(pair, had, strict=True)
        )


def test_a_view_leaves_the_shared_template_alone():
    from llamafactory.data.template import TEMPLATES

    mine = load_view({"template": "qwen", "default_system": "S.", "tool_format": "mistral"})
    assert (mine.template.default_system, mine.tool_format) == ("S.", "mistral")
    assert TEMPLATES["qwen"].default_system.startswith("You are Qwen")
    assert load_view({"template": "qwen"}).tool_format == "qwen"


def test_verbatim_gives_the_text_that_the_tokenizer_would_encode():
    view = load_view({"template": "llama3", "tool_format": "qwen"}, stand_in("llama3"))
    talk = aligned(row([3, 2]), view, SHAREGPT)
    texts = ["".join(piece) for pair in encode_pairs(*talk, view.verbatim()) for piece in pair]
    assert [view.tokenizer.decode(piece) for pair in encode_pairs(*talk, view) for piece in pair] == texts
    assert isinstance(view.verbatim().tokenizer, Verbatim)
    assert texts[1] == "xx<|eot_id|>"


def test_what_is_dropped_or_missing_is_named():
    view = load_view({"template": "qwen"}, stand_in("qwen"))
    with pytest.raises(UserError, match="drops it"):
        encode_row(row([3, 2, 1]), view, SHAREGPT)
    with pytest.raises(UserError, match=r"hf download nobody/nothing --include '\*token\*' config.json"):
        load_tokenizer({"model_name_or_path": "nobody/nothing"})
    with pytest.raises(UserError, match="choose one of"):
        load_view({"template": "qwen", "tool_format": "yaml"})


@pytest.mark.parametrize("calls", [1, 2])
def test_the_servers_prompt_of_a_conversation_with_calls_is_the_rows(calls: int):
    from llamafactory.api.chat import _process_request
    from llamafactory.api.protocol import ChatCompletionRequest

    function = {"name": "a", "arguments": '{"where": {"city": "Zürich"}, "days": [1, 2]}'}
    made = [{"id": str(n), "type": "function", "function": function} for n in range(calls)]
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": made},
        *({"role": "tool", "tool_call_id": str(n), "content": f'{{"n": {n}}}'} for n in range(calls)),
        {"role": "assistant", "content": "gone"},
        {"role": "user", "content": "again"},
    ]
    tools = [{"type": "function", "function": json.loads(TOOLS)[0]}]
    view = load_view({"template": "qwen"}).verbatim()
    asked = ChatCompletionRequest.model_validate({"model": "m", "messages": messages, "tools": tools})
    turns, system, functions, *_ = as_trained(_process_request)(asked)
    served, _ = view.template.encode_oneturn(
        view.tokenizer, [*turns, {"role": "assistant", "content": ""}], system, functions
    )
    trained = sharegpt.write(
        openai.read({"messages": [*messages, {"role": "assistant", "content": "x"}], "tools": tools})
    )
    pairs = encode_pairs(*aligned(trained, view, SHAREGPT), view)
    text = "".join(piece for source, target in pairs for piece in (*source, *target))
    assert text.startswith("".join(served)) and "again" in text
