"""What is wrong with what a large model wrote: its form, its call, its grounding, its script."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, create_model

from callwright.expectations import GROUNDED, share_said, unlisted_values
from callwright.files import parse_json, to_json
from callwright.records import Call, Seed, explain
from callwright.schema import parameters_of
from callwright.text import language_fault, script_of
from callwright.thoughts import split_thoughts
from tools.utterances.llm.ledger import Answer

SCRIPT = 0.2
"""A script counts as used from this share of an utterance's letters."""
USUAL = 0.9
"""A script counts as required from this share of a language's seeds."""


def form(name: str) -> dict[str, Any]:
    """Return a `response_format` for an object whose `name` is a list of strings."""
    properties = {name: {"type": "array", "items": {"type": "string"}}}
    schema = {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _filled(answer: Answer, name: str) -> list[str]:
    if answer.finish == "length":
        raise ValueError("the answer is truncated: less, or shorter")
    fields: Any = {name: (list[str], Field(min_length=1))}
    model = create_model("Form", __config__=ConfigDict(extra="forbid", strict=True), **fields)
    try:
        return list(getattr(model.model_validate(parse_json(split_thoughts(answer.content or "").answer)), name))
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    except ValueError as error:
        raise ValueError(f"the answer is not JSON alone ({error})") from None


def read_utterances(answer: Answer) -> list[str]:
    """Read the utterances of the writer's answer, white space squeezed, each once.

    Raises:
        ValueError: truncated, not JSON, or not of the form.
    """
    texts = (" ".join(text.split()) for text in _filled(answer, "utterances"))
    return list(dict.fromkeys(filter(None, texts)))


def read_results(answer: Answer, count: int) -> list[str]:
    """Read the results of `count` calls, each as JSON text in one line.

    Raises:
        ValueError: as for utterances, or not so many, or not JSON themselves.
    """
    texts = _filled(answer, "results")
    if len(texts) != count:
        raise ValueError(f"{len(texts)} results of {count} calls")
    try:
        return [to_json(parse_json(text)) for text in texts]
    except ValueError as error:
        raise ValueError(f"a result is not JSON text ({error})") from None


def disagreement(label: str, names: frozenset[str], counts: frozenset[int], calls: Sequence[Call]) -> str | None:
    """Say how calls differ from what the utterance was written for: `counts` calls, of tools among `names`."""
    made = ", ".join(call.name for call in calls) or "no call"
    if label != "call":
        return f"written for no call, labelled {made}" if calls else None
    if len(calls) in counts and {call.name for call in calls} <= names:
        return None
    wanted = " or ".join(map(str, sorted(counts)))
    return f"written for {wanted} of {', '.join(sorted(names))}, labelled {made}"


def drift(parent: Seed, calls: Sequence[Call]) -> str | None:
    """Say how a paraphrase's calls mean something else than its parent's: by the arguments that have one right spelling."""
    ours, theirs = exact_arguments(parent.calls), exact_arguments(calls)
    return None if ours == theirs else f"the parent's call has {dict(ours)}, this has {dict(theirs)}"


def exact_arguments(calls: Iterable[Call]) -> list[tuple[str, str]]:
    """Return the arguments of calls that are numbers, booleans or null, sorted by their names."""
    pairs = [(f"{call.name}.{key}", value) for call in calls for key, value in call.arguments.items()]
    return sorted((name, repr(value)) for name, value in pairs if not isinstance(value, str | list | dict))


def ungrounded(text: str, calls: Iterable[Call], tools: list[dict[str, Any]]) -> str | None:
    """Say which argument is the first that the utterance does not say; None where it says all."""
    for call in calls:
        for value in unlisted_values(call.arguments, parameters_of(call.name, tools)):
            if share_said(value, text) < GROUNDED:
                if isinstance(value, str):
                    return f"{call.name}: {value!r} is not in the utterance's words"
                return f"{call.name}: the utterance names no number, the call says {value}"
    return None


def scripts(text: str) -> set[str]:
    """Return the scripts of a text's letters, as Unicode names them, that make a fair part of it."""
    names = Counter(filter(None, map(script_of, text)))
    return {name for name, count in names.items() if count >= SCRIPT * names.total()}


class Scripts:
    """Which scripts each language is written in, learnt from its seeds."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self.each = defaultdict[str, list[set[str]]](list)
        for seed in seeds:
            self.each[seed.tags.get("lang", "")].append(scripts(seed.utterance))

    def fault(self, text: str, lang: str) -> str | None:
        """Say how a text is not written as its language is."""
        found, used = scripts(text), Counter(name for names in self.each[lang] for name in names)
        required = {name for name, count in used.items() if count >= USUAL * len(self.each[lang])}
        if wrong := (found - set(used)) or (required - found):
            return (
                f"{lang} in {', '.join(sorted(found)) or 'no letters'}: {', '.join(sorted(wrong))} is wrong or missing"
            )
        return language_fault(text, lang)
