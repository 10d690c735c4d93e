"""Rewrite regular expressions of JSON Schema (ECMA-262's, as browsers read them) for a stricter engine."""

import re

_SET = r"(?P<set>\\[dDwWsS]|\\[pP]\{[^}]*\})"
_PAIR = r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
_ESCAPE = r"(?P<escape>\\(?:u\{[0-9a-fA-F]+\}|.))"
_OUTSIDE = re.compile(
    rf"{_PAIR}|{_SET}|{_ESCAPE}|(?P<times>\{{\d+(?:,\d*)?\}})|(?P<any>\[\^\])|(?P<class>\[\^?)|.", re.S
)
_INSIDE = re.compile(rf"{_PAIR}|{_SET}|{_ESCAPE}|(?P<end>\])|.", re.S)

_ESCAPES = {r"\0": r"\x00", r"\Z": r"\z"}
"""NUL; and the end of the text in Python's words, which is what authors of Python tools mean."""


def portable(pattern: str) -> str:
    r"""Rewrite what ECMA-262 takes and stricter engines refuse; the rest of a pattern stays as it is.

    `[\w-\.]` holds a hyphen, braces that count nothing are themselves, `[^]` is any character, `\0` is NUL, and
    `\ud83d\ude00` is one character.
    """
    pieces: list[str] = []
    position, inside, before = 0, False, None
    while position < len(pattern):
        match = (_INSIDE if inside else _OUTSIDE).match(pattern, position)
        assert match is not None  # both end in `.`, and re.S lets it match anything
        kind, text, position = match.lastgroup, match[0], match.end()
        if kind == "pair":
            text = text.encode().decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16")
        elif kind == "escape":
            text = _ESCAPES.get(text, text)
        elif kind == "any":
            text = r"[\s\S]"
        elif kind is None and inside and text == "-" and (before == "set" or _is_set(pattern, position)):
            text = r"\-"
        elif kind is None and not inside and text in "{}":
            text = "\\" + text
        pieces.append(text)
        inside = (inside or kind == "class") and kind != "end"
        before = kind
    return "".join(pieces)


def _is_set(pattern: str, position: int) -> bool:
    match = _INSIDE.match(pattern, position)
    return match is not None and match.lastgroup == "set"
