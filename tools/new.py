"""Lay out a new task from its tools, so that `make data` passes at once: python -m tools.new my_task --tools tools.json"""

import argparse
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product
from pathlib import Path
from random import Random
from string import Template
from typing import Any

import yaml

from callwright.config import Api, Augment, Clean, DataConfig, Price, read_yaml
from callwright.errors import UserError, command
from callwright.files import ROOT, atomic, parse_json, to_json, write_json, write_jsonl, write_text
from callwright.records import Call, Seed, as_line
from callwright.schema import call_fault
from callwright.tasks import read_seeds
from callwright.tool_sources import load_tools
from callwright.tool_sources.found import lines
from callwright.tool_sources.schemas import Inliner
from tools.api.backend import from_openai
from tools.clean import language_fault
from tools.dedupe import Novelty, nearest
from tools.generate import generate
from tools.grammar import Grammar, Pattern
from tools.new_task.values import Values
from tools.read_grammar import load_grammar

TEMPLATES = Path(__file__).with_name("new_task")
INDEPENDENT = {"type", "properties", "required", "additionalProperties", "description", "title", "$defs"}
"""keywords of a tool's schema under which no argument depends on another"""
COMBINATIONS = 300
"""of names, and of values, that are tried where arguments may depend on each other"""
SETS = 6
"""of arguments of such a tool"""
STARTERS, GOLDEN = 10, 6
"""lines of each label in seeds and golden, or one a tool where there are more tools"""
SIZE = 150
"""generated examples of each label, or 15 a tool where that is more"""
NEXT = "make data train eval TASK=$task"

Tool = dict[str, Any]
Row = dict[str, Any]


def clean(text: str) -> str:
    """Text on one line, without what cannot be seen and the marks that a grammar gives a meaning."""
    return " ".join("".join(" " if char in "{}[]<>" or not char.isprintable() else char for char in text).split())


def words(name: str) -> str:
    """An identifier as words: getWeather_now → get weather now."""
    return clean(re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.-]+", " ", name)).lower() or "it"


def told(value: Any, phrases: Row) -> str:
    """A value as somebody would say it."""
    if isinstance(value, bool) or value is None:
        return str(phrases["none" if value is None else "on" if value else "off"])
    if isinstance(value, dict):
        return told([f"{words(key)} {told(item, phrases)}" for key, item in value.items()], phrases)
    said = phrases["joiner"].join(told(item, phrases) for item in value) if isinstance(value, list) else str(value)
    return clean(said) or str(phrases["empty"])


def argument_sets(tool: Tool, tools: list[Tool], values: Values) -> Iterator[dict[str, list[Any]]]:
    """Sets of arguments with values of which every combination makes a valid call.

    The required arguments, and with them the optional ones, three at a time; where arguments may depend on each other,
    up to SETS sets that work.

    Raises:
        UserError: no call is known that fits the schema.
    """
    name, cut = tool["function"]["name"], list[str]()
    schema = Inliner(tool["function"]["parameters"], cut.append).inline(tool["function"]["parameters"])
    required = list(dict.fromkeys(schema.get("required", [])))
    rest = schema.get("additionalProperties", {})
    columns = {key: values.of(schema["properties"].get(key, rest)) for key in [*required, *schema["properties"]]}
    optional = [key for key in columns if key not in required and columns[key]]
    depend = bool(cut) or not set(schema) <= INDEPENDENT
    threes = [optional[start : start + 3] for start in range(0, len(optional), 3)]
    some = (names for size in range(4) for names in combinations(optional, size))
    found = 0
    for names in [*islice(some, COMBINATIONS), optional] if depend else [[], *threes]:
        if found == SETS and depend:
            return
        keys = [*required, *names]
        most = max(1, int(COMBINATIONS ** (1 / max(1, len(keys))))) if depend else 1
        rows = [dict(zip(keys, row, strict=True)) for row in product(*(columns[key][:most] for key in keys))]
        good = [row for row in rows if not call_fault(Call(name=name, arguments=row), tools)]
        if good:
            found += 1
            every = columns if not depend else {key: columns[key][:most] for key in keys}
            yield {key: every[key] if good == rows else [good[0][key]] for key in keys}
    if not found:
        empty = ", ".join(key for key in required if not columns[key])
        fault = f"no value is known that fits {empty}" if empty else "no arguments are known that fit together"
        raise UserError(f"tool {name!r}", fault, "add `examples` to its schema")


def worded(text: str, tool: Tool, said: str = "") -> str:
    """A phrase about a tool; where there is nothing to be said, {said} goes with what leads up to it."""
    name = words(tool["function"]["name"])
    about = clean(re.split(r"(?<=[.!?。！？])\s|\n", tool["function"]["description"])[0])[:80].strip(" .。!?！？")
    text = text if said else re.sub(r"(?:\W|\b(?:with|take|it is)\b)*\{said\}", "", text)
    about = about if any(map(str.isalnum, about)) else name
    return text.replace("{ask}", name).replace("{about}", about).replace("{said}", said)


