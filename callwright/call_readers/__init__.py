"""Read tool calls from a model's raw text, strictly: what is whole, where it stands, and why the rest is not.

The forms that LLaMA-Factory's templates and the large families write are the lines of `call_readers.forms.FORMS`. Before
anything is read, thoughts (`callwright.thoughts`) and marks of the end are taken out, and a code fence that is the whole
answer is opened. A call in a fence, in backticks or in quotes beside other words is no call; where it is in a fence or in
backticks, whole, and of a tool on offer, it is an attempt: a user reads there what a program should have got.

Nothing here raises on any text, and all of it is linear in the text's length.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from callwright.call_readers.bodies import (
    Broken,
    BrokenJson,
    Opened,
    Tools,
    closed_at,
    hints_at_object,
    objects_on_lines,
    python_on_lines,
)
from callwright.call_readers.forms import FORMS, MARKS, Form
from callwright.records import Call
from callwright.thoughts import split_thoughts

_NEED_TOOLS = ("glm4", "pythonic")
"""Forms without marks that plain text looks like so often that they need the name of a tool on offer."""
MOST_TRIES = 50
"""Places of a text at which a form without marks is looked for: each look may read up to the end."""
_END = re.compile(
    r"(?:</s>|<\|(?:im_end|eot_id|eom_id|end_of_text|endoftext|end|eot|eom|return|user|observation|role_end"
    r"|END_OF_TURN_TOKEN)\|>|<end_of_turn>|<turn\|>|<end_of_sentence>|<[｜|]end[▁_ ]of[▁_ ]sentence[｜|]>|\[e~\[)\Z"
)
"""Tokens that end a turn, which some servers leave in the text."""
_FENCED = re.compile(
    r"(?P<fence>(?:```|~~~)[`~]*+)(?!tool_code)\w*+(?P<inside>.*?)(?P=fence)[ \t]*+(?:\n\s*+|\Z)", re.S
)
_FENCE = re.compile(r"^[ \t]*+(?:```|~~~)(?!tool_code)", re.M)
_EXAMPLE = re.compile(
    r"^[ \t]*+(?P<fence>```|~~~).*?^[ \t]*+(?P=fence)|^[ \t]*+>(?!>>)[^\n]*+|`[^`\n]{0,300}+`"
    r"|“[^”\n]{0,300}+”|「[^」\n]{0,300}+」|(?P<quote>[\"'`])<(?P<tag>\w{1,30})>.{0,1000}?</(?P=tag)>(?P=quote)",
    re.M | re.S,
)
_CODE_SPAN = re.compile(r"(?P<fence>```|~~~)[`~]*+\w*+(?P<block>.*?)(?:(?P=fence)|\Z)|`(?P<span>[^`\n]++)`", re.S)
"""Code as Markdown marks it; a block that is cut off ends with the text."""
_QUOTATION = re.compile(r"\"(?:[^\"\\\n]|\\.){0,300}+\"|“[^”\n]{0,300}+”|「[^」\n]{0,300}+」", re.S)
_CODE = re.compile(
    r"^[ \t\[`*$]*+(?:action[:* \t]++(?P<action>[\w.-]++)|(?P<name>[\w.-]++)(?:\(|[ \t]*+\{)"
    r"|<(?:tool>\s*+)?(?P<tag>[\w.-]++)(?:>|</tool>)|\{\s*+\"(?P<key>[\w.-]++)\"\s*+:\s*+\{)",
    re.M | re.I,
)
"""A tool that a line begins to call: as Python, with an object behind its name, as ReAct names it, as a tag or a key."""
_ANSWER = re.compile(r"<(answer|response|\|START_RESPONSE\|)>")


class TextCall(NamedTuple):
    """A whole call and the half-open span of characters that it takes up; the calls of one list share the list's."""

    call: Call
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    """What one form's reader finds in a text."""

    form: str
    calls: tuple[TextCall, ...]
    outside: str
    """The text around the calls, without thoughts, stripped."""
    fault: str | None
    """Why a call that was begun is not whole; None where none was begun or all are."""
    bad_json: bool = False
    """Whether that is because its JSON is broken."""

    @property
    def whole(self) -> bool:
        """Tell whether there are calls and nothing is wrong with any."""
        return bool(self.calls) and self.fault is None


class Attempt(NamedTuple):
    """A text that tries to call and holds no whole call."""

    fault: str
    bad_json: bool
    """Whether a call was begun whose JSON is broken; else there is another reason."""


