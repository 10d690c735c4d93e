"""Measure what a task's data gives away, lacks and leaks: `python -m tools.audit image_intent [--gate]` writes its dataset
card, `python -m tools.audit leakage image_intent` shows the nearest train lines of test and golden."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random
from statistics import fmean
from typing import Any

from callwright.config import Audit, DataConfig
from callwright.records import Example, Seed, read_records
from callwright.schema import load_tools
from callwright.tasks import read_golden, read_seeds
from callwright.text import normal_form
from tools.rows.split import SIDES, split
from tools.utterances.baseline import Score, fit, score
from tools.utterances.clean import hand_written
from tools.utterances.gaps import gaps
from tools.utterances.grammar import Grammar
from tools.utterances.grammar_file import load_grammar
from tools.utterances.near_duplicates import nearest

REPEATS = 3
"""The leakage premium is a mean of so many splits of each sort."""
LISTED, USED = 10, 50
"""A manner needs so many lines to be listed, and so many before its share of calls says something."""
TOP = 10
AT_LEAST = {"coverage", "distinct_2"}
"""The gates that are lower bounds."""


@dataclass(frozen=True)
class Data:
    """A task's lines: what split left, and what people wrote."""

    parts: dict[str, list[Example]]
    seeds: list[Seed]
    golden: list[Seed]
    tools: list[dict[str, Any]] = field(default_factory=list)
    grammar: Grammar | None = None

    @property
    def examples(self) -> list[Example]:
        """Return the lines of all sides together."""
        return [example for part in self.parts.values() for example in part]


@dataclass(frozen=True)
class Share:
    """How often lines of one manner call."""

    name: str
    """a language, register, transform or carrier"""
    lines: int
    calls: int
    p: float
    """of a share of calls at least so far from that of all lines, by chance (two-sided binomial)"""


@dataclass(frozen=True)
class Neighbour:
    """A test or golden line and the train line that is most like it."""

    similarity: float
    line: Seed
    train: Example


@dataclass(frozen=True)
class Findings:
    """What an audit found."""

    scores: dict[str, Score]
    """side → the n-gram baseline, trained on train"""
    premium: dict[str, float]
    """`random`, `grouped`, `golden` → mean F1 of the baseline on splits of that sort"""
    calls: float
    """share of all lines that call"""
    balance: list[Share]
    """the most uneven first"""
    cells: dict[tuple[str, str, str], int]
    """(language, register, kind) → train lines"""
    diversity: dict[str, dict[str, float]]
    """`seeds`, `generated` → figure → value, on samples of one size"""
    leakage: dict[str, list[Neighbour]]
    """`test`, `golden` → the nearest first"""
    gaps: list[str]
    """what the lines lack, in words"""

    def figures(self) -> dict[str, float]:
        """Return what gates hold; figures that these data do not have are left out."""
        skews = [abs(share.calls / share.lines - self.calls) for share in self.balance if share.lines >= USED]
        figures = {"skew": max(skews, default=0.0), "coverage": fmean(count > 0 for count in self.cells.values())}
        if "golden" in self.scores:
            figures["baseline_f1"] = self.scores["golden"].f1
        if "random" in self.premium:
            figures["premium"] = self.premium["random"] - self.premium["grouped"]
        if "generated" in self.diversity:
            made, written = self.diversity["generated"], self.diversity["seeds"]
            figures["distinct_2"] = made["distinct_2"] / written["distinct_2"]
            figures["self_similarity"] = made["self_similarity"]
        return figures | {f"nearest_{side}": found[0].similarity for side, found in self.leakage.items()}


def premium(config: DataConfig, data: Data) -> dict[str, float]:
    """Return mean F1 of the baseline on a random and on a grouped test side of the same size, and on golden.

    What random gains over grouped is what near copies on both sides give away.
    """
    f1: dict[str, list[float]] = {"random": [], "grouped": [], "golden": []}
    grouped = config.split.model_copy(update={"by": "text", "order": "mixed"})  # also where the task's own leaks
    for number in range(REPEATS):
        parts = split(data.examples, grouped, config.seed + number).parts
        if not parts["test"]:
            continue
        model = fit(parts["train"])
        f1["grouped"].append(score(model, parts["test"]).f1)
        f1["golden"] += [score(model, data.golden).f1] if data.golden else []
        shuffled = Random(f"{config.seed}/premium/{number}").sample(data.examples, len(data.examples))
        test = len(parts["test"])
        f1["random"].append(score(fit(shuffled[test : test + len(parts["train"])]), shuffled[:test]).f1)
    return {name: fmean(values) for name, values in f1.items() if values}


def balance(examples: Sequence[Example]) -> list[Share]:
    """Return the share of calls of each language, register, transform and carrier that has LISTED lines."""
    from scipy.stats import binomtest

    lines, calls = Counter[str](), Counter[str]()
    for example in examples:
        manners = [f"{tag} {example.tags.get(tag, '')}" for tag in ("lang", "register")]
        carried = ["any carrier"] if any(name.startswith("carrier:") for name in example.transforms) else []
        for name in {*manners, *example.transforms, *carried}:
            lines[name] += 1
            calls[name] += bool(example.calls)
    base = sum(bool(example.calls) for example in examples) / len(examples)
    shares = [
        Share(name, n, calls[name], float(binomtest(calls[name], n, base).pvalue))
        for name, n in lines.items()
        if n >= LISTED
    ]
    return sorted(shares, key=lambda share: (share.p, share.name))


