"""Cases: read, checked against their own tools before anything is asked, and tagged with the file they come from."""

import gc
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import to_json
from callwright.json_schema import ArgumentSchema, Unchecked, argument_schema
from callwright.matchers import is_matcher, is_optional, matcher_fault
from callwright.records import Call, Case, read_records
from callwright.schema import canonical_tool, fault_words

SET_TAG = "set"
"""the tag that says which of several files a case is from"""

ROLES = ("system", "developer", "user", "assistant", "tool")


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold the garbage collector back: records have no cycles, and walking them takes a third of the time of scoring."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@gc_paused()
def read_cases(paths: Sequence[str | Path]) -> list[Case]:
    """Read the cases of one or more files; of several, each case is tagged `set: golden` after the end of its file's name.

    A case that cannot be checked (`unchecked`) is among them: it costs itself, not the file.

    Raises:
        UserError: at `file:line`, for a case that is broken, contradicts its own tools or has another one's id.
    """
    cases: list[Case] = []
    home: dict[str, str | Path] = {}
    for path in paths:
        if Path(path).is_fifo():
            raise UserError(path, "is a pipe, and cases are read more than once", "write them to a file")
        found = read_records(path, Case, _refused)
        if not found:
            raise UserError(path, "holds no cases", "run the step that writes it")
        for case in found:
            if case.id in home:
                raise UserError(path, f"id {case.id!r} stands already in {home[case.id]}", "give each case its own id")
            home[case.id] = path
        if len(paths) > 1:
            name = Path(path).stem.rsplit("_", 1)[-1]
            found = [case.model_copy(update={"tags": {SET_TAG: name, **case.tags}}) for case in found]
        cases += found
    return cases


def tools_of(case: Case) -> list[dict[str, Any]]:
    """Return the case's tools in canonical form; most cases share theirs, and a schema is checked once.

    Raises:
        Unchecked: the schema of a tool cannot be used.
        ValueError: a tool is broken.
    """
    return [_canonical(tool)[0] for tool in case.tools]


def validators_of(case: Case) -> dict[str, ArgumentSchema]:
    """Return what the arguments of each tool are checked against, by the tool's name; made once a tool.

    Raises:
        Unchecked: the schema of a tool cannot be used.
        ValueError: a tool is broken.
    """
    return {tool["function"]["name"]: fits for tool, fits in map(_canonical, case.tools)}


def _canonical(tool: dict[str, Any]) -> tuple[dict[str, Any], ArgumentSchema]:
    try:
        return _known(to_json(tool))
    except RecursionError:
        raise Unchecked("a tool is nested too deeply") from None


@lru_cache(maxsize=10_000)
def _known(tool: str) -> tuple[dict[str, Any], ArgumentSchema]:
    canonical = canonical_tool(json.loads(tool))
    return canonical, argument_schema(canonical["function"]["parameters"])


def unchecked(case: Case) -> str | None:
    """Say why no answer to a case can be judged: the schema of a tool cannot be used. None where it can."""
    try:
        case_fault(case)
    except Unchecked as error:
        return str(error)
    return None


def _refused(case: Case) -> str | None:
    try:
        return case_fault(case)
    except Unchecked:  # the verdict of this case alone
        return None


def case_fault(case: Case) -> str | None:
    """Say what is wrong with a case; None where nothing is.

    Raises:
        Unchecked: the schema of a tool cannot be used, or takes too long to check the expected calls.
    """
    for message in case.messages:
        if message.get("role") not in ROLES:
            return f"role {message.get('role')!r} is not one of {', '.join(ROLES)}"
    if (last := case.messages[-1]["role"]) not in ("user", "tool"):
        return f"the last message is of role {last!r}; the model answers a user or a tool"
    try:
        offered = validators_of(case)
    except Unchecked:
        raise
    except ValueError as error:
        return str(error)
    names = [tool.get("function", tool)["name"] for tool in case.tools]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"tool {twice!r} is defined twice"
    return next(filter(None, (_expected_fault(call, offered) for call in case.expected)), None)


def _expected_fault(call: Call, offered: dict[str, ArgumentSchema]) -> str | None:
    if call.name not in offered:
        return f"expects a call of {call.name!r}, which the case does not offer ({', '.join(offered) or '(none)'})"
    schema = offered[call.name]
    try:
        required = schema.required
        for key, matcher in call.arguments.items():
            if fault := matcher_fault(matcher):
                return f"expected {call.name}.{key}: {fault}"
            if not schema.takes(key):
                return f"expects argument {key!r}, which {call.name} does not have"
            for literal in _literals(matcher):
                if faults := schema.argument_faults(key, literal):
                    return f"expected {fault_words(call.name, faults[0])}"
        literal_only = not any(map(is_matcher, call.arguments.values()))
        if literal_only and set(required) <= call.arguments.keys() and (faults := schema.faults(call.arguments)):
            return f"expected {fault_words(call.name, faults[0])}"
    except Unchecked as error:
        raise Unchecked(f"expected {call.name} cannot be checked: {error}") from None
    for key in required:
        if key not in call.arguments:
            return f"{call.name} requires {key!r}, of which the expected call says nothing"
        if is_optional(call.arguments[key]):
            return f"{call.name} requires {key!r}, which the expected call makes optional"
    return None


def _literals(matcher: Any) -> Iterable[Any]:
    if not is_matcher(matcher):
        return [matcher]
    return matcher.get("any_of", [])
