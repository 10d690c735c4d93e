"""Be llama.cpp's own server of a GGUF file, on 127.0.0.1 behind a key.

LLAMACPP_KEY=… python -m eval.llamacpp MODEL.gguf --alias NAME --port 8000
LLAMACPP_KEY=… python -m eval.llamacpp BASE.gguf --alias NAME --port 8000 --lora ADAPTER.gguf --chat-template TEMPLATE.jinja
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from callwright.errors import Parser, UserError, command
from callwright.files import read_text, write_private
from callwright.llamacpp import CONTEXT
from eval.endpoint.kept_server import told
from eval.endpoint.llamacpp import KEY
from eval.endpoint.manifest import cores
from eval.endpoint.server import HOST


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Be the server, until a signal ends it."""
    parser = Parser("python -m eval.llamacpp", (__doc__ or "").splitlines()[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--alias", required=True, help="the model's name at the endpoint")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--lora", type=Path, help="a GGUF adapter to lay over the model (callwright.lora_gguf)")
    parser.add_argument("--chat-template", type=Path, help="in place of the one inside the file")
    parser.add_argument("--tell", nargs=2, metavar=("FILE", "HASH"), help="say in FILE where it is, and what it serves")
    args = parser.parse_args(argv)
    if not (key := os.environ.get(KEY)):
        raise UserError(KEY, "the variable is not set", f"export {KEY}=… first: nobody is served without a key")
    from xllamacpp import CommonAdapterLoraInfo, CommonParams, Server

    params = CommonParams()
    params.model.path = str(args.gguf)
    params.model_alias = {args.alias}
    params.hostnames, params.port, params.api_keys = [HOST], args.port, [key]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    params.n_ctx, params.n_parallel = CONTEXT, 1
    params.cache_ram_mib = 0  # the one conversation's own beginning is all that is reused
    params.use_jinja, params.ui, params.offline, params.no_mmproj = True, False, True, True
    if args.lora:
        lora = CommonAdapterLoraInfo()
        lora.path, lora.scale = str(args.lora), 1.0
        params.lora_adapters = [lora]
    if args.chat_template:
        params.chat_template = read_text(args.chat_template)
    server = Server(params)
    if args.tell:
        write_private(args.tell[0], told(f"http://{HOST}:{args.port}/v1", args.alias, key, args.tell[1]))
    print(f"llama.cpp serves {args.gguf} at {server.listening_address}", flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is to be cleaned up, and its threads end with the process
    signal.pause()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
