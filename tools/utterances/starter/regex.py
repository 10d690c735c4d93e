"""Draw short strings that a regular expression matches, whatever the expression asks for."""

import re
import string
from collections.abc import Iterator
from random import Random
from typing import Any

from rstr import Rstr

TRIES = 120
"""So many strings are drawn of one pattern; lookaheads are guessed, so that not every one of them fits."""
STEPS = 2_000
"""The most parts of one string: a pattern can ask for millions of characters in ten of its own."""
REPEATS = 4
"""The repetitions beyond the least: a `+` gives one to five."""
CLASSES = {
    "L": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9", "Nd": "0-9", "Letter": "A-Za-z", "Alphabetic": "A-Za-z",
    "Uppercase": "A-Z", "Lowercase": "a-z", "P": ".", "Han": "一-龥", "Hiragana": "ぁ-ん", "Katakana": "ァ-ン",
}  # fmt: skip
"""Unicode properties of ECMA's regular expressions, as ranges to draw from"""


def python_pattern(pattern: str) -> str:
    """Write an ECMA regular expression (what JSON Schema's `pattern` is) in Python's syntax, good enough to draw from."""

    def ranges(match: re.Match[str]) -> str:
        inside = CLASSES.get(match[1].split("=")[-1], "A-Za-z0-9")
        before = match.string[: match.start()]
        return inside if before.rfind("[") > before.rfind("]") else f"[{inside}]"

    pattern = re.sub(r"\\p\{(\w+(?:=\w+)?)\}", ranges, pattern)
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    pattern = re.sub(r"\\k<(\w+)>", r"(?P=\1)", pattern)
    pattern = re.sub(r"\\u\{([0-9A-Fa-f]{1,6})\}", lambda match: f"\\U{match[1]:0>8}", pattern)
    return re.sub(r"(\\[wdsWDS])-", r"\1\\-", pattern)  # a hyphen behind a class is one, to ECMA


class _Drawer(Rstr):
    """rstr with short repetitions, letters and digits where they do, and an end."""

    def __init__(self, rng: Random, look: bool) -> None:
        super().__init__(rng)
        self.left = STEPS
        letters = string.ascii_letters + string.digits
        cases: dict[str, Any] = dict(self._cases)
        cases["any"] = cases["any_all"] = lambda _: rng.choice(letters)
        cases["not_literal"] = lambda char: rng.choice(letters.replace(chr(char), ""))
        cases["range"] = lambda ends: [chr(at) for at in range(ends[0], min(ends[1], ends[0] + 5_000) + 1)]
        cases["possessive_repeat"] = cases["max_repeat"]
        cases["atomic_group"] = lambda part: "".join(map(self._handle_state, part))
        if not look:
            cases["assert"] = lambda _: ""
        self._cases = cases

    def _handle_state(self, state: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ValueError("asks for too long a string")
        return super()._handle_state(state)

    def _handle_repeat(self, start_range: int, end_range: int, value: Any) -> str:
        return super()._handle_repeat(start_range, min(end_range, start_range + REPEATS), value)

    def _handle_in(self, value: Any) -> Any:
        negated = value[0][0].name == "NEGATE"
        listed = [char for state in value[negated:] for char in self._handle_state(state)]
        letters = string.ascii_letters + string.digits
        chars = sorted(set(letters + " .-_") - set(listed)) if negated else listed
        return self._random.choice([char for char in chars if char.isalnum()] or chars)


def matching(pattern: str, seed: str) -> Iterator[str]:
    """Draw up to TRIES strings that a pattern may match, the same for the same seed; none of a pattern that nobody can read.

    Lookaheads are drawn like everything else in every second string, and left out in the others.
    """
    for number in range(TRIES):
        try:
            yield _Drawer(Random(f"{seed}/{number}"), look=number % 2 == 1).xeger(python_pattern(pattern))
        except (re.error, ValueError, LookupError, OverflowError, RecursionError, TypeError):
            if number > TRIES // 4:
                return
