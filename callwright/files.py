"""Read and write files in one way: JSONL with line numbers, and writes that happen whole or not at all."""

import errno
import fcntl
import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from callwright.errors import UserError
from callwright.redact import redact

ROOT = Path(__file__).resolve().parent.parent
PART = ".part"
"""How the name of a file ends that is still being written."""


class RedactedFile(io.TextIOWrapper):
    """A text file that no known secret is written into."""

    def write(self, text: str) -> int:
        return super().write(redact(text))


@contextmanager
def atomic(path: str | Path, private: bool = False) -> Iterator[IO[str]]:
    """Open a text file that replaces `path` when the block ends well, and vanishes when it does not.

    Args:
        private: it may hold secrets, and its owner alone can read it.

    Raises:
        UserError: the disk is full or the folder cannot be written; the old file is untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PART, dir=path.parent)
    except OSError as error:
        raise UserError(path, f"cannot be written ({error.strerror})", "make the folder writable") from None
    temporary = Path(name)
    with suppress(OSError):  # some network file systems know no locks: there, `sweep` removes nothing either
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        kind = io.TextIOWrapper if private else RedactedFile
        with kind(os.fdopen(descriptor, "wb"), encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o600 if private else 0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            path, f"could not be written ({error.strerror})", "the old file is untouched; free some space"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: str | Path) -> Iterator[Path]:
    """Turn what the system says against writing to a path within the block into a UserError that names what refused."""
    try:
        yield Path(path)
    except OSError as error:
        remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make the folder writable"
        raise UserError(error.filename or path, f"cannot be written ({error.strerror})", remedy) from None


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it, and return it; UserError where it cannot be made."""
    with writing(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; what is still being written is locked, and stays."""
    for path in folder.glob(f".*{PART}"):
        with suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic(path) as file:
        file.write(text)


def write_private(path: str | Path, text: str) -> None:
    """Write `text`, which may hold secrets, for the owner's eyes alone; whole or not at all."""
    with atomic(path, private=True) as file:
        file.write(text)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def to_json(value: Any) -> str:
    """Write JSON on one line, as every file of ours holds it: no ASCII escapes, no NaN."""
    return _ENCODER.encode(value)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def write_jsonl(path: str | Path, values: Iterable[Any]) -> int:
    """Write one JSON value a line, whole or not at all; return the number of lines."""
    count = 0
    with atomic(path) as file:
        for value in values:
            file.write(to_json(value) + "\n")
            count += 1
    return count


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"key {key!r} stands twice")
        value[key] = item
    return value


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"{text} is too large a number")
    return value


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)


def parse_json(text: str) -> Any:
    """Parse JSON strictly (no NaN or Infinity, also by overflow, no key twice, no lone surrogate), or raise ValueError."""
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if "\\u" in text:  # only an escape can bring a lone surrogate into text that was read as UTF-8
        try:
            to_json(value).encode()
        except UnicodeEncodeError:
            raise ValueError("holds a lone surrogate") from None
    return value


def parse_json_at(text: str, start: int) -> tuple[Any, int]:
    """Parse the JSON value that begins at `start`, as strictly as parse_json; return it and where it ends."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return parse_json(text[start:end]), end


def object_at(value: Any, key: str) -> dict[str, Any]:
    """Return the object that a JSON object holds under a key; {} where there is none."""
    held = value.get(key) if isinstance(value, dict) else None
    return held if isinstance(held, dict) else {}


def read_text(path: str | Path) -> str:
    """Read a UTF-8 file; UserError where it is missing, unreadable or not UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(path, "no such file", "check the path") from None
    except UnicodeDecodeError as error:
        raise UserError(path, f"not UTF-8 (byte {error.start})", "save it as UTF-8") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check the path") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file; UserError where it is missing, unreadable or not JSON."""
    try:
        return parse_json(read_text(path))
    except ValueError as error:
        raise UserError(path, f"not JSON ({error})", "fix it") from None


def scan_jsonl(path: str | Path) -> Iterator[tuple[str, dict[str, Any] | UserError]]:
    """Yield the lines of a JSONL file but the blank ones, each with its place `file:line`: the object, or what is wrong.

    Raises:
        UserError: missing or unreadable.
    """
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                place = f"{path}:{number}"
                try:
                    line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                    if not line.strip():
                        continue
                    value = parse_json(line)
                except UnicodeDecodeError as error:
                    yield place, UserError(place, f"not UTF-8 (byte {error.start})", "save it as UTF-8")
                except ValueError as error:
                    yield place, UserError(place, f"not JSON ({error})", "fix the line or drop it")
                else:
                    if isinstance(value, dict):
                        yield place, value
                    else:
                        fault = f"a {type(value).__name__}, not an object"
                        yield place, UserError(place, fault, "fix the line or drop it")
    except FileNotFoundError:
        folders = Path(path).parts[:-1]
        is_work = folders[-3:-1] == ("data", "work")
        remedy = f"run: make data TASK={folders[-1]}" if is_work else "run the step that writes it"
        raise UserError(path, "no such file", f"check the path, or {remedy}") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check the path") from None


def read_jsonl(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a JSONL file, each with its place `file:line`; blank lines are passed over.

    Raises:
        UserError: missing, unreadable, not UTF-8, or a line that is not a JSON object.
    """
    for place, value in scan_jsonl(path):
        if isinstance(value, UserError):
            raise value
        yield place, value


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
