"""Drop examples that would teach nothing, or the wrong thing, and say why: `tools.split` begins with it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callwright.config import Clean, DataConfig
from callwright.errors import UserError
from callwright.files import write_jsonl
from callwright.records import Example, Seed, as_line, read_records
from callwright.schema import load_tools
from callwright.tasks import read_golden
from callwright.text import language_fault, normal_form
from tools.utterances.near_duplicates import alike_pairs, near_pairs, nearest, plain_forms

NUMBER = re.compile(r"\d+")

Found = dict[int, str]
"""index of an example → why it goes"""


@dataclass(frozen=True)
class Drop:
    """An example that was left out."""

    step: str
    example: Example
    reason: str


def hand_written(example: Example) -> bool:
    """Tell whether a person wrote it just so."""
    return example.source == "seed" and example.id == example.lineage


def decision(seed: Seed) -> tuple[str, ...]:
    """Return what is decided: the names of the tools that are called, in alphabetical order."""
    return tuple(sorted(call.name for call in seed.calls))


def lengths(examples: Sequence[Example], shortest: int, longest: int) -> Found:
    """Find utterances that are too short or too long."""
    fault = f"characters, not {shortest} to {longest}"
    sizes = enumerate(len(example.utterance.strip()) for example in examples)
    return {index: f"{size} {fault}" for index, size in sizes if not shortest <= size <= longest}


def languages(examples: Sequence[Example]) -> Found:
    """Find utterances in another script than their language tag says."""
    faults = (language_fault(example.utterance, example.tags.get("lang", "")) for example in examples)
    return {index: fault for index, fault in enumerate(faults) if fault}


def conflicts(examples: Sequence[Example]) -> Found:
    """Find lines that say the same and decide otherwise: all of them, but what hand-written lines agree on stands."""
    found: Found = {}
    same: dict[str, list[int]] = defaultdict(list)
    for index, form in enumerate(plain_forms([example.whole_text for example in examples])):
        same[form].append(index)
    for members in same.values():
        decisions = {index: decision(examples[index]) for index in members}
        if len(set(decisions.values())) > 1:
            stands = {decisions[index] for index in members if hand_written(examples[index])}
            for index in members:
                if len(stands) != 1 or decisions[index] not in stands:
                    other = examples[next(i for i in members if decisions[i] != decisions[index])]
                    found[index] = (
                        f"{decision_words(decisions[index])}, but {other.id} is {decision_words(decision(other))}"
                    )
    return found


def decision_words(decided: Sequence[str]) -> str:
    """Say a decision in words."""
    return f"call of {', '.join(decided)}" if decided else "no_call"


def repeated(examples: Sequence[Example], keys: Sequence[str]) -> Found:
    """Find the examples whose key a hand-written or an earlier one has."""
    first: dict[str, int] = {}
    found: Found = {}
    for index in sorted(range(len(examples)), key=lambda index: (not hand_written(examples[index]), index)):
        if (kept := first.setdefault(keys[index], index)) != index:
            found[index] = f"same as {examples[kept].id}"
    return found


def deliberate(one: Example, other: Example) -> bool:
    """Tell whether two near copies shall both stay.

    People wrote both, they decide otherwise (a minimal pair), they name other numbers, or transforms made one from the
    other. A large model was asked to say something else."""
    return (
        (hand_written(one) and hand_written(other))
        or decision(one) != decision(other)
        or NUMBER.findall(one.whole_text) != NUMBER.findall(other.whole_text)
        or (one.lineage == other.lineage and not other.source.startswith("openai:"))
    )


def copies(examples: Sequence[Example], pairs: Iterable[tuple[int, int]]) -> Found:
    """Find of each pair that is not deliberate the one that nobody wrote by hand, or the later."""
    rank = [(not hand_written(example), index) for index, example in enumerate(examples)]
    found: Found = {}
    for (_, keep), (_, drop) in sorted(sorted((rank[one], rank[other])) for one, other in pairs):
        if not {keep, drop} & found.keys() and not deliberate(examples[keep], examples[drop]):
            found[drop] = f"near copy of {examples[keep].id}"
    return found


def leaks(examples: Sequence[Example], golden: Sequence[Seed], threshold: float) -> Found:
    """Find lines near a golden one, which would give the examination away."""
    texts = [example.utterance if example.after_result else example.whole_text for example in examples]
    scores = nearest(texts, [seed.whole_text for seed in golden]) if golden else []
    return {
        index: f"near golden {golden[other].id} ({score:.0f})"
        for index, (score, other) in enumerate(scores)
        if score >= threshold
    }


STEPS = ("length", "language", "conflict", "exact", "normalised", "near", "golden", "semantic")
"""What is looked for, in this order: a step sees what those before it left."""


def find(step: str, examples: Sequence[Example], config: Clean, golden: Sequence[Seed]) -> Found:
    """Find the examples that a step drops, each with the reason."""
    texts = [example.whole_text for example in examples]
    match step:
        case "length":
            return lengths(examples, config.shortest, config.longest)
        case "language":
            return languages(examples)
        case "conflict":
            return conflicts(examples)
        case "exact":
            return repeated(examples, texts)
        case "normalised":
            return repeated(examples, list(map(normal_form, texts)))
        case "near":
            return copies(examples, near_pairs(texts, config.near))
        case "golden":
            return leaks(examples, golden, config.golden)
    return copies(examples, alike_pairs(texts, config.semantic)) if config.semantic else {}


def clean(examples: Sequence[Example], config: Clean, golden: Sequence[Seed]) -> tuple[list[Example], list[Drop]]:
    """Return the examples that stay, and those that go with the reason, step by step.

    Raises:
        UserError: a hand-written seed would go.
    """
    kept, dropped = list(examples), list[Drop]()
    for step in STEPS:
        found = find(step, kept, config, golden)
        for index in sorted(found):
            if hand_written(kept[index]):
                remedy = "mend it in seeds.jsonl, or the bounds under `clean:`"
                raise UserError(f"seed {kept[index].id!r}", f"{step}: {found[index]}", remedy)
            dropped.append(Drop(step, kept[index], found[index]))
        kept = [example for index, example in enumerate(kept) if index not in found]
    return kept, dropped


def funnel(dropped: Sequence[Drop]) -> list[tuple[str, int, str]]:
    """Return how many examples each step dropped, and one of them with the reason."""
    counts = Counter(drop.step for drop in dropped)
    examples = {drop.step: f"{drop.example.id}: {drop.reason}" for drop in reversed(dropped)}
    return [(step, counts[step], examples.get(step, "")) for step in STEPS]


def clean_task(config: DataConfig) -> list[Example]:
    """Return the clean examples of data/work/<task>/examples.jsonl; name the others in dropped.jsonl beside it."""
    examples = read_records(config.work / "examples.jsonl", Example)
    golden = read_golden(config.seeds / "golden.jsonl", load_tools(config.seeds / "tools.json"))
    kept, dropped = clean(examples, config.clean, golden)
    write_jsonl(
        config.work / "dropped.jsonl",
        ({"step": drop.step, "reason": drop.reason, **as_line(drop.example)} for drop in dropped),
    )
    table = funnel(dropped)
    counts = ", ".join(f"{step} {count}" for step, count, _ in table)
    print(f"clean {config.task}: {len(kept)} of {len(examples)} examples stay; dropped by {counts}")
    for step, count, example in table:
        if count:
            print(f"  {step:11}{count:6}  {example}")
    return kept