def read_calls(text: str, name: str, tools: Mapping[str, Any] | Iterable[str] | None = None) -> Reading:
    """Read the calls that `text` holds in the form of that name. Reading stops at the first call that is not whole.

    Args:
        tools: the tools on offer: their names, or name → JSON Schema of the arguments, which types the values of forms
            that do not say whether a value is text. In a form without marks of its own only their calls count; without
            `tools`, any call does.
    """
    answer = _answer(text)
    readings = [_read(answer, form, name, _known(tools)) for form in FORMS if name in form.names]
    return _first_whole(readings) or next((reading for reading in readings if reading.fault), readings[0])


def find_calls(text: str, tools: Mapping[str, Any] | Iterable[str] | None = None) -> Reading | None:
    """Return the first form's reading that is whole, or None. Without `tools`, glm4's and Python's bare forms do not count."""
    return _first_whole(_readings(_answer(text), _known(tools)))


def _first_whole(readings: Iterable[Reading]) -> Reading | None:
    return next((reading for reading in readings if reading.whole), None)


def attempts_call(text: str, tools: Mapping[str, Any] | Iterable[str] = ()) -> Attempt | None:
    """Say why `text` is a malformed attempt: it tries to call, and no reader can read it. None where it does not.

    Args:
        tools: the tools on offer; a reply that begins with `name(` is an attempt as well.
    """
    answer, known = _answer(text), _known(tools) or {}
    readings = list(_readings(answer, known))
    if _first_whole(readings):
        return None
    if reading := next((reading for reading in readings if reading.fault), None):
        return Attempt(f"{reading.form} form, {reading.fault}", reading.bad_json)
    if name := _call_in_code(answer, known):
        return Attempt(f"a whole call of {name} as code beside other words", False)
    words = _EXAMPLE.sub("…", answer)
    if mark := _attempted_mark(words, known):
        return Attempt(f"{mark} without a call that can be read", False)
    if hints_at_object(words):
        return Attempt("an object with a name and arguments, in no form that can be read", False)
    if fault := _tool_at_start(answer, known):
        return Attempt(f"{fault}, in no form that can be read", False)
    begun = list(_CODE.finditer(words))
    if first := _CODE.match(answer.lstrip("[`\n ")):
        begun.append(first)
    names = {found[found.lastgroup or 0] for found in begun}
    if written := next((name for name in known if name in names), None):
        return Attempt(f"{written}(…) written as code", False)
    return None


def _tool_at_start(answer: str, tools: Tools) -> str | None:
    """Say where an answer begins with the name of a tool on offer, or with JSON that holds one."""
    start, is_json = answer.lstrip("<[`").lstrip(), answer.lstrip()[:1] in ("{", "[")
    for name in map(re.escape, tools):
        if re.match(rf"{name}(?:\(|\s*+[:=>]?\s*+\{{)", start):
            return f"{start[:40]!r} begins with a tool"
        if is_json and re.search(rf"""[:,]\s*+["']?{name}["']?\s*+[,}}]|{name}["']?\s*+:\s*+\{{""", answer):
            return "JSON that names a tool"
    return None


def _call_in_code(answer: str, tools: Tools) -> str | None:
    """Name the tool on offer of which a whole call stands in a code block or in backticks; None where there is none."""
    codes = (found["block"] or found["span"] or "" for found in _CODE_SPAN.finditer(answer))
    naming = (code for code in codes if any(name in code for name in tools))
    for code in islice(naming, MOST_TRIES):
        if reading := find_calls(code, tools):
            for one in reading.calls:
                if one.call.name in tools:
                    return one.call.name
    return None


def _known(tools: Mapping[str, Any] | Iterable[str] | None) -> Tools | None:
    return tools if tools is None or isinstance(tools, Mapping) else dict.fromkeys(tools)


def _readings(answer: str, tools: Tools | None) -> Iterator[Reading]:
    for form in FORMS:
        if not (form.bare and tools is None and form.names[0] in _NEED_TOOLS):
            yield _read(answer, form, form.names[0], tools)


