"""Surface transforms of an utterance, applied alike to its arguments and what is expected of them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from callwright.records import Call
from callwright.text import converter
from tools.utterances.grammar import Transform

MARKS = re.compile(r"[,.;:](?=\s|$)|[!?~]+(?![!-~])|[，。！？、；：～…]+")
"""Marks of a sentence; within words, numbers and URLs ASCII ones mean something else."""
HALF = str.maketrans(
    {"，": ", ", "。": ". ", "！": "!", "？": "?", "：": ": ", "；": "; ", "、": ", ", "（": "(", "）": ")"}
)
NEIGHBOURS = {
    a: b for row in ("qwertyuiop", "asdfghjkl", "zxcvbnm") for a, b in zip(row, row[1:] + row[-2], strict=True)
}
WORD = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{4,}(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Draft:
    """An example in the making."""

    text: str
    calls: tuple[Call, ...] = ()
    expected: tuple[Call, ...] = ()
    reply: str | None = None
    system: str | None = None
    """what the system message of this line says, such as the day"""
    fixed: frozenset[str] = frozenset()
    """argument values, such as those of an enum, that stay however they are said"""
    copied: frozenset[str] = frozenset()
    """those, such as URLs, that the text says to the letter and goes on saying so"""

    @property
    def said(self) -> dict[str, Any]:
        """Return what a record says of it."""
        answer = {"calls": list(self.calls), "reply": self.reply, "expected": list(self.expected) or None}
        return {"text": self.text, **answer, "system": self.system}

    def mapped(self, change: Callable[[str], str], reply: bool = False) -> "Draft":
        """Return the draft with `change` applied to its text and the strings of its arguments, and to the reply if asked."""

        copied = re.compile(f"({'|'.join(map(re.escape, sorted(self.copied, key=len, reverse=True)))})")

        def around(text: str) -> str:
            parts = copied.split(text) if self.copied else [text]  # every second one is copied
            return "".join(part if place % 2 else change(part) for place, part in enumerate(parts))

        def mapped(calls: tuple[Call, ...]) -> tuple[Call, ...]:
            unless_fixed = lambda text: text if text in self.fixed else around(text).strip()  # noqa: E731
            return tuple(Call(name=call.name, arguments=strings(call.arguments, unless_fixed)) for call in calls)

        return replace(
            self,
            text=around(self.text).strip(),
            calls=mapped(self.calls),
            expected=mapped(self.expected),
            reply=change(self.reply) if reply and self.reply else self.reply,
        )


def strings(value: Any, change: Callable[[str], Any]) -> Any:
    """Return a JSON value with `change` applied to its strings (not to keys)."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: strings(item, change) for key, item in value.items()}
    return [strings(item, change) for item in value] if isinstance(value, list) else value


def apply_transform(transform: Transform, draft: Draft, rng: Random) -> Draft | None:
    """Apply a transform to a draft; None where it finds nothing to change."""
    if transform.unless and transform.unless.search(draft.text):
        return None
    after = APPLY[transform.do](transform, draft, rng)
    return after if after is not None and after.text and after != draft else None


def whole(word: str) -> str:
    """Return a regular expression for a word that is not a part of a longer one, where its script parts words by spaces."""
    before = "(?<![A-Za-z0-9])" if re.match("[A-Za-z0-9]", word) else ""
    after = "(?![A-Za-z0-9])" if re.search("[A-Za-z0-9]$", word) else ""
    return before + re.escape(word) + after


def _replace(transform: Transform, draft: Draft, rng: Random) -> Draft | None:
    found = [word for word in transform.words if word in draft.text and re.search(whole(word), draft.text)]
    rng.shuffle(found)
    chosen = {word: rng.choice(transform.words[word]) for word in found[: rng.randint(1, transform.most)]}
    if not chosen:
        return None
    # One pass, the longest words first, so that no replacement is replaced again.
    either = re.compile("|".join(whole(word) for word in sorted(chosen, key=lambda word: (-len(word), word))))
    return draft.mapped(lambda text: either.sub(lambda match: chosen[match[0]], text))


def swap(draft: Draft, groups: Sequence[Sequence[str]], rng: Random) -> Draft | None:
    """Exchange one word of a draft for another of its group, in the reply too; None where it holds no such word."""
    words = {word: group for group in groups for word in group}
    every = re.compile("|".join(whole(word) for word in sorted(words, key=lambda word: (-len(word), word))) or "(?!)")
    found = list(dict.fromkeys(every.findall(draft.text)))
    if not found:
        return None
    word = rng.choice(found)
    other = rng.choice([other for other in words[word] if other not in found] or [word])
    return draft.mapped(lambda text: every.sub(lambda match: other if match[0] == word else match[0], text), reply=True)


def mistype(word: str, rng: Random) -> str:
    """Write a word as a hasty hand types it: two letters swapped, one doubled, dropped or hit beside its key."""
    at = rng.randrange(1, len(word) - 1)
    a, b = word[at], word[at + 1]
    near = NEIGHBOURS.get(a.lower(), a)
    beside = near.upper() if a.isupper() else near
    return word[:at] + rng.choice([b + a, a + a + b, b, beside + b]) + word[at + 2 :]


def _keyboard(transform: Transform, draft: Draft, rng: Random) -> Draft | None:
    words = list(dict.fromkeys(WORD.findall(draft.text)))
    if not words:
        return None
    word = rng.choice(words)
    wrong = mistype(word, rng)
    return draft.mapped(lambda text: re.sub(whole(word), wrong, text))


def _append(transform: Transform, draft: Draft, rng: Random) -> Draft:
    addition = rng.choice(transform.choices)
    if transform.at == "start" or (transform.at == "either" and rng.random() < 0.3):
        gap = " " if addition.startswith(" ") else ""
        return replace(draft, text=addition.strip() + gap + draft.text)
    bare = draft.text if draft.text.endswith("..") else draft.text.rstrip("。.")
    return replace(draft, text=bare + addition)


def _unpunctuate(transform: Transform, draft: Draft, rng: Random) -> Draft:
    gap = rng.choice(transform.choices or [" "])
    return draft.mapped(lambda text: re.sub(r" {2,}", " ", MARKS.sub(lambda m: gap if m[0] > "\u3000" else "", text)))


APPLY: dict[str, Callable[[Transform, Draft, Random], Draft | None]] = {
    "replace": _replace,
    "keyboard": _keyboard,
    "append": _append,
    "unpunctuate": _unpunctuate,
    "lower": lambda transform, draft, rng: draft.mapped(str.lower),
    "upper": lambda transform, draft, rng: draft.mapped(str.upper),
    "halfwidth": lambda transform, draft, rng: draft.mapped(lambda text: text.translate(HALF)),
    "opencc": lambda transform, draft, rng: draft.mapped(converter(str(transform.config)).convert, reply=True),
}
