import asyncio
import base64
import gzip
import json
import threading
import time
from urllib.parse import quote

import pytest
from endpoint import answer, case, draws, endpoint
from werkzeug import Response

from callwright.errors import UserError
from callwright.records import Case
from eval.endpoint.client import GONE, ask_all, for_llamafactory
from eval.endpoint.settings import Endpoint, Limits, Sampling, key_from
from eval.scoring.predictions import read_samples
from eval.scoring.runs import score, write_scores
from eval.scoring.summary import summarise
from eval.scoring.verdict import judge

CASES = [Case(**case(f"c{i}", f"draw {i}" if i % 2 else f"hi {i}", bool(i % 2))) for i in range(6)]
QUICK = Limits(concurrency=2, timeout_s=5, retries=0)


def first_answers(path):
    return {identity: answer for (identity, sample), answer in read_samples(path).items() if sample == 0}


def ask(url, path, cases=CASES, sampling=Sampling(), limits=QUICK, key="none", **more):  # noqa: B008
    return asyncio.run(ask_all([Endpoint(u, "m", key) for u in url.split()], cases, path, sampling, limits, **more))


def test_asks_natively_and_logs_every_answer(tmp_path):
    told = []
    with endpoint(key="secret-key") as server:
        found = ask(server.url, tmp_path / "p.jsonl", key="secret-key", tell=told.append)
    assert list(found) == [case.id for case in CASES]
    request = server.requests[0]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("m", 0, 96)
    assert request["tools"] == CASES[0].tools
    assert found["c1"].tool_calls[0]["function"] == {"name": "generate_image", "arguments": '{"prompt": "draw 1"}'}
    assert (found["c0"].content, found["c0"].finish_reason, found["c0"].usage) == (
        "Hello!",
        "stop",
        {"completion_tokens": 7},
    )
    assert 0 < found["c0"].latency_s < 5
    assert first_answers(tmp_path / "p.jsonl") == found
    assert told == list(range(7))
    assert "secret-key" not in (tmp_path / "p.jsonl").read_text("utf-8")
    assert "secret-key" not in repr(Endpoint(server.url, "m", "secret-key"))


def test_copies_of_a_model_share_the_cases(tmp_path):
    with endpoint() as one, endpoint() as other:
        found = ask(f"{one.url} {other.url}", tmp_path / "p.jsonl")
    assert list(found) == [case.id for case in CASES]
    assert sorted(one.asked + other.asked) == sorted(case.messages[-1]["content"] for case in CASES)
    assert one.asked[0] == "hi 0"
    assert other.asked


def test_no_tools_are_sent_where_a_case_has_none(tmp_path):
    bare = Case(id="a", messages=[{"role": "user", "content": "hi"}], tools=[], expected=[])
    with endpoint() as server:
        ask(server.url, tmp_path / "p.jsonl", [bare])
    assert "tools" not in server.requests[0]


def test_asks_as_many_at_a_time_as_allowed(tmp_path):
    lock, now, most = threading.Lock(), [0], [0]

    def slow(request):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return answer("x")

    with endpoint(slow) as server:
        ask(
            server.url,
            tmp_path / "p.jsonl",
            [Case(**case(f"{i}", "hi", False)) for i in range(13)],
            limits=Limits(4, 5, 0),
        )
    assert most[0] == 4


def closes_early(request):
    return Response(iter([b'{"choices']), headers={"Content-Length": "999"})


def stalls(request):
    time.sleep(0.6)
    return answer("late")