def draft_grammar(task: str, tools: list[Tool], phrases: Row, group: str) -> str:
    """The text of a grammar.yaml made from a group of phrases: seeds, golden or grammar."""
    head = Template((TEMPLATES / "grammar.yaml").read_text(encoding="utf-8")).substitute(task=task)
    slots: dict[str, dict[str, list[Any]]] = {}
    families: list[Row] = []
    for lang in yaml.safe_load(head)["languages"]:
        own = phrases[lang]
        mine, values = slots.setdefault(lang, {}), Values(phrases, own[group]["things"])
        for tool in tools:
            name = tool["function"]["name"]
            for number, table in enumerate(argument_sets(tool, tools, values), 1):
                # null, where nothing else fits, is passed and goes without saying
                arguments: Row = {key: slot_of(f"{name}_{key}", column, own, mine) for key, column in table.items()}
                said = [own["argument"].format(name=words(key), value=slot) for key, slot in arguments.items() if slot]
                texts = [worded(text, tool, own["joiner"].join(said)) for text in own[group]["call"]]
                family = {"id": f"{lang}-{name}-{number}", "lang": lang, "register": "plain", "kind": name}
                families.append({**family, "calls": [{"name": name, "arguments": arguments}], "texts": texts})
            about = [{**item, "text": worded(item["text"], tool)} for item in own[group]["tool"]]
            families += talk(lang, f"{lang}-not-{name}", about)
        families += talk(lang, lang, own[group]["chat"])
    made = parse_json(to_json({"slots": slots, "patterns": families}))  # no object twice, so no YAML anchors
    return head + yaml.safe_dump(made, allow_unicode=True, sort_keys=False, width=120, default_flow_style=None)


def slot_of(name: str, column: list[Any], phrases: Row, slots: dict[str, list[Any]]) -> str | None:
    """The place `{slot}` of values, put among the slots under a name of its own; None where null is the only value."""
    values = [value for value in column if value is not None]
    texts = [told(value, phrases) for value in values]
    pairs = zip(texts, values, strict=True)
    filled = [value if text == value else {"text": text, "value": value} for text, value in pairs]
    slot = re.sub("[^a-z]+", "_", name.lower())
    while slots.get(slot, filled) != filled:
        slot += "_x"
    if filled:
        slots[slot] = filled
    return f"{{{slot}}}" if filled else None


def talk(lang: str, identity: str, items: list[Row]) -> Iterator[Row]:
    """A family a kind of lines that do not call."""
    for kind in dict.fromkeys(item["kind"] for item in items):
        texts = [{"text": item["text"], "reply": item["reply"]} for item in items if item["kind"] == kind]
        yield {"id": f"{identity}-{kind}", "lang": lang, "register": "plain", "kind": kind, "texts": texts}


def starters(grammar: Grammar, tools: list[Tool], count: int, prefix: str, apart: Sequence[Seed] = ()) -> list[Seed]:
    """`count` lines of each label, languages and kinds in turn, each with other words, that tools.clean lets stand.

    Fewer where what the tools want said leaves no other words: all are to be unlike those of `apart`.
    """
    others, bound = [str(seed.text) for seed in apart], Clean()
    rng, novelty, seeds = Random(prefix), Novelty(), list[Seed]()
    for label in ("call", "no_call"):
        queues: dict[tuple[str, str], list[Pattern]] = {}
        for pattern in grammar.patterns():
            if pattern.label == label:
                queues.setdefault((pattern.kind, pattern.lang), []).append(pattern)
        kinds = dict.fromkeys(kind for kind, _ in queues)
        keys = [key for key in product(kinds, grammar.languages) if key in queues]
        wanted = len(seeds) + count
        for turn in range(20 * count):
            if len(seeds) == wanted:
                break
            pattern = rng.choice(queues[keys[turn % len(keys)]])
            draft = generate(pattern, grammar, tools, rng)
            foreign = language_fault(draft.text, pattern.lang)
            if foreign or (others and nearest([draft.text], others)[0][0] >= bound.golden):
                continue
            if novelty.admits(draft.text):
                tags = {"lang": pattern.lang, "register": pattern.register_, "kind": pattern.kind}
                number = f"{prefix}-{len(seeds) + 1:03}"
                seeds.append(Seed(id=number, **draft.said, tags=tags))
    return seeds


