"""Tools from the typed functions of a Python module. Reading it runs it."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from callwright.errors import UserError
from callwright.tool_sources.schemas import Found, Inliner


class _Untitled(GenerateJsonSchema):
    """pydantic's schemas without a title for each field: it only says the name again."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def load(source: str) -> ModuleType:
    """Import a module by its dotted name or the path of its file, as `python FILE` would find its neighbours.

    Raises:
        UserError: there is none, or it fails.
    """
    path = Path(source)
    is_file = path.suffix == ".py"
    if is_file and not path.is_file():
        raise UserError(source, "no such file", "check the path")
    sys.path.insert(0, str(path.resolve().parent if is_file else Path.cwd()))
    try:
        if not is_file:
            return importlib.import_module(source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader, path
        module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        raise UserError(source, f"cannot be imported ({type(error).__name__}: {error})", "mend the module") from None
    finally:
        sys.path.pop(0)
    return module


def read(source: str) -> list[Found]:
    """The module itself, then its functions."""
    return [Found("module"), *(found(name, function) for name, function in functions(load(source)).items())]


def functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions that `__all__` names; without it, the public ones that the module defines itself."""
    held = {name: value for name, value in vars(module).items() if inspect.isfunction(value)}
    own = [name for name, value in held.items() if name[0] != "_" and value.__module__ == module.__name__]
    return {name: held[name] for name in getattr(module, "__all__", None) or own if name in held}


def found(name: str, function: Callable[..., Any]) -> Found:
    """A function as a tool: the docstring's first paragraph, and a schema a parameter from its annotation."""
    from docstring_parser import parse

    doc = parse(inspect.getdoc(function) or "")
    first = (doc.long_description or "").split("\n\n")[0] if not doc.blank_after_short_description else ""
    result = Found(name, " ".join(f"{doc.short_description or ''} {first}".split()))
    described = {parameter.arg_name: parameter.description for parameter in doc.params}
    properties, required = {}, []
    try:
        hints = get_type_hints(function, include_extras=True)
        for key, parameter in inspect.signature(function).parameters.items():
            needed = parameter.default is parameter.empty
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                result.lost.append(f"{str(parameter).split(':')[0]}: any number of arguments; dropped")
                continue
            if parameter.kind is parameter.POSITIONAL_ONLY:
                result.lost.append(f"{key}: positional-only; pass it by position when you run the call")
            if (schema := parameter_schema(key, hints, needed, result.lost)) is None:
                continue
            if description := _noted(hints.get(key)) or described.get(key):
                schema.setdefault("description", description)
            try:
                schema |= {} if needed else {"default": to_jsonable_python(parameter.default)}
            except PydanticSerializationError:
                result.lost.append(f"{key}: default {parameter.default!r} is not JSON; dropped")
            properties[key] = schema
            required += [key] if needed else []
        result.parameters = {"type": "object", "properties": properties, "required": required}
    except (NameError, TypeError, ValueError, RecursionError) as error:
        result.lost.append(f"left out: {error}")
    return result


def parameter_schema(key: str, hints: dict[str, Any], needed: bool, lost: list[str]) -> dict[str, Any] | None:
    """The schema of a parameter's annotation; None where it has none and the parameter can be done without.

    Raises:
        ValueError: it has none, and the function needs the parameter.
    """
    if key not in hints:
        lost.append(f"{key}: untyped; any value is accepted")
        return {}
    try:
        schema = TypeAdapter(hints[key]).json_schema(schema_generator=_Untitled)
    except PydanticUserError as error:  # a callable, an arbitrary class
        fault = f"{key}: {str(error).splitlines()[0]}"
        if needed:
            raise ValueError(fault) from None
        lost.append(f"{fault}; dropped")
        return None
    own = {name: value for name, value in schema.items() if name != "$defs"}
    return dict(Inliner(schema, lambda what: lost.append(f"{key}: {what}")).inline(own))


def _noted(hint: Any) -> str | None:
    """The description in `Annotated[type, "…"]` or `Annotated[type, Doc("…")]`."""
    notes = (getattr(note, "documentation", note) for note in getattr(hint, "__metadata__", ()))
    return next((note for note in notes if isinstance(note, str)), None)
