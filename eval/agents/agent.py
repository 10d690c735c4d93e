"""Play cases with real tools: ask, run the calls, feed the results back, until the model answers; then score every step."""

import argparse
import asyncio
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.chat import open_client
from callwright.files import write_json, write_jsonl
from callwright.recipes import chosen_recipe
from callwright.records import Call, Prediction
from callwright.summary import value_and_interval
from eval.agents.toolbox import Toolbox, ToolResult, ToolsDied
from eval.agents.trajectory import AgentCase, AgentResult, Trajectory, Turn, score_trajectory, summarise_agents
from eval.endpoint import manifest
from eval.endpoint.client import ask_once, first_alone
from eval.endpoint.plan import Plan, progress
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
class AgentPlan(Plan):
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
        """Return the trajectories that a rerun keeps: of these cases, and not failures of ours."""
        ids = {case.id for case in self.cases}
        found = read_log(self.predictions, Trajectory) if self.predictions.exists() else []
        return {one.id: one for one in found if one.id in ids and one.error is None}


def history(prediction: Prediction, results: Sequence[ToolResult], turn: int) -> list[dict[str, Any]]:
    """Write a turn as the next request repeats it. Arguments that are empty or cannot be read are sent as {}: servers die
    of them."""
    calls, answers = [], []
    for index, (made, result) in enumerate(zip(prediction.tool_calls, results, strict=True)):
        identity, function = made.get("id") or f"call_{turn}_{index}", made["function"]
        read = read_call(made)
        arguments = function["arguments"] if isinstance(read, Call) and read.arguments else "{}"
        call = {"name": function["name"], "arguments": arguments}
        calls.append({"id": identity, "type": "function", "function": call})
        answers.append({"role": "tool", "tool_call_id": identity, "content": result.text})
    return [{"role": "assistant", "content": prediction.content, "tool_calls": calls}, *answers]


async def play(
    client: "AsyncOpenAI", endpoint: Endpoint, case: AgentCase, plan: AgentPlan, first: bool, proven: bool = False
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


async def play_all(plan: AgentPlan, endpoint: Endpoint, tell: Callable[[int], None]) -> None:
    """Play what the log does not hold yet, the first case alone, and log each trajectory as it ends.

    Raises:
        UserError: see ask_all.
    """
    kept, limits = plan.kept(), plan.limits
    waiting = [case for case in plan.cases if case.id not in kept]
    played = len(kept)
    tell(played)
    with log(plan.predictions, list(kept.values())) as file:
        async with open_client(endpoint.base_url, endpoint.api_key, limits.timeout_s, limits.retries) as client:

            async def one(case: AgentCase, first: bool) -> None:
                nonlocal played
                append(file, await play(client, endpoint, case, plan, first, proven=bool(kept)))
                played += 1
                tell(played)

            await first_alone(waiting, [one] * limits.concurrency)


def run_agent_plan(plan: AgentPlan, endpoint: Endpoint) -> None:
    """Play what is missing, with a progress bar.

    Raises:
        UserError: see ask_all.
    """
    with progress(plan.name, len(plan.cases)) as tell:
        asyncio.run(play_all(plan, endpoint, tell))


def finish(plan: AgentPlan) -> list[AgentResult]:
    """Score what was played, write results.jsonl and summary.json, and say what came out."""
    played = {one.id: one for one in read_log(plan.predictions, Trajectory)}
    results = [score_trajectory(case, played.get(case.id)) for case in plan.cases]
    summary = summarise_agents(results)
    write_jsonl(plan.out / RESULTS, (result.model_dump() for result in results))
    write_json(plan.out / SUMMARY, summary)
    print(f"{plan.name}: {summary['scored']} of {summary['n']} cases scored, {summary['infra_errors']} infra errors")
    for key in ("task_success", "flawless", "step_accuracy", "call_accuracy", "result_use"):
        found = summary[key]
        share = value_and_interval(found["share"], found["ci95"])
        print(f"  {key.replace('_', ' '):<14} {share} ({found['k']} of {found['n']})")
    for key in ("stops", "call_verdicts", "tool_errors"):
        if summary[key]:
            counts = ", ".join(f"{what} {count}" for what, count in summary[key].most_common())
            print(f"  {key.replace('_', ' '):<14} {counts}")
    print(f"  {os.path.relpath(plan.out / RESULTS)}")
    return results


def play_recipe(args: argparse.Namespace, planned: Callable[[str, Path, Any], AgentPlan]) -> list[list[AgentResult]]:
    """Play with a recipe's base and tuned model, one after the other, and say whether they differ by more than chance."""
    recipe = chosen_recipe(args)
    check_models(recipe, tuned=True)
    plans = []
    for name in ("base", "tuned"):
        out = (args.out or recipe.run_dir / "eval" / "agent") / name
        plans.append(planned(name, out, manifest.served_model(recipe, name == "tuned")))
    results = []
    for plan in plans:
        if plan.missing:
            with serve(recipe, plan.name == "tuned") as server:
                run_agent_plan(plan, server.wait(args.start_timeout))
        results.append(finish(plan))
    pairs = [(b.success, t.success) for b, t in zip(*results, strict=True) if None not in (b.success, t.success)]
    test = mcnemar([bool(base) for base, _ in pairs], [bool(tuned) for _, tuned in pairs])
    print(
        f"of {len(pairs)} cases that both played, only tuned succeeded in {test.only_b}, only base in {test.only_a}: exact McNemar {p_value(test.p)}"
    )
    return results
