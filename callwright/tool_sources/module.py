"""Make tools of the typed functions of a Python module. Reading the module runs it."""

import functools
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, get_type_hints

import typing_extensions
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from callwright.errors import UserError
from callwright.tool_sources.found import Found, first_line
from callwright.tool_sources.schemas import Inliner

Function = Callable[..., Any]


class _Untitled(GenerateJsonSchema):
    """pydantic's schemas without a title for each field: it only repeats the name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@contextmanager
def _typed_dicts() -> Iterator[None]:
    """Let a module's `typing.TypedDict` be typing_extensions': before Python 3.12 pydantic reads no other."""
    own = typing.TypedDict
    if sys.version_info < (3, 12):
        typing.TypedDict = typing_extensions.TypedDict
    try:
        yield
    finally:
        typing.TypedDict = own


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
        with _typed_dicts():
            if not is_file:
                return importlib.import_module(source)
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec and spec.loader, path
            module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        fault = f"cannot be imported ({type(error).__name__}: {first_line(error)})"
        raise UserError(source, fault, "mend the module") from None
    finally:
        sys.path.pop(0)
    return module


def read(source: str) -> list[Found]:
    """Read the module itself, with what is no tool of it, then its functions."""
    module = load(source)
    own = Found("module")
    taken = functions(module)
    for why, names in passed_over(module, taken).items():
        if names:
            own.note("no place in a tool", f"{', '.join(names)} dropped", why)
    return [own, *(found(name, function) for name, function in taken.items())]


def functions(module: ModuleType) -> dict[str, Function]:
    """Return what can be called of what `__all__` names; without it, of the public names that the module defines itself.

    Functions, also async and decorated ones, bound methods, functools.partial and objects with `__call__` of a class of
    the module. A class is none.
    """
    named = getattr(module, "__all__", None)
    held = {name: value for name, value in vars(module).items() if is_function(value)}
    if named is not None:
        return {name: held[name] for name in named if name in held}
    return {name: value for name, value in held.items() if name[0] != "_" and defined_in(module, value)}


def is_function(value: Any) -> bool:
    """Tell whether a value can be called like a function, and is no class."""
    kinds = (FunctionType, BuiltinFunctionType, MethodType, functools.partial)
    if type(value).__module__ in ("typing", "typing_extensions"):  # Optional and its like can be called, to say no
        return False
    return isinstance(value, kinds) or (
        callable(value) and not isinstance(value, type) and isinstance(underlying(value), FunctionType)
    )


def underlying(value: Any) -> Any:
    """Return the function that is run in the end: what a partial, a method, a decorator or `__call__` wraps."""
    while True:
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, MethodType):
            value = value.__func__
        elif hasattr(value, "__wrapped__") and callable(value.__wrapped__):
            value = value.__wrapped__
        elif isinstance(value, FunctionType | BuiltinFunctionType | type):
            return value
        else:
            value = getattr(type(value), "__call__", None)  # noqa: B004  # its function, not whether there is one
            if not isinstance(value, FunctionType):
                return value


def defined_in(module: ModuleType, value: Any) -> bool:
    """Tell whether a callable is the module's own, not imported: its code, the object it is bound to, or what wraps it."""
    holders = [underlying(value), value, type(getattr(value, "__self__", None)), type(value)]
    return isinstance(value, functools.partial) or module.__name__ in [getattr(it, "__module__", "") for it in holders]


def passed_over(module: ModuleType, taken: dict[str, Function]) -> dict[str, list[str]]:
    """Say why what can be called, or what `__all__` lists, is no tool: the reason → the names."""
    named = getattr(module, "__all__", None)
    if named is not None:
        return {"in __all__, but no function": [name for name in named if name not in taken]}
    others = [name for name, value in vars(module).items() if is_function(value) and name not in taken]
    private = [name for name in others if name[0] == "_"]
    return {"imported": [name for name in others if name not in private], "private": private}


