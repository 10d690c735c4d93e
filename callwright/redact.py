"""Keep secrets out of everything that is written: blot known keys and passwords wherever they turn up.

Whatever a server answers, every file that `callwright.files` writes and what a command prints go through `redact`. A
secret becomes known when it is used (`keep_secret`), or stands in the environment or the command line
(`keep_secrets_of`).
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MARK = "***"
SHORTEST, SHORTEST_WORD = 6, 12
"""Least characters of a secret, and of one of letters alone; what is shorter cannot be told from other words."""
PIECE = 8
"""Characters of its beginning or end that give a secret away, where the rest was cut off."""
PLACEHOLDERS = frozenset(
    {"not-needed", "no-key-required", "lm-studio", "ollama", "dummy-key", "placeholder", "changeme"}
)
"""What people set where a server asks for no key."""

NAME_OF_SECRET = re.compile(r"(?i)(?:^|_)(?:api_?key|access_key|token|secret|password|passwd|credentials?)(?:$|_|\d)")
"""The names of environment variables that hold secrets."""
IN_URL = re.compile(r"://([^\s/?#:@]*):([^\s/?#@]+)@")
"""The user and the password in a URL."""

_known: dict[str, tuple[str, str]] = {}
"""Each spelling of a known secret, the longest first → the least beginning and the least end of it that are blotted."""


def keep_secret(secret: str) -> None:
    """Blot `secret` from everything that is written from now on; a placeholder, or what may be any word, is none."""
    shortest = SHORTEST_WORD if secret.isalpha() else SHORTEST
    if len(secret) < shortest or secret.isdigit() or secret.lower() in PLACEHOLDERS:
        return
    global _known  # replaced, never changed: threads may be reading it
    found = _known | {form: (_piece(form), _piece(form[::-1])[::-1]) for form in _spellings(secret)}
    _known = dict(sorted(found.items(), key=lambda item: -len(item[0])))


def keep_secrets_of(words: Iterable[str], environment: Mapping[str, str]) -> None:
    """Blot passwords of URLs in a command's words or in the environment, and what the environment calls a secret."""
    for text in (*words, *environment.values()):
        for user, password in IN_URL.findall(text):
            keep_secret(password)
            keep_secret(f"{user}:{password}")
    for name, value in environment.items():
        if NAME_OF_SECRET.search(name) and not value.startswith(("/", "~")):  # a path to a file of credentials
            keep_secret(value)


def _spellings(secret: str) -> set[str]:
    """Return the secret as it is, in other letter case, escaped for JSON, URLs and HTML, in hexadecimal, and within base64.

    In base64 it looks different at each of three offsets.
    """
    raw = secret.encode("utf-8", "replace")
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    forms |= {secret.lower(), secret.upper(), secret.swapcase()}
    forms |= {quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), raw.hex()}
    for offset in range(3):
        # Whole sextets of the secret alone: those that it shares with its neighbours are left out.
        start, end = -(-offset * 8 // 6), (offset + len(raw)) * 8 // 6
        text = base64.b64encode(bytes(offset) + raw).decode()[start:end]
        forms |= {text, text.replace("+", "-").replace("/", "_")}
    return forms


def _piece(form: str) -> str:
    """Return the least beginning that is blotted: PIECE characters, and more where they could be a word."""
    for end in range(PIECE, len(form)):
        kinds = {"letter" if c.isalpha() else "digit" if c.isdigit() else "sign" for c in form[:end]}
        if len(kinds) > 1:
            return form[:end]
    return form


def redact(text: str) -> str:
    """Return the text with every known secret blotted: whole, in other spellings, or cut off at either end."""
    known = _known
    for form in known:  # whole ones first, the longest before all: one may begin like another, or hold it
        text = text.replace(form, MARK)
    for form, (head, tail) in known.items():
        if head in text:
            text = _blot(text, form, head)
        if tail in text:
            text = _blot(text[::-1], form[::-1], tail[::-1])[::-1]
    return text


def _blot(text: str, form: str, head: str) -> str:
    """Put MARK where `head` stands, and as much of `form` as follows it."""
    pieces, start = [], 0
    while (at := text.find(head, start)) >= 0:
        pieces += [text[start:at], MARK]
        start = at + len(head)
        while start < len(text) and start - at < len(form) and text[start] == form[start - at]:
            start += 1
    return "".join([*pieces, text[start:]])
