"""Find texts that say the same: exactly, after normalising, or nearly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from callwright.text import converter, normal_form

BLOCK = 512
"""So many rows of the similarity matrix are held at once: memory grows with the number of texts, not with its square."""
EXACT = 10_000
"""Up to so many texts every pair is compared (2 s on 2 cores); above, only those that MinHash proposes."""
SHORT = 10
"""Forms up to so many characters are compared with all others in any case: one edit leaves them few common shingles."""
BANDS, ROWS = 60, 4
"""The MinHash signature: a pair with Jaccard similarity J is proposed with probability 1 - (1 - J⁴)⁶⁰ (Leskovec,
Rajaraman, Ullman, "Mining of massive datasets", §3.4): 0.95 at 0.47, where one in a hundred pairs at ratio 75 lies, and
0.006 at 0.1, where unrelated English lies"""
LINES = 2048
"""The shingles of so many texts are held at once."""
PAIRS = 20_000
"""So many proposed pairs are held at once."""


@dataclass
class Novelty:
    """Lets each normal form in once, whatever its label."""

    seen: set[str] = field(default_factory=set)

    def admits(self, text: str) -> bool:
        """Tell whether the text says something new; from now on it does not."""
        before = len(self.seen)
        self.seen.add(normal_form(text))
        return len(self.seen) > before


def plain_forms(texts: Sequence[str]) -> list[str]:
    """Return normal forms in Simplified Chinese, sign by sign: the same words in another script say the same."""
    simplify = converter("t2s").convert
    table = {ord(char): simplify(char) for char in {char for text in texts for char in text} if char > "\u2e7f"}
    return [normal_form(text.translate(table)) for text in texts]


def near_pairs(texts: Sequence[str], threshold: float, exact: int = EXACT) -> Iterator[tuple[int, int]]:
    """Yield pairs (i, j), i < j, of texts whose plain forms have an indel ratio (0 to 100) of the threshold or more.

    All of them up to `exact` texts; above, those of short forms and, of the others, those that MinHash proposes (at
    least 0.95 of the pairs of ratio 75).
    """
    import numpy

    forms = plain_forms(texts)
    order = sorted(range(len(forms)), key=lambda index: (len(forms[index]), index))
    ranked = [forms[index] for index in order]
    short = int(numpy.searchsorted([len(form) for form in ranked], SHORT, side="right"))
    compared = len(ranked) if len(ranked) <= exact else short
    pairs = chain(
        _compared(ranked, threshold, compared),
        ((compared + one, compared + other) for one, other in _proposed(ranked[compared:], threshold)),
    )
    for one, other in pairs:
        yield min(order[one], order[other]), max(order[one], order[other])


def _compared(forms: Sequence[str], threshold: float, count: int) -> Iterator[tuple[int, int]]:
    """Yield near pairs of forms in order of length whose first is among the first `count`, by comparing every pair."""
    import numpy
    from rapidfuzz import fuzz, process

    # Two forms of m ≤ n characters reach at most 200 m / (m + n): by length, only a window of the others can be near.
    lengths = numpy.array([len(form) for form in forms])
    for start in range(0, count, BLOCK):
        rows = forms[start : min(start + BLOCK, count)]
        longest = len(rows[-1]) * (200 - threshold) / threshold
        columns = forms[start : int(numpy.searchsorted(lengths, longest, side="right"))]
        scores = process.cdist(rows, columns, scorer=fuzz.ratio, score_cutoff=threshold, dtype=numpy.uint8, workers=-1)
        for row, column in zip(*(part.tolist() for part in scores.nonzero()), strict=True):
            if column > row:
                yield start + row, start + column


def _proposed(forms: Sequence[str], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield near pairs of forms, by comparing those that agree on a band of their MinHash signatures."""
    import numpy
    from rapidfuzz import fuzz, process

    bands = _bands(forms)
    lengths = numpy.array([len(form) for form in forms])
    for band in range(BANDS):
        order = numpy.argsort(bands[:, band], kind="stable")
        keys = bands[order, band]
        at, step = numpy.arange(len(order)), 0
        while len(at):  # those that agree with the one `step` places on
            step += 1
            at = at[at < len(order) - step]
            at = at[keys[at] == keys[at + step]]
            for start in range(0, len(at), PAIRS):
                part = at[start : start + PAIRS]
                one, other = order[part], order[part + step]
                able = 200 * numpy.minimum(lengths[one], lengths[other]) >= threshold * (lengths[one] + lengths[other])
                one, other = one[able], other[able]
                new = ~(bands[one, :band] == bands[other, :band]).any(axis=1)  # an earlier band told the others
                ones, others = one[new].tolist(), other[new].tolist()
                scores = process.cpdist(
                    [forms[index] for index in ones],
                    [forms[index] for index in others],
                    scorer=fuzz.ratio,
                    score_cutoff=threshold,
                    dtype=numpy.uint8,
                    workers=-1,
                )
                for near in scores.nonzero()[0].tolist():
                    yield ones[near], others[near]


