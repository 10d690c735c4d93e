"""A plan to ask one model: its run folder, the answers that are still to be had, and the scores of all."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_json, sha256, write_json
from callwright.locks import only_writer
from callwright.records import Case, Prediction
from eval.endpoint import manifest
from eval.endpoint.client import ask_all
from eval.endpoint.settings import Endpoint, Limits, Sampling
from eval.scoring.cases import unchecked
from eval.scoring.predictions import answered, read_samples
from eval.scoring.runs import MANIFEST, PREDICTIONS, Run, score, write_scores
from eval.scoring.stats import SEED

RAW = "raw"
"""the folder, inside a run's, of the same cases in raw mode"""


@dataclass(frozen=True)
class Plan:
    """One model to be asked, and where its run folder is."""

    name: str
    out: Path
    paths: Sequence[Path]
    """cases files"""
    cases: Sequence[Case]
    sampling: Sampling
    fingerprint: dict[str, Any]
    """what decides the answers: those of another fingerprint are not reused"""
    command: Sequence[str]
    """for the manifest; holds no secret"""
    about: dict[str, Any] = field(default_factory=dict)
    """what else the manifest says"""
    module: str = "eval.run"
    """what is run"""

    @property
    def predictions(self) -> Path:
        """The log of answers."""
        return self.out / PREDICTIONS

    @cached_property
    def asked(self) -> list[Case]:
        """The cases that are asked: all whose answers can be judged."""
        return [case for case in self.cases if unchecked(case) is None]

    @property
    def missing(self) -> int:
        """Answers that are still to be had."""
        samples = self.sampling.samples
        return samples * len(self.asked) - len(answered(self.predictions, self.asked, samples))


@contextmanager
def open_run_folder(plan: Plan, fresh: bool, refuse: bool) -> Iterator[None]:
    """Hold a run folder as its only writer, its manifest written and its answers those of these cases and this model.

    Args:
        fresh: drop what is there.
        refuse: answers of anything else are a fault; otherwise they are dropped, and the console says so.

    Raises:
        UserError: they are of something else, or nobody knows of what; another process writes there.
    """
    with only_writer(plan.out):
        if fresh:
            plan.predictions.unlink(missing_ok=True)
        written = read_json(plan.out / MANIFEST) if (plan.out / MANIFEST).exists() else {}
        known, known_cases = written.get("fingerprint", {}), written.get("cases")
        changed = next((key for key, value in plan.fingerprint.items() if known.get(key) != value), None)
        if changed and plan.predictions.exists():
            if refuse:
                fault = f"holds answers for other {changed} ({known.get(changed)}; now {plan.fingerprint[changed]})"
                raise UserError(plan.out, fault, "give another --out, or --fresh to drop them")
            print(f"{plan.name}: {changed} changed since the last run, so every case is asked again")
            plan.predictions.unlink()
        if changed or plan.missing or known_cases != _hashes(plan):
            _write_manifest(plan)
        yield


def run_plan(plan: Plan, start: Callable[[int], Sequence[Endpoint]], limits: Limits) -> Run:
    """Ask what is missing, score everything, and complete the run folder.

    Args:
        start: gives the endpoints for so many cases; called only where any is missing.
    """
    if missing := plan.missing:
        endpoints = start(missing)
        started = time.monotonic()
        ask(plan, endpoints, limits)
        return score_plan(plan, missing, time.monotonic() - started, limits.concurrency * len(endpoints))
    return score_plan(plan)


def as_raw(plan: Plan, raw_format: str, raw_system: str = "") -> Plan:
    """Plan the same cases in raw mode, in the folder raw/ below."""
    sampling = replace(plan.sampling, mode="raw", raw_format=raw_format, raw_system=raw_system, probe_tokens=None)
    fingerprint = {**plan.fingerprint, "sampling": sampling.fingerprint()}
    return replace(plan, name=f"{plan.name} raw", out=plan.out / RAW, sampling=sampling, fingerprint=fingerprint)


def _write_manifest(plan: Plan, **more: Any) -> None:
    common = manifest.describe(["python", "-m", plan.module, *plan.command], SEED)
    about = {"name": plan.name, **plan.about, "cases": _hashes(plan), "fingerprint": plan.fingerprint, **more}
    write_json(plan.out / MANIFEST, {**common, **about})


def _hashes(plan: Plan) -> dict[str, str]:
    return {os.path.relpath(path): sha256(path) for path in plan.paths}


@contextmanager
def progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error; call what this gives with the number that are done."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as shown:
        bar = shown.add_task(name, total=total)
        yield lambda done: shown.update(bar, completed=done)


def ask(plan: Plan, endpoints: Sequence[Endpoint], limits: Limits) -> dict[str, Prediction]:
    """Ask a model, of which there may be several copies; return the first sample of every case.

    Raises:
        UserError: see ask_all.
    """
    with progress(plan.name, plan.sampling.samples * len(plan.asked)) as tell:
        return asyncio.run(ask_all(endpoints, plan.asked, plan.predictions, plan.sampling, limits, tell))


def score_plan(plan: Plan, asked: int = 0, seconds: float = 0.0, concurrency: int = 1) -> Run:
    """Score what was answered, write the scores, and complete the manifest where anything was asked."""
    cases = {case.id: case for case in plan.cases}
    predictions = read_samples(plan.predictions) if plan.asked else {}
    results = score(plan.cases, {key: p for key, p in predictions.items() if p.id in cases})
    if asked:
        _write_manifest(plan, asked=asked, seconds=round(seconds, 1), concurrency=concurrency)
    run = Run(plan.out, results, read_json(plan.out / MANIFEST), cases)
    write_scores(run.out, run.results, run.summary)
    return run
