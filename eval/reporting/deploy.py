"""Ask every runtime that can be had here the same cases, and tabulate what each makes of the model.

python -m eval.deploy smollm2-135m_lora
python -m eval.deploy smollm2-135m_lora --base-url http://127.0.0.1:8000/v1 --model NAME --name vLLM

Table and picture go to runs/<recipe>/deploy/. The answers of a runtime are kept there: a rerun asks what is missing.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from callwright.chat import open_client
from callwright.errors import UserError
from callwright.files import ROOT, parse_json, read_json, write_json
from callwright.machine import cores
from callwright.recipes import Recipe, model_hash
from callwright.records import Case
from eval.endpoint import manifest
from eval.endpoint.llamacpp import gguf_file, gguf_hash, llama_cpp, serve_gguf
from eval.endpoint.plan import Plan, ask, finish, open_run_folder
from eval.endpoint.server import Server, check_models, serve
from eval.endpoint.settings import Endpoint
from eval.reporting.compare import compare
from eval.reporting.run import attribute_failures
from eval.reporting.runs import load_run
from eval.reporting.suites import Suite
from eval.scoring.cases import tools_of
from eval.scoring.predictions import read_predictions

QUANTISED = ("F16", "Q8_0", "Q4_K_M")
LOST = ("malformed_attempt", "text_call_unparsed", "bad_json", "truncated")
"""the verdicts under which the model tried to call and no call that can be read arrived"""
RUNTIME = "runtime.json"
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
class Row:
    """A line of the table. Times are seconds, sizes bytes."""

    name: str
    size: int | None = None
    load_s: float | None = None
    peak: int | None = None
    """resident memory of the server's processes at its highest, as seen every 0.2 s"""
    same: str = ""
    """whether the prompts are the trained ones"""
    tokens_s: float | None = None
    """tokens of the answers over the seconds that they took, reading the prompt included"""
    summary: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    fault: str = ""
    """why there are no figures"""


def runtimes(recipe: Recipe, endpoint: Endpoint | None, name: str) -> Iterator[Runtime | Row]:
    """What can be started here; a row with the fault for what cannot."""
    try:
        check_models(recipe, tuned=True)
        args = recipe.serve(tuned=True)
        folders = [str(args[key]) for key in ("model_name_or_path", "adapter_name_or_path") if key in args]
        made_of = [args, manifest.package("llamafactory"), *map(model_hash, folders)]
        size = sum(path.stat().st_size for folder in folders for path in (ROOT / folder).glob("*.safetensors"))
        opened = partial(serve, recipe, True, cores())
        yield Runtime("LLaMA-Factory API", opened, {"model": manifest.value_hash(made_of)}, size)
    except UserError as error:
        yield Row("LLaMA-Factory API", fault=str(error))
    for kind in QUANTISED:
        try:
            gguf = gguf_file(recipe, kind)
            made = {"model": gguf_hash(gguf), "server": llama_cpp()}
            runtime = Runtime(f"llama.cpp {kind}", partial(serve_gguf, gguf, recipe), made, gguf.stat().st_size)
            yield runtime
            if kind == "F16":
                yield replace(runtime, name="llama.cpp F16, unconstrained", raw=True)
        except UserError as error:
            yield Row(f"llama.cpp {kind}", fault=str(error))
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


def trained_prompts(recipe: Recipe, cases: Sequence[Case]) -> list[list[int]] | None:
    """Each case's prompt as the export's tokenizer makes it, which tools.export proved against training; None without one."""
    if not (recipe.run_dir / "export/manifest.json").is_file():
        return None
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(recipe.run_dir / "export")

    def prompt(case: Case) -> str:
        how: dict[str, Any] = {"tools": tools_of(case) or None, "add_generation_prompt": True, "tokenize": False}
        return str(tokenizer.apply_chat_template(case.messages, **how))

    return [tokenizer.encode(prompt(case), add_special_tokens=False) for case in cases]


def served_prompt(endpoint: Endpoint, case: Case) -> list[int] | None:
    """The token ids that a server makes of a case, where it tells: llama.cpp's by two calls, vLLM's by one."""
    from openai import OpenAIError

    asked: dict[str, Any] = {"model": endpoint.model, "messages": case.messages, "tools": tools_of(case)}
    faults = OpenAIError, ValueError, LookupError, TypeError
    try:
        prompt = asyncio.run(post(endpoint, "/apply-template", asked))["prompt"]
        said = {"content": prompt, "add_special": True, "parse_special": True}
    except faults:
        said = {**asked, "add_generation_prompt": True}
    try:
        return list(asyncio.run(post(endpoint, "/tokenize", said))["tokens"])
    except faults:
        return None


async def post(endpoint: Endpoint, path: str, body: dict[str, Any]) -> Any:
    """Post JSON beside an endpoint's /v1; return what it answers."""
    from httpx2 import Response

    async with open_client(endpoint.base_url, endpoint.api_key, timeout_s=60, retries=0) as client:
        answer = await client.post(endpoint.base_url.removesuffix("/v1") + path, cast_to=Response, body=body)
    return parse_json(answer.content.decode())


def sameness(trained: list[list[int]] | None, served: Sequence[list[int] | None], counted: Sequence[int | None]) -> str:
    """Whether prompts are the trained ones, by their ids where the server tells them, else by their number.

    Args:
        counted: `usage.prompt_tokens` of the answers.
    """
    if trained is None:
        return "not compared: no export"
    if all(served):
        wrong = sum(one != other for one, other in zip(trained, served, strict=True))
        return f"ids differ in {wrong} of {len(trained)}" if wrong else "ids equal"
    wrong = sum(len(one) != count for one, count in zip(trained, counted, strict=True))
    return f"number differs in {wrong} of {len(trained)}" if wrong else "number equal"


