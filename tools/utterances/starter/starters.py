"""Lines that stand in for hand-written seeds until there are some; their ids say so."""

from collections import Counter
from collections.abc import Sequence
from itertools import product
from random import Random

from callwright.config import Clean
from callwright.records import Seed
from callwright.text import language_fault
from tools.utterances.generate import generate
from tools.utterances.grammar import Grammar, Pattern
from tools.utterances.near_duplicates import Novelty, nearest
from tools.utterances.starter.draft import FEW, Tool, required_beyond_speech


def starters(grammar: Grammar, tools: list[Tool], count: int, prefix: str, apart: Sequence[Seed] = ()) -> list[Seed]:
    """Draw `count` lines of each label, kinds and languages in turn, each with other words, that cleaning lets stand.

    Fewer where what the tools want said leaves no other words: all are to be unlike those of `apart`. A tool that
    requires more than a line can say gets FEW lines a language: more of that kind would show how nobody speaks.
    """
    scarce = {tool["function"]["name"] for tool in tools if required_beyond_speech(tool)}
    made: Counter[tuple[str, str]] = Counter()
    others, bound = [str(seed.text) for seed in apart], Clean()
    rng, novelty, seeds = Random(prefix), Novelty(), list[Seed]()
    for label in ("call", "no_call"):
        queues: dict[tuple[str, str], list[Pattern]] = {}
        for pattern in grammar.patterns():
            if pattern.label == label:
                queues.setdefault((pattern.kind, pattern.lang), []).append(pattern)
        kinds = dict.fromkeys(kind for kind, _ in queues)
        keys = [key for key in product(kinds, grammar.languages) if key in queues]
        wanted = len(seeds) + count
        for turn in range(20 * count):
            if len(seeds) == wanted:
                break
            key = keys[turn % len(keys)]
            if key[0] in scarce and made[key] == FEW:
                continue
            pattern = rng.choice(queues[key])
            draft = generate(pattern, grammar, tools, rng)
            foreign = language_fault(draft.text, pattern.lang)
            if foreign or (others and nearest([draft.text], others)[0][0] >= bound.golden):
                continue
            if novelty.admits(draft.text):
                made[key] += 1
                tags = {"lang": pattern.lang, "register": pattern.register_, "kind": pattern.kind}
                number = f"{prefix}{len(seeds) + 1:03}"
                seeds.append(Seed(id=number, **draft.said, tags=tags))
    return seeds
