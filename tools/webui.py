"""Start LLaMA-Factory's own board with our registry: `python -m tools.webui` (127.0.0.1:7860)."""

import os
from collections.abc import Sequence
from typing import Any

from callwright.errors import command
from callwright.files import ROOT


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the board; its list of datasets is that of dataset_info.json at the root, not of data/."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.chdir(ROOT)
    from llamafactory.extras.misc import fix_proxy
    from llamafactory.webui import common, control, interface
    from llamafactory.webui.components import train

    for module in (common, control, train):  # each holds its own copy of the default folder
        module.DEFAULT_DATA_DIR = "."
    fix_proxy()
    show(interface.create_ui().queue())
    return 0


def show(board: Any) -> None:
    """Serve Gradio Blocks until Ctrl-C, on loopback or where GRADIO_SERVER_NAME says, to no other Host or site's page."""
    from starlette.middleware import Middleware

    from callwright.web import OwnHosts

    host = os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    guard = Middleware(OwnHosts, hosts=[host])
    board.launch(server_name=host, inbrowser=True, app_kwargs={"middleware": [guard]})


if __name__ == "__main__":
    raise SystemExit(main())
