"""Python in a model's text: literals and calls, read from the syntax tree. Nothing is evaluated."""

import ast
import math
import re
import warnings
from typing import Any

_PLAIN = re.compile(r"""'[^'\\\n\r\0]*'|"[^"\\\n\r\0]*\"""")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_CONSTANTS = {"true": True, "false": False, "null": None}
_TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([\[({])|([\])}])|(,)|[^"'\[({\])},]+|["']""", re.DOTALL)

CALLS_OPEN = re.compile(r"\[([^\[\]{}()\"'=,]++)\(")
"""how `[Name(arg="…"), …]` begins; a name may hold spaces"""


def parse(text: str) -> ast.expr:
    """The syntax tree of an expression.

    Raises:
        ValueError: it is not Python, or nested too deeply.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes such as "\\d", which stay as they are
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"neither JSON nor a Python literal ({getattr(error, 'msg', error)})") from None
    except (RecursionError, MemoryError):  # the parser's word for too deep
        raise ValueError("nested too deeply") from None


def literal(text: str) -> Any:
    """The JSON value of a Python literal (tuples are lists; JSON's own true, false and null are taken, too).

    Raises:
        ValueError: it is something else.
    """
    text = text.strip()
    if _PLAIN.fullmatch(text):  # most arguments are: no need of a syntax tree
        return text[1:-1]
    if _INTEGER.fullmatch(text):
        return int(text)
    return value_of(parse(text))


def value_of(node: ast.expr) -> Any:
    """The JSON value of a literal's syntax tree.

    Raises:
        ValueError: it is something else.
    """
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
    """Name and arguments of each call of `[Name(arg="…", n=1), …]`; a name may hold spaces.

    Raises:
        ValueError: the text is anything else, an argument has no name, or is no literal.
    """
    calls = []
    for call in _parts(text, "[", "]"):
        name, bracket, _ = call.partition("(")
        if not bracket:
            raise ValueError(f"{call[:40]!r} is no call")
        arguments: dict[str, Any] = {}
        for argument in _parts(call[len(name) :], "(", ")"):
            key, equals, value = argument.partition("=")
            if not equals or not re.fullmatch(r"[\w.-]+", key.strip()):
                raise ValueError(f"argument {argument[:40]!r} of {name.strip()!r} has no name")
            if key.strip() in arguments:
                raise ValueError(f"argument {key.strip()!r} of {name.strip()!r} stands twice")
            arguments[key.strip()] = literal(value)
        calls.append((name.strip(), arguments))
    return calls


def _parts(text: str, opening: str, closing: str) -> list[str]:
    """What stands between commas inside the brackets that the whole text is in."""
    found, depth, start = [], 0, 1
    for token in _TOKEN.finditer(text):
        _, opened, closed, comma = token.groups()
        if token[0] in "\"'":  # a quote that nothing closes
            break
        depth += bool(opened) - bool(closed)
        if (comma and depth == 1) or (closed and depth == 0):
            found.append(text[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            break
    if not text.startswith(opening) or depth or text[start - 1] != closing or text[start:].strip():
        raise ValueError(f"{text[:40]!r} does not end with its {closing!r}")
    return found if found != [""] else []
