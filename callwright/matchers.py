"""Match the values of arguments against what is expected.

A matcher is a literal, or an object with exactly one of `any_of` (a list of literals), `contains` (words that must all
arrive in a string) and `any: true`, each optionally with `optional: true`, which lets the argument be absent.
"""

from typing import Any

from callwright.text import fold_case

KINDS = ("any_of", "contains", "any")


def is_matcher(value: Any) -> bool:
    """Tell whether `value` is a matcher object, not a literal."""
    return isinstance(value, dict) and sum(kind in value for kind in KINDS) == 1 and set(value) <= {*KINDS, "optional"}


def is_optional(value: Any) -> bool:
    """Tell whether the argument may be absent."""
    return is_matcher(value) and value.get("optional") is True


def equal(a: Any, b: Any) -> bool:
    """Compare JSON values: 1 equals 1.0, true does not equal 1, lists are ordered."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return (type(a) is type(b) and a == b) or (isinstance(a, int | float) and isinstance(b, int | float) and a == b)


def missing_words(words: list[str], value: str) -> list[str]:
    """Return the words of a `contains` matcher that did not arrive in `value`."""
    folded = fold_case(value)
    return [word for word in words if fold_case(word) not in folded]


def accepts(matcher: Any, value: Any) -> bool:
    """Tell whether `value` is right for `matcher` (a literal or a matcher object)."""
    if not is_matcher(matcher):
        return equal(matcher, value)
    if "any_of" in matcher:
        return any(equal(literal, value) for literal in matcher["any_of"])
    if "contains" in matcher:
        return isinstance(value, str) and not missing_words(matcher["contains"], value)
    return matcher["any"] is True


def matcher_fault(matcher: Any) -> str | None:
    """Say what is wrong with a value that looks like a matcher; None for a literal or a good matcher."""
    if not isinstance(matcher, dict) or not any(kind in matcher for kind in KINDS):
        return None
    if not is_matcher(matcher):
        return f"a matcher has exactly one of {', '.join(KINDS)} and optionally `optional`, not {sorted(matcher)}"
    if "any_of" in matcher and not isinstance(matcher["any_of"], list):
        return "any_of needs a list"
    if "contains" in matcher:
        words = matcher["contains"]
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            return "contains needs a list of words"
    if "any" in matcher and matcher["any"] is not True:
        return "any needs true"
    return None
