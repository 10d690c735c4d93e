"""Read one training row into the object that every check takes, and say what is wrong with it under any template:
`check_row(row, entry)`; tools.lint and tools.parity run it."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from callwright.errors import UserError
from callwright.files import parse_json, to_json
from callwright.records import Call
from callwright.schema import SPELLINGS, call_fault, canonical_tools
from tools.formats import call_turn
from tools.formats.dataset_info import SHAREGPT
from tools.formats.sharegpt import ALTERNATE
from tools.formats.tool import KEPT
from tools.formats.values import kind

Severity = Literal["error", "warning"]
CODES: dict[str, tuple[Severity, str]] = {
    "registry": ("error", "write it as tools.register does, with all columns and tags"),
    "json": ("error", "fix the line or drop it"),
    "columns": ("error", "write every row with the same keys, and text as strings"),
    "roles": ("error", "alternate {human, observation} and {gpt, function_call}, an answer last"),
    "tools": ("error", "write a JSON string of a list of functions, each with an object schema"),
    "call": ("error", 'write {"name": …, "arguments": {…}}, or a list of them'),
    "parallel": ("error", "one call a turn, or another tool_format"),
    "media": ("error", "choose a text template, or reword the placeholder"),
    "altered": ("error", "reword the text, or choose another template"),
    "special": ("error", "reword it: the model sees a turn begin or end there, and anybody's words may forge one"),
    "cut-prompt": ("error", "raise cutoff_len, or put fewer turns or tools into a row"),
    "cut-answer": ("error", "raise cutoff_len, or put fewer turns or tools into a row"),
    "overlap": ("error", "drop it: what is trained on cannot be measured on"),
    "empty": ("warning", "write the text, or drop the turn"),
    "empty-tools": ("warning", 'write "": a list without tools adds an empty system block in most templates'),
    "tool-form": ("warning", "write the tools as serving shows them: python -m tools.convert --from sharegpt does"),
    "moved": ("warning", "write the words before the call, where they are trained"),
    "orphan-result": ("warning", "put the call before its result"),
    "unknown-tool": ("warning", "offer the tool, or drop the call"),
    "schema": ("warning", "fix the arguments or the schema"),
    "unreadable": ("warning", "choose another tool_format: qwen, say"),
    "reads-as-call": ("warning", "reword the answer, or choose another tool_format"),
    "marker": ("warning", "reword it, unless you mean the token or the mark itself"),
    "date": ("warning", "set tool_format: qwen, or serve on the day of training"),
    "duplicate": ("warning", "drop one"),
    "conflict": ("warning", "decide: the same words cannot both call and not call"),
    "unchecked": ("warning", "bring what is missing and lint again"),
}
"""severity and remedy: an error is what LLaMA-Factory drops, dies of or corrupts, or what voids the measurement; a
warning is what trains something unwanted"""

Fault = tuple[str, str]
"""a key of CODES, and what is wrong in words"""

LF_ROLES = {"human": "user", "observation": "observation", "gpt": "assistant", "function_call": "function"}
"""our roles → those of LLaMA-Factory's templates"""


class FaultError(Exception):
    """A row cannot be used any further; the fault that says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, eq=False)
class ToolList:
    """The tools of a row, parsed once; the same text gives the same object, so that it can be a cache's key."""

    text: str = ""
    given: Sequence[Any] = ()
    """the tools as the row writes them"""
    canonical: Sequence[dict[str, Any]] = ()
    """the tools as serving shows them, in OpenAI's form"""
    fault: str | None = None
    """why LLaMA-Factory cannot use them"""
    form_fault: str | None = None
    """how the first tool that is not in canonical form differs from what serving shows"""


NO_TOOLS = ToolList()


@dataclass(frozen=True)
class ParsedTurn:
    """One turn of a row, its role in our words."""

    role: str
    value: str
    calls: tuple[Call, ...] = ()
    beside: str = ""
    """the words beside the calls"""


