"""The form of a task's grammar.yaml: slots, patterns, carriers and transforms.

What the file holds:

    languages:  <lang>: {share, joiner, borrow: {from, share, with}}      shares of the examples; what a language borrows
    registers:  <register>: {share, native}                               how often; share of it that patterns give
    kinds:      <kind>: share                                             shares among the examples that do not call
    systems:    [text, …]                                                 system messages, one a line, whatever its label
    slots:      <lang>: <slot>: [value, …]                                a value, or {text, value, words, system}
    carriers:   <lang>: <register>: ["…{text}…", …]                       what wraps an utterance, whatever its label
    transforms: [{name, lang, do, share | register, …}]                   what is done to it, whatever its label
    swaps:      <lang>: [[word, …], …]                                    words that may change places in seeds
    patterns:   [{id, lang, register, kind, calls | reply, texts}, …]     families of utterances

`{slot}` stands for a value of the slot, `{slot.2}` for another one. In a text, [brackets] mark what the user wants
passed on; `{span}` in a call's argument is what they hold, joined with the language's joiner. An argument that is
exactly "{slot}" gets the slot's value with its type. An optional argument, or an item of an array, is left out where the
text says none of its slots, so that one call serves texts that say more or less. An item of `texts` is a text, `text:
reply` (or a list of replies), or {text, reply, calls}; each item is one lineage.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, NonNegativeFloat, model_validator

from callwright.records import Call
from callwright.yaml_config import Config

PLACE = re.compile(r"\{([a-z_]+)(?:\.(\d+))?\}")
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
SPAN = "span"


Place = tuple[str, str]
"""a slot's name and number"""


def places(value: Any) -> Iterator[Place]:
    """Yield the slots in a string, or in all strings of a JSON value; a slot without a number has the number 1."""
    if isinstance(value, str):
        yield from ((match[1], match[2] or "1") for match in PLACE.finditer(value))
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from places(item)


def places_in(text: str) -> set[Place]:
    """Return the slots that a text says, and the span where it has [brackets]."""
    return {*places(text), *([(SPAN, "1")] if BRACKETS.search(text) else [])}


Texts = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""texts; a lone one may stand for itself"""


class SlotValue(Config):
    """A value of a slot: what is said, what is passed, and which words of it must arrive."""

    text: str = Field(min_length=1)
    value: Any = None
    """what an argument gets; without it, the text"""
    words: list[str] | None = None
    """content words for `expected`; without them, they are taken from the text"""
    system: str | None = None
    """the system message under which the text means the value: "tomorrow" needs one that says what day it is"""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(f"{value} is not said; quote it, or write {{text, value}}")
        if isinstance(value, int | float | str):
            return {"text": str(value), "value": value}
        if isinstance(value, dict) and isinstance(text := value.get("text"), int | float):
            return {"value": text, **value, "text": str(text)}
        return value

    @property
    def passed(self) -> Any:
        """Return the typed value that an argument gets."""
        return self.text if self.value is None else self.value


class Borrow(Config):
    """A language that takes slots, and a share of its patterns and carriers, from another one."""

    from_: str = Field(alias="from")
    share: float = Field(0.5, ge=0, le=1)
    """share of its examples that are made from the other language's patterns"""
    with_: list[str] = Field([], alias="with")
    """transforms that turn those, and borrowed slot values, into this language"""


class Language(Config):
    """A language of the utterances."""

    share: float = Field(gt=0)
    joiner: str = ", "
    """what joins the bracketed spans of a text"""
    borrow: Borrow | None = None


class Register(Config):
    """A manner of speaking; both classes draw it from the same distribution."""

    share: float = Field(gt=0)
    native: float = Field(1, ge=0, le=1)
    """share of its examples that patterns of this register give; carriers and transforms of it make the others"""


