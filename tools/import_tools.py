"""Write tools.json from an OpenAPI document, an MCP server or a Python module, and name what could not be expressed.

python -m tools.import_tools api.yaml --out tools.json
python -m tools.import_tools --mcp "python server.py" --out tools.json
python -m tools.import_tools --module my_functions.py --out tools.json
"""

import argparse
import sys
from collections.abc import Sequence

from callwright.errors import UserError, command
from callwright.files import write_json
from callwright.tool_sources import mcp_server, module, openapi
from callwright.tool_sources.schemas import Found, to_tools


def choose(found: Sequence[Found], only: Sequence[str], source: str) -> list[Found]:
    """The source itself and the tools that `only` names, all without it.

    Raises:
        UserError: one is not there.
    """
    known = [item.name for item in found[1:]]
    if missing := [name for name in only if name not in known]:
        raise UserError(f"--only {missing[0]}", f"{source} has no such tool", f"choose of: {', '.join(known)}")
    return [found[0], *(item for item in found[1:] if not only or item.name in only)]


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Import tools from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.import_tools", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("source", nargs="?", help="an OpenAPI 3 document, JSON or YAML; remote $refs are never fetched")
    where.add_argument("--mcp", metavar="COMMAND", help='starts an MCP server: "env KEY=… python server.py" sets a key')
    where.add_argument("--module", help="a .py file or a dotted name: importing it RUNS it, so only what you trust")
    parser.add_argument("--out", required=True, help="the tools.json to write")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these tools, by the source's names")
    parser.add_argument("--prefix", default="", help="begins every name")
    parser.add_argument("--timeout", type=float, default=30.0, help="with --mcp: seconds in all (default: 30)")
    args = parser.parse_args(argv)
    if args.mcp is not None:
        found = mcp_server.read(args.mcp, args.timeout)
    else:
        found = openapi.read(args.source) if args.source is not None else module.read(args.module)
    source = args.source or args.mcp or args.module
    tools, lost = to_tools(choose(found, args.only, source), args.prefix)
    print("".join(f"{line}\n" for line in lost), end="", file=sys.stderr)
    if not tools:
        raise UserError(source, "no tools to import", "see the lines above, if any, or give another source")
    write_json(args.out, [tool for _, tool in tools])
    print(f"import_tools: {args.out}: {len(tools)} tools from {source}; {len(lost)} things changed or left out")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
