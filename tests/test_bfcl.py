"""Our BFCL verdicts against the wheel's own, on gold answers, on thousands of mutated ones; the data."""

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from bfcl_oracle import Oracle, data, said
from hypothesis import given, settings
from hypothesis import strategies as st

from callwright.errors import UserError
from eval.bfcl import checker, questions, simulation
from eval.bfcl.questions import GOLD_FAILS, GOLD_UNFIT, MULTI_TURN, SINGLE_TURN, Question, gold_calls, read_questions
from tools import fetch_bfcl

SEED = 20260323


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle(tmp_path_factory.mktemp("bfcl"))


@pytest.fixture(scope="module", autouse=True)
def unpacked() -> None:
    data()


def slot(rng: random.Random, calls: list[Any], kind: type | tuple[type, ...] = object) -> tuple[Any, Any] | None:
    """A place in the arguments, at any depth, that holds a value of some type: its container and key."""
    places: list[tuple[Any, Any]] = []

    def walk(container: Any) -> None:
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(value, kind):
                places.append((container, key))
            if isinstance(value, dict | list):
                walk(value)

    for _, arguments in calls:
        walk(arguments)
    return rng.choice(places) if places else None


def change(kind: type | tuple[type, ...], to: Any) -> Any:
    """A mutation of one value of some type."""

    def mutate(rng: random.Random, calls: list[Any], question: Question) -> bool:
        if place := slot(rng, calls, kind):
            container, key = place
            container[key] = to(rng, container[key])
        return bool(place)

    return mutate


def drop_argument(rng: random.Random, calls: list[Any], question: Question) -> bool:
    _, arguments = rng.choice(calls)
    return bool(arguments) and arguments.pop(rng.choice(list(arguments))) is not ...


def drop_nested(rng: random.Random, calls: list[Any], question: Question) -> bool:
    if place := slot(
        rng, [(n, {k: v for k, v in a.items() if isinstance(v, dict | list)}) for n, a in calls], dict | list
    ):
        inner = place[0][place[1]]
        if inner:
            del inner[rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))]
            return True
    return False


def add_argument(rng: random.Random, calls: list[Any], question: Question) -> bool:
    name, arguments = rng.choice(calls)
    function = next((f for f in question.functions if f["name"].replace(".", "_") == name), question.functions[0])
    unused = [key for key in function["parameters"]["properties"] if key not in arguments]
    arguments[rng.choice([*unused, "unheard_of"])] = rng.choice(["", "x", 1, 0.5, True, [], {}])
    return True


def add_nested(rng: random.Random, calls: list[Any], question: Question) -> bool:
    if place := slot(rng, calls, (dict, list)):
        inner = place[0][place[1]]
        inner.update(unheard_of=1) if isinstance(inner, dict) else inner.append(copy.deepcopy((inner or ["x"])[0]))
    return bool(place)


def other_accepted(rng: random.Random, calls: list[Any], question: Question) -> bool:
    """Another accepted value, as it stands in the data: "" and lists of options included."""
    index = rng.randrange(len(calls))
    [values] = question.accepted[index % len(question.accepted)].values()
    key = rng.choice([key for key in values if values[key]] or [None])
    if key is not None:
        calls[index][1][key] = copy.deepcopy(rng.choice(values[key]))
    return key is not None


def blank(rng: random.Random, calls: list[Any], question: Question) -> bool:
    """An argument that may be absent, given as nothing much."""
    index = rng.randrange(len(calls))
    [values] = question.accepted[index % len(question.accepted)].values()
    if optional := [key for key in values if "" in values[key]]:
        calls[index][1][rng.choice(optional)] = rng.choice(["", " -", "'", [], {}])
    return bool(optional)


def swap_values(rng: random.Random, calls: list[Any], question: Question) -> bool:
    one, two = slot(rng, calls), slot(rng, calls)
    if one and two and one != two:
        one[0][one[1]], two[0][two[1]] = copy.deepcopy((two[0][two[1]], one[0][one[1]]))
    return bool(one)


def rename(rng: random.Random, calls: list[Any], question: Question) -> bool:
    index, names = rng.randrange(len(calls)), [function["name"] for function in question.functions]
    name, arguments = calls[index]
    calls[index] = (rng.choice([*names, name.upper(), name + "_", ""]), arguments)
    return True


