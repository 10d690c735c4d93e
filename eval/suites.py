"""Suites: `configs/eval/<suite>.yaml` says which cases are asked, with which sampling and limits, and what must hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from callwright.config import Config, choose, load_config
from callwright.errors import UserError
from callwright.files import ROOT
from callwright.recipes import Recipe
from eval.client import Limits, Sampling


class Gates(Config):
    """The least that the tuned model must reach; a gate that is not set is not checked."""

    f1: float | None = Field(None, ge=0, le=1)
    precision: float | None = Field(None, ge=0, le=1)
    recall: float | None = Field(None, ge=0, le=1)
    strict_accuracy: float | None = Field(None, ge=0, le=1)

    def missed(self, summary: Mapping[str, Any]) -> list[str]:
        """The gates that a summary does not pass, in words; a figure that is not defined passes none."""
        figures = {**summary["decision"], "strict_accuracy": summary["strict_accuracy"]}
        return [
            f"{key} {figures[key]} < {least}"
            for key, least in self.model_dump(exclude_none=True).items()
            if figures[key] is None or figures[key] < least
        ]


class Suite(Config):
    """`configs/eval/<suite>.yaml`"""

    cases: list[str] = Field(min_length=1)
    """cases files; {task} stands for the recipe's task"""
    max_tokens: int = Field(96, ge=1)
    temperature: float = Field(0.0, ge=0)
    base_probe_tokens: int | None = Field(None, ge=1)
    """on a CPU, how long the base model may talk without a hint of a call before its answer is left as it is"""
    concurrency: int = Field(1, ge=1)
    timeout_s: float = Field(120.0, gt=0)
    retries: int = Field(2, ge=0)
    gates: Gates = Gates()

    def sampling(self, probe: bool) -> Sampling:
        """What decides an answer, besides the model and the case."""
        return Sampling(self.max_tokens, self.temperature, self.base_probe_tokens if probe else None)

    @property
    def limits(self) -> Limits:
        """How hard to ask."""
        return Limits(self.concurrency, self.timeout_s, self.retries)

    def files(self, task: str) -> list[Path]:
        """The cases files of a task."""
        return [ROOT / name.replace("{task}", task) for name in self.cases]


def load_suite(name: str) -> Suite:
    """The suite called `name`.

    Raises:
        UserError: there is none (the message lists those that exist), or it is broken.
    """
    return load_config(choose("configs/eval", name, "suite"), Suite)


def task_of(recipe: Recipe) -> str:
    """The task that a recipe trains: `image_intent` where its dataset is `image_intent_train`.

    Raises:
        UserError: the dataset is not called so.
    """
    name = recipe.datasets[0] if recipe.datasets else ""
    if not name.endswith("_train"):
        raise UserError(recipe.train_path, f"dataset {name!r} does not tell the task", "name it <task>_train")
    return name.removesuffix("_train")
