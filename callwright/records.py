"""Define the records that travel between steps (Seed, Example, Case, Prediction), and read them with good errors."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from callwright.errors import UserError, did_you_mean
from callwright.files import parse_json, read_jsonl

Key = tuple[str, int]
"""A case's id and the number of one of the answers to it."""


class Record(BaseModel):
    """A line of one of our JSONL files."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Call(Record):
    """One tool call: the tool's name, and its arguments (values, or matchers where a call is expected)."""

    name: str
    arguments: dict[str, Any]


def read_arguments(value: Any) -> dict[str, Any]:
    """Read the arguments of a call, which servers and logs hold as JSON text or as the object itself.

    Nothing at all ("", white space, null or an absent key, which is None here) is no arguments, `{}`: so servers write
    the call of a tool that takes none. Whether none is enough, the tool's schema says (callwright.schema.call_fault).

    Raises:
        ValueError: not JSON, or JSON of something else than an object.
    """
    if isinstance(value, str) and value.strip():
        try:
            value = parse_json(value)
        except ValueError as error:
            raise ValueError(f"not JSON ({error})") from None
    if value is None or (isinstance(value, str) and not value.strip()):
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")
    return value


class Seed(Record):
    """An utterance and the right behaviour, as a person wrote it (`seeds.jsonl`, `golden.jsonl`)."""

    id: str = Field(min_length=1)
    text: str | None = None
    """What the user says; or `messages` for a conversation."""
    messages: list[dict[str, Any]] | None = None
    """OpenAI messages up to the user's last turn."""
    calls: list[Call]
    """The right calls; [] means that the right behaviour is no call, and then `reply` is what is said."""
    reply: str | None = None
    expected: list[Call] | None = None
    """The calls with matchers for arguments, where literal equality would be too strict."""
    tags: dict[str, str] = {}
    system: str | None = None
    """What the system message says for this line alone, behind the task's own: what day it is, who asks."""

    @model_validator(mode="after")
    def _consistent(self) -> "Seed":
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either text or messages")
        if not (self.text if self.messages is None else self.messages):
            raise ValueError("text or messages is empty")
        if not self.calls and not self.reply:
            raise ValueError("no calls and no reply: say what the assistant answers")
        if self.expected is not None and len(self.expected) != len(self.calls):
            raise ValueError(f"expected has {len(self.expected)} calls, calls has {len(self.calls)}")
        return self

    @property
    def label(self) -> str:
        """Return the decision, `call` or `no_call`."""
        return "call" if self.calls else "no_call"

    @property
    def utterance(self) -> str:
        """Return what the user says last."""
        if self.text is not None:
            return self.text
        texts = [message.get("content") for message in self.messages or () if message.get("role") == "user"]
        return str(texts[-1] or "") if texts else ""

    @property
    def whole_text(self) -> str:
        """Return all that is said: the utterance, or every turn of a conversation, a line each."""
        return "\n".join(str(message.get("content") or "") for message in self.messages or ()) or self.utterance

    def asked(self, system: str | None) -> tuple[str, list[dict[str, Any]]]:
        """Return the system text ("" for none), and the messages after it up to the user's last turn.

        Args:
            system: the task's; the seed's own, of `system` and of a first message of that role, come behind it.
        """
        messages = self.messages or [{"role": "user", "content": self.text}]
        texts = [system, self.system]
        if messages[0].get("role") == "system" and isinstance(messages[0].get("content"), str):
            texts.append(messages[0]["content"])
            messages = messages[1:]
        return "\n".join(filter(None, texts)), messages

    @property
    def after_result(self) -> bool:
        """Tell whether a tool has answered since the user spoke: the utterance does not tell what is right then."""
        return bool(self.messages) and (self.messages or [{}])[-1].get("role") == "tool"


class Example(Seed):
    """A seed with its history: what augment and split write."""

    lineage: str
    """The hand-written seed or grammar pattern that it descends from, through any number of steps."""
    source: str
    """Where it comes from: seed, grammar, openai:<model>, review or mine."""
    transforms: list[str] = []


class Case(Record):
    """What the evaluator asks and what it accepts (`data/<dataset>_{test,golden}.jsonl`)."""

    id: str = Field(min_length=1)
    messages: list[dict[str, Any]] = Field(min_length=1)
    tools: list[dict[str, Any]]
    expected: list[Call]
    """The calls with matchers; [] means that any call is wrong."""
    tags: dict[str, str] = {}
    group: str = ""
    """Its lineage: cases of one group are not independent."""

    @property
    def text(self) -> str:
        """Return what the user says last, for people to read."""
        content = next((m.get("content") for m in reversed(self.messages) if m.get("role") == "user"), "")
        if not isinstance(content, list):
            return str(content or "")
        parts = (part if isinstance(part, dict) else {"text": part} for part in content)
        return " ".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)


