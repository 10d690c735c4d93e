"""A run in about a dozen lines for the terminal: what the report leads with."""

from collections.abc import Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from eval.compare import Comparison
from eval.score import interval, number
from eval.summary import summarise
from eval.verdict import Result


def p_value(p: float) -> str:
    """A p-value as people read it."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def signed(value: float | None) -> str:
    """A difference as people read it."""
    return "–" if value is None else f"{value:+.3f}"


def verdict_line(comparison: Comparison) -> str:
    """Whether two models differ, in a sentence."""
    test = comparison.decided
    return (
        f"of {comparison.n} cases, {test.only_b} only tuned decided right, {test.only_a} only base: "
        f"exact McNemar {p_value(test.p)}"
    )


def lines(title: str, runs: Sequence[tuple[str, Sequence[Result]]], comparison: Comparison | None) -> Group:
    """One set of cases: a column a model, then whether the difference could be chance.

    Args:
        runs: the name and results of each model.
    """
    table = Table(title=title, title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name, _ in runs:
        table.add_column(name)
    summaries = [summarise(results) for _, results in runs]
    trigger = [summary["decision"] for summary in summaries]
    table.add_row("F1 of the decision", *(f"[bold]{number(t['f1'])}[/bold] {_plain(t['ci95'])}" for t in trigger))
    table.add_row("precision", *(f"{number(t['precision'])} {_plain(t['precision_ci95'])}" for t in trigger))
    table.add_row("recall", *(f"{number(t['recall'])} {_plain(t['recall_ci95'])}" for t in trigger))
    table.add_row("tp  fp  fn  tn", *(f"{t['tp']}  {t['fp']}  {t['fn']}  {t['tn']}" for t in trigger))
    table.add_row(
        "strict accuracy", *(f"{number(s['strict_accuracy'])} {_plain(s['strict_accuracy_ci95'])}" for s in summaries)
    )
    table.add_row("verdicts", *(_top(summary["verdicts"]) for summary in summaries))
    table.add_row("scored", *(f"{s['scored']} of {s['n']}, {s['infra_errors']} infra errors" for s in summaries))
    table.add_row("latency p50 / p95", *(f"{_s(s['latency']['p50'])} / {_s(s['latency']['p95'])}" for s in summaries))
    if comparison is None:
        return Group(table)
    gain = f"F1 gain {signed(comparison.f1_gain)} {interval(comparison.f1_gain_ci95)}; {verdict_line(comparison)}"
    return Group(table, Text(gain))


def show(groups: Sequence[Group]) -> None:
    """Print to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    for group in groups:
        console.print(group)


def _plain(bounds: Sequence[float] | None) -> str:
    return interval(bounds).replace("[", r"\[")


def _top(verdicts: dict[str, int]) -> str:
    ranked = sorted(verdicts.items(), key=lambda item: -item[1])
    more = len(ranked) - 3
    return ", ".join(f"{name} {count}" for name, count in ranked[:3]) + (f", {more} more" if more > 0 else "")


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"
