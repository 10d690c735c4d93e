"""The formats by name."""

from collections.abc import Callable
from typing import Any

from tools.formats import alpaca, anthropic, chat, glaive, hermes, llamafactory_v1, openai, sharegpt, toolace, xlam
from tools.formats.conversation import Conversation

Reader = Callable[[dict[str, Any]], Conversation]
"""Reads one record; raises ValueError with the reason."""

READERS: dict[str, Reader] = {
    "openai": openai.read,
    "anthropic": anthropic.read,
    "xlam": xlam.read,
    "glaive": glaive.read,
    "hermes": hermes.read,
    "toolace": toolace.read,
    "sharegpt": sharegpt.read,
    "llamafactory_v1": llamafactory_v1.read,
    "alpaca": alpaca.read,
    "chat": chat.read,
}
"""what may be trained on; BFCL is not among them"""

EVALUATION_ONLY = ("bfcl",)
