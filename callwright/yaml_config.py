"""Load our own YAML (data, eval) into frozen pydantic models whose errors name the file and the key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from callwright.errors import UserError
from callwright.files import read_text
from callwright.records import explain, first_fault
from callwright.yaml12 import YamlFault, line_of_keys, parse_yaml


class Config(BaseModel):
    """A part of our own YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Config)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read the mapping that a YAML file holds; UserError where it is missing, not YAML, or no mapping."""
    try:
        value = parse_yaml(read_text(path))
    except YamlFault as fault:
        place = f"{path}:{fault.line}" if fault.line else str(path)
        raise UserError(place, f"not YAML ({fault.reason})", "fix the line") from None
    if not isinstance(value, dict):
        raise UserError(path, "not a mapping of keys to values", "start from one of the shipped files")
    return value


def load_config(path: str | Path, kind: type[C]) -> C:
    """Read a YAML file into a config model; unknown keys are faults."""
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        place = f"{path}:{line_of(path, first_fault(error, kind)['loc'])}"
        raise UserError(place, explain(error, kind), "fix the key; the shipped file shows the form") from None


def line_of(path: str | Path, keys: Sequence[int | str]) -> int:
    """Return the line, from 1, of the value that `keys` lead to in a YAML file that read_yaml has read."""
    return line_of_keys(read_text(path), keys)
