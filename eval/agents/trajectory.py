"""Cases for agents, the trajectories that they give, and how a trajectory is scored: calls, use of results, facts."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from pydantic import Field

from callwright.files import parse_json
from callwright.json_schema import Unchecked
from callwright.records import Call, Case, Prediction, Record
from callwright.results import STAGES, Verdict
from callwright.text import fold_case
from eval.agents.toolbox import ToolError, ToolResult
from eval.scoring.cases import case_fault
from eval.scoring.stats import wilson
from eval.scoring.summary import rounded, share
from eval.scoring.verdict import judge, read_call

Stop = Literal["answer", "cut", "empty", "max_steps", "infra_error"]
"""how a trajectory ends: an answer, one that the token limit cut, no words, calls up to the limit, our own failure"""


class AgentCase(Case):
    """A task for an agent: a line of a cases file. Its tools come from where they are run, not from the file."""

    tools: list[dict[str, Any]] = Field([])
    expected: list[Call] = Field(validation_alias="steps")
    """the calls that are due, in any order: what one needs of another says which comes first. [] means that any is wrong"""
    facts: list[str | list[str]] = Field([])
    """what the final answer must say; of a list, one is enough"""

    def fault(self, tools: list[dict[str, Any]]) -> str | None:
        """Return what is wrong with the case under the tools, in words; None where nothing is."""
        if self.tools:
            return "has tools; they come from --tools or --mcp"
        if not all(fact and all(map(str.strip, fact if isinstance(fact, list) else [fact])) for fact in self.facts):
            return "facts holds an empty one"
        try:
            return case_fault(self.model_copy(update={"tools": tools}))
        except Unchecked as error:
            return str(error)


class Turn(Record):
    """What the model said, and what it was told of each of its calls."""

    prediction: Prediction
    results: list[ToolResult]


class Trajectory(Record):
    """One case, played: a line of `trajectories.jsonl`. `error` set means that we failed: unscored, played again."""

    id: str
    turns: list[Turn]
    error: str | None = None

    @property
    def answer(self) -> str:
        """What the model said last, where that was no call."""
        return "" if not self.turns or self.turns[-1].results else self.turns[-1].prediction.content or ""

    @property
    def stop(self) -> Stop:
        """Why it ended."""
        if self.error is not None or not self.turns:
            return "infra_error"
        if self.turns[-1].results:
            return "max_steps"
        if not self.answer.strip():
            return "empty"
        return "cut" if self.turns[-1].prediction.finish_reason == "length" else "answer"


class PlayedCall(Record):
    """A call that the model made."""

    turn: int
    call: dict[str, Any]
    """arguments that cannot be read stay a string"""
    verdict: Verdict
    detail: str
    error: ToolError | None
    used: bool | None
    """whether what the tool said shows in what came after; None where it said nothing new, or failed"""


class AgentResult(Record):
    """How one trajectory went: a line of `results.jsonl`."""

    id: str
    tags: dict[str, str]
    text: str
    """what the user said last"""
    stop: Stop
    error: str | None
    """ours"""
    success: bool | None
    """every due call made, every fact in an answer that was not cut, no call in its text, and none at all where none was
    due; wrong calls on the way are forgiven. None where the case is unscored"""
    due: int
    """calls"""
    done: int
    """of these"""
    calls: list[PlayedCall]
    answer: str
    answer_verdict: Verdict | None
    """of the last words, given what was still due; None where there are none"""
    missing: list[str | list[str]]
    """facts"""
    seconds: list[float]
    """of each turn of the model"""
    completion_tokens: int

    @property
    def flawless(self) -> bool:
        """Success without a wrong call on the way."""
        return bool(self.success) and all(call.verdict == "correct" for call in self.calls)


def says(text: str, value: str) -> bool:
    """Return whether a text has a value, by itself: 13 is not in 2013, nor art in party. Compared as `contains` compares."""
    return re.search(rf"(?<![0-9a-z]){re.escape(fold_case(value))}(?![0-9a-z])", fold_case(text)) is not None


def missing_facts(facts: Sequence[str | list[str]], answer: str) -> list[str | list[str]]:
    """Return the facts that an answer does not say. Whether it says them in a true sentence is beyond this check."""
    options = ((fact, [fact] if isinstance(fact, str) else fact) for fact in facts)
    return [fact for fact, either in options if not any(says(answer, one) for one in either)]


def result_used(facts: Sequence[str | list[str]], result: str, before: str, after: str) -> bool | None:
    """Return whether a tool's result shows in what the model did afterwards; None where it brought nothing new.

    What shows is one of its values, or a fact of the case that stands in it, which nobody had said before.
    """
    try:
        values = list(_leaves(parse_json(result)))
    except ValueError:
        values = re.split(r"[\s,;:!?。，；：、！？（）「」《》\"]+", result)
    for fact in facts:
        values += [one for one in ([fact] if isinstance(fact, str) else fact) if says(result, one)]
    new = {value for value in values if len(value) > 1 and not says(before, value)}
    return any(says(after, value) for value in new) if new else None


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        yield str(value)


def score_trajectory(case: AgentCase, trajectory: Trajectory | None) -> AgentResult:
    """Score one trajectory; without one, or after a failure of ours, the case is unscored."""
    trajectory = trajectory or Trajectory(id=case.id, turns=[], error="not played")
    calls, done = _score_calls(case, trajectory)
    left = [step for at, step in enumerate(case.expected) if at not in done]
    stop, answer, spoken = trajectory.stop, trajectory.answer, None
    if stop in ("answer", "cut"):
        spoken = judge(case.model_copy(update={"expected": left}), Prediction(id=case.id, content=answer)).verdict
    missing = missing_facts(case.facts, answer)
    right = spoken == "correct" and stop == "answer" and not left and not missing and (bool(case.expected) or not calls)
    predictions = [turn.prediction for turn in trajectory.turns]
    tokens = [prediction.usage.get("completion_tokens") for prediction in predictions]
    return AgentResult(
        id=case.id,
        tags=case.tags,
        text=case.text,
        stop=stop,
        error=trajectory.error,
        success=None if stop == "infra_error" else right,
        due=len(case.expected),
        done=len(done),
        calls=calls,
        answer=answer,
        answer_verdict=spoken,
        missing=missing,
        seconds=[prediction.latency_s or 0.0 for prediction in predictions],
        completion_tokens=sum(n for n in tokens if isinstance(n, int)),
    )


def _score_calls(case: AgentCase, trajectory: Trajectory) -> tuple[list[PlayedCall], set[int]]:
    """Give each call its verdict, and tell which of the due ones were made.

    A call is held against every step that is still due, and gets the verdict of the one that it comes nearest to. A right
    call whose tool failed may be made again.
    """
    due, done, calls = dict(enumerate(case.expected)), set[int](), list[PlayedCall]()
    before = "\n".join(_leaves(case.messages))
    for number, turn in enumerate(trajectory.turns):
        after = "\n".join(map(_words, trajectory.turns[number + 1 :]))
        before += _words(turn)
        for tool_call, result in zip(turn.prediction.tool_calls, turn.results, strict=True):
            alone = Prediction(id=case.id, tool_calls=[tool_call])
            judged = {at: judge(case.model_copy(update={"expected": [step]}), alone) for at, step in due.items()}
            at = max(judged, key=lambda at: STAGES.index(judged[at].verdict), default=-1)
            verdict: Verdict = "extra_call" if case.expected else "false_call"
            verdict, detail = (judged[at].verdict, judged[at].detail) if judged else (verdict, "nothing was due")
            if verdict == "correct":
                done.add(at)
                if result.error is None:
                    del due[at]
            call = _as_object(tool_call)
            used = None if result.error else result_used(case.facts, result.text, before, after)
            calls.append(
                PlayedCall(turn=number, call=call, verdict=verdict, detail=detail, error=result.error, used=used)
            )
        before += "\n".join(result.text for result in turn.results)
    return calls, done


def _words(turn: Turn) -> str:
    answer = turn.prediction
    return "\n".join([answer.content or "", *_leaves([_as_object(call) for call in answer.tool_calls]), ""])


def _as_object(tool_call: dict[str, Any]) -> dict[str, Any]:
    call = read_call(tool_call)
    return call.model_dump() if isinstance(call, Call) else call


def summarise_agents(results: Sequence[AgentResult]) -> dict[str, Any]:
    """Summarise: return the contents of summary.json. Intervals are Wilson's; calls of one case hang together, so theirs are at best that."""
    scored = [result for result in results if result.success is not None]
    calls = [call for result in scored for call in result.calls]
    seconds = [turn for result in scored for turn in result.seconds]
    tags = sorted({item for result in scored for item in result.tags.items()})
    return {
        "n": len(results),
        "scored": len(scored),
        "infra_errors": len(results) - len(scored),
        "task_success": share_figure([bool(result.success) for result in scored]),
        "flawless": share_figure([result.flawless for result in scored]),
        "step_accuracy": share_figure([at < result.done for result in scored for at in range(result.due)]),
        "call_accuracy": share_figure([call.verdict == "correct" for call in calls]),
        "result_use": share_figure([call.used for call in calls if call.used is not None]),
        "stops": Counter(result.stop for result in results),
        "call_verdicts": Counter(call.verdict for call in calls),
        "answer_verdicts": Counter(result.answer_verdict for result in scored if result.answer_verdict),
        "tool_errors": Counter(call.error for call in calls if call.error),
        "turns": len(seconds),
        "seconds_per_turn": round(sum(seconds) / len(seconds), 3) if seconds else None,
        "completion_tokens": sum(result.completion_tokens for result in scored),
        "slices": {
            f"{tag}={value}": share_figure([bool(result.success) for result in scored if result.tags.get(tag) == value])
            for tag, value in tags
        },
    }


def share_figure(right: Sequence[bool]) -> dict[str, Any]:
    """Return a share with its interval; null without a denominator."""
    k, n = sum(right), len(right)
    return {"k": k, "n": n, "share": share(k, n), "ci95": rounded(wilson(k, n))}
