"""What the pages share: the templates, a set of cases as they show it, and how much of it they show."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import numpy as np

from callwright.files import to_json, write_text
from callwright.records import Call, Case
from eval.reporting import console
from eval.scoring.cases import SET_TAG
from eval.scoring.figures import COUNTED, FIGURES, HEADLINE, at
from eval.scoring.score import interval, number, unchecked_cases
from eval.scoring.summary import SMALL, summarise
from eval.scoring.verdict import STAGES, Result

if TYPE_CHECKING:
    from eval.reporting.compare import Comparison, Gain

MAX_CASES = 5_000
"""shown; the rest is in results.jsonl"""
PAGE_CHARACTERS, TEXTS, LEAST_CHARACTERS = 24_000_000, 6, 800
"""of all texts of a page's cases, long texts a case, and what is shown of each in any case"""
MAX_SLICES = 30
"""of a tag"""
MAX_CHARACTERS = 4_000
"""of one text"""
MAX_ANCHOR = 120
"""characters of a place's name; of longer ones a hash stands there"""
BINS = 30
"""of a histogram"""

MEANING = {
    "infra_error": "the endpoint did not answer: unscored",
    "unchecked": "the schema of a tool cannot be used, or takes too long to check: unscored",
    "truncated": "cut at the token limit",
    "no_call": "plain text where a call was due",
    "text_call_unparsed": "a whole call in the text that the server did not return",
    "bad_json": "a call whose JSON is broken",
    "unknown_tool": "a tool that was not on offer",
    "wrong_tool": "another tool than expected",
    "missing_call": "fewer calls than expected",
    "extra_call": "more calls than expected",
    "missing_required": "an argument is missing",
    "extra_argument": "an argument too many",
    "wrong_type": "an argument of the wrong type",
    "schema_violation": "an argument that breaks the schema",
    "wrong_value": "an argument with the wrong value",
    "state_mismatch": "the tools ended in another state",
    "false_call": "a call where none was due",
    "malformed_attempt": "a call that was tried, and none that is whole, or none due",
    "correct": "all right",
}

FAULTS = {
    "empty": "hold no words",
    "cut": "are cut at the token limit",
    "script": "are in another script than the user's",
    "loop": "loop at the end",
    "echo": "give the user's own words back",
    "leak": "leak a token of the template",
}
"""of eval.replies"""

UNMEASURED: dict[str, Any] = {"replies": None, "latency": {"p50": None, "p95": None}}
"""of a summary, where answers were cut"""

Models = Sequence[tuple[str, Sequence[Result]]]
"""the name and results of one model, or of two: what it is compared with comes first"""
T = TypeVar("T")


def draw(template: str, view: dict[str, Any], path: Path) -> Path:
    """Write the page that a template makes of a view; return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # the words are a model's: none of them may become markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "interval": interval, "signed": console.signed, "json": to_json}
    most = PAGE_CHARACTERS // (TEXTS * max(1, len(view["cases_shown"])))
    most = max(LEAST_CHARACTERS, min(MAX_CHARACTERS, most))
    environment.filters |= {"percent": lambda value: f"{100 * value:.2f}%", "p": console.p_value}
    environment.filters |= {"clip": partial(_clip, most), "anchor": anchor}
    environment.filters |= {"signed_interval": console.signed_interval, "csp_hash": csp_hash, "call": call_text}
    environment.filters |= {"gain_line": console.gain_line, "verdict_line": console.verdict_line}
    environment.globals |= {"meaning": MEANING, "small": SMALL, "counted": COUNTED}
    write_text(path, environment.get_template(template).render(view))
    return path


def clip(text: str, most: int = MAX_CHARACTERS) -> str:
    """The start of a long text, and how much of it is not shown."""
    text = str(text)
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most:,} more characters)"


def _clip(usual: int, text: str, most: int | None = None) -> str:
    return clip(text, most or usual)


def anchor(kind: str, name: str) -> str:
    """A place on a page, the same in every report: `case-g-17`."""
    safe = quote(name, safe="", errors="replace")
    return f"{kind}-{safe if len(safe) <= MAX_ANCHOR else hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


def call_text(call: Call) -> str:
    """An expected call as people read it: `f(x="y")`."""
    return f"{call.name}({', '.join(f'{key}={to_json(value)}' for key, value in call.arguments.items())})"


def csp_hash(script: str) -> str:
    """A script as a page's Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()


def spread(items: Sequence[T], kind: Callable[[T], Any], most: int = MAX_CASES) -> list[T]:
    """At most `most` items, in their order, kinds taking turns: no kind crowds out another."""
    seen: Counter[Any] = Counter()
    turns = []
    for index, item in enumerate(items):
        turns.append((seen[kind(item)], index))
        seen[kind(item)] += 1
    return [items[index] for index in sorted(index for _, index in sorted(turns)[:most])]


def entry(kind: str, sides: Sequence[tuple[str, Result]], case: Case | None) -> dict[str, Any]:
    """A case as a page shows it: the answers to it side by side, what was sent, and what it can be filtered by.

    Args:
        kind: what stands before it, such as `only B right`; the verdict where it is empty.
        case: as it was asked; None where its file has changed since.
    """
    last = sides[-1][1]
    tags = {clip(tag, 80): clip(value, 80) for tag, value in last.tags.items()}
    names = ("A verdict", "B verdict") if kind else ("base verdict", "verdict")
    verdicts = {name: r.verdict for name, (_, r) in zip(names[-len(sides) :], sides, strict=True)}
    outcome = {"change": kind} if kind else {"outcome": _outcome(last)}
    name = f"{last.id}#{last.sample + 1}" if last.sample else last.id
    return {
        "anchor": anchor("case", name),
        "kind": kind,
        "sides": sides,
        "case": case,
        "facets": outcome | verdicts | {tag: value for tag, value in tags.items() if tag not in (outcome | verdicts)},
    }


