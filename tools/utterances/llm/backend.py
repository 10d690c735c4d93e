"""Rounds of utterances from a large model, each labelled apart, checked, and taken in the plan's order."""

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

from callwright.config import Api, DataConfig
from callwright.errors import UserError
from callwright.files import atomic, to_json
from callwright.records import Call, Example, Seed
from tools.formats.builder import ConversationBuilder
from tools.utterances.llm import check
from tools.utterances.llm.ask import REFUSED, Asker, connected, cost
from tools.utterances.llm.batch import BatchAsker
from tools.utterances.llm.label import TextCallError, in_form, labelling, longest_label, read_form, read_label, thinks
from tools.utterances.llm.ledger import Answer, Ledger, Request
from tools.utterances.llm.plan import LABELS, Job, Planner, again, own_seeds
from tools.utterances.llm.progress import Progress, Shortfall, counted, shown
from tools.utterances.near_duplicates import normal_form

BYTES_PER_TOKEN = 3.5
"""an estimate for English and Chinese alike; a model's own tokenizer would come from a network"""
EXPECTED = 0.8
"""part of the utterances that the preflight expects to be good"""
PATIENCE = 3
"""rounds in a row without anything new, after which a label counts as exhausted"""
GRACE_S = 5.0
"""that requests under way are given when the run is interrupted"""
RESULT = 60
"""tokens that the preflight expects of what tools return"""
LINK = re.compile(r"https?://[!-~]+")

Tools = list[dict[str, Any]]


@dataclass(frozen=True)
class Line:
    """What came of one utterance, or of a broken answer."""

    text: str
    messages: list[dict[str, Any]] | None = None  # up to the tools' results, where they were made up
    calls: Sequence[Call] = ()
    reply: str | None = None
    reason: str | None = None  # why it is rejected; None where nothing is wrong
    detail: str = ""


@dataclass(frozen=True)
class Estimate:
    """What a run is about to ask for."""

    requests: int
    input: float
    output: float
    dollars: float

    def __str__(self) -> str:
        tokens = f"{self.input:,.0f} tokens in and {self.output:,.0f} out"
        return f"about {self.requests:,} requests, {tokens} (by {BYTES_PER_TOKEN} bytes a token), {self.dollars:.2f} dollars"


def start(config: DataConfig, seeds: Sequence[Seed], tools: Tools) -> tuple[Api, Planner, list[Example]]:
    """The API's config, the planner with the seeds in it, and the seeds as examples: all, or a sample of a quota's size.

    Raises:
        UserError: no config, a model without a price, two seeds that say the same.
    """
    api = config.augment.api
    assert api is not None, "the backend openai has one"
    for model in (api.model, api.relabel_model or api.model):
        if model not in api.prices:
            place = f"configs/data/{config.task}.yaml: augment.api.prices"
            remedy = "write its dollars per million tokens, input and output (0 and 0 for a server of your own)"
            raise UserError(place, f"has no {model!r}", remedy)
    planner = Planner(config, api, seeds, tools)
    own = {label: [seed for seed in seeds if seed.label == label] for label in LABELS}
    admit, rng = planner.admit, f"{config.seed}/api"
    chosen = [own_seeds(own[label], planner.quotas[label], Random(rng), admit) for label in LABELS]
    return api, planner, [example for examples in chosen for example in examples]


