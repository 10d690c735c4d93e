"""The board answers to this machine's own names and pages alone."""

import pytest

from tools.webui import show


@pytest.mark.slow
def test_the_board_refuses_other_hosts_and_sites(monkeypatch):
    import gradio
    import httpx2

    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    launch = gradio.Blocks.launch
    quiet = {"inbrowser": False, "prevent_thread_lock": True, "quiet": True}
    monkeypatch.setattr(gradio.Blocks, "launch", lambda self, **options: launch(self, **{**options, **quiet}))
    with gradio.Blocks(analytics_enabled=False) as board:
        gradio.Textbox("hello")
    show(board)
    try:
        with httpx2.Client(base_url=board.local_url, trust_env=False, timeout=20) as client:
            answers = [client.get("/", headers=headers).status_code for headers in ({}, {"Host": "evil.example"})]
            foreign = client.post("/gradio_api/upload", headers={"Origin": "http://evil.example"}).status_code
        assert (answers, foreign) == ([200, 400], 403)
    finally:
        board.close()