@dataclass(frozen=True)
class ParsedRow:
    """A row without structural faults."""

    turns: tuple[ParsedTurn, ...]
    system: str = ""
    tools: ToolList = NO_TOOLS
    place: str = ""

    @functools.cached_property
    def messages(self) -> list[dict[str, str]]:
        """Write the turns as LLaMA-Factory's templates take them: role (user, assistant, function, observation) and content."""
        return [{"role": LF_ROLES[turn.role], "content": turn.value} for turn in self.turns]


def check_row(row: dict[str, Any], entry: dict[str, Any], place: str = "") -> tuple[list[Fault], ParsedRow | None]:
    """Find the faults of a row, and read it where LLaMA-Factory would keep it.

    Args:
        entry: its entry in dataset_info.json, with all columns and tags.
    """
    columns = entry["columns"]
    system, text = row.get(columns["system"]), row.get(columns["tools"])
    faults: list[Fault] = []
    if not isinstance(system, str | None):
        faults.append(("columns", f"`{columns['system']}` is {kind(system)}, not text"))
    if isinstance(text, list):
        faults.append(("tools", "a native list, not a JSON string"))
    elif not isinstance(text, str | None):
        faults.append(("columns", f"`{columns['tools']}` is {kind(text)}, not text"))
    try:
        pairs = _roles_and_values(row.get(columns["messages"]), entry)
        if faults:
            return faults, None
        if pairs and pairs[0][0] == "system":
            if system:
                raise FaultError(("altered", f"a system turn and `{columns['system']}`: the column would be ignored"))
            system, pairs = pairs[0][1], pairs[1:]
        if fault := role_fault([role for role, _ in pairs]):
            raise FaultError(("roles", fault))
        tools = read_tools(text or "")
        if tools.fault:
            raise FaultError(("tools", tools.fault))
        if text and not tools.canonical:
            faults.append(("empty-tools", "`tools` is a list without tools"))
        if tools.form_fault:
            faults.append(("tool-form", tools.form_fault))
        turns: list[ParsedTurn] = []
        for number, (role, value) in enumerate(pairs, 1):
            turns.append(_parsed_turn(number, role, value))
            faults += _turn_faults(number, turns, tools)
    except FaultError as error:
        return [*faults, error.fault], None
    return faults, ParsedRow(tuple(turns), system or "", tools, place)


def _roles_and_values(turns: Any, entry: dict[str, Any]) -> list[tuple[str, str]]:
    """Read the turns of a row under the names of its columns and tags; the roles are returned in our words."""
    column, tags = entry["columns"]["messages"], entry["tags"]
    if not isinstance(turns, list):
        raise FaultError(("columns", f"`{column}` is {kind(turns)}, not a list"))
    our_roles = {tags[key]: role for key, role in SHAREGPT["tags"].items() if key not in ("role_tag", "content_tag")}
    pairs = []
    for number, turn in enumerate(turns, 1):
        own = turn if isinstance(turn, dict) else {}
        role, value = own.get(tags["role_tag"]), own.get(tags["content_tag"])
        if not isinstance(role, str) or not isinstance(value, str):
            what = "an object with string `{role_tag}` and `{content_tag}`".format(**tags)
            raise FaultError(("columns", f"turn {number} is not {what}"))
        pairs.append((our_roles.get(role, role), value))
    return pairs


def _parsed_turn(number: int, role: str, value: str) -> ParsedTurn:
    if role != "function_call":
        return ParsedTurn(role, value)
    try:
        return read_calls(value)
    except ValueError as error:
        raise FaultError(("call", f"turn {number}: {error}")) from None


def _turn_faults(number: int, turns: Sequence[ParsedTurn], tools: ToolList) -> Iterator[Fault]:
    """Say what is wrong with the last turn so far, which can be read."""
    turn = turns[-1]
    if turn.role in ("human", "gpt") and not turn.value.strip():
        yield "empty", f"turn {number}: the {turn.role} turn has no words"
    offered = list(tools.canonical)
    names = {tool["function"]["name"] for tool in offered}
    for call in turn.calls:
        if fault := call_fault(call, offered):
            yield ("schema" if call.name in names else "unknown-tool"), f"turn {number}: {fault}"
    if turn.beside.strip() and not turn.value.startswith(turn.beside.rstrip()):
        yield "moved", f"turn {number} has words after its call, which are trained before it"
    if turn.role == "observation" and (number == 1 or turns[-2].role != "function_call"):
        yield "orphan-result", f"turn {number} is a result, and no call stands before it"


