"""Records made to the shape of each format that is read."""

from random import Random
from typing import Any

from callwright.files import to_json

CITIES = ("Rome", "Lima", "Oslo", "Kyoto", "臺北", "Zürich", "São Paulo", "Praha")
FUNCTIONS = 500
"""different tools in a made data set"""
DIRECTIONS = "Here is a list of functions in JSON format that you can invoke:\n"
FORMAT = (
    "\nShould you decide to return the function call(s). Put it in the format of [func1(params_name=params_value)]\n"
)
GLAIVE = "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -"
HERMES = (
    "You are a function calling AI model. Here are the available tools: <tools> {} </tools> <tool_call>\n</tool_call>"
)


def tool(number: int, typed: str = "object") -> dict[str, Any]:
    """A made tool of one required argument and one that may be absent."""
    days = {"type": "integer", "description": "how many days ahead"}
    properties = {"city": {"type": "string", "description": "the city's name, as people write it"}, "days": days}
    parameters = {"type": typed, "properties": properties, "required": ["city"]}
    description = "The weather forecast of a city for the days to come, in degrees Celsius."
    return {"name": f"forecast_{number}", "description": description, "parameters": parameters}


def turns(**said: str) -> list[dict[str, str]]:
    """From/value turns."""
    return [{"from": sender.rstrip("_"), "value": value} for sender, value in said.items()]


def made(form: str, number: int, rng: Random) -> dict[str, Any]:
    """A record made to the shape of a format."""
    city, which = rng.choice(CITIES), rng.randrange(FUNCTIONS)
    arguments = {"city": city, "days": rng.randrange(9)}
    name, text, asked = f"forecast_{which}", to_json(arguments), f"How will the weather be in {city} ({number})?"
    answer, result = (
        f"It will be sunny in {city}. Take a hat and enough water with you.",
        '{"degrees": 21, "sky": "clear"}',
    )
    function, call = tool(which), to_json({"name": name, "arguments": arguments})
    user, assistant = {"role": "user", "content": asked}, {"role": "assistant", "content": answer}
    match form:
        case "openai":
            function_call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
            calling = {"role": "assistant", "content": None, "tool_calls": [function_call]}
            messages = [user, calling, {"role": "tool", "tool_call_id": "call_1", "content": result}, assistant]
            return {"messages": messages, "tools": to_json([{"type": "function", "function": function}])}
        case "anthropic":
            use = {"type": "tool_use", "id": "call_1", "name": name, "input": arguments}
            used = {"type": "tool_result", "tool_use_id": "call_1", "content": result}
            blocks = [user, {"role": "assistant", "content": [use]}, {"role": "user", "content": [used]}, assistant]
            return {"messages": blocks, "tools": [{"name": name, "input_schema": function["parameters"]}]}
        case "llamafactory_v1":
            parts = {"user": ("text", asked), "assistant": ("tool_call", call), "tool": ("text", result)}
            spoken = [*parts.items(), ("assistant", ("text", answer))]
            typed = [{"role": role, "content": [{"type": kind, "value": value}]} for role, (kind, value) in spoken]
            return {"messages": typed, "tools": to_json([{"type": "function", "function": function}])}
        case "xlam":
            flat = {
                "city": {"type": "str", "description": "the city"},
                "days": {"type": "int, optional", "description": "days"},
            }
            tools = to_json([{**function, "parameters": flat}])
            return {"id": number, "query": asked, "answers": f"[{call}]", "tools": tools}
        case "glaive":
            called = f'<functioncall> {{"name": "{name}", "arguments": \'{text}\'}} <|endoftext|>'
            said = (
                "",
                f"USER: {asked}",
                f"ASSISTANT: {called}",
                f"FUNCTION RESPONSE: {result}",
                f"ASSISTANT: {answer}",
            )
            return {
                "system": f"{GLAIVE}\n{to_json(function)}\n",
                "chat": "\n\n\n".join(said).strip() + " <|endoftext|>\n\n",
            }
        case "hermes":
            prompt = HERMES.format(to_json([{"type": "function", "function": function}]))
            called, told = f"<tool_call>\n{call}\n</tool_call>", f"<tool_response>\n{result}\n</tool_response>"
            return {"conversations": turns(system=prompt, human=asked, gpt=called, tool=told, gpt_=answer)}
        case "toolace":
            called = f'[{name}(city="{city}", days={arguments["days"]})]'
            system = f"You are an expert. {DIRECTIONS}{to_json([tool(which, 'dict')])}{FORMAT}"
            return {
                "system": system,
                "conversations": turns(user=asked, assistant=called, tool=result, assistant_=answer),
            }
        case "sharegpt":
            conversation = turns(human=asked, function_call=call, observation=result, gpt=answer)
            return {"conversations": conversation, "tools": to_json([function])}
        case "alpaca":
            return {"instruction": asked, "input": "", "output": answer * 3}
    return {"messages": [user, assistant]}
