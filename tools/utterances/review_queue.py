"""What lies before a reviewer: lines, why they are suspicious, and what may be decided about them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from callwright.errors import UserError
from callwright.expectations import GROUNDED, share_said, unlisted_values
from callwright.files import parse_json
from callwright.json_schema import argument_schema
from callwright.records import Call, Example, explain
from callwright.schema import parameters_of
from callwright.tasks import seed_fault
from callwright.text import fold_case
from tools.utterances.baseline import out_of_fold_label_error
from tools.utterances.near_duplicates import near_pairs
from tools.utterances.review_log import Decision, Live, decide, digest, rewritten

UNLIKELY = 0.8
"""A label is suspicious from this probability of the other one."""
NEAR = 85.0
"""Lines of two lineages, or two labels, are suspicious from this similarity (near_pairs, 0 to 100)."""
FACETS = ("language", "label", "kind", "source", "reason", "decision")

Tools = list[dict[str, Any]]


class Reason(NamedTuple):
    """Why a line is suspicious; `weight` is from 0 to 1."""

    kind: str
    weight: float
    text: str


@dataclass(frozen=True)
class ReviewedLine:
    """An example under review."""

    example: Example
    sha: str
    reasons: Sequence[Reason]

    def held(self, live: Live) -> Decision | None:
        """Return the decision about the line, applied or not; None where the line has changed since."""
        decision, own = live.get(self.example.id), self.example
        if decision is None or decision.sha == self.sha:
            return decision
        applied = (own.utterance, own.calls, own.reply) == (decision.text, decision.calls, decision.reply)
        return decision if applied else None

    def now(self, live: Live) -> Example:
        """Return the example as it was decided."""
        held = self.held(live)
        return rewritten(self.example, held) if held and held.rewrites else self.example

    def facets(self, live: Live) -> list[set[str]]:
        """Return what the filters go by, in the order of FACETS."""
        now, held = self.now(live), self.held(live)
        reasons = {reason.kind for reason in self.reasons} or {"none"}
        state = {"decided", held.action} if held else {"open"}
        return [{now.tags.get("lang", "")}, {now.label}, {now.tags.get("kind", "")}, {now.source}, reasons, state]


def ungrounded(example: Example, tools: Tools) -> Iterable[Reason]:
    """Yield the text arguments that the utterance does not say; those of a list need not be said."""
    for call in example.calls:
        parameters = parameters_of(call.name, tools)
        for key, value in call.arguments.items():
            texts = [leaf for leaf in unlisted_values({key: value}, parameters) if isinstance(leaf, str)]
            share = min((share_said(leaf, example.utterance) for leaf in texts), default=1.0)
            if share < GROUNDED:
                yield Reason("grounding", 1 - share, f"the utterance has only {share:.0%} of the words of {key}")


def inspect(examples: Sequence[Example], tools: Tools) -> list[ReviewedLine]:
    """Return the examples with what is suspicious about them, the most suspicious first."""
    reasons = [list(ungrounded(example, tools)) for example in examples]
    try:
        chances = out_of_fold_label_error(examples)
    except UserError as error:  # a task may be too young for that
        print(f"labels are not checked: {error}")
        chances = [0.0] * len(examples)
    for own, example, chance in zip(reasons, examples, chances, strict=True):
        if chance >= UNLIKELY:
            other = "no_call" if example.calls else "call"
            own.append(Reason("label", chance, f"its character n-grams say {other} ({chance:.0%})"))
    for pair in near_pairs([example.utterance for example in examples], NEAR):
        one, two = (examples[index] for index in pair)
        if one.after_result == two.after_result and (one.label != two.label or one.lineage != two.lineage):
            for index, twin in zip(pair, (two, one), strict=True):
                text = f"nearly the same as {twin.id} ({twin.label}): {twin.utterance}"
                reasons[index].append(Reason("near-duplicate", 1.0 if one.label != two.label else 0.5, text))
    lines = [ReviewedLine(example, digest(example), own) for example, own in zip(examples, reasons, strict=True)]
    return sorted(lines, key=lambda line: -sum(reason.weight for reason in line.reasons))


def pretty(calls: Iterable[Call]) -> str:
    """Write calls as indented JSON."""
    return json.dumps([call.model_dump() for call in calls], ensure_ascii=False, indent=2)


@dataclass(frozen=True)
class ReviewQueue:
    """The lines under review, by id in the order of the queue, and the file of the decisions about them."""

    lines: dict[str, ReviewedLine]
    path: Path
    tools: Tools

    def pick(self, live: Live, chosen: Sequence[str]) -> list[str]:
        """Return the ids that pass the filters: a value a facet ("" is any), then words of the id, text, calls or reply."""

        def passes(line: ReviewedLine) -> bool:
            if any(want and want not in have for want, have in zip(chosen, line.facets(live), strict=False)):
                return False
            now, words = line.now(live), fold_case(chosen[-1])
            return not words or words in fold_case(f"{now.id} {now.utterance} {pretty(now.calls)} {now.reply}")

        return [identity for identity, line in self.lines.items() if passes(line)]

    def decision_about(self, identity: str, live: Live, action: str, time: str, **said: Any) -> Decision:
        """Make a decision about the line as it was generated, also where an earlier one has been applied to it."""
        line = self.lines[identity]
        return Decision(id=identity, action=action, sha=(line.held(live) or line).sha, time=time, **said)

    def judge(self, action: str, ids: Iterable[str]) -> tuple[Live, list[Decision]]:
        """Accept or reject lines at one stroke. To accept what was rewritten leaves it rewritten."""

        def decide_now(live: Live, time: str) -> list[Decision]:
            new: list[Decision] = []
            for identity in dict.fromkeys(ids):
                held = self.lines[identity].held(live)
                if held and (held.action == action or (held.rewrites and action == "accept")):
                    continue  # it holds already
                new.append(self.decision_about(identity, live, action, time))
            return new

        return decide(self.path, decide_now)

    def rewrite(self, identity: str, text: str, calls: str, reply: str) -> tuple[Live, list[Decision]]:
        """Let a line say something else.

        Raises:
            ValueError: with the fault in words: `calls` is not JSON, or what is said does not fit the tools.
        """

        def decide_now(live: Live, time: str) -> list[Decision]:
            wanted = parse_json(calls.strip() or "[]")
            action = "edit" if bool(wanted) == bool(self.lines[identity].now(live).calls) else "relabel"
            said = {"text": text.strip(), "calls": wanted, "reply": reply.strip() or None}
            new = self.decision_about(identity, live, action, time, **said)
            if fault := seed_fault(rewritten(self.lines[identity].example, new), self.tools):
                raise ValueError(fault)
            return [new]

        try:
            return decide(self.path, decide_now)
        except ValidationError as error:
            raise ValueError(explain(error)) from None

    def undo(self, times: list[str]) -> tuple[Live, list[Decision]]:
        """Take back what was decided at the last of `times` of which something still holds; the times are used up."""

        def decide_now(live: Live, now: str) -> list[Decision]:
            new: list[Decision] = []
            while times and not new:
                last = times.pop()
                new = [Decision(id=i, action="undo", sha=d.sha, time=now) for i, d in live.items() if d.time == last]
            return new

        return decide(self.path, decide_now)

    def relabelled(self, now: Example) -> Example:
        """Return what to start from when a line gets the other label: no call, or the first tool's with the utterance in it."""
        function = self.tools[0]["function"]
        needed = argument_schema(function["parameters"]).required
        call = Call(name=function["name"], arguments=dict.fromkeys(needed, now.utterance))
        return now.model_copy(update={"calls": [] if now.calls else [call], "reply": None})
