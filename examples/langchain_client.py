"""The served model in LangChain (uv pip install -r examples/requirements.txt):

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=none python examples/langchain_client.py smollm2-135m_lora "draw a cat"
"""

import json
import sys

from langchain_openai import ChatOpenAI

with open("data/seeds/image_intent/tools.json", encoding="utf-8") as file:
    tools = json.load(file)  # bound as they were trained: LangChain's @tool would describe them in other words
# LangChain sends max_tokens under OpenAI's newer name, which LLaMA-Factory ignores; and it must never stream tools.
model = ChatOpenAI(model=sys.argv[1], temperature=0, extra_body={"max_tokens": 160}, disable_streaming=True)
message = model.bind_tools(tools).invoke(sys.argv[2])
for call in message.tool_calls:
    print(call["name"], json.dumps(call["args"], ensure_ascii=False))
for call in message.invalid_tool_calls:
    print("cannot be read:", call["name"], call["error"])
if not (message.tool_calls or message.invalid_tool_calls):
    print(message.text)
