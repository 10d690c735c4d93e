import itertools
import json
import random
import time
from pathlib import Path

import pytest

from callwright.errors import UserError
from callwright.files import read_json, read_jsonl, write_jsonl
from callwright.records import Call, Case, Prediction, read_records
from callwright.results import STAGES, Result
from eval.reporting.compare import compare
from eval.score import main
from eval.scoring.cases import validators_of
from eval.scoring.runs import write_scores
from eval.scoring.stats import wilson
from eval.scoring.summary import summarise as summary_of
from eval.scoring.tally import check_call
from eval.scoring.verdict import judge, pair_calls, pair_fault

GOLDEN = json.loads((Path(__file__).parent / "cases" / "verdicts.json").read_text("utf-8"))
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}
    for name, parameters in GOLDEN["tools"].items()
]


def summarise(results):
    """The summary as summary.json holds it."""
    return summary_of(results).model_dump(mode="json")


def make_case(expected, identity="a", **more):
    expected = [{"name": name, "arguments": arguments} for name, arguments in expected]
    messages = [{"role": "user", "content": "hi"}]
    return Case(**{"id": identity, "messages": messages, "tools": TOOLS, "expected": expected, **more})


def make_prediction(calls=(), identity="a", **more):
    tool_calls = [{"id": "1", "type": "function", "function": {"name": n, "arguments": a}} for n, a in calls]
    return Prediction(**{"id": identity, "tool_calls": tool_calls, "finish_reason": "stop", **more})


@pytest.mark.parametrize("golden", GOLDEN["cases"], ids=lambda golden: golden["name"])
def test_verdicts(golden):
    prediction = make_prediction(
        golden.get("calls", ()),
        content=golden.get("content"),
        finish_reason=golden.get("finish", "stop"),
        error=golden.get("error"),
    )
    result = judge(make_case(golden["expected"]), prediction)
    assert (result.verdict, result.decision) == (golden["verdict"], golden["decision"]), result.detail
    assert result.detail or result.verdict == "correct"


def test_every_verdict_has_a_golden_case():
    assert {golden["verdict"] for golden in GOLDEN["cases"]} == set(STAGES) - {"state_mismatch", "unchecked"}


def test_a_case_without_a_prediction_is_unscored():
    result = judge(make_case([]), None)
    assert (result.verdict, result.scored, result.detail) == ("infra_error", False, "not asked")


def results(tp=0, fp=0, fn=0, tn=0, errors=0, **more):
    call, right = ("generate_image", '{"prompt": "a"}'), [["generate_image", {"prompt": "a"}]]
    kinds = [(right, [call])] * tp + [([], [call])] * fp + [(right, [])] * fn + [([], [])] * tn
    found = [
        judge(make_case(e, f"{i}", **more), make_prediction(c, f"{i}", content="no", latency_s=float(i + 1)))
        for i, (e, c) in enumerate(kinds)
    ]
    return found + [judge(make_case([], f"e{i}"), make_prediction(identity=f"e{i}", error="x")) for i in range(errors)]


def test_summary_figures():
    summary = summarise(results(tp=6, fp=2, fn=3, tn=9, errors=4))
    trigger = summary["decision"]
    assert (summary["n"], summary["scored"], summary["infra_errors"]) == (24, 20, 4)
    assert [trigger[key] for key in ("tp", "fp", "fn", "tn")] == [6, 2, 3, 9]
    assert (trigger["precision"], trigger["recall"]) == (0.75, 0.6667)
    assert trigger["f1"] == pytest.approx(12 / 17, abs=1e-4)
    assert trigger["ci95"][0] < trigger["f1"] < trigger["ci95"][1]
    assert summary["strict_accuracy"] == 0.75
    assert summary["verdicts"] == {"infra_error": 4, "no_call": 3, "false_call": 2, "correct": 15}
    assert summary["latency"] == {"p50": 10.5, "p95": 19.05}
    assert sum(summary["verdicts"].values()) == summary["n"]


