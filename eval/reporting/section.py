"""One set of cases as the console, the pages and CI show it: figures, gains, where answers fail, seconds, slices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from callwright.results import STAGES, Result
from callwright.summary import FIGURES, HEADLINE, Bounds, Figure, Latency, SliceFigures, Summary
from eval.reporting.compare import Comparison, Gain
from eval.scoring.cases import SET_TAG
from eval.scoring.replies import FAULTS
from eval.scoring.runs import Run, WordBaseline, unchecked_cases
from eval.scoring.summary import summarise

MAX_SLICES = 30
"""of a tag"""
BINS = 30
"""of a histogram"""
MAX_CHARACTERS = 4_000
"""of one text"""
MAX_NAME = 80
"""characters of a model's name"""

Cell = tuple[float | None, Bounds]
"""a figure and its interval"""


@dataclass(frozen=True)
class FigureRow:
    """A line of a table of figures: a cell a model, the gain, and what the n-grams alone reach."""

    key: str
    """its name in FIGURES; empty for a figure of one JSON type, or of one fault"""
    label: str
    cells: list[Cell]
    gain: Gain | None
    baseline: Cell


@dataclass(frozen=True)
class Section:
    """One set of cases: what one model, or two, did on it; what it is compared with comes first."""

    name: str
    models: list[tuple[str, Summary]]
    comparison: Comparison | None
    baseline: WordBaseline | None
    unchecked: list[str]
    probes: list[int | None]
    """the tokens after which a probe cut a model's answers, so that nothing is said of its replies and seconds"""
    figures: list[FigureRow]
    parts: list[FigureRow]
    funnel: list[dict[str, Any]]
    latency: dict[str, Any]
    slices: list[dict[str, Any]]

    @property
    def rows(self) -> list[FigureRow]:
        """All figures."""
        return [*self.figures, *self.parts]


@dataclass(frozen=True)
class Model:
    """What one model did on a set of cases."""

    name: str
    results: list[Result]
    summary: Summary
    probe: int | None


def model_of(run: Run, name: str, results: list[Result], called: str = "") -> Model:
    """Return what the model of a run did on a set of cases.

    Args:
        results: all of the set, or those that another run shares.
        called: what the model is called here, if not by its own name.
    """
    summary = run.summary_of(name) if results is run.sets.get(name) else summarise(results)
    if run.probe:
        summary = summary.model_copy(update={"replies": None, "latency": Latency()})
    return Model(clip(called or run.name, MAX_NAME), results, summary, run.probe)


def make_section(
    name: str, models: Sequence[Model], comparison: Comparison | None, baseline: WordBaseline | None
) -> Section:
    """Lay out one set of cases."""
    rows = _rows([model.summary for model in models], comparison, baseline)
    slices = [model.summary.slices for model in models]
    return Section(
        name=name,
        models=[(model.name, model.summary) for model in models],
        comparison=comparison,
        baseline=baseline,
        unchecked=unchecked_cases([result for model in models for result in model.results]),
        probes=[model.probe for model in models],
        figures=[row for row in rows if row.key in HEADLINE],
        parts=[row for row in rows if row.key not in HEADLINE],
        funnel=_funnel(models),
        latency=_latency(models),
        slices=_slices(slices[-1], slices[0] if len(models) > 1 else {}),
    )


def clip(text: str, most: int = MAX_CHARACTERS) -> str:
    """Return the start of a long text, and how much of it is not shown."""
    text = str(text)
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"


def _rows(
    summaries: Sequence[Summary], comparison: Comparison | None, baseline: WordBaseline | None
) -> list[FigureRow]:
    """Return the figures that are defined for a model, with those of each JSON type and of each fault of a reply."""
    wanted: list[tuple[str, Figure]] = list(FIGURES.items())
    if len(types := summaries[-1].arguments.by_type) > 1:
        wanted += [("", Figure(f"F1 of arguments of type {kind}", f"arguments.by_type.{kind}.f1")) for kind in types]
    for fault, words in FAULTS.items():
        if any(summary.at(f"replies.faults.{fault}.n") for summary in summaries):
            wanted.append(("", Figure(f"replies that {words}", f"replies.faults.{fault}.share")))
    rows = []
    for key, figure in wanted:
        cells = [(summary.at(figure.path), summary.at(figure.interval)) for summary in summaries]
        known = [value is not None for value, _ in cells]
        if any(known):
            gain = comparison.gains.get(key) if comparison and all(known) else None
            words_alone = baseline.summary if baseline else Summary()
            row = FigureRow(
                key, figure.label, cells, gain, (words_alone.at(figure.path), words_alone.at(figure.interval))
            )
            rows.append(row)
    return rows


def _funnel(models: Sequence[Model]) -> list[dict[str, Any]]:
    """Count how many cases each stage takes and leaves, those apart in which a call is due and in which none is."""
    groups = []
    for name, due in (("A call is due", True), ("No call is due", False)):
        counts = [Counter(r.verdict for r in model.results if bool(r.expected) == due) for model in models]
        left = [count.total() for count in counts]
        stages = []
        for verdict in (stage for stage in STAGES if any(count[stage] for count in counts)):
            lost = [0 if verdict == "correct" else count[verdict] for count in counts]
            left = [have - gone for have, gone in zip(left, lost, strict=True)]
            totals = [count.total() for count in counts]
            stages.append({"verdict": verdict, "models": list(zip(lost, left, totals, strict=True))})
        if stages:
            groups.append({"name": name, "n": counts[-1].total(), "stages": stages})
    return groups


def _latency(models: Sequence[Model]) -> dict[str, Any]:
    """Draw histograms of seconds an answer over one logarithmic axis, the fullest bin 100 high."""
    seconds = [
        [max(r.latency_s, 0.001) for r in model.results if r.scored and r.latency_s and not model.probe]
        for model in models
    ]
    every = [one for own in seconds for one in own]
    if not every:
        return {"models": [], "edges": []}
    edges = np.geomspace(min(every), max(max(every), min(every) * 1.01), BINS + 1)
    pictures: list[tuple[str, list[dict[str, float]], Latency]] = []
    for model, own in zip(models, seconds, strict=True):
        counts = np.histogram(own, edges)[0].tolist() if own else []
        bins = [
            {"n": n, "height": round(100 * n / max(counts), 1), "low": edges[place], "high": edges[place + 1]}
            for place, n in enumerate(counts)
        ]
        pictures.append((model.name, bins, model.summary.latency))
    return {"models": pictures, "edges": [edges[0], edges[BINS // 2], edges[-1]]}


def _slices(
    mine: dict[str, dict[str, SliceFigures]], theirs: dict[str, dict[str, SliceFigures]]
) -> list[dict[str, Any]]:
    """Return the slices of each tag that has several, the largest first."""
    found = []
    for tag, values in mine.items():
        if tag == SET_TAG or len(values) < 2:
            continue
        measured = sum(value.f1 is not None for value in values.values())
        shown = [(name, value, theirs.get(tag, {}).get(name)) for name, value in values.items()][:MAX_SLICES]
        hidden = len(values) - len(shown)
        mixed = 0 < measured < len(values)
        found.append({"tag": tag, "shown": shown, "measured": measured, "mixed": mixed, "hidden": hidden})
    return found
