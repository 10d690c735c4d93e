"""Ask every runtime that can be had here the same cases, and tabulate what each makes of the model.

python -m eval.deploy smollm2-135m_lora
python -m eval.deploy smollm2-135m_lora --base-url http://127.0.0.1:8000/v1 --model NAME --name vLLM

Table and picture go to runs/<recipe>/deploy/. The answers of a runtime are kept there: a rerun asks what is missing.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from callwright.errors import Parser, UserError, command
from callwright.files import write_text
from callwright.locks import only_writer
from callwright.recipes import add_recipe, chosen_recipe
from callwright.tool_prompts import FORMATS, format_of
from eval.endpoint import manifest
from eval.endpoint.plan import Plan, as_raw
from eval.endpoint.settings import Sampling, endpoint_at, positive
from eval.reporting.deploy import Row, draw, judged, measure, reason, runtimes, slug, table, trained_prompts
from eval.reporting.suites import load_suite
from eval.scoring.cases import read_cases, unchecked


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Measure and tabulate from the command line."""
    parser = Parser("python -m eval.deploy", (__doc__ or "").splitlines()[0])
    add_recipe(parser)
    parser.add_argument("--suite", default="golden", help="a stem of configs/eval (default: golden)")
    parser.add_argument("--cases", type=positive, help="ask so many, spread over the suite (default: all)")
    parser.add_argument("--fresh", action="store_true", help="drop the answers and times of earlier runs")
    parser.add_argument("--base-url", help="a runtime more, that runs already: its URL, ending in /v1")
    parser.add_argument("--model", help="with --base-url: the model's name there")
    parser.add_argument("--name", default="given endpoint", help="with --base-url: its name in the table")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds its key (default: OPENAI_API_KEY)")
    args = parser.parse_intermixed_args(argv)
    if args.base_url and not args.model:
        parser.error("--base-url needs --model")
    endpoint = endpoint_at(args.base_url, args.model, args.api_key_env, False) if args.base_url else None
    recipe, suite = chosen_recipe(args), load_suite(args.suite)
    paths = suite.files(recipe.task)
    cases = []
    for case in read_cases(paths):
        if why := unchecked(case):
            print(f"unchecked, and so not asked: {case.id}: {why}")
        else:
            cases.append(case)
    step = max(1, len(cases) // args.cases) if args.cases else 1
    cases = cases[::step][: args.cases]
    out = recipe.run_dir / "deploy"
    with only_writer(out):
        trained = trained_prompts(recipe, cases)
        raw_format, system = format_of(recipe.serve(tuned=True))
        rows: list[Row] = []
        best: Plan | None = None
        for runtime in runtimes(recipe, endpoint, args.name):
            if isinstance(runtime, Row):
                rows.append(runtime)
                continue
            sampling = Sampling(suite.max_tokens, suite.temperature)
            made_of = {"cases": manifest.cases_hash(paths), **runtime.fingerprint, "sampling": sampling.fingerprint()}
            words = list(sys.argv[1:] if argv is None else argv)
            folder = out / slug(runtime.name)
            plan = Plan(runtime.name, folder, paths, cases, sampling, made_of, words, module="eval.deploy")
            if runtime.raw:
                if raw_format not in FORMATS:
                    continue
                plan = replace(as_raw(plan, raw_format, system), name=plan.name, out=folder)
            try:
                row = measure(runtime, plan, suite, trained, args.fresh)
                if best and not runtime.raw:
                    row.notes.append(judged(plan, best, partial(reason, recipe, runtime, plan, suite)))
                best = best or plan
            except UserError as error:
                row = Row(runtime.name, fault=str(error))
            rows.append(row)
            print(table([row]).splitlines()[2], flush=True)
        write_text(out / "table.md", table(rows))
        draw(rows, out / "table.png")
        print(f"\n{table(rows)}\ndeploy: {os.path.relpath(out / 'table.md')}, {os.path.relpath(out / 'table.png')}")
    return 0 if any(not row.fault for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
