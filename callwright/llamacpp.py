"""llama.cpp as packages carry it, in a folder of its own in the environment (`make llamacpp`): nothing else needs it."""

import os
import sys
from importlib.metadata import distributions
from pathlib import Path

from callwright.errors import UserError

FOLDER = Path(sys.prefix) / "llamacpp"
"""Put before the environment's own packages in the processes that use it: the converter brings a newer `gguf`."""
CONTEXT = 8192
"""Tokens of a conversation that the server keeps room for."""


def environment() -> dict[str, str]:
    """Return the variables of a process that uses llama.cpp; UserError where it is not installed."""
    if not (FOLDER / "xllamacpp").is_dir():
        raise UserError("llama.cpp", "is not installed", "run: make llamacpp")
    return os.environ | {"PYTHONPATH": str(FOLDER), "PYTHONUNBUFFERED": "1"}


def versions() -> dict[str, str]:
    """Return package → version of what is installed there."""
    return {one.metadata["Name"]: one.version for one in distributions(path=[str(FOLDER)])}
