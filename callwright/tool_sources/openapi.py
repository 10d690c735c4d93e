"""Make tools of the operations of an OpenAPI 3 document: path, query and body are arguments, the rest is the program's."""

import re
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import object_at
from callwright.tool_sources.documents import Library
from callwright.tool_sources.found import Found
from callwright.tool_sources.modern import Modern, examples_of, expect, unsendable
from callwright.tool_sources.schemas import Inliner, flat

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
BODIES = (
    re.compile(r"application/([\w.-]+\+)?json\b|\*/\*|application/\*", re.I),
    re.compile(r"application/x-www-form-urlencoded\b|multipart/form-data\b", re.I),
    re.compile(r"text/", re.I),
)
"""Media types whose content can be arguments, the best first."""
PARTABLE = {"type", "properties", "required", "additionalProperties"}
"""Keywords of a body whose fields can stand beside the parameters."""
ASIDE = {"title", "description", "examples", "default", "deprecated"}
"""Keywords of a body that get lost when its fields stand beside the parameters."""
OPERATION = {"operationId", "summary", "description", "parameters", "requestBody"}
ELSEWHERE = {"tags", "externalDocs", "responses", "servers"}
"""Keys of an operation that no tool has a place for: what comes back, and where it is."""
PARAMETER = {
    *("name", "in", "required", "schema", "content", "description", "example", "examples", "deprecated"),
    *("style", "explode", "allowReserved", "allowEmptyValue"),
}
"""Keys of a parameter that a tool has a place for, or that say how it is written into the address."""


def check(document: Any, place: str | Path) -> dict[str, Any]:
    """Return the document where it is OpenAPI 3 with operations; UserError where it is not."""
    version = str(document.get("openapi", document.get("swagger", ""))) if isinstance(document, dict) else ""
    if version.startswith(("1", "2")):
        remedy = "convert it to OpenAPI 3: npx swagger2openapi FILE --outfile openapi.json"
        raise UserError(place, f"not an OpenAPI 3 document (version {version})", remedy)
    if version != "3" and not version.startswith("3."):
        fault = f"not an OpenAPI 3 document (version {version})"
        if not version:
            kind = type(document).__name__
            fault = f"a {kind}, not a list of tools, and not an OpenAPI 3 document (no `openapi: 3…` at the top)"
        raise UserError(place, fault, "write a JSON list of OpenAI tools, or give OpenAPI 3.0, 3.1 or 3.2")
    if not isinstance(document.get("paths"), dict):
        raise UserError(place, "has no paths", "give the document of an API with operations")
    return dict(document)


def read(document: Any, place: str | Path, path: Path | None = None) -> list[Found]:
    """Read the document itself, then a tool for each operation, in its order; UserError where it is not OpenAPI 3.

    Args:
        path: where the document lies, so that it can refer to files beside it; None where it is no file.
    """
    library = Library(check(document, place), path)
    source = Found("document")
    source.unknown(key for key in ("security", "webhooks") if library.first.get(key))
    keys = keys_in_query(library.first)
    tools = [source]
    for route, raw in library.first["paths"].items():
        if route.startswith("x-"):
            continue
        try:
            item, base = Inliner(library, source.any_value).resolve(raw)
            beside = expect(raw, dict, "the path")
            item = {**expect(item, dict, "the path"), **{key: beside[key] for key in beside if key != "$ref"}}
        except ValueError as error:
            tools.append(Found(route))
            tools[-1].leave_out(error)
            continue
        for method in (key for key in item if key in METHODS):
            # What stands beside a path's $ref is of this document.
            own = "" if method in beside else base
            tools.append(tool := Found(f"{method}{route}", path=route))
            try:
                _Operation(library, tool, keys).fill(method, item, own)
            except (ValueError, RecursionError) as error:
                tool.leave_out(error)
    return tools


def keys_in_query(document: dict[str, Any]) -> set[str]:
    """Return the names of query parameters that hold an API key."""
    schemes = object_at(object_at(document, "components"), "securitySchemes").values()
    return {str(one.get("name")) for one in schemes if isinstance(one, dict) and one.get("in") == "query"}


