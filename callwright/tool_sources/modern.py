"""Write a schema of any draft, or of OpenAPI 3.0 or 3.1, as JSON Schema 2020-12 with known keywords only."""

import re
from typing import Any

from jsonschema import Draft202012Validator

from callwright.files import object_at, to_json
from callwright.schema_steps import LISTED, NAMED, SINGLE
from callwright.tool_sources.found import Found
from callwright.tool_sources.schemas import DATA, flat, is_texts

KEYWORDS = {
    *Draft202012Validator.VALIDATORS,
    *("title", "description", "default", "examples", "deprecated", "minContains", "maxContains"),
    *("contentEncoding", "contentMediaType"),
}
SILENT = {
    *("$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment", "$vocabulary"),
    *("$defs", "definitions", "nullable", "readOnly", "writeOnly", "additionalItems"),
}
"""Keywords that say nothing about a call once references are resolved, or that are read elsewhere here."""
TEXT_MEDIA = re.compile(r"text/|application/([\w.-]+\+)?(json|xml|yaml)")


def expect(value: Any, kind: type, what: str) -> Any:
    """Return a value that must be of this type; ValueError where it is of another."""
    if not isinstance(value, kind):
        raise ValueError(f"{what} is a {type(value).__name__}, not a {kind.__name__}")
    return value


class Modern:
    """Brings schemas without `$ref` into today's form, and notes in the tool what is lost.

    Args:
        tool: whose schemas they are.
        sent: whether read-only fields and files are left out, since the program fills them in.
    """

    def __init__(self, tool: Found, sent: bool) -> None:
        self.tool, self.sent = tool, sent

    def schema(self, raw: Any, where: str, gone: frozenset[str] = frozenset()) -> Any:
        """Return the schema in today's form; ValueError where it is none.

        Args:
            where: the place in the tool, for notes.
            gone: fields that a schema around this one has left out.
        """
        if isinstance(raw, bool):
            return raw
        raw = flat(expect(raw, dict, where or "the schema"))
        gone |= self.unsendable(raw, where)
        result: dict[str, Any] = {}
        for key, value in raw.items():
            self.keyword(key, value, raw, result, where, gone)
        self.require(raw, result, gone)
        self.as_text(result, where)
        return nullable(result) if raw.get("nullable") is True else result

    def keyword(
        self, key: str, value: Any, raw: dict[str, Any], result: dict[str, Any], where: str, gone: frozenset[str]
    ) -> None:
        """Carry a keyword over into the result."""
        place = f"{where}.{key}" if where else key
        if key == "items" and isinstance(value, list):  # before 2020-12
            result["prefixItems"] = [self.schema(item, where) for item in value]
            if "additionalItems" in raw:
                result["items"] = self.schema(raw["additionalItems"], where)
        elif key in SILENT:
            return
        elif key == "dependencies":
            for name, needs in expect(value, dict, place).items():
                if isinstance(needs, str | list):
                    names = [needs] if isinstance(needs, str) else needs
                    result.setdefault("dependentRequired", {})[name] = names
                else:
                    result.setdefault("dependentSchemas", {})[name] = self.schema(needs, where)
        elif key in NAMED:
            result[key] = self.fields(expect(value, dict, place), where, gone)
        elif key in LISTED:
            parts = expect(value, list, place)
            result[key] = [self.schema(item, where, gone if key == "allOf" else frozenset()) for item in parts]
        elif key in SINGLE:
            result[key] = self.schema(value, where)
        elif key in ("example", "examples"):
            items = [value] if key == "example" else value
            result.setdefault("examples", examples_of(items))
        elif key in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):  # draft 4, OpenAPI 3.0
            bound = key.removeprefix("exclusive").lower()
            if value and bound in raw:
                result[key] = raw[bound]
        elif key == "divisibleBy":
            result["multipleOf"] = value
        elif key in ("title", "description") and not isinstance(value, str):
            self.tool.note("no place in a tool", f"{key} is no text; dropped", where)
        elif key in ("$dynamicRef", "$recursiveRef"):
            self.tool.any_value(f"{key} {value!r}")
        elif key in KEYWORDS:
            result.setdefault(key, value)
        else:
            self.tool.unknown([key], where)

    def fields(self, fields: dict[str, Any], where: str, gone: frozenset[str]) -> dict[str, Any]:
        """Convert schemas by name, without those that are gone, and without titles that only repeat the name."""
        result = {}
        for name, field in fields.items():
            if name in gone:
                continue
            result[name] = schema = self.schema(field, f"{where}.{name}" if where else name)
            if isinstance(schema, dict) and squeezed(schema.get("title")) == squeezed(name):
                del schema["title"]
        return result

    def require(self, raw: dict[str, Any], result: dict[str, Any], gone: frozenset[str]) -> None:
        """Put `required` in order: each name once, none that is gone, and those that draft 3 marks in the field."""
        if isinstance(result.get("required"), bool):
            del result["required"]
        fields = object_at(raw, "properties").items()
        marked = [name for name, field in fields if isinstance(field, dict) and field.get("required") is True]
        names = result.get("required", [])
        if not is_texts(names):
            raise ValueError("required is no list of names")
        if "required" in result or marked:
            result["required"] = [name for name in dict.fromkeys([*names, *marked]) if name not in gone]

    def unsendable(self, schema: Any, where: str) -> frozenset[str]:
        """Return the names of read-only fields and files, also in the parts of `allOf`, and note each."""
        if not self.sent or not isinstance(schema, dict):
            return frozenset()
        parts = schema["allOf"] if isinstance(schema.get("allOf"), list) else []
        names = {name for part in parts for name in self.unsendable(part, where)}
        for name, field in object_at(schema, "properties").items():
            if why := unsendable(field):
                self.tool.note("not an argument", f"{why}; dropped", f"{where}.{name}")
                names.add(name)
        return frozenset(names)

    def as_text(self, result: dict[str, Any], where: str) -> None:
        """Read numbers and truth values among the values of a string as text: YAML without quotation marks means that."""
        if result.get("type") != "string":
            return
        for key in DATA & result.keys():
            several = key in ("enum", "examples")
            values = result[key] if several else [result[key]]
            if isinstance(values, list) and any(isinstance(value, bool | int | float) for value in values):
                texts = [to_json(value) if isinstance(value, bool | int | float) else value for value in values]
                self.tool.note("read otherwise", f"{key} of a string read as text", where)
                result[key] = texts if several else texts[0]


