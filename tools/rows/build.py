"""Turn split examples into rows and cases, or any format into another: `python -m tools.convert image_intent`, or
`python -m tools.convert --from xlam FILE --out data/xlam.jsonl`."""

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import Any, TypeVar

from callwright.config import DataConfig, Source
from callwright.errors import UserError
from callwright.files import parse_json, to_json, write_jsonl
from callwright.records import Case, Example, Seed, read_records
from callwright.schema import load_tools
from callwright.tasks import read_golden, read_seeds
from tools.formats import openai, sharegpt
from tools.formats.conversation import Loss
from tools.formats.ingest import Tally
from tools.formats.sharegpt import Turn
from tools.rows.mix import read_source, reader_of
from tools.rows.offer import (
    DECLINES,
    draw_irrelevant,
    load_declines,
    masked_names,
    offer,
    renamed,
    toolboxes,
    varied,
)
from tools.rows.split import MINE
from tools.rows.tool_results import RESULTS, Follow, follow, nothing

S = TypeVar("S", bound=Seed)
MASKED = {"names": "masked"}
"""the tag of examples whose row calls the tools by other names"""


def to_turns(seed: Seed) -> list[Turn]:
    """Write a seed as ShareGPT turns; ValueError for messages that cannot alternate as LLaMA-Factory demands."""
    calls = [{"function": {"name": call.name, "arguments": to_json(call.arguments)}} for call in seed.calls]
    answer = {"role": "assistant", "content": None if calls else seed.reply, "tool_calls": calls}
    _, given = seed.asked(None)
    conversation = openai.read({"messages": [*given, answer]})
    lost = list(conversation.lost)
    turns = sharegpt.turns(conversation.messages, lost)
    if lost:
        raise ValueError(f"{lost[0].at}: {lost[0].what} has no place in a row")
    return turns


def to_rows(
    examples: Sequence[Seed],
    tools: list[dict[str, Any]],
    system: str | None,
    turns: int,
    reply_prefix: str = "",
    after: Follow = nothing,
) -> Iterable[dict]:
    """Write ShareGPT rows, each with up to `turns` independent single-turn examples behind one tool prompt.

    The prompt is most of a row's tokens; sharing it pays for it once. A conversation seed keeps a row of its own. Plain
    replies begin with `reply_prefix` (see callwright.config.Rows). Examples tagged MASKED are among themselves. What comes
    `after` an example stands behind it.
    """
    single = [example for example in examples if example.messages is None]
    groups = packed([example for example in single if not is_masked(example)], turns)
    masked_groups = packed([example for example in single if is_masked(example)], turns)
    for number, group in enumerate(masked_groups):  # early, for runs that read only a part
        groups.insert(2 * number, group)
    groups += [[example] for example in examples if example.messages is not None]
    functions = sharegpt.tools_text(tools)
    for group in groups:
        group_turns = (turn for example in group for turn in (*to_turns(example), *after(example)))
        conversations = with_prefix(group_turns, reply_prefix)
        row = {"conversations": conversations, "system": group[0].asked(system)[0], "tools": functions}
        if is_masked(group[0]):
            row = renamed(row, masked_names(parse_json(functions), Random(group[0].id), arguments=False))
        yield row


def packed(examples: Sequence[S], turns: int) -> list[list[S]]:
    """Pack examples into groups of `turns` that share a system message, in the order in which the groups are full."""
    full: list[list[S]] = []
    unfinished: dict[str | None, list[S]] = {}
    for example in examples:
        group = unfinished.setdefault(example.system, [])
        group.append(example)
        if len(group) == turns:
            full.append(unfinished.pop(example.system))
    return [*full, *unfinished.values()]


def with_prefix(turns: Iterable[Turn], prefix: str) -> list[Turn]:
    """Put a prefix before plain replies."""
    return [{**turn, "value": prefix + turn["value"]} if turn["from"] == "gpt" else turn for turn in turns]


def is_masked(seed: Seed) -> bool:
    """Tell whether a seed is to be trained on with other names for the tools."""
    return MASKED.items() <= seed.tags.items()


def to_case(seed: Seed, tools: list[dict[str, Any]], system: str | None) -> Case:
    """Write the evaluation case of a seed: what to ask, and what to accept."""
    system, messages = seed.asked(system)
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


def in_talk(cases: Iterable[Case], examples: Sequence[Seed], after: Follow, seed: int) -> Iterable[Case]:
    """Repeat each case in a conversation that began before: a plain reply, and a call with its result and a word on it.

    Args:
        examples: what the beginnings are drawn from.
        after: of a call, its result and the word.
    """
    single = [example for example in examples if example.messages is None]
    replies = [example for example in single if not example.calls]
    answered_calls = [example for example in single if example.calls and after(example)]
    if not replies or not answered_calls:
        return
    for one in cases:
        rng = Random(f"{seed}/talk/{one.id}")
        beginnings = rng.choice(replies), rng.choice(answered_calls)
        turns = [turn for example in beginnings for turn in (*to_turns(example), *after(example))]
        messages = sharegpt.read({"conversations": turns}).messages
        first = 1 if one.messages[0]["role"] == "system" else 0
        yield one.model_copy(update={"messages": [*one.messages[:first], *messages, *one.messages[first:]]})


