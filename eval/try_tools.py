"""Ask a general caller about tools of one's own, without training: a line of JSON a question.

python -m eval.try_tools "book a table for two at noon" --tools tools.json
python -m eval.try_tools --tools api.yaml --file questions.txt
python -m eval.try_tools --mcp "python server.py"        # asks for questions, one after the other
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import date

from callwright.errors import Parser, UserError, command
from callwright.files import read_text, to_json
from callwright.recipes import add_recipe, chosen_recipe
from callwright.tool_sources import tools_from
from eval.agents.ask import ask_each, read_decision
from eval.agents.general_caller import find_caller, find_or_start_caller, tools_case
from eval.endpoint.client import read_raw

GENERAL = "qwen2.5-coder-0.5b_caller"
"""the recipe of the general caller that is kept in adapters/ under the same name"""
HOW = "make try TOOLS=tools.json Q=…; `python -m tools.import_tools …` writes one, and docs/own-task.md shows its form"


def questions(text: str, file: str | None) -> Iterator[str]:
    """Yield the questions: of the command line, of a file, of standard input (-), or typed one after the other."""
    if file:
        yield from (line.strip() for line in read_text(file).splitlines() if line.strip())
    elif text == "-":
        yield from (line.strip() for line in sys.stdin if line.strip())
    elif text:
        yield text
    else:
        print("try: ask away; an empty line ends it", file=sys.stderr)
        while typed := _typed():
            yield typed


def _typed() -> str:
    print("> ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Ask from the command line."""
    parser = Parser("python -m eval.try_tools", __doc__)
    parser.add_argument("text", nargs="?", default="", help="what the user says; - for each line of standard input")
    parser.add_argument("--file", help="ask each line of this file")
    parser.add_argument("--tools", help="tools.json, an OpenAPI document, a .py file (which is run), or an address")
    parser.add_argument("--mcp", metavar="COMMAND|URL", help="the tools of an MCP server")
    parser.add_argument("--today", action="store_true", help="let the system message say what day it is")
    parser.add_argument("--no-keep", action="store_true", help="end the server with the last answer")
    add_recipe(parser, "--recipe", settings=False)
    args = parser.parse_args(argv)
    if bool(args.tools) == bool(args.mcp):
        raise UserError("TOOLS", "two sources of tools" if args.tools else "no tools are given", HOW)
    text = args.text.strip()
    many = bool(args.file) or text in ("", "-")
    if not text and not args.file and not sys.stdin.isatty():
        raise UserError("question", "is empty", 'say something: make try TOOLS=tools.json Q="book a table"')
    if not (args.recipe or args.adapter or args.task):
        args.adapter = f"adapters/{GENERAL}"
    args.recipe = args.recipe or GENERAL
    caller = find_caller(chosen_recipe(args))
    found = tools_from(f"mcp:{args.mcp}" if args.mcp else args.tools)
    if left := found.left_out:
        print(f"try: {len(left)} tools cannot be taken: {', '.join(left[:5])}", file=sys.stderr)
    with find_or_start_caller(caller, not args.no_keep) as endpoint:
        for question in questions(text, args.file):
            case = tools_case(question, found.tools, date.today() if args.today else None)
            (prediction,) = ask_each(endpoint, [case])
            # llama.cpp reads a call in its tags alone, and a small model forgets them at times.
            decision = read_decision(read_raw(prediction, case, "qwen"), found.tools)
            print(to_json(({"text": question} if many else {}) | decision), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