def dribbles(request):
    return Response((time.sleep(0.1) or b" " for _ in range(8)), mimetype="application/json")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda r: Response("oops", 500), "HTTP 500: oops"),
        (lambda r: Response("slow down", 429), "HTTP 429: slow down"),
        (lambda r: Response('{"detail": "bad"}', 422), 'HTTP 422: {"detail": "bad"}'),
        (lambda r: Response("<html>gateway</html>", mimetype="text/html"), "not JSON"),
        (lambda r: Response("{", mimetype="application/json"), "not JSON"),
        (lambda r: Response("[]", mimetype="application/json"), "not an answer in OpenAI's form: the top level: Input"),
        (lambda r: {"choices": []}, "choices"),
        (lambda r: {"choices": None}, "choices"),
        (lambda r: {"choices": [{"message": {"content": 4}}]}, "choices.0.message.content"),
        (lambda r: answer(arguments={"prompt": "a"}), "choices.0.message.tool_calls.0.function.arguments"),
        (lambda r: answer("\ud800"), "lone surrogate"),
        (closes_early, "the connection broke"),
        (stalls, "no answer within 0.3 s"),
        (dribbles, "no answer within 0.3 s"),
    ],
    ids=range(14),
)
def test_what_is_not_an_answer_is_an_infra_error(tmp_path, reply, error):
    def second_only(request):
        return reply(request) if request["messages"][-1]["content"] == "hi 2" else draws(request)

    with endpoint(second_only) as server:
        found = ask(server.url, tmp_path / "p.jsonl", limits=Limits(2, 0.3, 0))
    assert error in found["c2"].error
    assert [p.id for p in found.values() if p.error] == ["c2"]


def test_passing_faults_are_retried_once_a_layer(tmp_path):
    def flaky(request):
        return Response("busy", 503) if len(server.requests) == 1 else answer("x")

    with endpoint(flaky) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[:1], limits=Limits(1, 5, 2))
        assert (found["c0"].content, len(server.requests)) == ("x", 2)
        server.reply = lambda request: Response("busy", 503)
        found = ask(server.url, tmp_path / "q.jsonl", CASES[:1], limits=Limits(1, 5, 1))
        assert ("503" in found["c0"].error, len(server.requests)) == (True, 4)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_stops_the_run_at_once(tmp_path, status):
    with endpoint(lambda r: Response("key sk-mine is wrong", status)) as server, pytest.raises(UserError) as raised:
        ask(server.url, tmp_path / "p.jsonl", key="sk-mine")
    assert len(server.requests) == 1
    assert f"refuses the key (HTTP {status})" in str(raised.value)
    assert "sk-mine" not in str(raised.value)


def test_only_the_start_of_a_run_takes_a_refusal_for_the_users_fault(tmp_path):
    for status, more in ((403, {}), (404, {}), (307, {"Location": "https://elsewhere.example/v1"})):
        log = tmp_path / f"{status}.jsonl"
        with endpoint(lambda r, s=status, m=more: Response("no", s, headers=m)) as server:
            with pytest.raises(UserError, match=f"HTTP {status}"):
                ask(server.url, log)
            assert len(server.requests) == 1
            server.reply = lambda r: answer("x")
            ask(server.url, log, CASES[:1])
            server.reply = lambda r, s=status, m=more: Response("no", s, headers=m)
            found = ask(server.url, log, CASES[:3])
        assert [(p.error or "")[:8] for p in found.values()] == ["", f"HTTP {status}", f"HTTP {status}"]


def test_a_redirect_leads_nowhere_and_sends_nothing_on(tmp_path):
    with endpoint() as other:
        moved = {"Location": f"{other.url}/chat/completions?token=1"}
        with endpoint(lambda r: Response("", 307, headers=moved) if "draw" in str(r) else answer("x")) as server:
            found = ask(server.url, tmp_path / "p.jsonl", CASES[:2])
    assert found["c1"].error.startswith(f"HTTP 307: redirects to {other.url}")
    assert other.requests == []


def test_broken_connections_do_not_end_a_run(tmp_path):
    cases = [Case(**case(f"{i}", "hi", False)) for i in range(GONE + 4)]
    with endpoint(lambda r: closes_early(r) if len(server.requests) > 1 else answer("x")) as server:
        found = ask(server.url, tmp_path / "p.jsonl", cases, limits=Limits(1, 5, 0))
        assert len(server.requests) == len(cases)
    assert all(p.error.startswith("the connection broke") for p in list(found.values())[1:])


KEY = 'sk-Marker-9f3a77"/+'


