"""Measure the data engine on made lines, each size in a process of its own: `python -m tools.bench_data`."""

import argparse
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

from callwright.config import Clean
from callwright.errors import command
from callwright.files import ROOT, read_jsonl
from callwright.records import Call, Example
from tools import clean
from tools.dedupe import near_pairs

SIZES = (1_000, 10_000, 100_000)
SEEDS = ROOT / "data/seeds/image_intent/seeds.jsonl"
COPIES = 0.1
"""share of lines that are near copies of earlier ones"""
NEAR = 75


def made(count: int) -> list[Example]:
    """Lines whose characters follow each other as in the seeds of their language, half of them calls.

    Unrelated lines have as many bigrams in common as real ones; in near copies every tenth character is another one.
    """
    rng, follows = Random(1), defaultdict[str, dict[str, list[str]]](lambda: defaultdict(list))
    for _, seed in read_jsonl(SEEDS):
        for first, second in pairwise(f"\n{seed['text']}\n"):
            follows[seed["tags"]["lang"]][first].append(second)
    examples: list[Example] = []
    for number in range(count):
        lang, text = rng.choice(list(follows)), ""
        if examples and rng.random() < COPIES:
            text, lang = (like := rng.choice(examples)).utterance, like.tags["lang"]
            for at in rng.sample(range(len(text)), -(-len(text) // 10)):
                text = text[:at] + rng.choice(rng.choice(list(follows[lang].values()))).strip() + text[at + 1 :]
        while len(text) < 8 or (text[-1] != "\n" and len(text) < 120):
            text = text.strip("\n") + rng.choice(follows[lang][text[-1:] or "\n"])
        calls = [Call(name="generate_image", arguments={"prompt": text})] if rng.random() < 0.5 else []
        tags = {"lang": lang}
        examples.append(
            Example(
                id=f"{number}",
                text=text.strip(),
                calls=calls,
                reply="no",
                tags=tags,
                lineage=f"{number}",
                source="made",
            )
        )
    return examples


def dedupe(examples: list[Example]) -> str:
    """Near pairs."""
    return f"{sum(1 for _ in near_pairs([example.utterance for example in examples], NEAR))} near pairs at {NEAR}"


def cleaning(examples: list[Example]) -> str:
    """All steps of cleaning."""
    kept, dropped = clean.clean(examples, Clean(), [])
    return f"{len(kept)} stay; " + ", ".join(f"{step} {count}" for step, count, _ in clean.funnel(dropped) if count)


PARTS: dict[str, Callable[[list[Example]], str]] = {"dedupe": dedupe, "clean": cleaning}
"""what is measured: made lines in, a word on the result out"""


def peak() -> float:
    """The most memory that this process has held, MiB."""
    if (status := Path("/proc/self/status")).exists():  # Linux's ru_maxrss starts at the parent's peak
        return int(re.findall(r"VmHWM:\s+(\d+)", status.read_text())[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Print seconds, lines/s and peak memory of each part at each size."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_data", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--lines", type=int, help="one size, in this process")
    args = parser.parse_args(argv)
    for part in args.parts or PARTS:
        if args.lines is None:
            for size in SIZES:
                subprocess.run(
                    [sys.executable, "-m", "tools.bench_data", part, "--lines", str(size)], cwd=ROOT, check=True
                )
            continue
        examples = made(args.lines)
        held, start = peak(), time.perf_counter()
        said = PARTS[part](examples)
        seconds = time.perf_counter() - start
        print(
            f"{part:8}{args.lines:8} lines {seconds:7.1f} s {args.lines / seconds:8.0f} lines/s "
            f"{peak():5.0f} MiB ({held:.0f} before); {said}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