def squeezed(text: Any) -> str | None:
    """Return a name without case and separators, None of what is no text."""
    return re.sub(r"[\W_]", "", text).casefold() if isinstance(text, str) else None


def examples_of(value: Any) -> list[Any]:
    """Return the values of `examples`, in JSON Schema's form or in OpenAPI's, where each has a name."""
    if isinstance(value, dict):
        return [item["value"] if isinstance(item, dict) and "value" in item else item for item in value.values()]
    return value if isinstance(value, list) else [value]


def unsendable(field: Any) -> str | None:
    """Say why the program, not the model, fills in a field of a request; None where the model does."""
    if not isinstance(field, dict):
        return None
    if field.get("readOnly") is True:
        return "read-only"
    for schema in (field, object_at(field, "items")):
        media = schema.get("contentMediaType")
        if schema.get("format") == "binary" or (isinstance(media, str) and not TEXT_MEDIA.match(media)):
            return "binary"
    return None


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with null beside its values."""
    kind = schema.get("type")
    if not kind or {"allOf", "anyOf", "oneOf", "const", "not", "if"} & schema.keys():
        return {"anyOf": [schema, {"type": "null"}]} if schema else {}
    kinds = kind if isinstance(kind, list) else [kind]
    enum = schema.get("enum")
    more = {"enum": [*enum, None]} if isinstance(enum, list) and None not in enum else {}
    return {**schema, "type": [*kinds, *(["null"] if "null" not in kinds else [])], **more}
