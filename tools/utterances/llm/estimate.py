"""What a run with a large model asks for and costs, before anybody is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from callwright.config import Api, DataConfig
from callwright.errors import UserError
from callwright.files import to_json
from callwright.records import Example, Seed
from tools.utterances.llm.client import cost
from tools.utterances.llm.label import labelling, longest_label
from tools.utterances.llm.plan import LABELS, Job, Planner, own_seeds

BYTES_PER_TOKEN = 3.5
"""An estimate for English and Chinese alike; a model's own tokenizer would come from a network."""
EXPECTED = 0.8
"""The part of the utterances that is expected to be good."""
RESULT = 60
"""The tokens that are expected of what tools return."""

Tools = list[dict[str, Any]]


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
    """Return the API's config, the planner with the seeds in it, and the seeds as examples: all, or a sample of a quota's size.

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
    examples: list[Example] = []
    for label in LABELS:
        own, rng = [seed for seed in seeds if seed.label == label], Random(f"{config.seed}/api")
        examples += own_seeds(own, planner.quotas[label], rng, planner.admit)
    return api, planner, examples


def estimate(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> tuple[Estimate, list[Job]]:
    """Estimate what the whole run asks for and costs; return its first round too."""
    api, planner, _ = start(config, seeds, tools)
    missing, results = sum(map(planner.missing, LABELS)), int(planner.quotas["call"] * api.results)
    jobs = planner.plan()
    utterance = mean_tokens([seed.utterance for seed in seeds])
    answer = mean_tokens([to_json([call.model_dump() for call in s.calls]) + (s.reply or "") for s in seeds]) + 4
    writing = mean_tokens([to_json(job.request.body) for job in jobs if job.mode != "result"])
    writes = -(-missing // (EXPECTED * api.lines))
    label = labelling(config, api, [{"role": "user", "content": ""}], tools, longest_label(seeds, tools)).body
    asked = mean_tokens([to_json(label)]) + utterance
    # requests of one sort: how many, a body that names the model, tokens in and out of each
    parts: list[tuple[float, dict[str, Any], float, float]] = [
        (writes, {"model": api.model}, writing, api.lines * (utterance + 4)),
        (writes * api.lines, label, asked, answer),
    ]
    parent = next((seed for seed in seeds if seed.calls), None)
    if parent and results:
        body = planner.result(Example(**parent.model_dump(), lineage=parent.id, source="seed")).request.body
        parts.append((results, body, mean_tokens([to_json(body)]), len(parent.calls) * RESULT))
        parts.append((results, label, asked + answer - 4 + RESULT, answer))
    guess = Estimate(
        requests=int(sum(count for count, *_ in parts)),
        input=sum(count * read for count, _, read, _ in parts),
        output=sum(count * written for count, _, _, written in parts),
        dollars=sum(cost(api, body, count * read, count * written, batch) for count, body, read, written in parts),
    )
    return guess, jobs


def mean_tokens(texts: Sequence[str]) -> float:
    """Estimate the mean tokens of texts, by BYTES_PER_TOKEN."""
    return sum(len(text.encode()) for text in texts) / max(len(texts), 1) / BYTES_PER_TOKEN


def dry_run(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool) -> None:
    """Print a prompt of each mode and the estimate; ask nobody."""
    guess, jobs = estimate(config, seeds, tools, batch)
    first_of_modes = list({job.mode: job for job in reversed(jobs)}.values())[::-1]
    others = [job for job in jobs if job not in first_of_modes]
    for job in [*first_of_modes, *others][:3]:
        print(f"--- {job.id}: {job.label}, {to_json(job.tags)}\n{job.request.body['messages'][-1]['content']}\n")
    print(f"augment {config.task}: {guess}; nobody was asked")
