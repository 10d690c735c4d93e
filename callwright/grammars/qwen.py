"""`<tool_call>{"name": …, "arguments": {…}}</tool_call>`, repeated for parallel calls (Qwen 2.5 and 3, Hermes)."""

from collections.abc import Iterable

from callwright.grammars.common import Broken, Names, TextCall, call_of, json_at, skip

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The calls between their marks; `names` do not matter, as the marks say that it is a call."""
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        if text.find(_CLOSE, position, start) >= 0:
            raise Broken(f"{_CLOSE} without {_OPEN}")
        value, end = json_at(text, start + len(_OPEN))
        call = call_of(value, "arguments")
        end = skip(text, end)
        if not text.startswith(_CLOSE, end):
            raise Broken(f"no {_CLOSE} after the JSON")
        position = end + len(_CLOSE)
        yield TextCall(call, start, position)
    if text.find(_CLOSE, position) >= 0:
        raise Broken(f"{_CLOSE} without {_OPEN}")
