import itertools

import pytest
from endpoint import answer, case

from callwright.files import read_json
from callwright.records import Case, Prediction
from callwright.results import STAGES
from eval.scoring.attribution import CAUSES, attribute, cause_of, sentence, write_attribution
from eval.scoring.verdict import judge

CALL = Case(**case("c", "draw", True))
CHAT = Case(**case("t", "hi", False))


def result(case, text=None, arguments=None, error=None, sample=0):
    if error:
        return judge(case, Prediction(id=case.id, error=error))
    message = answer(text, arguments)["choices"][0]["message"]
    calls = message.get("tool_calls", [])
    return judge(case, Prediction(id=case.id, content=text, tool_calls=calls, sample=sample))


RIGHT = result(CALL, arguments='{"prompt": "a"}')
IN_TEXT = result(CALL, '<tool_call>{"name": "generate_image", "arguments": {"prompt": "a"}}</tool_call>')
BROKEN = result(CALL, "<tool_call>{")
PLAIN = result(CALL, "I cannot draw.")
NO_PROMPT = result(CALL, arguments="{}")
QUIET = result(CHAT, "Hello!")
CALLED = result(CHAT, arguments="{}")
TRIED = result(CHAT, "<tool_call>{")
UNASKED = result(CALL, error="HTTP 500")


@pytest.mark.parametrize(
    ("native", "raw", "cause"),
    [
        (RIGHT, RIGHT, "both right"),
        (QUIET, QUIET, "both right"),
        (IN_TEXT, RIGHT, "server"),  # its parser: the call stands in what it returned
        (PLAIN, RIGHT, "server"),  # its prompt, or a parser that swallowed the call
        (NO_PROMPT, RIGHT, "server"),
        (CALLED, QUIET, "server"),
        (TRIED, QUIET, "server"),
        (RIGHT, PLAIN, "raw prompt"),
        (QUIET, CALLED, "raw prompt"),
        (PLAIN, PLAIN, "model"),
        (BROKEN, BROKEN, "model"),
        (BROKEN, PLAIN, "model"),
        (PLAIN, BROKEN, "model"),
        (NO_PROMPT, PLAIN, "model"),
        (CALLED, CALLED, "model"),
        (TRIED, CALLED, "model"),
        (IN_TEXT, NO_PROMPT, "model and server"),
        (PLAIN, NO_PROMPT, "model and server"),
        (UNASKED, RIGHT, "unscored"),
        (RIGHT, UNASKED, "unscored"),
    ],
)
def test_whose_fault_it_is(native, raw, cause):
    assert cause_of(native, raw) == cause


def test_every_pair_of_verdicts_has_a_cause():
    for native, raw in itertools.product(STAGES, repeat=2):
        pair = [RIGHT.model_copy(update={"verdict": v, "decision": None if v == "infra_error" else "tp"}) for v in (native, raw)]  # fmt: skip
        assert cause_of(*pair) in CAUSES
        assert (cause_of(*pair) == "both right") == (native == raw == "correct")


def test_the_table(tmp_path):
    names = "abcd"
    native = [
        one.model_copy(update={"id": name}) for name, one in zip(names, (PLAIN, RIGHT, PLAIN, IN_TEXT), strict=True)
    ]
    raw = [one.model_copy(update={"id": name}) for name, one in zip("cab", (PLAIN, PLAIN, RIGHT), strict=True)]
    raw.append(RIGHT.model_copy(update={"id": "d"}))
    rows = attribute([*native, RIGHT.model_copy(update={"id": "only native"})], raw)
    write_attribution(tmp_path, rows)
    assert read_json(tmp_path / "attribution.json") == [
        {"native": "text_call_unparsed", "raw": "correct", "n": 1, "cause": "server", "ids": ["d"]},
        {"native": "no_call", "raw": "no_call", "n": 2, "cause": "model", "ids": ["a", "c"]},
        {"native": "correct", "raw": "correct", "n": 1, "cause": "both right", "ids": ["b"]},
    ]
    assert sentence(rows) == "attribution: 4 answers native and raw: server 1, model 2, both right 1"
    assert sentence([]) == "attribution: 0 answers native and raw: none"


def test_samples_are_paired_with_their_own():
    native = [RIGHT, PLAIN.model_copy(update={"sample": 1})]
    raw = [PLAIN.model_copy(update={"sample": 1}), RIGHT]
    assert {(row.cause, row.n, *row.ids) for row in attribute(native, raw)} == {
        ("both right", 1, "c"),
        ("model", 1, "c"),
    }
    both = attribute([PLAIN, *native[1:]], [PLAIN, *raw[:1]])
    assert [(row.n, row.ids) for row in both] == [(2, ["c"])]