def test_what_has_no_denominator_is_null():
    summary = summarise(results(tn=5))
    assert summary["decision"]["precision"] is summary["decision"]["recall"] is summary["decision"]["f1"] is None
    assert summary["decision"]["ci95"] is None
    assert summary["strict_accuracy"] == 1.0
    empty = summarise(results(errors=2))
    assert (empty["scored"], empty["strict_accuracy"], empty["latency"]) == (0, None, {"p50": None, "p95": None})


def test_slices_need_both_classes_for_an_f1():
    both = results(tp=20, tn=15, tags={"lang": "en"})
    calls = [r.model_copy(update={"tags": {"lang": "zh"}}) for r in results(tp=5, fn=5)]
    slices = summarise(both + calls)["slices"]["lang"]
    assert list(slices) == ["en", "zh"]  # the largest first
    assert (slices["en"]["f1"], slices["en"]["small"], slices["en"]["calls"]) == (1.0, False, 20)
    assert (slices["zh"]["f1"], slices["zh"]["ci95"]) == (None, None)
    assert (slices["zh"]["accuracy"], slices["zh"]["small"]) == (0.5, True)


def test_cases_of_one_group_are_drawn_together():
    apart = summarise(results(tp=10, fn=10, tn=20))
    together = summarise([r.model_copy(update={"group": r.decision}) for r in results(tp=10, fn=10, tn=20)])
    width = [s["strict_accuracy_ci95"][1] - s["strict_accuracy_ci95"][0] for s in (apart, together)]
    assert width[1] > 2 * width[0]


def test_comparison_pairs_by_id_and_leaves_unscored_out():
    base, tuned = results(tp=2, fn=8, tn=10, errors=3), results(tp=9, fn=1, tn=10, errors=3)
    tuned[0] = tuned[0].model_copy(update={"decision": None, "verdict": "infra_error"})
    comparison = compare(base, list(reversed(tuned)))
    assert comparison.n == 19
    assert (comparison.decided.only_a, comparison.decided.only_b) == (0, 7)
    assert comparison.decided.p == pytest.approx(2 / 2**7)
    assert comparison.f1.value == pytest.approx(16 / 17 - 2 / 10)
    assert comparison.f1.ci95[0] > 0
    assert compare(results(errors=2), results(errors=2)) is None


def test_calls_names_arguments_and_words_are_counted():
    wanted = {"prompt": {"contains": ["cat", "hat"]}, "size": {"any_of": ["small"], "optional": True}}
    rows = [
        # right, and an optional argument that is left out
        ([["generate_image", wanted]], [("generate_image", '{"prompt": "cat in a hat"}')], None),
        # one word of two, a wrong size, an argument too many of the wrong type
        ([["generate_image", wanted]], [("generate_image", '{"prompt": "cat", "size": "huge", "count": "2"}')], None),
        # unreadable: the name counts, nothing of the arguments
        ([["get_weather", {"city": "Oslo", "days": 2}]], [("get_weather", '{"city": "Oslo"')], None),
        # another tool
        ([["get_weather", {"city": "Oslo"}]], [("generate_image", '{"prompt": "Oslo"}')], None),
        # two calls in the text, of which one fits its schema
        ([["get_weather", {"city": "Oslo"}]], [], CALLS_IN_TEXT),
        # a broken attempt where none was due, an unknown tool, nothing
        ([], [], "<tool_call>{"),
        ([], [("fly", "{}")], None),
        ([["get_weather", {"city": "Oslo"}]], [], "It is sunny."),
    ]
    found = [
        judge(make_case(expected, f"{n}"), make_prediction(calls, f"{n}", content=content))
        for n, (expected, calls, content) in enumerate(rows)
    ]
    summary = summarise(found)
    assert summary["emitted_calls"] == 1 + 1 + 1 + 1 + 2 + 1 + 1
    assert summary["parse_rate"] == pytest.approx(4 / 8, abs=1e-4)  # what stands in the text was returned by nobody
    assert summary["schema_valid_rate"] == pytest.approx(2 / 8, abs=1e-4)
    names = summary["names"]
    assert [names[key] for key in ("right", "given", "wanted")] == [3, 5, 6]
    assert (names["precision"], names["recall"], names["f1"]) == (0.6, 0.5, pytest.approx(6 / 11, abs=1e-4))
    kinds = summary["arguments"]["by_type"]
    assert {kind: tuple(kinds[kind][key] for key in ("right", "given", "wanted")) for kind in kinds} == {
        "string": (1, 3, 4),  # prompts, the size that was given, the city
        "integer": (0, 1, 1),  # the count that was given, the days that were wanted
    }
    assert (summary["arguments"]["precision"], summary["arguments"]["recall"]) == (0.25, 0.2)
    assert summary["fidelity"]["slots"] == 4
    assert (summary["fidelity"]["arrived"], summary["fidelity"]["share"]) == (3, 0.75)
    assert summary["names"]["precision_ci95"] == [round(bound, 4) for bound in wilson(3, 5)]


