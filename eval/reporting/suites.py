"""Suites: `configs/eval/<suite>.yaml` says which cases are asked, with which sampling and limits, and what must hold."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from callwright.config import config_path
from callwright.errors import UserError
from callwright.files import ROOT
from callwright.yaml_config import Config, load_config
from eval.endpoint.settings import Limits, Sampling
from eval.scoring.gates import Gates


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
    attribution: Literal["failures", "all", "off"] = "failures"
    """which cases the tuned model is asked again in raw mode, to tell its faults from its server's"""
    attribution_cases: int | None = Field(None, ge=1)
    """on a CPU, of how many failures at most; the verdicts take turns"""
    needs: str = ""
    """what a task must have so that `make data` writes its cases"""
    gates: Gates = Field(default_factory=dict)
    """what the tuned model must reach, like --fail-under"""

    def sampling(self, probe: bool) -> Sampling:
        """Return what decides an answer, besides the model and the case."""
        return Sampling(self.max_tokens, self.temperature, self.base_probe_tokens if probe else None)

    @property
    def limits(self) -> Limits:
        """How hard to ask."""
        return Limits(self.concurrency, self.timeout_s, self.retries)

    def files(self, task: str) -> list[Path]:
        """Return the cases files of a task.

        Raises:
            UserError: one is not there, with what writes it.
        """
        paths = [ROOT / name.replace("{task}", task) for name in self.cases]
        if absent := next((path for path in paths if not path.is_file()), None):
            needs = f", which writes it where the task has {self.needs}" if self.needs else ""
            raise UserError(os.path.relpath(absent, ROOT), "no such file", f"run: make data TASK={task}{needs}")
        return paths


def load_suite(name: str) -> Suite:
    """Load the suite called `name`.

    Raises:
        UserError: there is none (the message lists those that exist), or it is broken.
    """
    return load_config(config_path("configs/eval", name, "suite"), Suite)
