"""Measure every runtime that can be had here on the same cases, and tabulate what each makes of the model."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, read_json, write_json, write_text
from callwright.locks import only_writer
from callwright.machine import cores
from callwright.recipes import Recipe
from callwright.summary import value_and_interval
from callwright.tool_prompts import FORMATS, format_of
from eval.endpoint import manifest
from eval.endpoint.llamacpp import gguf_file, serve_gguf, served_gguf
from eval.endpoint.plan import Plan, as_raw, ask, open_run_folder, score_plan
from eval.endpoint.prompts import sameness, served_prompt, trained_prompts
from eval.endpoint.server import Server, check_models, serve
from eval.endpoint.settings import Endpoint
from eval.reporting.compare import compare
from eval.reporting.run import attribute_failures
from eval.reporting.suites import Suite
from eval.scoring.attribution import BROKEN_CALL
from eval.scoring.runs import Run

QUANTISED = ("F16", "Q8_0", "Q4_K_M")
RUNTIME = "runtime.json"
KEPT = ("name", "size", "load_s", "peak", "same", "tokens_s")
"""what runtime.json keeps of a row for a rerun that has nothing to ask"""
SAMPLE_S = 0.2
"""between two looks at a server's memory"""


@dataclass(frozen=True)
class Runtime:
    """One way to serve the model."""

    name: str
    open: Callable[[], AbstractContextManager[Server | Endpoint]]
    """starts it; an Endpoint is there already"""
    fingerprint: dict[str, Any]
    size: int | None = None
    """bytes of its weights"""
    raw: bool = False
    """asked without `tools`: they stand in the system message, and our own reader finds the calls"""


@dataclass
class RuntimeRow:
    """A line of the table, of what was measured or why nothing was. Times are seconds, sizes bytes."""

    name: str
    size: int | None = None
    load_s: float | None = None
    peak: int | None = None
    """resident memory of the server's processes at its highest, as seen every 0.2 s"""
    same: str = ""
    """whether the prompts are the trained ones"""
    tokens_s: float | None = None
    """tokens of the answers over the seconds that they took, reading the prompt included"""
    run: Run | None = None
    notes: list[str] = field(default_factory=list)
    fault: str = ""
    """why there are no figures"""


def find_runtimes(recipe: Recipe, endpoint: Endpoint | None, name: str) -> Iterator[Runtime | RuntimeRow]:
    """Find what can be started here; give a row with the fault for what cannot."""
    try:
        check_models(recipe, tuned=True)
        args = recipe.serve(tuned=True)
        folders = [str(args[key]) for key in ("model_name_or_path", "adapter_name_or_path") if key in args]
        size = sum(path.stat().st_size for folder in folders for path in (ROOT / folder).glob("*.safetensors"))
        start_api = partial(serve, recipe, True, cores())
        yield Runtime("LLaMA-Factory API", start_api, manifest.served_model(recipe, tuned=True), size)
    except UserError as error:
        yield RuntimeRow("LLaMA-Factory API", fault=str(error))
    for kind in QUANTISED:
        try:
            gguf = gguf_file(recipe, kind)
            start = partial(serve_gguf, gguf, recipe)
            runtime = Runtime(f"llama.cpp {kind}", start, served_gguf(gguf), gguf.stat().st_size)
            yield runtime
            if kind == "F16":
                yield replace(runtime, name="llama.cpp F16, unconstrained", raw=True)
        except UserError as error:
            yield RuntimeRow(f"llama.cpp {kind}", fault=str(error))
    if endpoint:
        yield Runtime(name, lambda: nullcontext(endpoint), {"model": f"{endpoint.model} at {endpoint.base_url}"})