class Transform(Config):
    """A change to the surface of an utterance, and alike to its arguments."""

    name: str
    lang: Texts
    do: Literal["replace", "keyboard", "append", "unpunctuate", "lower", "upper", "halfwidth", "opencc"]
    share: float = Field(0, ge=0, le=1)
    """how often it is drawn, whatever the register; 0 for a transform that only `register` or `borrow` applies"""
    register_: str | None = Field(None, alias="register")
    """the register that this transform makes: drawn when that register is"""
    words: dict[str, Texts] = Field({})
    """replace: what may stand for a word"""
    most: int = Field(2, ge=1)
    """replace: at most so many words"""
    choices: Texts = Field([])
    """append: what to append; unpunctuate: what stands where a mark stood"""
    at: Literal["end", "start", "either"] = "end"
    """append: where"""
    unless: re.Pattern[str] | None = None
    """texts that it finds something in stay as they are"""
    config: Literal["hk2s", "s2hk", "s2t", "s2tw", "s2twp", "t2hk", "t2s", "t2tw", "tw2s", "tw2sp"] | None = None
    """opencc: the name of its configuration"""


class Item(Config):
    """Wordings of one thing to say, with what answers it: one lineage."""

    text: Texts = Field(min_length=1)
    reply: Texts = Field([])
    calls: list[Call] = Field([])

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"text": value}
        if isinstance(value, dict) and len(value) == 1 and "text" not in value:
            ((text, reply),) = value.items()
            return {"text": text, "reply": reply}
        return value


class Family(Config):
    """Items that share language, register and kind, and calls or replies where they give none themselves."""

    id: str
    lang: str
    register_: str = Field(alias="register")
    kind: str
    calls: list[Call] = Field([])
    reply: Texts = Field([])
    texts: list[Item] = Field(min_length=1)


class Pattern(Config):
    """One item with what its family says: `id` is the lineage of what is made from it."""

    id: str
    lang: str
    register_: str
    kind: str
    texts: list[str]
    calls: list[Call]
    replies: list[str]

    @property
    def label(self) -> str:
        """Return `call` or `no_call`."""
        return "call" if self.calls else "no_call"


class Grammar(Config):
    """A task's grammar."""

    languages: dict[str, Language] = Field(min_length=1)
    registers: dict[str, Register] = Field(min_length=1)
    kinds: dict[str, NonNegativeFloat] = Field({})
    """shares of the kinds among the examples that do not call; without them, kinds weigh what their patterns number"""
    systems: list[str] = Field([])
    """system messages, of which every line gets one; a slot's value may bring its own. Without them, the task's config
    says what there is"""
    slots: dict[str, dict[str, list[SlotValue]]] = Field({})
    carriers: dict[str, dict[str, list[str]]] = Field({})
    carried: float = Field(0.35, ge=0, le=1)
    """share of the examples of a register that has patterns of its own which a carrier wraps all the same"""
    transforms: list[Transform] = Field([])
    swaps: dict[str, list[list[str]]] = Field({})
    """groups of words of a language that may stand for each other in variants of hand-written seeds"""
    swapped: float = Field(0.5, ge=0, le=1)
    """share of the variants of seeds that get a word swapped, where they hold one"""
    families: list[Family] = Field([], alias="patterns")
    """without them, all examples are seeds and their variants, and the config's numbers are the most there may be"""

    def slot(self, lang: str, name: str) -> tuple[list[SlotValue], Borrow | None]:
        """Return the values of a slot in a language, and the loan where another language lends them; [] where none has it."""
        if (values := self.slots.get(lang, {}).get(name)) is not None:
            return values, None
        borrow = self.languages[lang].borrow
        return (self.slots.get(borrow.from_, {}).get(name, []), borrow) if borrow else ([], None)

    def patterns(self) -> Iterator[Pattern]:
        """Yield the patterns, in the order of the file; the id is the family's and the item's number in it, from 1."""
        for family in self.families:
            for number, item in enumerate(family.texts, 1):
                yield Pattern(
                    id=f"{family.id}-{number}",
                    lang=family.lang,
                    register_=family.register_,
                    kind=family.kind,
                    texts=item.text,
                    calls=item.calls or ([] if item.reply else family.calls),
                    replies=item.reply or family.reply,
                )
