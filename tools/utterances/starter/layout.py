"""Write the files of a new task into a folder and read them back; its seeds are made up, or written by a large model."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from random import Random
from string import Template

from callwright.config import Api, Augment, Clean, DataConfig
from callwright.errors import UserError
from callwright.files import write_json, write_jsonl, write_text
from callwright.records import Seed, as_line
from callwright.tasks import STARTER, WRITTEN, read_seeds
from callwright.text import language_fault
from callwright.yaml12 import parse_yaml
from tools.utterances.generate import generate
from tools.utterances.grammar import Grammar, Pattern
from tools.utterances.grammar_file import load_grammar
from tools.utterances.llm.backend import from_openai
from tools.utterances.near_duplicates import Novelty, nearest
from tools.utterances.starter.arguments import required_beyond_speech
from tools.utterances.starter.draft import FEW, Tool, draft_grammar
from tools.utterances.starter.wording import TEMPLATES

STARTERS, GOLDEN = 18, 18
"""Lines of each label in seeds and golden, or one a tool where there are more tools."""
SIZE = 150
"""Generated examples of each label, or 15 a tool where that is more."""
NEXT = "make data train eval TASK=$task"


def lay_out(task: str, tools: list[Tool], folder: Path) -> str:
    """Write the files of a task into a folder and read them back; return its data config.

    Raises:
        UserError: a tool of which no valid call is known.
    """
    size = max(SIZE, 15 * len(tools))
    sides = {"train": size * 36 // 25, "val": size * 4 // 25, "test": size * 2 // 5}
    filling = {"task": task, "size": size, **sides, "next": Template(NEXT).substitute(task=task)}
    write_json(folder / "tools.json", tools)
    seeds: list[Seed] = []
    for name, count, prefix in (("seeds", STARTERS, STARTER), ("golden", GOLDEN, f"{STARTER}golden-")):
        grammar = Grammar.model_validate(parse_yaml(draft_grammar(task, tools, name)))
        seeds = starter_seeds(grammar, tools, max(count, len(tools)), prefix, seeds)
        write_jsonl(folder / f"{name}.jsonl", map(as_line, seeds))
        read_seeds(folder / f"{name}.jsonl", tools)
    write_text(folder / "grammar.yaml", draft_grammar(task, tools, "grammar"))
    load_grammar(folder / "grammar.yaml", tools)
    write_text(folder / "README.md", Template((TEMPLATES / "README.md").read_text("utf-8")).substitute(filling))
    return Template((TEMPLATES / "data.yaml").read_text("utf-8")).substitute(filling)


def starter_seeds(
    grammar: Grammar, tools: list[Tool], count: int, prefix: str, others: Sequence[Seed] = ()
) -> list[Seed]:
    """Draw `count` lines of each label, kinds and languages in turn, each with other words, that cleaning lets stand.

    Fewer where what the tools want said leaves no other words: all are to be unlike `others`. A tool that requires more
    than a line can say gets FEW lines a language: more of that kind would show how nobody speaks.
    """
    scarce = {tool["function"]["name"] for tool in tools if required_beyond_speech(tool)}
    counts: Counter[tuple[str, str]] = Counter()
    taken, too_near = [str(seed.text) for seed in others], Clean().golden
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
            key = keys[turn % len(keys)]
            if key[0] in scarce and counts[key] == FEW:
                continue
            pattern = rng.choice(queues[key])
            draft = generate(pattern, grammar, tools, rng)
            if language_fault(draft.text, pattern.lang):
                continue
            if taken and nearest([draft.text], taken)[0][0] >= too_near:
                continue
            if novelty.admits(draft.text):
                counts[key] += 1
                tags = {"lang": pattern.lang, "register": pattern.register_, "kind": pattern.kind}
                seeds.append(Seed(id=f"{prefix}{len(seeds) + 1:03}", **draft.said, tags=tags))
    return seeds


def write_seeds(task: str, tools: list[Tool], starters: Sequence[Seed], api: Api) -> list[Seed]:
    """Have a large model that is shown the starters write and label as many lines of each label.

    Raises:
        UserError: see from_openai; or nothing that it wrote was good.
    """
    sizes = {label: 2 * sum(seed.label == label for seed in starters) for label in ("call", "no_call")}
    config = DataConfig(task=task, augment=Augment(backend="openai", api=api, **sizes))
    made = [example for example in from_openai(config, starters, tools, batch=False) if example.source != "seed"]
    if {example.label for example in made} != sizes.keys():
        raise UserError(api.model, "wrote no good line of each label", f"read {config.work}/rejected.jsonl")
    return [
        Seed(id=f"{WRITTEN}{number:03}", **example.model_dump(include={"text", "calls", "reply", "expected", "tags"}))
        for number, example in enumerate(made, 1)
    ]
