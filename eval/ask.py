"""Ask about one sentence and print the decision as JSON.

python -m eval.ask "幫我畫一隻戴墨鏡的柴犬" --recipe smollm2-135m_lora
python -m eval.ask "draw a red bicycle" --base-url http://127.0.0.1:8000/v1 --model NAME
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callwright.config import DataConfig, load_data_config
from callwright.errors import UserError, command
from callwright.files import to_json
from callwright.recipes import load_recipe
from callwright.records import Call, Case, Prediction
from callwright.schema import call_fault, load_tools
from eval.client import ask_all
from eval.endpoint import Endpoint, Limits, Sampling, endpoint_at
from eval.handlers import RefusedCall, dispatch
from eval.server import serve
from eval.verdict import read_call

MAX_TOKENS = 160


def case_of(text: str, data: DataConfig) -> Case:
    """The sentence as a case: the task's tools, and its system message where it has one."""
    system = [{"role": "system", "content": data.system}] if data.system else []
    messages = [*system, {"role": "user", "content": text}]
    return Case(id="ask", messages=messages, tools=load_tools(data.seeds / "tools.json"), expected=[])


def decide(endpoint: Endpoint, case: Case) -> Prediction:
    """Ask the endpoint.

    Raises:
        UserError: it does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "predictions.jsonl"
        answers = asyncio.run(ask_all([endpoint], [case], log, Sampling(MAX_TOKENS), Limits(1)))
    if (error := answers[case.id].error) is not None:
        raise UserError(endpoint.base_url, error, "look at the server's log")
    return answers[case.id]


def decision(prediction: Prediction, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The decision as a program takes it: the intent `<tool>_intent` of a call that fits its schema, or a reply.

    A call that cannot be acted on is no intent: `fault` says why. With several calls, `calls` has them all.
    """
    read = [read_call(call) for call in prediction.tool_calls]
    calls = [call for call in read if isinstance(call, Call)]
    faults = [call["fault"] for call in read if not isinstance(call, Call)]
    faults += [fault for call in calls if (fault := call_fault(call, tools))]
    if faults:
        return {"intent": None, "reply": (prediction.content or "").strip(), "fault": faults[0]}
    if not calls:
        return {"intent": None, "reply": (prediction.content or "").strip()}
    found = {"intent": f"{calls[0].name}_intent", "call": calls[0].model_dump()}
    return found | ({"calls": [call.model_dump() for call in calls]} if len(calls) > 1 else {})


def act(prediction: Prediction, tools: list[dict[str, Any]]) -> list[Any]:
    """Run the handler of each call; a call that is refused says so in its place."""
    results: list[Any] = []
    for call in map(read_call, prediction.tool_calls):
        try:
            results.append(dispatch(call, tools) if isinstance(call, Call) else {"refused": call["fault"]})
        except RefusedCall as refusal:
            results.append({"refused": str(refusal)})
    return results


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Ask from the command line."""
    parser = argparse.ArgumentParser(prog="python -m eval.ask", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("text", help="what the user says")
    parser.add_argument("overrides", nargs="*", help="with --recipe: the key=value that training got")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--recipe", help="serve the tuned model of this recipe for the one question")
    where.add_argument("--base-url", help="ask a running server, URL ending in /v1")
    parser.add_argument("--model", help="with --base-url: the model's name there")
    parser.add_argument("--task", default="image_intent", help="with --base-url: whose tools (default: image_intent)")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the key (default: OPENAI_API_KEY)")
    parser.add_argument("--llamafactory", action="store_true", help="write messages as LLaMA-Factory's server needs")
    parser.add_argument("--act", action="store_true", help="run the handlers of the calls (eval/handlers.py)")
    args = parser.parse_intermixed_args(argv)
    if args.base_url and not args.model:
        parser.error("--base-url needs --model")
    if not args.text.strip():
        raise UserError("text", "is empty", 'say something, as in: make ask Q="draw a cat"')
    if args.base_url:
        case = case_of(args.text, load_data_config(args.task))
        prediction = decide(endpoint_at(args.base_url, args.model, args.api_key_env, args.llamafactory), case)
    else:
        recipe = load_recipe(args.recipe, args.overrides)
        case = case_of(args.text, load_data_config(recipe.task))
        with serve(recipe, tuned=True) as server:
            prediction = decide(server.wait(), case)
    answer = decision(prediction, case.tools)
    print(to_json(answer | {"done": act(prediction, case.tools)} if args.act else answer))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
