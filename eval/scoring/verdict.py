"""One verdict a case: the first stage at which an answer fails, as a pure function of the case and its prediction.

Where a call is expected, the stages are, in this order: `infra_error` (the endpoint did not answer: unscored),
`truncated` (the token limit cut a call off), `no_call` (plain text, cut or not), `text_call_unparsed` (a whole call
stands in the text, but the server returned none), `bad_json` (a call whose JSON is broken), `malformed_attempt` (a call
was tried, and none is whole, for another reason; or a whole one stands as code beside words), `unknown_tool`,
`wrong_tool`, `missing_call`, `extra_call`, `missing_required`, `extra_argument`, `wrong_type`, `schema_violation`,
`unchecked` (whether the arguments fit the schema could not be found out in bounded time: unscored, since the schema is
at fault; a case with a schema that cannot be used at all has this verdict whatever is expected, and is not asked),
`wrong_value`, `state_mismatch` (for cases that run their tools), `correct`.

Where none is: `correct` (a clean abstention), `false_call` (the server returned a call that a program could act on),
`malformed_attempt` (a call that nobody could act on, or that stands in the text, whole or not: nothing happens, but it
is not credited). A plain reply that is cut at the token limit is still a clean abstention: nothing was called, and
`detail` says that it was cut.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from callwright.call_readers import attempts_call, find_calls
from callwright.matchers import accepts, is_matcher, is_optional, missing_words
from callwright.records import Call, Case, Prediction, read_arguments
from callwright.results import STAGES, Decision, Result, Tally, Verdict
from eval.scoring.cases import unchecked, validators_of
from eval.scoring.tally import CheckedCall, check_call, count_answer

Fault = tuple[Verdict, str]
"""a stage that failed, and how, in words"""


def decide(due: bool, got: Sequence[Call | dict[str, Any]], offered: Collection[str]) -> Decision:
    """Count the decision of one answer: it called where the server returned a call that a program could act on.

    That is one whose arguments can be read, of a tool on offer.

    Args:
        due: whether a call was.
        got: what the server returned, as read_call gives it.
    """
    acted = any(isinstance(call, Call) and call.name in offered for call in got)
    if due:
        return "tp" if acted else "fn"
    return "fp" if acted else "tn"


def judge(case: Case, prediction: Prediction | None) -> Result:
    """Score one case.

    It is unscored without a prediction, after an infrastructure error, and where it cannot be checked whatever the
    answer is (see `unchecked`).
    """
    if prediction is None:
        prediction = Prediction(id=case.id, error="not asked")
    if why := unchecked(case):
        return _result(case, prediction, "unchecked", why)
    got = [read_call(call) for call in prediction.tool_calls]
    offered = validators_of(case)
    given = [check_call(_as_call(call), offered) for call in got]
    pairs = pair_calls(case.expected, given)
    schemas = {name: fits.parameters for name, fits in offered.items()}
    reading = _TextReading() if got else _read_text(prediction.content or "", schemas)
    verdict: Verdict
    decision: Decision | None = None
    if prediction.error is not None:
        verdict, detail = "infra_error", prediction.error
    else:
        decision = decide(bool(case.expected), got, offered)
        if case.expected:
            verdict, detail = _judge_call(prediction, got, reading, len(case.expected), list(offered), pairs)
            decision = None if verdict == "unchecked" else decision
        else:
            verdict, detail = _judge_no_call(prediction, got, reading, decision == "fp", list(offered))
    readable = [checked for checked, call in zip(given, got, strict=True) if isinstance(call, Call)]
    begun_in_text = len(reading.calls) or int(reading.fault is not None)
    counts = count_answer(pairs, len(got) or begun_in_text, readable)
    return _result(case, prediction, verdict, detail, decision, got, counts)


def _result(
    case: Case,
    prediction: Prediction,
    verdict: Verdict,
    detail: str,
    decision: Decision | None = None,
    got: Sequence[Call | dict[str, Any]] = (),
    counts: Tally | None = None,
) -> Result:
    tokens = prediction.usage.get("completion_tokens")
    return Result(
        id=case.id,
        group=case.group or case.id,
        tags=case.tags,
        text=case.text,
        verdict=verdict,
        decision=decision,
        detail=detail,
        expected=case.expected,
        got=[call.model_dump() if isinstance(call, Call) else call for call in got],
        content=prediction.content,
        finish_reason=prediction.finish_reason,
        latency_s=prediction.latency_s,
        completion_tokens=tokens if isinstance(tokens, int) else None,
        sample=prediction.sample,
        tally=counts or Tally(),
    )


class _TextReading(NamedTuple):
    """What stands in a text."""

    calls: Sequence[Call] = ()
    fault: str | None = None
    """why the server should have returned them, or why an attempt is none; None where nothing is amiss"""
    bad_json: bool = False
    """whether the attempt is none because its JSON is broken"""


def _read_text(text: str, tools: dict[str, Any]) -> _TextReading:
    if found := find_calls(text, tools):
        fault = f"a call in {found.form} form stands in the text; the server returned none"
        return _TextReading([read.call for read in found.calls], fault)
    attempt = attempts_call(text, tools)
    return _TextReading(fault=attempt.fault, bad_json=attempt.bad_json) if attempt else _TextReading()


def _judge_no_call(
    prediction: Prediction, got: list[Any], reading: _TextReading, acted: bool, offered: list[str]
) -> Fault:
    if acted:
        return "false_call", f"called {_names(got)}"
    if got:
        return "malformed_attempt", (_call_fault(got, offered) or ("", ""))[1]
    if reading.fault:
        return "malformed_attempt", reading.fault + ("" if reading.calls else _cut(prediction))
    if not (prediction.content or "").strip():
        return "correct", "an empty reply"
    return "correct", _cut(prediction).removeprefix("; ")


def _judge_call(
    prediction: Prediction,
    got: list[Any],
    reading: _TextReading,
    due: int,
    offered: list[str],
    pairs: Sequence[tuple[Call, CheckedCall]],
) -> Fault:
    verdict, detail = _judge_calls(got, due, offered, pairs) if got else _judge_text(prediction.content or "", reading)
    if prediction.finish_reason == "length" and verdict in ("bad_json", "malformed_attempt", "missing_call"):
        return "truncated", f"cut at the token limit: {detail}"
    return verdict, detail + (_cut(prediction) if verdict == "no_call" else "")


def _judge_text(text: str, reading: _TextReading) -> Fault:
    if reading.calls:
        return "text_call_unparsed", reading.fault or ""
    if reading.fault:
        return ("bad_json" if reading.bad_json else "malformed_attempt"), reading.fault
    return "no_call", "plain text" if text.strip() else "an empty reply"


def _call_fault(got: list[Any], offered: list[str]) -> Fault | None:
    """Return why a program could not act on one of the calls; None where it could on all."""
    for call in got:
        if not isinstance(call, Call):
            return "bad_json", f"arguments of {call['name']}: {call['fault']}"
    for call in got:
        if call.name not in offered:
            return "unknown_tool", f"{call.name!r} is not one of {', '.join(offered) or '(none)'}"
    return None


def _judge_calls(got: list[Any], due: int, offered: list[str], pairs: Sequence[tuple[Call, CheckedCall]]) -> Fault:
    if fault := _call_fault(got, offered):
        return fault
    faults = [fault for expected, given in pairs if (fault := pair_fault(expected, given))]
    if len(got) < due:
        faults.append(("missing_call", f"{len(got)} of {due} calls"))
    if len(got) > due:
        faults.append(("extra_call", f"{len(got)} calls, expected {due}"))
    return min(faults, key=lambda fault: STAGES.index(fault[0])) if faults else ("correct", "")


def pair_calls(expected: list[Call], got: list[CheckedCall]) -> list[tuple[Call, CheckedCall]]:
    """Pair expected with given calls so that the most pairs are right, and the rest fail as late as possible."""
    if len(expected) == len(got) == 1 or not expected or not got:
        return list(zip(expected, got, strict=False))
    mine, theirs = {call.name: call for call in expected}, {given.call.name: given for given in got}
    if len(mine) == len(expected) and len(theirs) == len(got):  # no name twice: no other tool is better than the same
        common = mine.keys() & theirs.keys()
        rest = ([pair[key] for key in pair if key not in common] for pair in (mine, theirs))
        return [(mine[name], theirs[name]) for name in mine if name in common] + list(zip(*rest, strict=False))
    from scipy.optimize import linear_sum_assignment

    def cost(e: Call, g: CheckedCall) -> int:
        fault = pair_fault(e, g)
        return 1_000 + len(STAGES) - STAGES.index(fault[0]) if fault else 0

    rows, columns = linear_sum_assignment([[cost(e, g) for g in got] for e in expected])
    return [(expected[row], got[column]) for row, column in zip(rows, columns, strict=True)]


def pair_fault(expected: Call, given: CheckedCall) -> Fault | None:
    """Return the first stage at which a call with a known tool fails against the expected one; None where it is right."""
    got = given.call
    if got.name != expected.name:
        return "wrong_tool", f"{got.name}, expected {expected.name}"
    for key, matcher in expected.arguments.items():
        if key not in got.arguments and not is_optional(matcher):
            return "missing_required", f"no argument {key!r}"
    if extra := next((key for key in got.arguments if key not in expected.arguments), None):
        return "extra_argument", f"argument {extra!r} was not asked for"
    if given.unchecked:
        return "unchecked", f"{got.name} cannot be checked: {given.unchecked}"
    if given.faults:
        fault = next((fault for fault in given.faults if fault.keyword == "type"), given.faults[0])
        stage: dict[str, Verdict] = {"type": "wrong_type", "unknown": "extra_argument"}
        return stage.get(fault.keyword, "schema_violation"), f"{_where(fault.path)}: {fault.message}"
    for key, value in got.arguments.items():
        if not accepts(expected.arguments[key], value):
            return "wrong_value", f"{key}: {_why(expected.arguments[key], value)}"
    return None


def _why(matcher: Any, value: Any) -> str:
    if is_matcher(matcher) and "contains" in matcher and isinstance(value, str):
        return f"{', '.join(map(repr, missing_words(matcher['contains'], value)))} did not arrive"
    wanted = f"one of {_short(matcher['any_of'])}" if is_matcher(matcher) and "any_of" in matcher else _short(matcher)
    return f"{_short(value)}, expected {wanted}"


def read_call(tool_call: dict[str, Any]) -> Call | dict[str, Any]:
    """Read a call with its arguments, strictly, or what there is with a `fault`."""
    function = tool_call.get("function") or {}
    name, arguments = str(function.get("name")), function.get("arguments")
    fault = f"a {type(arguments).__name__}, not a JSON string"
    if arguments is None or isinstance(arguments, str):
        try:
            return Call(name=name, arguments=read_arguments(arguments))
        except ValueError as error:
            fault = str(error)
    return {"name": name, "arguments": arguments, "fault": fault}


def _as_call(call: Call | dict[str, Any]) -> Call:
    """Return a call for pairing: one that cannot be read has its name, and no arguments."""
    return call if isinstance(call, Call) else Call(name=call["name"], arguments={})


def _names(got: list[Any]) -> str:
    return ", ".join(call.name if isinstance(call, Call) else call["name"] for call in got)


def _cut(prediction: Prediction) -> str:
    return "; the reply was cut at the token limit" if prediction.finish_reason == "length" else ""


def _where(path: Any) -> str:
    return ".".join(str(part) for part in path) or "arguments"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
