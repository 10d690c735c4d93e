"""Where tools come from: an MCP server, an OpenAPI document, a Python module. `tools.import_tools` runs them.

Each `read` returns the source itself first, for what is lost that belongs to no tool, and then its tools.
What a tool returns is no part of an OpenAI tool, so no source speaks of it.
"""
