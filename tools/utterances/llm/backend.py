"""Rounds of utterances from a large model, each labelled apart, checked, and taken in the plan's order."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.expectations import expected_call
from callwright.files import atomic, to_json
from callwright.records import Call, Example, Seed
from callwright.schema import parameters_of
from callwright.text import normal_form
from tools.formats.builder import ConversationBuilder
from tools.utterances.llm import check
from tools.utterances.llm.batch import BatchClient
from tools.utterances.llm.client import REFUSED, LLMClient, connected
from tools.utterances.llm.estimate import estimate, start
from tools.utterances.llm.label import TextCallError, in_form, labelling, longest_label, read_form, read_label, thinks
from tools.utterances.llm.ledger import Answer, Ledger, Request
from tools.utterances.llm.plan import LABELS, Job, Planner, again
from tools.utterances.llm.progress import Progress, Shortfall, reasons_in_words, show_progress

PATIENCE = 3
"""A label counts as exhausted after so many rounds in a row without anything new."""
GRACE_S = 5.0
"""When the run is interrupted, requests under way are given so many seconds."""
LINK = re.compile(r"https?://[!-~]+")

Tools = list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What came of one utterance, or of a broken answer."""

    text: str
    messages: list[dict[str, Any]] | None = None  # up to the tools' results, where they were made up
    calls: Sequence[Call] = ()
    reply: str | None = None
    reason: str | None = None  # why it is rejected; None where nothing is wrong
    detail: str = ""


class Writer:
    """Does jobs: asks, reads, tells the model once what was wrong, labels, checks."""

    def __init__(self, planner: Planner, seeds: Sequence[Seed], client: LLMClient, progress: Progress) -> None:
        self.planner, self.client, self.scripts, self.progress = planner, client, check.Scripts(seeds), progress
        self.seeds, self.room = seeds, longest_label(seeds, planner.tools)

    async def do(self, job: Job) -> list[Outcome]:
        """Return what came of a job, in the order of its answer; nothing here depends on what other jobs of the round bring."""
        if job.mode == "result" and job.parent:
            return await self.follow(job, job.parent)
        texts, broken = await self.read(job.request, check.read_utterances, "")
        for line in broken:
            self.progress.line(line.reason)
        lines = await asyncio.gather(*(self.label(job, text) for text in (texts or [])[: self.planner.api.lines]))
        return [*broken, *(line for own in lines for line in own)]

    async def read(self, request: Any, reader: Any, text: str) -> tuple[Any, list[Outcome]]:
        """Return what `reader` makes of an answer, or of a second one (None where both are broken), and the broken ones as lines."""
        broken: list[Outcome] = []
        while len(broken) < 2:
            answer: Answer = await self.client.ask(request)
            if answer.finish == REFUSED:
                return None, [*broken, Outcome(text, reason="refused", detail=str(answer.content))]
            if thinks(answer) and request.body["max_tokens"] < (full := self.planner.api.max_tokens):
                request = Request({**request.body, "max_tokens": full}, request.ordinal)
                continue
            try:
                return reader(answer), broken
            except ValueError as error:
                said = answer.content or to_json(answer.calls)
                broken.append(Outcome(text, reason="broken", detail=f"{error}: {said}"))
                if isinstance(error, TextCallError):
                    request, reader = in_form(request, self.seeds), partial(read_form, tools=self.planner.tools)
                else:
                    request = again(request, said, str(error))
        return None, broken

    async def labelled(self, job: Job, text: str, said: list[dict[str, Any]]) -> list[Outcome]:
        """Have what was said labelled by a request that knows no purpose; the broken answers come first."""
        planner = self.planner
        request = labelling(planner.config, planner.api, said, planner.tools, self.room)
        label, broken = await self.read(request, partial(read_label, tools=planner.tools), text)
        if label is None:
            return broken
        line = Outcome(text, said if len(said) > 1 else None, *label)
        fault = check.disagreement(job.label, job.names, job.counts, line.calls)
        return [*broken, replace(line, reason="disagreement", detail=fault) if fault else line]

    async def label(self, job: Job, text: str) -> list[Outcome]:
        """Label and check an utterance; the broken answers that it took come first."""
        lines = await self.checked(job, text)
        for line in lines:
            self.progress.line(line.reason)
        return lines

    async def checked(self, job: Job, text: str) -> list[Outcome]:
        """Label an utterance that is new and in its language, and say of each answer whether it can be used."""
        planner = self.planner
        if normal_form(text) in planner.novelty.seen:
            return [Outcome(text, reason="duplicate")]
        if fault := self.scripts.fault(text, job.tags["lang"]):
            return [Outcome(text, reason="script", detail=fault)]
        *broken, line = await self.labelled(job, text, [{"role": "user", "content": text}])
        drift = check.drift(job.parent, line.calls) if job.mode == "paraphrase" and job.parent else None
        loose = check.ungrounded(text, line.calls, planner.tools)
        for reason, fault in (("disagreement", drift), ("ungrounded", loose)):
            if fault and line.reason is None:
                line = replace(line, reason=reason, detail=fault)
        return [*broken, line]

    async def follow(self, job: Job, parent: Example) -> list[Outcome]:
        """Have tool results made up for an example's calls, and label what is said then by a request that knows no more."""
        text = parent.utterance
        results, broken = await self.read(job.request, partial(check.read_results, count=len(parent.calls)), text)
        if results is None:
            return broken
        builder = ConversationBuilder(list(parent.messages or [{"role": "user", "content": text}]))
        builder.add_calls(call.model_dump() for call in parent.calls)
        builder.add_results(*results)
        *more, line = await self.labelled(job, text, builder.messages)
        fault = self.scripts.fault(LINK.sub("", str(line.reply)), job.tags.get("lang", ""))
        if line.reason is None and fault:
            line = replace(line, reason="script", detail=fault)
        return [*broken, *more, line]