@contextmanager
def memory_of(pid: int) -> Iterator[list[int]]:
    """Watch the resident memory of a process and its children; the list's one number is the highest seen, in bytes."""
    import psutil

    peak, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(SAMPLE_S):
            try:
                one = psutil.Process(pid)
                peak[0] = max(peak[0], sum(p.memory_info().rss for p in [one, *one.children(recursive=True)]))
            except psutil.Error:
                continue

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def measure(runtime: Runtime, plan: Plan, suite: Suite, trained: list[list[int]] | None, fresh: bool) -> RuntimeRow:
    """Serve, ask what is missing, score.

    Raises:
        UserError: it does not start or cannot be asked.
    """
    known = plan.out / RUNTIME
    with open_run_folder(plan, fresh or not known.is_file(), refuse=False):
        if plan.missing:
            row = _ask(runtime, plan, suite, trained)
        else:
            written = read_json(known)
            row = RuntimeRow(**{key: written.get(key) for key in KEPT}, run=score_plan(plan))
        assert row.run
        busy = sum(result.latency_s or 0 for result in row.run.results if result.scored)
        row.tokens_s = round(row.run.summary.completion_tokens / busy, 1) if busy else None
        write_json(known, {key: getattr(row, key) for key in KEPT})
    return row


def _ask(runtime: Runtime, plan: Plan, suite: Suite, trained: list[list[int]] | None) -> RuntimeRow:
    row, missing = RuntimeRow(runtime.name, runtime.size), plan.missing
    with ExitStack() as stack:
        started, peak = time.monotonic(), [0]
        server = stack.enter_context(runtime.open())
        if isinstance(server, Server):
            peak = stack.enter_context(memory_of(server.process.pid))
            endpoint = server.wait()
            row.load_s = round(time.monotonic() - started, 2)
        else:
            endpoint = server
        served = [None if runtime.raw else served_prompt(endpoint, case) for case in plan.cases]
        started = time.monotonic()
        answers = ask(plan, [endpoint], suite.limits)
        seconds = time.monotonic() - started
    row.peak = peak[0] or None
    row.same = sameness(trained, served, [answers[case.id].usage.get("prompt_tokens") for case in plan.cases])
    row.run = score_plan(plan, missing, seconds, suite.concurrency)
    return row


def compare_with_best(run: Run, best: Run, explain: Callable[[], str]) -> str:
    """Say what a runtime's F1 lost against the first one's; and whose fault it is, where that is more than chance."""
    found = compare(best.results, run.results)
    if found is None or found.f1.value is None or found.f1.ci95 is None:
        return "nothing to compare: no case of both that was answered"
    line = f"F1 {found.f1} against {best.name}"
    if found.f1.ci95[1] < 0:
        return f"**{line}: more than the interval**; {explain()}"
    return f"{line}; {len(found.changed())} of {found.n} verdicts differ"


def measure_all(
    recipe: Recipe, suite: Suite, runtimes: Iterator[Runtime | RuntimeRow], plan: Plan, fresh: bool
) -> list[RuntimeRow]:
    """Measure each runtime on the plan's cases, print its row, and write the table and the picture.

    Args:
        plan: what is asked; each runtime gets a folder of its own below its `out`.
    """
    rows: list[RuntimeRow] = []
    with only_writer(plan.out):
        trained = trained_prompts(recipe, plan.cases)
        for runtime in runtimes:
            if isinstance(runtime, RuntimeRow):
                rows.append(runtime)
            elif own := _plan_of(runtime, plan, recipe):
                best = next((row.run for row in rows if row.run), None)
                rows.append(_measure(recipe, suite, runtime, own, trained, fresh, best))
                print(table(rows[-1:]).splitlines()[2], flush=True)
        write_text(plan.out / "table.md", table(rows))
        plot_runtimes(rows, plan.out / "table.png")
    names = ", ".join(os.path.relpath(plan.out / name) for name in ("table.md", "table.png"))
    print(f"\n{table(rows)}\ndeploy: {names}")
    return rows


def _plan_of(runtime: Runtime, plan: Plan, recipe: Recipe) -> Plan | None:
    """Plan to ask one runtime; None where raw mode has no words for the tool format."""
    out = plan.out / slug(runtime.name)
    fingerprint = {"cases": plan.fingerprint["cases"], **runtime.fingerprint, "sampling": plan.fingerprint["sampling"]}
    own = replace(plan, name=runtime.name, out=out, fingerprint=fingerprint)
    if not runtime.raw:
        return own
    raw_format, system = format_of(recipe.serve(tuned=True))
    return replace(as_raw(own, raw_format, system), name=own.name, out=out) if raw_format in FORMATS else None