CALLS_IN_TEXT = """<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call>
<tool_call>
{"name": "get_weather", "arguments": {"city": 3}}
</tool_call>"""


def test_a_value_of_the_wrong_type_is_not_right_where_anything_is_accepted():
    found = judge(
        make_case([["generate_image", {"prompt": {"any": True}}]]),
        make_prediction([("generate_image", '{"prompt": 3}')]),
    )
    assert found.tally.arguments == {"string": (0, 1, 1)}
    assert (found.tally.parsed, found.tally.valid, found.verdict) == (1, 0, "wrong_type")


@pytest.mark.parametrize("depth", [100, 400, 900, 3000])
def test_arguments_nested_as_deep_as_one_likes_are_scored(tmp_path, depth):
    node = {"type": "object", "properties": {"x": {"$ref": "#/$defs/node"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": {**node, "$defs": {"node": node}}}}
    case = make_case([["f", {"x": {"any": True}}]], tools=[tool])
    deep = '{"x":' * depth + "{}" + "}" * depth
    returned = judge(case, make_prediction([("f", deep)]))
    assert returned.verdict in ("correct", "schema_violation", "bad_json")
    written = judge(case, make_prediction(content=f'<tool_call>{{"name": "f", "arguments": {deep}}}</tool_call>'))
    assert written.verdict in ("text_call_unparsed", "bad_json")
    write_scores(tmp_path, [returned, written], summary_of([returned, written]))


def test_a_schema_that_cannot_be_checked_costs_its_own_case_alone():
    doubled = {"anyOf": [{"$ref": "#/$defs/list"}, {"$ref": "#/$defs/list"}]}
    held = {"type": "array", "items": doubled}
    parameters = {"type": "object", "properties": {"x": {"$ref": "#/$defs/list"}}, "$defs": {"list": held}}
    tools = [{"function": {"name": "f", "parameters": parameters}}]
    case = make_case([["f", {"x": {"any": True}}]], tools=tools)
    deep, flat = '{"x": ' + "[" * 60 + "]" * 60 + "}", '{"x": [1]}'
    result = judge(case, make_prediction([("f", deep)]))
    assert (result.verdict, result.decision, result.scored) == ("unchecked", None, False)
    assert "f cannot be checked" in result.detail
    assert judge(case, make_prediction([("f", flat)])).verdict == "schema_violation"
    assert judge(case, make_prediction([("g", deep)])).verdict == "unknown_tool"
    assert judge(make_case([], tools=tools), make_prediction([("f", deep)])).verdict == "false_call"
    summary = summarise([result, judge(case, make_prediction([("f", '{"x": []}')]))])
    assert (summary["scored"], summary["verdicts"]) == (1, {"unchecked": 1, "correct": 1})


def test_what_was_never_given_or_asked_is_null():
    summary = summarise(results(tn=3))
    assert (summary["parse_rate"], summary["parse_rate_ci95"], summary["schema_valid_rate"]) == (None, None, None)
    assert summary["names"]["f1"] is summary["arguments"]["ci95"] is summary["fidelity"]["share"] is None
    assert summary["arguments"]["by_type"] == {}
    assert summary["replies"]["share"] == 1
    empty = summarise([])
    assert empty["replies"]["share"] is empty["pass_hat_k"] is empty["power"] is empty["decision"]["ci95"] is None


def test_replies_without_a_call_are_checked():
    said = ["Hello!", "", "hi <|im_end|>"]
    found = [
        judge(make_case([], f"{n}"), make_prediction(identity=f"{n}", content=text)) for n, text in enumerate(said)
    ]
    replies = summarise([*found, *results(fp=5, tp=5, fn=5)])["replies"]
    assert (replies["n"], replies["unbroken"], replies["share"]) == (3, 1, 0.3333)
    assert replies["share_ci95"] == [round(bound, 4) for bound in wilson(1, 3)]
    assert {fault: figures["n"] for fault, figures in replies["faults"].items() if figures["n"]} == {
        "empty": 1,
        "leak": 1,
    }


def test_a_result_alone_gives_the_same_figures_and_old_ones_are_read():
    found = results(tp=6, fp=2, fn=3, tn=9, errors=4)
    lines = [json.loads(json.dumps(result.model_dump())) for result in found]
    assert summarise([Result.model_validate(line) for line in lines]) == summarise(found)
    old = [{key: value for key, value in line.items() if key not in ("tally", "sample")} for line in lines]
    summary = summarise([Result.model_validate(line) for line in old])
    assert (summary["decision"]["f1"], summary["parse_rate"]) == (pytest.approx(12 / 17, abs=1e-4), None)


def test_pairs_are_the_best_there_are():
    rng = random.Random(1)
    values = {"generate_image": ["prompt", ["a", "b", 3]], "get_weather": ["city", ["a", "b", 3]], "fly": ["to", ["a"]]}
    checked = validators_of(make_case([]))

    def call():
        name = rng.choice(list(values))
        return Call(name=name, arguments={values[name][0]: rng.choice(values[name][1])})

    def worth(pairs):
        faults = [pair_fault(*pair) for pair in pairs]
        return sum(1000 + len(STAGES) - STAGES.index(fault[0]) for fault in faults if fault)

    for _ in range(300):
        expected = [call() for _ in range(rng.randint(1, 3))]
        given = [check_call(call(), checked) for _ in range(rng.randint(1, 3))]
        pairs = pair_calls(expected, given)
        short, long = sorted([expected, given], key=len)
        every = ([*zip(short, order, strict=False)] for order in itertools.permutations(long))
        best = min(worth(way if short is expected else [pair[::-1] for pair in way]) for way in every)
        assert (len(pairs), worth(pairs)) == (len(short), best)


def sampled(right, n, identity, **more):
    calls = [[("generate_image", '{"prompt": "a"}')]] * right + [[]] * (n - right)
    return [
        judge(
            make_case([["generate_image", {"prompt": "a"}]], identity, **more), make_prediction(c, identity, sample=k)
        )
        for k, c in enumerate(calls)
    ]


def test_pass_hat_k_is_the_share_of_all_ways_to_draw_k_answers():
    rights = [4, 2, 3, 0, 4]
    summary = summarise([result for n, right in enumerate(rights) for result in sampled(right, 4, f"{n}")])
    for k in range(1, 5):
        ways = [[all(way) for way in itertools.combinations([i < right for i in range(4)], k)] for right in rights]
        mean = sum(sum(way) / len(way) for way in ways) / len(ways)
        assert summary["pass_hat_k"][f"{k}"]["value"] == pytest.approx(mean, abs=1e-4)
        low, high = summary["pass_hat_k"][f"{k}"]["value_ci95"]
        assert low <= mean <= high
    assert (summary["n"], summary["cases"], summary["strict_accuracy"]) == (20, 5, 0.65)
    assert summary["strict_accuracy_ci95"] == summary["pass_hat_k"]["1"]["value_ci95"]
    assert summary["slices"] == {}
    assert summarise(results(tp=5))["pass_hat_k"] is None
    uneven = summarise(sampled(3, 3, "a") + sampled(1, 1, "b"))["pass_hat_k"]
    assert [(uneven[k]["cases"], uneven[k]["value"]) for k in "123"] == [(2, 1), (1, 1), (1, 1)]


def test_a_slice_of_few_cases_is_small_however_often_they_are_asked():
    found = [result for n in range(10) for result in sampled(n % 4, 8, f"{n}", tags={"lang": "en"})]
    slices = summarise(found)["slices"]["lang"]["en"]
    assert (slices["n"], slices["small"]) == (80, True)


def write(tmp_path, cases, predictions):
    write_jsonl(tmp_path / "cases.jsonl", [case if isinstance(case, dict) else case.model_dump() for case in cases])
    write_jsonl(tmp_path / "predictions.jsonl", [prediction.model_dump() for prediction in predictions])
    paths = {flag: str(tmp_path / f"{flag}.jsonl") for flag in ("cases", "predictions")}
    return ["--cases", paths["cases"], "--predictions", paths["predictions"], "--out", str(tmp_path / "out")]


def test_command_scores_without_network(tmp_path, capsys):
    cases = [make_case([["generate_image", {"prompt": "a"}]], "a"), make_case([], "b"), make_case([], "c")]
    answers = [
        make_prediction([("generate_image", '{"prompt": "a"}')], "a"),
        make_prediction(identity="b", content="x"),
    ]
    assert main(write(tmp_path, cases, answers)) == 0
    assert "2 of 3 cases scored, 1 infra errors: F1 1.000" in capsys.readouterr().out
    lines = [line for _, line in read_jsonl(tmp_path / "out" / "results.jsonl")]
    assert [(line["id"], line["verdict"]) for line in lines] == [
        ("a", "correct"),
        ("b", "correct"),
        ("c", "infra_error"),
    ]
    assert read_json(tmp_path / "out" / "summary.json")["infra_errors"] == 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"expected": [{"name": "nope", "arguments": {}}]}, "expects a call of 'nope', which the case does not offer"),
        ({"expected": [{"name": "get_weather", "arguments": {}}]}, "get_weather requires 'city'"),
        ({"expected": [{"name": "get_weather", "arguments": {"city": "a", "x": 1}}]}, "expects argument 'x'"),
        ({"expected": [{"name": "get_weather", "arguments": {"city": 3}}]}, '3 is not of type "string"'),
        (
            {"expected": [{"name": "get_weather", "arguments": {"city": {"any_of": ["a", 3]}}}]},
            '3 is not of type "string"',
        ),
        (
            {"expected": [{"name": "get_weather", "arguments": {"city": {"contains": []}}}]},
            "contains needs a list of words",
        ),
        ({"tools": [{"function": {"parameters": {"type": "object"}}}]}, "a tool needs a name"),
        ({"tools": TOOLS + TOOLS[:1]}, "'generate_image' is defined twice"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "the model answers a user or a tool"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "role 'robot' is not one of"),
        ({"expect": []}, "expect: Extra inputs are not permitted"),
    ],
)
def test_a_broken_case_is_named_and_nothing_is_written(tmp_path, capsys, change, fault):
    broken = make_case([], "b").model_dump() | change
    assert main(write(tmp_path, [make_case([], "a"), broken], [])) == 2
    message = capsys.readouterr().err
    assert f"{tmp_path / 'cases.jsonl'}:2: " in message
    assert fault in message
    assert not (tmp_path / "out").exists()


