"""Write the chat template with tools that sends what training saw, and prove it: `python -m tools.parity smollm2-135m_lora`.

The template goes to runs/<recipe>/chat_template.jinja; the exit status is 1 when a text or a prompt's tokens differ.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_jsonl
from callwright.recipes import Recipe
from tools.checks.encode import (
    View,
    encode_pairs,
)
from tools.checks.lint_row import LF_ROLES, check_row, read_calls
from tools.formats.dataset_info import SHAREGPT

SERVERS = {
    "qwen": "hermes",
    "llama3": "llama3_json",
    "mistral": "mistral",
    "gemma4": "gemma4",
}
"""tool format → vLLM's --tool-call-parser (`vllm/tool_parsers/__init__.py`)"""

OPENAI_ROLES = {"user": "user", "assistant": "assistant", "observation": "tool"}


@dataclass(frozen=True)
class Talk:
    """A row as LLaMA-Factory's template takes it."""

    place: str
    messages: list[dict[str, str]]
    """role (user, assistant, function, observation) and content"""
    system: str = ""
    tools: str = ""

    def openai(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
        """The same as OpenAI messages and tools. One observation is one tool message."""
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.system}] if self.system else []
        for message in self.messages:
            if message["role"] == "function":
                beside, calls = read_calls(message["content"])
                functions = [{"type": "function", "function": call.model_dump()} for call in calls]
                messages.append({"role": "assistant", "content": beside.removesuffix("\n"), "tool_calls": functions})
            else:
                messages.append({"role": OPENAI_ROLES[message["role"]], "content": message["content"]})
        if not self.tools:
            return messages, None
        tools = json.loads(self.tools)
        return messages, [tool if "function" in tool else {"type": "function", "function": tool} for tool in tools]


@dataclass(frozen=True)
class Difference:
    """Where serving would send something else than training saw."""

    place: str
    kind: str
    """`text`; `tokens`: the same text, which the tokenizer cuts otherwise in one go than LLaMA-Factory does piece by
    piece; `history`: the same, but only once the text holds an answer: its beginning merges with the end of its prompt"""
    trained: str
    served: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind} differs: trained {self.trained} | served {self.served}"


def render(template: str, tokenizer: Any, talk: Talk, prompt: bool) -> str:
    """What transformers' apply_chat_template makes of a talk; with the opening of an answer for a prompt."""
    messages, tools = talk.openai()
    how = {"chat_template": template, "tokenize": False, "add_generation_prompt": prompt}
    return str(tokenizer.apply_chat_template(messages, tools=tools, **how))


def differences(talk: Talk, template: str, view: View) -> Iterator[Difference]:
    """What differs between training and serving, over the whole talk and each of its prompts."""
    texts, ids = ([piece for pair in encode_pairs(talk.messages, talk.system, talk.tools, v) for piece in pair]
                  for v in (view.verbatim(), view))  # fmt: skip
    if view.template.efficient_eos:
        texts.append([view.tokenizer.eos_token])
        ids.append([view.tokenizer.eos_token_id])
    ends = [(len(texts), len(talk.messages)), *((at, at) for at in range(1, len(talk.messages), 2))]
    for pieces, turns in ends:
        part = Talk(talk.place, talk.messages[:turns], talk.system, talk.tools)
        trained = "".join(word for piece in texts[:pieces] for word in piece)
        served = render(template, view.tokenizer, part, prompt=turns < len(talk.messages))
        place = f"{talk.place}, {'whole' if turns == len(talk.messages) else f'prompt of turn {turns + 1}'}"
        if trained != served:
            yield Difference(place, "text", *first_difference(trained, served))
            continue
        tokens = [token for piece in ids[:pieces] for token in piece]
        again = view.tokenizer.encode(served, add_special_tokens=False)
        if tokens != again:
            at = parting(tokens, again)
            words = (repr(view.tokenizer.convert_ids_to_tokens(some[at : at + 4])) for some in (tokens, again))
            yield Difference(place, "tokens" if turns == 1 else "history", *words)


