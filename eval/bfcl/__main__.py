"""Ask a model BFCL's Python questions and score the answers, by our verdicts and as BFCL does, a run folder a category.

python -m eval.bfcl --base-url http://127.0.0.1:8000/v1 --model NAME --out runs/bfcl
python -m eval.bfcl --recipe smollm2-135m_lora --categories simple_python irrelevance --limit 40
python -m eval.bfcl --replay  # a local server gives the gold answers: what misses must be the known-bad gold
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.bfcl import VERSION
from callwright.errors import Parser, command
from callwright.files import ROOT, read_json, write_json, write_jsonl
from callwright.recipes import load_recipe
from callwright.records import Prediction
from callwright.results import Result
from callwright.tool_prompts import FORMATS
from eval.bfcl import checker
from eval.bfcl.questions import (
    CATEGORIES,
    GOLD_FAILS,
    GOLD_UNFIT,
    MULTI_TURN,
    Question,
    as_case,
    data_files,
    read_questions,
    relevance_case,
)
from eval.bfcl.replay import replay
from eval.bfcl.table import CategoryRow, comparable, show
from eval.bfcl.turns import Conversation, converse, drop_rounds
from eval.endpoint import manifest
from eval.endpoint.plan import Plan, ask, open_run_folder, progress
from eval.endpoint.server import serve
from eval.endpoint.settings import Endpoint, Limits, Sampling, add_asking, endpoint_at, limits_of, positive
from eval.reporting.report import make_report
from eval.scoring.runs import MANIFEST, Run, write_scores
from eval.scoring.verdict import judge

START_S = 300.0
"""for a recipe's server to load"""
SUMMARY, FAULTS = "bfcl.json", "bfcl.jsonl"
"""the rows of a run, in its folder; what BFCL finds wrong with each answer, in a category's"""


def judge_single(question: Question, prediction: Prediction) -> tuple[Result, str | None]:
    """Judge how an answer went by our verdicts, and what BFCL finds wrong with it (None: nothing, or it is unscored)."""
    case = as_case(question)
    if question.category == "live_relevance":
        case = relevance_case(case, prediction)
    result = judge(case, prediction)
    calls = checker.decode(prediction.tool_calls)
    fault = checker.fault(question.category, question.functions, calls, question.accepted) if result.scored else None
    return result, fault


def run_category(questions: Sequence[Question], plan: Plan, endpoint: Endpoint, limits: Limits) -> CategoryRow:
    """Ask what is not answered yet, and score everything.

    Raises:
        UserError: see ask_all.
    """
    category = questions[0].category
    if category == MULTI_TURN:
        if not plan.predictions.exists():
            drop_rounds(plan.out)
        with progress(f"{plan.name} {category}", len(questions)) as tell:
            conversations = converse(questions, [endpoint], plan.out, plan.sampling, limits, tell)
        judged = [conversation.judge() for conversation in conversations]
    else:
        answers = ask(plan, [endpoint], limits)
        lost = [Prediction(id=question.id, error="not asked") for question in questions]
        judged = [judge_single(q, answers.get(q.id, none)) for q, none in zip(questions, lost, strict=True)]
    results = [result for result, _ in judged]
    lines = [{"id": r.id, "compatible": fault is None if r.scored else None, "fault": fault} for r, fault in judged]
    run = Run(plan.out, results, read_json(plan.out / MANIFEST))
    write_scores(plan.out, results, run.summary)
    write_jsonl(plan.out / FAULTS, lines)
    make_report(run).write()
    return CategoryRow(category, results, {result.id: fault for result, fault in judged})


@dataclass(frozen=True)
class AskedModel:
    """Who is asked."""

    name: str
    fingerprint: dict[str, Any]
    """what decides its answers"""
    out: Path
    endpoint: Callable[[str], Endpoint]
    """where a category is asked"""


def model_of(args: argparse.Namespace, asked: Mapping[str, Sequence[Question]], stack: ExitStack) -> AskedModel:
    """Return the model that the command line names; what is served for it stops with `stack`.

    Raises:
        UserError: a wrong URL, no such recipe, no weights.
    """
    if args.replay:
        url = stack.enter_context(replay(asked))
        out = args.out or ROOT / "runs" / "bfcl" / "gold"
        return AskedModel("gold", {"model": "gold"}, out, lambda category: Endpoint(f"{url}/{category}/v1", "gold"))
    if args.base_url:
        there = endpoint_at(args.base_url, args.model, args.api_key_env, args.llamafactory)
        return AskedModel(args.model, {"model": f"{args.model} at {args.base_url}"}, args.out, lambda category: there)
    recipe, which = load_recipe(args.recipe), "base" if args.base else "tuned"
    endpoint = stack.enter_context(serve(recipe, not args.base)).wait(START_S)
    out = args.out or recipe.run_dir / "bfcl" / which
    return AskedModel(endpoint.model, manifest.served_model(recipe, not args.base), out, lambda category: endpoint)


