"""Read a task's grammar.yaml, and say in one line what is wrong with it."""

import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

from pydantic import ValidationError

from callwright.errors import UserError, did_you_mean
from callwright.records import explain, first_fault
from callwright.schema import call_fault
from callwright.yaml_config import line_of, read_yaml
from tools.utterances.generate import drop_unmentioned_arguments, generate
from tools.utterances.grammar import SPAN, Grammar, places, places_in


def load_grammar(path: str | Path, tools: list[dict[str, Any]]) -> Grammar:
    """Read the grammar of a task.

    Raises:
        UserError: naming the file and the key, for a wrong or missing key, a language, register, kind, transform or slot
            that is not defined, an empty slot, a pattern without calls and replies or with both, or with a call that
            does not fit the tools.
    """
    try:
        grammar = Grammar.model_validate(read_yaml(path))
    except ValidationError as error:
        place = f"{path}:{line_of(path, first_fault(error, Grammar)['loc'])}"
        raise UserError(place, explain(error, Grammar), "fix the key; the shipped grammar shows the form") from None
    for key, fault in chain(faults(grammar, tools), call_faults(grammar, tools)):
        raise UserError(place_of(path, key, grammar), fault, "fix it there")
    return grammar


def place_of(path: str | Path, key: str, grammar: Grammar) -> str:
    """Say where a key of a grammar stands, as `file:line: key`; in `patterns.<id>` the id is a family's or a pattern's."""
    head, _, rest = key.partition(".")
    keys: list[int | str] = [head, *rest.split(".")]
    if head == "patterns":
        name, _, of_family = re.sub(r"\.(?=(lang|register|kind)$)", "\n", rest).partition("\n")
        family, _, number = name.rpartition("-")
        if name in {family.id for family in grammar.families}:
            keys = [head, name]
        else:
            keys = [head, family, of_family] if of_family else [head, family, "texts", int(number) - 1]
    return f"{path}:{line_of(path, keys)}: {key}"


def faults(grammar: Grammar, tools: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Find what is wrong with a grammar beyond its form: (key, fault) pairs."""
    names = {transform.name for transform in grammar.transforms}
    for lang, language in grammar.languages.items():
        if language.borrow and language.borrow.from_ not in grammar.languages:
            yield f"languages.{lang}.borrow.from", f"no language {language.borrow.from_!r}"
        for name in language.borrow.with_ if language.borrow else []:
            if name not in names:
                yield f"languages.{lang}.borrow.with", f"no transform {name!r}"
    for lang, slots in grammar.slots.items():
        yield from unknown(f"slots.{lang}", "language", [lang], grammar.languages)
        for name, values in slots.items():
            if not values:
                yield f"slots.{lang}.{name}", "is empty"
            if name == SPAN:
                yield f"slots.{lang}.{name}", "is the name of what a text's brackets hold"
            for value in values:
                yield from unknown_slots(grammar, lang, f"slots.{lang}.{name}", value.text)
    for lang in grammar.languages:
        names = {name for slots in grammar.slots.values() for name in slots}
        holds = {
            name: {inner for value in grammar.slot(lang, name)[0] for inner, _ in places(value.text)} for name in names
        }
        try:
            TopologicalSorter(holds).prepare()
        except CycleError as error:
            yield f"slots.{lang}.{error.args[1][0]}", f"holds itself: {' ← '.join(error.args[1])}"
    for lang, registers in grammar.carriers.items():
        yield from unknown(f"carriers.{lang}", "language", [lang], grammar.languages)
        yield from unknown(f"carriers.{lang}", "register", registers, grammar.registers)
        for register, carriers in registers.items():
            for carrier in carriers:
                if carrier.count("{text}") != 1:
                    yield f"carriers.{lang}.{register}", f"{carrier!r} has not exactly one {{text}}"
                yield from unknown_slots(grammar, lang, f"carriers.{lang}.{register}", carrier.replace("{text}", ""))
    yield from unknown("swaps", "language", grammar.swaps, grammar.languages)
    for transform in grammar.transforms:
        key = f"transforms.{transform.name}"
        yield from unknown(f"{key}.lang", "language", transform.lang, grammar.languages)
        yield from unknown(f"{key}.register", "register", filter(None, [transform.register_]), grammar.registers)
        key_of = {"replace": "words", "append": "choices", "opencc": "config"}.get(transform.do)
        if key_of and not getattr(transform, key_of):
            yield key, f"{transform.do} needs {key_of}"
    yield from pattern_faults(grammar, tools)


def pattern_faults(grammar: Grammar, tools: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Find what is wrong with the patterns: (key, fault) pairs."""
    seen: set[str] = set()
    for family in grammar.families:
        if family.id in seen:
            yield f"patterns.{family.id}", "is the id of two families"
        seen.add(family.id)
    for pattern in grammar.patterns():
        key = f"patterns.{pattern.id}"
        yield from unknown(f"{key}.lang", "language", [pattern.lang], grammar.languages)
        yield from unknown(f"{key}.register", "register", [pattern.register_], grammar.registers)
        if not pattern.calls and not pattern.replies:
            yield key, "has neither calls nor reply"
        if pattern.calls and pattern.replies:
            yield key, "has both calls and reply"
        if pattern.label == "no_call" and grammar.kinds:
            yield from unknown(f"{key}.kind", "kind", [pattern.kind], grammar.kinds)
        for part in [*pattern.texts, *pattern.replies, *(call.arguments for call in pattern.calls)]:
            yield from unknown_slots(grammar, pattern.lang, key, part)
        for text in pattern.texts:
            said = places_in(text)
            calls = [drop_unmentioned_arguments(call, said, tools).arguments for call in pattern.calls]
            for name, number in sorted(set(places([calls, pattern.replies])) - said):
                what = "[brackets]" if name == SPAN else f"{{{name}{'' if number == '1' else '.' + number}}}"
                yield key, f"the text {text!r} has no {what}, which its calls or replies need"


def call_faults(grammar: Grammar, tools: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Find calls of patterns, filled once, that break their tool's schema: (key, fault) pairs."""
    for pattern in grammar.patterns():
        for call in generate(pattern, grammar, tools, Random(0)).calls if pattern.calls else ():
            if fault := call_fault(call, tools):
                yield f"patterns.{pattern.id}", fault


def unknown(key: str, what: str, names: Iterable[str], known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a fault for each name that is not known."""
    for name in names:
        if name not in known:
            meant = did_you_mean(name, known) or f"there are {', '.join(known)}"
            yield key, f"no {what} {name!r} ({meant})"


def unknown_slots(grammar: Grammar, lang: str, key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield a fault for each slot of a text, or of a call's arguments, that its language does not have."""
    for name, _ in places(value) if lang in grammar.languages else []:
        if not grammar.slot(lang, name)[0] and not (name == SPAN and isinstance(value, dict)):
            known = {name for slots in grammar.slots.values() for name in slots}
            meant = did_you_mean(name, known)
            yield key, f"unknown slot {{{name}}} in {value!r}" + (f" ({meant})" if meant else "")
