"""Fill grammar patterns with slot values, derive calls and what is expected of them, and say it in a style: carrier, loan
from a language, transforms. A style is drawn whatever the label."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from callwright.expectations import (
    LISTED,
    MOST_WORDS,
    SPELT,
    contains_expected_words,
    content_words,
    is_free_text,
    leaves,
)
from callwright.json_schema import Unchecked, argument_schema
from callwright.records import Call
from callwright.schema import parameters_of
from tools.utterances.grammar import (
    BRACKETS,
    PLACE,
    SPAN,
    Grammar,
    Pattern,
    Place,
    SlotValue,
    Transform,
    places,
    places_in,
)
from tools.utterances.transform import Draft, apply_transform, strings

ARTICLE = re.compile(r"(?<![\wÀ-ɏ])([Aa])(?= (?:[ai]|e(?!u)|o(?!ne\b|ne-)|u(?!ni|s|k)|8))", re.ASCII | re.IGNORECASE)
"""An English "a" before a vowel sound, by spelling."""


@dataclass
class SlotBindings:
    """The slot values that one utterance chose, so that its calls and replies say the same."""

    grammar: Grammar
    lang: str
    rng: Random
    chosen: dict[str, SlotValue] = field(default_factory=dict)

    def value(self, name: str, number: str | None) -> SlotValue:
        """Return the value of {name} or {name.number}: the same wherever it stands, another one for another number."""
        key = f"{name}.{number or 1}"
        if key not in self.chosen:
            values, borrow = self.grammar.slot(self.lang, name)
            taken = [value.text for other, value in self.chosen.items() if other.split(".")[0] == name]
            free = [value for value in values if value.text not in taken] or values
            value = self.rng.choice(free)
            if PLACE.search(value.text):
                inner = SlotBindings(self.grammar, self.lang, self.rng)
                value = SlotValue(text=inner.text(value.text), words=value.words)
            if borrow:
                value = borrowed(value, self.grammar, borrow.with_, self.rng)
            self.chosen[key] = value
        return self.chosen[key]

    def text(self, template: str) -> str:
        """Fill a template with what is said for each slot."""
        return PLACE.sub(lambda match: self.value(match[1], match[2]).text, template)

    def passed(self, template: str) -> Any:
        """Fill an argument's template with what is passed for each slot: typed where the template is one slot alone."""
        if whole := PLACE.fullmatch(template):
            return self.value(whole[1], whole[2]).passed
        return PLACE.sub(lambda match: str(self.value(match[1], match[2]).passed), template)

    def words(self, template: str) -> list[str]:
        """Return the content words of a template: each slot's own where it names them."""
        named = {match[0]: self.value(match[1], match[2]) for match in PLACE.finditer(template)}
        words: list[str] = []
        rest = template
        for place, value in named.items():
            if value.words is not None:
                rest = rest.replace(place, " ")
                words += value.words
        words += content_words(self.text(rest)) if rest.strip() else []
        return list(dict.fromkeys(words))[:MOST_WORDS]


def borrowed(value: SlotValue, grammar: Grammar, names: list[str], rng: Random) -> SlotValue:
    """Turn a borrowed slot value into the borrower's language: script is converted, words are not exchanged."""
    names = [transform.name for transform in grammar.transforms if transform.name in names and transform.do == "opencc"]
    text = converted(value.text, grammar, names, rng)
    words = [converted(word, grammar, names, rng) for word in value.words or []] or None
    passed = text if value.value == value.text else value.value
    return SlotValue(text=text, value=passed, words=words, system=value.system)


def converted(text: str, grammar: Grammar, names: list[str], rng: Random) -> str:
    """Turn a text into a borrower's language, or leave it where `convert` finds none; white space at its ends stays."""
    draft, bare = convert(Draft(text=text), grammar, names, rng), text.strip()
    return text.replace(bare, draft.text) if draft and bare else text


