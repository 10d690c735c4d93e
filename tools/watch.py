"""Run a training command and sample the GPUs beside it: `python -m tools.watch runs/x llamafactory-cli train x.yaml`.

Holds the folder as its only writer, so that no second training writes there; leaves gpu.jsonl and gpu.png in it where there
is a GPU. The status is the command's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.locks import only_writer
from tools.training.watch import run_beside


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; write what was sampled."""
    parser = Parser("python -m tools.watch", __doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    if not args.command:
        raise UserError("tools.watch", "no command to run", "say what to run behind the folder")
    with only_writer(args.folder):
        return run_beside(args.command, args.folder)


if __name__ == "__main__":
    raise SystemExit(main())