@pytest.mark.parametrize(
    "says",
    [
        lambda header: answer(f"you sent {header}"),
        lambda header: answer(arguments=json.dumps({"prompt": header})),
        lambda header: answer(arguments='{"prompt": "' + "".join(f"\\u{ord(c):04x}" for c in header) + '"}'),
        lambda header: Response(json.dumps(answer(header)).replace("-", "\\u002d"), mimetype="application/json"),
        lambda header: {"choices": header},
        lambda header: Response(header, mimetype="text/plain"),
        lambda header: Response(header, 400),
        lambda header: Response(quote(header, safe=""), 400),
        lambda header: Response(base64.b64encode(f"GET / {header}".encode()), 500),
        lambda header: answer(header[: len("Bearer ") + 10]),
        lambda header: {**answer("x"), "usage": {header: 1}, "id": header},
        lambda header: Response("", 307, headers={"Location": f"http://a.example/{quote(header)}"}),
    ],
)
def test_a_key_that_a_server_repeats_is_written_nowhere(tmp_path, says):
    with endpoint(lambda r: says(f"Bearer {KEY}") if "draw 1" in str(r["messages"]) else draws(r)) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[:2], key=KEY)
    results = score(CASES[:2], read_samples(tmp_path / "p.jsonl"))
    write_scores(tmp_path, results, summarise(results))
    texts = [path.read_text("utf-8") for path in tmp_path.iterdir()]
    texts += [str(found["c1"]), str(json.loads(texts[0].splitlines()[1]))]
    for text in texts:
        assert "9f3a77" not in text and "arker-9f" not in text and "k-Marker-9"[:9] not in text
        assert base64.b64encode(KEY.encode()).decode()[4:12] not in text


def test_a_key_that_stops_working_stops_the_run(tmp_path):
    def expires(request):
        return Response("no", 401) if len(server.requests) > 2 else answer("x")

    with endpoint(expires) as server, pytest.raises(UserError, match="refuses the key"):
        ask(server.url, tmp_path / "p.jsonl")
    assert {p.content for p in first_answers(tmp_path / "p.jsonl").values()} == {"x"}


def test_no_part_of_a_key_is_quoted_where_the_words_are_cut(tmp_path):
    with endpoint(lambda r: Response("x" * 295 + "sk-mine", 400)) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[:1], key="sk-mine")
    assert found["c0"].error == f"HTTP 400: {'x' * 295}***"


def test_the_words_of_a_server_without_a_key_stay_whole(tmp_path):
    with endpoint(lambda r: Response("none of them", 400)) as server:
        assert ask(server.url, tmp_path / "p.jsonl", CASES[:1])["c0"].error == "HTTP 400: none of them"


def test_a_server_that_repeats_the_key_is_not_quoted(tmp_path):
    with endpoint(lambda r: Response("bad key sk-mine", 400)) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[:1], key="sk-mine")
    assert found["c0"].error == "HTTP 400: bad key ***"


@pytest.mark.parametrize("key", ["sk-clé-4711", "sk-4711-abc\n", "sk 4711\x00"])
def test_a_key_that_no_header_takes_is_named(tmp_path, key):
    with pytest.raises(UserError, match="API key: holds") as raised:
        ask("http://127.0.0.1:9/v1", tmp_path / "p.jsonl", key=key)
    assert "4711" not in str(raised.value)


def test_nobody_at_the_url_stops_the_run(tmp_path):
    with endpoint() as server:
        url = server.url
    with pytest.raises(UserError, match="no connection") as raised:
        ask(url, tmp_path / "p.jsonl")
    assert url in str(raised.value)


def test_an_unknown_model_or_path_stops_the_run_only_at_the_start(tmp_path):
    with endpoint(lambda r: Response("no such model", 404)) as server:
        with pytest.raises(UserError, match=r"HTTP 404 for model 'm': no such model"):
            ask(server.url, tmp_path / "p.jsonl")
        server.reply = lambda r: answer("x") if len(server.requests) == 2 else Response("gone", 404)
        found = ask(server.url, tmp_path / "q.jsonl")
    assert [p.error for p in found.values()] == [None] + ["HTTP 404: gone"] * 5


def test_an_endpoint_that_dies_is_not_asked_for_ever(tmp_path):
    cases = [Case(**case(f"{i}", "hi", False)) for i in range(GONE + 10)]
    with endpoint() as server:
        stop = lambda done: server.server.stop() if done == 1 else None  # noqa: E731
        found = ask(server.url, tmp_path / "p.jsonl", cases, limits=Limits(1, 5, 0), tell=stop)
    errors = [p.error or "" for p in found.values()]
    assert errors[0] == ""
    assert all(error.startswith("no connection") for error in errors[1 : GONE + 1])
    assert errors[GONE + 1 :] == ["not asked: the endpoint had gone"] * 9


