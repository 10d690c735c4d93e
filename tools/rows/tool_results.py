"""What tools answer, and what a model then says: data/seeds/<task>/results.yaml, for conversations that go on after a call."""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from pydantic import RootModel, ValidationError

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.files import to_json
from callwright.records import Seed, explain
from callwright.yaml_config import Config, read_yaml
from tools.formats.sharegpt import Turn

RESULTS = "results.yaml"
Follow = Callable[[Seed], list[Turn]]
"""the turns that come after a seed's own in a row"""


def nothing(seed: Seed) -> list[Turn]:
    """Add nothing: the row goes on with the next seed."""
    return []


class Answer(Config):
    """One answer of a tool, with the words that fit it."""

    result: Any
    reply: dict[str, str]
    """language → what the model says; the first one serves for languages that are not there"""


class Results(RootModel[dict[str, list[Answer]]]):
    """Tool → its answers."""


def load_results(path: Path, tools: Sequence[dict[str, Any]]) -> dict[str, list[Answer]]:
    """Read the answers of a task's tools.

    Raises:
        UserError: naming the file and the key, for a missing file, a wrong key, a tool that is not the task's, a tool
            without answers or an answer without words.
    """
    try:
        answers = Results.model_validate(read_yaml(path)).root
    except ValidationError as error:
        raise UserError(path, explain(error), "fix the key; the shipped results.yaml show the form") from None
    names = [tool["function"]["name"] for tool in tools]
    for name, found in answers.items():
        if name not in names:
            raise UserError(f"{path}: {name}", "is no tool of this task", f"choose one of: {', '.join(names)}")
        if not found or not all(answer.reply and all(answer.reply.values()) for answer in found):
            raise UserError(f"{path}: {name}", "has no answers, or one without words", "give each a result and a reply")
    return answers


def follow(config: DataConfig, tools: Sequence[dict[str, Any]], share: float | None = None) -> Follow:
    """Make what comes after a share of the examples that call one tool: its result and the model's word on it.

    Args:
        share: 0 to 1; `rows.results` without it.

    Raises:
        UserError: as load_results, where there is such a share.
    """
    share = config.rows.results if share is None else share
    if not share:
        return nothing
    answers = load_results(config.seeds / RESULTS, tools)

    def turns(seed: Seed) -> list[Turn]:
        rng = Random(f"{config.seed}/results/{seed.id}")
        known = answers.get(seed.calls[0].name) if len(seed.calls) == 1 else None
        if not known or rng.random() >= share:
            return []
        answer = rng.choice(known)
        reply = answer.reply.get(seed.tags.get("lang", ""), next(iter(answer.reply.values())))
        result = answer.result if isinstance(answer.result, str) else to_json(answer.result)
        return [{"from": "observation", "value": result}, {"from": "gpt", "value": reply}]

    return turns
