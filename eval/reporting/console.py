"""A run in about a dozen lines for the terminal: what the report leads with."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from eval.scoring.figures import figure
from eval.scoring.score import interval, number

if TYPE_CHECKING:
    from eval.reporting.compare import Comparison


def p_value(p: float) -> str:
    """A p-value as people read it."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def plain(words: str) -> Text:
    """Foreign words for a terminal: neither markup nor control codes come of them."""
    return Text("".join(mark if mark.isprintable() else "\ufffd" for mark in words))


def signed(value: float | None) -> str:
    """A difference as people read it."""
    return "–" if value is None else f"{value:+.3f}"


def signed_interval(bounds: Sequence[float] | None) -> str:
    """The interval of a difference as people read it."""
    return "" if bounds is None else f"[{bounds[0]:+.3f}, {bounds[1]:+.3f}]"


def gain_line(comparison: "Comparison") -> str:
    """The difference in F1, its interval, and the p-value of the test that asks the same: whether F1 differs."""
    gain = f"F1 gain {signed(comparison.f1_gain)} {signed_interval(comparison.f1_gain_ci95)}".rstrip()
    gain = f"{gain} on the {comparison.n} cases that both answered"
    groups = len({result.group for result in comparison.a})
    return gain if comparison.f1_p is None else f"{gain}: {p_value(comparison.f1_p)} (randomisation of {groups} groups)"


def verdict_line(comparison: "Comparison", a: str, b: str, strict: bool = False) -> str:
    """Whether one of two models gets more cases right, by the decision alone or in everything: not whether F1 differs."""
    test = comparison.strict if strict else comparison.decided
    groups = f" over groups ({test.for_b} against {test.for_a})"
    return (
        f"{'all' if strict else 'decision'} right: {test.only_b} only {b}, {test.only_a} only {a}, "
        f"exact McNemar {p_value(test.p)}{groups if (test.for_a, test.for_b) != (test.only_a, test.only_b) else ''}"
    )


def lines(section: Mapping[str, Any]) -> Group:
    """One set of cases (see eval.pages.section): a column a model, then whether the difference could be chance."""
    table = Table(
        title=plain(section["name"]), title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    table.add_column("")
    for name, _ in section["models"]:
        table.add_column(plain(name))
    summaries = [summary for _, summary in section["models"]]
    trigger = [summary["decision"] for summary in summaries]
    table.add_row("F1 of the decision", *(f"[bold]{number(t['f1'])}[/bold] {_bounds(t['ci95'])}" for t in trigger))
    table.add_row("precision", *(f"{number(t['precision'])} {_bounds(t['precision_ci95'])}" for t in trigger))
    table.add_row("recall", *(f"{number(t['recall'])} {_bounds(t['recall_ci95'])}" for t in trigger))
    table.add_row("tp  fp  fn  tn", *(f"{t['tp']}  {t['fp']}  {t['fn']}  {t['tn']}" for t in trigger))
    table.add_row(
        "strict accuracy", *(f"{number(s['strict_accuracy'])} {_bounds(s['strict_accuracy_ci95'])}" for s in summaries)
    )
    parts = [(figure(summary, "name_f1"), figure(summary, "argument_f1")) for summary in summaries]
    table.add_row("F1 of names / arguments", *(f"{number(name)} / {number(argument)}" for name, argument in parts))
    table.add_row("verdicts", *(_top(summary["verdicts"]) for summary in summaries))
    table.add_row("scored", *(f"{s['scored']} of {s['n']}, {s['infra_errors']} infra errors" for s in summaries))
    cells = zip(summaries, section["probes"], strict=True)
    table.add_row("latency p50 / p95", *(_latency(s["latency"], probe) for s, probe in cells))
    if baseline := section["baseline"]:
        table.add_row("F1 of n-grams alone", *[""] * (len(summaries) - 1), _baseline(baseline))
    unchecked = [plain(f"unchecked, and so unscored: {case}") for case in section["unchecked"]]
    if section["comparison"] is None:
        return Group(table, *unchecked)
    comparison = section["comparison"]
    a, b = (str(plain(name)) for name, _ in section["models"])
    return Group(table, *unchecked, Text(gain_line(comparison)), Text(verdict_line(comparison, a, b)))


def show(groups: Sequence[Group]) -> None:
    """Print to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    for group in groups:
        console.print(group)


def _bounds(bounds: Sequence[float] | None) -> str:
    return interval(bounds).replace("[", r"\[")


def _top(verdicts: dict[str, int]) -> str:
    ranked = sorted(verdicts.items(), key=lambda item: -item[1])
    more = len(ranked) - 3
    return ", ".join(f"{name} {count}" for name, count in ranked[:3]) + (f", {more} more" if more > 0 else "")


def _latency(latency: Mapping[str, float | None], probe: int | None) -> str:
    return f"– (cut at {probe} tokens)" if probe else f"{_s(latency['p50'])} / {_s(latency['p95'])}"


def _baseline(baseline: Mapping[str, Any]) -> str:
    found = baseline["decision"]
    return f"{number(found['f1'])} {_bounds(found['ci95'])} after {baseline['lines']:,} lines"


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"
