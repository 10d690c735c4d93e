"""Multi-turn questions over an endpoint: every conversation goes one answer further a round, and a round is a log.

So one client asks everything, a rerun finds its way back through the logs, and no answer is asked for twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from callwright.records import Call, Case, Prediction
from callwright.results import Result, Verdict
from callwright.schema import call_fault, parameters_of
from eval.bfcl import checker, simulation
from eval.bfcl.questions import Question
from eval.endpoint.client import ask_all
from eval.endpoint.settings import Endpoint, Limits, Sampling
from eval.scoring.runs import PREDICTIONS
from eval.scoring.verdict import decide, judge, read_call

MOST_STEPS = 20
"""answers with calls in one turn, after which BFCL stops a conversation"""


class Conversation:
    """One conversation, with the classes of its question behind the tools."""

    def __init__(self, question: Question) -> None:
        self.question, self.tools = question, question.tools
        self.messages: list[dict[str, Any]] = list(question.turns[0])
        self.turns: list[list[list[checker.Call]]] = [[]]
        self.heard: list[Prediction] = []
        self.done = False
        self._simulation = simulation.Simulation(question)

    def hear(self, prediction: Prediction) -> None:
        """Take the model's next answer: run its calls, or else go on to the user's next turn."""
        self.heard.append(prediction)
        calls = checker.decode(prediction.tool_calls)
        words = "" if prediction.read_as else prediction.content  # in raw mode the words are the calls
        message: dict[str, Any] = {"role": "assistant", "content": words or ""}
        self.messages.append(message)
        if prediction.error is not None:
            self.done = True
        elif calls:
            self._run(calls, prediction, message)
        elif len(self.turns) < len(self.question.turns):
            self.messages += self.question.turns[len(self.turns)]
            self.turns.append([])
        else:
            self.done = True

    def _run(self, calls: list[checker.Call], prediction: Prediction, message: dict[str, Any]) -> None:
        steps = self.turns[-1]
        steps.append(calls)
        ids = [f"call_{len(self.heard)}_{number}" for number in range(len(calls))]  # ours: some servers give none
        message["tool_calls"] = [
            {"id": identity, "type": "function", "function": call["function"]}
            for identity, call in zip(ids, prediction.tool_calls, strict=True)
        ]
        for identity, (name, arguments) in zip(ids, calls, strict=True):
            answer = self._simulation.call(name, arguments)
            self.messages.append({"role": "tool", "tool_call_id": identity, "content": answer})
        self.done = len(steps) > MOST_STEPS

    @property
    def case(self) -> Case:
        """What is asked next."""
        return Case(id=f"{self.question.id}/{len(self.heard)}", messages=self.messages, tools=self.tools, expected=[])

    def judge(self) -> tuple[Result, str | None]:
        """Judge how it went by our verdicts, and what BFCL finds wrong with it (None: nothing, or it is unscored).

        Ours is correct where BFCL's is and, beyond it, every call could be read and fits its schema.
        """
        fault = None if self.heard[-1].error is not None else simulation.fault(self.question, self.turns)
        got = [read_call(call) for prediction in self.heard for call in prediction.tool_calls]
        verdict, detail = self._verdict(got, fault)
        own, names = self.question, [tool["function"]["name"] for tool in self.tools]
        case = Case(id=own.id, messages=own.turns[0], tools=self.tools, expected=[], tags=own.tags, group=own.id)
        tokens = [prediction.usage.get("completion_tokens") for prediction in self.heard]
        result = judge(case, self.heard[-1].model_copy(update={"id": own.id})).model_copy(
            update={
                "verdict": verdict,
                "detail": detail,
                "decision": None if verdict == "infra_error" else decide(True, got, names),
                "got": [call.model_dump() if isinstance(call, Call) else call for call in got],
                "latency_s": sum(prediction.latency_s or 0.0 for prediction in self.heard),
                "completion_tokens": sum(count for count in tokens if isinstance(count, int)),
            }
        )
        return result, fault

    def _verdict(self, got: list[Any], fault: str | None) -> tuple[Verdict, str]:
        if (error := self.heard[-1].error) is not None:
            return "infra_error", error
        for call in got:
            if not isinstance(call, Call):
                return "bad_json", f"arguments of {call['name']}: {call['fault']}"
            if wrong := call_fault(call, self.tools):
                return "unknown_tool" if parameters_of(call.name, self.tools) is None else "schema_violation", wrong
        if fault is None:
            return "correct", ""
        return "no_call" if fault.endswith("no call") else "state_mismatch", fault


def converse(
    questions: Sequence[Question],
    endpoints: Sequence[Endpoint],
    out: Path,
    sampling: Sampling,
    limits: Limits,
    tell: Callable[[int], None] = lambda done: None,
) -> list[Conversation]:
    """Hold every conversation to its end, or to the first answer that does not come.

    Raises:
        UserError: see ask_all.
    """
    conversations = [Conversation(question) for question in questions]
    number = 0
    while waiting := [conversation for conversation in conversations if not conversation.done]:
        path = out / (f"predictions_{number:03}.jsonl" if number else PREDICTIONS)
        cases = [conversation.case for conversation in waiting]
        heard = asyncio.run(ask_all(endpoints, cases, path, sampling, limits))
        for conversation, case in zip(waiting, cases, strict=True):
            conversation.hear(heard[case.id])
        tell(sum(conversation.done for conversation in conversations))
        number += 1
    return conversations


def drop_rounds(out: Path) -> None:
    """Drop the logs of later rounds, which belong to a first one that is gone."""
    for path in out.glob("predictions_*.jsonl"):
        path.unlink()
