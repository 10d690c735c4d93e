"""An MCP host: offers the tools of an MCP server to the served model, runs the calls that it makes, prints the results.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=none python -m examples.mcp_host NAME \
    "電池要丟哪裡？" "python examples/agent/mcp_server.py"
"""

import asyncio
import sys
from typing import Any

from mcp.types import TextContent
from openai import AsyncOpenAI

from callwright.files import parse_json, to_json
from callwright.records import Call
from callwright.schema import call_fault, canonical_tool
from callwright.tool_sources.mcp_server import client_of, found


async def main(model: str, text: str, command: str) -> None:
    """Ask one question and run the calls that come back."""
    async with client_of(command, sys.stderr) as server, AsyncOpenAI() as client:  # the server sees none of our keys
        page = await server.list_tools()
        listed = [found(tool.model_dump(by_alias=True, exclude_none=True)) for tool in page.tools]
        functions = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in listed]
        tools: list[Any] = [canonical_tool(function) for function in functions]
        asked: list[Any] = [{"role": "user", "content": text}]
        answer = await client.chat.completions.create(
            model=model, messages=asked, tools=tools, temperature=0, max_tokens=160
        )
        message = answer.choices[0].message
        calls: list[Any] = message.tool_calls or []
        if not calls:
            print(message.content)
        for made in calls:
            try:
                call = Call(name=made.function.name, arguments=parse_json(made.function.arguments))
                fault = call_fault(call, tools)
            except ValueError as error:  # not JSON, or no object
                fault = str(error)
            if fault:
                print(f"refused: {fault}")
                continue
            result = await server.call_tool(call.name, call.arguments, read_timeout_seconds=30)
            text = " ".join(block.text for block in result.content if isinstance(block, TextContent))
            print(call.name, to_json(call.arguments), "->", text)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
