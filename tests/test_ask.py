import io
import json
import os
import socket
from contextlib import contextmanager
from datetime import date
from types import SimpleNamespace

import psutil
import pytest
from endpoint import TOOL, answer, draws, endpoint
from werkzeug import Response

from callwright.errors import UserError
from callwright.files import read_json, to_json, write_json, write_text
from callwright.recipes import load_recipe
from callwright.records import Call
from callwright.tasks import say_today
from callwright.yaml12 import dump_yaml
from eval.agents.ask import case_of
from eval.agents.handlers import RefusedCall, dispatch, handles
from eval.ask import main
from eval.endpoint.kept_server import find_current_server, serve_and_tell, served_hash


@pytest.fixture
def ask(capsys, monkeypatch):
    """Ask the endpoint through the command; the parsed answer."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(text, reply=draws, *flags):
        with endpoint(reply) as server:
            status = main([text, "--base-url", server.url, "--model", "m", *flags])
        output = capsys.readouterr()
        return (json.loads(output.out), server) if status == 0 else output.err

    return run


def test_a_call_is_an_intent(ask):
    found, server = ask("draw 一隻柴犬")
    call = {"name": "generate_image", "arguments": {"prompt": "draw 一隻柴犬"}}
    assert found == {"intent": "generate_image_intent", "call": call}
    assert server.requests[0]["tools"][0]["function"]["name"] == "generate_image"
    assert server.requests[0]["temperature"] == 0


def test_a_reply_is_none(ask):
    assert ask("hello")[0] == {"intent": None, "reply": "Hello!"}


def test_acting_runs_the_handler(ask):
    assert ask("draw a cat", draws, "--act")[0]["done"] == [{"would_draw": "draw a cat"}]
    assert ask("hello", draws, "--act")[0]["done"] == []


def test_several_calls_are_all_there(ask):
    def twice(request):
        reply = answer(arguments='{"prompt": "a"}')
        reply["choices"][0]["message"]["tool_calls"] *= 2
        return reply

    found = ask("draw", twice)[0]
    assert [call["arguments"] for call in found["calls"]] == [{"prompt": "a"}] * 2
    assert found["intent"] == "generate_image_intent" and "call" not in found, "no call stands there twice"


def test_each_line_of_standard_input_is_a_question(capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n\n draw a cat\n"))
    with endpoint() as server:
        assert main(["-", "--base-url", server.url, "--model", "m"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["text"], line["intent"]) for line in lines] == [
        ("hello", None),
        ("draw a cat", "generate_image_intent"),
    ]


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe with a trained adapter, whose base model need not be there."""
    write_json(tmp_path / "train" / "adapter_config.json", {"r": 2})
    (tmp_path / "train" / "adapter_model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("eval.agents.ask.check_models", lambda recipe, tuned: None)
    return load_recipe("smollm2-135m_lora", [f"output_dir={tmp_path / 'train'}"])


def runs_at(recipe, url, pid):
    """Write the file of a server of this recipe, as `make serve` does."""
    told = {"pid": pid, "started": psutil.Process(pid).create_time(), "serves": served_hash(recipe)}
    write_json(recipe.run_dir / "server.json", {"base_url": url, "model": "m", "api_key": "k", **told})


def test_a_server_that_runs_is_asked_and_none_is_started(recipe, capsys, monkeypatch):
    monkeypatch.setattr("eval.agents.ask.serve", None)
    with endpoint(key="k") as server:
        server.server.expect_request("/v1/models").respond_with_json({"data": [{"id": "m"}]})
        runs_at(recipe, server.url, os.getpid())
        assert main(["draw a cat", "--recipe", recipe.stem, *recipe.overrides]) == 0
    assert json.loads(capsys.readouterr().out)["intent"] == "generate_image_intent"
    (recipe.output_dir / "adapter_model.safetensors").write_bytes(b"trained again")
    assert find_current_server(recipe) is None
    assert "serves other weights" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"started": 1.0}, {"pid": 2**22 + 1}, {"pid": "x"}])
def test_what_a_killed_server_left_is_no_server(recipe, change):
    runs_at(recipe, "http://127.0.0.1:9/v1", os.getpid())
    assert find_current_server(recipe) is not None
    path = recipe.run_dir / "server.json"
    write_json(path, read_json(path) | change)
    assert find_current_server(recipe) is None
    path.write_text("{")
    assert find_current_server(recipe) is None