def parting(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Where two sequences part."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def first_difference(one: str, other: str) -> tuple[str, str]:
    """Both texts around the place where they part."""
    at = parting(one, other)
    return repr(one[max(at - 20, 0) : at + 40]), repr(other[max(at - 20, 0) : at + 40])


def rows_of(files: Iterable[Path], lint: str) -> Iterator[Talk]:
    """The rows of dataset files; UserError for one that LLaMA-Factory would not keep, with the command that lints them."""
    for path in files:
        for place, value in read_jsonl(path):
            faults, row = check_row(value, SHAREGPT)
            if row is None:
                raise UserError(place, faults[0][1], f"run: {lint}")
            messages = [{"role": LF_ROLES[turn.role], "content": turn.value} for turn in row.turns]
            yield Talk(place, messages, row.system, row.tools)


WORDS = ["a cat", "畫一隻戴墨鏡的柴犬", "e\u0301", "👩‍🚀", "\"quoted\" & <b>'s", "a\nb\n\nc", "C:\\new\\table", "{{ x }} {% if %}",
         "\t", "1", "true", "null", "[]", "</s", "ñ — …", "\u2028", "```json\n{}\n```", "%s {0} $1"]  # fmt: skip


def fuzzed(count: int, parallel: bool, seed: int = 0) -> Iterator[Talk]:
    """Made-up talks: no, one and several tools; nested schemas; several turns; results; parallel calls; no system."""
    pick = random.Random(seed)

    def text() -> str:
        return f"{pick.choice(WORDS)} {pick.choice(WORDS)}".strip()

    def keys() -> list[str]:
        return pick.sample(["prompt", "大小", "items", "b", "A"], pick.randrange(4))

    def value(depth: int = 0) -> Any:
        if depth < 3 and pick.random() < 0.3:
            many = [value(depth + 1) for _ in range(pick.randrange(3))]
            return many if pick.random() < 0.5 else {f"key {number}": item for number, item in enumerate(many)}
        return pick.choice([text(), pick.randrange(-9, 10**12), pick.uniform(-1, 1), 1e-9, 1e21, True, False, None, ""])

    def schema(depth: int = 0) -> dict[str, Any]:
        nested = pick.random() if depth < 2 else 1
        if nested < 0.3:
            return {"type": "array", "items": schema(depth + 1)}
        if nested < 0.5:
            return {"type": "object", "properties": {"inner": schema(depth + 1)}, "required": ["inner"]}
        more: list[dict[str, Any]] = [
            {},
            {"description": text()},
            {"enum": [text(), text()]},
            {"enum": [text()], "description": text()},
        ]
        return {"type": pick.choice(["string", "number", "boolean", ["string", "null"]]), **pick.choice(more)}

    def tool(number: int) -> dict[str, Any]:
        properties = {name: schema() for name in keys()}
        parameters = {"type": "object", "properties": properties, "required": sorted(properties)[:1]}
        return {"name": f"tool_{number}", "description": pick.choice([text(), ""]), "parameters": parameters}

    def call() -> dict[str, Any]:
        return {"name": f"tool_{pick.randrange(3)}", "arguments": {key: value() for key in keys()}}

    for number in range(count):
        tools = [tool(index) for index in range(number % 4)]
        messages: list[dict[str, str]] = []
        for _ in range(pick.randrange(1, 4)):
            messages.append({"role": "user", "content": text()})
            while tools and len(messages) < 9 and pick.random() < 0.6:
                calls = [call() for _ in range(pick.randrange(1, 3 if parallel else 2))]
                messages.append({"role": "function", "content": json.dumps(calls if len(calls) > 1 else calls[0])})
                messages.append({"role": "observation", "content": pick.choice([text(), json.dumps(value()), ""])})
            messages.append({"role": "assistant", "content": text()})
        system = text() if number % 3 else ""
        yield Talk(f"made-up talk {number}", messages, system, json.dumps(tools, ensure_ascii=False) if tools else "")


TOOL = json.dumps([{"name": "draw", "description": "Draw.", "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}}])  # fmt: skip
CALL = {"name": "draw", "arguments": {"what": "a cat"}}


def aspects() -> Iterator[tuple[str, Talk]]:
    """Talks that show one thing each, to compare two templates by."""
    ask, reply = {"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}
    call = {"role": "function", "content": json.dumps(CALL)}
    yield "a plain turn", Talk("", [ask, reply], "S.")
    yield "without a system message", Talk("", [ask, reply])
    yield "the tools", Talk("", [ask, reply], "S.", TOOL)
    yield "a call", Talk("", [ask, call], "S.")
    yield "parallel calls", Talk("", [ask, {**call, "content": json.dumps([CALL, CALL])}], "S.")
    yield "a result", Talk("", [ask, call, {"role": "observation", "content": "done"}, reply], "S.")


def against_own(template: str, own: str, tokenizer: Any) -> Iterator[str]:
    """How the base model's own chat template differs, a line for each aspect."""
    from jinja2.exceptions import TemplateError

    for aspect, talk in aspects():
        try:
            ours = render(template, tokenizer, talk, prompt=False)
        except TemplateError:
            continue  # this tool format cannot write it
        try:
            theirs = render(own, tokenizer, talk, prompt=False)
        except (TemplateError, TypeError) as error:
            yield f"  {aspect}: the model's own template cannot ({str(error)[:80]})"
            continue
        if ours != theirs:
            yield "  {}: trained {} | its own {}".format(aspect, *first_difference(ours, theirs))


def flags(view: View, path: Path) -> Iterator[str]:
    """What to start a server with, so that it sends these bytes and reads these calls."""
    parser = SERVERS.get(view.tool_format)
    reads = f" --enable-auto-tool-choice --tool-call-parser {parser}" if parser else ""
    yield f"  vllm serve MODEL --chat-template {path}{reads}"
    yield f"  llama-server -m MODEL.gguf --jinja --chat-template-file {path}"
    if not parser:
        yield f"  no parser of theirs reads {view.tool_format} calls: send tool_choice none, and read the text (callwright.call_readers)"


def day_of_training(recipe: Recipe) -> str:
    """The day as llama3's tool prompt writes it: that of the recipe's run, today's before there is one."""
    stamp = recipe.output_dir / "callwright.json"
    day = datetime.fromtimestamp(stamp.stat().st_mtime) if stamp.is_file() else datetime.now()
    return day.strftime("%d %b %Y")
