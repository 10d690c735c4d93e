"""A character-n-gram classifier of the decision: what the surface of an utterance gives away by itself.

`python -m tools.baseline image_intent` writes what it decides beside the task's cases, for the reports to show.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import sha256
from callwright.records import Baseline, Case, Example, Seed, read_records

FOLDS = 5
CASES = ("golden", "test", "talk", "mine")
"""What cases are made of."""


@dataclass(frozen=True)
class Score:
    """How well the baseline decides, `call` being the positive class."""

    lines: int
    f1: float
    low: float
    """of the 95% interval of F1, which takes lines as independent"""
    high: float
    accuracy: float
    majority: float
    """accuracy of always giving the commoner label"""
    always: float
    """F1 of always calling"""


def untrained() -> Any:
    """Return TF-IDF of character 1- to 4-grams with logistic regression, untrained."""
    import numpy
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    grams = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, dtype=numpy.float32)
    return make_pipeline(grams, LogisticRegression(C=10, solver="liblinear", random_state=0))


def fit(seeds: Sequence[Seed]) -> Any:
    """Train the baseline on seeds.

    Raises:
        UserError: they are all of one label.
    """
    if len({seed.label for seed in seeds}) < 2:
        raise UserError("train", "has lines of one label only", "give it calls and lines that do not call")
    return untrained().fit([seed.utterance for seed in seeds], [bool(seed.calls) for seed in seeds])


def score(model: Any, seeds: Sequence[Seed]) -> Score:
    """Score the baseline on seeds; its F1 is 0 where nothing calls, nor is said to.

    The interval is Wilson's of q = tp / (tp + fp + fn); F1 = 2q / (1 + q) rises with q.
    """
    from scipy.stats import binomtest

    decided = model.predict([seed.utterance for seed in seeds]).tolist()
    pairs = list(zip(decided, [bool(seed.calls) for seed in seeds], strict=True))
    n, calls = len(pairs), sum(true for _, true in pairs)
    positive = max(1, sum(said or true for said, true in pairs))
    hits = sum(said and true for said, true in pairs)
    bounds = binomtest(hits, positive).proportion_ci(method="wilson")
    f1, low, high = (2 * q / (1 + q) for q in (hits / positive, float(bounds.low), float(bounds.high)))
    return Score(
        lines=n,
        f1=f1,
        low=low,
        high=high,
        accuracy=sum(said == true for said, true in pairs) / n,
        majority=max(calls, n - calls) / n,
        always=2 * calls / (n + calls),
    )


def out_of_fold_label_error(examples: Sequence[Example]) -> list[float]:
    """Return the probability (0 to 1) of the other label for each example, by baselines that saw none of its lineage.

    It is 0.5 where a tool's result decides.

    Raises:
        UserError: a label has fewer lineages than FOLDS.
    """
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    asked = [example for example in examples if not example.after_result]
    labels, lineages = [example.label for example in asked], [example.lineage for example in asked]
    for label in ("call", "no_call"):
        if (count := len({e.lineage for e in asked if e.label == label})) < FOLDS:
            raise UserError("examples", f"only {count} lineages of {label}", f"give at least {FOLDS}")
    folds, texts = StratifiedGroupKFold(FOLDS), [example.utterance for example in asked]
    chances = cross_val_predict(untrained(), texts, labels, groups=lineages, cv=folds, method="predict_proba")
    # The columns are in the order of the labels' names: call, no_call.
    other = {"call": 1, "no_call": 0}
    found = (float(chance[other[label]]) for label, chance in zip(labels, chances, strict=True))
    return [0.5 if example.after_result else next(found) for example in examples]


def decide(model: Any, lines: int, cases: Path) -> Baseline:
    """Return what the baseline, trained on so many lines, decides about a cases file, by what each user says last.

    Raises:
        UserError: a broken case.
    """
    asked = read_records(cases, Case)
    decided = model.predict([case.text for case in asked]).tolist() if asked else []  # a task may have no test lines
    calls = dict(zip((case.id for case in asked), decided, strict=True))
    return Baseline(cases=sha256(cases), lines=lines, calls=calls)