def test_a_schema_may_refer_to_itself_but_not_to_nowhere(tmp_path, capsys):
    def case(reference):
        parameters = {
            "type": "object",
            "properties": {"city": {"$ref": reference}},
            "$defs": {"city": {"type": "string"}},
        }
        tool = {"function": {"name": "f", "description": "", "parameters": parameters}}
        return {
            **make_case([]).model_dump(),
            "tools": [tool],
            "expected": [{"name": "f", "arguments": {"city": "Oslo"}}],
        }

    assert main(write(tmp_path, [case("#/$defs/city")], [make_prediction([("f", '{"city": "Oslo"}')])])) == 0
    assert main(write(tmp_path, [case("#/$defs/town")], [])) == 0
    assert "$ref '#/$defs/town' leads nowhere" in capsys.readouterr().out


def test_predictions_of_other_cases_are_refused(tmp_path, capsys):
    assert main(write(tmp_path, [make_case([], "a")], [make_prediction(identity="z")])) == 2
    assert "answers 'z', which is no case" in capsys.readouterr().err


def test_a_torn_last_line_is_dropped_and_any_other_named(tmp_path, capsys):
    arguments = write(tmp_path, [make_case([], "a"), make_case([], "b")], [make_prediction(identity="a", content="x")])
    log = tmp_path / "predictions.jsonl"
    whole = log.read_text("utf-8")
    log.write_text(whole + '{"id": "b", "content": "圖', "utf-8")
    assert main(arguments) == 0
    assert "1 of 2 cases scored" in capsys.readouterr().out
    log.write_text('{"id": "b", \n' + whole, "utf-8")
    assert main(arguments) == 2
    assert f"{log}:1: not JSON" in capsys.readouterr().err


