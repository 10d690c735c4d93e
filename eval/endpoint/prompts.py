"""Compare the prompts that a server makes with those that training saw."""

import asyncio
from collections.abc import Sequence
from typing import Any

from callwright.chat import open_client
from callwright.files import parse_json
from callwright.recipes import Recipe
from callwright.records import Case
from eval.endpoint.settings import Endpoint
from eval.scoring.cases import tools_of


def trained_prompts(recipe: Recipe, cases: Sequence[Case]) -> list[list[int]] | None:
    """Return each case's prompt as the export's tokenizer makes it, which tools.export proved against training; None without one."""
    if not (recipe.run_dir / "export/manifest.json").is_file():
        return None
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(recipe.run_dir / "export")

    def prompt(case: Case) -> str:
        how: dict[str, Any] = {"tools": tools_of(case) or None, "add_generation_prompt": True, "tokenize": False}
        return str(tokenizer.apply_chat_template(case.messages, **how))

    return [tokenizer.encode(prompt(case), add_special_tokens=False) for case in cases]


def served_prompt(endpoint: Endpoint, case: Case) -> list[int] | None:
    """Return the token ids that a server makes of a case, where it tells: llama.cpp's by two calls, vLLM's by one."""
    from openai import OpenAIError

    asked: dict[str, Any] = {"model": endpoint.model, "messages": case.messages, "tools": tools_of(case)}
    faults = OpenAIError, ValueError, LookupError, TypeError
    try:
        prompt = asyncio.run(post(endpoint, "/apply-template", asked))["prompt"]
        text = {"content": prompt, "add_special": True, "parse_special": True}
    except faults:
        text = {**asked, "add_generation_prompt": True}
    try:
        return list(asyncio.run(post(endpoint, "/tokenize", text))["tokens"])
    except faults:
        return None


async def post(endpoint: Endpoint, path: str, body: dict[str, Any]) -> Any:
    """Post JSON beside an endpoint's /v1; return what it answers."""
    from httpx2 import Response

    async with open_client(endpoint.base_url, endpoint.api_key, timeout_s=60, retries=0) as client:
        answer = await client.post(endpoint.base_url.removesuffix("/v1") + path, cast_to=Response, body=body)
    return parse_json(answer.content.decode())


def sameness(trained: list[list[int]] | None, served: Sequence[list[int] | None], counted: Sequence[int | None]) -> str:
    """Say whether prompts are the trained ones, by their ids where the server tells them, else by their number.

    Args:
        counted: `usage.prompt_tokens` of the answers.
    """
    if trained is None:
        return "not compared: no export"
    if all(served):
        wrong = sum(one != other for one, other in zip(trained, served, strict=True))
        return f"ids differ in {wrong} of {len(trained)}" if wrong else "ids equal"
    wrong = sum(len(one) != count for one, count in zip(trained, counted, strict=True))
    return f"number differs in {wrong} of {len(trained)}" if wrong else "number equal"
