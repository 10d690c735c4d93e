"""Turn split examples into ShareGPT rows and evaluation cases: `python -m tools.convert image_intent`."""

import argparse
import random
from collections.abc import Iterable, Sequence
from typing import Any

from callwright.config import load_data_config
from callwright.errors import UserError, command
from callwright.files import ROOT, parse_json, to_json, write_jsonl
from callwright.records import Call, Case, Example, Seed, read_records
from callwright.schema import load_tools
from callwright.tasks import read_seeds

Turn = dict[str, str]


def to_turns(seed: Seed) -> list[Turn]:
    """A seed as ShareGPT turns that alternate as LLaMA-Factory demands: {human, observation}, {gpt, function_call}.

    Raises:
        ValueError: messages that cannot alternate so.
    """
    turns: list[Turn] = []
    for message in seed.messages or [{"role": "user", "content": seed.text}]:
        turn = message_to_turn(message)
        if turn["from"] == "observation" and turns and turns[-1]["from"] == "observation":
            # LLaMA-Factory takes one observation a turn: several results travel as a JSON list
            raise ValueError("two tool results in a row: merge them into one message")
        turns.append(turn)
    turns.append(answer_turn(seed.calls, seed.reply))
    for index, turn in enumerate(turns):
        if turn["from"] not in (("human", "observation"), ("gpt", "function_call"))[index % 2]:
            raise ValueError(f"message {index + 1} may not be {turn['from']!r}: roles must alternate")
    return turns


def message_to_turn(message: dict[str, Any]) -> Turn:
    """One OpenAI message as a ShareGPT turn."""
    role, content = message.get("role"), message.get("content") or ""
    if role == "assistant" and message.get("tool_calls"):
        return answer_turn([openai_call(call["function"]) for call in message["tool_calls"]], None)
    sender = {"user": "human", "assistant": "gpt", "tool": "observation"}.get(str(role))
    if sender is None or not isinstance(content, str):
        raise ValueError(f"a message of role {role!r} with {type(content).__name__} content cannot become a row")
    return {"from": sender, "value": content}


def openai_call(function: dict[str, Any]) -> Call:
    """The call in an OpenAI message, whose arguments are a JSON string (or, from some servers, an object)."""
    arguments = function["arguments"]
    return Call(name=function["name"], arguments=parse_json(arguments) if isinstance(arguments, str) else arguments)


def answer_turn(calls: list[Call], reply: str | None) -> Turn:
    """The assistant's turn: one call as an object, several as a list, none as the reply."""
    if not calls:
        return {"from": "gpt", "value": reply or ""}
    values = [call.model_dump() for call in calls]
    return {"from": "function_call", "value": to_json(values[0] if len(values) == 1 else values)}


def to_rows(examples: Sequence[Seed], tools: list[dict[str, Any]], system: str | None, turns: int) -> Iterable[dict]:
    """ShareGPT rows, each with up to `turns` independent single-turn examples behind one tool prompt.

    The prompt is most of a row's tokens; sharing it pays for it once. A conversation seed keeps a row of its own.
    """
    single = [example for example in examples if example.messages is None]
    groups = [single[i : i + turns] for i in range(0, len(single), turns)]
    groups += [[example] for example in examples if example.messages is not None]
    functions = to_json([tool["function"] for tool in tools])
    for group in groups:
        conversations = [turn for example in group for turn in to_turns(example)]
        yield {"conversations": conversations, "system": system or "", "tools": functions}


def to_case(seed: Seed, tools: list[dict[str, Any]], system: str | None) -> Case:
    """The evaluation case of a seed: what to ask, and what to accept."""
    messages = seed.messages or [{"role": "user", "content": seed.text}]
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    return Case(
        id=seed.id,
        messages=messages,
        tools=tools,
        expected=seed.calls if seed.expected is None else seed.expected,
        tags=seed.tags,
        group=getattr(seed, "lineage", seed.id),
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write data/<task>_{train,val}.jsonl (rows) and data/<task>_{test,golden}.jsonl (cases)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", help="a name under configs/data/")
    args = parser.parse_args(argv)
    config = load_data_config(args.task)
    tools = load_tools(config.seeds / "tools.json")
    parts = {part: read_records(config.work / f"{part}.jsonl", Example) for part in ("train", "val", "test")}
    golden = read_seeds(config.seeds / "golden.jsonl", tools)
    random.Random(config.seed).shuffle(parts["train"])  # so that max_samples takes a fair share

    rows: dict[str, list[dict]] = {}
    for part, turns in (("train", config.rows.turns_per_row), ("val", 1)):
        try:
            rows[part] = list(to_rows(parts[part], tools, config.system, turns))
        except ValueError as error:
            raise UserError(config.work / f"{part}.jsonl", str(error), "fix the seed that it descends from") from None
    counts = {part: write_jsonl(config.built(part), rows[part]) for part in rows}
    for part, seeds in (("test", parts["test"]), ("golden", golden)):
        cases = (to_case(seed, tools, config.system).model_dump() for seed in seeds)
        counts[part] = write_jsonl(config.built(part), cases)
    where = config.built("*").relative_to(ROOT)
    kinds = ("train", "rows"), ("val", "rows"), ("test", "cases"), ("golden", "cases")
    print(f"convert: {where}: " + ", ".join(f"{part} {counts[part]} {kind}" for part, kind in kinds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
