"""Let one process write to a folder: by a lock that the system lets go of when the process ends, however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from callwright.errors import UserError
from callwright.files import sweep

if TYPE_CHECKING:
    from filelock import AcquireReturnProxy

LOCK = ".lock"
"""The file in a folder that is locked, which holds who locked it last."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` as its only writer, for as long as the block lasts; what killed writers left in it goes first.

    Raises:
        UserError: another process holds it (the message says which, and since when), or it cannot be written.
    """
    from filelock import Timeout

    try:
        lock = _lock(folder, wait=False)
    except Timeout:
        holder = (folder / LOCK).read_text(encoding="utf-8", errors="replace")[:80] or "another process"
        raise UserError(folder, f"is being written by {holder}", "wait for it to end, or give another folder") from None
    with lock:
        sweep(folder)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        with suppress(OSError):  # a full disk: the lock holds all the same
            (folder / LOCK).write_text(f"process {os.getpid()}, since {since}", encoding="utf-8")
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for a moment, after whoever holds it now; UserError where it cannot be written."""
    with _lock(folder, wait=True):
        yield


def _lock(folder: Path, wait: bool) -> "AcquireReturnProxy":
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / LOCK).acquire(timeout=-1 if wait else 0)
    except Timeout:
        raise
    except OSError as error:
        raise UserError(folder, f"cannot be written ({error.strerror})", "make the folder writable") from None
