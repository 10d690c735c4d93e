"""The board says at once that its port is taken, not after LLaMA-Factory has loaded."""

import socket
import sys

import pytest

from tools.webui import main


@pytest.mark.parametrize("port", ["taken", "99999"])
def test_a_port_that_cannot_be_had_is_one_line_before_anything_loads(port: str, capsys: pytest.CaptureFixture[str]):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1]) if port == "taken" else port
        assert main(["--port", port]) == 2
    out, error = capsys.readouterr()
    assert f"--port {port}" in error and error.count("\n") == 1 and not out
    assert "llamafactory.webui" not in sys.modules
