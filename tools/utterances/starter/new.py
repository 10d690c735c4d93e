"""Lay out a new task from its tools, so that `make data` passes at once: python -m tools.new my_task --tools tools.json"""

from collections.abc import Sequence

from callwright.config import Api, Augment, DataConfig
from callwright.errors import UserError
from callwright.records import Seed
from callwright.tasks import WRITTEN
from tools.utterances.llm.backend import from_openai
from tools.utterances.starter.draft import Tool


def written(task: str, tools: list[Tool], starters: Sequence[Seed], api: Api) -> list[Seed]:
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