def found(name: str, function: Function) -> Found:
    """Make a tool of a function: the docstring's first paragraph, and a schema for each parameter from its annotation."""
    result = Found(name)
    try:
        described = describe(function, result)
        properties, required = {}, []
        for key, parameter in inspect.signature(function).parameters.items():
            schema, description = argument(key, parameter, function, result), described.pop(key, None)
            if schema is None:
                continue
            if description:
                schema.setdefault("description", description)
            properties[key] = schema
            required += [key] if parameter.default is parameter.empty else []
        for key in described:
            result.note("no place in a tool", "described in the docstring, but no argument; dropped", key)
        result.parameters = {"type": "object", "properties": properties, "required": required}
    except Exception as error:  # annotations are code of the user's, and can raise anything
        result.leave_out(error)
    return result


def describe(function: Function, tool: Found) -> dict[str, str]:
    """Write the docstring's first paragraph into the tool; return what the docstring says of the parameters."""
    from docstring_parser import ParseError, parse

    is_partial = isinstance(function, functools.partial)
    text = inspect.getdoc(underlying(function) if is_partial or not hasattr(function, "__name__") else function) or ""
    try:
        doc = parse(text)
    except ParseError:
        tool.description = text
        return {}
    paragraphs = (doc.long_description or "").split("\n\n")
    first = "" if doc.blank_after_short_description else paragraphs.pop(0)
    tool.description = " ".join(f"{doc.short_description or ''} {first}".split())
    if any(map(str.strip, paragraphs)):
        tool.note("no place in a tool", "the docstring after its first paragraph dropped")
    params = [(name.strip().lstrip("*"), one.description) for one in doc.params for name in one.arg_name.split(",")]
    return {name: text for name, text in params if text}


def argument(key: str, parameter: inspect.Parameter, function: Function, tool: Found) -> dict[str, Any] | None:
    """Return the schema of a parameter, None where it is no argument; ValueError where a needed one has no schema."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        tool.note("not an argument", "any number of arguments; dropped", stars + key)
        return None
    if key in getattr(function, "keywords", {}) and isinstance(function, functools.partial):
        tool.note("not an argument", "set by functools.partial; dropped", key)
        return None
    if parameter.kind is parameter.POSITIONAL_ONLY:
        tool.note("read otherwise", "positional-only; pass it by position when you run the call", key)
    needed = parameter.default is parameter.empty
    try:
        schema = parameter_schema(key, parameter.annotation, function, tool)
    except Exception as error:  # a callable, an arbitrary class, a name that is not there
        if needed:
            raise ValueError(f"{key}: {first_line(error)}") from None
        tool.note("not an argument", f"{first_line(error)}; dropped", key)
        return None
    try:
        return schema if needed else {**schema, "default": to_jsonable_python(parameter.default)}
    except PydanticSerializationError:
        tool.note("no place in a tool", f"default of type {type(parameter.default).__name__} is not JSON; dropped", key)
        return schema


def parameter_schema(key: str, annotation: Any, function: Function, tool: Found) -> dict[str, Any]:
    """Return the schema of a parameter's annotation, with the description that the annotation holds.

    Raises:
        Exception: whatever evaluating it and pydantic raise.
    """
    if annotation is inspect.Parameter.empty:
        tool.note("any value is accepted", "untyped; any value is accepted", key)
        return {}

    def one() -> None: ...

    one.__annotations__ = {key: annotation}  # the others, and what is returned, may name types that are not there
    hint = get_type_hints(one, getattr(underlying(function), "__globals__", {}), include_extras=True)[key]
    schema = TypeAdapter(hint).json_schema(schema_generator=_Untitled)
    own = {name: value for name, value in schema.items() if name != "$defs"}
    result = dict(Inliner(schema, lambda what: tool.any_value(f"{key}: {what}")).inline(own))
    if note := _noted(hint):
        result.setdefault("description", note)
    return result


def _noted(hint: Any) -> str | None:
    """Return the description in `Annotated[type, "…"]` or `Annotated[type, Doc("…")]`."""
    notes = (getattr(note, "documentation", note) for note in getattr(hint, "__metadata__", ()))
    return next((note for note in notes if isinstance(note, str)), None)