def with_chat(rows: Sequence[dict], chat: Source, seed: int, reply_prefix: str) -> list[dict]:
    """Put general chat among training rows, as much as its share asks for and its source has."""
    read, tally, share = reader_of(chat), Tally(), chat.share or 0

    def make(record: dict[str, Any], lost: list[Loss]) -> list[dict[str, Any]]:
        return [sharegpt.write(conversation, lost) for conversation in read(record)]

    found = [row for rows_of_one in read_source(chat, make, tally) for row in rows_of_one]
    print("".join(f"{line}\n" for line in tally.lines()), end="")
    rng, mixed = Random(f"{seed}/chat"), list(rows)
    wanted = min(round(len(rows) * share / (1 - share)), len(found), chat.max_samples or len(found))
    for row in rng.sample(found, wanted):
        chat_row = {**row, "conversations": with_prefix(row["conversations"], reply_prefix)}
        mixed.insert(rng.randrange(len(mixed) + 1), chat_row)
    return mixed


def rows_by_tag(
    examples: Sequence[Example],
    boxes: dict[str, list[dict[str, Any]]],
    config: DataConfig,
    turns: int,
    after: Follow = nothing,
    declines: Mapping[str, list[str]] = MappingProxyType({}),
) -> list[dict]:
    """Write rows whose examples share a value of `rows.tools_by`, each with an offer of its own (tools.rows.offer).

    Args:
        boxes: value of the tag → its tools.
        declines: language → what is said where no tool fits.
    """
    rng, tag = Random(f"{config.seed}/toolboxes"), str(config.rows.tools_by)
    drawn = draw_irrelevant(examples, boxes, config, declines)
    wanted = {one.example.id: one.wanted for one in drawn}
    mixed = [*examples, *(one.example for one in drawn)]
    if drawn:
        rng.shuffle(mixed)
    groups: dict[str, list[Example]] = {}
    for example in mixed:
        groups.setdefault(example.tags.get(tag, ""), []).append(example)
    rows: list[dict] = []
    for value, group in groups.items():
        others = [tool for other, box in boxes.items() if other != value for tool in box if tool not in boxes[value]]
        some: Sequence[Example]
        for some in (*packed([e for e in group if e.messages is None], turns), *([e] for e in group if e.messages)):
            hidden = set[str]().union(*(wanted.get(example.id, set()) for example in some))
            strangers = [tool for tool in others if tool["function"]["name"] not in hidden]
            shown = offer(some, boxes[value], strangers, config.rows.distractors, rng)
            made = to_rows(some, shown, config.system, turns, config.rows.reply_prefix, after)
            rows += (varied(row, config, rng) for row in made)
    rng.shuffle(rows)
    return rows


def convert_task(config: DataConfig) -> dict[str, int]:
    """Write the rows and cases of a task's split examples; return how many there are of each part."""
    tools = load_tools(config.seeds / "tools.json")
    cases = ("test", MINE) if config.split.mine else ("test",)
    parts = {part: read_records(config.work / f"{part}.jsonl", Example) for part in ("train", "val", *cases)}
    golden = read_golden(config.seeds / "golden.jsonl", tools)
    tag, boxes = config.rows.tools_by, {}
    declines = load_declines(config.seeds / DECLINES) if config.rows.irrelevant else {}
    if tag:
        boxes = toolboxes([*read_seeds(config.seeds / "seeds.jsonl", tools), *golden], tools, tag)

    rows: dict[str, list[dict]] = {}
    for part, turns, after in (("train", config.rows.turns_per_row, follow(config, tools)), ("val", 1, nothing)):
        try:
            if tag:
                rows[part] = rows_by_tag(parts[part], boxes, config, turns, after, declines)
            else:
                rows[part] = list(to_rows(parts[part], tools, config.system, turns, config.rows.reply_prefix, after))
        except ValueError as error:
            raise UserError(config.work / f"{part}.jsonl", str(error), "fix the seed that it descends from") from None
    if config.rows.chat:
        rows["train"] = with_chat(rows["train"], config.rows.chat, config.seed, config.rows.reply_prefix)
    counts = {part: write_jsonl(config.built(part), rows[part]) for part in rows}
    seeds_of: dict[str, Sequence[Seed]] = {**{part: parts[part] for part in cases}, "golden": golden}
    for part, seeds in seeds_of.items():
        asked = [to_case(seed, boxes[seed.tags.get(tag, "")] if tag else tools, config.system) for seed in seeds]
        counts[part] = write_jsonl(config.built(part), (case.model_dump() for case in asked))
        if part == "golden" and (config.seeds / RESULTS).is_file():
            talk = in_talk(asked, parts["val"], follow(config, tools, 1.0), config.seed)
            counts["talk"] = write_jsonl(config.built("talk"), (case.model_dump() for case in talk))
    for part in {MINE, "talk"} - counts.keys():  # of an earlier config
        config.built(part).unlink(missing_ok=True)
    return counts
