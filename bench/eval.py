"""Measure the evaluator on this machine: asking an endpoint that answers after 50 ms, and scoring: `python -m bench.eval`."""

import asyncio
import json
import multiprocessing
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from callwright.errors import Parser, command
from callwright.files import write_jsonl
from callwright.records import Case, Prediction
from eval.endpoint.client import ask_all
from eval.endpoint.settings import Endpoint, Limits, Sampling, positive
from eval.score import main as score
from eval.scoring.cases import read_cases

DELAY_S = 0.05
CONCURRENCY = 64
WORDS = ["Taipei", "Oslo", "Lima", "Cairo", "Pune", "Kyoto", "Accra", "Quito"]
PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer", "minimum": 1},
    "unit": {"type": "string", "enum": ["c", "f"]},
    "layers": {"type": "array", "items": {"type": "string"}},
}


def made(count: int) -> list[tuple[Case, Prediction]]:
    """Cases of five tools out of 200 with none to three calls due, three to a lineage, and answers with mistakes in them."""
    rng, pairs = Random(1), []
    parameters = {"type": "object", "properties": PROPERTIES, "required": ["city"]}
    tools: list[dict[str, Any]] = [
        {
            "type": "function",
            "function": {"name": f"forecast_{n}", "description": "A forecast.", "parameters": parameters},
        }
        for n in range(200)
    ]
    for number in range(count):
        offered, due, given = rng.sample(tools, 5), [], []
        for tool in rng.sample(offered, rng.choice([0, 1, 1, 2, 3])):
            name, city, days = tool["function"]["name"], rng.choice(WORDS), rng.randint(1, 5)
            due.append({"name": name, "arguments": {"city": {"contains": [city]}, "days": days}})
            arguments: dict[str, Any] = {
                "city": f"{rng.choice([city, 'there'])} city",
                "days": rng.choice([days, "two"]),
            }
            given += [{"function": {"name": name, "arguments": json.dumps(arguments)}}] * (rng.random() < 0.9)
        rng.shuffle(given)
        tags = {"lang": rng.choice(["en", "zh"]), "kind": rng.choice("abcdefgh")}
        messages = [{"role": "user", "content": f"How will it be in {rng.choice(WORDS)} and around, number {number}?"}]
        about = {"messages": messages, "tools": offered, "expected": due, "tags": tags, "group": f"{number // 3}"}
        words = None if given else " ".join(rng.choices([*WORDS, "it", "rains", "in", "and"], k=40))
        answer = Prediction(id=f"{number}", content=words, tool_calls=given, finish_reason="stop", latency_s=DELAY_S)
        pairs.append((Case.model_validate({"id": f"{number}", **about}), answer))
    return pairs


def serve(pipe: Connection) -> None:
    """Answer every request with one call after DELAY_S, on a free port, which goes into the pipe."""
    function = {"name": "forecast_1", "arguments": '{"city": "Oslo"}'}
    message = {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}
    body = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while asked := await reader.readuntil(b"\r\n\r\n"):
                await reader.readexactly(int(re.findall(rb"(?i)content-length: (\d+)", asked)[0]))
                await asyncio.sleep(DELAY_S)
                writer.write(head + body)

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=CONCURRENCY)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """`serve` in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield Endpoint(f"http://127.0.0.1:{ours.recv()}/v1", "m")
    finally:
        process.kill()


def asking(cases: Sequence[Case], folder: Path) -> str:
    """Seconds against the ideal, in which the endpoint is never waited for by fewer than CONCURRENCY requests."""
    limits = Limits(CONCURRENCY, retries=0)
    with endpoint() as where:
        asyncio.run(ask_all([where], cases[:1], folder / "first.jsonl", Sampling(), limits))  # imports what is needed
        started, worked = time.perf_counter(), time.process_time()
        asyncio.run(ask_all([where], cases, folder / "predictions.jsonl", Sampling(), limits))
        seconds, work = time.perf_counter() - started, time.process_time() - worked
    ideal = len(cases) / CONCURRENCY * DELAY_S
    return (
        f"asking {len(cases):,} cases, {CONCURRENCY} at a time, {1_000 * DELAY_S:.0f} ms an answer: {seconds:.2f} s of "
        f"{ideal:.2f} s at best, ratio {seconds / ideal:.2f} (goal 1.3); own work {1_000 * work / len(cases):.2f} ms a "
        "case (goal 1)"
    )


def scoring(pairs: Sequence[tuple[Case, Prediction]], folder: Path) -> str:
    """Seconds of eval.score, reading and writing included."""
    paths = folder / "cases.jsonl", folder / "predictions.jsonl"
    for path, records in zip(paths, zip(*pairs, strict=True), strict=True):
        write_jsonl(path, (record.model_dump() for record in records))
    started, worked = time.perf_counter(), time.process_time()
    with redirect_stdout(StringIO()):
        score(["--cases", str(paths[0]), "--predictions", str(paths[1]), "--out", str(folder)])
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    return f"scoring {len(pairs):,} cases of 5 tools and up to 3 calls: {seconds:.1f} s, {work:.1f} s of work (goal 10)"


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print both measurements."""
    parser = Parser("python -m bench.eval", __doc__)
    parser.add_argument("--ask", type=positive, default=2_000, help="cases to ask (default: 2,000)")
    parser.add_argument("--score", type=positive, default=20_000, help="cases to score (default: 20,000)")
    args = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "asked.jsonl"
        write_jsonl(path, (case.model_dump() for case, _ in made(args.ask)))
        print(
            asking(read_cases([path]), Path(folder))
        )  # read, and so checked, before anything is asked, as by eval.run
        print(scoring(made(args.score), Path(folder)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
