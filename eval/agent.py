"""Let a model work with real tools: ask, run its calls, feed the results back, until it answers; then score every step.

python -m eval.agent --cases CASES --tools MODULE.py --base-url http://127.0.0.1:8000/v1 --model NAME --out DIR
python -m eval.agent --cases CASES --mcp "python server.py" --recipe smollm2-135m_lora
"""

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.chat import open_client
from callwright.errors import UserError, command
from callwright.files import sha256, write_json, write_jsonl
from callwright.recipes import load_recipe, model_hash
from callwright.records import Call, Prediction, read_records
from callwright.redact import keep_secrets_of
from eval import manifest
from eval.client import ask_once
from eval.console import p_value
from eval.endpoint import Endpoint, Limits, Sampling, add_asking, endpoint_at, limits_of, positive
from eval.plan import Plan, open_run_folder
from eval.predictions import append, log, read_log
from eval.score import RESULTS, SUMMARY, interval, number
from eval.server import check_models, serve
from eval.stats import mcnemar
from eval.toolbox import Toolbox, ToolResult, ToolsDied, toolbox
from eval.trajectory import AgentCase, AgentResult, Trajectory, Turn, score, summarise
from eval.verdict import read_call

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
        said = f"{number(found['share'])} {interval(found['ci95'])} ({found['k']} of {found['n']})"
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


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m eval.agent", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=Path, required=True, help="a JSONL file of agent cases")
    offer = parser.add_mutually_exclusive_group(required=True)
    offer.add_argument("--tools", metavar="MODULE", help="a .py file or a dotted name: importing it RUNS it")
    offer.add_argument("--mcp", metavar="COMMAND", help="starts an MCP server over stdio, once a case")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--base-url", help="any OpenAI-compatible endpoint, ending in /v1")
    who.add_argument("--recipe", help="a stem of configs/train: its base and tuned model are served and asked")
    parser.add_argument("overrides", nargs="*", help="with --recipe: the key=value that training got")
    parser.add_argument("--model", help="with --base-url: the model's name there")
    parser.add_argument("--out", type=Path, help="the run folder (default with --recipe: runs/<stem>/eval/agent)")
    parser.add_argument("--fresh", action="store_true", help="drop the trajectories of earlier runs")
    parser.add_argument("--max-steps", type=positive, default=6, help="turns of the model a case (default: 6)")
    parser.add_argument("--tool-timeout", type=float, default=10.0, help="seconds a call of a tool (default: 10)")
    parser.add_argument("--max-result", type=positive, default=4000, help="characters of a result (default: 4000)")
    add_asking(parser, concurrency=2, max_tokens=256)
    parser.add_argument("--temperature", type=float, default=0.0, help="default: 0")
    parser.add_argument(
        "--start-timeout", type=float, default=300.0, help="with --recipe: seconds for a server to load"
    )
    args = parser.parse_intermixed_args(argv)
    if args.base_url and not (args.model and args.out):
        parser.error("--base-url needs --model and --out")
    return args


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Play from the command line."""
    args = _arguments(argv)
    endpoint = args.base_url and endpoint_at(args.base_url, args.model, args.api_key_env, args.llamafactory)
    tools = toolbox(args.tools or args.mcp, bool(args.tools), args.tool_timeout, args.max_result)
    print("".join(f"{line}\n" for line in tools.lost), end="", file=sys.stderr)
    offered = {"tools": tools.tools}
    cases = read_records(args.cases, AgentCase, lambda case: case.fault(tools.tools))
    if not cases:
        raise UserError(args.cases, "holds no cases", "write some, as in examples/agent/cases.jsonl")
    words, folders = list(sys.argv[1:] if argv is None else argv), ExitStack()
    if args.mcp:
        keep_secrets_of([], dict(VARIABLE.findall(args.mcp)))
        words = [word.replace(args.mcp, VARIABLE.sub(r"\1=***", args.mcp)) for word in words]

    def planned(name: str, out: Path, model: Any) -> Play:
        plan = Play(
            name=name,
            out=out,
            paths=[args.cases],
            cases=[case.model_copy(update=offered) for case in cases],
            sampling=Sampling(args.max_tokens, args.temperature),
            fingerprint={
                "model": model,
                "cases": sha256(args.cases),
                "tools": manifest.value_hash([tools.command, tools.version, tools.tools]),
                "limits": [args.max_tokens, args.temperature, args.max_steps, args.tool_timeout, args.max_result],
            },
            command=words,
            about={**offered, "command": ["python", "-m", "eval.agent", *words]},
            toolbox=tools,
            limits=limits_of(args),
            max_steps=args.max_steps,
        )
        folders.enter_context(open_run_folder(plan, args.fresh, refuse=True))
        return plan

    with folders:
        if args.recipe:
            results = play_recipe(args, planned)
        else:
            plan = planned(args.model, args.out, f"{args.model} at {args.base_url}")
            carry_out(plan, endpoint)
            results = [finish(plan)]
    return 0 if all(any(one.success is not None for one in run) for run in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
