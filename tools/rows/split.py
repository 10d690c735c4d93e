"""Split a task's examples into train, val, test (and mine) by lineage and near-duplicates: python -m tools.split image_intent"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median

from callwright.config import DataConfig, Split, load_data_config
from callwright.files import to_json
from callwright.records import Example, Seed, read_records
from callwright.schema import load_tools
from callwright.tasks import read_golden
from callwright.text import normal_form
from tools.utterances.baseline import out_of_fold_label_error
from tools.utterances.near_duplicates import near_pairs, nearest

SIDES = ("train", "val", "test")
MINE = "mine"
"""the side that `split.mine` adds, and the source of what came of its failures"""
Stratum = tuple[str, str]
LOPSIDED = 0.1
"""how far a side's share of calls may be from that of all lines before the split is tried another way"""
NEARER = (80, 85, 90, 95)
NOISE = 16
"""places by which an example may move when the labels are woven together"""


@dataclass(frozen=True)
class Sides:
    """The sides of a split, and what it took."""

    parts: dict[str, list[Example]]
    components: list[list[int]]
    """indices of the examples that must stay together"""
    lineages: int
    near: int
    """pairs of near-duplicates"""
    left_out: int = 0
    """mined lines that would tell train of val or test"""
    limit: float = 0
    """the similarity from which on texts were kept together"""
    skew: float = 0
    """how far a side's share of calls is from that of all lines: see Plan.skew"""


def components(
    examples: Sequence[Example], near: Iterable[tuple[int, int]], together: str | None = None
) -> list[list[int]]:
    """Find the connected components of the examples: same lineage, same normal form, or a near pair. Indices, in order.

    Args:
        together: a tag whose values connect, too.
    """
    import numpy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: dict[tuple[str, str], int] = {}
    edges = list(near)
    for index, example in enumerate(examples):
        keys = [("lineage", example.lineage), ("text", normal_form(example.whole_text))]
        if together:
            keys.append(("tag", example.tags.get(together, "")))
        for key in keys:
            edges.append((first.setdefault(key, index), index))
    ends = numpy.array(edges, dtype=int).reshape(-1, 2).T
    graph = coo_array((numpy.ones(len(edges)), tuple(ends)), shape=(len(examples), len(examples)))
    groups: dict[int, list[int]] = {}
    for index, component in enumerate(connected_components(graph, directed=False)[1].tolist()):
        groups.setdefault(component, []).append(index)
    return list(groups.values())


def stratum(example: Example) -> Stratum:
    """Name what every side should have its share of: the label within the language."""
    return example.tags.get("lang", ""), example.label


def assign(
    groups: Sequence[Sequence[int]],
    examples: Sequence[Example],
    sizes: Sequence[float],
    rng: Random,
    even: bool = False,
) -> list[int]:
    """Choose the side (its index in `sizes`) of each group, so that sides reach their sizes with their share of each stratum.

    Greedy, largest groups first: each group goes where its strata lack most, as a share of what the side wants, among
    the sides that have room for it (or, where none has, the one with the most room). With `even`, a side has room only
    where it still lacks as many lines of each stratum, if there is such a side.
    """
    total = Counter(stratum(example) for example in examples)
    whole, sides = sum(sizes), range(len(sizes))
    wanted = [{key: count * size / whole for key, count in total.items()} for size in sizes]
    lack = [dict(counts) for counts in wanted]
    room = [float(size) for size in sizes]
    order = list(range(len(groups)))
    rng.shuffle(order)
    order.sort(key=lambda index: -len(groups[index]))
    side_of = [0] * len(groups)
    for index in order:
        counts = Counter(stratum(examples[member]) for member in groups[index])
        size = len(groups[index])
        need = [sum(lack[side][key] / max(wanted[side][key], 1e-9) * n for key, n in counts.items()) for side in sides]
        fitting = [side for side in sides if room[side] >= size]
        if even:
            fitting = [side for side in fitting if all(lack[side][key] >= n for key, n in counts.items())] or fitting
        side = max(fitting, key=need.__getitem__) if fitting else max(sides, key=room.__getitem__)
        side_of[index] = side
        room[side] -= size
        for key, n in counts.items():
            lack[side][key] -= n
    return side_of


def length(example: Example) -> int:
    """Count the UTF-8 bytes of what is said and what is answered: about proportional to tokens."""
    answer = to_json([call.arguments for call in example.calls]) if example.calls else example.reply or ""
    return len((example.utterance + answer).encode())


def sort_rank(example: Example, middle: float) -> float:
    """Rank an example from 0 (early in train) to 2 (late), lengths above the `middle` later; see interleave."""
    if example.source == MINE:
        return 0
    return 2 if example.transforms else int(example.source != "seed" and length(example) > middle)


def interleave(
    examples: Sequence[Example], rng: Random, ease: Callable[[Example], float] | None = None
) -> list[Example]:
    """Put the examples in an order whose every first part is wide and balanced, for runs that read only a part.

    Each label in rounds, one example of every lineage a round, and what teaches most for its tokens first: mined lines,
    and lines that no transform touched, of these the hand-written ones and the shorter half (seeds left out of training,
    two folds, equal tokens: F1 0.81 with untransformed lines first, 0.77 without), or what `ease` puts low. Then the
    labels are woven together in proportion, with enough noise that no place in the order tells the label.
    """
    woven: list[tuple[float, Example]] = []
    for label in ("call", "no_call"):
        lineages: dict[str, list[Example]] = {}
        for example in examples:
            if example.label == label:
                lineages.setdefault(example.lineage, []).append(example)
        order: list[Example] = []
        for number in range(max(map(len, lineages.values()), default=0)):
            row = [members[number] for members in lineages.values() if number < len(members)]
            rng.shuffle(row)
            order += row
        order.sort(key=ease or partial(sort_rank, middle=median(map(length, order)) if order else 0))
        woven += [((place + NOISE * rng.random()) / len(order), example) for place, example in enumerate(order)]
    return [example for _, example in sorted(woven, key=lambda pair: pair[0])]