def test_a_rerun_asks_only_for_what_is_missing_or_failed(tmp_path):
    log = tmp_path / "p.jsonl"
    with endpoint(lambda r: Response("no", 500) if "draw 3" in str(r) else draws(r)) as server:
        ask(server.url, log, CASES[:4])
        assert first_answers(log)["c3"].error
        with log.open("a", encoding="utf-8") as file:
            file.write('{"id": "c4", "con')  # a kill in the middle of a line
        server.reply, server.requests[:] = draws, []
        found = ask(server.url, log)
        assert sorted(server.asked) == ["draw 3", "draw 5", "hi 4"]
        assert not [p for p in found.values() if p.error]
        assert len(log.read_text("utf-8").splitlines()) == 6
        server.requests.clear()
        assert ask(server.url, log) == found
        assert server.requests == []


def test_a_probe_asks_in_full_only_where_a_call_may_have_begun(tmp_path):
    def long(request):
        text = "<tool_call>" if "draw" in request["messages"][-1]["content"] else "Well, well, "
        return answer(text * request["max_tokens"], finish="length")

    with endpoint(long) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[:2], Sampling(max_tokens=9, probe_tokens=2))
    assert [request["max_tokens"] for request in server.requests] == [2, 2, 9]
    assert (found["c0"].content, found["c1"].content) == ("Well, well, " * 2, "<tool_call>" * 9)


def test_messages_for_llamafactory():
    made = {"function": {"name": "f", "arguments": '{"a": {"b": "ö"}}'}, "id": "1", "type": "function"}
    call = {"role": "assistant", "content": None, "tool_calls": [made]}
    messages = [{"role": "developer", "content": "s"}, {"role": "user", "content": "u"}, call]
    messages += [{"role": "tool", "content": "1", "tool_call_id": "1"}, {"role": "tool", "content": "2"}]
    written = for_llamafactory(messages)
    assert [message["role"] for message in written] == ["system", "user", "function", "tool"]
    assert json.loads(written[2]["content"]) == [{"name": "f", "arguments": {"a": {"b": "ö"}}}]
    assert written[3]["content"] == "1\n2"
    assert messages[3]["content"] == "1"  # the case is left alone


def test_broken_calls_of_earlier_turns_stay_as_they_are():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}
    assert for_llamafactory([call]) == [{**call, "content": ""}]


def test_keys_come_from_the_environment(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MINE", raising=False)
    assert key_from(None) == "none"
    with pytest.raises(UserError, match="MINE: the variable is not set"):
        key_from("MINE")
    monkeypatch.setenv("OPENAI_API_KEY", "a")
    monkeypatch.setenv("MINE", "b")
    assert (key_from(None), key_from("MINE")) == ("a", "b")


RAW = Sampling(mode="raw")


def test_raw_mode_sends_no_tools_and_reads_the_text(tmp_path):
    def says(request):
        assert "tools" not in request
        text = request["messages"][-1]["content"]
        call = f'<tool_call>\n{{"name": "generate_image", "arguments": {{"prompt": "{text}"}}}}\n</tool_call>'
        return answer(call if "draw" in text else "Hello!")

    with endpoint(says) as server:
        found = ask(server.url, tmp_path / "p.jsonl", sampling=RAW)
    system = server.requests[0]["messages"][0]
    assert system["role"] == "system"
    assert '{"type": "function", "function": {"name": "generate_image"' in system["content"]
    assert found["c1"].tool_calls[0]["function"] == {"name": "generate_image", "arguments": '{"prompt": "draw 1"}'}
    assert (found["c1"].read_as, found["c1"].content[:11]) == ("qwen", "<tool_call>")
    assert (found["c0"].tool_calls, found["c0"].read_as, found["c0"].content) == ([], None, "Hello!")
    assert first_answers(tmp_path / "p.jsonl") == found
    assert judge(CASES[1], found["c1"]).verdict == "correct"
    assert judge(CASES[0], found["c0"]).verdict == "correct"


@pytest.mark.parametrize(
    ("text", "read_as", "verdict"),
    [
        ('<tool_call>{"name": "draw", "arguments": {}}</tool_call>', "qwen", "unknown_tool"),
        ('{"name": "generate_image", "parameters": {"prompt": "a"}}', "json", "correct"),
        ("[generate_image(prompt='a')]", "pythonic", "correct"),
        ('{"name": "draw", "parameters": {}}', None, "malformed_attempt"),
        ('<tool_call>{"name": "generate_image", "arguments": {"prompt": "a"}}', None, "malformed_attempt"),
        ('<tool_call>{"name": "generate_image", "arguments": {"prompt": }}</tool_call>', None, "bad_json"),
        (
            '<think>\n<tool_call>?\n</think>\n<tool_call>{"name": "generate_image", "arguments": {"prompt": "a"}}</tool_call>',
            "qwen",
            "correct",
        ),
        ("I draw it.", None, "no_call"),
        (None, None, "no_call"),
    ],
)
def test_what_raw_mode_makes_of_a_text(tmp_path, text, read_as, verdict):
    with endpoint(lambda request: answer(text)) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[1:2], RAW)
    assert (found["c1"].read_as, judge(CASES[1], found["c1"]).verdict) == (read_as, verdict)