def measure(runtime: Runtime, plan: Plan, suite: Suite, trained: list[list[int]] | None, fresh: bool) -> Row:
    """Serve, ask what is missing, score.

    Raises:
        UserError: it does not start or cannot be asked.
    """
    known = plan.out / RUNTIME
    with open_run_folder(plan, fresh or not known.is_file(), refuse=False), ExitStack() as stack:
        if missing := plan.missing:
            started = time.monotonic()
            server = stack.enter_context(runtime.open())
            row = Row(runtime.name, runtime.size)
            peak = [0]
            if isinstance(server, Server):
                peak = stack.enter_context(memory_of(server.process.pid))
                endpoint = server.wait()
                row.load_s = round(time.monotonic() - started, 2)
            else:
                endpoint = server
            served = [None if runtime.raw else served_prompt(endpoint, case) for case in plan.cases]
            started = time.monotonic()
            ask(plan, [endpoint], suite.limits)
            seconds = time.monotonic() - started
            row.peak = peak[0] or None
        else:
            row, seconds, served = Row(**read_json(known)), 0.0, []
        row.summary = finish(plan, missing, seconds, suite.concurrency)
        results = load_run(plan.out).results
        if served:
            answers = read_predictions(plan.predictions)
            row.same = sameness(trained, served, [answers[case.id].usage.get("prompt_tokens") for case in plan.cases])
        busy = sum(result.latency_s or 0 for result in results if result.scored)
        row.tokens_s = round(row.summary["completion_tokens"] / busy, 1) if busy else None
        write_json(known, {**asdict(row), "summary": {}, "notes": []})
    return row


def judged(plan: Plan, best: Plan, explain: Callable[[], str]) -> str:
    """What a runtime's F1 lost against the first one's; and whose fault it is, where that is more than chance."""
    found = compare(load_run(best.out).results, load_run(plan.out).results)
    if found is None or found.f1_gain is None or found.f1_gain_ci95 is None:
        return "nothing to compare: no case of both that was answered"
    low, high = found.f1_gain_ci95
    said = f"F1 {found.f1_gain:+.3f} [{low:+.3f}, {high:+.3f}] against {best.name}"
    if high < 0:
        return f"**{said}: more than the interval**; {explain()}"
    return f"{said}; {len(found.changed())} of {found.n} verdicts differ"


COLUMNS = ("runtime", "F1 [95%]", "strict", "lost calls", "p50 s", "p95 s", "tokens/s", "load s", "peak MiB", "file MiB", "prompt against training")  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, with what is to be said of each below."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        if row.fault:
            first = row.fault.splitlines()[0].replace("|", "\\|")
            lines.append(f"| {row.name} | not measured: {first} |" + " |" * (len(COLUMNS) - 2))
            continue
        decision, summary = row.summary["decision"], row.summary
        ci = decision["ci95"]
        lost = sum(summary["verdicts"].get(verdict, 0) for verdict in LOST)
        cells = [
            f"{number(decision['f1'], 3)} [{ci[0]:.3f}, {ci[1]:.3f}]" if ci else number(decision["f1"], 3),
            number(summary["strict_accuracy"], 3),
            f"{lost}" + (f", {summary['infra_errors']} unanswered" if summary["infra_errors"] else ""),
            *(number(summary["latency"][key], 2) for key in ("p50", "p95")),
            *(number(row.tokens_s, 1), number(row.load_s, 1)),
            *("" if size is None else f"{size / 2**20:.0f}" for size in (row.peak, row.size)),
            row.same,
        ]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    notes = [f"- {row.name}: {note}" for row in rows for note in row.notes]
    logs = [f"\n{row.name}:\n\n```text\n{row.fault}\n```" for row in rows if "\n" in row.fault]
    return "\n".join([*lines, "", *notes, *logs]) + "\n"


def number(value: float | None, digits: int) -> str:
    """A figure; nothing where it is not defined."""
    return "" if value is None else f"{value:.{digits}f}"


def draw(rows: Sequence[Row], path: Path) -> None:
    """F1 with its interval, and the median latency, a bar a runtime."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in rows if not row.fault and row.summary["decision"]["ci95"]][::-1]
    figure, (left, right) = pyplot.subplots(1, 2, sharey=True, figsize=(9, 1 + 0.45 * len(shown)), layout="constrained")
    names = [row.name for row in shown]
    f1 = [row.summary["decision"]["f1"] for row in shown]
    bounds = [row.summary["decision"]["ci95"] for row in shown]
    reach = [[max(0, v - low) for v, (low, _) in zip(f1, bounds, strict=True)], [max(0, high - v) for v, (_, high) in zip(f1, bounds, strict=True)]]  # fmt: skip
    left.barh(names, f1, xerr=reach, color="#4477aa", capsize=3)
    left.set(xlim=(0, 1), title="F1 of the decision to call, 95% interval")
    right.barh(names, [row.summary["latency"]["p50"] for row in shown], color="#ccbb44")
    right.set(title="median seconds an answer")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def slug(name: str) -> str:
    """A runtime's name as a folder's."""
    return "".join(letter if letter.isalnum() or letter in "._" else "-" for letter in name.lower())


def reason(recipe: Recipe, runtime: Runtime, plan: Plan, suite: Suite) -> str:
    """Whose fault a runtime's failures are: asked again in raw mode by the same server."""
    with ExitStack() as stack:

        def start(missing: int) -> Sequence[Endpoint]:
            server = stack.enter_context(runtime.open())
            return [server.wait() if isinstance(server, Server) else server]

        return attribute_failures(plan, recipe.serve(tuned=True), suite, False, start)