def easy_first(examples: Sequence[Example]) -> Callable[[Example], float]:
    """Make a curriculum's key: how far the n-gram baseline, trained on other lineages, expects the other label.

    Lines whose surface agrees with the label come first, those that it misleads last. Length would rather part
    languages: Chinese takes a third of the characters.
    """
    doubt = dict(zip((example.id for example in examples), out_of_fold_label_error(examples), strict=True))
    return lambda example: doubt[example.id]


def order_side(part: Sequence[Example], config: Split, side: str, rng: Random) -> list[Example]:
    """Order a side as the config asks for."""
    return interleave(part, rng, easy_first(part) if config.order == "easy_first" and side == "train" else None)


def filter_near_held_out(lines: Sequence[Example], held: Sequence[Seed], near: float) -> list[Example]:
    """Keep the lines that share neither a lineage nor, nearly, a text with the held-out ones."""
    lineages = {example.lineage for example in held if isinstance(example, Example)}
    lines = [line for line in lines if line.lineage not in lineages]
    if not lines or not held:
        return lines
    scores = nearest([line.utterance for line in lines], [seed.utterance for seed in held])
    return [line for line, (score, _) in zip(lines, scores, strict=True) if score < near]


@dataclass(frozen=True)
class Plan:
    """Which groups of examples go to which side."""

    limit: float
    near: int
    groups: list[list[int]]
    side_of: list[int]
    rng: Random

    def skew(self, examples: Sequence[Example]) -> float:
        """Measure how far a side's share of calls is from that of all lines, at most; a line more or less is none."""
        lines, calls = Counter[int](), Counter[int]()
        for group, side in zip(self.groups, self.side_of, strict=True):
            lines[side] += len(group)
            calls[side] += sum(examples[member].label == "call" for member in group)
        whole = calls.total() / max(lines.total(), 1)
        return max(((abs(calls[side] - whole * lines[side]) - 1) / lines[side] for side in lines), default=0.0)


def group_and_assign(examples: Sequence[Example], config: Split, sizes: Sequence[float], seed: int) -> Plan:
    """Find the groups that must stay together, and their sides, so that every side has its share of both labels.

    A few large groups may fill the small sides with one label. Then groups go where their label lacks, and if that is not
    enough, only nearer texts than `config.near` are kept together.
    """
    texts, best = [example.whole_text for example in examples], None
    for limit in dict.fromkeys([config.near, *(bound for bound in NEARER if bound > config.near)]):
        near = list(near_pairs(texts, limit))
        groups = (
            components(examples, near, config.together)
            if config.by != "line"
            else [[index] for index in range(len(examples))]
        )
        for even in (False, True):
            rng = Random(f"{seed}/split")
            plan = Plan(limit, len(near), groups, assign(groups, examples, sizes, rng, even), rng)
            if plan.skew(examples) <= LOPSIDED:
                return plan
            best = plan if best is None or plan.skew(examples) < best.skew(examples) else best
    assert best is not None
    return best


def split(examples: Sequence[Example], config: Split, seed: int) -> Sides:
    """Divide examples into sides whose sizes are in the proportion that the config asks for; no component is cut.

    Mined lines join train when the others have their sides: with them or without, val, test and mine are the same.
    """
    mined = [example for example in examples if example.source == MINE]
    examples = [example for example in examples if example.source != MINE]
    wanted = [config.train, config.val, config.test]
    if config.mine:
        wanted.append(config.mine)
    sizes = [size * len(examples) / sum(wanted) for size in wanted]
    plan = group_and_assign(examples, config, sizes, seed)
    parts: dict[str, list[Example]] = {}
    for number, side in enumerate((*SIDES, MINE)[: len(wanted)]):
        own_groups = [group for group, where in zip(plan.groups, plan.side_of, strict=True) if where == number]
        members = sorted(member for group in own_groups for member in group)
        parts[side] = order_side([examples[index] for index in members], config, side, plan.rng)
    kept = filter_near_held_out(mined, [*parts["val"], *parts["test"]], config.near)
    if kept:
        parts["train"] = order_side([*parts["train"], *kept], config, "train", Random(f"{seed}/mined"))
    lineages = len({example.lineage for example in examples})
    return Sides(parts, plan.groups, lineages, plan.near, len(mined) - len(kept), plan.limit, plan.skew(examples))


def split_like(config: DataConfig, examples: Sequence[Example]) -> Sides:
    """Take val and test of the task that this one is like; the rest of the examples, apart from them and golden, is train.

    Raises:
        UserError: that task is not split yet.
    """
    other = load_data_config(str(config.like))
    parts = {side: read_records(other.work / f"{side}.jsonl", Example) for side in ("val", "test")}
    golden = read_golden(config.seeds / "golden.jsonl", load_tools(config.seeds / "tools.json"))
    kept = filter_near_held_out(examples, [*parts["val"], *parts["test"], *golden], config.split.near)
    parts = {"train": order_side(kept, config.split, "train", Random(config.seed)), **parts}
    return Sides(parts, [], len({example.lineage for example in kept}), 0, len(examples) - len(kept))
