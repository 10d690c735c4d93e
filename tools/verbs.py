"""List the verbs of the Makefile in groups: `python3 -m tools.verbs`; with `--unknown`, say which one was meant.

It runs before there is an environment, with nothing but Python's own library.
"""

import os
import re
import sys
from collections.abc import Sequence

from callwright.errors import UserError, command, did_you_mean
from callwright.files import ROOT, read_text

MAIN = "doctor", "data", "train", "eval", "ask", "report", "new", "audit", "lint", "serve", "export", "keep"
"""what most people need, in the order in which they need it"""
LINE = re.compile(r"^# -+ (?P<group>[^-].*?) -+$|^(?P<verb>[a-z][a-z-]*):.*?## (?P<what>.*)$", re.MULTILINE)


def verbs(makefile: str) -> dict[str, dict[str, str]]:
    """Read what each verb does, by the heading of the Makefile that it stands under; `MAIN` comes first, and only there."""
    groups: dict[str, dict[str, str]] = {"first of all": dict.fromkeys(MAIN, "")}
    group = "set up"
    for line in LINE.finditer(makefile):
        group = line["group"] or group
        if (verb := line["verb"]) in MAIN:
            groups["first of all"][verb] = line["what"]
        elif verb:
            groups.setdefault(group, {})[verb] = line["what"]
    return groups


def unknown(goals: Sequence[str], makefile: str) -> UserError:
    """Describe the first of make's goals that the Makefile does not have."""
    known = [verb for group in verbs(makefile).values() for verb in group]
    goal = next((goal for goal in goals if goal not in known), "")
    try:
        meant = did_you_mean(goal, known)
    except ImportError:  # there is no environment yet
        meant = ""
    return UserError(f"make {goal}", "there is no such verb", f"{meant} make help lists them".strip())


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print the verbs; or raise what is wrong with those of the environment's MAKECMDGOALS."""
    makefile = read_text(ROOT / "Makefile")
    if "--unknown" in (sys.argv[1:] if argv is None else argv):
        raise unknown(os.environ.get("MAKECMDGOALS", "").split(), makefile)
    for group, lines in verbs(makefile).items():
        print(group)
        print("".join(f"{verb:<14}{what}\n" for verb, what in lines.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