def take(planner: Planner, job: Job, number: int, line: Outcome) -> tuple[Example | None, dict[str, Any] | None]:
    """Return an example that is new and wanted, or what rejected.jsonl says of the line; neither where it is only too much."""
    asked = {"messages": line.messages} if line.messages else {"text": line.text}
    values = {"id": f"{job.id}/{number}", **asked, "calls": list(line.calls), "reply": line.reply}
    source, done = f"openai:{planner.api.model}", job.parent.transforms if job.parent and line.messages else []
    history = {"tags": job.tags, "lineage": job.lineage, "source": source, "transforms": [*done, job.mode]}
    reason = line.reason
    if reason is None:
        wanted = [expected_call(call, line.text, parameters_of(call.name, planner.tools)) for call in line.calls]
        example = Example(**values, **history, expected=wanted or None)
        if line.messages or planner.admit(example):
            return example, None
        if not planner.missing(job.label):
            return None, None
        reason = "duplicate"
    more = {"calls": [call.model_dump() for call in line.calls], "label": job.label, "reason": reason}
    return None, {**values, **history, "text": line.text, **more, "detail": line.detail}


def from_openai(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> Iterator[Example]:
    """Yield the seeds, then what a large model wrote and labelled, until there is enough of each label.

    The plan depends on the config, the seeds and the answers in the plan's order; not on their order of arrival, nor on
    when a run was killed.

    Raises:
        UserError: a wrong key, URL or model; the estimate, or what was paid, would pass budget_usd.
    """
    guess, _ = estimate(config, seeds, tools, batch)
    api, planner, examples = start(config, seeds, tools)
    with closing(Ledger(config.work / "ledger.sqlite")) as ledger:
        kept = f"{ledger.answered:,} answers for {ledger.spent:.2f} dollars are in the ledger"
        print(f"augment {config.task}: {guess}; {kept}", file=sys.stderr)
        if guess.dollars > api.budget_usd:
            fault = f"{api.budget_usd:g} dollars are less than the estimate, {guess.dollars:.2f}"
            raise UserError("augment.api.budget_usd", fault, "raise it, or ask for fewer examples")
        yield from examples
        free = not any(price.input or price.output for price in api.prices.values())
        budget = "" if free else f"of {api.budget_usd:g} dollars"
        progress = Progress(sum(map(planner.missing, LABELS)), guess.requests, ledger, budget)
        with (
            atomic(config.work / "rejected.jsonl") as rejected,
            show_progress(progress, f"augment {config.task}"),
            asyncio.Runner() as loop,
            connected(api, loop) as connection,
        ):
            client = (BatchClient if batch else LLMClient)(api, ledger, connection, progress.answered)
            progress.limiter = None if batch else client.limiter
            writer, reasons, barren = Writer(planner, seeds, client, progress), Counter[str](), Counter[str]()
            shortfall = Shortfall()
            while jobs := planner.plan([label for label in LABELS if barren[label] < PATIENCE]):
                barren.update({job.label for job in jobs})
                for job, lines in zip(jobs, loop.run(together(writer, jobs)), strict=True):
                    for number, line in enumerate(lines, 1):
                        example, reject = take(planner, job, number, line)
                        if example:
                            barren[job.label] = 0
                            shortfall.line(job.label, "")
                            yield example
                        elif reject:
                            reasons[reject["reason"]] += 1
                            shortfall.line(job.label, reject["reason"])
                            rejected.write(to_json(reject) + "\n")
    where = (config.work / "rejected.jsonl").relative_to(config.work.parents[2])
    why = f"{reasons_in_words(reasons) or 'none'} ({where})"
    print(f"augment {config.task}: {ledger.spent:.4f} dollars spent; rejected: {why}", file=sys.stderr)
    for label in filter(planner.missing, LABELS):
        lack = f"{planner.missing(label)} {label} examples are missing: {PATIENCE} rounds brought nothing new"
        print(f"augment {config.task}: {lack}; {shortfall.why(label)}", file=sys.stderr)


async def together(writer: Writer, jobs: Sequence[Job]) -> list[list[Outcome]]:
    """Return the lines of all jobs, in their order. When the run must stop, what is under way is waited for: it is paid."""
    try:
        done = await asyncio.gather(*map(writer.do, jobs), return_exceptions=True)
    except asyncio.CancelledError:  # Ctrl-C or a signal to end
        print(f"stopping: what is under way has {GRACE_S:g} s to arrive", file=sys.stderr, flush=True)
        await writer.client.wind_up(GRACE_S)
        raise
    await asyncio.gather(*writer.client.asking.values(), return_exceptions=True)
    for failure in done:
        if isinstance(failure, BaseException):
            raise failure
    return done  # type: ignore[return-value]
