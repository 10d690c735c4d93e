"""What tools/ and eval/ share: records, schemas, matchers, call readers, thoughts, files, recipes, user errors."""

import sys
from types import TracebackType


def _excepthook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say one word of a Ctrl-C that comes while a command is still loading, before errors.command can; the rest as ever."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _excepthook
