"""What is wrong with one training row, whichever template reads it: `check_row(row, entry)`; tools.lint runs it."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from callwright.errors import UserError
from callwright.files import parse_json, to_json
from callwright.records import Call
from callwright.schema import SPELLINGS, call_fault, canonical_tools
from tools.formats import call_turn
from tools.formats.dataset_info import SHAREGPT
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
ROLES = ("human", "observation"), ("gpt", "function_call")


@dataclass(frozen=True)
class Turn:
    """One turn of a row, its role in our words."""

    role: str
    value: str
    calls: tuple[Call, ...] = ()
    beside: str = ""
    """the words beside the calls"""


@dataclass(frozen=True)
class Row:
    """A row without structural faults."""

    system: str
    tools: str
    turns: tuple[Turn, ...]


def check_row(row: dict[str, Any], entry: dict[str, Any]) -> tuple[list[Fault], Row | None]:
    """The faults of a row, and the row itself where LLaMA-Factory would keep it.

    Args:
        entry: its entry in dataset_info.json, with all columns and tags.
    """
    columns, tags = entry["columns"], entry["tags"]
    turns, system, tools = (row.get(columns[key]) for key in ("messages", "system", "tools"))
    faults: list[Fault] = [
        ("columns", f"`{columns[key]}` is {kind(value)}, not text")
        for key, value in (("system", system), ("tools", tools))
        if not isinstance(value, str | None) and not (key == "tools" and isinstance(value, list))
    ]
    if isinstance(tools, list):
        faults.append(("tools", "a native list, not a JSON string"))
    if not isinstance(turns, list):
        return [*faults, ("columns", f"`{columns['messages']}` is {kind(turns)}, not a list")], None
    pairs: list[tuple[str, str]] = []
    names = {tags[key]: role for key, role in SHAREGPT["tags"].items() if key not in ("role_tag", "content_tag")}
    for number, turn in enumerate(turns, 1):
        role, value = (turn.get(tags[key]) for key in ("role_tag", "content_tag")) if isinstance(turn, dict) else (0, 0)
        if not isinstance(role, str) or not isinstance(value, str):
            what = "an object with string `{role_tag}` and `{content_tag}`".format(**tags)
            return [*faults, ("columns", f"turn {number} is not {what}")], None
        pairs.append((names.get(role, role), value))
    if faults:
        return faults, None
    if pairs and pairs[0][0] == "system":
        if system:
            return [("altered", f"a system turn and `{columns['system']}`: the column would be ignored")], None
        system, pairs = pairs[0][1], pairs[1:]
    if fault := role_fault([role for role, _ in pairs]):
        return [("roles", fault)], None
    known, fault = read_tools(tools) if tools else ([], None)
    if fault:
        return [("tools", fault)], None
    if tools and not known:
        faults.append(("empty-tools", "`tools` is a list without tools"))
    if known and (fault := form_fault(tools)):
        faults.append(("tool-form", fault))
    read = []
    for number, (role, value) in enumerate(pairs, 1):
        try:
            beside, calls = read_calls(value) if role == "function_call" else ("", ())
        except ValueError as error:
            return [*faults, ("call", f"turn {number}: {error}")], None
        faults += [(code, f"turn {number}: {text}") for code, text in _soft_faults(role, value, calls, known)]
        if beside.strip() and not value.startswith(beside.rstrip()):
            faults.append(("moved", f"turn {number} has words after its call, which are trained before it"))
        if role == "observation" and (number == 1 or pairs[number - 2][0] != "function_call"):
            faults.append(("orphan-result", f"turn {number} is a result, and no call stands before it"))
        read.append(Turn(role, value, calls, beside))
    return faults, Row(system or "", tools or "", tuple(read))


def _soft_faults(role: str, value: str, calls: tuple[Call, ...], tools: list[dict[str, Any]]) -> Iterator[Fault]:
    if role in ("human", "gpt") and not value.strip():
        yield "empty", f"the {role} turn has no words"
    for call in calls:
        if fault := call_fault(call, tools):
            yield ("schema" if call.name in {t["function"]["name"] for t in tools} else "unknown-tool"), fault


def role_fault(roles: list[str]) -> str | None:
    """Why LLaMA-Factory drops a row with these roles; None where it keeps it."""
    if not roles:
        return "there are no turns"
    for number, role in enumerate(roles):
        allowed = ROLES[number % 2]
        if role not in allowed:
            return f"turn {number + 1} is {role!r}, where {allowed[0]} or {allowed[1]} must stand"
    return f"the last turn is {roles[-1]!r}: no answer follows" if len(roles) % 2 else None


@functools.lru_cache(maxsize=1024)
def read_tools(text: str) -> tuple[list[dict[str, Any]], str | None]:
    """The canonical tools in a row's `tools`, or why LLaMA-Factory cannot use them."""
    try:
        tools = parse_json(text)
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict) and (tool.get("type") == "function") != ("function" in tool):
                return [], 'a tool has one of "type": "function" and "function", not both'
        return canonical_tools(tools, "tools"), None
    except UserError as error:
        return [], error.fault
    except (ValueError, RecursionError) as error:
        return [], f"not JSON ({error})"


@functools.lru_cache(maxsize=1024)
def form_fault(text: str) -> str | None:
    """How the first tool that is not in canonical form differs from what serving shows; None where all are in it.

    A tool inside `{"type": "function", "function": …}` counts as the function that it holds: nearly all tool formats
    show both alike, and TemplateCheck tells where one does not.

    Args:
        text: a row's `tools`, in which `read_tools` finds no fault.
    """
    for given, canonical in zip(parse_json(text), read_tools(text)[0], strict=True):
        own, shown = given.get("function", given), canonical["function"]
        if own is not given and list(given) != ["type", "function"]:
            return f"tool {shown['name']!r} is {', '.join(given)}: serving shows type, function, or the function alone"
        if to_json(own) != to_json(shown):
            return f"tool {shown['name']!r} {_difference(own, shown)}"
    return None


def _difference(own: dict[str, Any], shown: dict[str, Any]) -> str:
    strange = [key for key in own if key not in KEPT]
    if spelled := next((key for key in strange if key in SPELLINGS), None):
        return f"has its schema in {spelled!r}: serving shows `parameters`"
    if strange:
        return f"has the key {strange[0]!r}, which serving does not show"
    if lacking := next((key for key in KEPT if key not in own), None):
        return f"has no `{lacking}`: serving shows one that is empty"
    if differs := next((key for key in KEPT if to_json(own[key]) != to_json(shown[key])), None):
        return f"has `{differs}` in another form than serving shows: {to_json(shown[differs])[:80]}"
    return f"has its keys in another order than serving shows: {', '.join(KEPT)}"


def read_calls(value: str) -> tuple[str, tuple[Call, ...]]:
    """What is learned beside the calls, and the calls, of a function_call turn.

    Raises:
        ValueError: LLaMA-Factory would die of it, or train something else than it says.
    """
    if fault := call_turn.fault_of(value):
        raise ValueError(fault)
    calls = call_turn.read(value).calls
    return call_turn.beside(value), tuple(map(_call, calls))


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
