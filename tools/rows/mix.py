"""Mix the sources of a data config into rows and cases, the same for the same sources and seed."""

import hashlib
import tempfile
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import IO, Any, TypeVar

from callwright.config import DataConfig, Source
from callwright.errors import UserError
from callwright.files import ROOT, atomic, make_folder, to_json
from callwright.text import normal_form
from tools.formats import case, sharegpt
from tools.formats.conversation import Conversation, Loss, calls_of
from tools.formats.ingest import HUB, Make, Tally, ingest, records
from tools.formats.readers import EVALUATION_ONLY, READERS
from tools.formats.reshape import Options, reshaped
from tools.rows.split import SIDES

SHOWN = 40
"""functions that the picture names"""
T = TypeVar("T")
Picks = list[tuple[int, int]]
"""lines of a side: the number of the source, and where the line begins in its spool"""


def functions_of(conversation: Conversation) -> list[str]:
    """List the names of the functions that a conversation calls."""
    return [name for message in conversation.messages for name, _ in calls_of(message)]


def side_of(keys: Iterable[str], seed: int, weights: list[int]) -> int:
    """Choose the side (0 train, 1 val, 2 test) of a conversation with these keys, by their hashes.

    A key belongs to one side; a conversation with keys of several goes to the last of them. So no key of test is ever
    in train or val, and none of val in train, also where conversations tie all keys together.
    """
    side = 0
    for key in keys:
        digest = hashlib.sha256(f"{seed}/{key}".encode()).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64 * sum(weights)
        if point >= weights[0] + weights[1]:
            side = 2
        elif point >= weights[0]:
            side = max(side, 1)
    return side


def keys_of(conversation: Conversation, by: str) -> list[str]:
    """List what a conversation may not share with another side: the functions that it calls, else its opening text."""
    names = functions_of(conversation) if by == "function" else []
    opening = next((m["content"] for m in conversation.messages if m["role"] == "user"), "")
    return names or [normal_form(opening)]


def quotas(counts: list[int], sources: list[Source]) -> list[int]:
    """Count the lines of each source that the mix takes: all, or as many as the shares allow without repeating any."""
    capped = [min(count, source.max_samples or count) for count, source in zip(counts, sources, strict=True)]
    shares = [source.share for source in sources if source.share is not None]
    if not shares:
        return capped
    whole = min(count / share for count, share in zip(capped, shares, strict=True))
    return [round(whole * share) for share in shares]


def weights_of(config: DataConfig) -> list[int]:
    """List the proportions of the sides."""
    return [config.split.train, config.split.val, config.split.test]


def reader_of(source: Source) -> Callable[[dict[str, Any]], list[Conversation]]:
    """Make the reader of a source's records; UserError for a format that is never trained on, or not there."""
    if source.from_ not in READERS:
        why = " to train on: an evaluation set is never trained on" if source.from_ in EVALUATION_ONLY else ""
        raise UserError(f"from: {source.from_}", f"no such format{why}", f"choose one of: {', '.join(READERS)}")
    read, options = READERS[source.from_], Options(source.fold, source.drop, source.unlearned)
    return lambda record: reshaped(read(record), options)


def read_source(source: Source, make: Make[T], tally: Tally) -> Iterator[T]:
    """Yield what `make` makes of each record of a source; UserError where it cannot be read, or nothing in it is good."""
    place = f"{HUB}{source.hub}" if source.hub else str(ROOT / str(source.path))
    for _, value in ingest(records(place, source.subset, source.split), make, tally, source.on_error):
        yield value
    if not tally.taken:
        fault = f"no conversation that can be trained on ({tally.summary()})"
        raise UserError(place, fault, "check the file and its format")


