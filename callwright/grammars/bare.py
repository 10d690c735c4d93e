"""JSON that is the whole text: `{"name", "parameters"}` or a list of it (Llama 3), a list of `{"name", "arguments"}` (xLAM)."""

from collections.abc import Iterable

from callwright.grammars.common import Names, TextCall, call_of, hints_at_object, json_at, no_rest, offered, skip


def read_llama3(text: str, names: Names) -> Iterable[TextCall]:
    """The calls of a text that is such an object or list."""
    return _read(text, names, "{[", "parameters")


def read_xlam(text: str, names: Names) -> Iterable[TextCall]:
    """The calls of a text that is such a list."""
    return _read(text, names, "[", "arguments")


def _read(text: str, names: Names, opening: str, key: str) -> Iterable[TextCall]:
    start = skip(text, 0)
    if not text.startswith(tuple(opening), start) or not hints_at_object(text):
        return
    value, end = json_at(text, start)
    no_rest(text, end)
    for item in value if isinstance(value, list) else [value]:
        yield TextCall(offered(call_of(item, key), names), start, end)
