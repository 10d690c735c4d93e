"""Start LLaMA-Factory's own board with our registry: `python -m tools.webui` (127.0.0.1:7860)."""

import os
from collections.abc import Sequence

from callwright.errors import command
from callwright.files import ROOT


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the board; its list of datasets is that of dataset_info.json at the root, not of data/."""
    os.environ.setdefault("GRADIO_SERVER_NAME", "127.0.0.1")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.chdir(ROOT)
    from llamafactory.webui import common, control, interface
    from llamafactory.webui.components import train

    for module in (common, control, train):  # each holds its own copy of the default folder
        module.DEFAULT_DATA_DIR = "."
    interface.run_web_ui()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
