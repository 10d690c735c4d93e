"""Measure each converter against `datasets.map` doing the same, in one run: `python -m tools.bench_convert`."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from callwright.errors import Parser, command
from callwright.files import ROOT, parse_json, to_json, write_jsonl
from tools.formats.readers import READERS

ROWS = 100_000
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

MEASURE = """
import json, re, resource, sys, time
from pathlib import Path
form, source, out, how = sys.argv[1:]
from tools.convert_file import convert_file, parse
from tools.formats import sharegpt
from tools.formats.readers import READERS
if how == "map":
    import datasets
    datasets.disable_progress_bars()
    start = time.perf_counter()
    rows = datasets.load_dataset("json", data_files=source, split="train", cache_dir=out + ".cache")
    make = READERS[form]
    rows = rows.map(lambda record: sharegpt.write(make(record)), remove_columns=rows.column_names)
    rows.to_json(out, force_ascii=False)
else:
    start = time.perf_counter()
    convert_file(parse(["--from", form, source, "--out", out]))
seconds = time.perf_counter() - start
status = Path("/proc/self/status")  # Linux's ru_maxrss starts at the parent's peak; elsewhere it is right
kib = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) if status.exists() else (
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print("MEASURED", json.dumps([seconds, kib / 1024]))
"""


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


def measure(form: str, source: Path, how: str) -> tuple[float, float]:
    """Seconds and peak MiB of one conversion, in a process of its own; imports are not counted in the time."""
    command = [sys.executable, "-c", MEASURE, form, str(source), f"{source}.{how}.out", how]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("MEASURED "))
    seconds, peak = parse_json(line.removeprefix("MEASURED "))
    return seconds, peak


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print rows per second and peak memory of each converter, and the ratios."""
    parser = Parser("python -m tools.bench_convert", __doc__)
    parser.add_argument("formats", nargs="*", help=f"of {', '.join(READERS)} (default: all)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"records of each format (default: {ROWS})")
    args = parser.parse_args(argv)
    print(f"{'format':10}{'rows/s':>9}{'MiB':>6}   {'map rows/s':>10}{'MiB':>6}   {'speed':>6}{'memory':>8}")
    for form in args.formats or READERS:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "rows.jsonl"
            rng = Random(form)
            write_jsonl(source, (made(form, number, rng) for number in range(args.rows)))
            ours, theirs = measure(form, source, "ours"), measure(form, source, "map")
        speed, memory = theirs[0] / ours[0], theirs[1] / ours[1]
        print(
            f"{form:10}{args.rows / ours[0]:9.0f}{ours[1]:6.0f}   {args.rows / theirs[0]:10.0f}{theirs[1]:6.0f}   "
            f"{speed:5.1f}x{memory:7.1f}x"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
