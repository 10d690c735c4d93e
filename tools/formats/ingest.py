"""Read records from JSONL, JSON, Parquet, any of them gzipped, or a hub, with flat memory, and count what is wrong."""

import gzip
import io
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import IO, Any, Literal, TypeVar

from callwright.errors import UserError
from callwright.files import parse_json
from tools.formats.conversation import LeftOut, Loss
from tools.formats.foreign import BRING, foreign_form
from tools.formats.values import kind

LIMIT = 64 * 2**20
"""bytes of one record that are read before it counts as broken"""
CHUNK = 2**18
BATCH = 256
"""Parquet rows held at once"""
HUB = "hub:"
OPEN = tuple(char + end for char in (b"{", b"[", b",", b":") for end in (b"\n", b"\r\n"))
"""how the first line ends where it is no whole record: the file is no JSONL"""

Raw = bytes | str | dict[str, Any] | ValueError
OnError = Literal["stop", "skip"]
T = TypeVar("T")
Make = Callable[[dict[str, Any], list[Loss]], T]
"""makes something of a record, and adds to the list what gets lost; raises ValueError for a record that it cannot take"""
_SPACE = re.compile(r"[ \t\r\n]*")
_VALUE = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


@dataclass
class Tally:
    """A count of what became of the records: how many were read, why how many were left out, and what a row has no place for."""

    aside: IO[str] | None = None
    """gets a JSON line, with its place, for each record that is left out and each text that is lost"""
    read: int = 0
    taken: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[str, str]] = field(default_factory=dict)
    """the first of each reason, and of each kind of thing that was lost: its own words, and its place"""

    def skip(self, reason: str, place: str) -> None:
        """Count a record that is left out; reasons that differ in values only are one."""
        general = _VALUE.sub("…", reason)[:160]
        self.skipped[general] += 1
        self.first.setdefault(general, (reason, place))
        self._note(place=place, reason=reason)

    def lose(self, loss: Loss, place: str) -> None:
        """Count a text of a record that is taken."""
        self.lost[loss.what] += 1
        self.first.setdefault(loss.what, (loss.what, place))
        self._note(place=place, lost=loss.what, text=loss.text, **({"at": loss.at} if loss.at else {}))

    def _note(self, **line: str) -> None:
        if self.aside:
            self.aside.write(json.dumps(line) + "\n")

    def lines(self) -> Iterator[str]:
        """Write a line a reason, the most frequent first, and one for each kind of thing that was lost."""
        for counts, what in ((self.skipped, "skipped"), (self.lost, "lost")):
            shown = counts.most_common(20)
            for key, count in shown:
                own, place = self.first[key]
                yield f"  {count} {what}: {own} (first at {place})"
            if more := counts.total() - sum(count for _, count in shown):
                yield f"  {more} more {what}"

    def summary(self) -> str:
        """Say in one line why nothing was taken."""
        return "; ".join(line.strip() for line in self.lines()) or "no records"


def ingest(
    source: Iterator[tuple[str, Raw]], make: Make[T], tally: Tally, on_error: OnError = "stop"
) -> Iterator[tuple[str, T]]:
    """Yield what `make` makes of each record, with its place; UserError at a bad one, unless they are to be skipped."""
    for place, raw in source:
        tally.read += 1
        lost: list[Loss] = []
        record: dict[str, Any] = {}
        try:
            record = record_of(raw)
            value = make(record, lost)
        except (ValueError, RecursionError) as error:
            reason, remedy = reason_of(error), "fix the record, or pass --on-error skip"
            foreign = None if isinstance(error, LeftOut) else foreign_form(record)
            if foreign:
                reason, remedy = f"seems to be of {foreign}, which no --from reads", BRING[foreign]
            if on_error == "stop" and not isinstance(error, LeftOut):
                raise UserError(place, reason, remedy) from None
            tally.skip(f"{reason}; {remedy}" if foreign else reason, place)
            continue
        tally.taken += 1
        for loss in lost:
            tally.lose(loss, place)
        yield place, value