def reorder(rng: random.Random, calls: list[Any], question: Question) -> bool:
    rng.shuffle(calls)
    return len(calls) > 1


def repeat(rng: random.Random, calls: list[Any], question: Question) -> bool:
    calls.insert(rng.randrange(len(calls) + 1), copy.deepcopy(rng.choice(calls)))
    return True


def near(rng: random.Random, text: str) -> str:
    """A text that the tolerance for case, white space, quotes and some punctuation may forgive."""
    cut = rng.randrange(len(text) + 1)
    return rng.choice(
        [text.upper(), text.lower(), text.replace(" ", ""), text.replace("'", '"'), text.replace('"', "'"),
         text[:cut] + rng.choice(" ,./-_*^") + text[cut:], text.replace(",", "").replace(".", "")]
    )  # fmt: skip


def far(rng: random.Random, text: str) -> str:
    return rng.choice([text + "x", text[:-1], text[::-1], text + "\n", text + ";", "é" + text, text + "'", ""])


def retyped(rng: random.Random, value: Any) -> Any:
    return rng.choice([str(value), [value], {"value": value}, None, True, 0, 1, 1.0, "", [], {}, value, 10**400])


MUTATIONS: dict[str, Any] = {
    "wrong type": change(object, retyped),
    "near string": change(str, near),
    "other string": change(str, far),
    "number as a fraction": change(int, lambda rng, n: float(n)),
    "fraction as a number": change(float, lambda rng, n: int(n)),
    "other number": change((int, float), lambda rng, n: rng.choice([n + 1, -n, n * 1.0000001, str(n)])),
    "flipped truth": change(bool, lambda rng, b: rng.choice([not b, int(b), str(b).lower()])),
    "order in a list": change(list, lambda rng, items: items[::-1]),
    "missing argument": drop_argument,
    "extra argument": add_argument,
    "missing inside": drop_nested,
    "extra inside": add_nested,
    "other accepted value": other_accepted,
    "blank": blank,
    "swapped values": swap_values,
    "wrong name": rename,
    "other order of calls": reorder,
    "missing call": lambda rng, calls, question: calls.pop(rng.randrange(len(calls))) is not ...,
    "extra call": repeat,
}


def test_it_agrees_with_bfcls_checker_on_gold_and_on_mutated_answers(oracle: Oracle):
    rng, seen, right = random.Random(SEED), Counter(), Counter()
    missed = set()
    for category in SINGLE_TURN:
        for question in read_questions(category):
            [gold] = gold_calls(question)
            answers = [("gold", gold)]
            if question.accepted:
                for kind in rng.sample(list(MUTATIONS), 5):
                    calls = copy.deepcopy(gold)
                    if MUTATIONS[kind](rng, calls, question):
                        answers.append((kind, calls))
            else:
                answers.append(("no call", []))
                answers.append(("any call", [("anything", {})]))
            for kind, calls in answers:
                fault = checker.fault(category, question.functions, checker.decode(said(calls)), question.accepted)
                assert oracle.right(question, said(calls)) == (fault is None), (question.id, kind, calls, fault)
                seen[kind] += 1
                right[kind] += fault is None
                if kind == "gold" and fault:
                    missed.add(question.id)
    assert missed == GOLD_FAILS
    assert set(MUTATIONS) < set(seen)
    mutated = sum(seen[kind] for kind in MUTATIONS)
    assert mutated >= 5_000, mutated
    assert 0.1 < sum(right[kind] for kind in MUTATIONS) / mutated < 0.9, "the oracle must both credit and refuse"
    assert min(seen[kind] for kind in MUTATIONS) >= 30, seen


def test_tools_are_sent_as_bfcl_sends_them(oracle: Oracle):
    for category in (*SINGLE_TURN, MULTI_TURN):
        entries = oracle.entries(category)
        for question, entry in zip(read_questions(category), entries, strict=True):
            theirs = oracle.tools(entry["function"])
            for tool in theirs:
                tool["function"].pop("response", None)  # of multi-turn documents: no part of OpenAI's form
            assert question.tools == theirs, question.id


