"""Tools from the operations of an OpenAPI 3 document. Nothing that it refers to is ever fetched."""

import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from callwright.config import LOADER
from callwright.errors import UserError
from callwright.files import read_json, read_text
from callwright.tool_sources.schemas import Found, Inliner, flat

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
BODIES = re.compile(r"application/([\w.-]+\+)?json|application/x-www-form-urlencoded|multipart/form-data")
"""media types whose fields can be arguments"""
KEYWORDS = {*Draft202012Validator.VALIDATORS, "title", "description", "default", "examples", "deprecated", "writeOnly"}
NAMED, LISTED = {"properties", "patternProperties", "dependentSchemas"}, {"allOf", "anyOf", "oneOf", "prefixItems"}
SINGLE = {"items", "not", "additionalProperties", "contains", "propertyNames", "if", "then", "else"}
FIELDS = {"type", "properties", "required", "title", "description", "additionalProperties"}
"""keywords of a body whose fields can stand beside the parameters"""


class _Loader(LOADER):  # type: ignore[misc, valid-type]
    """YAML as OpenAPI means it: a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if not pair[0].endswith(":timestamp")]
    for first, pairs in LOADER.yaml_implicit_resolvers.items()
}


def load(path: str) -> dict[str, Any]:
    """The document.

    Raises:
        UserError: missing, broken, or not OpenAPI 3.
    """
    try:
        document = read_json(path) if Path(path).suffix == ".json" else yaml.load(read_text(path), Loader=_Loader)  # noqa: S506
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(path, f"not YAML ({getattr(error, 'problem', None) or error})", "fix it") from None
    version = document.get("openapi", document.get("swagger")) if isinstance(document, dict) else None
    if not str(version).startswith("3."):
        fault = f"version {version}" if version else "no `openapi: 3…` at the top"
        raise UserError(path, f"not an OpenAPI 3 document ({fault})", "convert it to OpenAPI 3")
    if not isinstance(document.get("paths"), dict):
        raise UserError(path, "has no paths", "give the document of an API with operations")
    return document


def read(path: str) -> list[Found]:
    """The document itself, then a tool an operation, in its order."""
    document = load(path)
    tools = [Found("document", lost=[f"{key} dropped" for key in ("security", "webhooks") if document.get(key)])]
    for route, item in document["paths"].items():
        try:
            own = _expect(item, dict, "the path")
            own = _expect(Inliner(document, print).target(own["$ref"]), dict, "$ref") if "$ref" in own else own
        except ValueError as error:
            tools.append(Found(str(route), lost=[f"left out: {error}"]))
            continue
        for method in (key for key in own if key in METHODS):
            tools.append(tool := Found(f"{method}{route}"))
            try:
                _Operation(document, tool).fill(_expect(own[method], dict, "the operation"), own.get("parameters"))
            except (ValueError, RecursionError) as error:
                tool.lost.append(f"left out: {error}")
    return tools


def _expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is a {type(value).__name__}, not a {kind.__name__}")
    return value


class _Operation:
    """An operation on its way to a tool. Its methods raise ValueError where it is broken or too large."""

    def __init__(self, document: dict[str, Any], tool: Found) -> None:
        self.inliner, self.tool, self.lose = Inliner(document, tool.lost.append), tool, tool.lost.append
        self.properties: dict[str, Any] = {}
        self.required: list[str] = []

    def fill(self, operation: dict[str, Any], shared: Any) -> None:
        """Fill in the tool from its operation and the parameters that its path's operations share."""
        self.tool.name = str(operation.get("operationId") or self.tool.name)
        said = [str(operation[key]).strip() for key in ("summary", "description") if operation.get(key)]
        self.tool.description = "\n".join(dict.fromkeys(said))
        for key in ("callbacks", "security"):
            if operation.get(key):
                self.lose(f"{key} dropped")
        parameters = {}
        for raw in [
            *_expect(shared or [], list, "parameters"),
            *_expect(operation.get("parameters", []), list, "parameters"),
        ]:
            parameter = _expect(self.inliner.inline(raw), dict, "a parameter")
            parameters[str(parameter.get("name")), parameter.get("in")] = parameter  # the operation's own come last
        for parameter in parameters.values():
            self.add_parameter(parameter)
        self.add_body(_expect(self.inliner.inline(operation.get("requestBody", {})), dict, "requestBody"))
        self.tool.parameters = {"type": "object", "properties": self.properties, "required": self.required}

    def add_parameter(self, parameter: dict[str, Any]) -> None:
        """Add a path or query parameter; headers and cookies are the program's business."""
        name, place = str(parameter.get("name")), parameter.get("in")
        if place not in ("path", "query") or name in self.properties:
            self.lose(f"{place} parameter {name!r} dropped")
            return
        content = [*_expect(parameter.get("content", {}), dict, "content").values(), {}]
        schema = self.schema(parameter.get("schema", _expect(content[0], dict, "content").get("schema")), name)
        if isinstance(schema, dict):
            schema |= {"description": parameter["description"]} if "description" in parameter else {}
            schema |= {"examples": [parameter["example"]]} if "example" in parameter else {}
        self.properties[name] = schema
        self.required += [name] if parameter.get("required") is True else []

    def add_body(self, body: dict[str, Any]) -> None:
        """Add the fields of the body as arguments, or the body as one argument where they cannot stand by themselves."""
        contents = _expect(body.get("content", {}), dict, "content")
        media = next(filter(BODIES.match, contents), None)
        for other in contents:
            if other != media:
                self.lose(f"body as {other} dropped")
        if media is None:
            return
        schema = self.schema(_expect(contents[media], dict, media).get("schema"), "body")
        schema = flat(schema) if isinstance(schema, dict) else {"not": {}}
        fields, needed, must = schema.get("properties"), schema.get("required", []), body.get("required") is True
        # Fields of a body that may be left out need each other: all or none.
        apart = set(schema) <= FIELDS and not schema.get("additionalProperties") and (must or not needed)
        if fields is None or not apart or set(fields) & set(self.properties):
            if "body" in self.properties:
                raise ValueError("a parameter is called body, as the body would be")
            fields, needed = {"body": schema}, ["body"] * must
        self.properties |= fields
        self.required += needed

    def schema(self, raw: Any, where: str) -> Any:
        """A schema of OpenAPI 3.0 or 3.1 as JSON Schema 2020-12, without `$ref`."""
        if raw is None:
            self.lose(f"{where}: untyped; any value is accepted")
        return self.modern({} if raw is None else self.inliner.inline(raw), where)

    def modern(self, schema: Any, where: str) -> Any:
        """A schema without `nullable`, `example`, Boolean bounds, read-only and binary fields, and unknown keywords."""
        if isinstance(schema, bool):
            return schema
        result: dict[str, Any] = {}
        for key, value in _expect(schema, dict, where).items():
            if key in NAMED:
                fields = _expect(value, dict, f"{where}.{key}").items()
                kept = {name: field for name, field in fields if self.sendable(field, f"{where}.{name}")}
                result[key] = {name: self.modern(field, f"{where}.{name}") for name, field in kept.items()}
            elif key in LISTED:
                result[key] = [self.modern(item, where) for item in _expect(value, list, f"{where}.{key}")]
            elif key in SINGLE:
                result[key] = self.modern(value, where)
            elif key == "example":
                result.setdefault("examples", [value])
            elif key in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool):
                bound = key.removeprefix("exclusive").lower()
                if value and bound in schema:
                    result[key] = schema[bound]
            elif key in KEYWORDS:
                result.setdefault(key, value)
            elif key not in ("nullable", "readOnly"):
                self.lose(f"{where}: {key} dropped")
        if "required" in result and "properties" in result:
            gone = schema["properties"].keys() - result["properties"].keys()
            result["required"] = [name for name in result["required"] if name not in gone]
        if schema.get("nullable") is not True:
            return result
        enum = {"enum": [*result["enum"], None]} if None not in result.get("enum", [None]) else {}
        kind = result.get("type")
        return {**result, "type": [kind, "null"], **enum} if kind else {"anyOf": [result, {"type": "null"}]}

    def sendable(self, field: Any, where: str) -> bool:
        """Whether a field can be an argument; says so where it is read-only or a file."""
        items = field.get("items", field) if isinstance(field, dict) else {}
        why = "read-only" if isinstance(field, dict) and field.get("readOnly") is True else None
        if isinstance(items, dict) and (items.get("format") == "binary" or "contentMediaType" in items):
            why = "binary"
        if why:
            self.lose(f"{where}: {why}; dropped")
        return why is None
