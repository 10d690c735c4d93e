"""Grow a task's hand-written seeds into labelled examples: python -m tools.augment image_intent"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.expectations import contains_expected_words
from callwright.records import Example, Seed, read_records
from callwright.schema import call_fault
from callwright.tasks import seed_fault
from tools.utterances.generate import Style, apply_style, draw_style, generate, pinned
from tools.utterances.grammar import Grammar, Pattern
from tools.utterances.grammar_file import load_grammar, place_of
from tools.utterances.llm.backend import from_openai
from tools.utterances.llm.plan import LABELS, own_seeds
from tools.utterances.near_duplicates import Novelty, plain_forms
from tools.utterances.transform import Draft, swap

TRIES = 40
"""A cell of the grammar counts as exhausted after so many draws in a row that say nothing new."""

Tools = list[dict[str, Any]]


@dataclass
class GrammarWriter:
    """Makes examples offline: seeds, variants of seeds, and the grammar's patterns."""

    config: DataConfig
    grammar: Grammar
    tools: Tools
    rng: Random
    novelty: Novelty = field(default_factory=Novelty)
    uses: Counter[str] = field(default_factory=Counter)
    cells: dict[tuple[str, str, str, str], list[Pattern]] = field(default_factory=lambda: defaultdict(list))
    """(label, language, kind, register) → patterns"""
    styles: dict[str, Iterator[Style]] = field(default_factory=dict)
    """label/language → styles: every label walks through the same sequence, so that none gets a style more often"""

    def __post_init__(self) -> None:
        for pattern in self.grammar.patterns():
            kind = pattern.kind if pattern.label == "no_call" else ""
            self.cells[pattern.label, pattern.lang, kind, pattern.register_].append(pattern)

    def style(self, label: str, lang: str) -> Style:
        """Return the next style of a label in a language."""
        if (key := f"{label}/{lang}") not in self.styles:
            rng = Random(f"{self.config.seed}/manner/{lang}")
            self.styles[key] = (draw_style(self.grammar, lang, rng) for _ in count())
        return next(self.styles[key])

    def seeds(self, seeds: Sequence[Seed], quota: int) -> list[Example]:
        """Return seeds of one label, up to `quota`: each itself, then variants in rounds."""
        examples = own_seeds(seeds, quota, self.rng, lambda example: self.novelty.admits(example.whole_text))
        varied = [seed for seed in examples if seed.text and seed.tags.get("lang") in self.grammar.languages]
        for number in range(1, self.config.augment.variants + 1):
            turn = list(varied)
            self.rng.shuffle(turn)
            for seed in turn:
                if len(examples) >= quota:
                    return examples
                if (example := self.variant(seed, number)) is not None:
                    examples.append(example)
        return examples

    def variant(self, seed: Seed, number: int) -> Example | None:
        """Return a seed said in another style; None where no draw gives something new."""
        pins = pinned(seed.calls, self.tools)
        draft = Draft(str(seed.text), tuple(seed.calls), tuple(seed.expected or ()), seed.reply, seed.system, *pins)
        for _ in range(TRIES):
            style = self.style(seed.label, seed.tags["lang"])
            groups = self.grammar.swaps.get(style.lang, []) if self.rng.random() < self.grammar.swapped else []
            swapped = swap(draft, groups, self.rng)
            varied, done = apply_style(swapped or draft, style, self.grammar, self.rng, borrowed=False) or (draft, [])
            done = [*(["swap"] if swapped else []), *done]
            if done:
                register = style.register if not style.native else seed.tags.get("register", style.register)
                tags = {**seed.tags, "register": register}
                history = {"tags": tags, "lineage": seed.id, "source": "seed", "transforms": done}
                example = Example(id=f"{seed.id}/{number}", **varied.said, **history)
                if self.admits(varied, example):
                    return example
        return None

    def admits(self, draft: Draft, example: Example) -> bool:
        """Tell whether an example is sound and says something new."""
        return (
            contains_expected_words(draft.text, draft.expected)
            and seed_fault(example, self.tools) is None
            and self.novelty.admits(draft.text)
        )

    def pattern(self, label: str, kind: str, style: Style) -> Pattern | None:
        """Return the least used pattern that fits: of the style's register if it is native, else of any register.

        A language without such patterns borrows them, and the other way round.
        """
        borrow = self.grammar.languages[style.lang].borrow
        others = [style.lang, *([borrow.from_] if borrow else [])]
        for lang in dict.fromkeys([style.origin, *others]):
            native = self.cells.get((label, lang, kind, style.register), [])
            every = [
                p for register in self.grammar.registers for p in self.cells.get((label, lang, kind, register), [])
            ]
            if fitting := (native if style.native and native else every):
                least = min(self.uses[pattern.id] for pattern in fitting)
                return self.rng.choice([pattern for pattern in fitting if self.uses[pattern.id] == least])
        return None

    def from_pattern(self, label: str, lang: str, kind: str) -> Example | None:
        """Return a new example of a label, language and kind; None where no draw gives something new."""
        for _ in range(TRIES):
            style = self.style(label, lang)
            pattern = self.pattern(label, kind, style)
            if pattern is None:
                return None
            self.uses[pattern.id] += 1
            draft = generate(pattern, self.grammar, self.tools, self.rng)
            if fault := next(filter(None, (call_fault(call, self.tools) for call in draft.calls)), None):
                place = place_of(self.config.seeds / "grammar.yaml", f"patterns.{pattern.id}", self.grammar)
                raise UserError(place, fault, "fix its calls, or the values of the slots that they name")
            said = apply_style(draft, style, self.grammar, self.rng, borrowed=pattern.lang != lang)
            if said is None:
                continue
            varied, done = said
            restyled = not style.native and done
            tags = {"lang": lang, "register": style.register if restyled else pattern.register_, "kind": pattern.kind}
            history = {"tags": tags, "lineage": pattern.id, "source": "grammar", "transforms": done}
            example = Example(id=f"{pattern.id}/{self.uses[pattern.id]}", **varied.said, **history)
            if self.admits(varied, example):
                return example
        return None

    def patterns(self, label: str, have: Sequence[Example], quota: int) -> Iterator[Example]:
        """Yield examples of one label that bring `have` up to `quota`, each of the language and kind that lack most."""
        weights = {
            (lang, kind): language.share * share
            for lang, language in self.grammar.languages.items()
            for kind, share in self.kinds(label).items()
            if share
        }
        counts: Counter[tuple[str, str]] = Counter()
        for example in have:
            counts[example.tags.get("lang", ""), example.tags.get("kind", "") if label == "no_call" else ""] += 1
        missing = quota - len(have)
        while missing > 0:
            if not weights:
                raise UserError(
                    f"{self.config.seeds / 'grammar.yaml'}",
                    f"gives only {quota - missing} different {label} examples of {quota}",
                    f"add patterns or slot values, or lower augment.{label}",
                )
            total = sum(weights.values())
            cell = max(weights, key=lambda cell: weights[cell] / total * quota - counts[cell])
            new = self.from_pattern(label, *cell)
            if new is None:
                del weights[cell]
                continue
            counts[cell] += 1
            missing -= 1
            yield new

    def kinds(self, label: str) -> dict[str, float]:
        """Return the kinds of a label's patterns and their shares; calls are of one kind."""
        counts: Counter[str] = Counter()
        for (own, _, kind, _), patterns in self.cells.items():
            counts[kind] += len(patterns) if own == label else 0
        return {kind: self.grammar.kinds.get(kind, count) for kind, count in sorted(counts.items()) if count}