def _answer(text: str) -> str:
    """Cut a text to what the reader of an answer sees: no thoughts, no tokens of the end, no fence or marks around it all."""
    answer = split_thoughts(text.removeprefix("\ufeff")).answer
    end = len(answer.rstrip())
    while ended := _END.search(answer, max(end - 30, 0), end):
        end = ended.start()
        while end and answer[end - 1].isspace():
            end -= 1
    answer = answer[:end] if end < len(answer.rstrip()) else answer
    stripped = answer.strip()
    if opened := _ANSWER.match(stripped):
        close = "<|END_RESPONSE|>" if opened[1].startswith("|") else f"</{opened[1]}>"
        if stripped.endswith(close):
            stripped = answer = stripped[opened.end() : -len(close)].strip()
    if stripped.startswith(("```", "~~~")):
        inside, position = [], 0
        while fence := _FENCED.match(stripped, position):
            inside.append(fence["inside"])
            position = fence.end()
        if position == len(stripped):
            return "".join(inside)
    return answer


def _read(text: str, form: Form, name: str, tools: Tools | None) -> Reading:
    text = _EXAMPLE.sub("…", text) if form.body in (objects_on_lines, python_on_lines) else text
    calls: list[TextCall] = []
    fault, bad_json = None, False
    try:
        for call in _calls(text, form, tools):
            calls.append(call)
    except ValueError as error:  # Broken, or what literals say
        fault, bad_json = (str(error).splitlines() or ["broken"])[0], isinstance(error, BrokenJson)
    pieces, position = [], 0
    for found in calls:
        pieces.append(text[position : found.start].strip())
        position = found.end
    pieces.append(text[position:].strip())
    outside = "\n".join(piece for piece in pieces if piece)
    if calls and fault is None and (mark := _attempted_mark(_EXAMPLE.sub("…", outside), tools or {})):
        if form.bare:  # JSON among words that belongs to the mark
            return Reading(name, (), text.strip(), None)
        fault = f"{mark} without a call that can be read"
    return Reading(name, tuple(calls), outside, fault, bad_json)


def _calls(text: str, form: Form, tools: Tools | None) -> Iterator[TextCall]:
    position = scanned = tries = 0
    fenced = False
    while opened := form.opening.search(text, position):
        start, before, tries = opened.start(), position, tries + form.bare
        if tries > MOST_TRIES:
            return
        position = max(opened.end(), start + 1)
        fenced ^= sum(1 for _ in _FENCE.finditer(text, scanned, start)) % 2 == 1
        scanned = start
        if fenced or (not form.bare and _quoted(text, before, start)):
            continue
        named = opened["name"].strip() if "name" in form.opening.groupindex else None
        if form.bare and tools is not None and named is not None and named not in tools:
            continue
        found, end = form.body(Opened(text, opened, form.closing, tools))
        if not found:
            position = max(position, end)
            continue
        closed = closed_at(text, end, form.closing)
        if closed is None:
            rest = text[end : end + 40].strip()
            raise Broken(f"{rest!r} after the call" if rest else "no mark of its end")
        for call in found:
            if form.bare and tools is not None and call.name not in tools:
                raise Broken(f"{call.name[:60]!r} is not one of the tools")
            yield TextCall(call, start, closed.end())
        position, scanned, fenced = max(closed.end(), position), closed.end(), False


def _quoted(text: str, begin: int, start: int) -> bool:
    """Tell whether what stands at `start` is quoted in the words since `begin`, within its line and 300 characters."""
    if text[max(start - 1, 0) : start] in ("'", "`", '"', "“", "‘", "「", "『"):
        return True
    begin = max(begin, start - 300)
    line = text[max(begin, text.rfind("\n", begin, start) + 1) : start]
    if line.lstrip().startswith(">") and not line.lstrip().startswith(">>>"):  # as Markdown quotes a line
        return True
    return line.count('"') % 2 == 1 or line.count("`") % 2 == 1


def _attempted_mark(words: str, tools: Tools) -> str | None:
    """Return the first mark of a call that is more than a word in a sentence, or in a quotation."""
    words = _QUOTATION.sub("…", words)
    for mark in MARKS.finditer(words):
        before = words[max(mark.start() - 40, 0) : mark.start()].rstrip(" \t")
        after = words[mark.end() : mark.end() + 100].lstrip()
        if before[-1:] in ("'", '"') and before[-1:] == after[:1]:  # a quotation of the mark
            continue
        if not before or before[-1] in "\n}])>" or not after or after[0] in "{[<\"'":
            return mark[0]
        if any(after.startswith(name) for name in tools):
            return mark[0]
    return None
