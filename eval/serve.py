"""Serve a recipe's tuned model until Ctrl-C, and say in its run folder where, so that `make ask` finds it.

python -m eval.serve smollm2-135m_lora
"""

import os
import signal
import time
from collections.abc import Sequence

from callwright.errors import Parser, UserError, command
from callwright.recipes import add_recipe, chosen_recipe
from eval.endpoint.kept_server import PORT, serve_and_tell
from eval.endpoint.server import HOST


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Serve from the command line; API_HOST, API_PORT, API_KEY and API_MODEL_NAME are read from the environment."""
    parser = Parser("python -m eval.serve", (__doc__ or "").splitlines()[0])
    add_recipe(parser)
    args = parser.parse_intermixed_args(argv)
    recipe = chosen_recipe(args)
    port = os.environ.get("API_PORT") or str(PORT)
    if not port.isdecimal() or int(port) > 65_535:
        raise UserError("API_PORT", f"{port!r} is no port", f"take a number, such as {PORT}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the file in the run folder goes as well
    started = time.monotonic()
    with serve_and_tell(
        recipe, os.environ.get("API_HOST") or HOST, int(port), os.environ.get("API_KEY") or ""
    ) as server:
        print(f"serve: loading {recipe.stem}; what the server says goes to {os.path.relpath(server.log)}", flush=True)
        endpoint = server.wait()
        seconds = time.monotonic() - started
        print(
            f"serve: ready after {seconds:.0f} s: {endpoint.base_url}, model {endpoint.model}; Ctrl-C ends it",
            flush=True,
        )
        status = server.process.wait()
    raise UserError(server.log, f"the server ended with status {status}", "its last lines say why")


if __name__ == "__main__":
    raise SystemExit(main())
