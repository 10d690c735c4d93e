"""Measure the evaluator on this machine: asking an endpoint that answers after 50 ms, and scoring: `python -m bench.eval`."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from bench.endpoint import endpoint
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
CALL = {"type": "function", "function": {"name": "forecast_1", "arguments": '{"city": "Oslo"}'}}
MESSAGE = {"role": "assistant", "content": None, "tool_calls": [CALL]}
ANSWER = json.dumps({"choices": [{"message": MESSAGE, "finish_reason": "tool_calls"}]}).encode()
PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer", "minimum": 1},
    "unit": {"type": "string", "enum": ["c", "f"]},
    "layers": {"type": "array", "items": {"type": "string"}},
}


def example_pairs(count: int) -> list[tuple[Case, Prediction]]:
    """Make cases and answers with mistakes in them: five of 200 tools, none to three calls due, three cases a lineage."""
    rng, pairs = Random(1), []
    parameters = {"type": "object", "properties": PROPERTIES, "required": ["city"]}
    functions = [{"name": f"forecast_{n}", "description": "A forecast.", "parameters": parameters} for n in range(200)]
    for number in range(count):
        offered = rng.sample(functions, 5)
        due: list[dict[str, Any]] = []
        given: list[dict[str, Any]] = []
        for function in rng.sample(offered, rng.choice([0, 1, 1, 2, 3])):
            city, days = rng.choice(WORDS), rng.randint(1, 5)
            due.append({"name": function["name"], "arguments": {"city": {"contains": [city]}, "days": days}})
            arguments = {"city": f"{rng.choice([city, 'there'])} city", "days": rng.choice([days, "two"])}
            if rng.random() < 0.9:
                given.append({"function": {"name": function["name"], "arguments": json.dumps(arguments)}})
        rng.shuffle(given)
        question = f"How will it be in {rng.choice(WORDS)} and around, number {number}?"
        case = {
            "id": f"{number}", "messages": [{"role": "user", "content": question}], "expected": due,
            "tools": [{"type": "function", "function": function} for function in offered], "group": f"{number // 3}",
            "tags": {"lang": rng.choice(["en", "zh"]), "kind": rng.choice("abcdefgh")},
        }  # fmt: skip
        words = None if given else " ".join(rng.choices([*WORDS, "it", "rains", "in", "and"], k=40))
        answer = Prediction(id=f"{number}", content=words, tool_calls=given, finish_reason="stop", latency_s=DELAY_S)
        pairs.append((Case.model_validate(case), answer))
    return pairs


def call_forecast(body: bytes) -> bytes:
    """Answer any request with the same call."""
    return ANSWER


def asking(cases: Sequence[Case], folder: Path) -> str:
    """Time the asking, against the ideal in which CONCURRENCY requests always wait for the endpoint."""
    limits = Limits(CONCURRENCY, retries=0)
    with endpoint(call_forecast, DELAY_S) as url:
        where = Endpoint(url, "m")
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
    """Time eval.score, reading and writing included."""
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
        write_jsonl(path, (case.model_dump() for case, _ in example_pairs(args.ask)))
        cases = read_cases([path])  # and so checks them before anything is asked, as eval.run does
        print(asking(cases, Path(folder)))
        print(scoring(example_pairs(args.score), Path(folder)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
