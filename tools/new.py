"""Lay out a new task from its tools, so that `make data` passes at once: python -m tools.new my_task --tools tools.json"""

import argparse
import math
import os
import re
import shutil
import sys
from collections.abc import Sequence
from string import Template

from callwright.config import Api, Price
from callwright.errors import Parser, UserError, command
from callwright.files import ROOT, atomic, make_folder, write_jsonl
from callwright.records import as_line
from callwright.tasks import read_seeds
from callwright.tool_sources import tools_from
from callwright.tool_sources.found import lines
from tools.utterances.starter.arguments import MOST_SAID, required_beyond_speech
from tools.utterances.starter.draft import FEW
from tools.utterances.starter.layout import NEXT, lay_out, write_seeds


def check_arguments(args: argparse.Namespace) -> None:
    """Find out whether the task's name, its tools and the price of a writer can be used.

    Raises:
        UserError: one cannot.
    """
    if not args.tools:
        raise UserError("--tools", "no tools are named", f"run: make new TASK={args.task} TOOLS=tools.json")
    if args.write and not args.price:
        raise UserError(f"--write {args.write}", "its price is not known", "say it: --price 0.15 0.60, or --price 0 0")
    if not all(0 <= dollars < math.inf for dollars in (*(args.price or ()), args.budget)):
        raise UserError("--price, --budget", "are no dollars", "give what the model costs, as in: --price 0.15 0.60")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", args.task):
        raise UserError(f"task {args.task!r}", "not letters, digits, _ and -", "choose another name")


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write data/seeds/<task>/ and configs/data/<task>.yaml."""
    parser = Parser("python -m tools.new", __doc__)
    parser.add_argument("task", help="its name: letters, digits, _ and -")
    parser.add_argument("--tools", help="a tools.json; tools.import_tools writes one")
    write = parser.add_argument_group("seeds that a large model writes (OPENAI_API_KEY, OPENAI_BASE_URL)")
    write.add_argument("--write", metavar="MODEL", help="which model writes them")
    write.add_argument("--price", type=float, nargs=2, metavar=("IN", "OUT"), help="dollars per million tokens")
    write.add_argument("--budget", type=float, default=0.5, help="dollars at most (default: %(default)g)")
    args = parser.parse_args(argv)
    check_arguments(args)
    folder, config = ROOT / "data/seeds" / args.task, ROOT / "configs/data" / f"{args.task}.yaml"
    for path in (folder, config):
        if path.exists():
            raise UserError(path.relative_to(ROOT), "is there already", "choose another name, or move it away")
    source = tools_from(args.tools)
    for line in lines(source.notes):
        print(line, file=sys.stderr)
    tools = source.tools
    for schema in (tool["function"]["parameters"] for tool in tools):  # `true` is {}, and every reader knows {}
        schema["properties"] = {key: {} if own is True else own for key, own in schema["properties"].items()}
    for tool in tools:
        if count := required_beyond_speech(tool):
            fault = f"requires {count} arguments, and nobody says more than {MOST_SAID} in one line"
            remedy = f"it gets at most {FEW} starter lines a language: write seeds of your own (of several turns), or require fewer"
            print(f"note: tool {tool['function']['name']!r} {fault}; {remedy}", file=sys.stderr)
    work = folder.with_name(f".{args.task}.{os.getpid()}")
    try:
        make_folder(work)
        text = lay_out(args.task, tools, work)
        if args.write:
            price = Price(input=args.price[0], output=args.price[1])
            api = Api(model=args.write, prices={args.write: price}, budget_usd=args.budget, modes={"new": 1})
            seeds = write_seeds(args.task, tools, read_seeds(work / "seeds.jsonl", tools), api)
            write_jsonl(work / "seeds.jsonl", map(as_line, seeds))
        with atomic(config) as file:
            file.write(text)
            work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(
        f"new: data/seeds/{args.task}/ and configs/data/{args.task}.yaml, {len(tools)} tools; "
        + ("read what the model wrote" if args.write else "replace the starter lines")
    )
    print("next: " + Template(NEXT).substitute(task=args.task))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