def convert(draft: Draft, grammar: Grammar, names: list[str], rng: Random) -> Draft | None:
    """Turn a draft into a borrower's language by the named transforms.

    None where a transform that exchanges words finds none: what it would leave is still the other language. A change of
    script may find nothing to change.
    """
    for transform in grammar.transforms:
        if transform.name in names:
            changed = apply_transform(transform, draft, rng)
            if changed is None and transform.do == "replace":
                return None
            draft = changed or draft
    return draft


def drop_unmentioned_arguments(call: Call, said: set[Place], tools: list[dict[str, Any]]) -> Call:
    """Return a pattern's call without the arguments, and the items of arrays, none of whose slots are said.

    An argument stays where the call breaks the tool's schema without it, which it keeps with it.
    """

    def unsaid(value: Any) -> bool:
        needed = set(places(value))
        return bool(needed) and needed.isdisjoint(said)

    arguments = {
        key: [item for item in value if not unsaid(item)] if isinstance(value, list) and not unsaid(value) else value
        for key, value in call.arguments.items()
    }
    parameters = parameters_of(call.name, tools) or {}
    for key in [key for key, value in arguments.items() if unsaid(value)]:
        rest = {other: value for other, value in arguments.items() if other != key}
        if not _faults(rest, parameters) - _faults(arguments, parameters):
            arguments = rest
    return Call(name=call.name, arguments=arguments)


def _faults(arguments: dict[str, Any], parameters: dict[str, Any]) -> set[tuple[str, tuple[str | int, ...]]]:
    """Return keyword and path of each fault of a call's arguments; none where it would take too long to find out."""
    try:
        return {(fault.keyword, fault.path) for fault in argument_schema(parameters).faults(arguments)}
    except Unchecked:
        return set()


def generate(pattern: Pattern, grammar: Grammar, tools: list[dict[str, Any]], rng: Random) -> Draft:
    """Draw one utterance of a pattern, with its calls and what is expected of them, or with its reply."""
    template = rng.choice(pattern.texts)
    bindings = SlotBindings(grammar, pattern.lang, rng)
    text = bindings.text(template.replace("[", "").replace("]", ""))
    span = grammar.languages[pattern.lang].joiner.join(part.strip() for part in BRACKETS.findall(template))
    calls, expected = [], []
    for whole_call in pattern.calls:
        call = drop_unmentioned_arguments(whole_call, places_in(template), tools)
        templates = strings(call.arguments, lambda text: text.replace(f"{{{SPAN}}}", span).strip())
        parameters = parameters_of(call.name, tools)
        arguments = strings(templates, bindings.passed)
        matchers = {
            key: expected_argument(templates[key], value, is_free_text({key: value}, parameters), bindings)
            for key, value in arguments.items()
        }
        calls.append(Call(name=call.name, arguments=arguments))
        expected.append(Call(name=call.name, arguments=matchers))
    reply = bindings.text(rng.choice(pattern.replies)) if pattern.replies else None
    systems = [value.system for value in bindings.chosen.values() if value.system]
    day = systems[0] if systems else rng.choice(grammar.systems) if grammar.systems else None
    draft = Draft(text, tuple(calls), tuple(expected), reply, day, *pinned(calls, tools))
    return draft.mapped(lambda said: ARTICLE.sub(r"\1n", said), reply=True)


def pinned(calls: Iterable[Call], tools: list[dict[str, Any]]) -> tuple[frozenset[str], frozenset[str]]:
    """Return a draft's `fixed` and `copied`: the strings whose text the schema does not leave free, and those of no list."""
    every = [pair for call in calls for pair in leaves(call.arguments, parameters_of(call.name, tools))]
    texts = [(value, schema.keys()) for value, schema in every if isinstance(value, str)]
    fixed = frozenset(value for value, keys in texts if keys & (LISTED | SPELT))
    return fixed, fixed - {value for value, keys in texts if keys & LISTED} - {""}


def expected_argument(template: Any, value: Any, is_free: bool, bindings: SlotBindings) -> Any:
    """Return what an argument is expected to be: the value, or of free text that is passed as it is said its content words."""
    if is_free and isinstance(value, str) and isinstance(template, str) and bindings.text(template) == value:
        return {"contains": bindings.words(template)}
    return value


