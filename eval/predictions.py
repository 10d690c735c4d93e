"""The log of answers, `predictions.jsonl`: appended as they arrive, read again after a kill."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.files import parse_json, to_json, write_jsonl
from callwright.records import Case, Prediction, explain


def read_predictions(path: str | Path) -> dict[str, Prediction]:
    """The last prediction of each id.

    A last line without its line end that cannot be read was torn by a kill: it is dropped, so that it is asked again.

    Raises:
        UserError: missing, unreadable, or any other line that is not a prediction.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        raise UserError(path, "no such file", "run eval.run first, or check the path") from None
    except OSError as error:
        raise UserError(path, f"cannot be read ({error.strerror})", "check the path") from None
    found: dict[str, Prediction] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            prediction = Prediction.model_validate(parse_json(line.decode()))
        except ValueError as error:
            if number == len(lines):
                break
            fault = explain(error) if isinstance(error, ValidationError) else f"not JSON ({error})"
            raise UserError(f"{path}:{number}", fault, "drop the line; its case is asked again") from None
        found[prediction.id] = prediction
    return found


def answered(path: str | Path, cases: Sequence[Case]) -> dict[str, Prediction]:
    """The predictions that a rerun keeps: of these cases, and not errors."""
    if not Path(path).exists():
        return {}
    ids = {case.id for case in cases}
    return {key: p for key, p in read_predictions(path).items() if key in ids and p.error is None}


@contextmanager
def log(path: str | Path, kept: Sequence[Prediction]) -> Iterator[IO[str]]:
    """Begin the log with what is kept (whole or not at all), then open it for appending.

    Raises:
        UserError: it cannot be written.
    """
    write_jsonl(path, (prediction.model_dump() for prediction in kept))
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        yield file


def append(file: IO[str], prediction: Prediction) -> None:
    """Write one prediction through to the system, so that a kill loses at most the line that is being written.

    Raises:
        UserError: the disk is full.
    """
    try:
        file.write(to_json(prediction.model_dump()) + "\n")
        file.flush()
    except OSError as error:
        raise UserError(
            file.name, f"could not be written ({error.strerror})", "free some space and run again"
        ) from None
