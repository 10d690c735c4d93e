"""`[Name(arg="…", n=1), …]` and nothing else (ToolACE, Llama 3.2): keyword arguments that are literals."""

from collections.abc import Iterable

from callwright.grammars.common import Names, TextCall, offered, skip, unicode_call
from callwright.literals import CALLS_OPEN, parse_calls


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The calls of a text that is such a list. With `names`, only one that opens with a tool's name counts as begun."""
    start, end = skip(text, 0), len(text.rstrip())
    opened = CALLS_OPEN.match(text, start)
    if opened is None or (names is not None and opened[1].strip() not in names):
        return
    for name, arguments in parse_calls(text[start:end]):
        yield TextCall(offered(unicode_call(name, arguments), names), start, end)
