"""Write the chat template with tools that sends what training saw, and prove it: `python -m tools.parity smollm2-135m_lora`.

The template goes to runs/<recipe>/chat_template.jinja; the exit status is 1 when a text or a prompt's tokens differ.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_jsonl, to_json
from callwright.recipes import Recipe
from tools.checks.chat_template import write_template
from tools.checks.encode import View, encode_pairs, is_at_hand, load_tokenizer, load_view
from tools.checks.lint_row import ParsedRow, check_row
from tools.formats.dataset_info import SHAREGPT
from tools.formats.sharegpt import SENDERS

SERVERS = {
    "qwen": "hermes",
    "llama3": "llama3_json",
    "mistral": "mistral",
    "gemma4": "gemma4",
}
"""tool format → vLLM's --tool-call-parser (`vllm/tool_parsers/__init__.py`)"""

OPENAI_ROLES = {sender: role for role, sender in SENDERS.items()}


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


def openai_form(row: ParsedRow) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """Write a row as OpenAI messages and tools (None for no list at all). One observation is one tool message."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": row.system}] if row.system else []
    for turn in row.turns:
        if turn.role == "function_call":
            calls = [{"type": "function", "function": call.model_dump()} for call in turn.calls]
            messages.append({"role": "assistant", "content": turn.beside.removesuffix("\n"), "tool_calls": calls})
        else:
            messages.append({"role": OPENAI_ROLES[turn.role], "content": turn.value})
    if not row.tools.text:
        return messages, None
    return messages, [
        tool if "function" in tool else {"type": "function", "function": tool} for tool in row.tools.given
    ]


def render(template: str, tokenizer: Any, row: ParsedRow, prompt: bool) -> str:
    """Render a row by transformers' apply_chat_template; with the opening of an answer for a prompt."""
    messages, tools = openai_form(row)
    how = {"chat_template": template, "tokenize": False, "add_generation_prompt": prompt}
    return str(tokenizer.apply_chat_template(messages, tools=tools, **how))


