"""Lines that teach what a model got wrong: each cause of failure has its remedy, from the task's grammar or large model."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from random import Random

from callwright.config import DataConfig, Mode
from callwright.records import Example, Seed
from callwright.text import normal_form
from tools.rows.build import MASKED
from tools.rows.split import MINE
from tools.utterances.augment import GrammarWriter, Tools
from tools.utterances.grammar_file import load_grammar
from tools.utterances.llm.backend import from_openai
from tools.utterances.near_duplicates import nearest

MINIMAL, CLARIFY, MASK = "minimal pairs", "clarifying replies", "name masking"
PARAPHRASE, MORE = "argument paraphrases", "more like it"
VERDICTS = {
    MINIMAL: ("false_call", "malformed_attempt"),
    MASK: ("unknown_tool", "wrong_tool"),
    PARAPHRASE: ("missing_required", "extra_argument", "wrong_type", "schema_violation", "wrong_value"),
    MORE: ("no_call", "missing_call", "extra_call", "bad_json", "truncated"),
}
"""remedy → the verdicts that it is for. Of the others nothing is learned: they are the server's, or nobody's"""
INCOMPLETE = "missing"
"""the kind tag of requests that lack a required argument: what is right is to ask back"""
DRAWN = 20
"""lines of a grammar among which the ones nearest to a call are looked for"""

Sides = Mapping[str, Sequence[Example]]
Cause = tuple[str, str]
"""a verdict, and its remedy; "" where nothing helps"""


def cause_of(verdict: str, example: Example) -> Cause:
    """Say why an answer to an example is wrong, and what helps."""
    if verdict == "malformed_attempt" and example.calls:
        return verdict, MORE
    remedy = next((remedy for remedy, verdicts in VERDICTS.items() if verdict in verdicts), "")
    return verdict, CLARIFY if remedy == MINIMAL and example.tags.get("kind") == INCOMPLETE else remedy


def grow(
    config: DataConfig, tools: Tools, sides: Sides, failed: Mapping[Cause, Sequence[Example]]
) -> dict[Cause, list[Example]]:
    """Write, for each cause, new lines that teach its remedy, as the task's backend makes them; conversations give none."""
    api = config.augment.backend == "openai"
    writer = None if api else GrammarRemedies(config, tools, sides)
    lines: dict[Cause, list[Example]] = {}
    for (verdict, remedy), examples in failed.items():
        own = [example for example in examples if example.text and remedy]
        new: list[Example] = []
        if writer:
            new = writer.lines(remedy, own)
        elif own:
            new = from_api(config, tools, sides, remedy, own)
        lines[verdict, remedy] = [mined(line, remedy) for line in new]
    return lines


def mined(line: Example, remedy: str) -> Example:
    """Write a line as tools.augment takes it in. Its id is its text's, so that what is found again replaces itself."""
    identity = f"{MINE}/{sha256(normal_form(line.utterance).encode()).hexdigest()[:12]}"
    tags = {**line.tags, **(MASKED if remedy == MASK else {})}
    return line.model_copy(update={"id": identity, "source": MINE, "tags": tags})


class GrammarRemedies:
    """Remedies from grammar.yaml, as many lines a failure as a seed has variants."""

    def __init__(self, config: DataConfig, tools: Tools, sides: Sides) -> None:
        self.most, self.pools = config.augment.variants, defaultdict[tuple[str, str], list[Example]](list)
        self.calls = [example.utterance for example in sides["train"] if example.calls]
        grammar = load_grammar(config.seeds / "grammar.yaml", tools)
        self.plain = grammar.model_copy(update={"swapped": 0.0})
        self.swapped = grammar.model_copy(update={"swapped": 1.0})
        self.writer = GrammarWriter(config, grammar, tools, Random(f"{config.seed}/mine"))
        for example in (example for side in sides.values() for example in side):
            self.writer.novelty.admits(example.utterance)
        held = {example.lineage for side in ("val", "test") for example in sides[side]}
        for cell, patterns in self.writer.cells.items():  # a pattern of test writes test's siblings
            self.writer.cells[cell] = [pattern for pattern in patterns if pattern.id not in held]

    def lines(self, remedy: str, failed: Sequence[Example]) -> list[Example]:
        """Write new lines against failures."""
        if remedy in (MINIMAL, CLARIFY):
            return [line for example in failed for line in self.negatives(example)]
        return [line for example in failed for line in self.variants(example, self.most, remedy == PARAPHRASE)]

    def negatives(self, example: Example) -> list[Example]:
        """Write lines of the failing one's kind that are hard to tell from calls, and its own variants."""
        cell, half = (example.tags.get("lang", ""), example.tags.get("kind", "")), self.most // 2
        if len(self.pools[cell]) < half and cell[0] in self.writer.grammar.languages:
            new = [self.writer.from_pattern("no_call", *cell) for _ in range(DRAWN)]
            self.pools[cell] = self.hardest([*self.pools[cell], *filter(None, new)])
        near, self.pools[cell] = self.pools[cell][:half], self.pools[cell][half:]
        return near + self.variants(example, self.most - len(near), swapped=True)

    def hardest(self, lines: list[Example]) -> list[Example]:
        """Sort lines that do not call, those first that say almost what a call of train says: its minimal pairs."""
        if not lines or not self.calls:
            return lines
        scores = nearest([line.utterance for line in lines], self.calls)
        return [lines[index] for index in sorted(range(len(lines)), key=lambda index: (-scores[index][0], index))]

    def variants(self, example: Example, most: int, swapped: bool) -> list[Example]:
        """Write the failing line in other registers, where `swapped` with other words in it and in its arguments."""
        if example.tags.get("lang") not in self.writer.grammar.languages:
            return []
        self.writer.grammar = self.swapped if swapped else self.plain
        found = []
        for number in range(most):
            if line := self.writer.variant(example, number):
                history = {"lineage": example.lineage, "transforms": [*example.transforms, *line.transforms]}
                found.append(line.model_copy(update=history))
        return found


def from_api(config: DataConfig, tools: Tools, sides: Sides, remedy: str, failed: Sequence[Example]) -> list[Example]:
    """Ask the task's large model for remedies: paraphrases of what failed; for minimal pairs also lines that differ by a
    little from the calls of train that are nearest to it, and do not call. Budget and ledger are those of `make data`."""
    api, extra = config.augment.api, list[Example]()
    assert api is not None, "the backend openai has one"
    modes: dict[Mode, float] = {"paraphrase": 1}
    calls = [example for example in sides["train"] if example.calls and example.text]
    if remedy == MINIMAL and calls:
        found = nearest([example.utterance for example in failed], [example.utterance for example in calls])
        extra = [calls[index] for index in dict.fromkeys(index for _, index in found)]
        modes = {"paraphrase": 1, "minimal_pair": 2}
    wanted = len(failed) * (1 + config.augment.variants)
    call, no_call = (wanted, 0) if failed[0].calls else (len(extra), wanted)
    asked = api.model_copy(update={"modes": modes, "results": 0.0})
    augment = config.augment.model_copy(update={"call": call, "no_call": no_call, "api": asked})
    seeds = [Seed(**example.model_dump(include=set(Seed.model_fields))) for example in (*extra, *failed)]
    written = from_openai(config.model_copy(update={"augment": augment}), seeds, tools, batch=False)
    lineages = {example.id: example.lineage for example in (*extra, *failed)}
    known = {normal_form(example.utterance) for side in sides.values() for example in side}
    return [
        line.model_copy(update={"lineage": lineages.get(line.lineage, line.lineage)})
        for line in written
        if line.source != "seed" and normal_form(line.utterance) not in known
    ]
