"""Find texts that say the same: exactly, after normalising, or nearly."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tools.transform import converter

BLOCK = 512
"""rows of the similarity matrix held at once, so that memory grows with the number of texts and not with its square"""


def normal_form(text: str) -> str:
    """Text by which duplicates are told: NFKC, case folded, letters and digits only (text without any stays)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum()) or folded.strip()


@dataclass
class Novelty:
    """Lets each normal form in once, whatever its label."""

    seen: dict[str, str] = field(default_factory=dict)

    def admits(self, text: str) -> bool:
        """Whether the text says something new; from now on it does not."""
        form = normal_form(text)
        if form in self.seen:
            return False
        self.seen[form] = text
        return True


def near_pairs(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j), i < j, of texts whose indel ratio (rapidfuzz, 0 to 100) is the threshold or more.

    Compared are normal forms in Simplified Chinese: the same words in another script say the same.
    """
    import numpy
    from rapidfuzz import fuzz, process

    simplify = converter("t2s").convert
    forms = [normal_form(simplify(text)) for text in texts]
    # Two forms of m ≤ n characters reach at most 200 m / (m + n): by length, only a window of the others can be near.
    order = sorted(range(len(forms)), key=lambda index: (len(forms[index]), index))
    lengths = numpy.array([len(forms[index]) for index in order])
    for start in range(0, len(order), BLOCK):
        rows = order[start : start + BLOCK]
        longest = lengths[min(start + BLOCK, len(order)) - 1] * (200 - threshold) / threshold
        columns = order[start : int(numpy.searchsorted(lengths, longest, side="right"))]
        scores = process.cdist(
            [forms[row] for row in rows],
            [forms[column] for column in columns],
            scorer=fuzz.ratio,
            score_cutoff=threshold,
            dtype=numpy.uint8,
            workers=-1,
        )
        for row, column in zip(*(part.tolist() for part in scores.nonzero()), strict=True):
            if column > row:
                first, second = sorted((rows[row], columns[column]))
                yield first, second
