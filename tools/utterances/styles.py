"""Draw a style of speaking, whatever the label, and say an utterance in it: carrier, loan from a language, transforms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from callwright.expectations import contains_expected_words
from tools.utterances.generate import SlotBindings, convert, converted
from tools.utterances.grammar import Grammar, Transform
from tools.utterances.transform import Draft, apply_transform


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


def weighted(rng: Random, weights: dict[str, float]) -> str:
    """Draw a key in proportion to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]


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
    register = weighted(rng, {name: register.share for name, register in grammar.registers.items()})
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
