"""Functions of many types, for tests/test_import_tools.py."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from os.path import join  # noqa: F401  # not ours, so no tool
from typing import Annotated, Any, Literal, Optional

from pydantic import BaseModel, Field
from typing_extensions import Doc, TypedDict


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: float
    y: float = 0.0


class Guest(TypedDict):
    name: str
    age: int


class Node(BaseModel):
    value: int
    next: Optional["Node"] = None


def book(
    table: int,
    guests: list[Guest],
    when: Annotated[date, "The day."],
    where: Point,
    color: Color = Color.RED,
    mood: Literal["quiet", "loud"] = "quiet",
    note: Annotated[str | None, Doc("For the kitchen.")] = None,
    seats: Annotated[int, Field(ge=1, le=8, description="How many.")] = 2,
    extras: dict[str, float] = {},  # noqa: B006
) -> str:
    """Book a table
    for some guests.

    They will get a message.

    Args:
        table: Its number.
        guests: Who comes.
    """
    return f"{table}"


def loose(anything, /, *rest: str, done: Callable[[], None] | None = None, **others: Any) -> None:
    """Take nearly anything."""


def walk(node: Node) -> None: ...


def watch(callback: Callable[[], None]) -> None: ...


def lost(thing: "Undefined") -> None: ...  # noqa: F821


def _private() -> None: ...
