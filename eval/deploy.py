"""Ask every runtime that can be had here the same cases, and tabulate what each makes of the model.

python -m eval.deploy smollm2-135m_lora
python -m eval.deploy smollm2-135m_lora --base-url http://127.0.0.1:8000/v1 --model NAME --name vLLM

Table and picture go to runs/<recipe>/deploy/. The answers of a runtime are kept there: a rerun asks what is missing.
"""

import sys
from collections.abc import Sequence

from callwright.errors import Parser, command
from callwright.recipes import add_recipe, chosen_recipe
from callwright.records import Case
from eval.endpoint import manifest
from eval.endpoint.plan import Plan
from eval.endpoint.settings import endpoint_at, positive
from eval.reporting.deploy import find_runtimes, measure_all
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
    cases = spread_over(checkable(read_cases(paths)), args.cases)
    sampling = suite.sampling(probe=False)
    asks = {"cases": manifest.cases_hash(paths), "sampling": sampling.fingerprint()}
    words = list(sys.argv[1:] if argv is None else argv)
    plan = Plan(recipe.stem, recipe.run_dir / "deploy", paths, cases, sampling, asks, words, module="eval.deploy")
    rows = measure_all(recipe, suite, find_runtimes(recipe, endpoint, args.name), plan, args.fresh)
    return 0 if any(row.run for row in rows) else 1


def checkable(cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose answers can be judged, and name the others."""
    kept = []
    for case in cases:
        if why := unchecked(case):
            print(f"unchecked, and so not asked: {case.id}: {why}")
        else:
            kept.append(case)
    return kept


def spread_over(cases: list[Case], most: int | None) -> list[Case]:
    """Return so many of the cases, spread over all of them; all without a number."""
    step = max(1, len(cases) // most) if most else 1
    return cases[::step][:most]


if __name__ == "__main__":
    raise SystemExit(main())