def test_the_form_that_was_asked_for_is_read_whatever_the_tool(tmp_path):
    with endpoint(lambda request: answer('{"name": "draw", "parameters": {}}')) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[1:2], Sampling(mode="raw", raw_format="llama3"))
    assert (found["c1"].read_as, judge(CASES[1], found["c1"]).verdict) == ("llama3", "unknown_tool")


def test_calls_that_a_server_finds_in_raw_mode_are_its_own(tmp_path):
    with endpoint() as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[1:2], RAW)
    assert (len(found["c1"].tool_calls), found["c1"].read_as) == (1, None)


def test_a_history_that_raw_mode_cannot_write_is_unscored(tmp_path):
    call = {"id": "1", "type": "function", "function": {"name": "generate_image", "arguments": "{"}}
    messages = [{"role": "user", "content": "draw"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    broken = Case(**{**case("x", "", True), "messages": [*messages, {"role": "tool", "content": "1"}]})
    with endpoint() as server:
        found = ask(server.url, tmp_path / "p.jsonl", [broken], RAW)
        assert server.requests == []
    assert "cannot be asked in raw mode" in found["x"].error


def test_native_mode_goes_without_saying():
    assert Sampling().fingerprint() == {"max_tokens": 96, "temperature": 0.0, "probe_tokens": None}
    assert RAW.fingerprint() == {**Sampling().fingerprint(), "mode": "raw", "raw_format": "qwen", "raw_system": ""}


def endless(request):
    return Response((b" " * 65536 for _ in range(10**9)), mimetype="application/json")


def endless_error(request):
    return Response((b"x" * 65536 for _ in range(10**9)), 400)


def stalls_half_way(request):
    return Response((time.sleep(1.5 * n) or b'{"choices": ' for n in range(2)), mimetype="application/json")


BOMB = gzip.compress(json.dumps(answer("a" * 8_000_000)).encode(), compresslevel=1)


def bomb(request):
    return Response(BOMB, headers={"Content-Encoding": "gzip"}, mimetype="application/json")


def moves(request):
    return Response("", 307, headers={"Location": "/v1/chat/completions"})


def told(**message):
    return {"choices": [{"message": message}]}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (endless, "an answer of 4 MiB or more"),
        (endless_error, "HTTP 400: xxx"),
        (stalls_half_way, "no answer within 1 s"),
        (bomb, "an answer of 4 MiB or more"),
        (moves, "HTTP 307: redirects to /v1/chat/completions, which is not followed; give the URL"),
        (lambda r: Response(b'{"choices": "\xff\xfe"}', mimetype="application/json"), "not UTF-8 (byte 13)"),
        (lambda r: Response("", mimetype="application/json"), "not JSON"),
        (lambda r: Response("null", mimetype="application/json"), "not an answer in OpenAI's form"),
        (lambda r: Response("[" * 100_000, mimetype="application/json"), "nested too deeply"),
        (lambda r: Response('{"choices": 1' + "0" * 5000 + "}", mimetype="application/json"), "not JSON"),
        (lambda r: {"choices": [{}]}, "choices.0.message"),
        (lambda r: {"choices": [None]}, "choices.0"),
        (lambda r: {"choices": {"0": {}}}, "choices"),
        (lambda r: {"error": {"message": "overloaded"}}, "an error in place of an answer: {"),
        (
            lambda r: Response(b'data: {"choices": []}\n\ndata: [DONE]\n\n'),
            "a stream of events, which was not asked for",
        ),
        (lambda r: Response("x", headers={"Content-Encoding": "br"}), "Content-Encoding 'br' was not asked for"),
        (lambda r: Response("x", headers={"Content-Encoding": "gzip"}), "its compression is broken"),
        (lambda r: Response("x", headers={"X-Long": "a" * 200_000}), "the connection broke"),
        (lambda r: Response("blocked", 403), "HTTP 403: blocked"),
        (lambda r: Response("gone", 404, content_type="text/html; charset=zlib"), "HTTP 404: gone"),
        (lambda r: told(content=[{"type": "text", "text": 5}]), "choices.0.message.content"),
        (lambda r: told(tool_calls={}), "choices.0.message.tool_calls"),
        (lambda r: told(tool_calls=[None]), "choices.0.message.tool_calls.0"),
        (lambda r: told(tool_calls=[{"function": None}]), "tool_calls.0.function"),
        (lambda r: told(tool_calls=[{"function": {"name": None, "arguments": ""}}]), "tool_calls.0.function.name"),
        (lambda r: {**told(content="a"), "usage": [1]}, "usage"),
    ],
    ids=range(26),
)
def test_a_hostile_server_costs_its_own_case_only(tmp_path, reply, error):
    def second_only(request):
        return reply(request) if request["messages"][-1]["content"] == "hi 2" else draws(request)

    with endpoint(second_only) as server:
        found = ask(server.url, tmp_path / "p.jsonl", limits=Limits(2, 1 if reply is stalls_half_way else 30, 0))
    assert error in found["c2"].error
    assert len(found["c2"].error) < 1_000
    assert [p.id for p in found.values() if p.error] == ["c2"]


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        ("", "missing_required"),
        ("4", "bad_json"),
        ("{", "bad_json"),
        ('{"prompt": NaN}', "bad_json"),
        ("{}", "missing_required"),
    ],
)
def test_arguments_that_are_no_object_are_the_models_fault(tmp_path, arguments, verdict):
    with endpoint(lambda request: answer(arguments=arguments)) as server:
        found = ask(server.url, tmp_path / "p.jsonl", CASES[1:2])
    assert judge(CASES[1], found["c1"]).verdict == verdict


