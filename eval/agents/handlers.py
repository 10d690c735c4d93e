"""How a program acts on a call: a handler a tool, found by the tool's name, run only when the call fits the schema."""

from collections.abc import Callable
from typing import Any

from callwright.records import Call
from callwright.schema import call_fault

Handler = Callable[..., Any]

HANDLERS: dict[str, Handler] = {}
"""tool name → its handler; the call's arguments arrive as keywords"""


class RefusedCall(Exception):
    """A call that is not acted on, with the reason: no such tool, arguments that break its schema, no handler."""


def handles(tool: str) -> Callable[[Handler], Handler]:
    """Register a function as the handler of `tool`.

    Raises:
        ValueError: the tool has a handler already.
    """

    def register(handler: Handler) -> Handler:
        if tool in HANDLERS:
            raise ValueError(f"{tool} has a handler already: {HANDLERS[tool].__name__}")
        HANDLERS[tool] = handler
        return handler

    return register


def dispatch(call: Call, tools: list[dict[str, Any]]) -> Any:
    """Run the handler of a call's tool and return what it returns. What a model wrote is looked up, never evaluated.

    Args:
        tools: what was on offer, in canonical form.

    Raises:
        RefusedCall: the call does not fit its schema, or nothing handles it.
    """
    if fault := call_fault(call, tools):
        raise RefusedCall(fault)
    if call.name not in HANDLERS:
        raise RefusedCall(f"nothing handles {call.name!r}")
    return HANDLERS[call.name](**call.arguments)


@handles("generate_image")
def handle_generate_image(prompt: str) -> dict[str, str]:
    """Say, as an example, what would be drawn. A real one would send `prompt` to an image model here."""
    return {"would_draw": prompt}
