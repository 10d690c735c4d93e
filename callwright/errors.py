"""What a user did wrong, said in one line: place, fault, remedy."""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol


class UserError(Exception):
    """A mistake that the user can mend.

    Args:
        place: where it is, as `file:line`, a key, a flag or a URL.
        fault: what is wrong there, with the offending value.
        remedy: what to do about it.
    """

    def __init__(self, place: str | Path, fault: str, remedy: str) -> None:
        super().__init__(f"{place}: {fault}; {remedy}")
        self.place, self.fault, self.remedy = str(place), fault, remedy


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant: "did you mean 'golden'?"; "" where none is like it.

    Upper and lower case, and - and _, do not count as differences. About a third of the letters may be
    wrong, and one always.
    """
    from rapidfuzz.distance import OSA

    def plain(text: str) -> str:
        return text.casefold().replace("-", "_")

    slips = {other: OSA.distance(plain(name), plain(other)) for other in known if other != name}
    nearest = min(slips, key=lambda other: slips[other], default="")
    return f"did you mean {nearest!r}?" if nearest and slips[nearest] <= max(1, (len(name) + 1) // 3) else ""


class Main(Protocol):
    """A tool's entry: arguments in (sys.argv's without any), exit status out."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


def command(main: Callable[[Sequence[str] | None], int]) -> Main:
    """Let `main` turn a UserError into one line on stderr and exit status 2, and Ctrl-C into 130.

    Any other exception keeps its traceback: it is our fault, not the user's.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            return main(argv)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    return run
