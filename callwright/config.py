"""Load our own YAML (data, eval) into frozen pydantic models whose errors name the file and the key."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from callwright.errors import UserError
from callwright.files import ROOT, read_text
from callwright.records import explain


class Config(BaseModel):
    """A part of our own YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Config)

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's safe loader where it is built in: ten times faster on a large grammar"""


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        UserError: missing, not YAML, or not a mapping.
    """
    try:
        value = yaml.load(read_text(path), Loader=LOADER)  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        raise UserError(place, f"not YAML ({getattr(error, 'problem', None) or error})", "fix the line") from None
    if not isinstance(value, dict):
        raise UserError(path, "not a mapping of keys to values", "start from one of the shipped files")
    return value


def load_config(path: str | Path, kind: type[C]) -> C:
    """Read a YAML file into a config model; unknown keys are faults."""
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(path, explain(error), "fix the key; the shipped file shows the form") from None


def choose(folder: str, name: str, what: str) -> Path:
    """`<folder>/<name>.yaml` under the root.

    Raises:
        UserError: there is none; the message lists those that exist.
    """
    path = ROOT / folder / f"{name}.yaml"
    if name != Path(name).name or not path.is_file():
        known = ", ".join(sorted(p.stem for p in (ROOT / folder).glob("*.yaml"))) or "(none)"
        raise UserError(f"{what} {name!r}", f"there is no {folder}/{name}.yaml", f"choose one of: {known}")
    return path.relative_to(ROOT) if Path.cwd() == ROOT else path


class Augment(Config):
    """How many examples `tools.augment` makes, and with what."""

    backend: Literal["grammar"] = "grammar"
    call: int = Field(1500, ge=0)
    """how many utterances that call"""
    no_call: int = Field(1500, ge=0)
    """how many that do not"""
    from_seeds: float = Field(0.34, ge=0, le=1)
    """share of the examples that descends from hand-written seeds, as far as `variants` reaches"""
    variants: int = Field(4, ge=0)
    """at most so many variants of one seed"""


class Split(Config):
    """How many examples each side gets, as near as lineages allow."""

    train: int = Field(2160, ge=1)
    val: int = Field(240, ge=0)
    test: int = Field(600, ge=0)
    near: float = Field(75, ge=50, le=100)
    """texts at least so similar (rapidfuzz's indel ratio of their normal forms, 0 to 100) stay on one side"""
    by: Literal["text", "function"] = "text"
    """of `sources`: what stays on one side, the same opening text or the functions that are called; train, val and test
    are then proportions"""


class Rows(Config):
    """The shape of training rows."""

    turns_per_row: int = Field(4, ge=1)
    """independent utterances behind one tool prompt in a training row"""
    reply_prefix: str = "\n"
    """what every plain reply of a row begins with. A call always begins with the same token, replies with hundreds of
    different ones: greedy decoding would pick the call even where a reply is twice as likely. A common first token makes
    the decision one token against one."""


class Source(Config):
    """A data set of conversations in a format that `tools.convert --from` knows."""

    from_: str = Field(alias="from")
    """the format"""
    path: str | None = None
    """a file, relative to the root; or"""
    hub: str | None = None
    """a hub's data set, `<owner>/<name>`"""
    subset: str | None = None
    split: str = "train"
    share: float | None = Field(None, gt=0)
    """its part of the mix, relative to the other sources' shares; without shares all rows are taken"""
    max_samples: int | None = Field(None, ge=1)
    """at most so many rows, drawn by the seed"""
    on_error: Literal["stop", "skip"] = "skip"

    @model_validator(mode="after")
    def _one_place(self) -> "Source":
        if (self.path is None) == (self.hub is None):
            raise ValueError("give either path or hub")
        return self


class DataConfig(Config):
    """`configs/data/<task>.yaml`: where rows come from."""

    task: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """names data/seeds/<task>/ and data/<task>_*.jsonl"""
    seed: int = 42
    system: str | None = None
    """system message of every row and case; without it the template's own default serves, at training and serving"""
    augment: Augment = Augment()
    sources: list[Source] = []
    """instead of seeds and augment: data sets to convert, mix and split"""
    split: Split = Split()
    rows: Rows = Rows()

    @model_validator(mode="after")
    def _either(self) -> "DataConfig":
        if self.sources and (both := sorted({"augment", "rows", "system"} & self.model_fields_set)):
            raise ValueError(f"sources and {both[0]} exclude each other")
        if len({source.share is None for source in self.sources}) > 1:
            raise ValueError("give a share to every source, or to none")
        return self

    @property
    def seeds(self) -> Path:
        """data/seeds/<task>/"""
        return ROOT / "data" / "seeds" / self.task

    @property
    def work(self) -> Path:
        """data/work/<task>/: what the steps hand to each other"""
        return ROOT / "data" / "work" / self.task

    def built(self, part: str) -> Path:
        """data/<task>_<part>.jsonl: rows (train, val) or cases (test, golden)"""
        return ROOT / "data" / f"{self.task}_{part}.jsonl"


def load_data_config(task: str) -> DataConfig:
    """The data config of a task, by name."""
    return load_config(choose("configs/data", task, "task"), DataConfig)
