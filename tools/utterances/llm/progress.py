"""Say how a run is getting on, on a terminal and in a log, and why it ended without all the lines that were wanted."""

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

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
            left: float = self.requests - self.answers
            if self.good:
                left = (self.wanted - self.good) * self.answers / self.good
            parts += [f"about {max(left, 0) * each / 60:.0f} min left"]
        if self.budget:
            parts += [f"{self.ledger.spent:.4f} {self.budget}"]
        return "; ".join(parts)


@contextmanager
def show_progress(progress: Progress, name: str) -> Iterator[None]:
    """Show the progress while the block lasts: a bar on a terminal, a line now and then where there is none."""
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if console.is_terminal:
        with Live(get_renderable=lambda: bar(progress), console=console, refresh_per_second=5):
            yield
        return
    ended = threading.Event()

    def log() -> None:
        while not ended.wait(EVERY_S):
            print(f"{name}: {progress}", file=sys.stderr, flush=True)

    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bar(progress: Progress) -> Any:
    """Draw the good lines as a bar, beside the state and the time that has passed."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    grid = Table.grid(padding=(0, 1))
    passed = timedelta(seconds=int(time.monotonic() - progress.start))
    grid.add_row(ProgressBar(progress.wanted, progress.good, width=20), str(progress), str(passed))
    return grid


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
