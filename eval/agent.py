"""Let a model work with real tools: ask, run its calls, feed the results back, until it answers; then score every step.

python -m eval.agent --cases CASES --tools MODULE.py --base-url http://127.0.0.1:8000/v1 --model NAME --out DIR
python -m eval.agent --cases CASES --mcp "python server.py" --recipe smollm2-135m_lora
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from callwright.errors import Parser, UserError, command
from callwright.files import sha256
from callwright.recipes import add_recipe
from callwright.records import read_records
from callwright.redact import keep_secrets_of
from eval.agents.agent import VARIABLE, AgentPlan, finish, play_recipe, run_agent_plan
from eval.agents.toolbox import toolbox
from eval.agents.trajectory import AgentCase
from eval.endpoint import manifest
from eval.endpoint.plan import open_run_folder
from eval.endpoint.settings import Sampling, add_asking, endpoint_at, limits_of, positive


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m eval.agent", (__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=Path, required=True, help="a JSONL file of agent cases")
    offer = parser.add_mutually_exclusive_group(required=True)
    offer.add_argument("--tools", metavar="MODULE", help="a .py file or a dotted name: importing it RUNS it")
    offer.add_argument("--mcp", metavar="COMMAND", help="starts an MCP server over stdio, once a case")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--base-url", help="any OpenAI-compatible endpoint, ending in /v1")
    add_recipe(parser, "--recipe", who)  # its base and tuned model are served and asked
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

    def planned(name: str, out: Path, model: Any) -> AgentPlan:
        plan = AgentPlan(
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
            run_agent_plan(plan, endpoint)
            results = [finish(plan)]
    return 0 if all(any(one.success is not None for one in run) for run in results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
