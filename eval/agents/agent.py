"""Let a model work with real tools: ask, run its calls, feed the results back, until it answers; then score every step.

python -m eval.agent --cases CASES --tools MODULE.py --base-url http://127.0.0.1:8000/v1 --model NAME --out DIR
python -m eval.agent --cases CASES --mcp "python server.py" --recipe smollm2-135m_lora
"""

import argparse
import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.chat import open_client
from callwright.errors import UserError
from callwright.files import write_json, write_jsonl
from callwright.recipes import load_recipe, model_hash
from callwright.records import Call, Prediction
from callwright.summary import value_and_interval
from eval.agents.toolbox import Toolbox, ToolResult, ToolsDied
from eval.agents.trajectory import AgentCase, AgentResult, Trajectory, Turn, score, summarise
from eval.endpoint import manifest
from eval.endpoint.client import ask_once
from eval.endpoint.plan import Plan
from eval.endpoint.server import check_models, serve
from eval.endpoint.settings import Endpoint, Limits
from eval.reporting.compare import p_value
from eval.scoring.predictions import append, log, read_log
from eval.scoring.runs import RESULTS, SUMMARY
from eval.scoring.stats import mcnemar
from eval.scoring.verdict import read_call

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TRAJECTORIES, TOOL_LOG = "trajectories.jsonl", "tools.log"
"""of a run folder: what was said and done; the tools' own standard error"""

VARIABLE = re.compile(r"(\w+)=(\S+)")
"""what a command may set for an MCP server: `env KEY=… python server.py`"""


@dataclass(frozen=True, kw_only=True)
class Play(Plan):
    """One model that is to play the cases, and where its run folder is."""

    cases: Sequence[AgentCase]
    toolbox: Toolbox
    limits: Limits
    max_steps: int
    """turns of the model a case"""

    @property
    def predictions(self) -> Path:
        """The log of trajectories."""
        return self.out / TRAJECTORIES

    @property
    def missing(self) -> int:
        """Cases that are still to be played."""
        return len(self.cases) - len(self.kept())

    def kept(self) -> dict[str, Trajectory]:
        """The trajectories that a rerun keeps: of these cases, and not failures of ours."""
        ids = {case.id for case in self.cases}
        found = read_log(self.predictions, Trajectory) if self.predictions.exists() else []
        return {one.id: one for one in found if one.id in ids and one.error is None}


def history(prediction: Prediction, results: Sequence[ToolResult], turn: int) -> list[dict[str, Any]]:
    """A turn as the next request repeats it. Arguments that are empty or cannot be read are sent as {}: servers die
    of them."""
    calls, told = [], []
    for index, (made, result) in enumerate(zip(prediction.tool_calls, results, strict=True)):
        identity, function = made.get("id") or f"call_{turn}_{index}", made["function"]
        read = read_call(made)
        arguments = function["arguments"] if isinstance(read, Call) and read.arguments else "{}"
        call = {"name": function["name"], "arguments": arguments}
        calls.append({"id": identity, "type": "function", "function": call})
        told.append({"role": "tool", "tool_call_id": identity, "content": result.text})
    return [{"role": "assistant", "content": prediction.content, "tool_calls": calls}, *told]


async def play(
    client: "AsyncOpenAI", endpoint: Endpoint, case: AgentCase, plan: Play, first: bool, proven: bool = False
) -> Trajectory:
    """Play one case until the model answers, or has called in `max_steps` turns.

    Args:
        first, proven: see ask_once.

    Raises:
        UserError: see ask_all.
    """
    messages, turns = list(case.messages), list[Turn]()
    try:
        async with plan.toolbox.open(plan.out / TOOL_LOG) as run:
            while len(turns) < plan.max_steps and (not turns or turns[-1].results):
                asked = case.model_copy(update={"messages": messages})
                alone = first and not turns
                prediction = await ask_once(client, endpoint, asked, plan.sampling, plan.limits, alone, proven)
                if prediction.error is not None:
                    return Trajectory(id=case.id, turns=turns, error=prediction.error)
                results = [await plan.toolbox.execute(call, run) for call in prediction.tool_calls]
                messages += history(prediction, results, len(turns))
                turns.append(Turn(prediction=prediction, results=results))
    except ToolsDied as error:
        return Trajectory(id=case.id, turns=turns, error=str(error))
    return Trajectory(id=case.id, turns=turns)


