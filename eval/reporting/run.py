"""Evaluate: ask every case, score the answers, tell whose fault the failures are, write the report."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from callwright import machine
from callwright.config import config_path
from callwright.files import ROOT, sha256, write_jsonl
from callwright.recipes import Recipe, chosen_recipe
from callwright.tool_prompts import FORMATS, format_of
from eval.endpoint import manifest
from eval.endpoint.llamacpp import gguf_files, serve_gguf, served_gguf
from eval.endpoint.plan import Plan, as_raw, open_run_folder, run_plan
from eval.endpoint.server import Server, check_models, serve
from eval.endpoint.settings import Endpoint, Sampling, endpoint_at, limits_of
from eval.reporting.pages import take_turns
from eval.reporting.report import make_report
from eval.reporting.suites import Suite, load_suite
from eval.scoring.attribution import attribute, sentence, write_attribution
from eval.scoring.cases import read_cases
from eval.scoring.gates import gate
from eval.scoring.runs import Run

MOST_COPIES = 4
"""of a server at a time"""
CASES_A_COPY = 25
"""what a copy must get to be worth starting"""
SERVER_BYTES = 1 << 30
"""of a server's memory, beside its weights"""


def run_endpoint(args: argparse.Namespace) -> int:
    """Evaluate any OpenAI-compatible endpoint; return the exit status."""
    endpoint = endpoint_at(args.base_url, args.model, args.api_key_env, args.llamafactory)
    cases, sampling = read_cases(args.cases), Sampling(args.max_tokens, args.temperature, samples=args.samples)
    fingerprint = {
        "cases": manifest.cases_hash(args.cases),
        "model": f"{args.model} at {args.base_url}",
        "sampling": sampling.fingerprint(),
    }
    native = Plan(args.model, args.out, args.cases, cases, sampling, fingerprint, args.command)
    raw = as_raw(native, args.raw_format, args.raw_system)
    plans = {"native": [native], "raw": [replace(raw, out=args.out)], "both": [native, raw]}[args.mode]
    with ExitStack() as folders:
        for plan in plans:
            folders.enter_context(open_run_folder(plan, args.fresh, refuse=True))
        runs = [run_plan(plan, lambda missing: [endpoint], limits_of(args)) for plan in plans]
        causes = ""
        if args.mode == "both":
            rows = attribute(*(run.results for run in runs))
            write_attribution(args.out, rows)
            causes = f"{sentence(rows)}\n"
        for run in runs:
            report = make_report(run)
            report.print()
            print(f"report: {report.write()}")
    print(causes, end="")
    return 0 if gate(args.fail_under, runs[0].summary) and all(run.summary.scored for run in runs) else 1


def run_recipe(args: argparse.Namespace) -> int:
    """Evaluate a recipe's base and tuned model, one after the other behind one server; return the exit status."""
    recipe, suite = chosen_recipe(args), load_suite(args.suite)
    check_models(recipe, tuned=True)
    base_gguf, tuned_gguf = gguf_files(recipe) if args.runtime == "llamacpp" else (None, None)
    base = plan_recipe(recipe, args.suite, suite, False, args.command, base_gguf)
    tuned = plan_recipe(recipe, args.suite, suite, True, args.command, tuned_gguf)
    with ExitStack() as folders:
        for plan in (base, tuned):
            folders.enter_context(open_run_folder(plan, args.fresh, refuse=False))
        with served(recipe, False, args.start_timeout, base_gguf) as start:
            base_run = run_plan(base, start, suite.limits)
        with served(recipe, True, args.start_timeout, tuned_gguf) as start:
            tuned_run = run_plan(tuned, start, suite.limits)
            causes = attribute_failures(tuned, tuned_run, recipe.serve(tuned=True), suite, args.fresh, start)
        make_report(base_run).write()
        report = make_report(tuned_run, base_run)
        report.print()
        print(causes)
        print(f"report: {os.path.relpath(report.write())}")
    held = gate({**suite.gates, **args.fail_under}, tuned_run.summary)
    return 0 if held and base_run.summary.scored and tuned_run.summary.scored else 1