def test_several_files_become_sets(tmp_path):
    for name in ("golden", "test"):
        write_jsonl(tmp_path / f"x_{name}.jsonl", [make_case([], f"{name}-1").model_dump()])
    write_jsonl(tmp_path / "p.jsonl", [make_prediction(identity="golden-1", content="x").model_dump()])
    files = [str(tmp_path / f"x_{name}.jsonl") for name in ("golden", "test")]
    out = tmp_path / "out"
    assert main(["--cases", *files, "--predictions", str(tmp_path / "p.jsonl"), "--out", str(out)]) == 0
    assert [line["tags"]["set"] for _, line in read_jsonl(out / "results.jsonl")] == ["golden", "test"]


def test_scoring_is_fast(tmp_path):
    right = [["generate_image", {"prompt": {"contains": ["cat"]}}]]
    cases = [make_case(right if i % 2 else [], f"{i}", tags={"lang": "en"}) for i in range(2_000)]
    predictions = [
        make_prediction([("generate_image", '{"prompt": "a cat"}')] if i % 3 else (), f"{i}", content="<tool_call>{")
        for i in range(2_000)
    ]
    started = time.perf_counter()
    assert main(write(tmp_path, cases, predictions)) == 0
    assert time.perf_counter() - started < 5


def test_samples_are_scored_apart(tmp_path):
    cases = [make_case([], "a"), make_case([], "b")]
    answers = [make_prediction(identity=i, content="x", sample=k) for i, k in (("a", 0), ("a", 2), ("b", 1), ("b", 0))]
    assert main(write(tmp_path, cases, answers)) == 0
    lines = [line for _, line in read_jsonl(tmp_path / "out" / "results.jsonl")]
    got = [(line["id"], line["sample"], line["verdict"] == "infra_error") for line in lines]
    assert got == [("a", 0, False), ("a", 1, True), ("a", 2, False), ("b", 0, False), ("b", 1, False), ("b", 2, True)]
    assert len(read_records(tmp_path / "out" / "results.jsonl", Result)) == 6
    lines[1]["sample"] = 0
    write_jsonl(tmp_path / "twice.jsonl", lines)
    with pytest.raises(UserError, match=r"twice.jsonl:2: id \('a', 0\) stands already"):
        read_records(tmp_path / "twice.jsonl", Result)
