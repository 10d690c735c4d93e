"""The log of answers, `predictions.jsonl`: appended as they arrive, read again after a kill."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.files import RedactedFile, parse_json, to_json, write_jsonl
from callwright.records import Case, Key, Prediction, Record, explain
from eval.scoring.cases import gc_paused

R = TypeVar("R", bound=Record)


def read_samples(path: str | Path) -> dict[Key, Prediction]:
    """Read the last prediction of each id and sample; see read_log."""
    return {prediction.key: prediction for prediction in read_log(path, Prediction)}


@gc_paused()
def read_log(path: str | Path, kind: type[R]) -> list[R]:
    """Read the records of a log.

    A last line without its line end that cannot be read was torn by a kill: it is dropped, so that it is asked again.

    Raises:
        UserError: missing, unreadable, or any other line that is not such a record.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        raise UserError(path, "no such file", "run eval.run first, or check the path") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check the path") from None
    found: list[R] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(kind.model_validate(parse_json(line.decode())))
        except ValueError as error:
            if number == len(lines):
                break
            fault = explain(error) if isinstance(error, ValidationError) else f"not JSON ({error})"
            raise UserError(f"{path}:{number}", fault, "drop the line; its case is asked again") from None
    return found


def answered(path: str | Path, cases: Sequence[Case], samples: int = 1) -> dict[Key, Prediction]:
    """Read the predictions that a rerun keeps: of these cases and so many samples of each, and not errors."""
    if not Path(path).exists():
        return {}
    ids = {case.id for case in cases}
    kept = read_samples(path).items()
    return {key: p for key, p in kept if p.id in ids and p.sample < samples and p.error is None}


@contextmanager
def log(path: str | Path, kept: Sequence[Record]) -> Iterator[IO[str]]:
    """Begin the log with what is kept (whole or not at all), then open it for appending.

    Raises:
        UserError: it cannot be written.
    """
    write_jsonl(path, (record.model_dump() for record in kept))
    file = RedactedFile(open(path, "ab"), encoding="utf-8", newline="\n")  # noqa: SIM115  # closed below
    try:
        yield file
    finally:
        with suppress(OSError):  # a full disk: append has told
            file.close()


def append(file: IO[str], record: Record) -> None:
    """Write one record through to the system, so that a kill loses at most the line that is being written.

    Raises:
        UserError: the disk is full.
    """
    try:
        file.write(to_json(record.model_dump()) + "\n")
        file.flush()
    except OSError as error:
        raise UserError(
            file.name, f"could not be written ({error.strerror})", "free some space and run again"
        ) from None