def test_calls_that_cannot_be_read_are_judged_as_bfcl_judges_them(oracle: Oracle):
    name = '{"function": {"name": "f", "arguments": %s}}'
    broken = [json.loads(name % json.dumps(text)) for text in ("", "{", "[]", "1", "null", '{"a": NaN}', "[" * 9999)]
    whole = json.loads(name % '"{}"')
    for category in ("simple_python", "irrelevance", "live_relevance"):
        question = read_questions(category)[0]
        for calls in ([], [whole], [whole, broken[0]], *([call] for call in broken)):
            fault = checker.fault(category, question.functions, checker.decode(calls), question.accepted)
            assert oracle.right(question, calls) == (fault is None), (category, calls)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    value=JSON, tool_calls=st.lists(st.dictionaries(st.sampled_from(["function", "id"]), JSON, max_size=2), max_size=2)
)
def test_no_answer_makes_the_checker_fail(value: Any, tool_calls: list[Any]):
    schemas = [{"type": kind} for kind in checker.TYPES if kind not in checker.NESTED]
    schemas += [{"type": kind, "items": {"type": item}} for kind in checker.NESTED for item in checker.TYPES]
    for schema in schemas:
        function = {"name": "f", "parameters": {"properties": {"a": schema}, "required": ["a"]}}
        for accepted in ([""], ["x"], [1], [["x"]], [{"k": ["v"]}], [[{"k": ["v", ""]}]], ["", [1, 2]]):
            checker.fault("simple_python", [function], [("f", {"a": value})], [{"f": {"a": accepted}}])
    tool_calls = [call for call in tool_calls if isinstance(call.get("function") or {}, dict)]
    checker.decode(tool_calls)


# ---- several turns ---------------------------------------------------------------------------------------------------


def mutated_turns(rng: random.Random, question: Question) -> list[Any]:
    """A gold trajectory with one thing changed: each turn a list of steps, each step a list of calls."""
    turns = [[[call] for call in turn] for turn in copy.deepcopy(gold_calls(question))]
    busy = [steps for steps in turns if steps]
    steps = rng.choice(busy)
    place = rng.randrange(len(steps))
    match rng.choice(
        ["drop", "repeat", "swap", "argument", "name", "join", "early", "extra", "short", "reverse", "none"]
    ):
        case "drop":
            del steps[place]
        case "repeat":
            steps.append(copy.deepcopy(steps[place]))
        case "swap":
            steps.insert(0, steps.pop(place))
        case "argument":
            if found := slot(rng, steps[place]):
                found[0][found[1]] = rng.choice(["", "x", 1, 2.5, False, [found[0][found[1]]], None])
        case "name":
            steps[place] = [(rng.choice(["ls", "mean", "logout", "unheard_of"]), steps[place][0][1])]
        case "join":
            steps[:] = [[call for step in steps for call in step]]
        case "early":
            first = turns[0]
            first.append(steps.pop(place))
        case "extra":
            steps[place][0][1]["unheard_of"] = 1
        case "short":
            turns.pop()
        case "reverse":
            steps.reverse()
        case "none":
            steps.clear()
    return turns


def without_one_call(gold: list[Any]) -> Iterator[list[Any]]:
    for number, steps in enumerate(gold):
        for place in range(len(steps)):
            yield [*gold[:number], steps[:place] + steps[place + 1 :], *gold[number + 1 :]]


def test_turns_are_judged_as_bfcl_judges_them(oracle: Oracle):
    rng, right = random.Random(SEED), Counter()
    for question in read_questions(MULTI_TURN):
        gold = [[[call] for call in turn] for turn in gold_calls(question)]
        assert simulation.fault(question, gold) is None
        assert oracle.right_turns(question, gold)
        for turns in [*without_one_call(gold), mutated_turns(rng, question), mutated_turns(rng, question)]:
            fault = simulation.fault(question, turns)
            assert oracle.right_turns(question, turns) == (fault is None), (question.id, turns, fault)
            right[fault is None] += 1
    assert min(right[True], right[False]) > 100, right


