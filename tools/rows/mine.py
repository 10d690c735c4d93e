"""Turn what a model gets wrong in its mining split into lines to train on and preference pairs: `python -m tools.mine
smollm2-135m_lora`. Golden and test are never mined."""

import re
from collections.abc import Sequence
from os.path import normpath
from pathlib import Path
from typing import Any

from callwright.config import DataConfig
from callwright.errors import UserError
from callwright.files import read_json, read_jsonl, sha256, to_json, write_jsonl
from callwright.recipes import evaluate_again
from callwright.records import Example, Seed, as_line, read_records
from callwright.results import Result
from callwright.schema import load_tools
from callwright.tasks import read_golden
from tools.formats import sharegpt
from tools.formats.dataset_info import PAIRS, entry_of, register
from tools.rows.build import to_case, to_turns, with_prefix
from tools.rows.remedies import Cause, cause_of, grow
from tools.rows.split import MINE, SIDES
from tools.utterances.clean import Found, leaks

MEDIA = re.compile(r"<(image|video|audio)>")
"""what LLaMA-Factory takes for a picture that is missing, and dies of"""
Held = Sequence[tuple[Sequence[Seed], float]]
"""golden and test, each with the similarity (0 to 100) from which a line is too near to it"""
LEFT: Cause = "near golden or test", ""
"""of a failure that is left alone, whatever its verdict"""


def mining_split(config: DataConfig, folder: Path) -> dict[str, Example]:
    """Read the examples of the mining split, by id, when they are what a run folder was asked.

    Raises:
        UserError: there is none, or the run was asked something else, whatever its file is called.
    """
    path, again = config.built(MINE), evaluate_again(folder)
    if not config.split.mine:
        remedy = f"set split.mine, say to 200, then run: make data train eval TASK={config.task} SUITE={MINE}"
        raise UserError(f"configs/data/{config.task}.yaml", "has no mining split, and nothing else is mined", remedy)
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise UserError(folder, "no finished run there", again)
    known = read_json(manifest)
    asked = known.get("cases") if isinstance(known, dict) else None
    if not isinstance(asked, dict) or [normpath(path.parents[1] / name) for name in asked] != [str(path)]:
        names = ", ".join(asked) if isinstance(asked, dict) else "nobody knows what"
        raise UserError(manifest, f"the run was asked {names}; only {path.name} is mined, golden and test never", again)
    digest = sha256(path) if path.is_file() else None
    if digest != asked.popitem()[1]:
        raise UserError(path, "has changed since the run was asked", again)
    for other in (*path.parent.glob("*_golden.jsonl"), *path.parent.glob("*_test.jsonl")):
        if sha256(other) == digest:
            fault = f"is a copy of {other.name}: what is measured on is never mined"
            raise UserError(path, fault, "run make data again")
    examples = read_records(config.work / f"{MINE}.jsonl", Example)
    tools = load_tools(config.seeds / "tools.json")
    if [to_case(one, tools, config.system).model_dump() for one in examples] != [case for _, case in read_jsonl(path)]:
        raise UserError(path, f"is not what {config.work / 'mine.jsonl'} holds", "run make data again")
    return {example.id: example for example in examples}


def leaking(examples: Sequence[Example], held: Held) -> Found:
    """Map the index of each example to a reason where it says almost what golden or test says."""
    return {index: why for seeds, near in held for index, why in leaks(examples, seeds, near).items()}


def failures(path: Path, split: dict[str, Example], held: Held) -> dict[Cause, list[tuple[Result, Example]]]:
    """Group the wrong answers of results.jsonl by cause, each with what was right; unscored cases are not wrong.

    Raises:
        UserError: results of other cases, or of a case that golden or test asks as well.
    """
    results, examples = read_records(path, Result), list(split.values())
    for result in results:
        if result.id not in split or split[result.id].utterance != result.text:
            raise UserError(path, f"{result.id!r} is no case of the mining split", "run make eval again")
    if twin := next(iter(leaking(examples, [(seeds, 100) for seeds, _ in held]).items()), None):
        fault = f"{examples[twin[0]].id!r} is {twin[1]}: what is measured on is never mined"
        raise UserError(path, fault, "run make data again")
    near = {examples[index].id for index in leaking(examples, held)}
    causes: dict[Cause, list[tuple[Result, Example]]] = {}
    for result in results:
        if result.verdict not in ("correct", "infra_error", "unchecked"):
            cause = LEFT if result.id in near else cause_of(result.verdict, split[result.id])
            causes.setdefault(cause, []).append((result, split[result.id]))
    return causes


def rejected(failure: Result) -> dict[str, str] | None:
    """Write what the model did as a turn; None where it left no trace that can be trained on."""
    calls = [{"name": call.get("name"), "arguments": call.get("arguments")} for call in failure.got]
    if calls and all(isinstance(call["name"], str) and isinstance(call["arguments"], dict) for call in calls):
        return {"from": "function_call", "value": to_json(calls[0] if len(calls) == 1 else calls)}
    words = failure.content or ""
    return {"from": "gpt", "value": words} if words.strip() else None


def to_pair(failure: Result, example: Example, config: DataConfig, functions: str) -> dict[str, Any] | None:
    """Write a preference pair: the right answer as train's rows write it, over the model's own; None where there are not two."""
    try:
        *asked, chosen = with_prefix(to_turns(example), config.rows.reply_prefix)
    except ValueError as error:
        raise UserError(f"example {example.id!r}", str(error), "fix the seed that it descends from") from None
    worse = rejected(failure)
    if worse is None or worse == chosen or MEDIA.search(worse["value"]):
        return None
    shared = {"system": example.asked(config.system)[0], "tools": functions}
    return {"conversations": asked, "chosen": chosen, "rejected": worse, **shared}


def mine(config: DataConfig, folder: Path) -> list[tuple[Cause, list[int]]]:
    """Write the mined lines and pairs of a run; return each cause with the numbers of its failures, lines and pairs.

    Lines of earlier minings stay: the model was right because it learned from them.

    Raises:
        UserError: see mining_split and failures; a file with a broken line.
    """
    split, tools = mining_split(config, folder), load_tools(config.seeds / "tools.json")
    sides = {side: read_records(config.work / f"{side}.jsonl", Example) for side in SIDES} | {MINE: [*split.values()]}
    golden = read_golden(config.seeds / "golden.jsonl", tools)
    held = (golden, config.clean.golden), (sides["test"], config.split.near)
    causes = failures(folder / "results.jsonl", split, held)
    path, functions = config.seeds / "mined.jsonl", sharegpt.tools_text(tools)
    lines = {line.id: line for line in (read_records(path, Example) if path.is_file() else [])}
    grown = grow(config, tools, sides, {cause: [example for _, example in own] for cause, own in causes.items()})
    pairs, table = list[dict[str, Any]](), []
    for cause, own in sorted(causes.items(), key=lambda item: (-len(item[1]), item[0])):
        near = leaking(grown[cause], held)
        new = [line for index, line in enumerate(grown[cause]) if index not in near]
        lines |= {line.id: line for line in new}
        found = [to_pair(failure, example, config, functions) for failure, example in own if cause[1]]
        own_pairs = [pair for pair in found if pair]
        pairs += own_pairs
        table.append((cause, [len(own), len(new), len(own_pairs)]))
    if lines:
        write_jsonl(path, map(as_line, lines.values()))
    if pairs:
        write_jsonl(config.built("pairs"), pairs)
        register({config.built("pairs").stem: entry_of(config.built("pairs"), PAIRS)})
    else:
        config.built("pairs").unlink(missing_ok=True)  # of another run
    return table