def _outcome(result: Result) -> str:
    return "unscored" if not result.scored else "right" if result.correct else "wrong"


def tools_of(entries: Sequence[dict[str, Any]]) -> dict[str, tuple[str, Any]]:
    """The different tools that the cases of a page offer: JSON → the tool's place on the page, and its name."""
    found: dict[str, tuple[str, Any]] = {}
    for case in (entry["case"] for entry in entries if entry["case"]):
        for tool in case.tools:
            name = str(tool.get("function", tool).get("name"))
            found.setdefault(to_json(tool), (f"tool-{len(found) + 1}", name))
    return found


def section(
    name: str,
    models: Models,
    comparison: "Comparison | None",
    probes: Sequence[int | None],
    baseline: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One set of cases: what one model, or two, did on it.

    Args:
        probes: the tokens after which a probe cut a model's answers, so that nothing is said of its replies and seconds.
        baseline: what the n-grams decide (see eval.reporting.runs).
    """
    summaries = [
        (clip(model, 80), summarise(results) | (UNMEASURED if probe else {}))
        for (model, results), probe in zip(models, probes, strict=True)
    ]
    mine = summaries[-1][1]
    table = [
        row | {"gain": _gain(row, comparison), "baseline": (at(baseline, row["value"]), at(baseline, row["ci95"]))}
        for row in _rows([summary for _, summary in summaries])
    ]
    return {
        "name": name,
        "models": summaries,
        "comparison": comparison,
        "baseline": baseline,
        "unchecked": unchecked_cases([result for _, results in models for result in results]),
        "probes": probes,
        "tokens": mine["completion_tokens"],
        "figures": [row for row in table if row["key"] in HEADLINE],
        "parts": [row for row in table if row["key"] not in HEADLINE],
        "funnel": _funnel(models),
        "latency": _latency(models, [summary["latency"] for _, summary in summaries]),
        "slices": _slices(mine["slices"], summaries[0][1]["slices"] if len(summaries) > 1 else {}),
    }


def _gain(row: dict[str, Any], comparison: "Comparison | None") -> "Gain | None":
    if comparison is None or any(value is None for value, _ in row["cells"]):
        return None
    return comparison.gains.get(row["key"])


def _rows(summaries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The figures that are defined for a model, with those of each JSON type and of each fault of a reply."""
    rows = [(key, *entry) for key, entry in FIGURES.items()]
    if len(types := summaries[-1]["arguments"]["by_type"]) > 1:
        paths = {kind: f"arguments.by_type.{kind}" for kind in types}
        rows += [("", f"arguments of type {kind}: F1", f"{path}.f1", f"{path}.ci95") for kind, path in paths.items()]
    for fault, words in FAULTS.items():
        path = f"replies.faults.{fault}"
        if any(at(summary, f"{path}.n") for summary in summaries):
            rows.append(("", f"replies that {words}", f"{path}.share", f"{path}.share_ci95"))
    found = []
    for key, label, value, ci95 in rows:
        cells = [(at(summary, value), at(summary, ci95)) for summary in summaries]
        if any(figure is not None for figure, _ in cells):
            found.append({"key": key, "label": label, "cells": cells, "value": value, "ci95": ci95})
    return found


def _funnel(models: Models) -> list[dict[str, Any]]:
    """How many cases each stage takes and leaves, those apart in which a call is due and in which none is."""
    groups = []
    for name, due in (("A call is due", True), ("No call is due", False)):
        counts = [Counter(r.verdict for r in results if bool(r.expected) == due) for _, results in models]
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


def _latency(models: Models, summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Histograms of seconds an answer over one logarithmic axis, the fullest bin 100 high."""
    seconds = [
        [max(r.latency_s, 0.001) for r in results if r.scored and r.latency_s] if summary["p50"] is not None else []
        for (_, results), summary in zip(models, summaries, strict=True)
    ]
    if not any(seconds):
        return {"models": [], "edges": []}
    low, high = min(map(min, filter(None, seconds))), max(map(max, filter(None, seconds)))
    edges = np.geomspace(low, max(high, low * 1.01), BINS + 1)
    pictures: list[tuple[str, list[dict[str, float]], dict[str, Any]]] = []
    for (name, _), mine, summary in zip(models, seconds, summaries, strict=True):
        if not mine:
            pictures.append((name, [], summary))
            continue
        counts, _ = np.histogram(mine, edges)
        places = zip(counts.tolist(), edges[:-1], edges[1:], strict=True)
        bins = [{"n": n, "height": round(100 * n / max(counts), 1), "low": a, "high": b} for n, a, b in places]
        pictures.append((name, bins, summary))
    return {"models": pictures, "edges": [edges[0], edges[BINS // 2], edges[-1]]}


def _slices(mine: dict[str, Any], theirs: dict[str, Any]) -> list[dict[str, Any]]:
    """The slices of each tag that has several, the largest first."""
    found = []
    for tag, values in mine.items():
        if tag == SET_TAG or len(values) < 2:
            continue
        measured = sum(value["f1"] is not None for value in values.values())
        shown = [(name, value, theirs.get(tag, {}).get(name)) for name, value in values.items()][:MAX_SLICES]
        hidden = len(values) - len(shown)
        mixed = 0 < measured < len(values)
        found.append({"tag": tag, "shown": shown, "measured": measured, "mixed": mixed, "hidden": hidden})
    return found