def spool(
    config: DataConfig, number: int, file: IO[bytes], functions: Counter[str], tally: Tally
) -> tuple[array, bytearray]:
    """Write the line of each conversation of a source to its spool; return where each begins, and its side."""
    source = config.sources[number]
    weights, read = weights_of(config), reader_of(source)

    def make(record: dict[str, Any], lost: list[Loss]) -> tuple[int, list[bytes], list[str]]:
        conversations = read(record)
        whole, lines = conversations[-1], []  # the last of those that come of one record holds the others
        side = side_of(keys_of(whole, config.split.by), config.seed, weights)
        for at, conversation in enumerate(conversations):
            row = sharegpt.write(conversation, lost)  # what cannot be a row is no case either
            name = f"{number + 1}-{source.from_}-{tally.read}{f'-{at + 1}' if at else ''}"
            value = case.write(conversation, name).model_dump() if SIDES[side] == "test" else row
            lines.append(to_json(value).encode())
        return side, lines, functions_of(whole)

    starts, sides = array("Q"), bytearray()
    for side, lines, names in read_source(source, make, tally):
        for line in lines:
            starts.append(file.tell())
            sides.append(side)
            file.write(line + b"\n")
        functions.update(names)
    return starts, sides


def mix(config: DataConfig) -> dict[str, int]:
    """Write data/<task>_{train,val}.jsonl and _test.jsonl; return how many lines there are of each.

    Lines wait in spool files, of which memory holds only where each begins: a mix may be larger than memory.
    UserError: a source that cannot be read, an unknown format, a side without rows.
    """
    for source in config.sources:
        reader_of(source)  # a wrong one is told before hours of reading
    make_folder(config.work)
    rng, functions, sides = Random(f"{config.seed}/mix"), Counter[str](), {side: Picks() for side in SIDES}
    with ExitStack() as stack:
        lost = stack.enter_context(atomic(config.work / "lost.jsonl"))
        tallies = [Tally(lost) for _ in config.sources]
        spools = [stack.enter_context(tempfile.TemporaryFile(dir=config.work)) for _ in config.sources]
        spooled = [spool(config, n, spools[n], functions, tallies[n]) for n in range(len(spools))]
        wanted = quotas([len(starts) for starts, _ in spooled], config.sources)
        for number, ((starts, side_numbers), quota) in enumerate(zip(spooled, wanted, strict=True)):
            for line in rng.sample(range(len(starts)), quota):
                sides[SIDES[side_numbers[line]]].append((number, starts[line]))
        for side, weight in zip(SIDES, weights_of(config), strict=True):
            if weight and not sides[side]:
                raise UserError(f"split.{side}", "no line falls to this side", "raise its part, or set it to 0")
        counts = {side: len(picks) for side, picks in sides.items() if picks}
        for side in counts:
            rng.shuffle(picks := sides[side])
            with atomic(config.built(side)) as out:
                for number, start in picks:
                    spools[number].seek(start)
                    out.write(spools[number].readline().decode())
    for source, tally, quota in zip(config.sources, tallies, wanted, strict=True):
        name = f"{source.hub or source.path} ({source.from_})"
        print(f"  {name}: {tally.read} read, {tally.taken} good, {quota} in the mix")
        print("".join(f"  {line}\n" for line in tally.lines()), end="")
    if functions:
        picture = config.work / "functions.png"
        plot_function_counts(functions, picture)
        print(f"  {len(functions)} functions in {functions.total()} calls: {picture.relative_to(ROOT)}")
    return counts


def plot_function_counts(functions: Counter[str], path: Path) -> None:
    """Plot how often each function is called: the most frequent by name, and all by rank."""
    from matplotlib.figure import Figure

    top = functions.most_common(SHOWN)[::-1]
    figure = Figure(figsize=(11, max(3.0, 0.2 * len(top) + 1)), layout="constrained")
    named, ranked = figure.subplots(1, 2, width_ratios=(3, 2))
    named.barh([name[:40].replace("$", r"\$") for name, _ in top], [count for _, count in top])
    named.set(xlabel="calls", title=f"the {len(top)} most called of {len(functions)} functions")
    named.tick_params(axis="y", labelsize=7)
    ranked.loglog(range(1, len(functions) + 1), sorted(functions.values(), reverse=True))
    ranked.set(xlabel="rank", ylabel="calls", title="all functions")
    figure.savefig(path, dpi=120)