def _bands(forms: Sequence[str]) -> Any:
    """Return (forms, BANDS) hashes of bands of MinHash signatures over character bigrams.

    datasketch makes and files signatures a line at a time, which takes 20 times as long. Hashes are multiply-shift
    (Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair problem", 1997).
    """
    import numpy

    rng = numpy.random.default_rng(1)
    odd = rng.integers(2**63, size=(BANDS, ROWS), dtype=numpy.uint64) * 2 + 1
    bands = numpy.empty((len(forms), BANDS), dtype=numpy.uint32)
    for start in range(0, len(forms), LINES):
        part = forms[start : start + LINES]
        codes = numpy.frombuffer("".join(part).encode("utf-32-le"), dtype=numpy.uint32).astype(numpy.uint64)
        ends = numpy.cumsum([len(form) for form in part])
        inside = numpy.ones(len(codes) - 1, dtype=bool)
        inside[ends[:-1] - 1] = False  # no shingle spans two forms
        shingles = ((codes[:-1] << 21 | codes[1:]) * 0x9E3779B97F4A7C15)[inside]
        starts = numpy.concatenate([[0], ends[:-1]]) - numpy.arange(len(part))
        for band in range(BANDS):
            key = numpy.zeros(len(part), dtype=numpy.uint64)
            for row in range(ROWS):
                hashes = (shingles ^ shingles >> 29) * odd[band, row] >> 32
                key = (key ^ numpy.minimum.reduceat(hashes, starts)) * 0x9E3779B97F4A7C15
            bands[start : start + LINES, band] = key >> 32
    return bands


def nearest(texts: Sequence[str], others: Sequence[str] | None = None) -> list[tuple[float, int]]:
    """Return the indel ratio (0 to 100) of each text to the nearest of `others`, and the index of that one; others are some.

    Without `others`, to the nearest of the other texts.
    """
    import numpy
    from rapidfuzz import fuzz, process

    forms = plain_forms(texts)
    pool = forms if others is None else plain_forms(others)
    found: list[tuple[float, int]] = []
    for start in range(0, len(forms), BLOCK):
        scores = process.cdist(forms[start : start + BLOCK], pool, scorer=fuzz.ratio, dtype=numpy.float32, workers=-1)
        if others is None:
            scores[numpy.arange(len(scores)), numpy.arange(start, start + len(scores))] = -1
        found += zip(scores.max(axis=1).tolist(), scores.argmax(axis=1).tolist(), strict=True)
    return found


def alike_pairs(texts: Sequence[str], threshold: float) -> Iterator[tuple[int, int]]:
    """Yield pairs (i, j), i < j, whose TF-IDF vectors of character 2- to 4-grams have a cosine of the threshold or more.

    Word order counts for little, so that rearranged sentences are found; quadratic in time, not in memory.
    """
    import numpy
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), dtype=numpy.float32).fit_transform(
        plain_forms(texts)
    )
    for start in range(0, len(texts), BLOCK):
        cosines = (vectors[start : start + BLOCK] @ vectors[start:].T).tocoo()
        near = cosines.data >= threshold
        for row, column in zip(cosines.row[near].tolist(), cosines.col[near].tolist(), strict=True):
            if column > row:
                yield start + row, start + column
