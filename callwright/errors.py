"""What a user did wrong, said in one line: place, fault, remedy."""

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TextIO, cast

from callwright.redact import keep_secrets_of, redact


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


class Main(Protocol):
    """A tool's entry: arguments in (sys.argv's without any), exit status out."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


class _RedactedStream:
    """A console stream that no known secret passes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(redact(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def command(main: Callable[[Sequence[str] | None], int]) -> Main:
    """Let `main` turn a UserError into one line on stderr and exit status 2, Ctrl-C into 130, and SIGTERM into 143.

    Any other exception keeps its traceback: it is our fault, not the user's. Known secrets are blotted from all of it.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        keep_secrets_of(sys.argv if argv is None else argv, os.environ)
        sys.excepthook = lambda *error: print(redact("".join(traceback.format_exception(*error))), file=sys.stderr)
        out, err = cast("TextIO", _RedactedStream(sys.stdout)), cast("TextIO", _RedactedStream(sys.stderr))
        with redirect_stdout(out), redirect_stderr(err), _cleaning_up_at_sigterm() as ended:
            try:
                return main(argv)
            except UserError as error:
                print(f"error: {error}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print("interrupted", file=sys.stderr)
                return 128 + (signal.SIGTERM if ended else signal.SIGINT)

    return run


@contextmanager
def _cleaning_up_at_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM do what Ctrl-C does: what was begun is undone on the way out. Gives a list that holds it once it came."""
    ended: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        ended.append(number)
        interrupt = signal.getsignal(signal.SIGINT)  # asyncio has its own while it runs
        (interrupt if callable(interrupt) else signal.default_int_handler)(number, frame)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield ended
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield ended
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
