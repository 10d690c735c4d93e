"""Write the files of a new task into a folder, and read them back."""

from pathlib import Path
from string import Template

from callwright.files import write_json, write_jsonl, write_text
from callwright.records import Seed, as_line
from callwright.tasks import STARTER, read_seeds
from callwright.yaml12 import parse_yaml
from tools.utterances.grammar import Grammar
from tools.utterances.grammar_file import load_grammar
from tools.utterances.starter.draft import Tool, draft_grammar
from tools.utterances.starter.starters import starters
from tools.utterances.starter.wording import TEMPLATES

STARTERS, GOLDEN = 18, 18
"""lines of each label in seeds and golden, or one a tool where there are more tools"""
SIZE = 150
"""generated examples of each label, or 15 a tool where that is more"""
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
        seeds = starters(grammar, tools, max(count, len(tools)), prefix, seeds)
        write_jsonl(folder / f"{name}.jsonl", map(as_line, seeds))
        read_seeds(folder / f"{name}.jsonl", tools)
    write_text(folder / "grammar.yaml", draft_grammar(task, tools, "grammar"))
    load_grammar(folder / "grammar.yaml", tools)
    write_text(folder / "README.md", Template((TEMPLATES / "README.md").read_text("utf-8")).substitute(filling))
    return Template((TEMPLATES / "data.yaml").read_text("utf-8")).substitute(filling)
