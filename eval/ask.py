"""Ask about one sentence, or each line of standard input (-), and print the decision as a line of JSON.

python -m eval.ask "幫我畫一隻戴墨鏡的柴犬" --recipe smollm2-135m_lora --keep
python -m eval.ask - --recipe smollm2-135m_lora < questions.txt
python -m eval.ask "draw a red bicycle" --base-url http://127.0.0.1:8000/v1 --model NAME
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date

from callwright.config import load_data_config
from callwright.errors import Parser, UserError, command
from callwright.files import to_json
from callwright.recipes import add_recipe, chosen_recipe
from eval.agents.ask import act, ask_each, case_of, find_or_start_server, read_decision
from eval.endpoint.settings import endpoint_at


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Ask from the command line."""
    parser = Parser("python -m eval.ask", (__doc__ or "").splitlines()[0])
    parser.add_argument("text", help="what the user says; - for each line of standard input")
    where = parser.add_mutually_exclusive_group(required=True)
    add_recipe(parser, "--recipe", where)  # its tuned model: of its running server, or one for this alone
    where.add_argument("--base-url", help="ask a running server, URL ending in /v1")
    parser.add_argument("--keep", action="store_true", help="with --recipe: let the server that is started go on")
    parser.add_argument("--model", help="with --base-url: the model's name there")
    parser.add_argument("--api-key-env", metavar="NAME", help="variable that holds the key (default: OPENAI_API_KEY)")
    parser.add_argument("--llamafactory", action="store_true", help="write messages as LLaMA-Factory's server needs")
    parser.add_argument("--act", action="store_true", help="run the handlers of the calls (eval/agents/handlers.py)")
    args = parser.parse_intermixed_args(argv)
    if args.base_url and not args.model:
        parser.error("--base-url needs --model")
    texts = [line.strip() for line in (sys.stdin if args.text == "-" else [args.text])]
    if not (texts := [text for text in texts if text]):
        raise UserError("text", "is empty", 'say something, as in: make ask Q="draw a cat"')
    recipe = None if args.base_url else chosen_recipe(args)
    data = load_data_config(recipe.task if recipe else args.task or "image_intent")
    cases = [case_of(text, data, date.today()) for text in texts]
    with ExitStack() as stack:
        if recipe:
            endpoint = stack.enter_context(find_or_start_server(recipe, args.keep))
        else:
            endpoint = endpoint_at(args.base_url, args.model, args.api_key_env, args.llamafactory)
        for text, prediction in zip(texts, ask_each(endpoint, cases), strict=True):
            answer = ({"text": text} if args.text == "-" else {}) | read_decision(prediction, cases[0].tools)
            print(to_json(answer | {"done": act(prediction, cases[0].tools)} if args.act else answer), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
