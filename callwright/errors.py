"""Say what a user did wrong in one line: place, fault, remedy."""

import argparse
import errno
import functools
import os
import re
import shlex
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Protocol, TextIO, cast

from callwright.redact import keep_secrets_of, redact


class UserError(Exception):
    """A mistake that the user can mend.

    Args:
        place: where it is, as `file:line`, a key, a flag or a URL.
        fault: what is wrong there, with the offending value.
        remedy: what to do about it.
    """

    def __init__(self, place: str | Path, fault: str, remedy: str) -> None:
        self.place, self.fault, self.remedy = str(place).removeprefix(f"{Path.cwd()}/"), fault, remedy
        super().__init__(f"{self.place}: {fault}; {remedy}".replace("\n", "\\n"))


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


LONGEST_USAGE, LONGEST_LIST = 200, 300
"""Characters of a usage that a mistake shows whole, and of a list of choices."""
_WRONG_CHOICE = re.compile(r"(argument (?P<flag>.+?): invalid choice: (?P<typed>.*?)) \(choose from ", re.S)


class Parser(argparse.ArgumentParser):
    """The arguments of a command. Its help keeps the lines of the description, and a mistake becomes a UserError."""

    def __init__(self, prog: str, description: str | None) -> None:
        super().__init__(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and how they are written.

        Raises:
            UserError: always.
        """
        if wrong := _WRONG_CHOICE.match(message):
            raise UserError(self.prog, wrong[1], self._choose(wrong["flag"], wrong["typed"].strip("'\"")))
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        typed = message.removeprefix("unrecognized arguments: ").split("=")[0].split()[0]
        meant = did_you_mean(typed, options) if message.startswith("unrecognized") else ""
        raise UserError(self.prog, message, f"{meant} write {self._usage()}".strip())

    def _choose(self, flag: str, typed: str) -> str:
        """Say what may stand at an argument, the likeliest first."""
        named = {"/".join(a.option_strings) or a.metavar or a.dest: a.choices for a in self._actions if a.choices}
        choices = [str(choice) for choice in named.get(flag, ())]
        known = textwrap.shorten(", ".join(choices), LONGEST_LIST, placeholder=" …")
        return f"{did_you_mean(typed, choices)} choose from {known}".strip()

    def _usage(self) -> str:
        """Return the usage; a long one without its options, but for those that are required."""
        usage = " ".join(self.format_usage().removeprefix("usage: ").split())
        if len(usage) <= LONGEST_USAGE:
            return usage
        groups = [group for group in self._mutually_exclusive_groups if group.required]
        either = [action for group in groups for action in group._group_actions]
        formatter = self._get_formatter()
        formatter.add_usage(
            None, [a for a in self._actions if a.required or not a.option_strings or a in either], groups
        )
        needed = " ".join(formatter.format_help().removeprefix("usage: ").split())
        return f"{needed} (--help shows the options)"


class Main(Protocol):
    """A tool's entry: arguments in (sys.argv's without any), exit status out."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a full disk, a quota or a limit of a file's size."""


class _ReaderGone(BrokenPipeError):
    """Whoever read the output has gone (`| head`)."""


class _RedactedStream:
    """A console stream that no known secret passes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` with its secrets blotted."""
        with self._writing():
            return self._stream.write(redact(text))

    def flush(self) -> None:
        """Write what is buffered."""
        with self._writing():
            self._stream.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            # What is buffered still has to go somewhere, or the interpreter complains as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise _ReaderGone(*error.args) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def command(main: Callable[[Sequence[str] | None], int]) -> Main:
    """Wrap `main`, so that a UserError, a full disk or a name too long becomes one line and exit status 2, Ctrl-C 130, SIGTERM 143.

    Where whoever read the output has gone (`| head`), it ends with 141, without a word, as tools do that SIGPIPE ends. Any
    other exception keeps its traceback: it is our fault, not the user's. Known secrets are blotted from all of it.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        sys.excepthook = lambda *error: print(redact("".join(traceback.format_exception(*error))), file=sys.stderr)
        out, err = cast("TextIO", _RedactedStream(sys.stdout)), cast("TextIO", _RedactedStream(sys.stderr))
        with redirect_stdout(out), redirect_stderr(err), _cleaning_up_at_sigterm() as ended:
            try:
                return _status(main, sys.argv[1:] if argv is None else argv, ended)
            except _ReaderGone:
                return 128 + signal.SIGPIPE

    return run


def expand_args(argv: Sequence[str]) -> list[str]:
    """Put the words of an argument `ARGS=…` in its place, parted as a shell parts them: that is how make passes them.

    Raises:
        UserError: a quotation in it does not end.
    """
    words: list[str] = []
    for argument in argv:
        if not argument.startswith("ARGS="):
            words.append(argument)
            continue
        try:
            words += shlex.split(argument.removeprefix("ARGS="))
        except ValueError as error:
            raise UserError(argument, f"is no line of words ({error})", "close what is open") from None
    return words


def _status(main: Callable[[Sequence[str] | None], int], argv: Sequence[str], ended: list[int]) -> int:
    try:
        keep_secrets_of(argv, os.environ)
        words = expand_args(argv)
        keep_secrets_of(words, {})
        return main(words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            print(f"error: {str(error.filename)[:60]}…: {error.strerror}; choose a shorter one", file=sys.stderr)
            return 2
        if error.errno not in FULL:
            raise
        print(f"error: {error.filename or 'the disk'}: {error.strerror}; free some space", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + (signal.SIGTERM if ended else signal.SIGINT)
    finally:
        sys.stdout.flush()  # a reader that has gone is noticed here, not when the interpreter ends


@contextmanager
def _cleaning_up_at_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM do what Ctrl-C does: what was begun is undone on the way out. Yields a list that holds it once it came."""
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