def coverage(data: Data) -> dict[tuple[str, str, str], int]:
    """Count the train lines of each cell of language × register × kind, for the values that seeds and lines use."""
    tags = ("lang", "register", "kind")
    values = [sorted({seed.tags.get(tag, "") for seed in [*data.examples, *data.seeds]}) for tag in tags]
    counts = Counter(tuple(example.tags.get(tag, "") for tag in tags) for example in data.parts["train"])
    return {(lang, register, kind): counts[lang, register, kind] for lang, register, kind in product(*values)}


def diversity(data: Data, seed: int) -> dict[str, dict[str, float]]:
    """Return distinct-1 and -2 (Li et al., NAACL 2016; over characters) and self-similarity.

    They are of samples of one size, since distinct-n falls with the size."""
    made = [example.utterance for example in data.examples if not hand_written(example)]
    pools = {"seeds": [line.utterance for line in data.seeds], "generated": made}
    size = min(map(len, pools.values()))
    if size < 2:
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, pool in pools.items():
        sample = Random(f"{seed}/diversity").sample(pool, size)
        figures = {f"distinct_{n}": distinct(sample, n) for n in (1, 2)}
        found[name] = figures | {"self_similarity": fmean(similarity for similarity, _ in nearest(sample))}
    return found


def distinct(texts: Iterable[str], n: int) -> float:
    """Return the different character n-grams of normal forms, as a share (0 to 1) of all."""
    grams = [form[i : i + n] for form in map(normal_form, texts) for i in range(len(form) - n + 1)]
    return len(set(grams)) / max(len(grams), 1)


def leakage(data: Data) -> dict[str, list[Neighbour]]:
    """Find the nearest train line of every test and golden line."""
    train, found = data.parts["train"], dict[str, list[Neighbour]]()
    sides: Mapping[str, Sequence[Seed]] = {"test": data.parts["test"], "golden": data.golden}
    for side, lines in sides.items():
        near = nearest([line.utterance for line in lines], [example.utterance for example in train]) if lines else []
        pairs = [Neighbour(similarity, line, train[at]) for line, (similarity, at) in zip(lines, near, strict=True)]
        if pairs:
            found[side] = sorted(pairs, key=lambda pair: -pair.similarity)
    return found


def p95(neighbours: Sequence[Neighbour]) -> float:
    """Return the similarity that 5% of the lines exceed; the nearest come first."""
    return neighbours[len(neighbours) // 20].similarity


def audit(config: DataConfig, data: Data) -> Findings:
    """Measure everything that the card says."""
    model = fit(data.parts["train"])
    sides: Mapping[str, Sequence[Seed]] = {**data.parts, "golden": data.golden}
    scores = {side: score(model, lines) for side, lines in sides.items() if lines and side != "train"}
    return Findings(
        scores=scores,
        premium=premium(config, data),
        calls=fmean(bool(example.calls) for example in data.examples),
        balance=balance(data.examples),
        cells=coverage(data),
        diversity=diversity(data, config.seed),
        leakage=leakage(data),
        gaps=gaps(sides, data.seeds, data.tools, filter(None, [config.rows.tools_by]), data.grammar),
    )


def verdicts(gates: Audit, figures: Mapping[str, float]) -> list[tuple[str, bool]]:
    """Say each gate that is set in words, and whether the data pass. A figure that the data do not have fails."""
    found: list[tuple[str, bool]] = []
    for name, bound in gates.model_dump(exclude_none=True).items():
        least, value = name in AT_LEAST, figures.get(name)
        passed = value is not None and (value >= bound if least else value <= bound)
        said = "not measured" if value is None else f"{value:.3g}"
        found.append((f"{name} {said}, {'at least' if least else 'at most'} {bound:g}", passed))
    return found


def load(config: DataConfig) -> Data:
    """Read the lines of a task, as `tools.split` left them, without those that a tool's result decides."""
    parts = {side: read_records(config.work / f"{side}.jsonl", Example) for side in SIDES}
    tools = load_tools(config.seeds / "tools.json")
    return Data(
        parts={side: [line for line in lines if not line.after_result] for side, lines in parts.items()},
        seeds=read_seeds(config.seeds / "seeds.jsonl", tools),
        golden=read_golden(config.seeds / "golden.jsonl", tools),
        tools=tools,
        grammar=load_grammar(path, tools) if (path := config.seeds / "grammar.yaml").is_file() else None,
    )


def premium_words(premium: Mapping[str, float]) -> str:
    """Say the leakage premium in words."""
    return "n-gram F1 " + (
        ", ".join(f"{name} {value:.3f}" for name, value in premium.items()) or "not measured: no test"
    )