@dataclass(frozen=True)
class Style:
    """How to say something. It is drawn before what to say, so that no label has a style of its own."""

    lang: str
    origin: str
    """the language that patterns and carriers are taken from: `lang`, or the one it borrows from"""
    register: str
    native: bool
    """whether a pattern of the register is wanted; else the carrier or a transform makes the register"""
    carrier: str | None
    carrier_lang: str
    makers: tuple[Transform, ...]
    """transforms that make the register; the first that finds something to change does"""
    transforms: tuple[Transform, ...]


def carriers_of(grammar: Grammar, lang: str, register: str) -> tuple[str, Sequence[str]]:
    """Return the carriers of a register, or of all registers where it has none, and their language.

    A language without carriers borrows them.
    """
    carriers = grammar.carriers.get(lang, {})
    borrow = grammar.languages[lang].borrow
    if not carriers and borrow:
        return carriers_of(grammar, borrow.from_, register)
    return lang, carriers.get(register) or [carrier for own in carriers.values() for carrier in own]


def draw_style(grammar: Grammar, lang: str, rng: Random) -> Style:
    """Draw a style of a language."""
    borrow = grammar.languages[lang].borrow
    origin = borrow.from_ if borrow and rng.random() < borrow.share else lang
    shares = [register.share for register in grammar.registers.values()]
    register = rng.choices(list(grammar.registers), shares)[0]
    mine = [transform for transform in grammar.transforms if lang in transform.lang]
    makers = [transform for transform in mine if transform.register_ == register]
    native = rng.random() < grammar.registers[register].native
    carrier_lang, carriers = carriers_of(grammar, origin, register)
    carry = rng.random() < grammar.carried or not (native or makers)
    rng.shuffle(makers)
    return Style(
        lang=lang,
        origin=origin,
        register=register,
        native=native,
        carrier=rng.choice(carriers) if carriers and carry else None,
        carrier_lang=carrier_lang,
        makers=() if native else tuple(makers),
        transforms=tuple(transform for transform in mine if rng.random() < transform.share),
    )


def apply_style(
    draft: Draft, style: Style, grammar: Grammar, rng: Random, borrowed: bool
) -> tuple[Draft, list[str]] | None:
    """Say a draft in a style; return it and the names of what was done: `carrier:<template>` and transforms, in order.

    A `borrowed` draft, one in another language than the style's, is turned into it first; None where it cannot be.
    Transforms that find nothing to change, and those that would part an expected word from the text, are left out.
    """
    done: list[str] = []
    borrow = grammar.languages[style.lang].borrow
    if borrowed and borrow:
        native = convert(draft, grammar, borrow.with_, rng)
        if native is None:
            return None
        draft = native
        done += borrow.with_
    if style.carrier is not None and opens_differently(style.carrier, draft.text):
        bindings = SlotBindings(grammar, style.carrier_lang, rng)
        before, after = (bindings.text(part) for part in style.carrier.split("{text}"))
        if borrow and style.carrier_lang != style.lang:
            before, after = (converted(part, grammar, borrow.with_, rng) for part in (before, after))
        draft = replace(draft, text=before + joined(draft.text, after))
        done.append(f"carrier:{style.carrier}")
    for transform in style.transforms:
        changed = apply_transform(transform, draft, rng)
        if changed is not None and contains_expected_words(changed.text, changed.expected):
            draft = changed
            done.append(transform.name)
    for transform in style.makers:
        changed = apply_transform(transform, draft, rng)
        if changed is not None and contains_expected_words(changed.text, changed.expected):
            return changed, [*done, transform.name]
    return draft, done


def joined(text: str, after: str) -> str:
    """Join a text and what a carrier puts after it, with one mark between them: the text's own if it asks or exclaims."""
    if not after or after[0] not in ",.，。":
        return text + after
    if text[-1] in "?!？！～~…":
        return text + after[1:]
    return text.rstrip(".。") + after


def opens_differently(carrier: str, text: str) -> bool:
    """Tell whether a carrier does not repeat what the text opens or ends with ("欸，欸，…")."""
    before, after = carrier.split("{text}")
    return not (before and text[:2] == before[:2]) and not (after and text[-2:] == after[-2:])
