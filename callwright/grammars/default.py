"""Lines `Action: <name>` and `Action Input: <JSON object>` (LLaMA-Factory's tool format `default`)."""

import re
from collections.abc import Iterable

from callwright.grammars.common import Names, TextCall, no_rest, object_at
from callwright.records import Call

_ACTION = re.compile(r"^Action:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_INPUT = re.compile(r"\s*Action Input:[ \t]*")


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The pairs of lines; `names` do not matter, as the pair says that it is a call."""
    position = 0
    while action := _ACTION.search(text, position):
        given = _INPUT.match(text, action.end())
        if given is None:
            position = action.end()  # prose may hold a line "Action: …"; only the pair of lines is a call
            continue
        value, end = object_at(text, given.end(), "Action Input")
        line_end = text.find("\n", end)
        no_rest(text, end, len(text) if line_end < 0 else line_end)
        yield TextCall(Call(name=action[1], arguments=value), action.start(), end)
        position = end