class _Operation:
    """An operation on its way to a tool. Its methods raise ValueError where it is broken or too large."""

    def __init__(self, library: Library, tool: Found, keys: set[str]) -> None:
        self.tool, self.keys = tool, keys
        self.inliner = Inliner(library, tool.any_value)
        self.modern = Modern(tool, sent=True)
        self.properties: dict[str, Any] = {}
        self.required: list[str] = []

    def fill(self, method: str, item: dict[str, Any], base: str) -> None:
        """Fill in the tool from its method's operation and what the path says for all of them."""
        operation, route = expect(item[method], dict, "the operation"), self.tool.path
        self.name(operation)
        self.tool.description = _description(operation) or _description(item) or f"{method.upper()} {route}"
        self.tool.unknown(key for key in operation if key not in OPERATION | ELSEWHERE and operation[key])
        parameters: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        for raw in [*_list(item, "parameters"), *_list(operation, "parameters")]:
            found, place = self.inliner.resolve(raw, base)
            parameter = expect(found, dict, "a parameter")
            key = str(parameter.get("name")), str(parameter.get("in"))
            parameters[key] = parameter, place  # the operation's own comes last, and counts
        for parameter, place in parameters.values():
            self.add_parameter(parameter, place)
        named = {name for name, where in parameters if where == "path"}
        for name in dict.fromkeys(re.findall(r"\{([^{}]+)\}", route)):
            if name not in named:
                self.tool.note("read otherwise", f"path parameter {name!r} is not described; any text")
                self.add(name, {"type": "string"}, True, "path")
        self.add_body(*self.inliner.resolve(operation.get("requestBody", {}), base))
        self.tool.parameters = {"type": "object", "properties": self.properties, "required": self.required}

    def name(self, operation: dict[str, Any]) -> None:
        """Name the tool by its operationId, if that can be written in ASCII, or by method and path."""
        own, tags = operation.get("operationId"), operation.get("tags")
        self.tool.tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        if not isinstance(own, str) or not own.strip():
            return
        letters = [char for char in own if char.isalnum()]
        if letters and all(char < "\u0250" for char in letters):  # Latin letters lose their accents, and no more
            self.tool.name = own.strip()
        else:
            self.tool.note("renamed", f"operationId {own!r} is not ASCII: named by method and path")

    def add(self, name: str, schema: Any, needed: bool, place: str) -> None:
        """Add an argument; its name says where it goes if another has it already."""
        if name in self.properties:
            own = name
            while name in self.properties:
                name = f"{place}_{name}"
            self.tool.note("renamed", f"{place} parameter {own!r} named {name}")
        self.properties[name] = schema
        self.required += [name] if needed else []

    def add_parameter(self, parameter: dict[str, Any], base: str) -> None:
        """Add a path or query parameter; headers, cookies and keys are the program's business."""
        name, place = str(parameter.get("name")), str(parameter.get("in"))
        if place not in ("path", "query") or (place == "query" and name in self.keys):
            self.tool.note("not an argument", f"{place} parameter {name!r} dropped")
            return
        self.tool.unknown((key for key in parameter if key not in PARAMETER), name)
        raw = parameter.get("schema")
        if raw is None:
            contents = expect(parameter.get("content", {}), dict, "content").values()
            raw = expect(next(iter(contents), {}), dict, "content").get("schema")
        schema = self.schema(raw, name, base)
        if isinstance(schema, dict):
            if isinstance(parameter.get("description"), str):
                schema["description"] = parameter["description"]
            if parameter.get("deprecated") is True:
                schema["deprecated"] = True
            for key in ("example", "examples"):
                if key in parameter:
                    schema["examples"] = examples_of([parameter[key]] if key == "example" else parameter[key])
            self.modern.as_text(schema, name)
        self.add(name, schema, place == "path" or parameter.get("required") is True, place)

    def add_body(self, body: Any, base: str) -> None:
        """Add the fields of the body as arguments, or the body as one argument where they cannot stand by themselves."""
        contents = expect(expect(body, dict, "requestBody").get("content", {}), dict, "content")
        media = next((name for kind in BODIES for name in contents if kind.match(name)), None)
        for other in contents:
            if other != media:
                self.tool.note("not an argument", f"body as {other} dropped")
        if media is None:
            return
        content = expect(self.inliner.resolve(contents[media], base)[0], dict, media)
        raw = content.get("schema", {"type": "string"} if BODIES[2].match(media) else None)
        if why := unsendable(raw if raw is None else self.inliner.inline(raw, base)):
            self.tool.note("not an argument", f"{why}; dropped", "body")
            return
        schema = self.schema(raw, "body", base)
        schema = flat(schema) if isinstance(schema, dict) else {"not": {}}
        fields, must = schema.get("properties"), body.get("required") is True
        # Fields of a body that may be left out need each other: all or none.
        bound = bool(schema.get("required")) and not must
        can_part = set(schema) <= PARTABLE | ASIDE and not schema.get("additionalProperties") and not bound
        if fields is None or not can_part or set(fields) & set(self.properties):
            if isinstance(body.get("description"), str):
                schema.setdefault("description", body["description"])
            self.add("body", schema, must, "request")
            return
        self.properties |= fields
        self.required += schema.get("required", [])
        self.tool.unknown(f"{key} of the body" for key in schema if key in ASIDE)

    def schema(self, raw: Any, where: str, base: str) -> Any:
        """Convert a schema of OpenAPI 3.0 or 3.1 to JSON Schema 2020-12 without `$ref`."""
        if raw is None:
            self.tool.note("any value is accepted", "untyped; any value is accepted", where)
            return {}
        return self.modern.schema(self.inliner.inline(raw, base), where)


def _description(holder: dict[str, Any]) -> str:
    """Join summary and description, a line each."""
    texts = [text.strip() for key in ("summary", "description") if isinstance(text := holder.get(key), str)]
    return "\n".join(dict.fromkeys(filter(None, texts)))


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    return list(expect(holder.get(key) or [], list, key))