def test_a_tool_that_must_answer_twice_is_called_twice(oracle: Oracle):
    question = replace(mathematics(), accepted=[["add(a=1,b=2)", "add(a=1,b=2)"]])
    once, twice = [[[("add", {"a": 1, "b": 2})]]], [[[("add", {"a": 1, "b": 2})] * 2]]
    for turns, right in ((once, False), (twice, True)):
        assert oracle.right_turns(question, turns) == (simulation.fault(question, turns) is None) == right


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("add", {"a": 1, "b": 2}, '{"result": 3}'),
        ("__class__", {}, "'__class__' is not defined"),
        ("_load_scenario", {}, "is not defined"),
        ("exit", {}, "is not defined"),
        ("__import__('os').system", {}, "is not defined"),
        ("add", {"a": "__import__('os')", "b": ""}, "__import__('os')"),
        ("add", {"self": 1}, "self"),
        ("power", {"base": 9, "exponent": 10**9}, "exponent is too large"),
        ("power", {"base": 10**4000, "exponent": 9999}, "base is too large"),
        ("logarithm", {"value": 2, "base": 3, "precision": 10**9}, "precision is too large"),
        ("power", {"base": 10, "exponent": 9999}, "Error during execution"),
        ("add", {"a": float("nan"), "b": 1}, "Error during execution"),
        ("mean", {"numbers": [1, "x"]}, "must be numbers"),
    ],
)
def test_the_dispatcher_runs_public_methods_and_nothing_else(name: str, arguments: dict[str, Any], said: str):
    assert said in simulation.Simulation(mathematics()).call(name, arguments)


def mathematics() -> Question:
    return next(question for question in read_questions(MULTI_TURN) if "MathAPI" in question.classes)


def test_tools_that_a_model_ties_in_knots_stop_nothing():
    question = read_questions(MULTI_TURN)[0]
    knot = [[[("mkdir", {"dir_name": "b"}), ("cp", {"source": "b", "destination": "b"}), ("find", {})]]]
    heard = simulation.Simulation(question)
    answers = [heard.call(*call) for call in knot[0][0]]
    assert "copied to 'b/b'" in answers[1] and "recursion" in answers[2], "b holds itself"
    assert "in another state" in str(simulation.fault(question, knot * len(question.turns)))


def test_a_call_leaves_its_arguments_alone():
    question = next(q for q in read_questions(MULTI_TURN) if q.id == "multi_turn_base_90")
    turns = [[[call] for call in turn] for turn in gold_calls(question)]
    before = copy.deepcopy(turns)
    simulation.fault(question, turns)
    assert turns == before


def test_gold_that_fits_no_schema_is_exactly_what_the_constant_names():
    unfit = set()
    for category in SINGLE_TURN:
        for question in read_questions(category):
            known = [key for one in question.accepted for values in one.values() for key in values]
            expected = questions.as_case(question).expected if question.accepted else []
            held = [matcher for call in expected for matcher in call.arguments.values()]
            if len(held) < len(known) or any(not matcher["any_of"] and "optional" not in matcher for matcher in held):
                unfit.add(question.id)
    assert unfit | {"multi_turn_base_173"} == GOLD_UNFIT


def test_the_data_is_fetched_once_and_only_if_it_is_the_pinned(tmp_path, monkeypatch, capsys):
    import zipfile

    folder = tmp_path / "models" / "bfcl"
    monkeypatch.setattr(fetch_bfcl, "FOLDER", folder)
    monkeypatch.setattr(fetch_bfcl, "ROOT", tmp_path)
    monkeypatch.setattr(questions, "DATA", folder / "data")
    with pytest.raises(UserError, match=r"run python -m tools\.fetch_bfcl"):
        read_questions("multiple")
    for variable, value in (("INDEX_URL", "http://127.0.0.1:9/simple"), ("FIND_LINKS", ""), ("RETRIES", "0")):
        monkeypatch.setenv(f"PIP_{variable}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    assert fetch_bfcl.main([]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with zipfile.ZipFile(tmp_path / "bfcl_eval-2026.3.23-py3-none-any.whl", "w") as wheel:
        info = "bfcl_eval-2026.3.23.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: bfcl-eval\nVersion: 2026.3.23\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert fetch_bfcl.main([]) == 2
    assert fetch_bfcl.DIGEST in capsys.readouterr().err
    assert list(folder.parent.iterdir()) == [], "nothing half-done is left"
