import json
import time
from pathlib import Path

import pytest

from callwright.files import read_json, read_jsonl, write_jsonl
from callwright.records import Case, Prediction
from eval.compare import compare
from eval.score import main
from eval.summary import summarise
from eval.verdict import STAGES, judge

GOLDEN = json.loads((Path(__file__).parent / "cases" / "verdicts.json").read_text("utf-8"))
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}
    for name, parameters in GOLDEN["tools"].items()
]


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
    assert {golden["verdict"] for golden in GOLDEN["cases"]} == set(STAGES) - {"state_mismatch"}


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
    assert comparison.f1_gain == pytest.approx(16 / 17 - 2 / 10)
    assert comparison.f1_gain_ci95[0] > 0
    assert compare(results(errors=2), results(errors=2)) is None


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
        ({"expected": [{"name": "get_weather", "arguments": {"city": 3}}]}, "3 is not of type 'string'"),
        (
            {"expected": [{"name": "get_weather", "arguments": {"city": {"any_of": ["a", 3]}}}]},
            "3 is not of type 'string'",
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
    assert main(write(tmp_path, [case("#/$defs/town")], [])) == 2
    assert "$ref '#/$defs/town' leads nowhere" in capsys.readouterr().err


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
