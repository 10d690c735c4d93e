"""The same three tools as an MCP server over stdio: python -m eval.agent --mcp "python examples/agent/mcp_server.py" …"""

from lookups import anime_facts, song_facts, sort_waste
from mcp.server.mcpserver import MCPServer

if __name__ == "__main__":
    server = MCPServer("examples")  # FastMCP's name since mcp 2
    for function in (sort_waste, anime_facts, song_facts):
        server.add_tool(function)
    server.run("stdio")