class Baseline(Record):
    """What a classifier that knows only the words decides about the cases of a file, beside which it stands."""

    cases: str
    """SHA-256 of the cases file: of any other it says nothing."""
    lines: int
    """Training lines that it saw."""
    calls: dict[str, bool]
    """Case id → whether it would call."""


def baseline_path(cases: Path) -> Path:
    """Return where the baseline's decisions about a cases file stand."""
    return cases.with_suffix(".baseline.json")


class Prediction(Record):
    """What the endpoint answered. `error` set means that it did not: the case is unscored, not wrong."""

    id: str
    content: str | None = None
    tool_calls: list[dict[str, Any]] = []
    """OpenAI form: {"function": {"name": str, "arguments": JSON string}, …}."""
    finish_reason: str | None = None
    usage: dict[str, Any] = {}
    latency_s: float | None = None
    """Seconds from the request to the whole answer."""
    error: str | None = None
    read_as: str | None = None
    """The form by which we read tool_calls from content (raw mode); None where they are the server's own."""
    sample: int = 0
    """Which of several answers to the same case, counted from 0."""

    @property
    def key(self) -> Key:
        """Return what no two predictions of a log share."""
        return self.id, self.sample


def as_line(record: Record) -> dict[str, Any]:
    """Write a record as its JSONL line: keys that are not set are left out, but for a reply that is none."""
    return {key: value for key, value in record.model_dump().items() if value is not None or key == "reply"}


R = TypeVar("R", bound=Record)


def read_records(path: str | Path, kind: type[R], fault: Callable[[R], str | None] = lambda record: None) -> list[R]:
    """Read a JSONL file of records, each id (or `key`) once; `fault` says in words what else is wrong with a record.

    Raises:
        UserError: at `file:line`, for a missing file, broken JSON, a wrong or missing key, an id seen before, a fault.
    """
    records: list[R] = []
    seen: dict[Any, str] = {}
    for place, value in read_jsonl(path):
        try:
            record = kind.model_validate(value)
        except ValidationError as error:
            raise UserError(place, explain(error, kind), "fix the line or drop it") from None
        identity = getattr(record, "key", getattr(record, "id", place))
        if identity in seen:
            raise UserError(place, f"id {identity!r} stands already at {seen[identity]}", "give each line its own id")
        if (wrong := fault(record)) is not None:
            raise UserError(place, wrong, "fix the line or drop it")
        seen[identity] = place
        records.append(record)
    return records


def explain(error: ValidationError, kind: type[BaseModel] | None = None) -> str:
    """Say the first fault of a pydantic error, as `key: fault (got value)`.

    Args:
        kind: the model that was read; with it, an unknown key is told which key was probably meant.
    """
    first = first_fault(error, kind)
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden" and kind:
        meant = meant_key(first["loc"], kind)
        return f"{key}: {message}" + (f", {meant}" if meant else "")
    if first["type"] in ("missing", "value_error"):
        return f"{key}: {message}" if key else message
    return f"{key or 'the top level'}: {message} (got {str(first['input'])[:60]!r})"


def first_fault(error: ValidationError, kind: type[BaseModel] | None = None) -> Any:
    """Return the fault of a pydantic error that `explain` says: a mistyped key before the key that is missing for it."""
    faults = error.errors(include_url=False)
    strange = [fault for fault in faults if fault["type"] == "extra_forbidden" and kind]
    return next((fault for fault in strange if meant_key(fault["loc"], kind)), faults[0])


def meant_key(path: Sequence[int | str], kind: Any) -> str:
    """Say which key of a model was probably meant by the last one of a path: see did_you_mean."""
    return did_you_mean(str(path[-1]), keys_at(kind, path[:-1]))


def keys_at(kind: Any, path: Sequence[int | str]) -> list[str]:
    """Return the keys that a model takes at a path of pydantic's, as a file spells them; [] where it takes none."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):  # a union, a list or a mapping of models
        return list(dict.fromkeys(key for inner in get_args(kind) for key in keys_at(inner, path)))
    fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    for index, step in enumerate(path):
        if step in fields:  # indices and a mapping's keys lead nowhere new
            return keys_at(fields[str(step)], path[index + 1 :])
    return list(fields)
