"""Write the pages: the templates and their filters, a case as they show it, and how much of it they show."""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from callwright.files import to_json, write_text
from callwright.records import Call, Case
from callwright.results import MEANING, Result
from callwright.summary import COUNTED, interval, number
from eval.reporting.compare import gain_line, verdict_line
from eval.reporting.section import MAX_CHARACTERS, clip
from eval.scoring.summary import SMALL

MAX_CASES = 5_000
"""shown; the rest is in results.jsonl"""
PAGE_CHARACTERS, TEXTS, LEAST_CHARACTERS = 24_000_000, 6, 800
"""of all texts of a page's cases, long texts a case, and what is shown of each in any case"""
MAX_ANCHOR = 120
"""characters of a place's name; of longer ones a hash stands there"""

T = TypeVar("T")


def write_page(template: str, view: dict[str, Any], path: Path) -> Path:
    """Write the page that a template makes of a view; return its path."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # the words are a model's: none of them may become markup
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room = PAGE_CHARACTERS // (TEXTS * max(1, len(view["cases_shown"])))
    usual = max(LEAST_CHARACTERS, min(MAX_CHARACTERS, room))
    environment.filters |= {
        "number": number,
        "interval": interval,
        "signed": partial(number, form="+.3f"),
        "signed_interval": partial(interval, form="+.3f"),
        "percent": lambda value: f"{100 * value:.2f}%",
        "gain_line": gain_line,
        "verdict_line": verdict_line,
        "json": to_json,
        "clip": lambda text, most=usual: clip(text, most),
        "csp_hash": csp_hash,
        "call": call_text,
    }
    environment.globals |= {"meaning": MEANING, "small": SMALL, "counted": COUNTED}
    write_text(path, environment.get_template(template).render(view))
    return path


def anchor(kind: str, name: str) -> str:
    """Return a place on a page, the same in every report: `case-g-17`."""
    safe = quote(name, safe="", errors="replace")
    return f"{kind}-{safe if len(safe) <= MAX_ANCHOR else hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:16]}"


def call_text(call: Call) -> str:
    """Write an expected call as people read it: `f(x="y")`."""
    return f"{call.name}({', '.join(f'{key}={to_json(value)}' for key, value in call.arguments.items())})"


def csp_hash(script: str) -> str:
    """Return a script as a page's Content-Security-Policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(str(script).encode()).digest()).decode()


def take_turns(items: Sequence[T], kind: Callable[[T], Any], most: int = MAX_CASES) -> list[T]:
    """Return at most `most` items, in their order, kinds taking turns: no kind crowds out another."""
    seen: Counter[Any] = Counter()
    turns = []
    for index, item in enumerate(items):
        turns.append((seen[kind(item)], index))
        seen[kind(item)] += 1
    return [items[index] for index in sorted(index for _, index in sorted(turns)[:most])]


def entry(kind: str, sides: Sequence[tuple[str, Result]], case: Case | None) -> dict[str, Any]:
    """Return a case as a page shows it: the answers to it side by side, what was sent, and what it can be filtered by.

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
    if not result.scored:
        return "unscored"
    return "right" if result.correct else "wrong"


def tools_of(entries: Sequence[dict[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return the different tools that the cases of a page offer: JSON → the tool's place on the page, and its name."""
    found: dict[str, tuple[str, Any]] = {}
    for case in (entry["case"] for entry in entries if entry["case"]):
        for tool in case.tools:
            name = str(tool.get("function", tool).get("name"))
            found.setdefault(to_json(tool), (f"tool-{len(found) + 1}", name))
    return found
