"""A name, a line break and a JSON object, and nothing else (GLM-4): one call, never several."""

import re
from collections.abc import Iterable

from callwright.grammars.common import Names, TextCall, no_rest, object_at, skip
from callwright.records import Call

_NAME = re.compile(r"[\w.-]+")


def read(text: str, names: Names) -> Iterable[TextCall]:
    """The call that the whole text is. With `names`, nothing else counts as begun; without, any word does as a name."""
    start = skip(text, 0)
    line_end = text.find("\n", start)
    name = text[start:line_end].strip()
    if line_end < 0 or not text.startswith("{", skip(text, line_end)):
        return
    if name in names if names is not None else _NAME.fullmatch(name):
        arguments, end = object_at(text, line_end, f"what follows {name[:60]}")
        no_rest(text, end)
        yield TextCall(Call(name=name, arguments=arguments), start, end)
