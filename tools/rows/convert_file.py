"""Any format → rows, OpenAI messages or cases: what `python -m tools.convert --from` does."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from callwright.config import Source
from callwright.errors import Parser, UserError
from callwright.files import atomic, to_json
from tools.formats import bfcl, case, openai, sharegpt
from tools.formats.conversation import Loss
from tools.formats.dataset_info import check_name, entry_of
from tools.formats.ingest import HUB, Make, Tally, ingest, records
from tools.formats.readers import EVALUATION_ONLY, READERS
from tools.formats.reshape import AS_THEY_ARE, THOUGHTS, WORDS, Options, reshaped

MASK_HISTORY = "  every row ends with the one answer that is to be learned: train them with mask_history: true"


def maker(form: str, to: str, source: str, tally: Tally, options: Options = AS_THEY_ARE) -> Make[str]:
    """Make the writer of a record's output: a line, or several where its answers are not all to be learned."""
    if form == "bfcl":
        answers = bfcl.read_answers(Path(source))
        return lambda record, lost: to_json(bfcl.read_case(record, answers).model_dump())

    def make(record: dict[str, Any], lost: list[Loss]) -> str:
        lines = []
        for number, conversation in enumerate(reshaped(READERS[form](record), options)):
            if to == "openai":
                value = openai.write(conversation, lost)
            elif to == "cases":
                suffix = f"-{number + 1}" if number else ""
                value = case.write(conversation, f"{Path(source).name}-{tally.read}{suffix}", lost).model_dump()
            else:
                value = sharegpt.write(conversation, lost)
            line = to_json(value)
            line.encode()  # a lone surrogate fails here, while it has a place
            lines.append(line)
        return "\n".join(lines)

    return make


def convert_file(args: argparse.Namespace) -> Tally:
    """Convert one source; what does not reach the output stands in `<out>.lost.jsonl`: skipped records, lost text.

    Raises:
        UserError: a bad record, unless they are skipped; or none that is good: only `<out>.lost.jsonl` is written then.
    """
    out = Path(args.out)
    if out.resolve() == Path(args.source).resolve():
        raise UserError(out, "is the source as well", "write to another file")
    aside = out.with_name(f"{out.name}.lost.jsonl")
    with atomic(aside) as lost:
        tally = Tally(lost)
        with suppress(_NothingError), atomic(out) as rows:
            for line in lines_of(args, tally):
                rows.write(line + "\n")
            if not tally.taken:
                raise _NothingError
    if not tally.taken:
        written = f"; {aside} has each" if tally.skipped else ""
        raise UserError(args.source, f"nothing to convert ({tally.summary()}{written})", "check the file and --from")
    if not tally.skipped and not tally.lost:
        aside.unlink()
    return tally


def lines_of(args: argparse.Namespace, tally: Tally) -> Iterator[str]:
    """Yield the output of each record, as the arguments say."""
    options = Options(args.fold, args.drop, args.unlearned)
    source = islice(records(args.source, args.subset, args.split), args.limit)
    make = maker(args.format, args.to, args.source, tally, options)
    return (line for _, line in ingest(source, make, tally, args.on_error))


class _NothingError(Exception):
    """Keeps an output from being written that would be empty."""


def dry_run(args: argparse.Namespace) -> None:
    """Print what would become of a source, as a table; write nothing."""
    from rich.console import Console
    from rich.table import Table

    tally = Tally()
    args.on_error, lines = "skip", 0
    for line in lines_of(args, tally):
        lines += line.count("\n") + 1
    table = Table("", "records", "first at", title=f"{args.source}: {args.format} to {args.to}")
    table.add_row("read", str(tally.read), "")
    table.add_row("converted", f"{tally.taken}{f' ({lines} lines)' if lines != tally.taken else ''}", "")
    for reason, count in tally.skipped.most_common():
        table.add_row(f"left out: {tally.first[reason][0]}", str(count), tally.first[reason][1])
    for what, count in tally.lost.most_common():
        table.add_row(f"lost: {what}", str(count), tally.first[what][1])
    Console(soft_wrap=not Console().is_terminal).print(table)


def sources_of(given: Sequence[str], sources: Sequence[Source]) -> list[Source]:
    """Replace each source of a config by a given `FORMAT:PATH` or `FORMAT:hub:<owner>/<name>` in the same place.

    The share, the number of samples and what is changed stay; sources beyond the given ones fall away, given ones beyond them are added.
    """
    result = []
    for number, text in enumerate(given):
        form, colon, path = text.partition(":")
        if not colon or form not in READERS or not path:
            raise UserError(f"--source {text}", "is not FORMAT:PATH", f"choose a format of: {', '.join(READERS)}")
        place = {"hub": path.removeprefix(HUB)} if path.startswith(HUB) else {"path": path}
        like = sources[number] if number < len(sources) else None
        kept = like.model_dump(include={"share", "max_samples", "fold", "drop", "unlearned"}) if like else {}
        result.append(Source.model_validate({"from": form, **place, **kept}))
    return result


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments, and check them against each other."""
    parser = Parser("python -m tools.convert", __doc__)
    parser.add_argument("source", help="a task of configs/data/; with --from, a file or hub:<owner>/<name>")
    parser.add_argument("--from", dest="format", choices=[*READERS, *EVALUATION_ONLY], help="the format of the source")
    parser.add_argument("--to", choices=("sharegpt", "openai", "cases"), default="sharegpt", help="(default: sharegpt)")
    parser.add_argument("--out", help="the file to write")
    parser.add_argument("--on-error", choices=("stop", "skip"), default="stop", help="at a bad record (default: stop)")
    parser.add_argument("--fold", action="store_true", help="join messages that do not alternate")
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        choices=(THOUGHTS, WORDS),
        help="leave thoughts, or words beside calls, out",
    )
    parser.add_argument("--unlearned", choices=("learn", "mask"), help="answers of weight 0: docs/convert.md")
    parser.add_argument("--dry-run", action="store_true", help="print what would become of it; write nothing")
    parser.add_argument("--limit", type=int, help="read at most so many records")
    parser.add_argument("--name", help="register the rows in dataset_info.json under this name")
    parser.add_argument("--subset", help="of a hub's data set")
    parser.add_argument("--split", default="train", help="of a hub's data set (default: train)")
    parser.add_argument(
        "--source", dest="sources", action="append", default=[], metavar="FORMAT:PATH",
        help="of a task with sources: take this in place of the first (second, …) of them",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.limit is not None and args.limit < 1:
        raise UserError(f"--limit {args.limit}", "is not 1 or more", "leave it out to read all")
    if args.format is None:
        if args.out or args.name or args.dry_run or args.fold or args.drop or args.unlearned or args.limit:
            raise UserError("options of a file", "belong to --from", "say the format of the source")
        return args
    if args.sources:
        raise UserError("--source", "belongs to a task of configs/data/", "drop it, or --from")
    if args.out is None and not args.dry_run:
        raise UserError("--from", "needs --out", "say which file to write, or pass --dry-run")
    if args.format in EVALUATION_ONLY and args.to != "cases":
        raise UserError(f"--from {args.format}", "an evaluation set is never trained on", "pass --to cases")
    if args.name is not None:
        if args.to != "sharegpt":
            raise UserError(f"--name {args.name}", "only ShareGPT rows are registered", "drop it, or --to")
        check_name(args.name)
        entry_of(args.out)
    return args
