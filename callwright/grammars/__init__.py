"""Read tool calls from a model's raw text, strictly: what is whole, where it stands, and why the rest is not.

One reader a family, in the forms that LLaMA-Factory's templates (`llamafactory/data/tool_utils.py`) and the models' own
write:

- `qwen`: `<tool_call>{"name": …, "arguments": {…}}</tool_call>` (Hermes), repeated for parallel calls
- `default`: lines `Action: <name>` and `Action Input: <JSON object>`
- `llama3`: the whole text is `{"name": …, "parameters": {…}}`, or a list of such objects
- `xlam`: the whole text is a list of `{"name": …, "arguments": {…}}`
- `mistral`: `[TOOL_CALLS]` and such a list, or `[TOOL_CALLS]name[ARGS]{…}`
- `gemma4`: `<|tool_call>call:name{key:<|"|>text<|"|>,n:1}<tool_call|>`
- `glm4`: the whole text is a name, a line break and a JSON object
- `pythonic`: the whole text is `[Name(arg="…", n=1), …]` (ToolACE, Llama 3.2), literals only

Nothing here raises on any text, and every reader is linear in its length.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from callwright.grammars import bare, default, gemma4, glm4, mistral, pythonic, qwen
from callwright.grammars.common import Names, TextCall, hints_at_object

Grammar = Literal["qwen", "default", "llama3", "xlam", "mistral", "gemma4", "glm4", "pythonic"]

_READERS: dict[Grammar, Callable[[str, Names], Iterable[TextCall]]] = {
    "qwen": qwen.read,
    "default": default.read,
    "llama3": bare.read_llama3,
    "xlam": bare.read_xlam,
    "mistral": mistral.read,
    "gemma4": gemma4.read,
    "glm4": glm4.read,
    "pythonic": pythonic.read,
}
GRAMMARS: tuple[Grammar, ...] = tuple(_READERS)

_NEED_NAMES = ("glm4", "pythonic")
"""forms that plain text can look like by chance, unless they begin with the name of a tool"""

_MARKS = (
    "<tool_call",
    "</tool_call",
    "<|tool_call",
    "[TOOL_CALLS]",
    "<|python_tag|>",
    "<functioncall>",
    "<function=",
    "Action Input:",
)
"""what only a call is written with, in one or another model family"""


@dataclass(frozen=True)
class Reading:
    """What one grammar finds in a text."""

    grammar: Grammar
    calls: tuple[TextCall, ...]
    outside: str
    """the text around the calls, stripped"""
    fault: str | None
    """why a call that was begun is not whole; None when none was begun or all are"""

    @property
    def whole(self) -> bool:
        """Whether there are calls and nothing is wrong with any."""
        return bool(self.calls) and self.fault is None


def read_calls(text: str, grammar: Grammar, names: Iterable[str] | None = None) -> Reading:
    """Read the calls that `text` holds under one grammar. Reading stops at the first call that is not whole.

    Args:
        names: the tools on offer. In a form that is the whole text and has no marks of its own (llama3, xlam, glm4,
            pythonic) only their calls count; without `names`, any call does.
    """
    calls: list[TextCall] = []
    fault = None
    try:
        for call in _READERS[grammar](text, None if names is None else frozenset(names)):
            calls.append(call)
    except ValueError as error:  # Broken, or pydantic's where a string is not Unicode
        fault = (str(error).splitlines() or ["broken"])[0]
    pieces, position = [], 0
    for found in calls:
        pieces.append(text[position : found.start].strip())
        position = found.end
    pieces.append(text[position:].strip())
    return Reading(grammar, tuple(calls), "\n".join(piece for piece in pieces if piece), fault)


def find_calls(text: str, names: Iterable[str] | None = None) -> Reading | None:
    """The first grammar's reading that is whole, or None. Without `names`, glm4's and Python's forms do not count."""
    return next((reading for reading in _readings(text, names) if reading.whole), None)


def attempts_call(text: str, names: Iterable[str] = ()) -> str | None:
    """Why `text` counts as a malformed attempt: it tries to call and no grammar can read it; None where it does not.

    Args:
        text: the reply.
        names: the tools on offer; a reply that begins with `name(` is an attempt as well.
    """
    names = frozenset(names)
    readings = list(_readings(text, names))
    if any(reading.whole for reading in readings):
        return None
    if reading := next((reading for reading in readings if reading.fault), None):
        return f"{reading.grammar} form, {reading.fault}"
    if mark := next((mark for mark in _MARKS if mark in text), None):
        return f"{mark} without a call that can be read"
    if hints_at_object(text):
        return "an object with a name and arguments, in no form that can be read"
    start = text.lstrip("[`").lstrip()
    if name := next((name for name in names if start.startswith(f"{name}(")), None):
        return f"{name}(…) written as code"
    return None


def _readings(text: str, names: Iterable[str] | None) -> Iterable[Reading]:
    offered = None if names is None else frozenset(names)
    return (read_calls(text, g, offered) for g in GRAMMARS if offered is not None or g not in _NEED_NAMES)
