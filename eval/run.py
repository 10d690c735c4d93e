"""Ask a model every case, score the answers and write the report: of any endpoint, or of a recipe's base and tuned.

python -m eval.run --recipe smollm2-135m_lora --suite golden
python -m eval.run --cases FILE --base-url http://127.0.0.1:8000/v1 --model NAME --out DIR --mode both
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, command
from callwright.recipes import add_recipe
from callwright.tool_prompts import FORMATS
from eval.endpoint.settings import add_asking, positive
from eval.reporting.run import run_endpoint, run_recipe
from eval.scoring.gates import add_gates


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("python -m eval.run", (__doc__ or "").splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    add_recipe(parser, "--recipe", what)  # its base and tuned model are served and asked
    what.add_argument("--cases", type=Path, nargs="+", help="cases files to ask an endpoint")
    parser.add_argument("--suite", default="golden", help="with --recipe: a stem of configs/eval (default: golden)")
    parser.add_argument(
        "--runtime",
        choices=("llamafactory", "llamacpp"),
        default="llamafactory",
        help="with --recipe: what serves it; llamacpp needs make export GGUF=f16",
    )
    parser.add_argument(
        "--start-timeout", type=float, default=300.0, help="with --recipe: seconds for a server to load"
    )
    parser.add_argument("--fresh", action="store_true", help="drop the answers of earlier runs")
    add_gates(parser)
    single = parser.add_argument_group("with --cases")
    single.add_argument("--base-url", help="the endpoint, ending in /v1")
    single.add_argument("--model", help="the model's name there")
    single.add_argument("--out", type=Path, help="the run folder")
    single.add_argument(
        "--mode",
        choices=("native", "raw", "both"),
        default="native",
        help="raw: send the tools inside the system message and read the calls from the text; both: compare the two",
    )
    single.add_argument("--raw-format", choices=FORMATS, default="qwen", help="tool format of raw mode (default: qwen)")
    single.add_argument(
        "--raw-system", default="", metavar="TEXT", help="what the server's template says before the tools, if anything"
    )
    add_asking(single, concurrency=4, max_tokens=96)
    single.add_argument("--temperature", type=float, default=0.0, help="default: 0")
    single.add_argument("--samples", type=positive, default=1, help="answers to each case, for pass^k (default: 1)")
    args = parser.parse_intermixed_args(argv)
    missing = [flag for flag in ("base_url", "model", "out") if getattr(args, flag) is None]
    if args.cases and missing:
        parser.error(f"--cases needs --{missing[0].replace('_', '-')}")
    args.command = list(sys.argv[1:] if argv is None else argv)
    return args


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate from the command line."""
    args = _arguments(argv)
    return run_recipe(args) if args.recipe else run_endpoint(args)


if __name__ == "__main__":
    raise SystemExit(main())
