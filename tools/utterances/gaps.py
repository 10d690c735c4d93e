"""Say what a task's lines lack before anything is trained: arguments of one value, labels, kinds, tools, golden, tags."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from callwright.errors import did_you_mean
from callwright.files import to_json
from callwright.json_schema import argument_schema
from callwright.records import Seed
from callwright.schema import parameters_of
from callwright.tasks import golden_gaps
from tools.utterances.grammar import Grammar

FEW, LINES = 5, 10
"""An argument should have at least FEW different values, once LINES lines give it."""
TAGS = ("lang", "register", "kind", "names", "set")
"""Tags that every task may have."""
LANG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?(-[A-Za-z0-9]{5,8})*")
"""A language tag of BCP 47, as far as lines need one: zh, zh-TW, zh-Hant-TW."""

Tool = dict[str, Any]
Values = dict[tuple[str, str], list[Any]]


def given_values(lines: Iterable[Seed], tools: list[Tool]) -> Values:
    """Return the values that calls give each (tool, path of an argument: items[].sku), where its schema leaves them open."""
    found: Values = defaultdict(list)
    for line in lines:
        for call in line.calls:
            schema = argument_schema(parameters_of(call.name, tools) or {})
            for path, value, own in schema.steps.leaves(call.arguments):
                if not (isinstance(value, bool) or value is None or {"enum", "const"} & own.keys()):
                    found[call.name, path].append(value)
    return found


def argument_gaps(train: Sequence[Seed], tools: list[Tool]) -> Iterator[str]:
    """Find tools that train never calls, arguments that it never gives, and those of which it knows hardly a value."""
    called = {call.name for line in train for call in line.calls}
    never = [name for tool in tools if (name := tool["function"]["name"]) not in called]
    if never:
        yield f"train never calls {listed(never)} of {len(tools)} tools: write lines that do"
    for tool in tools:
        name = tool["function"]["name"]
        if name in never:
            continue
        given = {key for line in train for call in line.calls if call.name == name for key in call.arguments}
        known, _ = argument_schema(tool["function"]["parameters"]).steps.known_arguments()
        for key in sorted(known):
            if key not in given:
                yield f"train never gives {name} its argument {key}: write lines that say it"
    for (name, path), values in given_values(train, tools).items():
        counts = Counter(map(to_json, values))
        value, most = counts.most_common(1)[0]
        if len(values) >= LINES and len(counts) < FEW:
            yield f"{name}.{path} has {len(counts)} different values in {len(values)} train lines: a model learns these, not to read"
        elif len(values) >= LINES and most > len(values) / 2:
            yield f"{name}.{path} is {value} in {most} of {len(values)} train lines: say other values as well"


def listed(names: Sequence[str]) -> str:
    """Join names; of more than five, the first ones and how many there are."""
    return ", ".join(names) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def label_gaps(sides: Mapping[str, Sequence[Seed]]) -> Iterator[str]:
    """Find sides that lack a label, and kinds that one of train and golden lacks."""
    for side, lines in sides.items():
        labels = Counter(line.label for line in lines)
        if lines and side != "golden" and len(labels) < 2:
            yield f"{side} has lines of one label only ({next(iter(labels))}): write seeds of the other one"
    kinds = {side: {line.tags.get("kind", "") for line in sides.get(side, ())} for side in ("train", "golden")}
    if missing := sorted(kinds["golden"] - kinds["train"] - {""}):
        yield f"golden measures kinds that train never shows: {', '.join(missing)}"
    if sides.get("golden") and (missing := sorted(kinds["train"] - kinds["golden"] - {""})):
        yield f"golden measures nothing of kind {', '.join(missing)}"


def tag_gaps(seeds: Sequence[Seed], own: Iterable[str], grammar: Grammar | None = None) -> list[str]:
    """Find tags of seeds and golden that look mistyped, each with a line that has it.

    Args:
        own: tags beside TAGS that the task's config names.
        grammar: the task's, for its languages, registers and kinds; None where it has none.
    """
    known = [*TAGS, *own]
    found: dict[str, str] = {}
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in seeds:
        for tag, value in seed.tags.items():
            values[tag][value] += 1
    names = {
        "lang": set(grammar.languages) if grammar else set[str](),
        "register": set(grammar.registers) if grammar else set[str](),
        "kind": {family.kind for family in grammar.families} if grammar else set[str](),
    }
    for seed in seeds:
        for tag, value in seed.tags.items():
            often = values[tag].total() > len(seeds) / 2
            if tag not in known and (not often or did_you_mean(tag, known)):
                meant = did_you_mean(tag, known) or f"known are {', '.join(known)}"
                found.setdefault(tag, f"{seed.id}: tag {tag!r} means nothing here; {meant}")
            elif (
                tag == "lang" and not LANG.fullmatch(value) and value not in names["lang"] and values[tag][value] < FEW
            ):
                meant = did_you_mean(value, names["lang"]) or "write it as in zh-TW"
                found.setdefault(f"lang {value}", f"{seed.id}: lang {value!r} is no language tag; {meant}")
            elif value not in names.get(tag, {value}) and values[tag][value] < FEW:
                common = {other for other, count in values[tag].items() if count >= FEW and other != value}
                meant = did_you_mean(value, names[tag] | common)
                if meant or (names[tag] and tag != "kind"):
                    meant = meant or f"the grammar has {', '.join(sorted(names[tag]))}"
                    found.setdefault(f"{tag} {value}", f"{seed.id}: {tag} {value!r} is used hardly once; {meant}")
    return list(found.values())


def gaps(
    sides: Mapping[str, Sequence[Seed]],
    seeds: Sequence[Seed],
    tools: list[Tool],
    own: Iterable[str],
    grammar: Grammar | None,
) -> list[str]:
    """Find everything that a task's lines lack, the worst first.

    Args:
        sides: train, val, test and golden.
        own: see tag_gaps.
    """
    golden = sides.get("golden", ())
    return [
        *golden_gaps([(line.id, bool(line.calls)) for line in golden]),
        *label_gaps(sides),
        *argument_gaps(sides.get("train", ()), tools),
        *tag_gaps([*seeds, *golden], own, grammar),
    ]
