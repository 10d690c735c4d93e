"""A verdict a case: the Result that is a line of results.jsonl."""

from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field

from callwright.records import Call, Key, Record

Verdict = Literal[
    "infra_error",
    "truncated",
    "no_call",
    "text_call_unparsed",
    "bad_json",
    "malformed_attempt",
    "unknown_tool",
    "wrong_tool",
    "missing_call",
    "extra_call",
    "missing_required",
    "extra_argument",
    "wrong_type",
    "schema_violation",
    "unchecked",
    "wrong_value",
    "state_mismatch",
    "false_call",
    "correct",
]
"""How an answer went; eval.scoring.verdict says what each means."""
STAGES: tuple[Verdict, ...] = get_args(Verdict)
"""The verdicts in the order in which an answer can fail."""

MEANING: dict[Verdict, str] = {
    "infra_error": "the endpoint did not answer: unscored",
    "unchecked": "the schema of a tool cannot be used, or takes too long to check: unscored",
    "truncated": "cut at the token limit",
    "no_call": "plain text where a call was due",
    "text_call_unparsed": "a whole call in the text that the server did not return",
    "bad_json": "a call whose JSON is broken",
    "unknown_tool": "a tool that was not on offer",
    "wrong_tool": "another tool than expected",
    "missing_call": "fewer calls than expected",
    "extra_call": "more calls than expected",
    "missing_required": "an argument is missing",
    "extra_argument": "an argument too many",
    "wrong_type": "an argument of the wrong type",
    "schema_violation": "an argument that breaks the schema",
    "wrong_value": "an argument with the wrong value",
    "state_mismatch": "the tools ended in another state",
    "false_call": "a call where none was due",
    "malformed_attempt": "a call that was tried, and none that is whole, or none due",
    "correct": "all right",
}
"""Each verdict in a few words."""

Decision = Literal["tp", "fp", "fn", "tn"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

Counts3 = tuple[int, int, int]
"""right, given, wanted"""


class Tally(Record):
    """The counts of one answer that the figures below its verdict are summed from."""

    emitted: int = 0
    """calls that the server returned; where it returned none, those that stand in the text, whole or broken"""
    parsed: int = 0
    """of those, the ones that the server returned and that can be read"""
    valid: int = 0
    """of those, the ones whose tool is on offer and whose arguments fit its schema"""
    names: int = 0
    """expected calls whose tool was called; of `len(got)` given and `len(expected)` wanted"""
    arguments: dict[str, Counts3] = Field(default_factory=dict)
    """JSON type → arguments of the calls that are paired with an expected one of their name"""
    slots: tuple[int, int] = (0, 0)
    """words of `contains` matchers in those calls: arrived, asked for"""


class Result(Record):
    """How one case went: a line of `results.jsonl`, enough by itself for a report and for comparing two runs.

    A key that another version wrote is passed over.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    group: str = ""
    """what the case is clustered by: its lineage, or itself"""
    tags: dict[str, str] = Field({})
    text: str
    """what the user said last"""
    verdict: Verdict
    decision: Decision | None = None
    """whether a program would have acted, against whether it should; None where the case is unscored"""
    detail: str = ""
    """the verdict in words; empty where there is nothing to say"""
    expected: list[Call] = Field([])
    got: list[dict[str, Any]] = Field([])
    """the calls that the server returned; arguments that cannot be read stay a string, and a `fault` says why"""
    content: str | None = None
    """the model's raw words"""
    finish_reason: str | None = None
    latency_s: float | None = None
    completion_tokens: int | None = None
    sample: int = 0
    """which of several answers to the case"""
    tally: Tally = Tally()

    @property
    def key(self) -> Key:
        """What no two results of a run share."""
        return self.id, self.sample

    @property
    def scored(self) -> bool:
        """Whether the endpoint answered, and the answer could be judged."""
        return self.decision is not None

    @property
    def replied(self) -> bool:
        """Whether no call was due, and none came: what was said is a reply in words."""
        return self.decision == "tn" and not self.got

    @property
    def decided_right(self) -> bool:
        """Whether the model called exactly when it should."""
        return self.decision in ("tp", "tn")

    @property
    def correct(self) -> bool:
        """Whether everything is right: the strict measure."""
        return self.verdict == "correct"
