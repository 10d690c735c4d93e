"""A tiny MCP server over stdio, without any SDK: tools as servers in the wild write them."""

import json
import sys

NAME = {"type": "string"}
TOOLS = [
    {
        "name": "plain.dotted/name",
        "description": "a dotted name",
        "inputSchema": {"type": "object", "properties": {"a": NAME}},
    },
    {"name": "empty", "description": "no properties", "inputSchema": {"type": "object"}},
    {
        "name": "root_allof",
        "description": "allOf with $ref",
        "inputSchema": {
            "type": "object",
            "allOf": [{"$ref": "#/$defs/Base"}, {"type": "object", "properties": {"title": NAME}}],
            "$defs": {"Base": {"type": "object", "properties": {"identifier": NAME}, "required": ["identifier"]}},
        },
    },
    {
        "name": "tuple07",
        "description": "draft-07 tuple",
        "inputSchema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "pivot": {"type": "array", "items": [{"type": "number"}, {"type": "number"}], "additionalItems": False}
            },
        },
    },
    {
        "name": "zod_refs",
        "description": "zod's $ref to a sibling",
        "inputSchema": {
            "type": "object",
            "properties": {
                "first": {"type": "object", "properties": {"x": {"type": "number"}}},
                "second": {"$ref": "#/properties/first"},
            },
        },
    },
    {
        "name": "definitions07",
        "description": "definitions",
        "inputSchema": {
            "type": "object",
            "properties": {"p": {"$ref": "#/definitions/P"}},
            "definitions": {"P": {"type": "object", "properties": {"q": NAME}}},
        },
    },
    {
        "name": "nested_def",
        "description": "optional nested model",
        "inputSchema": {
            "type": "object",
            "properties": {
                "request": {"$ref": "#/$defs/R"},
                "page": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "Page"},
            },
            "required": ["request"],
            "$defs": {
                "R": {"type": "object", "title": "R", "properties": {"id": {"type": "integer"}}, "required": ["id"]}
            },
        },
    },
    {
        "name": "union_root",
        "description": "oneOf at the root",
        "inputSchema": {
            "type": "object",
            "oneOf": [{"properties": {"a": NAME}, "required": ["a"]}, {"properties": {"b": NAME}, "required": ["b"]}],
        },
    },
    {
        "name": "exclusive04",
        "description": "draft-04 bound",
        "inputSchema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}},
        },
    },
    {
        "name": "recursive",
        "description": "a tree",
        "inputSchema": {
            "type": "object",
            "properties": {"tree": {"$ref": "#/$defs/Node"}},
            "$defs": {
                "Node": {
                    "type": "object",
                    "properties": {"label": NAME, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
                }
            },
        },
    },
    {
        "name": "lookahead",
        "description": "zod email",
        "inputSchema": {
            "type": "object",
            "properties": {
                "to": {
                    "type": "string",
                    "format": "email",
                    "pattern": "^(?!\\.)(?!.*\\.\\.)[a-z.]+@[a-z]+\\.[a-z]{2,}$",
                }
            },
        },
    },
    {
        "name": "map_root",
        "description": "any labels",
        "inputSchema": {"type": "object", "additionalProperties": {"type": "string"}},
    },
]
if "--untyped" in sys.argv:
    TOOLS.append(
        {
            "name": "untyped_root",
            "description": "allOf without type",
            "inputSchema": {"allOf": [{"type": "object", "properties": {"a": NAME}}]},
        }
    )
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    method = message["method"]
    if method == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "t", "version": "1"},
        }
    elif method == "tools/list":
        result = {"tools": TOOLS}
    else:
        print(
            json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no such method"}}),
            flush=True,
        )
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