def plan_recipe(
    recipe: Recipe, name: str, suite: Suite, tuned: bool, command: Sequence[str], gguf: Path | None = None
) -> Plan:
    """Plan to ask a recipe's base or tuned model on a suite.

    Args:
        gguf: asked behind llama.cpp instead of LLaMA-Factory; its run folder is beside the other's.

    Raises:
        UserError: the cases are missing or broken, or there is no such GGUF file.
    """
    task = recipe.task
    paths = suite.files(task)
    cases = read_cases(paths)
    sampling = suite.sampling(probe=not tuned and not machine.gpus())
    fingerprint = {
        "cases": manifest.cases_hash(paths),
        **(served_gguf(gguf) if gguf else manifest.served_model(recipe, tuned)),
        "sampling": sampling.fingerprint(),
    }
    data = [ROOT / "data" / f"{dataset}.jsonl" for dataset in recipe.datasets]
    files = [ROOT / recipe.train_path, ROOT / config_path("configs/serve", recipe.stem, "recipe")]
    about = {
        "suite": name,
        "task": task,
        "recipe": {"stem": recipe.stem, **{os.path.relpath(file, ROOT): sha256(file) for file in files}},
        "data": {os.path.relpath(file, ROOT): sha256(file) for file in data if file.exists()},
    }
    which = "tuned" if tuned else "base"
    out = recipe.run_dir / "eval" / (f"{name}-llamacpp" if gguf else name) / which
    return Plan(which, out, paths, cases, sampling, fingerprint, command, about)


def share_out(cases: int, weights: int | None) -> tuple[int, int | None]:
    """Decide how many copies of a server to start, and the CPU threads of each (None: it computes on a GPU).

    A server computes one answer at a time and gains little from a second core, so that one-threaded copies side by side
    are the fastest; each takes memory and the time to load, which few cases do not pay back.

    Args:
        cases: to ask.
        weights: bytes on disk; None where they are not here yet.
    """
    if machine.gpus():
        return 1, None
    room = machine.free_memory() // (2 * weights + SERVER_BYTES) if weights else 1
    copies = max(1, min(MOST_COPIES, machine.cores(), cases // CASES_A_COPY, room))
    return copies, max(1, machine.cores() // copies)


@contextmanager
def served(
    recipe: Recipe, tuned: bool, timeout_s: float, gguf: Path | None = None
) -> Iterator[Callable[[int], Sequence[Endpoint]]]:
    """Start copies of a model's server once, when they are first asked for."""
    endpoints: list[Endpoint] = []

    def one(threads: int | None, number: int) -> AbstractContextManager[Server]:
        return serve_gguf(gguf, recipe, threads, number) if gguf else serve(recipe, tuned, threads, number)

    def start(cases: int) -> Sequence[Endpoint]:
        if not endpoints:
            weights = ROOT / str(recipe.serve(tuned)["model_name_or_path"])
            size = sum(path.stat().st_size for path in ([gguf] if gguf else weights.glob("*.safetensors")))
            copies, threads = share_out(cases, size or None)
            servers = [stack.enter_context(one(threads, number)) for number in range(copies)]
            endpoints.extend(server.wait(timeout_s) for server in servers)
        return endpoints

    with ExitStack() as stack:
        yield start


def attribute_failures(
    plan: Plan,
    run: Run,
    settings: dict[str, Any],
    suite: Suite,
    fresh: bool,
    start: Callable[[int], Sequence[Endpoint]],
) -> str:
    """Ask a run's failures (or all its cases) again in raw mode, write attribution.json, say what came out.

    The cases that are asked stand beside their answers, so that raw/ is a run folder like any other.

    Args:
        settings: the serve file's: its template tells the tool format.
    """
    if suite.attribution == "off":
        return "attribution: off"
    raw_format, system = format_of(settings)
    if raw_format not in FORMATS:
        return f"attribution: none, as there are no words for tool format {raw_format or 'of this template'}"
    wanted = [result for result in run.results if suite.attribution == "all" or (result.scored and not result.correct)]
    more = ""
    if suite.attribution_cases and not machine.gpus() and len(wanted) > suite.attribution_cases:
        more = f" (of {len(wanted)} that could be asked: see attribution_cases)"
        wanted = take_turns(wanted, lambda result: result.verdict, suite.attribution_cases)
    ids = {result.id for result in wanted}
    cases = [case for case in plan.asked if case.id in ids]
    if not cases:
        write_attribution(plan.out, [])
        return "attribution: nothing failed"
    raw = as_raw(plan, raw_format, system)
    raw = replace(raw, cases=cases, paths=[raw.out / "cases.jsonl"], about={**plan.about, "asked": suite.attribution})
    write_jsonl(raw.paths[0], (case.model_dump() for case in cases))
    with open_run_folder(raw, fresh, refuse=False):
        rows = attribute(run.results, run_plan(raw, start, suite.limits).results)
    write_attribution(plan.out, rows)
    return sentence(rows) + more
