"""The router in ten lines of the openai client; docs/evaluate.md has ten more, which judge a server's answers.

OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=none python examples/openai_client.py smollm2-135m_lora "draw a cat"
"""

import json
import sys
from typing import Any

from openai import OpenAI

HANDLERS = {"generate_image": lambda prompt: f"would draw: {prompt}"}

with open("data/seeds/image_intent/tools.json", encoding="utf-8") as file:
    tools = json.load(file)  # as they were trained: another schema makes another prompt
asked: list[Any] = [{"role": "user", "content": sys.argv[2]}]
answer = OpenAI().chat.completions.create(model=sys.argv[1], messages=asked, tools=tools, temperature=0, max_tokens=160)
message = answer.choices[0].message
calls: list[Any] = message.tool_calls or []
for call in calls:  # a model may write anything here: the router checks it against the schema
    print(HANDLERS[call.function.name](**json.loads(call.function.arguments)))
if not calls:
    print(message.content)
