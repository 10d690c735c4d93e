"""Where and how to ask: the endpoint, what decides an answer, how hard to ask, and the options of a command line for it."""

import argparse
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from callwright.chat import NO_KEY, check_url
from callwright.errors import UserError
from callwright.redact import keep_secret

Mode = Literal["native", "raw"]


@dataclass(frozen=True)
class Endpoint:
    """Where the model is. The key is kept out of every repr."""

    base_url: str
    """ends in /v1"""
    model: str
    api_key: str = field(default=NO_KEY, repr=False)
    llamafactory: bool = False
    """whether to write messages in the way that LLaMA-Factory's server needs"""


@dataclass(frozen=True)
class Sampling:
    """What decides an answer, besides the model and the case."""

    max_tokens: int = 96
    temperature: float = 0.0
    probe_tokens: int | None = None
    """First ask for so few tokens, and let an answer that is cut there stand when nothing in it hints at a call; any
    other that is cut is asked again in full. Saves a slow server the ramblings of a base model."""
    mode: Mode = "native"
    """`raw` sends no tools: they stand in the system message, and our own reader finds the calls in the text"""
    raw_format: str = "qwen"
    """the tool format of raw mode (callwright.tool_prompts)"""
    raw_system: str = ""
    """what raw mode's system message begins with where a case has none"""
    samples: int = 1
    """answers to each case; several need a temperature above 0"""

    def __post_init__(self) -> None:
        """Refuse samples that would all be the same."""
        if self.samples > 1 and self.temperature == 0:
            raise UserError("samples", f"{self.samples} at temperature 0 are all the same", "set --temperature 0.7")

    def fingerprint(self) -> dict[str, Any]:
        """Return what a manifest holds of it. One answer a case and native mode go without saying, as in older runs."""
        silent = {"samples"} if self.samples == 1 else set()
        silent |= {"mode", "raw_format", "raw_system"} if self.mode == "native" else set()
        return {key: value for key, value in asdict(self).items() if key not in silent}


@dataclass(frozen=True)
class Limits:
    """How hard to ask."""

    concurrency: int = 4
    timeout_s: float = 120.0
    """seconds of silence after which a try is given up"""
    retries: int = 2
    """further tries after a timeout, a lost connection, 408, 409, 429 or 5xx; the openai client's, and the only ones"""


def key_from(variable: str | None) -> str:
    """Read the key in an environment variable: the named one, which must be set, or OPENAI_API_KEY where it is."""
    key = os.environ.get(variable or "OPENAI_API_KEY") or (NO_KEY if variable is None else "")
    if not key:
        raise UserError(f"--api-key-env {variable}", "the variable is not set", f"export {variable}=… first")
    keep_secret(key)
    return key


def endpoint_at(base_url: str, model: str, variable: str | None, llamafactory: bool) -> Endpoint:
    """Make an endpoint of the command line's options; `variable` is key_from's.

    Raises:
        UserError: no URL, one with a password in it, or no key.
    """
    return Endpoint(check_url("--base-url", base_url), model, key_from(variable), llamafactory)


def positive(text: str) -> int:
    """Read a count from the command line."""
    if (value := int(text)) < 1:
        raise ValueError
    return value


def add_asking(parser: Any, concurrency: int, max_tokens: int) -> None:
    """Add the options of how to ask an endpoint; `parser` is argparse's, or a group of one.

    Args:
        concurrency: requests at a time by default.
        max_tokens: of an answer by default.
    """
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the key (default: OPENAI_API_KEY)")
    parser.add_argument("--llamafactory", action="store_true", help="write messages as LLaMA-Factory's server needs")
    parser.add_argument(
        "--concurrency", type=positive, default=concurrency, help=f"requests at a time (default: {concurrency})"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a try (default: 120)")
    parser.add_argument("--retries", type=int, default=2, help="further tries (default: 2)")
    parser.add_argument("--max-tokens", type=positive, default=max_tokens, help=f"of an answer (default: {max_tokens})")


def limits_of(args: argparse.Namespace) -> Limits:
    """Return how hard to ask, as add_asking's options say."""
    return Limits(args.concurrency, args.timeout, args.retries)