async def play_all(plan: Play, endpoint: Endpoint, tell: Callable[[int], None]) -> None:
    """Play what the log does not hold yet, the first case alone, and log each trajectory as it ends.

    Raises:
        UserError: see ask_all.
    """
    kept, limits = plan.kept(), plan.limits
    waiting = iter([case for case in plan.cases if case.id not in kept])
    tell(len(kept))
    with log(plan.predictions, list(kept.values())) as file:
        async with open_client(endpoint.base_url, endpoint.api_key, limits.timeout_s, limits.retries) as client:

            async def one(case: AgentCase, first: bool = False) -> None:
                append(file, await play(client, endpoint, case, plan, first, bool(kept)))
                tell(1)

            async def worker() -> None:
                for case in waiting:
                    await one(case)

            if case := next(waiting, None):
                await one(case, first=True)
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(limits.concurrency):
                        group.create_task(worker())
            except* UserError as errors:
                raise errors.exceptions[0] from None


def carry_out(plan: Play, endpoint: Endpoint) -> None:
    """Play, with a progress bar.

    Raises:
        UserError: see ask_all.
    """
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(plan.name, total=len(plan.cases))
        asyncio.run(play_all(plan, endpoint, lambda more: progress.advance(bar, more)))


def finish(plan: Play) -> list[AgentResult]:
    """Score what was played, write results.jsonl and summary.json, and say what came out."""
    played = {one.id: one for one in read_log(plan.predictions, Trajectory)}
    results = [score(case, played.get(case.id)) for case in plan.cases]
    summary = summarise(results)
    write_jsonl(plan.out / RESULTS, (result.model_dump() for result in results))
    write_json(plan.out / SUMMARY, summary)
    print(f"{plan.name}: {summary['scored']} of {summary['n']} cases scored, {summary['infra_errors']} infra errors")
    for key in ("task_success", "flawless", "step_accuracy", "call_accuracy", "result_use"):
        found = summary[key]
        said = f"{value_and_interval(found['share'], found['ci95'])} ({found['k']} of {found['n']})"
        print(f"  {key.replace('_', ' '):<14} {said}")
    for key in ("stops", "call_verdicts", "tool_errors"):
        if summary[key]:
            said = ", ".join(f"{what} {count}" for what, count in summary[key].most_common())
            print(f"  {key.replace('_', ' '):<14} {said}")
    print(f"  {os.path.relpath(plan.out / RESULTS)}")
    return results


def play_recipe(args: argparse.Namespace, planned: Callable[[str, Path, Any], Play]) -> list[list[AgentResult]]:
    """Play with a recipe's base and tuned model, one after the other, and say whether they differ by more than chance."""
    recipe = load_recipe(args.recipe, args.overrides)
    check_models(recipe, tuned=True)
    plans = []
    for name in ("base", "tuned"):
        served = recipe.serve(name == "tuned")
        folders = [served[key] for key in ("model_name_or_path", "adapter_name_or_path") if key in served]
        model = [served, manifest.package("llamafactory"), *(model_hash(str(folder)) for folder in folders)]
        out = (args.out or recipe.run_dir / "eval" / "agent") / name
        plans.append(planned(name, out, manifest.value_hash(model)))
    results = []
    for plan in plans:
        if plan.missing:
            with serve(recipe, plan.name == "tuned") as server:
                carry_out(plan, server.wait(args.start_timeout))
        results.append(finish(plan))
    pairs = [(b.success, t.success) for b, t in zip(*results, strict=True) if None not in (b.success, t.success)]
    test = mcnemar([bool(base) for base, _ in pairs], [bool(tuned) for _, tuned in pairs])
    print(
        f"of {len(pairs)} cases that both played, only tuned succeeded in {test.only_b}, only base in {test.only_a}: exact McNemar {p_value(test.p)}"
    )
    return results
