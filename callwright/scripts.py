"""Which script a letter is of."""

import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1 << 16)
def script_of(char: str) -> str:
    """Return the script of a letter, as the first word of its Unicode name (LATIN, CJK); "" for anything else.

    Wide and narrow forms are of the script of the plain letter, and the mark of a long vowel (ー) is KATAKANA.
    """
    if not char.isalpha():
        return ""
    name = unicodedata.name(char, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    return name.removesuffix("-HIRAGANA PROLONGED SOUND MARK").partition(" ")[0]