def differences(row: ParsedRow, template: str, view: View) -> Iterator[Difference]:
    """Find what differs between training and serving, over the whole row and each of its prompts."""
    texts, ids = (
        [piece for pair in encode_pairs(row.messages, row.system, row.tools.text, seen) for piece in pair]
        for seen in (view.verbatim(), view)
    )
    if view.template.efficient_eos:
        texts.append([view.tokenizer.eos_token])
        ids.append([view.tokenizer.eos_token_id])
    count = len(row.turns)
    for turns in (count, *range(1, count, 2)):
        whole = turns == count
        pieces = len(texts) if whole else turns
        trained = "".join(word for piece in texts[:pieces] for word in piece)
        served = render(template, view.tokenizer, replace(row, turns=row.turns[:turns]), prompt=not whole)
        place = f"{row.place}, {'whole' if whole else f'prompt of turn {turns + 1}'}"
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
    """Find the index at which two sequences part."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def first_difference(one: str, other: str) -> tuple[str, str]:
    """Cut both texts to what stands around the place where they part."""
    at = parting(one, other)
    return repr(one[max(at - 20, 0) : at + 40]), repr(other[max(at - 20, 0) : at + 40])


def rows_of(files: Iterable[Path], lint: str) -> Iterator[ParsedRow]:
    """Read the rows of dataset files; UserError for one that LLaMA-Factory would not keep, with the command that lints them."""
    for path in files:
        for place, value in read_jsonl(path):
            faults, row = check_row(value, SHAREGPT, place)
            if row is None:
                raise UserError(place, faults[0][1], f"run: {lint}")
            yield row


def made_up_row(turns: Sequence[tuple[str, str]], system: str = "", tools: str = "", place: str = "") -> ParsedRow:
    """Read turns (role and value) as a row; AssertionError where LLaMA-Factory would not keep it."""
    conversations = [{"from": role, "value": value} for role, value in turns]
    faults, row = check_row({"conversations": conversations, "system": system, "tools": tools}, SHAREGPT, place)
    assert row is not None, faults
    return row


WORDS = ["a cat", "畫一隻戴墨鏡的柴犬", "e\u0301", "👩‍🚀", "\"quoted\" & <b>'s", "a\nb\n\nc", "C:\\new\\table", "{{ x }} {% if %}",
         "\t", "1", "true", "null", "[]", "</s", "ñ — …", "\u2028", "```json\n{}\n```", "%s {0} $1"]  # fmt: skip


def fuzzed(count: int, parallel: bool, seed: int = 0) -> Iterator[ParsedRow]:
    """Make up rows: no, one and several tools; nested schemas; several turns; results; parallel calls; no system."""
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
        turns: list[tuple[str, str]] = []
        for _ in range(pick.randrange(1, 4)):
            turns.append(("human", text()))
            while tools and len(turns) < 9 and pick.random() < 0.6:
                calls = [call() for _ in range(pick.randrange(1, 3 if parallel else 2))]
                turns.append(("function_call", json.dumps(calls if len(calls) > 1 else calls[0])))
                turns.append(("observation", pick.choice([text(), json.dumps(value()), ""])))
            turns.append(("gpt", text()))
        system = text() if number % 3 else ""
        yield made_up_row(turns, system, to_json(tools) if tools else "", f"made-up talk {number}")


TOOL = to_json([{"name": "draw", "description": "Draw.", "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}}])  # fmt: skip
CALL = {"name": "draw", "arguments": {"what": "a cat"}}


def aspects() -> Iterator[tuple[str, ParsedRow]]:
    """Make up rows that show one thing each, to compare two templates by."""
    ask, reply, call = ("human", "Hello"), ("gpt", "Hi"), ("function_call", to_json(CALL))
    yield "a plain turn", made_up_row([ask, reply], "S.")
    yield "without a system message", made_up_row([ask, reply])
    yield "the tools", made_up_row([ask, reply], "S.", TOOL)
    yield "a call", made_up_row([ask, call], "S.")
    yield "parallel calls", made_up_row([ask, ("function_call", to_json([CALL, CALL]))], "S.")
    yield "a result", made_up_row([ask, call, ("observation", "done"), reply], "S.")


def against_own(template: str, own: str, tokenizer: Any) -> Iterator[str]:
    """Say how the base model's own chat template differs, a line for each aspect."""
    from jinja2.exceptions import TemplateError

    for aspect, row in aspects():
        try:
            ours = render(template, tokenizer, row, prompt=False)
        except TemplateError:
            continue  # this tool format cannot write it
        try:
            theirs = render(own, tokenizer, row, prompt=False)
        except (TemplateError, TypeError) as error:
            yield f"  {aspect}: the model's own template cannot ({str(error)[:80]})"
            continue
        if ours != theirs:
            yield "  {}: trained {} | its own {}".format(aspect, *first_difference(ours, theirs))


def flags(view: View, path: Path) -> Iterator[str]:
    """Write the commands that start a server, so that it sends these bytes and reads these calls."""
    parser = SERVERS.get(view.tool_format)
    reads = f" --enable-auto-tool-choice --tool-call-parser {parser}" if parser else ""
    yield f"  vllm serve MODEL --chat-template {path}{reads}"
    yield f"  llama-server -m MODEL.gguf --jinja --chat-template-file {path}"
    if not parser:
        yield f"  no parser of theirs reads {view.tool_format} calls: send tool_choice none, and read the text (callwright.call_readers)"


def day_of_training(recipe: Recipe) -> str:
    """Write the day as llama3's tool prompt does: that of the recipe's run, today's before there is one."""
    stamp = recipe.output_dir / "callwright.json"
    day = datetime.fromtimestamp(stamp.stat().st_mtime) if stamp.is_file() else datetime.now()
    return day.strftime("%d %b %Y")


TALKS = 50
"""made-up talks by which a template is proven where a command does not ask for more"""


def proven_template(recipe: Recipe) -> str | None:
    """Write a recipe's chat template and prove it by the base model's tokenizer; None where that is not on this machine.

    Raises:
        UserError: it sends other tokens than training saw.
    """
    if not is_at_hand(recipe.model):
        return None
    view = load_view(recipe.train, *load_tokenizer(recipe.train))
    template = write_template(view, day_of_training(recipe))
    prove(template, view, recipe.model)
    return template


def prove(template: str, view: View, place: str | Path) -> None:
    """Prove by made-up talks that a template sends what training saw; UserError where it does not."""
    for talk in fuzzed(TALKS, view.tool_format != "glm4"):
        for found in differences(talk, template, view):
            if found.kind != "history":
                raise UserError(place, f"the written template differs from training: {found}", "run: make parity")
