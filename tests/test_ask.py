import json

import pytest
from endpoint import TOOL, answer, draws, endpoint
from werkzeug import Response

from callwright.records import Call
from eval.ask import main
from eval.handlers import RefusedCall, dispatch, handles


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

    assert [call["arguments"] for call in ask("draw", twice)[0]["calls"]] == [{"prompt": "a"}] * 2


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
