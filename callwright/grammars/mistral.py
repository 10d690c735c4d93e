"""`[TOOL_CALLS]` and a list of `{"name", "arguments"}`, or `[TOOL_CALLS]name[ARGS]{…}` (since tokenizer version 11).

A server that leaves special tokens out of its text returns the bare list: it counts as xLAM's does.
"""

import re
from collections.abc import Iterable

from callwright.grammars.bare import read_xlam
from callwright.grammars.common import Broken, Names, TextCall, call_of, json_at, object_at, skip
from callwright.records import Call

_MARK = "[TOOL_CALLS]"
_NAMED = re.compile(r"([^\[\]{}\s]++)(?:\[CALL_ID\]\w++)?\[ARGS\]")


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The calls after their marks, where `names` do not matter; else those of a text that is a list."""
    if _MARK not in text:
        yield from read_xlam(text, names)
    position = 0
    while (start := text.find(_MARK, position)) >= 0:
        at = skip(text, start + len(_MARK))
        if named := _NAMED.match(text, at):
            value, position = object_at(text, named.end(), f"what follows {named[1][:60]}[ARGS]")
            yield TextCall(Call(name=named[1], arguments=value), start, position)
            continue
        listed, position = json_at(text, at)
        if not isinstance(listed, list) or not listed:
            raise Broken(f"no list of calls after {_MARK}")
        for item in listed:  # the models' own templates add an id of nine letters
            yield TextCall(call_of(item, "arguments", ignored=("id",)), start, position)
