"""Write tools.json from an OpenAPI document, an MCP server or a Python module, and say what could not be expressed.

python -m tools.import_tools api.yaml --out tools.json
python -m tools.import_tools https://example.com/openapi.json --tag pets --only 'get*' --out tools.json
python -m tools.import_tools --mcp "python server.py" --out tools.json      # or --mcp https://example.com/mcp
python -m tools.import_tools --module my_functions.py --out tools.json

Without --out it says what it would write, and what each tool costs.
"""

import os
import sys
from collections.abc import Sequence

from callwright.errors import Parser, UserError, command
from callwright.files import write_json, write_text
from callwright.tool_sources import TIMEOUT_S, ToolSet, tools_from
from callwright.tool_sources.costs import counter, shrink_all
from callwright.tool_sources.found import lines

MOST_ROWS = 20
"""tools whose cost is shown"""
CHOICES = {
    "--only": "these tools, by name; 'get*' takes all that begin so",
    "--tag": "OpenAPI: the operations with these tags",
    "--path": "OpenAPI: the operations on these paths, as '/pets/*'",
}


def secret_headers(pairs: Sequence[str]) -> dict[str, str]:
    """Read headers of the form `NAME=VARIABLE`, each with what the environment variable holds: a key in a command would be seen.

    Raises:
        UserError: no such form, or the variable is not set.
    """
    headers = {}
    for pair in pairs:
        name, _, variable = pair.partition("=")
        if not name or not variable.isidentifier():
            raise UserError("--header", "not NAME=VARIABLE", "name the environment variable that holds the value")
        value = os.environ.get(variable, "")
        if not (value and value.isascii() and value.isprintable()):
            raise UserError(f"--header {name}", f"{variable} is not set, or no header", f"export {variable}=…")
        headers[name] = value
    return headers


def costs(tools: ToolSet, model: str | None) -> list[str]:
    """Return a table of what each tool takes in a prompt, the dearest first."""
    unit, count = counter(model)
    sizes = sorted(((count(tool), tool["function"]["name"]) for tool in tools.tools), reverse=True)
    rows = [f"{size:>8,}  {name}" for size, name in sizes[:MOST_ROWS]]
    if rest := sizes[MOST_ROWS:]:
        rows.append(f"{sum(size for size, _ in rest):>8,}  {len(rest)} others")
    return [f"{'tokens':>8}  tool ({unit})", *rows, f"{sum(size for size, _ in sizes):>8,}  in all"]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Import tools from the command line."""
    parser = Parser("python -m tools.import_tools", __doc__)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("source", nargs="?", help="an OpenAPI 3 document, JSON or YAML, or any other source of tools")
    where.add_argument("--mcp", metavar="COMMAND|URL", help='an MCP server: "env KEY=… python server.py" sets a key')
    where.add_argument("--module", help="a .py file or a dotted name: importing it RUNS it, so only what you trust")
    parser.add_argument("--out", help="the tools.json to write")
    for flag, about in CHOICES.items():
        parser.add_argument(flag, nargs="+", action="extend", default=[], metavar=flag[2:].upper(), help=about)
    parser.add_argument("--prefix", default="", help="begins every name")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="cut each tool to so many tokens, by named rules")
    parser.add_argument("--tokenizer", metavar="FOLDER", help="of the base model (default: one in models/)")
    parser.add_argument("--header", action="append", default=[], metavar="NAME=VARIABLE", help="for an address")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds in all (default: %(default)g)")
    parser.add_argument("--notes", metavar="FILE", help="write every change, one a line")
    args = parser.parse_args(argv)
    source = args.source
    if args.mcp is not None or args.module is not None:
        source = f"mcp:{args.mcp}" if args.mcp is not None else f"module:{args.module}"
    if source is None:
        swallowed = [name for names in (args.only, args.tag, args.path) for name in names][-1:]
        remedy = f"write it first: python -m tools.import_tools {swallowed[0] if swallowed else 'api.yaml'} …"
        raise UserError("python -m tools.import_tools", "no source of tools", remedy)
    tools = tools_from(
        source,
        only=args.only,
        tags=args.tag,
        paths=args.path,
        prefix=args.prefix,
        headers=secret_headers(args.header),
        timeout_s=args.timeout,
    )
    if args.max_tokens is not None:
        tools = shrink_all(tools, args.max_tokens, args.tokenizer)
    if args.notes:
        write_text(args.notes, "".join(f"{note.kind}\t{note}\n" for note in tools.notes))
    print("".join(f"{line}\n" for line in lines(tools.notes)), end="", file=sys.stderr)
    print("\n".join(costs(tools, args.tokenizer)))
    if args.out:
        write_json(args.out, tools.tools)
    names = ", ".join(tools.left_out[:5]) + (" …" if len(tools.left_out) > 5 else "")
    print(
        f"import_tools: {args.out or 'nothing written (--out FILE)'}: {len(tools.tools)} tools from "
        f"{tools.source}; {len(tools.left_out)} left out{names and ': ' + names}; "
        f"{len(tools.notes)} notes"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
