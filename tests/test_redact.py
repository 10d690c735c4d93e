import base64
import json
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callwright import redact as module
from callwright.errors import UserError, command
from callwright.files import ROOT, read_text, write_json, write_jsonl, write_private
from callwright.redact import MARK, keep_secret, keep_secrets_of, redact

SECRET = "sk-Marker-9f3a77"


@given(st.text(st.characters(codec="utf-8"), min_size=8, max_size=40), st.text(max_size=9), st.text(max_size=9))
@example("abcdefgh", "a", "h")
def test_a_secret_is_blotted_in_each_spelling_wherever_it_stands(secret, before, after):
    module._known = {}
    keep_secret(secret)
    if not module._known:
        return
    for spell in (str, lambda s: json.dumps(s)[1:-1], lambda s: quote(s, safe="")):
        assert spell(secret) not in redact(f"{before}{spell(secret)}{after}").replace(MARK, "\x00")
    raw = before.encode() + secret.encode() + after.encode()
    whole = base64.b64encode(secret.encode()).decode()[4:-4]
    assert not whole or whole not in redact(base64.b64encode(raw).decode())


@pytest.mark.parametrize("cut", [SECRET[:8], SECRET[:12], SECRET[-9:], f"…{SECRET[-12:]}"])
def test_what_is_left_of_a_cut_secret_is_blotted(cut):
    keep_secret(SECRET)
    assert redact(f"Bearer {cut} …") == f"Bearer {'…' * cut.startswith('…')}{MARK} …"


def test_words_that_are_no_secret_stay():
    for word in ("none", "EMPTY", "ollama", "lm-studio", "12345678", "assistant", ""):
        keep_secret(word)
    keep_secret("assistant-4711")
    text = "none EMPTY ollama lm-studio 12345678: the assistant's assistance"
    assert redact(text) == text


def test_secrets_of_the_environment_and_of_urls_are_known():
    names = ("OPENAI_API_KEY", "API_KEY", "HF_TOKEN", "MY_PASSWORD", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY_2")
    environment = {name: f"value-of-{index}-x" for index, name in enumerate(names)}
    others = {"GREETING": "good-morning", "PRIMARY_KEY": "customer_id", "GOOGLE_CREDENTIALS": "/home/me/key.json"}
    keep_secrets_of(["--base-url", "https://me:pass-4711@a.example/v1"], {**environment, **others})
    text = " ".join([*environment.values(), "pass-4711", base64.b64encode(b"me:pass-4711").decode()])
    assert redact(text) == " ".join([MARK] * 7 + [redact(base64.b64encode(b"me:pass-4711").decode())])
    assert "bWU6cGFzcy" not in redact(text)
    assert redact(" ".join(others.values())) == " ".join(others.values())


def test_files_and_the_console_hold_no_secret(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    @command
    def main(argv=None):
        write_json(tmp_path / "a.json", {SECRET: [SECRET]})
        write_jsonl(tmp_path / "a.jsonl", [{"a": f"x{SECRET}y"}])
        print("said", SECRET)
        raise UserError(SECRET, "is wrong", "mend it")

    assert main([]) == 2
    said = capsys.readouterr()
    for text in (said.out, said.err, read_text(tmp_path / "a.json"), read_text(tmp_path / "a.jsonl")):
        assert MARK in text and "9f3a77" not in text


def test_a_private_file_holds_its_secret_for_the_owner_alone(tmp_path):
    keep_secret("hush-1234-hush")
    write_private(path := tmp_path / "server.json", "hush-1234-hush")
    assert path.read_text() == "hush-1234-hush"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_traceback_holds_no_secret(monkeypatch):
    code = f"""
from callwright.errors import command
@command
def main(argv=None): raise RuntimeError({SECRET!r})
main([])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"OPENAI_API_KEY": SECRET}, capture_output=True, text=True
    )
    assert (
        done.returncode == 1
        and "RuntimeError: ***" in done.stderr
        and "9f3a77" not in done.stderr.split("main([])")[-1]
    )


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.swapcase])
def test_another_letter_case_is_the_same_secret(spell):
    keep_secret(SECRET)
    assert redact(f"your key {spell(SECRET)} is wrong") == f"your key {MARK} is wrong"