def reason_of(error: ValueError | RecursionError) -> str:
    """Write a fault in one printable line."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeEncodeError):
        return "holds a lone surrogate"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 (byte {error.start})"
    text = " ".join(str(error).split())
    return "".join(char if char.isprintable() else "?" for char in text)[:300]


def record_of(raw: Raw) -> dict[str, Any]:
    """Parse the object that a raw record holds; ValueError where it is broken, or none."""
    if isinstance(raw, ValueError):
        raise raw
    if isinstance(raw, dict):
        return _plain(raw, (), any(raw.get(key) for key in ("tools", "functions")))
    text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f"{kind(value)}, not an object")
    return value


def _plain(value: Any, path: tuple[str, ...], has_tools: bool) -> Any:
    """Take a value out of Arrow, if JSON can hold it.

    Arrow gives the structs of a column the keys of all rows: an argument that this row does not have looks like null.
    The tools tell which null is meant; without them, nothing does.
    """
    if isinstance(value, dict):
        if not has_tools and "arguments" in path and None in value.values():
            raise ValueError(f"{path[0]}: arguments with the keys of other rows, and no tools; store them as JSON text")
        return {key: _plain(item, (*path, key), has_tools) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, (*path, "[]"), has_tools) for item in value]
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, date | time) and not {"arguments", "parameters"} & {*path}:
        return value.isoformat()  # of when a record was made, say; nobody knows how an argument was written
    if len(path) == 1 and isinstance(value, float | Decimal | timedelta):  # of the whole record: a score, NaN for none
        return str(value) if value == value else None
    raise ValueError(f"{'.'.join(path)}: {value!r:.40} has no form in JSON")


def records(source: str, subset: str | None = None, split: str = "train") -> Iterator[tuple[str, Raw]]:
    """Read the records of a file, or of a hub's data set as `hub:<owner>/<name>`, each with its place.

    A place is file:line of JSONL and file[index] of the rest. Whether a file is gzipped, Parquet, a list, JSONL or objects
    over several lines each, its first bytes tell, whatever it is called. UserError: the source cannot be read.
    """
    if source.startswith(HUB):
        yield from _hub(source.removeprefix(HUB), subset, split)
        return
    shown = source if source.isprintable() else repr(source)
    try:
        with open(source, "rb") as plain:
            zipped = plain.peek(2)[:2] == b"\x1f\x8b"
            file = io.BufferedReader(gzip.GzipFile(fileobj=plain)) if zipped else plain
            start = file.peek(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
            if start.startswith(b"PAR1") or source.removesuffix(".gz").endswith(".parquet"):
                yield from _parquet(io.BytesIO(file.read()) if zipped else file, shown)
            elif start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start[:4]:
                raise UserError(
                    shown, "not UTF-8, but UTF-16 or UTF-32", "save it as UTF-8: iconv -t UTF-8 -f UTF-16 FILE"
                )
            elif start[:1] == b"[":
                yield from _values(file, shown, in_list=True)
            elif (first := start.splitlines(keepends=True)[:1]) and first[0].endswith(OPEN):
                yield from _values(file, shown, in_list=False)
            else:
                yield from _lines(file, shown)
    except FileNotFoundError:
        raise UserError(shown, "no such file", f"check the path; a hub's data set is {HUB}<owner>/<name>") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:  # what is wrong with a record is yielded, not raised
        fault = reason_of(error) if isinstance(error, ValueError) else getattr(error, "strerror", None) or error
        raise UserError(shown, f"cannot be read ({fault})", "check the path and the file") from None


def _lines(file: IO[bytes], path: str) -> Iterator[tuple[str, Raw]]:
    number = 0
    while raw := file.readline(LIMIT + 1):
        number += 1
        if len(raw) > LIMIT:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LIMIT)
            yield f"{path}:{number}", ValueError(f"a line of more than {LIMIT >> 20} MiB")
        elif raw.strip():
            yield f"{path}:{number}", raw


def _values(file: IO[bytes], path: str, in_list: bool) -> Iterator[tuple[str, Raw]]:
    """Read the items of one JSON list, or values one after the other, as text: only as much is held as the one at hand needs.

    Streaming parsers of the package index keep the last of two equal keys and cannot go on after a faulty item; here
    the lenient scan only finds where an item ends, and the item's text is parsed as strictly as a line.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    scan = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode  # a number too long is the item's fault alone
    buffer, at, index = text.read(CHUNK), 0, 0
    at = buffer.index("[") + 1 if in_list else 0
    while True:
        at = _after_space(buffer, at)
        needs_comma = in_list and index > 0
        has_comma = needs_comma and buffer[at : at + 1] == ","
        start = _after_space(buffer, at + 1) if has_comma else at
        fault, cut, end = "", "the list does not end", -1
        if in_list and buffer[at : at + 1] == "]":
            if buffer[at + 1 :].strip() or text.read(CHUNK).strip():
                raise UserError(path, "something after the list", "give one list, or one object a line")
            return
        if start < len(buffer):
            try:
                if needs_comma and not has_comma:
                    raise json.JSONDecodeError("no comma", buffer, at)
                _, end = scan(buffer, start)
            except RecursionError:
                fault = "nested too deeply"
            except json.JSONDecodeError as error:
                if error.msg.startswith("Unterminated") or error.pos > len(buffer) - 16:
                    cut = error.msg  # perhaps only because the buffer ends here
                else:
                    fault = error.msg
        if not fault and not 0 <= end < len(buffer):  # the rest of the item is still in the file
            more = text.read(max(CHUNK, len(buffer) - at))
            if more and len(buffer) - at <= LIMIT:
                buffer, at = buffer[at:] + more, 0
                continue
            if not more and not in_list and start == len(buffer):
                return
            if more or in_list or end != len(buffer):
                fault = cut if not more else f"an item of more than {LIMIT >> 20} MiB"
        if fault:
            raise UserError(f"{path}[{index}]", f"not JSON ({fault})", "fix the file: what follows cannot be read")
        yield f"{path}[{index}]", buffer[start:end]
        at, index = end, index + 1


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None, "no space at all matches, too"
    return found.end()


def _parquet(file: IO[bytes], path: str) -> Iterator[tuple[str, Raw]]:
    import pyarrow
    import pyarrow.parquet

    try:
        index = 0
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(BATCH):
            for row in batch.to_pylist():
                yield f"{path}[{index}]", row
                index += 1
    except pyarrow.ArrowException as error:
        raise UserError(path, f"not Parquet ({error})", "check the file") from None


def _hub(name: str, subset: str | None, split: str) -> Iterator[tuple[str, Raw]]:
    import datasets

    place = f"{HUB}{name}"
    try:
        for index, row in enumerate(datasets.load_dataset(name, subset, split=split, streaming=True)):
            yield f"{place}[{index}]", row
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        fault = " ".join(str(error).split())[:200]
        remedy = "check the name and the network (HF_TOKEN for a gated one), or fetch the file and give its path"
        raise UserError(place, f"cannot be read ({fault})", remedy) from None