def role_fault(roles: list[str]) -> str | None:
    """Say why LLaMA-Factory drops a row with these roles; None where it keeps it."""
    if not roles:
        return "there are no turns"
    for number, role in enumerate(roles):
        allowed = ALTERNATE[number % 2]
        if role not in allowed:
            return f"turn {number + 1} is {role!r}, where {allowed[0]} or {allowed[1]} must stand"
    return f"the last turn is {roles[-1]!r}: no answer follows" if len(roles) % 2 else None


@functools.lru_cache(maxsize=1024)
def read_tools(text: str) -> ToolList:
    """Parse a row's `tools`; a list that LLaMA-Factory cannot use has a `fault`."""
    if not text:
        return NO_TOOLS
    given: Any = ()
    try:
        given = parse_json(text)
        for tool in given if isinstance(given, list) else ():
            if isinstance(tool, dict) and (tool.get("type") == "function") != ("function" in tool):
                return ToolList(text, given, fault='a tool has one of "type": "function" and "function", not both')
        canonical = canonical_tools(given, "tools")
    except UserError as error:
        return ToolList(text, given, fault=error.fault)
    except (ValueError, RecursionError) as error:
        return ToolList(text, given, fault=f"not JSON ({error})")
    found = (_form_fault(own, shown["function"]) for own, shown in zip(given, canonical, strict=True))
    return ToolList(text, given, canonical, form_fault=next(filter(None, found), None))


def _form_fault(given: dict[str, Any], shown: dict[str, Any]) -> str | None:
    """Say how a tool differs from what serving shows; None where it does not.

    A tool inside `{"type": "function", "function": …}` counts as the function that it holds: nearly all tool formats
    show both alike, and TemplateCheck tells where one does not.
    """
    own, name = given.get("function", given), shown["name"]
    if own is not given and list(given) != ["type", "function"]:
        return f"tool {name!r} is {', '.join(given)}: serving shows type, function, or the function alone"
    if to_json(own) == to_json(shown):
        return None
    strange = [key for key in own if key not in KEPT]
    if spelled := next((key for key in strange if key in SPELLINGS), None):
        return f"tool {name!r} has its schema in {spelled!r}: serving shows `parameters`"
    if strange:
        return f"tool {name!r} has the key {strange[0]!r}, which serving does not show"
    if lacking := next((key for key in KEPT if key not in own), None):
        return f"tool {name!r} has no `{lacking}`: serving shows one that is empty"
    if differs := next((key for key in KEPT if to_json(own[key]) != to_json(shown[key])), None):
        form = to_json(shown[differs])[:80]
        return f"tool {name!r} has `{differs}` in another form than serving shows: {form}"
    return f"tool {name!r} has its keys in another order than serving shows: {', '.join(KEPT)}"


def read_calls(value: str) -> ParsedTurn:
    """Read a function_call turn.

    Raises:
        ValueError: LLaMA-Factory would die of it, or train something else than it says.
    """
    if fault := call_turn.fault_of(value):
        raise ValueError(fault)
    calls = tuple(map(_call, call_turn.read(value).calls))
    return ParsedTurn("function_call", value, calls, call_turn.beside(value))


def _call(item: Any) -> Call:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not item["name"]:
        raise ValueError("a call has no name")
    if "arguments" not in item:
        raise ValueError(f"{item['name']} has no `arguments`")
    if not isinstance(item["arguments"], dict):
        raise ValueError(f"`arguments` of {item['name']} is {kind(item['arguments'])}, not an object")
    if extra := sorted(set(item) - {"name", "arguments"}):
        raise ValueError(f"key {extra[0]!r} would be dropped silently")
    return Call.model_construct(name=item["name"], arguments=item["arguments"])
