"""Show a run in about a dozen lines on the terminal: what the report leads with."""

from collections.abc import Sequence

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from callwright.results import Verdict
from callwright.summary import FIGURES, Latency, Summary, number, value_and_interval
from eval.reporting.compare import gain_line, verdict_line
from eval.reporting.section import Section
from eval.scoring.runs import WordBaseline


def plain(words: str) -> Text:
    """Return foreign words for a terminal: neither markup nor control codes come of them."""
    return Text("".join(mark if mark.isprintable() else "\ufffd" for mark in words))


def show(sections: Sequence[Section]) -> None:
    """Print each set of cases to standard output."""
    console = Console(soft_wrap=True, highlight=False)
    for section in sections:
        console.print(lines(section))


def lines(section: Section) -> Group:
    """Lay out one set of cases: a column a model, then whether the difference could be chance."""
    table = Table(title=plain(section.name), title_justify="left", box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for name, _ in section.models:
        table.add_column(plain(name))
    summaries = [summary for _, summary in section.models]
    for key in ("f1", "precision", "recall"):
        label = FIGURES[key].name.removesuffix(" to call")  # two models and this column are to fit in 80 characters
        table.add_row(label, *(_cell(summary, key) for summary in summaries))
    decisions = [summary.decision for summary in summaries]
    table.add_row("tp  fp  fn  tn", *(f"{d.tp}  {d.fp}  {d.fn}  {d.tn}" for d in decisions))
    table.add_row(FIGURES["strict_accuracy"].name, *(_cell(summary, "strict_accuracy") for summary in summaries))
    parts = [f"{number(summary.names.f1)} / {number(summary.arguments.f1)}" for summary in summaries]
    table.add_row("F1 of names / arguments", *parts)
    table.add_row("verdicts", *(_most_frequent(summary.verdicts) for summary in summaries))
    table.add_row("scored", *(f"{s.scored} of {s.n}, {s.infra_errors} infra errors" for s in summaries))
    cells = zip(summaries, section.probes, strict=True)
    table.add_row("latency p50 / p95", *(_latency(summary.latency, probe) for summary, probe in cells))
    if section.baseline:
        table.add_row("F1 of n-grams alone", *[""] * (len(summaries) - 1), _baseline(section.baseline))
    unchecked = [plain(f"unchecked, and so unscored: {case}") for case in section.unchecked]
    if section.comparison is None:
        return Group(table, *unchecked)
    a, b = (str(plain(name)) for name, _ in section.models)
    comparison = section.comparison
    return Group(table, *unchecked, Text(gain_line(comparison)), Text(verdict_line(comparison, a, b)))


def _cell(summary: Summary, key: str) -> Text:
    return Text(value_and_interval(*summary.figure(key)), style="bold" if key == "f1" else "")


def _most_frequent(verdicts: dict[Verdict, int]) -> str:
    ranked = sorted(verdicts.items(), key=lambda item: -item[1])
    more = len(ranked) - 3
    return ", ".join(f"{name} {count}" for name, count in ranked[:3]) + (f", {more} more" if more > 0 else "")


def _latency(latency: Latency, probe: int | None) -> str:
    if probe:
        return f"– (cut at {probe} tokens)"
    return " / ".join("–" if seconds is None else f"{seconds:.2f} s" for seconds in (latency.p50, latency.p95))


def _baseline(baseline: WordBaseline) -> str:
    return f"{value_and_interval(*baseline.summary.figure('f1'))} after {baseline.lines:,} lines"
