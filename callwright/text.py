"""Texts compared and told apart: normal forms, and the script and the language that a text is written in."""

import unicodedata
from collections import Counter
from functools import cache, lru_cache
from itertools import groupby
from typing import Any

SCRIPTS = {
    "zh": {"CJK", "BOPOMOFO"},
    "ja": {"CJK", "HIRAGANA", "KATAKANA"},
    "ko": {"HANGUL"},
    "el": {"GREEK"},
    "he": {"HEBREW"},
    "hi": {"DEVANAGARI"},
    "th": {"THAI"},
    **{lang: {"ARABIC"} for lang in ("ar", "fa", "ur")},
    **{lang: {"CYRILLIC"} for lang in ("bg", "ru", "uk")},
    **{lang: {"LATIN"} for lang in ("de", "en", "es", "fr", "id", "it", "nl", "pl", "pt", "sv", "tr", "vi")},
}
"""The scripts that a language is written in, as Unicode names them; a language that is not here is not checked."""
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI"}
"""Scripts without spaces, of which every letter counts as a word."""
OWN_SHARE = 0.3
"""The least share of words in the language's own scripts: a line may name or quote something in another."""
TRADITIONAL, SIMPLIFIED = {"zh-tw", "zh-hk", "zh-hant"}, {"zh-cn", "zh-sg", "zh-hans"}
HAN_FROM = "\u2e7f"
"""The character behind which Unicode's Han characters begin."""


def fold_case(text: str) -> str:
    """Return a text as a `contains` matcher compares it: NFKC, case folded, white space squeezed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def letters_of(text: str) -> str:
    """Return the letters and digits of a text, NFKC and case folded."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def normal_form(text: str) -> str:
    """Return the form by which duplicates are told: letters and digits only; a text without any stays as it is."""
    return letters_of(text) or unicodedata.normalize("NFKC", text).casefold().strip()


@cache
def converter(config: str) -> Any:
    """Return the OpenCC converter of a configuration, such as s2tw."""
    from opencc import OpenCC

    return OpenCC(config)


@lru_cache(maxsize=1 << 16)
def script_of(char: str) -> str:
    """Return the script of a letter, as the first word of its Unicode name (LATIN, CJK); "" for anything else.

    Wide and narrow forms are of the script of the plain letter, and the mark of a long vowel (ー) is KATAKANA.
    """
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    return name.removesuffix("-HIRAGANA PROLONGED SOUND MARK").partition(" ")[0]


@lru_cache(maxsize=1 << 16)
def _chinese_form(char: str) -> str:
    """Return `traditional` or `simplified` for a Chinese character that only that form has, else "".

    OpenCC alone would also change characters that both forms write (后, 台, 只): the national character sets have those.
    """
    for form, charset, config in (("traditional", "gb2312", "t2s"), ("simplified", "big5", "s2t")):
        if not char.encode(charset, "ignore") and converter(config).convert(char) != char:
            return form
    return ""


def chinese_form(text: str) -> str:
    """Return the form that most telling Chinese characters of a text have: `traditional`, `simplified`, or "" for neither."""
    counts = Counter(_chinese_form(char) for char in text if char > HAN_FROM)
    if counts["traditional"] == counts["simplified"]:
        return ""
    return "traditional" if counts["traditional"] > counts["simplified"] else "simplified"


def language_fault(text: str, lang: str) -> str | None:
    """Say why a text is not in the language of its tag (BCP 47), by its script; None where it is, or the tag is unknown."""
    own = SCRIPTS.get(lang.partition("-")[0].lower())
    if own is None:
        return None
    words: Counter[str] = Counter()
    for name, run in groupby(unicodedata.normalize("NFKC", text), script_of):
        words[name] += len(list(run)) if name in UNSPACED else 1
    del words[""]
    if words and sum(words[name] for name in own) < OWN_SHARE * words.total():
        return f"tagged {lang}, written in {words.most_common(1)[0][0].title()} script"
    if lang.lower() in TRADITIONAL | SIMPLIFIED:
        wrong = "simplified" if lang.lower() in TRADITIONAL else "traditional"
        if chinese_form(text) == wrong:
            return f"tagged {lang}, written in {wrong} characters"
    return None