def from_grammar(config: DataConfig, seeds: Sequence[Seed], tools: Tools) -> Iterator[Example]:
    """Yield hand-written seeds, their variants, and what grammar.yaml generates: the offline backend."""
    grammar = load_grammar(config.seeds / "grammar.yaml", tools)
    writer = GrammarWriter(config, grammar, tools, Random(f"{config.seed}/augment"))
    kept: dict[str, list[Example]] = {}
    quotas = {"call": config.augment.call, "no_call": config.augment.no_call}
    for label in LABELS:
        mine = [seed for seed in seeds if seed.label == label]
        quota = min(quotas[label], max(len(mine), round(quotas[label] * config.augment.from_seeds)))
        kept[label] = writer.seeds(mine, quota)
        yield from kept[label]
    for label in LABELS if grammar.families else ():
        yield from writer.patterns(label, kept[label], quotas[label])


def own_grammar(config: DataConfig, tools: Tools) -> Grammar | None:
    """Return the task's grammar; None where it has none."""
    path = config.seeds / "grammar.yaml"
    return load_grammar(path, tools) if path.is_file() else None


def augment(config: DataConfig, seeds: Sequence[Seed], tools: Tools, batch: bool = False) -> Iterator[Example]:
    """Yield a task's examples, the same for the same config, seeds, tools and grammar (or a large model's answers)."""
    if config.augment.backend == "openai":
        examples = from_openai(config, seeds, tools, batch)
    else:
        examples = from_grammar(config, seeds, tools)
    said: list[str] = []
    for example in examples:
        if config.augment.mined:
            said.append(example.utterance)
        yield example
    if config.augment.mined:
        yield from mined(config, tools, said)


def mined(config: DataConfig, tools: Tools, made: Sequence[str]) -> list[Example]:
    """Return what `tools.mine` made of failures, without the lines that say what `made` says already."""
    path = config.seeds / "mined.jsonl"
    if not path.is_file():
        raise UserError(path, "no such file", "run make mine, or set augment.mined: false")
    lines = read_records(path, Example, lambda line: seed_fault(line, tools) if line.source == "mine" else "not mined")
    said = set(plain_forms(made))
    forms = plain_forms([line.utterance for line in lines])
    return [line for line, form in zip(lines, forms, strict=True) if form not in said]
