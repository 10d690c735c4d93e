"""Plan which utterances to ask a large model for: each round a pure function of config, seeds and earlier answers."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Literal, get_args

from callwright.config import Api, DataConfig, Mode
from callwright.errors import UserError
from callwright.expectations import content_words
from callwright.files import to_json
from callwright.records import Example, Seed
from tools.utterances.llm.check import form
from tools.utterances.llm.ledger import Request
from tools.utterances.near_duplicates import Novelty

PROMPTS = Path(__file__).parent / "prompts"
LABELS = ("call", "no_call")
POOL = 2000
"""So many utterances of a label are paraphrased in turn: seeds, and generated ones as long as there is room."""
SHOWN = 3
"""A prompt shows so many examples."""
HINTS = 6
"""A prompt names so many rare words, and as many common ones."""
COMMON = 4
"""A word can be too common once it is said so often."""
VOCABULARY = 20_000
"""So many words of a language are counted; beyond, those said once are forgotten."""

Cell = tuple[str, str, str, str]
"""label (of a result: `result`, which has no quota), language, register, kind"""


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(PROMPTS)
    return Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701


def prompt(name: str, **values: Any) -> str:
    """Render prompts/<name>.md."""
    return str(_environment().get_template(f"{name}.md").render(values)).strip()


@dataclass(frozen=True)
class Job:
    """One request for utterances, and what they are to be; or, after a parent's call, for the tools' results."""

    id: str
    mode: Mode | Literal["result"]
    cell: Cell
    lineage: str
    parent: Example | None
    names: frozenset[str]  # the tools that a call may name
    counts: frozenset[int]  # how many calls there may be
    request: Request

    @property
    def label(self) -> str:
        """Return call, no_call or result."""
        return self.cell[0]

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags of its examples."""
        if self.parent and self.mode == "result":
            return {**self.parent.tags, "kind": "result"}
        return dict(zip(("lang", "register", "kind"), self.cell[1:], strict=True))


def writing(api: Api, text: str, name: str) -> Request:
    """Return the request for `utterances`, or for `results`."""
    messages = [{"role": "user", "content": text}]
    body: dict[str, Any] = {"model": api.model, "messages": messages, "max_tokens": api.max_tokens}
    if api.temperature is not None:
        body["temperature"] = api.temperature
    return Request({**body, "response_format": form(name)})


def again(request: Request, answer: str, fault: str) -> Request:
    """Ask once more, and say what was wrong with the answer."""
    told = {"role": "user", "content": prompt("retry", answer=answer[:4000] or "(nothing)", fault=fault)}
    return Request({**request.body, "messages": [*request.body["messages"], told]}, request.ordinal)


def own_seeds(seeds: Sequence[Seed], quota: int, rng: Random, admit: Callable[[Example], bool]) -> list[Example]:
    """Return seeds as examples: all, or a sample of a quota's size, in their order.

    Raises:
        UserError: one says the same as another.
    """
    chosen = list(seeds) if len(seeds) <= quota else sorted(rng.sample(list(seeds), quota), key=seeds.index)
    examples = [Example(**seed.model_dump(), lineage=seed.id, source="seed") for seed in chosen]
    for example in examples:
        if not admit(example):
            raise UserError(f"seed {example.id!r}", f"says the same as another seed: {example.utterance!r}", "drop one")
    return examples


def shares(tag: str, seeds: Sequence[Seed]) -> dict[str, float]:
    """Return each value of a tag and the share of the seeds that have it."""
    counts = Counter(seed.tags.get(tag, "") for seed in seeds)
    return {value: count / len(seeds) for value, count in counts.items()}


