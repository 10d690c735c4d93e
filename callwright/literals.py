"""Read Python in a model's text: literals and calls, from the syntax tree. Nothing is evaluated."""

import ast
import math
import re
import warnings
from typing import Any

_PLAIN = re.compile(r"""'[^'\\\n\r\0]*'|"[^"\\\n\r\0]*\"""")
_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'""", re.DOTALL)
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_CONSTANTS = {"true": True, "false": False, "null": None}
_TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([\[({])|([\])}])|(,)|[^"'\[({\])},]+|["']""", re.DOTALL)

_CALL_NAME = re.compile(r"[\s,;]*+[^\[\]{}()\"'=,;<>\s][^\[\]{}()\"'=,;<>]{0,200}\(")
CALLS_OPEN = re.compile(r"\[([^\[\]{}()\"'=,]++)\(")
"""How `[Name(arg="…"), …]` begins; a name may hold spaces."""


def parse(text: str) -> ast.expr:
    """Parse an expression to its syntax tree; ValueError where it is not Python, or nested too deeply."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as "\\d", which stay as they are
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"neither JSON nor a Python literal ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):  # the parser's word for too deep
        raise ValueError("nested too deeply") from None


def literal(text: str) -> Any:
    """Read a Python literal as a JSON value (tuples are lists; JSON's true, false and null are taken, too), or raise ValueError."""
    text = text.strip()
    if _PLAIN.fullmatch(text):  # most arguments are: no need of a syntax tree
        return text[1:-1]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _QUOTED.fullmatch(text):  # line breaks as they are, which Python does not read, but LLaMA-Factory's lfm2 writes
        text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
    return value_of(parse(text))


def value_of(node: ast.expr) -> Any:
    """Read a literal's syntax tree as a JSON value; ValueError where it is something else."""
    match node:
        case ast.Constant(value=None | bool() | int() | str() as value):
            return value
        case ast.Constant(value=float() as value) if math.isfinite(value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [value_of(element) for element in elements]
        case ast.Dict(keys=keys, values=values):
            result: dict[str, Any] = {}
            for key, item in zip(keys, values, strict=True):
                name = value_of(key) if key else None
                if not isinstance(name, str):
                    raise ValueError(f"a key that is a {type(name).__name__}, not text")
                if name in result:
                    raise ValueError(f"key {name!r} stands twice")
                result[name] = value_of(item)
            return result
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
    try:
        words = ast.unparse(node)[:60]
    except RecursionError:
        words = "…"
    raise ValueError(f"{words!r} is no JSON value")


def parse_calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Read name and arguments of each call of `[Name(arg="…", n=1), …]`; a name may hold spaces.

    Raises:
        ValueError: the text is anything else, an argument has no name, or is no literal.
    """
    calls, end = calls_at(text, 0) if text.startswith("[") else ([], 0)
    if not end or text[end:].strip():
        raise ValueError(f"{text[:40]!r} does not end with its ']'")
    return calls


def calls_at(text: str, start: int) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Read the calls that begin at a position, in brackets or one after the other, and where they end.

    Raises:
        ValueError: there are none, an argument has no name, or is no literal.
    """
    if text.startswith("[", start):
        parts, end = _parts(text, start)
        return [_call(part) for part in parts], end
    calls = []
    while name := _CALL_NAME.match(text, start):
        _, end = _parts(text, name.end() - 1)
        calls.append(_call(text[name.start() : end].strip(" \t\r\n,;")))
        start = end
    if not calls:
        raise ValueError(f"{text[start : start + 40]!r} is no call")
    return calls, start


def _call(text: str) -> tuple[str, dict[str, Any]]:
    name, bracket, _ = text.partition("(")
    if not bracket:
        raise ValueError(f"{text[:40]!r} is no call")
    parts, end = _parts(text, len(name))
    if text[end:].strip():
        raise ValueError(f"{text[:40]!r} does not end with its ')'")
    arguments: dict[str, Any] = {}
    for argument in parts:
        key, equals, value = argument.partition("=")
        if not equals or not re.fullmatch(r"[\w.-]+", key.strip()):
            raise ValueError(f"argument {argument[:40]!r} of {name.strip()!r} has no name")
        if key.strip() in arguments:
            raise ValueError(f"argument {key.strip()!r} of {name.strip()!r} stands twice")
        arguments[key.strip()] = literal(value)
    return name.strip(), arguments


def _parts(text: str, start: int) -> tuple[list[str], int]:
    """Return what stands between commas inside the brackets that open at a position, and where they end."""
    closing = {"[": "]", "(": ")"}[text[start]]
    found, depth, begin = [], 0, start + 1
    for token in _TOKEN.finditer(text, start):
        _, opened, closed, comma = token.groups()
        if token[0] in "\"'":  # a quote that nothing closes
            break
        depth += bool(opened) - bool(closed)
        if (comma and depth == 1) or (closed and depth == 0):
            found.append(text[begin : token.start()].strip())
            begin = token.end()
        if depth == 0:
            if closed == closing:
                return (found if found != [""] else []), begin
            break
    raise ValueError(f"{text[start : start + 40]!r} does not end with its {closing!r}")