def test_a_question_says_at_once_what_it_waits_for_and_how_to_wait_no_more(recipe, capsys, monkeypatch):
    @contextmanager
    def starts(recipe, tuned):
        assert "make serve RECIPE=smollm2-135m_lora" in capsys.readouterr().err
        raise UserError("server", "not in this test", "none")
        yield

    monkeypatch.setattr("eval.agents.ask.serve", starts)
    assert main(["draw", "--recipe", recipe.stem, *recipe.overrides]) == 2


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(recipe, monkeypatch):
    monkeypatch.setattr("eval.endpoint.kept_server.check_models", lambda recipe, tuned: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError) as told, serve_and_tell(recipe, "127.0.0.1", port, ""):
            pass
    assert f"API_PORT={port + 1} make serve" in told.value.remedy
    assert not (recipe.run_dir / "server.json").exists()


@pytest.mark.parametrize("arguments", ["{", '{"text": "a"}', '{"prompt": 4}', "[]"])
def test_a_call_that_does_not_fit_is_no_intent_and_not_acted_on(ask, arguments):
    found, _ = ask("draw", lambda request: answer(arguments=arguments), "--act")
    assert found["intent"] is None
    assert found["fault"]
    assert list(found["done"][0]) == ["refused"]


def test_an_endpoint_that_fails_is_one_line(ask):
    error = ask("draw", lambda request: Response("no", 422))
    assert error.startswith("error: http://")
    assert "HTTP 422" in error


def test_an_empty_sentence_is_refused(capsys):
    assert main(["  ", "--recipe", "smollm2-135m_lora"]) == 2
    assert "is empty" in capsys.readouterr().err


def test_a_url_that_is_none_is_refused_and_its_password_not_repeated(capsys):
    for url, fault in (("nonsense", "is not a URL"), ("http://a:secret@127.0.0.1:9/v1", "holds a user or a password")):
        assert main(["draw", "--base-url", url, "--model", "m"]) == 2
        error = capsys.readouterr().err
        assert fault in error
        assert "secret" not in error


def test_dispatch_validates_before_it_acts():
    assert dispatch(Call(name="generate_image", arguments={"prompt": "a"}), [TOOL]) == {"would_draw": "a"}
    with pytest.raises(RefusedCall, match="no argument 'size'"):
        dispatch(Call(name="generate_image", arguments={"prompt": "a", "size": 1}), [TOOL])
    with pytest.raises(RefusedCall, match="'os' is not one of generate_image"):
        dispatch(Call(name="os", arguments={}), [TOOL])
    other = {"function": {"name": "other", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(RefusedCall, match="nothing handles 'other'"):
        dispatch(Call(name="other", arguments={}), [other])


def test_a_tool_has_one_handler():
    with pytest.raises(ValueError, match="generate_image has a handler already"):
        handles("generate_image")(print)


@pytest.mark.parametrize(
    ("said", "today"),
    [
        ("Today is Tuesday, 2026-07-21.", "Today is Saturday, 2027-01-02."),
        ("It is Tue 21 July 2026.", "It is Sat 2 January 2027."),
        ("July 21, 2026", "January 2, 2027"),
        ("今天是 2026年7月21日，星期二。", "今天是 2027年1月2日，星期六。"),
        ("Ada, of order 12-2026, asks on a Tuesday.", None),
    ],
)
def test_today_is_said_as_the_task_says_a_day(said: str, today: str | None, tmp_path):
    assert say_today(said, date(2027, 1, 2)) == today
    lines = [{"system": "Ada asks."}, {"system": None}, {"system": said}]
    for name, text in {
        "seeds.jsonl": "\n".join(map(to_json, lines)),
        "grammar.yaml": dump_yaml({"systems": [said]}),
    }.items():
        write_json(tmp_path / name / "tools.json", [TOOL])
        write_text(tmp_path / name / name, text)
        data = SimpleNamespace(system="Be brief.", seeds=tmp_path / name)
        case = case_of("tomorrow?", data, date(2027, 1, 2))
        assert case.messages[0]["content"] == "\n".join(filter(None, ["Be brief.", today]))
        assert case_of("tomorrow?", data).messages[0]["content"] == "Be brief."
    write_json(tmp_path / "tools.json", [TOOL])
    bare = case_of("a", SimpleNamespace(system=None, seeds=tmp_path), date.today())
    assert [message["role"] for message in bare.messages] == ["user"]
