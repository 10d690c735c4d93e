"""Whatever bytes a server sends are an answer or one named error."""

import asyncio
import json

import pytest
from endpoint import answer
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from callwright.bounded import MOST_BYTES
from callwright.chat import COUNTS, NO_KEY, Completion, is_local, open_client, read_completion
from callwright.files import parse_json, to_json
from callwright.records import Prediction

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=12,
)
PARTS = ("id", "choices", "message", "content", "tool_calls", "function", "name", "arguments", "usage", "error", "a")


@st.composite
def changed_answers(draw) -> bytes:
    """An answer with any value in the place of any of its parts, in any encoding, cut anywhere."""
    value = answer("hello", '{"prompt": "a"}')
    value["usage"] = {name: draw(JSON) for name in COUNTS}
    for key in draw(st.lists(st.sampled_from(PARTS), max_size=3)):
        homes = [value, value["choices"][0], value["choices"][0]["message"]] if value.get("choices") else [value]
        home = draw(st.sampled_from([one for one in homes if isinstance(one, dict)] or [value]))
        home[key] = draw(JSON)
        if not (isinstance(value.get("choices"), list) and value["choices"] and isinstance(value["choices"][0], dict)):
            break
        if "message" not in value["choices"][0]:
            break
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    body = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-7"])), "surrogatepass")
    return body[: draw(st.integers(0, len(body)))] if draw(st.booleans()) else body


@settings(max_examples=400, deadline=None)
@given(st.binary() | changed_answers())
def test_any_bytes_are_an_answer_that_can_be_written_or_one_line(body):
    try:
        found = read_completion(body)
    except ValueError as error:
        assert 0 < len(str(error)) < 500 and "\n" not in str(error)
        str(error).encode()
        return
    assert isinstance(found, Completion)
    message = found.choices[0].message
    calls = [call.model_dump() for call in message.tool_calls or []]
    prediction = Prediction(id="a", content=message.content, tool_calls=calls, usage=found.usage or {})
    line = to_json(prediction.model_dump()).encode()
    assert Prediction.model_validate(parse_json(line.decode())) == prediction
    assert all(type(count) is int and count >= 0 for count in prediction.usage.values())


@pytest.mark.parametrize("text", ["幫我畫", "a\u2028b\x85", "\U0001f600"])
def test_an_answer_is_utf8_with_or_without_a_byte_order_mark(text):
    for encoding in ("utf-8", "utf-8-sig"):
        body = json.dumps(answer(text), ensure_ascii=False).encode(encoding)
        assert read_completion(body).choices[0].message.content == text


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 (byte 0)"),
        (b" " * MOST_BYTES, "4 MiB or more"),
        (b"data: {}\n\n", "a stream of events"),
        (b'{"error": "busy"}', "an error in place of an answer"),
        (b'{"choices": [{"message": {"content": "\\ud800"}}]}', "lone surrogate"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "choices: Field required"),
    ],
)
def test_what_is_no_answer_is_named(body, fault):
    with pytest.raises(ValueError) as raised:
        read_completion(body)
    assert fault in str(raised.value)


@pytest.mark.parametrize("count", [True, -1, 1.5, "7", None, 10**400])
def test_a_count_that_cannot_be_one_is_left_out(count):
    body = json.dumps({**answer("x"), "usage": {"prompt_tokens": 3, "completion_tokens": count}})
    assert read_completion(body.encode()).usage == {"prompt_tokens": 3}


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://LocalHost/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example/v1", False),
    ],
)
def test_a_url_that_leads_to_this_machine(url, local):
    assert is_local(url) == local


@pytest.mark.parametrize(
    ("message", "content", "calls"),
    [
        ({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]}, "Hi", []),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", []),
        ({"content": None, "function_call": {"name": "f", "arguments": "{}"}}, None, ["f"]),
        ({"content": "x", "function_call": None}, "x", []),
    ],
)
def test_older_and_newer_forms_of_a_message_are_read(message, content, calls):
    found = read_completion(json.dumps({"choices": [{"message": message}]}).encode()).choices[0].message
    assert found.content == content
    assert [call.function.name for call in found.tool_calls or []] == calls


def test_no_cookie_of_a_server_comes_back_to_it(httpserver: HTTPServer):
    """An answer that hangs on an earlier one would not be the same in a run that is resumed."""
    sent: list[str | None] = []

    def reply(request: Request) -> Response:
        sent.append(request.headers.get("Cookie"))
        return Response(json.dumps(answer("hi")), headers={"Set-Cookie": "seen=1; Path=/"}, mimetype="application/json")

    async def ask_twice() -> None:
        async with open_client(httpserver.url_for("/v1"), NO_KEY, 5, 0) as client:
            for _ in range(2):
                await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    httpserver.expect_request("/v1/chat/completions").respond_with_handler(reply)
    asyncio.run(ask_twice())
    assert sent == [None, None]
