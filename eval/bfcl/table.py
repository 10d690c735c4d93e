"""What a BFCL run says: a row a category, and the columns of the leaderboard that were run in full. Never an overall."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from callwright.files import read_json
from callwright.results import Result
from eval.bfcl.questions import CATEGORIES, GOLD_FAILS, GOLD_UNFIT
from eval.scoring.stats import wilson

WIDTH = 100
"""of the tables, also where no terminal says otherwise"""

COLUMNS = ("category", "scored", "strict", "BFCL-compatible", "strict*", "BFCL*")
PUBLISHED = Path(__file__).with_name("published.json")
LIVE_AST = ("live_simple", "live_multiple", "live_parallel", "live_parallel_multiple")
IRRELEVANCE = ("irrelevance", "live_irrelevance")
strict = attrgetter("correct")
"""whether our verdict of a result is `correct`"""


@dataclass(frozen=True)
class CategoryRow:
    """One category, scored twice."""

    category: str
    results: Sequence[Result]
    """our verdicts"""
    faults: Mapping[str, str | None]
    """what BFCL finds wrong with each answer; None: nothing"""

    def share(self, right: Callable[[Result], bool], good_gold: bool = False) -> tuple[int, int]:
        """Return how many of how many scored answers are right; with `good_gold`, without the known-bad entries."""
        bad = GOLD_FAILS | GOLD_UNFIT if good_gold else frozenset()
        scored = [result for result in self.results if result.scored and result.id not in bad]
        return sum(map(right, scored)), len(scored)

    def compatible(self, result: Result) -> bool:
        """Return whether BFCL credits an answer."""
        return self.faults[result.id] is None

    def summary(self) -> dict[str, Any]:
        """Return the row as JSON: right answers and scored ones, by both measures, with and without the known-bad gold."""
        return {
            "n": len(self.results),
            "of": CATEGORIES[self.category],
            "infra_errors": sum(result.verdict == "infra_error" for result in self.results),
            **{
                name + suffix: list(self.share(right, good_gold))
                for name, right in (("strict", strict), ("compatible", self.compatible))
                for suffix, good_gold in (("", False), ("_good_gold", True))
            },
        }

    @property
    def accuracy(self) -> float | None:
        """BFCL's accuracy in per cent; None where the category was not asked and scored in full."""
        right, n = self.share(self.compatible)
        return 100 * right / n if n == CATEGORIES[self.category] else None


def comparable(rows: Sequence[CategoryRow]) -> list[float | None]:
    """Return this run in the columns of published.json; None where a column has categories that were not run in full.

    Non-live AST holds Java and JavaScript, which are not run here. Live AST weighs its categories by their size, and
    irrelevance does not (bfcl-eval, eval_checker/eval_runner_helper.py).
    """
    found = {row.category: row.accuracy for row in rows}

    def mean(categories: Sequence[str], weights: Sequence[int]) -> float | None:
        shares = [share for category in categories if (share := found.get(category)) is not None]
        if len(shares) < len(categories):
            return None
        return sum(share * weight for share, weight in zip(shares, weights, strict=True)) / sum(weights)

    live = mean(LIVE_AST, [CATEGORIES[category] for category in LIVE_AST])
    return [None, mean(["simple_python"], [1]), live, mean(IRRELEVANCE, [1, 1])]


def show(name: str, rows: Sequence[CategoryRow]) -> None:
    """Print both tables."""
    table = _table(f"BFCL, {name} (*: without the known-bad gold)", COLUMNS)
    for row in rows:
        every = [_cell(row.share(right)) for right in (strict, row.compatible)]
        good = [_cell(row.share(right, good_gold=True), bounds=False) for right in (strict, row.compatible)]
        table.add_row(row.category, f"{row.share(strict)[1]} of {CATEGORIES[row.category]}", *every, *good)
    published = read_json(PUBLISHED)
    title = f"published {published['date']} (–: not run in full, or has Java in it)"
    beside = _table(title, ("model", *published["columns"]))
    for model, values in {**published["rows"], name: comparable(rows)}.items():
        beside.add_row(model, *("–" if value is None else f"{value:.1f}" for value in values))
    console = Console(width=max(Console().width, WIDTH), highlight=False)
    console.print(table, beside, sep="\n")


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _cell(share: tuple[int, int], bounds: bool = True) -> str:
    right, n = share
    if (interval := wilson(right, n)) is None:
        return "–"
    low, high = (f"{100 * bound:.1f}" for bound in interval)
    return f"{100 * right / n:.1f}" + (f" \\[{low}, {high}]" if bounds else "")