def test_every_case_is_asked_as_often_as_there_are_samples_and_only_for_those_missing(tmp_path):
    log, sampling = tmp_path / "p.jsonl", Sampling(temperature=0.7, samples=3)
    log.write_text('{"id": "c0", "content": "old"}\n', "utf-8")  # as runs wrote it that knew no samples
    with endpoint(lambda r: Response("no", 500) if len(server.requests) == 4 else draws(r)) as server:
        first = ask(server.url, log, CASES[:3], sampling)
        assert (list(first), first["c0"].content, len(server.requests)) == (["c0", "c1", "c2"], "old", 8)
        found = read_samples(log)
        assert sorted(found) == [(f"c{i}", n) for i in range(3) for n in range(3)]
        assert sum(p.error is not None for p in found.values()) == 1
        ask(server.url, log, CASES[:3], sampling)
        assert len(server.requests) == 9
        assert not [p for p in read_samples(log).values() if p.error]
        ask(server.url, log, CASES[:3])
        assert len(server.requests) == 9
    assert first_answers(log) == {f"c{i}": p for (_, n), p in read_samples(log).items() for i in [p.id[1:]] if n == 0}


def test_samples_that_would_all_be_the_same_are_refused():
    with pytest.raises(UserError, match="3 at temperature 0 are all the same"):
        Sampling(samples=3)
    assert Sampling(temperature=0.7, samples=3).fingerprint()["samples"] == 3


def test_a_proxy_is_asked_for_other_machines_and_not_for_this_one(tmp_path, monkeypatch):
    with endpoint() as proxy, endpoint() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        ask(server.url, tmp_path / "p.jsonl", CASES[:1])
        assert (len(server.requests), len(proxy.requests)) == (1, 0)
        ask("http://model.example/v1", tmp_path / "q.jsonl", CASES[:1])
        assert (len(server.requests), len(proxy.requests)) == (1, 1)
