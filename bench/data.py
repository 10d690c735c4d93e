"""Measure the data engine, each size in a process of its own: cleaning of made lines, and generation against an endpoint
on this machine that answers after 200 ms: `python -m bench.data`."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from string import ascii_lowercase
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from bench.endpoint import endpoint
from callwright.config import Api, Augment, Clean, DataConfig, Price
from callwright.errors import Parser, command
from callwright.files import ROOT, read_jsonl
from callwright.records import Call, Example, Seed
from callwright.schema import load_tools
from tools.utterances import clean
from tools.utterances.augment import augment
from tools.utterances.llm.client import LLMClient, connect
from tools.utterances.llm.ledger import Ledger, Request
from tools.utterances.near_duplicates import near_pairs

SEEDS = ROOT / "data/seeds/image_intent/seeds.jsonl"
COPIES = 0.1
"""share of lines that are near copies of earlier ones"""
NEAR = 75
SIZES = (1_000, 10_000, 100_000)
RATE = 40
"""requests a second that the endpoint allows"""


def example_lines(count: int) -> list[Example]:
    """Make lines whose characters follow each other as in the seeds of their language, half of them calls.

    Unrelated lines have as many bigrams in common as real ones; in near copies every tenth character is another one.
    """
    rng = Random(1)
    follows = defaultdict[str, dict[str, list[str]]](
        lambda: defaultdict(list)
    )  # language → character → what follows it
    for _, seed in read_jsonl(SEEDS):
        for first, second in pairwise(f"\n{seed['text']}\n"):
            follows[seed["tags"]["lang"]][first].append(second)
    examples: list[Example] = []
    for number in range(count):
        lang, text = rng.choice(list(follows)), ""
        if examples and rng.random() < COPIES:
            original = rng.choice(examples)
            lang, text = original.tags["lang"], original.utterance
            for at in rng.sample(range(len(text)), -(-len(text) // 10)):
                text = text[:at] + rng.choice(rng.choice(list(follows[lang].values()))).strip() + text[at + 1 :]
        while len(text) < 8 or (text[-1] != "\n" and len(text) < 120):
            text = text.strip("\n") + rng.choice(follows[lang][text[-1:] or "\n"])
        calls = [Call(name="generate_image", arguments={"prompt": text})] if rng.random() < 0.5 else []
        more: dict[str, Any] = {"calls": calls, "reply": "no", "tags": {"lang": lang}, "source": "made"}
        examples.append(Example(id=f"{number}", text=text.strip(), lineage=f"{number}", **more))
    return examples


def dedupe(examples: list[Example]) -> str:
    """Count near pairs."""
    return f"{sum(1 for _ in near_pairs([example.utterance for example in examples], NEAR))} near pairs at {NEAR}"


def cleaning(examples: list[Example]) -> str:
    """Clean, and count what each step drops."""
    kept, dropped = clean.clean(examples, Clean(), [])
    return f"{len(kept)} stay; " + ", ".join(f"{step} {count}" for step, count, _ in clean.funnel(dropped) if count)


def answer_as_model(body: bytes, rng: Random) -> bytes:
    """Answer as a model does: with utterances where a response format is asked for, else with a label."""
    request = json.loads(body)
    message: dict[str, Any] = {"content": "Yes."}
    text = request["messages"][-1]["content"]
    if "response_format" in request:
        start = "explain" if "wrong" in request["messages"][0]["content"] else "draw"
        lines = [" ".join([start, *("".join(rng.choices(ascii_lowercase, k=6)) for _ in range(5))]) for _ in range(4)]
        message = {"content": json.dumps({"utterances": lines})}
    elif text.startswith("draw "):
        function = {"name": "generate_image", "arguments": json.dumps({"prompt": text[5:]})}
        message = {"tool_calls": [{"function": function}]}
    return json.dumps(
        {"choices": [{"message": message}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    ).encode()


@contextmanager
def model_at_hand(rate: float) -> Iterator[Path]:
    """Let the environment lead to an endpoint that answers `rate` requests a second after 200 ms; give a folder to work in."""
    model = partial(answer_as_model, rng=Random(1))
    with ExitStack() as stack:
        url = stack.enter_context(endpoint(model, 0.2, rate))
        stack.enter_context(patch.dict(os.environ, {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}))
        yield Path(stack.enter_context(TemporaryDirectory()))


def api(rate: float) -> Api:
    """Describe an API that costs nothing."""
    free = {"m": Price(input=0, output=0)}
    return Api(model="m", prices=free, budget_usd=0, concurrency=64, requests_per_minute=60 * rate)


def asking(count: int) -> str:
    """Measure requests that are answered a second: half of them paced at the endpoint's rate, half at twice as many."""

    async def ask(client: LLMClient) -> float:
        body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
        start = time.perf_counter()
        await asyncio.gather(*(client.ask(Request(body, number)) for number in range(count // 2)))
        return count // 2 / (time.perf_counter() - start)

    found = []
    for times in (1, 2):
        with model_at_hand(RATE) as folder, closing(Ledger(folder / "ledger.sqlite")) as ledger:
            own = api(RATE * times)
            rate = asyncio.run(ask(LLMClient(own, ledger, connect(own), lambda: None)))
        found.append(f"at {times} × the limit {rate:.1f} of {RATE} requests/s ({rate / RATE:.0%})")
    return "; ".join(found)


def generating(count: int) -> str:
    """Run tools.augment with the backend openai, 64 requests at a time, without a limit."""
    call = Call(name="generate_image", arguments={"prompt": "a boat"})
    seeds = [Seed(id="c", text="draw a boat", calls=[call]), Seed(id="n", text="explain a boat", calls=[], reply="No.")]
    half = Augment(backend="openai", call=count // 2, no_call=count // 2, api=api(1e5))
    with model_at_hand(1e9) as folder, patch.object(DataConfig, "work", folder / "data/work/bench"):
        tools = load_tools(SEEDS.with_name("tools.json"))
        count = sum(1 for _ in augment(DataConfig(task="bench", augment=half), seeds, tools))
    return f"{count} examples"


PARTS: dict[str, tuple[Sequence[int], Callable[[int], Any], Callable[[Any], str]]] = {
    "dedupe": (SIZES, example_lines, dedupe),
    "clean": (SIZES, example_lines, cleaning),
    "augment": (SIZES[:2], int, generating),
    "ask": ((4_800,), int, asking),
}
"""sizes, what makes the input of a size, and what is measured: input in, a word on the result out"""


def peak() -> float:
    """Return the most memory that this process has held, MiB."""
    if (status := Path("/proc/self/status")).exists():  # Linux's ru_maxrss starts at the parent's peak
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print seconds, lines/s and peak memory of each part at each size."""
    parser = Parser("python -m bench.data", __doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--lines", type=int, help="one size, in this process")
    args = parser.parse_args(argv)
    for part in args.parts or PARTS:
        sizes, given, measure = PARTS[part]
        if args.lines is None:
            for size in sizes:
                own = [sys.executable, "-m", "bench.data", part, "--lines", str(size)]
                subprocess.run(own, cwd=ROOT, check=True)
            continue
        value = given(args.lines)
        held, start = peak(), time.perf_counter()
        result = measure(value)
        seconds = time.perf_counter() - start
        print(
            f"{part:8}{args.lines:8} lines {seconds:7.1f} s {args.lines / seconds:8.0f} lines/s "
            f"{peak():5.0f} MiB ({held:.0f} before); {result}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
