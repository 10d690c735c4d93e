"""Start LLaMA-Factory's own board with our registry: `python -m tools.webui` (127.0.0.1:7860)."""

import os
from collections.abc import Sequence

from callwright.errors import Parser, command
from callwright.files import ROOT
from tools.training.watch import SETTINGS


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the board; its list of datasets is that of dataset_info.json at the root, not of data/."""
    parser = Parser("python -m tools.webui", __doc__)
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=7860, help="default: %(default)s; 0 takes one that is free")
    parser.add_argument(
        "--known-as", nargs="+", default=[], metavar="NAME", help="names by which other machines ask it"
    )
    args = parser.parse_args(argv)
    from callwright.web import OwnHosts, listen, make_server

    with listen(args.host, args.port) as server:  # before half a minute of loading
        at = f"http://{args.host}:{server.getsockname()[1]}"
        print(f"webui: loading LLaMA-Factory's board, half a minute; then it is at {at} until Ctrl-C", flush=True)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        for name, value in SETTINGS.items():  # the board starts training as a process of its own
            os.environ.setdefault(name, value)
        os.chdir(ROOT)
        import gradio
        from fastapi import FastAPI
        from llamafactory.webui import common, control, interface
        from llamafactory.webui.components import train

        for module in (common, control, train):  # each holds its own copy of the default folder
            module.DEFAULT_DATA_DIR = "."
        app = FastAPI(openapi_url=None)
        app.add_middleware(OwnHosts, hosts=[args.host, *args.known_as])  # Gradio alone answers to every Host
        gradio.mount_gradio_app(app, interface.create_ui().queue(), "/", show_api=False, ssr_mode=False)
        print(f"webui: {at}", flush=True)
        make_server(app).run(sockets=[server])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