class Planner:
    """What is there so far, and what it lacks.

    Raises:
        UserError: a label is asked for that no seed has.
    """

    def __init__(self, config: DataConfig, api: Api, seeds: Sequence[Seed], tools: list[dict[str, Any]]) -> None:
        self.config, self.api, self.tools = config, api, tools
        self.quotas = {"call": config.augment.call, "no_call": config.augment.no_call}
        self.seeds = [seed for seed in seeds if seed.text]
        self.novelty = Novelty()
        self.made, self.asked, self.seeds_of, self.ordinals = (Counter[str]() for _ in range(4))
        self.cells: Counter[Cell] = Counter()
        self.words: dict[str, Counter[str]] = {}  # language → short content words, for hints
        self.pools: dict[str, deque[Example]] = {label: deque() for label in LABELS}
        self.modes: Counter[tuple[str, Mode]] = Counter()
        self.rounds = 0
        self.followed: list[Example] = []  # calls of the last round that the next one follows up
        for label in LABELS:
            if self.quotas[label] and not any(seed.label == label for seed in self.seeds):
                place = config.seeds / "seeds.jsonl"
                raise UserError(place, f"has no {label} utterance", f"write some, or set augment.{label} to 0")
        langs, registers = shares("lang", self.seeds), shares("register", self.seeds)
        self.weights: dict[Cell, float] = {
            (label, lang, register, kind): langs[lang] * registers[register] * part
            for label in LABELS
            for kind, part in shares("kind", [s for s in self.seeds if s.label == label]).items()
            for lang in langs
            for register in registers
        }
        """cell → its share of its label. Languages and registers have the same shares in both labels: they tell nothing"""

    def missing(self, label: str) -> int:
        """Return how many examples of a label are still wanted."""
        return max(0, self.quotas[label] - self.made[label])

    def admit(self, example: Example) -> bool:
        """Count an example in, if it says something new and is still wanted."""
        if not self.missing(example.label) or not self.novelty.admits(example.whole_text):
            return False
        self.made[example.label] += 1
        if example.calls and self.made["call"] * self.api.results % 1 < self.api.results:
            self.followed.append(example)
        self.seeds_of[example.label] += example.source == "seed"
        self.cells[self.cell_of(example)] += 1
        if example.text and len(self.pools[example.label]) < POOL:
            self.pools[example.label].append(example)
        words = self.words.setdefault(example.tags.get("lang", ""), Counter())
        found = dict.fromkeys(word.casefold() for word in content_words(example.utterance))  # a set has no fixed order
        words.update(word for word in found if 1 < len(word) <= (12 if word.isascii() else 4))
        if len(words) > VOCABULARY:
            for word in [word for word, count in words.items() if count == 1]:
                del words[word]
        return True

    def cell_of(self, example: Example) -> Cell:
        """Return where an example stands in the matrix."""
        lang, register, kind = (example.tags.get(tag, "") for tag in ("lang", "register", "kind"))
        return example.label, lang, register, kind

    def rarest(self, label: str, planned: Counter[Cell], lang: str | None = None, kind: str | None = None) -> Cell:
        """Return the cell of a label, and of a language and a kind where they are given, that lacks most."""
        fitting = [c for c in self.weights if c[0] == label and lang in (None, c[1]) and kind in (None, c[3])]
        return max(fitting, key=lambda c: self.weights[c] * self.quotas[label] - self.cells[c] - planned[c])

    def plan(self, labels: Sequence[str] = LABELS) -> list[Job]:
        """Plan the next round: what the labels miss, by the share of lines that was good so far; then what follows up calls."""
        planned: Counter[Cell] = Counter()
        jobs: list[Job] = []
        common = {lang: [w for w, n in words.most_common(HINTS) if n >= COMMON] for lang, words in self.words.items()}
        once = {lang: [w for w, n in words.items() if n == 1] for lang, words in self.words.items()}
        wanted: dict[str, float] = dict.fromkeys(LABELS, 0)
        for label in labels:
            good = self.made[label] - self.seeds_of[label]
            part = max(0.1, (good + 8) / (self.asked[label] + 10))
            wanted[label] = -(-self.missing(label) // (self.api.lines * part))
        while sum(wanted.values()) and len(jobs) < self.api.round:
            label = max(LABELS, key=lambda label: wanted[label])
            wanted[label] -= 1
            jobs.append(self.job(label, len(jobs), planned, common, once))
            planned[jobs[-1].cell] += self.api.lines
            self.asked[label] += self.api.lines
        self.rounds += 1
        jobs, self.followed = [*jobs, *map(self.result, self.followed)], []
        return jobs

    def result(self, parent: Example) -> Job:
        """Return the request for what the tools that an example calls return."""
        _, lang, register, _ = self.cell_of(parent)
        called = [call.model_dump() for call in parent.calls]
        text = prompt("result", text=parent.utterance, tools=self.tools, calls=to_json(called), count=len(called))
        cell, none, request = ("result", lang, register, "result"), frozenset[Any](), writing(self.api, text, "results")
        return Job(f"{parent.id}/result", "result", cell, parent.lineage, parent, none, none, request)

    def mode(self, label: str) -> Mode:
        """Return the mode that lacks most of its share of a label's requests."""
        able = [mode for mode in get_args(Mode) if self.able(mode, label)]
        shares = {mode: self.api.modes.get(mode, 0) for mode in able}
        if not sum(shares.values()):
            return "new"
        total = 1 + sum(self.modes[label, mode] for mode in able)
        return max(able, key=lambda mode: shares[mode] / sum(shares.values()) * total - self.modes[label, mode])

    def able(self, mode: Mode, label: str) -> bool:
        """Tell whether a mode can give examples of a label."""
        if mode == "new":
            return True
        if mode == "paraphrase":
            return bool(self.pools[label])
        return label == "no_call" and bool(self.pools["call"])  # a minimal pair does not call

    def job(
        self, label: str, number: int, planned: Counter[Cell], common: dict[str, list[str]], once: dict[str, list[str]]
    ) -> Job:
        """Make the next request of a label."""
        mode = self.mode(label)
        self.modes[label, mode] += 1
        rng = Random(f"{self.config.seed}/api/{self.rounds}/{number}")
        identity = f"{mode}/{self.rounds + 1}.{number + 1}"
        parent: Example | None = None
        if mode == "new":
            cell = self.rarest(label, planned)
        else:
            pool = self.pools[label if mode == "paraphrase" else "call"]
            parent = pool[0]
            pool.rotate(-1)
            kind = parent.tags.get("kind", "") if mode == "paraphrase" else None
            cell = self.rarest(label, planned, parent.tags.get("lang", ""), kind)
        _, lang, register, kind = cell
        alike = [parent] if parent and label == "call" else [s for s in self.seeds if s.label == label]
        alike = [s for s in alike if s.tags.get("kind", "") == kind] or alike
        names = frozenset(call.name for seed in alike for call in seed.calls)
        text = prompt(
            mode,
            label=label,
            lines=self.api.lines,
            tools=self.tools,
            text=parent.text if parent else "",
            names=" and ".join(sorted({call.name for call in parent.calls} if parent else names)),
            lang=lang or "that of the examples",
            register=register or "any",
            kind=kind or label,
            examples=self.sample(alike, rng, "lang", lang),
            manner=self.sample([s for s in self.seeds if s.tags.get("lang", "") == lang], rng, "register", register),
            rare=rng.sample(once.get(lang, []), min(HINTS, len(once.get(lang, [])))) if mode == "new" else [],
            common=common.get(lang, []),
        )
        request = writing(self.api, text, "utterances")
        self.ordinals[request.key] += 1
        request = Request(request.body, self.ordinals[request.key] - 1)
        lineage, counts = parent.lineage if parent else identity, frozenset(len(seed.calls) for seed in alike)
        return Job(identity, mode, cell, lineage, parent, names, counts, request)

    @staticmethod
    def sample(seeds: Sequence[Seed], rng: Random, tag: str, value: str) -> list[str]:
        """Draw some seeds' utterances, those with the tag's value first."""
        drawn = rng.sample(seeds, len(seeds))
        drawn.sort(key=lambda seed: seed.tags.get(tag, "") != value)
        return [seed.utterance for seed in drawn[:SHOWN]]
