"""Read and write YAML 1.2 as JSON readers mean it: our own files, and documents of others (OpenAPI).

`on`, `no`, `y`, 2020-01-01, 12:30, 1_000 and 0123 are text (PyYAML follows YAML 1.1, for which they are truth values,
dates and numbers of base 60, 10 and 8). A key is the text that stands there. A key that stands twice, and a tag that JSON
has no word for, are faults. `<<` merges, as every reader in use still has it. LLaMA-Factory's own YAML is read by
callwright.recipes, as LLaMA-Factory reads it.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's safe loader where it is built in: ten times faster on a large grammar."""

TAG = "tag:yaml.org,2002:"
NUMBER = r"[-+]?(0|[1-9][0-9]*)"
RULES = {
    "merge": (r"<<", "<"),
    "null": (r"null|Null|NULL|~|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (rf"{NUMBER}|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        rf"({NUMBER}(\.[0-9]*)?|[-+]?\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
"""Plain scalars that are no text: YAML 1.2's core schema, but that 0123 is none of its numbers, as in its JSON schema."""


class _Parser(LOADER):  # type: ignore[misc, valid-type]
    """Gives events, and their tags by RULES. PyYAML's composer and constructors are never used."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


class Dumper(yaml.SafeDumper):
    """Writes YAML that reads back the same here, in LLaMA-Factory and by YAML 1.1: quotes what any of them has rules for."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Write a text; with escapes where YAML would fold a rare line break in it to a space."""
        style = '"' if re.search("[\x85\u2028\u2029]", data) else None
        return self.represent_scalar(TAG + "str", data, style)


Dumper.add_representer(str, Dumper.represent_str)


for _name, (_pattern, _first) in RULES.items():
    for _kind in (_Parser, Dumper):
        _kind.add_implicit_resolver(TAG + _name, re.compile(rf"^(?:{_pattern})\Z"), list(_first))


MOST_DEPTH = 200
"""Levels of lists and objects in each other; libyaml's own composer overflows the stack at some ten thousand."""

SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "merge": str,  # as a value
    "null": lambda text: None,
    "bool": lambda text: {"true": True, "false": False}[text.lower()],
    "int": lambda text: int(text, 0),
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}


class YamlFault(ValueError):
    """Why a text is no YAML, in one line, and where: the line from 1, or None where libyaml gives none."""

    def __init__(self, line: int | None, reason: str) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line, self.reason = line, reason


def dump_yaml(value: Any, dumper: type[Dumper] = Dumper) -> str:
    """Write a JSON value as YAML in block style, its keys in their order, no text folded."""
    return str(yaml.dump(value, Dumper=dumper, allow_unicode=True, sort_keys=False, width=10**6))


def parse_yaml(text: str) -> Any:
    """Read the JSON value of a YAML document, an alias as the same object as its anchor; YamlFault where it is none."""
    parser = _Parser(text)
    try:
        builder = _Builder(parser)
        parser.get_event()  # the stream begins
        if not parser.check_event(yaml.DocumentStartEvent):
            return None
        parser.get_event()
        value = builder.build(parser.get_event())
        parser.get_event()  # the document ends
        if not parser.check_event(yaml.StreamEndEvent):
            raise _fault(parser.peek_event(), "a second document begins")
        return value
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise YamlFault(mark.line + 1 if mark else None, reason) from None
    finally:
        parser.dispose()


class _Builder:
    """Builds values of events, a value with an anchor once, so that aliases of aliases take no room."""

    def __init__(self, parser: Any) -> None:
        self.parser, self.event = parser, parser.get_event
        self.anchors, self.depth = dict[str, Any](), 0

    def build(self, event: Any) -> Any:
        """Build the value that begins with an event.

        Raises:
            YamlFault: a tag, a key or a number that JSON does not have; a key twice; more than MOST_DEPTH levels.
        """
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _fault(event, f"there is no anchor &{event.anchor} above")
            return self.anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            return self.keep(event, self.scalar(event))
        is_map = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", TAG + ("map" if is_map else "seq")):
            raise _fault(event, f"the tag {event.tag.replace(TAG, '!!')} is no part of JSON")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise _fault(event, "nested too deeply")
        value = self.mapping(self.keep(event, {})) if is_map else self.sequence(self.keep(event, []))
        self.depth -= 1
        return value

    def keep(self, event: Any, value: Any) -> Any:
        """Keep the value for aliases of its anchor, and return it."""
        if event.anchor:
            self.anchors[event.anchor] = value
        return value

    def tag(self, event: Any) -> str:
        """Return the tag of a scalar, without what all of YAML's own begin with."""
        given = TAG + "str" if event.tag == "!" else event.tag
        return str(given or self.parser.resolve(yaml.ScalarNode, event.value, event.implicit)).removeprefix(TAG)

    def scalar(self, event: Any) -> Any:
        """Build text, a number, a truth value or null."""
        tag = self.tag(event)
        if tag not in SCALARS:
            raise _fault(event, f"the tag {event.tag.replace(TAG, '!!')} is no part of JSON")
        try:
            return SCALARS[tag](event.value)
        except (ValueError, KeyError):
            raise _fault(event, f"{event.value[:40]!r} is no {tag}") from None

    def sequence(self, items: list[Any]) -> list[Any]:
        """Fill a list."""
        while not isinstance(event := self.event(), yaml.SequenceEndEvent):
            items.append(self.build(event))
        return items

    def mapping(self, result: dict[str, Any]) -> dict[str, Any]:
        """Fill an object: its own keys, then those that it merges and does not have."""
        merged: list[Any] = []
        while not isinstance(key := self.event(), yaml.MappingEndEvent):
            if isinstance(key, yaml.ScalarEvent) and self.tag(key) == "merge":
                others = self.build(self.event())
                merged += others if isinstance(others, list) else [others]
                if not all(isinstance(other, dict) for other in merged):
                    raise _fault(key, "<< merges what is no mapping")
                continue
            name = (
                self.anchors.get(str(key.anchor)) if isinstance(key, yaml.AliasEvent) else getattr(key, "value", None)
            )
            if not isinstance(name, str):
                raise _fault(key, "a key is no text")
            if name in result:
                raise _fault(key, f"key {name!r} stands twice")
            result[name] = self.build(self.event())
            self.keep(key, name)
        for other in merged:
            for name, value in list(other.items()):
                result.setdefault(name, value)
        return result


def _fault(event: Any, what: str) -> YamlFault:
    return YamlFault(event.start_mark.line + 1, what)


def line_of_keys(text: str, keys: Sequence[int | str]) -> int:
    """Return the line, from 1, of the value that `keys` lead to in a document, or of the last one on the way to it.

    A key is one of a mapping, an index of a list, or the `id` or `name` of one of its items. The text is one that
    parse_yaml has read: libyaml's composer, unlike it, does not survive deep nesting.
    """
    node, line = yaml.compose(text, Loader=LOADER), 1
    for key in keys:
        found: tuple[yaml.Node, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(key)), None)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                if key == index or (isinstance(key, str) and key in _names(item)):
                    found = item, item
                    break
        else:
            break
        if found is not None:  # pydantic's paths also name the member of a union that did not fit
            line, node = found[0].start_mark.line + 1, found[1]
    return line


def _names(node: yaml.Node) -> list[str]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return [value.value for key, value in pairs if key.value in ("id", "name")]
