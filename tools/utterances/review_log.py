"""What a reviewer decided about examples: read, append and fold review.jsonl, and apply it to a task's examples."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError, model_validator

from callwright.errors import UserError
from callwright.files import read_jsonl, to_json, write_jsonl
from callwright.locks import locked
from callwright.records import Call, Example, Record, explain
from callwright.tasks import seed_fault

NAMED = 5
"""The summary names so many of the decisions that were not applied."""


class Decision(Record):
    """A line of review.jsonl, which only grows."""

    id: str
    """of the example"""
    action: Literal["accept", "reject", "edit", "relabel", "undo"]
    """`relabel` is an edit that changes the label; `undo` takes back the last decision about the example"""
    text: str | None = None
    """of an edit or relabelling, like `calls` and `reply`: what the example says from now on"""
    calls: list[Call] | None = None
    reply: str | None = None
    sha: str
    """digest of the example as it was generated when it was decided"""
    time: str
    """UTC, ISO 8601; what was decided at one stroke has one time"""

    @model_validator(mode="after")
    def _consistent(self) -> "Decision":
        if not self.rewrites:
            if (self.text, self.calls, self.reply) != (None, None, None):
                raise ValueError(f"{self.action} takes no text, calls or reply")
        elif not (self.text or "").strip() or self.calls is None or not (self.calls or self.reply):
            raise ValueError(f"{self.action} needs text, calls and, where calls is empty, reply")
        return self

    @property
    def rewrites(self) -> bool:
        """Tell whether the example says something else from now on."""
        return self.action in ("edit", "relabel")


Live = dict[str, Decision]
"""example id → the decision that holds"""


def digest(example: Example) -> str:
    """Return what a decision was about: the first 16 hex digits of the SHA-256 of text or messages, calls and reply."""
    seen = [example.text, example.messages, [call.model_dump() for call in example.calls], example.reply]
    return hashlib.sha256(to_json(seen).encode()).hexdigest()[:16]


def read_decisions(path: Path) -> list[Decision]:
    """Read the lines of review.jsonl; none where there is no such file.

    Raises:
        UserError: at `file:line`.
    """
    decisions = []
    for place, value in read_jsonl(path) if path.exists() else ():
        try:
            decisions.append(Decision.model_validate(value))
        except ValidationError as error:
            raise UserError(place, explain(error), "fix the line or drop it") from None
    return decisions


def replay_log(decisions: Iterable[Decision]) -> Live:
    """Return the decision that holds for each example: the last one that was not taken back."""
    stacks: dict[str, list[Decision]] = {}
    for decision in decisions:
        stack = stacks.setdefault(decision.id, [])
        if decision.action != "undo":
            stack.append(decision)
        elif stack:
            stack.pop()
    return {identity: stack[-1] for identity, stack in stacks.items() if stack}


def decide(path: Path, make_decisions: Callable[[Live, str], list[Decision]]) -> tuple[Live, list[Decision]]:
    """Append what `make_decisions` makes of the decisions that hold and the time; return those that hold then, and the new ones.

    The folder is locked meanwhile, so that pages side by side see each other's lines; they are on the disk on return.

    Raises:
        UserError: a broken line, or the file cannot be written; it is then as it was.
    """
    with locked(path.parent):
        known = read_decisions(path)
        new = make_decisions(replay_log(known), datetime.now(UTC).isoformat(timespec="microseconds"))
        if new:
            write_jsonl(path, (decision.model_dump(exclude_none=True) for decision in [*known, *new]))
    return replay_log([*known, *new]), new


def rewritten(example: Example, decision: Decision) -> Example:
    """Return the example with the decision's text, calls and reply; its matchers go where its calls changed."""
    assert decision.text is not None and decision.calls is not None, decision
    change: dict[str, Any] = {"text": decision.text, "calls": decision.calls, "reply": decision.reply}
    if example.messages is not None:
        said = list(example.messages)
        at = max((at for at, message in enumerate(said) if message.get("role") == "user"), default=-1)
        said[at] = {**said[at], "content": decision.text}
        change |= {"text": None, "messages": said}
    if decision.calls != example.calls:
        change["expected"] = None
    return example.model_copy(update={**change, "source": "review"})


def apply_decisions(
    examples: Iterable[Example], decisions: Live, tools: list[dict[str, Any]], counts: Counter[str], left: list[str]
) -> Iterator[Example]:
    """Yield the examples as they were decided, the rejected ones left out.

    A decision whose example is gone, or is not what was decided about, or that no longer fits the tools changes nothing.

    Args:
        counts: is told how many decisions of each action were applied.
        left: is told the others, each with the reason.
    """
    missing = dict(decisions)
    for example in examples:
        if (decision := missing.pop(example.id, None)) is None:
            yield example
            continue
        new = rewritten(example, decision) if decision.rewrites else example
        fault = "the line has changed since" if digest(example) != decision.sha else None
        if fault or (decision.rewrites and (fault := seed_fault(new, tools))):
            left.append(f"{decision.action} {example.id}: {fault}")
            yield example
            continue
        counts[decision.action] += 1
        if decision.action != "reject":
            yield new
    left += [f"{decision.action} {identity}: there is no such line" for identity, decision in missing.items()]


def summary(counts: Counter[str], left: Sequence[str]) -> str:
    """Say what `apply_decisions` did, for the console."""
    done = ", ".join(f"{count} {action}" for action, count in sorted(counts.items())) or "none"
    more = [f"and {len(left) - NAMED} more"] if len(left) > NAMED else []
    return "\n  ".join([f"decisions applied: {done}; not applied: {len(left)}", *left[:NAMED], *more])
