"""An MCP server over stdio, by hand: `python mcp_server.py [dies | hangs | babbles | loops]`; two pages of tools."""

import json
import sys

MOOD = sys.argv[1] if len(sys.argv) > 1 else ""
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "integer"}}}
POINT = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["x", "y"]}
PAGES = [
    [
        {
            "name": "files/read.text",
            "description": "Read a text file.",
            "inputSchema": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "from": {"$ref": "#/$defs/Point"}},
                "required": ["path"],
                "$defs": {"Point": POINT},
            },
        }
    ],
    [
        {"name": "ping", "inputSchema": {"type": "object"}},
        {"name": "walk", "inputSchema": {**NODE, "$defs": {"Node": NODE}}},
        {"name": "broken", "inputSchema": {"type": "object", "properties": {"x": {"type": "no such type"}}}},
    ],
]

for line in sys.stdin:
    request = json.loads(line)
    method, params = request["method"], request.get("params") or {}
    if method == "initialize":
        about = {"name": "cases", "version": "1"}
        result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
    elif method == "tools/list":
        if MOOD == "dies":
            print("Traceback: no such database", file=sys.stderr)
            sys.exit(3)
        if MOOD == "hangs":
            continue
        if MOOD == "babbles":
            print("Loading…", flush=True)
        page = int(params.get("cursor") or 0)
        result = {"tools": PAGES[page % 2]}
        if page == 0 or MOOD == "loops":
            result["nextCursor"] = str((page + 1) % 2)
    elif "id" in request:
        error = {"code": -32601, "message": f"no method {method}"}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)
        continue
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)