def check_replay(rows: Sequence[CategoryRow]) -> int:
    """Compare what missed on gold answers with the known-bad gold; return the exit status."""
    asked = {result.id for row in rows for result in row.results}
    missed = {
        "BFCL-compatible": {r.id for row in rows for r in row.results if not row.compatible(r)} ^ (GOLD_FAILS & asked),
        "strict": {r.id for row in rows for r in row.results if not r.correct} ^ ((GOLD_FAILS | GOLD_UNFIT) & asked),
    }
    unscored = sum(not result.scored for row in rows for result in row.results)
    for measure, ids in missed.items():
        print(f"{measure}: " + (f"differs on {', '.join(sorted(ids))}" if ids else "misses exactly the known-bad gold"))
    print(f"gold replay of {len(asked)} questions, {unscored} unscored")
    return 1 if unscored or any(missed.values()) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m eval.bfcl", __doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--base-url", help="the endpoint, ending in /v1")
    what.add_argument("--recipe", help="a stem of configs/train: its tuned model is served and asked")
    what.add_argument("--replay", action="store_true", help="prove the pipe with gold answers over HTTP")
    parser.add_argument("--model", help="with --base-url: the model's name there")
    parser.add_argument("--base", action="store_true", help="with --recipe: its base model")
    parser.add_argument("--out", type=Path, help="folder for a run folder a category (a recipe has its own)")
    parser.add_argument("--categories", nargs="+", choices=CATEGORIES, default=list(CATEGORIES), metavar="CATEGORY")
    parser.add_argument("--limit", type=positive, metavar="N", help="the first N questions of each category")
    parser.add_argument(
        "--mode", choices=("native", "raw"), default="native", help="raw: the tools stand in the prompt"
    )
    parser.add_argument("--raw-format", choices=FORMATS, default="qwen", help="of raw mode (default: qwen)")
    parser.add_argument("--fresh", action="store_true", help="drop the answers of earlier runs")
    add_asking(parser, concurrency=4, max_tokens=512)
    args = parser.parse_args(argv)
    if args.base_url and (args.model is None or args.out is None):
        parser.error("--base-url needs --model and --out")
    if args.replay and args.mode == "raw":
        parser.error("--replay answers in native mode")
    args.command = list(sys.argv[1:] if argv is None else argv)
    return args


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run BFCL from the command line."""
    args = _arguments(argv)
    asked = {category: read_questions(category)[: args.limit] for category in dict.fromkeys(args.categories)}
    sampling = Sampling(args.max_tokens, mode=args.mode, raw_format=args.raw_format)
    asks = {"bfcl": VERSION, "limit": args.limit, "sampling": sampling.fingerprint()}
    rows = []
    with ExitStack() as stack:
        model = model_of(args, asked, stack)
        for category, questions in asked.items():
            cases = [Conversation(q).case if category == MULTI_TURN else as_case(q) for q in questions]
            out, about = model.out / category, {"suite": f"bfcl_{category}"}
            decides, files = {**asks, **model.fingerprint}, data_files(category)
            plan = Plan(model.name, out, files, cases, sampling, decides, args.command, about, "eval.bfcl")
            with open_run_folder(plan, args.fresh or args.replay, refuse=True):
                rows.append(run_category(questions, plan, model.endpoint(category), limits_of(args)))
    show(model.name, rows)
    columns = dict(zip(("non_live_ast", "python_simple", "live_ast", "irrelevance"), comparable(rows), strict=True))
    summary = {"bfcl": VERSION, "model": model.name, "categories": {row.category: row.summary() for row in rows}}
    write_json(model.out / SUMMARY, {**summary, "comparable": columns})
    print(f"{os.path.relpath(model.out / SUMMARY)}: {len(rows)} categories; a report.html in each one's folder")
    if args.replay:
        return check_replay(rows)
    return 0 if all(row.share(lambda result: True)[1] for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