def lay_out(task: str, tools: list[Tool], folder: Path) -> str:
    """Write the files of a task into a folder and read them back; return its data config.

    Raises:
        UserError: a tool of which no valid call is known.
    """
    phrases = read_yaml(TEMPLATES / "phrases.yaml")
    size = max(SIZE, 15 * len(tools))
    sides = {"train": size * 36 // 25, "val": size * 4 // 25, "test": size * 2 // 5}
    filling = {"task": task, "size": size, **sides, "next": Template(NEXT).substitute(task=task)}
    write_json(folder / "tools.json", tools)
    seeds: list[Seed] = []
    for name, count, prefix in (("seeds", STARTERS, "starter"), ("golden", GOLDEN, "starter-golden")):
        grammar = Grammar.model_validate(yaml.safe_load(draft_grammar(task, tools, phrases, name)))
        seeds = starters(grammar, tools, max(count, len(tools)), prefix, seeds)
        write_jsonl(folder / f"{name}.jsonl", map(as_line, seeds))
        read_seeds(folder / f"{name}.jsonl", tools)
    write_text(folder / "grammar.yaml", draft_grammar(task, tools, phrases, "grammar"))
    load_grammar(folder / "grammar.yaml", tools)
    write_text(folder / "README.md", Template((TEMPLATES / "README.md").read_text("utf-8")).substitute(filling))
    return Template((TEMPLATES / "data.yaml").read_text("utf-8")).substitute(filling)


def written(task: str, tools: list[Tool], starters: Sequence[Seed], api: Api) -> list[Seed]:
    """As many lines of each label as the starters, written and labelled by a large model that is shown the starters.

    Raises:
        UserError: see tools.api.backend.from_openai; or nothing that it wrote was good.
    """
    sizes = {label: 2 * sum(seed.label == label for seed in starters) for label in ("call", "no_call")}
    config = DataConfig(task=task, augment=Augment(backend="openai", api=api, **sizes))
    made = [example for example in from_openai(config, starters, tools, batch=False) if example.source != "seed"]
    if {example.label for example in made} != sizes.keys():
        raise UserError(api.model, "wrote no good line of each label", f"read {config.work}/rejected.jsonl")
    return [
        Seed(id=f"written-{number:03}", **example.model_dump(include={"text", "calls", "reply", "expected", "tags"}))
        for number, example in enumerate(made, 1)
    ]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write data/seeds/<task>/ and configs/data/<task>.yaml."""
    parser = argparse.ArgumentParser(prog="python -m tools.new", description=__doc__)
    parser.add_argument("task", help="its name: letters, digits, _ and -")
    parser.add_argument(
        "--tools",
        required=True,
        help="tools.json, an OpenAPI document, a .py file, an address, mcp:COMMAND, module:NAME",
    )
    parser.add_argument(
        "--write", metavar="MODEL", help="have a large model write the seeds (OPENAI_API_KEY, OPENAI_BASE_URL)"
    )
    parser.add_argument(
        "--price", type=float, nargs=2, metavar=("IN", "OUT"), help="with --write: dollars per million tokens"
    )
    parser.add_argument(
        "--budget", type=float, default=0.5, help="with --write: dollars at most (default: %(default)g)"
    )
    args = parser.parse_args(argv)
    if args.write and not args.price:
        raise UserError(f"--write {args.write}", "its price is not known", "say it: --price 0.15 0.60, or --price 0 0")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", args.task):
        raise UserError(f"task {args.task!r}", "not letters, digits, _ and -", "choose another name")
    folder, config = ROOT / "data/seeds" / args.task, ROOT / "configs/data" / f"{args.task}.yaml"
    for path in (folder, config):
        if path.exists():
            raise UserError(path.relative_to(ROOT), "is there already", "choose another name, or move it away")
    source = load_tools(args.tools)
    print("".join(f"{line}\n" for line in lines(source.notes)), end="", file=sys.stderr)
    tools = source.tools
    for schema in (tool["function"]["parameters"] for tool in tools):  # `true` is {}, and every reader knows {}
        schema["properties"] = {key: {} if own is True else own for key, own in schema["properties"].items()}
    work = folder.with_name(f".{args.task}.{os.getpid()}")
    try:
        work.mkdir(parents=True)
        text = lay_out(args.task, tools, work)
        if args.write:
            price = Price(input=args.price[0], output=args.price[1])
            api = Api(model=args.write, prices={args.write: price}, budget_usd=args.budget, modes={"new": 1})
            seeds = written(args.task, tools, read_seeds(work / "seeds.jsonl", tools), api)
            write_jsonl(work / "seeds.jsonl", map(as_line, seeds))
        with atomic(config) as file:
            file.write(text)
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(
        f"new: data/seeds/{args.task}/ and configs/data/{args.task}.yaml, {len(tools)} tools; "
        + ("read what the model wrote" if args.write else "replace the starter lines")
    )
    print("next: " + Template(NEXT).substitute(task=args.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
