"""Tools of Python modules: what can be called, what its types become, and what is said of the rest."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from callwright.errors import UserError
from callwright.tool_sources import ToolSet, tools_from

HEAD = """
import functools, math
from dataclasses import dataclass, field
from enum import IntEnum
from math import sqrt
from os.path import join
from random import choice
from typing import Annotated, Callable, Literal, NotRequired, TypedDict
from pydantic import BaseModel, Field
"""


@pytest.fixture
def module(tmp_path: Path) -> Any:
    """Import the functions of a module of this text."""

    def run(text: str, head: str = HEAD) -> ToolSet:
        path = tmp_path / f"functions_{tmp_path.name}.py"
        path.write_text(head + text, "utf-8")
        sys.modules.pop(path.stem, None)
        return tools_from(path)

    return run


def functions(tools: ToolSet) -> dict[str, Any]:
    return {tool["function"]["name"]: tool["function"] for tool in tools.tools}


def test_everything_that_can_be_called_is_a_tool(module: Any) -> None:
    tools = module('''
class Shop:
    def sell(self, what: str) -> None:
        """Sell it."""
    def __call__(self, x: int) -> None:
        """Call the shop."""
    @classmethod
    def open(cls, at: int) -> None:
        """Open."""
def pay(sum: float, account: str, key: str = "k") -> None:
    """Pay."""
def plain(f):
    @functools.wraps(f)
    def run(*args, **keywords): return f(*args, **keywords)
    return run
sell = Shop().sell
shop = Shop()
open_shop = Shop.open
pay_mine = functools.partial(pay, account="mine", key="s3cret")
@functools.lru_cache
def cached(x: int) -> None:
    """Cache."""
@functools.wraps(pay)
def wrapped(*args, **keywords): ...
async def later(x: int) -> None:
    """Later."""
def _private(x: int) -> None: ...
''')
    known = functions(tools)
    assert set(known) == {"sell", "shop", "open_shop", "pay", "pay_mine", "cached", "wrapped", "later", "plain"}
    assert known["sell"]["description"] == "Sell it."
    assert list(known["sell"]["parameters"]["properties"]) == ["what"]
    assert known["shop"]["description"] == "Call the shop."
    assert list(known["pay_mine"]["parameters"]["properties"]) == ["sum"]
    assert known["pay_mine"]["description"] == "Pay."
    assert "s3cret" not in json.dumps(tools.tools) + str(tools.notes)
    assert known["wrapped"]["parameters"] == known["pay"]["parameters"]
    said = list(map(str, tools.notes))
    assert "module: imported: dataclass, field, sqrt, join, choice, Field dropped" in said
    assert "module: private: _private dropped" in said
    assert "pay_mine: key: set by functools.partial; dropped" in said


def test_all_names_what_is_taken(module: Any) -> None:
    tools = module(
        "__all__ = ['sqrt', 'x', 'Y', 'nothing']\nx = 3\nclass Y: ...\ndef other(a: int): ...\ndef sqrt(a: int): ...\n"
    )
    assert list(functions(tools)) == ["sqrt"]
    assert list(map(str, tools.notes)) == ["module: in __all__, but no function: x, Y, nothing dropped"]


def test_types(module: Any) -> None:
    tools = module('''
class Where(TypedDict, total=False):
    lat: float
class Order(TypedDict):
    where: Where
    note: NotRequired[str]
class Level(IntEnum):
    LOW = 1
    HIGH = 2
@dataclass
class Box:
    order: Order
    tags: list[str] = field(default_factory=list)
class Model(BaseModel):
    box: Box
def f(order: Order, model: Model, level: Level = Level.LOW, mode: Literal["a", 2] = "a", many: "list[Where] | None" = None,
      n: Annotated[int, Field(ge=1, description="How many.")] = 1, pair: tuple[int, str] = (1, "x")) -> None:
    """F."""
''')
    fields = functions(tools)["f"]["parameters"]
    assert fields["required"] == ["order", "model"]
    assert fields["properties"]["order"]["properties"]["where"]["properties"] == {"lat": {"type": "number"}}
    assert fields["properties"]["order"]["required"] == ["where"]
    assert fields["properties"]["model"]["properties"]["box"]["properties"]["order"]["required"] == ["where"]
    assert fields["properties"]["level"]["enum"] == [1, 2]
    assert fields["properties"]["level"]["default"] == 1
    assert fields["properties"]["mode"]["enum"] == ["a", 2]
    assert fields["properties"]["n"]["minimum"] == 1
    assert fields["properties"]["pair"]["default"] == [1, "x"]


def test_names_that_are_not_there_matter_only_where_they_are_needed(module: Any) -> None:
    text = '''
if TYPE_CHECKING:
    import pandas
def found(x: int) -> pandas.DataFrame:
    """Found."""
def optional(x: int, frame: pandas.DataFrame = None) -> None:
    """Optional."""
def needed(frame: pandas.DataFrame) -> None:
    """Needed."""
def raises(x: "1/0") -> None: ...
def unclosed(x: "list[") -> None: ...
'''
    tools = module(text, "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n")
    assert list(functions(tools)) == ["found", "optional"]
    assert tools.left_out == ["needed", "raises", "unclosed"]
    assert "optional: frame: name 'pandas' is not defined; dropped" in map(str, tools.notes)
    assert "needed: left out: frame: name 'pandas' is not defined" in map(str, tools.notes)


@pytest.mark.parametrize(
    "doc",
    [
        "Do it.\n\n    Args:\n        a: The first.\n        b (str): The second.",
        "Do it.\n\n    Parameters\n    ----------\n    a : int\n        The first.\n    b\n        The second.",
        "Do it.\n\n    :param a: The first.\n    :param str b: The second.",
        "Do it.\n\n    @param a: The first.\n    @param b: The second.",
    ],
)
def test_docstrings_of_all_styles(module: Any, doc: str) -> None:
    tools = module(f'def f(a: int, b: str = "x") -> None:\n    """{doc}\n    """\n')
    assert functions(tools)["f"]["description"] == "Do it."
    fields = functions(tools)["f"]["parameters"]["properties"]
    assert [fields[name]["description"] for name in "ab"] == ["The first.", "The second."]


def test_what_a_signature_cannot_offer_is_counted(module: Any) -> None:
    tools = module('''
def f(a, b: int, /, c: Callable[[], None] = print, *rest: int, d: object = object(), **more: str) -> None:
    """F.

    And more of it.

    Args:
        gone: Nowhere.
        rest: All.
    """
''')
    assert list(functions(tools)["f"]["parameters"]["properties"]) == ["a", "b", "d"]
    said = [str(note).split(";")[0].split(" for ")[0] for note in tools.notes if note.tool == "f"]
    assert said == [
        "f: the docstring after its first paragraph dropped",
        "f: a: positional-only",
        "f: a: untyped",
        "f: b: positional-only",
        "f: c: Cannot generate a JsonSchema",
        "f: *rest: any number of arguments",
        "f: d: default of type object is not JSON",
        "f: **more: any number of arguments",
        "f: gone: described in the docstring, but no argument",
    ]


def test_a_module_that_fails_is_told_on_one_line(module: Any, tmp_path: Path) -> None:
    for text in ("raise ValueError('one\\ntwo')", "import sys; sys.exit(3)", "def f(:", "1/0"):
        with pytest.raises(UserError, match="cannot be imported") as caught:
            module(text, "")
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="no such file"):
        tools_from(tmp_path / "none.py")
