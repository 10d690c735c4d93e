"""Read a task (tools.json, seeds.jsonl, golden.jsonl and grammar.yaml under data/seeds/<task>/) with good errors."""

import re
from calendar import day_abbr, day_name, month_name
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import scan_jsonl
from callwright.matchers import accepts, is_optional, matcher_fault
from callwright.records import Call, Seed, read_records
from callwright.schema import call_fault
from callwright.yaml_config import read_yaml


def read_seeds(path: str | Path, tools: list[dict[str, Any]]) -> list[Seed]:
    """Read seeds whose calls fit the tools and whose `expected` accepts their own calls; UserError at `file:line`."""
    return read_records(path, Seed, lambda seed: seed_fault(seed, tools))


STARTER, WRITTEN = "starter-", "written-"
"""How the ids of lines begin that `make new` made up, and that a large model wrote for it."""
SMALL = 30
"""Golden lines below which the interval of a share is wider than 0.35."""


def read_golden(path: str | Path, tools: list[dict[str, Any]]) -> list[Seed]:
    """Read the golden lines of a task as read_seeds does; UserError, too, where there is no line."""
    golden = read_seeds(path, tools)
    if not golden:
        remedy = f"write what users type and what is right for it, {SMALL} lines or more of both labels"
        raise UserError(path, "holds no line: nothing would be measured", remedy)
    return golden


def golden_gaps(lines: Sequence[tuple[str, bool]], name: str = "golden") -> list[str]:
    """Say why lines that measure a model measure little; [] where nothing is wrong.

    Args:
        lines: the id of each, and whether it calls.
        name: what they are called.
    """
    found = []
    made_up = sum(identity.startswith(STARTER) for identity, _ in lines)
    if made_up:
        found.append(
            f"{made_up} of {len(lines)} {name} lines are starter lines, which nobody has said: figures on them are of the "
            "pipeline, not of your users; write your own in their place"
        )
    calls = sum(call for _, call in lines)
    if lines and calls in (0, len(lines)):
        found.append(
            f"{name} has only lines that {'call' if calls else 'do not call'}: it cannot show the other mistake"
        )
    elif 0 < len(lines) < SMALL:
        found.append(f"{name} has {len(lines)} lines: its intervals are wide; {SMALL} is little, 100 are better")
    return found


def authors(lines: Sequence[Seed]) -> dict[str, int]:
    """Count who wrote hand-written lines, by their ids: `people`, `starter` and `model` → lines; without those of none."""
    counts = {"people": 0, "starter": 0, "model": 0}
    for line in lines:
        who = "starter" if line.id.startswith(STARTER) else "model" if line.id.startswith(WRITTEN) else "people"
        counts[who] += 1
    return {who: count for who, count in counts.items() if count}


def seed_fault(seed: Seed, tools: list[dict[str, Any]]) -> str | None:
    """Say what is wrong with a seed under its tools; None where nothing is."""
    for call in seed.calls:
        if fault := call_fault(call, tools):
            return fault
    for call, expected in zip(seed.calls, seed.expected or [], strict=False):
        if fault := expected_fault(call, expected):
            return fault
    return None


def expected_fault(call: Call, expected: Call) -> str | None:
    """Say why `expected` does not accept the reference call; None where it does."""
    if call.name != expected.name:
        return f"expected names {expected.name!r}, the call is {call.name!r}"
    for key, matcher in expected.arguments.items():
        if fault := matcher_fault(matcher):
            return f"expected.{key}: {fault}"
        if key not in call.arguments:
            if not is_optional(matcher):
                return f"expected.{key}: the call has no such argument"
        elif not accepts(matcher, call.arguments[key]):
            return f"expected.{key}: {matcher} does not accept the call's own {call.arguments[key]!r}"
    extra = next((key for key in call.arguments if key not in expected.arguments), None)
    return f"expected says nothing of argument {extra!r}" if extra else None


MONTHS = "|".join(filter(None, month_name))
DATES = {
    r"\d{4}-\d\d-\d\d": "{day:%Y-%m-%d}",
    r"\d{4}/\d\d?/\d\d?": "{day:%Y/%m/%d}",
    r"\d{4} ?年 ?\d\d? ?月 ?\d\d? ?日": "{day.year}年{day.month}月{day.day}日",
    rf"(?:{MONTHS}) \d\d?, \d{{4}}": "{month} {day.day}, {day.year}",
    rf"\d\d? (?:{MONTHS}) \d{{4}}": "{day.day} {month} {day.year}",
}
"""How a system message may write the day → how another day is written in its place."""
WEEKDAYS = {
    "|".join(day_name): "{weekday}",
    rf"\b(?:{'|'.join(day_abbr)})\b": "{short}",
    "(?<=星期|禮拜|礼拜)[一二三四五六日天]": "{chinese}",
}


def say_today(message: str, today: date) -> str | None:
    """Write today in place of the day and the weekday that a system message names; None where it names no day."""
    weekday = today.weekday()
    words = {"weekday": day_name[weekday], "short": day_abbr[weekday], "chinese": "一二三四五六日"[weekday]}
    words["month"] = month_name[today.month]
    forms = list(DATES.values())

    def today_in_its_form(match: re.Match[str]) -> str:
        return forms[(match.lastindex or 1) - 1].format(day=today, **words)

    message, found = re.subn("|".join(f"({form})" for form in DATES), today_in_its_form, message)
    for form, text in WEEKDAYS.items():
        message = re.sub(form, text.format(**words), message)
    return message if found else None


def today_message(folder: Path, today: date) -> str | None:
    """Return what a task's lines say in their `system` of the day, said of today; None where none says what day it is.

    Args:
        folder: data/seeds/<task>/.
    """
    return next(filter(None, (say_today(message, today) for message in _systems(folder))), None)


def _systems(folder: Path) -> Iterator[str]:
    """Yield the system messages of single lines: of seeds, then those that the grammar draws from."""
    if (seeds := folder / "seeds.jsonl").is_file():
        for _, line in scan_jsonl(seeds):
            if isinstance(line, dict) and isinstance(line.get("system"), str):
                yield line["system"]
    if (grammar := folder / "grammar.yaml").is_file():
        systems = read_yaml(grammar).get("systems")
        for system in systems if isinstance(systems, list) else ():
            if isinstance(system, str):
                yield system
