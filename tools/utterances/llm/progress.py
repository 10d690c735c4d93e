"""Say how a run is getting on, on a terminal and in a log, and why it ended without all the lines that were wanted."""

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tools.utterances.llm.ledger import Ledger
from tools.utterances.llm.rate_limiter import RateLimiter

EVERY_S = 15.0
"""The seconds between two lines in a log that is no terminal."""
EARLY = 50
"""By the repetitions among so many first lines a model that copies is told from one that has said all that it can."""


def reasons_in_words(reasons: Counter[str]) -> str:
    """Say reasons in words, the most frequent first: `4 disagreement, 1 broken`."""
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common() if count)


@dataclass
class Progress:
    """What has come so far of a run; as text, the state in one line."""

    wanted: int  # lines
    requests: int  # that the whole run is expected to take
    ledger: Ledger
    budget: str  # what follows the dollars spent; empty where nothing costs anything
    limiter: RateLimiter | None = None
    answers: int = 0  # of the ledger and of the server
    good: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.start, self.known = time.monotonic(), self.ledger.answered

    def answered(self) -> None:
        """Count an answer."""
        self.answers += 1

    def line(self, reason: str | None) -> None:
        """Count a line: why it is rejected, or None where it is good."""
        self.good += reason is None
        self.rejected.update([reason] if reason else [])

    def __str__(self) -> str:
        rejected = (
            f", {self.rejected.total()} rejected ({reasons_in_words(self.rejected)})" if self.rejected.total() else ""
        )
        parts = [f"{self.answers} answers", f"{self.good} good lines of {self.wanted}{rejected}"]
        if fresh := self.ledger.answered - self.known:
            each = (time.monotonic() - self.start) / fresh
            at_once = f", {self.limiter.window} at a time" if self.limiter else ""
            parts += [f"{each:.1f} s an answer{at_once}"]
            left = (
                max(0, self.wanted - self.good) * self.answers / self.good
                if self.good
                else self.requests - self.answers
            )
            parts += [f"about {max(left, 0) * each / 60:.0f} min left"]
        if self.budget:
            parts += [f"{self.ledger.spent:.4f} {self.budget}"]
        return "; ".join(parts)


@contextmanager
def show_progress(progress: Progress, name: str) -> Iterator[None]:
    """Show the progress while the block lasts: a bar on a terminal, a line now and then where there is none."""
    from rich.console import Console

    console, ended = Console(stderr=True), threading.Event()
    if console.is_terminal:
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        bar = Bar(BarColumn(20), TextColumn("{task.description}"), TimeElapsedColumn(), console=console)
        task = bar.add_task(name, total=progress.wanted)
        show, every = lambda: bar.update(task, description=str(progress), completed=progress.good), 0.2
    else:
        bar, every = None, EVERY_S
        show = lambda: print(f"{name}: {progress}", file=sys.stderr, flush=True)  # noqa: E731

    def repeat() -> None:
        while not ended.wait(every):
            show()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        if bar:
            with bar:
                yield
        else:
            yield
    finally:
        ended.set()
        thread.join()


class Shortfall:
    """Learns from every line of each label, in order, why a label may end without enough of them."""

    def __init__(self) -> None:
        self.early = defaultdict[str, list[str]](list)
        self.all, self.last = defaultdict[str, Counter[str]](Counter), defaultdict[str, Counter[str]](Counter)

    def line(self, label: str, reason: str) -> None:
        """Count a line: why it is rejected, or nothing where it is new."""
        if len(self.early[label]) < EARLY:
            self.early[label].append(reason)
        self.all[label][reason] += 1
        self.last[label][reason] += 1
        if not reason:
            self.last[label].clear()

    def why(self, label: str) -> str:
        """Say why nothing new came of a label any more, and what to do."""
        last, every, early = self.last[label], self.all[label], self.early[label]
        other = Counter({reason: count for reason, count in last.items() if reason != "duplicate"})
        if not last.total():
            return "nobody answered with lines; look into rejected.jsonl"
        if other.total() > last["duplicate"]:
            return f"of the last {last.total()} lines none was good ({reasons_in_words(last)}); use another model, or other seeds"
        if early.count("duplicate") * 2 >= len(early):
            fault = f"{every['duplicate']} of {every.total()} lines repeat a seed or each other: this model copies"
            return f"{fault}; raise augment.api.temperature, or use another model or other augment.api.modes"
        fault = f"no more new lines to be had: {last['duplicate']} of the last {last.total()} were there already"
        return f"{fault}; write more seeds, ask for fewer lines, or use another model"