def estimate(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> tuple[Estimate, list[Job]]:
    """What the whole run is likely to ask for and cost, and its first round."""
    api, planner, _ = start(config, seeds, tools)
    missing, told = sum(map(planner.missing, LABELS)), int(planner.quotas["call"] * api.results)
    jobs = planner.plan()
    mean = lambda texts: sum(len(text.encode()) for text in texts) / max(len(texts), 1) / BYTES_PER_TOKEN  # noqa: E731
    said = mean([seed.utterance for seed in seeds])
    answered = mean([to_json([call.model_dump() for call in s.calls]) + (s.reply or "") for s in seeds])
    wrote = mean([to_json(job.request.body) for job in jobs if job.mode != "result"])
    writes = -(-missing // (EXPECTED * api.lines))
    label = labelling(config, api, [{"role": "user", "content": ""}], tools, longest_label(seeds, tools)).body
    asked, parts = mean([to_json(label)]) + said, [(writes, {"model": api.model}, wrote, api.lines * (said + 4))]
    parts.append((writes * api.lines, label, asked, answered + 4))
    for parent in [seed for seed in seeds if seed.calls and told][:1]:
        made = planner.result(Example(**parent.model_dump(), lineage=parent.id, source="seed")).request.body
        parts.append((told, made, mean([to_json(made)]), len(parent.calls) * RESULT))
        parts.append((told, label, asked + answered + RESULT, answered + 4))
    dollars = sum(cost(api, body, count * read, count * written, batch) for count, body, read, written in parts)
    requests, read, written = (sum(values) for values in zip(*((n, n * r, n * w) for n, _, r, w in parts), strict=True))
    return Estimate(int(requests), read, written, dollars), jobs


def dry_run(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> None:
    """Print a prompt of each mode and the estimate; ask nobody."""
    guess, jobs = estimate(config, seeds, tools, batch)
    shown = list({job.mode: job for job in reversed(jobs)}.values())[::-1]
    for job in [*shown, *(job for job in jobs if job not in shown)][:3]:
        print(f"--- {job.id}: {job.label}, {to_json(job.tags)}\n{job.request.body['messages'][-1]['content']}\n")
    print(f"augment {config.task}: {guess}; nobody was asked")


class Writer:
    """Does jobs: asks, reads, tells the model once what was wrong, labels, checks."""

    def __init__(self, planner: Planner, seeds: Sequence[Seed], asker: Asker, progress: Progress) -> None:
        self.planner, self.asker, self.scripts, self.progress = planner, asker, check.Scripts(seeds), progress
        self.seeds, self.room = seeds, longest_label(seeds, planner.tools)

    async def do(self, job: Job) -> list[Line]:
        """What came of a job, in the order of its answer; nothing here depends on what other jobs of the round bring."""
        if job.mode == "result" and job.parent:
            return await self.follow(job, job.parent)
        texts, broken = await self.read(job.request, check.read_utterances, "")
        for line in broken:
            self.progress.line(line.reason)
        lines = await asyncio.gather(*(self.label(job, text) for text in (texts or [])[: self.planner.api.lines]))
        return [*broken, *(line for own in lines for line in own)]

    async def read(self, request: Any, reader: Any, text: str) -> tuple[Any, list[Line]]:
        """What `reader` makes of an answer, or of a second one; None where both are broken. The broken ones as lines."""
        broken: list[Line] = []
        while len(broken) < 2:
            answer: Answer = await self.asker.ask(request)
            if answer.finish == REFUSED:
                return None, [*broken, Line(text, reason="refused", detail=str(answer.content))]
            if thinks(answer) and request.body["max_tokens"] < (full := self.planner.api.max_tokens):
                request = Request({**request.body, "max_tokens": full}, request.ordinal)
                continue
            try:
                return reader(answer), broken
            except ValueError as error:
                said = answer.content or to_json(answer.calls)
                broken.append(Line(text, reason="broken", detail=f"{error}: {said}"))
                if isinstance(error, TextCallError):
                    request, reader = in_form(request, self.seeds), partial(read_form, tools=self.planner.tools)
                else:
                    request = again(request, said, str(error))
        return None, broken

    async def labelled(self, job: Job, text: str, said: list[dict[str, Any]]) -> list[Line]:
        """What a request that knows no purpose answers to what was said, checked; the broken answers come first."""
        planner = self.planner
        request = labelling(planner.config, planner.api, said, planner.tools, self.room)
        label, broken = await self.read(request, partial(read_label, tools=planner.tools), text)
        if label is None:
            return broken
        line = Line(text, said if len(said) > 1 else None, *label)
        fault = check.disagreement(job.label, job.names, job.counts, line.calls)
        return [*broken, replace(line, reason="disagreement", detail=fault) if fault else line]

    async def label(self, job: Job, text: str) -> list[Line]:
        """An utterance, labelled and checked, after the broken answers that it took."""
        lines = await self.checked(job, text)
        for line in lines:
            self.progress.line(line.reason)
        return lines

    async def checked(self, job: Job, text: str) -> list[Line]:
        planner = self.planner
        if normal_form(text) in planner.novelty.seen:
            return [Line(text, reason="duplicate")]
        if fault := self.scripts.fault(text, job.tags["lang"]):
            return [Line(text, reason="script", detail=fault)]
        *broken, line = await self.labelled(job, text, [{"role": "user", "content": text}])
        drift = check.drift(job.parent, line.calls) if job.mode == "paraphrase" and job.parent else None
        loose = check.ungrounded(text, line.calls, planner.tools)
        for reason, fault in (("disagreement", drift), ("ungrounded", loose)):
            if fault and line.reason is None:
                line = replace(line, reason=reason, detail=fault)
        return [*broken, line]

    async def follow(self, job: Job, parent: Example) -> list[Line]:
        """What the tools that an example calls return, made up, and what is said then, by a request that knows no more."""
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


def take(planner: Planner, job: Job, number: int, line: Line) -> tuple[Example | None, dict[str, Any] | None]:
    """An example that is new and wanted, or what rejected.jsonl says of the line; neither where it is only too much."""
    told = {"messages": line.messages} if line.messages else {"text": line.text}
    values = {"id": f"{job.id}/{number}", **told, "calls": list(line.calls), "reply": line.reply}
    source, done = f"openai:{planner.api.model}", job.parent.transforms if job.parent and line.messages else []
    history = {"tags": job.tags, "lineage": job.lineage, "source": source, "transforms": [*done, job.mode]}
    reason = line.reason
    if reason is None:
        wanted = check.expected(line.text, line.calls, planner.tools) or None
        example = Example(**values, **history, expected=wanted)
        if line.messages or planner.admit(example):
            return example, None
        if not planner.missing(job.label):
            return None, None
        reason = "duplicate"
    more = {"calls": [call.model_dump() for call in line.calls], "label": job.label, "reason": reason}
    return None, {**values, **history, "text": line.text, **more, "detail": line.detail}


def from_openai(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> Iterator[Example]:
    """The backend: the seeds, then what a large model wrote and labelled, until there is enough of each label.

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
            shown(progress, f"augment {config.task}"),
            asyncio.Runner() as loop,
            connected(api, loop) as client,
        ):
            asker = (BatchAsker if batch else Asker)(api, ledger, client, progress.answered)
            progress.pace = None if batch else asker.pace
            writer, reasons, barren = Writer(planner, seeds, asker, progress), Counter[str](), Counter[str]()
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
    why = f"{counted(reasons) or 'none'} ({where})"
    print(f"augment {config.task}: {ledger.spent:.4f} dollars spent; rejected: {why}", file=sys.stderr)
    for label in filter(planner.missing, LABELS):
        lack = f"{planner.missing(label)} {label} examples are missing: {PATIENCE} rounds brought nothing new"
        print(f"augment {config.task}: {lack}; {shortfall.why(label)}", file=sys.stderr)


async def together(writer: Writer, jobs: Sequence[Job]) -> list[list[Line]]:
    """The lines of all jobs, in their order. When the run must stop, what is under way is waited for: it is paid."""
    try:
        done = await asyncio.gather(*map(writer.do, jobs), return_exceptions=True)
    except asyncio.CancelledError:  # Ctrl-C or a signal to end
        print(f"stopping: what is under way has {GRACE_S:g} s to arrive", file=sys.stderr, flush=True)
        await writer.asker.wind_up(GRACE_S)
        raise
    await asyncio.gather(*writer.asker.asking.values(), return_exceptions=True)
    for failure in done:
        if isinstance(failure, BaseException):
            raise failure
    return done  # type: ignore[return-value]