def _measure(
    recipe: Recipe,
    suite: Suite,
    runtime: Runtime,
    plan: Plan,
    trained: list[list[int]] | None,
    fresh: bool,
    best: Run | None,
) -> RuntimeRow:
    """Measure one runtime, and compare it with the first that was measured."""
    try:
        row = measure(runtime, plan, suite, trained, fresh)
        if best and row.run and not runtime.raw:
            explain = partial(attribute_runtime, recipe, runtime, plan, row.run, suite)
            row.notes.append(compare_with_best(row.run, best, explain))
    except UserError as error:
        return RuntimeRow(runtime.name, fault=str(error))
    return row


COLUMNS = ("runtime", "F1 [95%]", "strict", "lost calls", "p50 s", "p95 s", "tokens/s", "load s", "peak MiB", "file MiB", "prompt against training")  # fmt: skip


def table(rows: Sequence[RuntimeRow]) -> str:
    """Write the rows in Markdown, with what is to be said of each below."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        if row.run is None:
            first = row.fault.splitlines()[0].replace("|", "\\|")
            lines.append(f"| {row.name} | not measured: {first} |" + " |" * (len(COLUMNS) - 2))
            continue
        summary = row.run.summary
        lost = sum(summary.verdicts.get(verdict, 0) for verdict in BROKEN_CALL)
        cells = [
            value_and_interval(*summary.figure("f1")),
            _cell(summary.strict_accuracy, 3),
            f"{lost}" + (f", {summary.infra_errors} unanswered" if summary.infra_errors else ""),
            *(_cell(summary.latency.p50, 2), _cell(summary.latency.p95, 2)),
            *(_cell(row.tokens_s, 1), _cell(row.load_s, 1)),
            *("" if size is None else f"{size / 2**20:.0f}" for size in (row.peak, row.size)),
            row.same,
        ]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    notes = [f"- {row.name}: {note}" for row in rows for note in row.notes]
    logs = [f"\n{row.name}:\n\n```text\n{row.fault}\n```" for row in rows if "\n" in row.fault]
    return "\n".join([*lines, "", *notes, *logs]) + "\n"


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def plot_runtimes(rows: Sequence[RuntimeRow], path: Path) -> None:
    """Plot F1 with its interval, and the median latency, a bar a runtime."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    summaries = {row.name: row.run.summary for row in reversed(rows) if row.run and row.run.summary.decision.ci95}
    size = (9, 1 + 0.45 * len(summaries))
    figure, (left, right) = pyplot.subplots(1, 2, sharey=True, figsize=size, layout="constrained")
    f1, below, above = [], [], []
    for summary in summaries.values():
        value, (low, high) = summary.decision.f1 or 0.0, summary.decision.ci95 or (0.0, 0.0)
        f1.append(value)
        below.append(max(0, value - low))
        above.append(max(0, high - value))
    left.barh(list(summaries), f1, xerr=[below, above], color="#4477aa", capsize=3)
    left.set(xlim=(0, 1), title="F1 of the decision to call, 95% interval")
    right.barh(list(summaries), [summary.latency.p50 or 0.0 for summary in summaries.values()], color="#ccbb44")
    right.set(title="median seconds an answer")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def slug(name: str) -> str:
    """Return a runtime's name as a folder's."""
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in name.lower())


def attribute_runtime(recipe: Recipe, runtime: Runtime, plan: Plan, run: Run, suite: Suite) -> str:
    """Tell whose fault a runtime's failures are: ask them again in raw mode by the same server."""
    with ExitStack() as stack:

        def start(missing: int) -> Sequence[Endpoint]:
            server = stack.enter_context(runtime.open())
            return [server.wait() if isinstance(server, Server) else server]

        return attribute_failures(plan, run, recipe.serve(tuned=True), suite, False, start)
