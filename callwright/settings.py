"""The settings in LLaMA-Factory's own train, serve and export YAML, read and checked as LLaMA-Factory takes them."""

import ast
import functools
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from yaml import YAMLError

from callwright.errors import UserError, did_you_mean
from callwright.yaml_config import read_yaml


@functools.cache
def known_settings() -> dict[str, str]:
    """Return the keys that LLaMA-Factory takes in a train, serve or export file, each with its type as LLaMA-Factory writes it.

    They are read from its source: to import it takes 15 s.
    """
    own, base = (Path(importlib.util.find_spec(name).origin).parent for name in ("llamafactory", "transformers"))  # type: ignore
    sources = [*(own / "hparams").glob("*_args.py"), *base.glob("training_args*.py")]
    classes = (node for path in sources for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    fields = (field for node in classes if isinstance(node, ast.ClassDef) for field in node.body)
    return {
        field.target.id: ast.unparse(field.annotation)
        for field in fields
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


NEEDED = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""A type as LLaMA-Factory writes it → what to write; LLaMA-Factory does not look, and dies of a text in such a place."""


def check_settings(settings: Mapping[str, Any], place: str | Path) -> None:
    """Find out whether LLaMA-Factory takes these settings; it dies of another one, half a minute later.

    Raises:
        UserError: at `place`: a key that it does not have, with the one that was probably meant, or a text where it needs a
            number.
    """
    for key, value in settings.items():
        if key not in known_settings():
            meant = did_you_mean(key, known_settings()) or "see `llamafactory-cli train -h`"
            raise UserError(f"{place}: {key}", "LLaMA-Factory has no such setting", meant)
        needed = NEEDED.get(known_settings()[key].removesuffix(" | None"))
        if needed and isinstance(value, str):
            raise UserError(f"{place}: {key}", f"{value!r} is not {needed}", f"write {needed}")


def read_settings(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read the settings in a train, serve or export YAML with `key=value` overrides, as LLaMA-Factory reads them: by OmegaConf.

    It follows YAML 1.1 but for numbers such as 1e-4: `no` and `off` are false, where all other YAML of ours has them as
    text. What a file means for us must be what it means for the program that trains.

    Raises:
        UserError: the file is missing or not YAML, or an override is not key=value, or one that LLaMA-Factory would die of.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    read_yaml(path)  # says what is wrong, in which line
    try:
        settings: Any = OmegaConf.load(path)
    except (YAMLError, OmegaConfBaseException) as error:
        raise UserError(path, f"LLaMA-Factory cannot read it ({error})".replace("\n", " "), "fix it") from None
    for override in overrides:
        key, equals, _ = override.partition("=")
        try:
            if not equals or not key.isidentifier():
                raise ValueError
            settings = OmegaConf.merge(settings, OmegaConf.from_dotlist([override]))
            check_settings({key: settings[key]}, "override")
        except (YAMLError, OmegaConfBaseException, ValueError):
            remedy = "write it as, say, num_train_epochs=2"
            raise UserError(f"override {override!r}", "not key=value", remedy) from None
    return cast(dict[str, Any], OmegaConf.to_container(settings))
