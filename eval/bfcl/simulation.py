"""BFCL's multi-turn questions: its own tool classes, called by a dispatcher, and the state and answers that it compares.

BFCL runs a model's calls as source text through `eval()`. Here a name is looked up among the public methods of the
classes that the question involves, and called with JSON values: nothing that a model writes is ever run as code.

Source: bfcl-eval 2026.3.23, eval_checker/multi_turn_eval; tests/test_bfcl.py holds `fault` against its checker.
"""

import copy
import importlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from callwright.bfcl import FOLDER
from callwright.files import to_json
from eval.bfcl.checker import Call
from eval.bfcl.questions import DOCUMENTS, Question, gold_calls

MODULES = "bfcl_eval.eval_checker.multi_turn_eval.func_source_code"
STATELESS = ("MathAPI",)
MOST: Mapping[str, float] = {"base": 1e18, "exponent": 1e4, "precision": 1e4, "decimal_places": 1e4}
"""Larger arguments of MathAPI, which computes them in full, would stop everything for minutes or for ever."""

Steps = Sequence[Sequence[Call]]
"""what a model called in a turn, answer by answer"""


class Simulation:
    """The classes of one question in their first state."""

    def __init__(self, question: Question) -> None:
        self.owners = {name: _load(name)() for name in question.classes}
        for name, owner in self.owners.items():
            if name not in STATELESS:
                owner._load_scenario(copy.deepcopy(question.config.get(name, {})), long_context=False)
        self.methods = {
            name: method
            for owner in self.owners.values()
            for name, method in inspect.getmembers(owner, inspect.ismethod)
            if not name.startswith("_")
        }

    def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Return what a tool answers, as the text that the model is given; whatever it dies of is an answer as well."""
        if name not in self.methods:
            return f"Error during execution: name {name!r} is not defined"
        if large := next((key for key in MOST.keys() & arguments if not _bounded(arguments[key], MOST[key])), None):
            return f"Error during execution: {large} is too large"
        try:
            # A copy: tools keep and change the lists that they get.
            return _text(self.methods[name](**json.loads(to_json(arguments))))
        except Exception as error:  # as BFCL does: neither code nor result is ours, and what it dies of is its answer
            return f"Error during execution: {error}"

    def state(self) -> dict[str, dict[str, Any]]:
        """Return the public attributes of each class."""
        return {
            name: {key: value for key, value in vars(owner).items() if not key.startswith("_")}
            for name, owner in self.owners.items()
        }


def _load(name: str) -> Any:
    """Load a class of the unpacked wheel, and of no other bfcl_eval that may be installed."""
    sys.path.insert(0, str(FOLDER))
    try:
        return getattr(importlib.import_module(f"{MODULES}.{DOCUMENTS[name]}"), name)
    finally:
        sys.path.remove(str(FOLDER))


def _text(result: Any) -> str:
    if isinstance(result, dict):
        try:
            return json.dumps(result)
        except (TypeError, ValueError):
            pass
    return str(result)


def _bounded(value: Any, most: float) -> bool:
    return not isinstance(value, int | float) or abs(value) <= most


def fault(question: Question, turns: Sequence[Steps]) -> str | None:
    """Return what BFCL finds wrong with what was called, turn by turn; None where it credits it.

    After each turn the classes must be in the state that the gold calls leave them in, and what the gold calls of the
    turn answered must be among what all calls so far answered.
    """
    gold = gold_calls(question)
    if len(turns) != len(gold):
        return f"stopped in turn {len(turns)} of {len(gold)}: too many steps"
    asked, right = Simulation(question), Simulation(question)
    heard: list[str] = []
    for number, (steps, expected) in enumerate(zip(turns, gold, strict=True), 1):
        heard += [asked.call(*call) for step in steps for call in step]
        answers = [right.call(*call) for call in expected]
        if not expected:
            continue
        if not any(steps):
            return f"turn {number}: no call"
        states = asked.state(), right.state()
        if other := next((name for name in states[1] if states[0][name] != states[1][name]), None):
            return f"turn {number}: {other} is in another state"
        left = list(heard)
        for answer in answers:
            if answer not in left:
                return f"turn {number}: no call was answered {answer[:200]}"
            left.remove(answer)
    return None
