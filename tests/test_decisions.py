"""Decisions about examples: folding, appending side by side, applying, and what is reported instead."""

import resource
import signal
import subprocess
import sys
from collections import Counter

import pytest

from callwright.errors import UserError
from callwright.files import ROOT, to_json, write_jsonl
from callwright.records import Call, Example
from tools.utterances.review_log import (
    Decision,
    Live,
    apply_decisions,
    decide,
    digest,
    read_decisions,
    replay_log,
    summary,
)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "draw",
            "description": "",
            "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        },
    }
]
CALL = Call(name="draw", arguments={"what": "貓"})


def example(identity: str, text: str = "畫貓", **more) -> Example:
    value = {"calls": [CALL], "reply": None, "lineage": "l", "source": "grammar", **more}
    return Example(id=identity, text=text, **value)


def decision(subject: Example, action: str, time: str = "t", **said) -> Decision:
    return Decision(id=subject.id, action=action, sha=digest(subject), time=time, **said)


def applied(examples: list[Example], decisions: Live) -> tuple[list[Example], Counter[str], list[str]]:
    counts, left = Counter[str](), list[str]()
    return list(apply_decisions(examples, decisions, TOOLS, counts, left)), counts, left


def test_the_last_one_holds_and_undo_takes_it_back():
    a, b = example("a"), example("b")
    lines = [decision(a, "accept"), decision(b, "reject"), decision(a, "reject"), decision(a, "undo")]
    assert {identity: one.action for identity, one in replay_log(lines).items()} == {"a": "accept", "b": "reject"}
    assert set(replay_log([*lines, decision(a, "undo"), decision(a, "undo")])) == {"b"}


def test_apply_changes_what_was_decided_and_nothing_else():
    kept, gone, edited, turned = (example(name) for name in ("kept", "gone", "edited", "turned"))
    edited = edited.model_copy(update={"expected": [Call(name="draw", arguments={"what": {"contains": ["貓"]}})]})
    dog = [Call(name="draw", arguments={"what": "狗"})]
    decisions = replay_log(
        [
            decision(kept, "accept"),
            decision(gone, "reject"),
            decision(edited, "edit", text="畫狗", calls=dog),
            decision(turned, "relabel", text="畫貓難嗎", calls=[], reply="不難。"),
        ]
    )
    other = example("other")
    examples, counts, left = applied([kept, gone, edited, turned, other], decisions)
    assert [one.id for one in examples] == ["kept", "edited", "turned", "other"]
    assert examples[0] == kept and examples[3] == other
    assert (examples[1].text, examples[1].calls, examples[1].expected) == ("畫狗", dog, None)
    assert (examples[2].label, examples[2].reply, examples[2].text) == ("no_call", "不難。", "畫貓難嗎")
    assert all((one.source, one.lineage) == ("review", "l") for one in examples[1:3])
    assert (dict(counts), left) == ({"accept": 1, "reject": 1, "edit": 1, "relabel": 1}, [])


def test_a_conversation_is_edited_in_its_last_turn():
    talk = [
        {"role": "user", "content": "嗨"},
        {"role": "assistant", "content": "嗨"},
        {"role": "user", "content": "畫"},
    ]
    subject = example("talk", None, messages=talk)
    new = applied([subject], replay_log([decision(subject, "edit", text="畫貓", calls=[CALL])]))[0][0]
    assert new.text is None and new.messages == [*talk[:2], {"role": "user", "content": "畫貓"}]
    assert subject.messages == talk


def test_what_cannot_be_applied_is_reported_and_left_alone():
    was = example("changed")
    now = example("changed", "畫狗")
    unfit = example("unfit")
    lines = [decision(was, "reject"), decision(example("gone"), "reject")]
    lines.append(decision(unfit, "edit", text="畫", calls=[Call(name="paint", arguments={})]))
    examples, counts, left = applied([now, unfit], replay_log(lines))
    assert examples == [now, unfit] and not counts
    assert left == [
        "reject changed: the line has changed since",
        "edit unfit: tool 'paint' is not one of draw",
        "reject gone: there is no such line",
    ]
    printed = summary(counts, left * 3).splitlines()
    assert (
        printed[0] == "decisions applied: none; not applied: 9" and printed[-1] == "  and 4 more" and len(printed) == 7
    )


@pytest.mark.parametrize(
    "line, fault",
    [
        ("{", "not JSON"),
        ('{"id": "a", "action": "maybe", "sha": "", "time": ""}', "action: Input should be"),
        ('{"id": "a", "action": "edit", "text": "x", "sha": "", "time": ""}', "edit needs text, calls"),
        (
            '{"id": "a", "action": "relabel", "text": "x", "calls": [], "sha": "", "time": ""}',
            "relabel needs text, calls",
        ),
        ('{"id": "a", "action": "accept", "text": "x", "sha": "", "time": ""}', "accept takes no text"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_written(tmp_path, line, fault):
    path = tmp_path / "review.jsonl"
    good = to_json(decision(example("a"), "accept").model_dump(exclude_none=True))
    path.write_text(f"{good}\n{line}\n", "utf-8")
    before = path.read_bytes()
    for action in (lambda: read_decisions(path), lambda: decide(path, lambda live, time: [])):
        with pytest.raises(UserError, match=rf"review\.jsonl:2: {fault}"):
            action()
    assert path.read_bytes() == before


def test_an_open_last_line_is_closed_first(tmp_path):
    path = tmp_path / "review.jsonl"
    a, b = example("a"), example("b")
    path.write_text(to_json(decision(a, "accept").model_dump(exclude_none=True)), "utf-8")
    live, new = decide(path, lambda live, time: [decision(b, "reject", time)])
    assert set(live) == {"a", "b"} == set(replay_log(read_decisions(path))) and [one.id for one in new] == ["b"]


APPEND = """
import sys
from pathlib import Path
from tools.utterances.review_log import Decision, decide
me = sys.argv[2]
for number in range(60):
    decide(Path(sys.argv[1]), lambda live, time: [
        Decision(id=f"{me}{number}", action="edit", text="貓" * 3000 + str(len(live)), calls=[], reply="x", sha="", time=time)
    ])
"""


def test_pages_side_by_side_see_each_other_and_break_no_line(tmp_path):
    path = tmp_path / "review.jsonl"
    runs = [subprocess.Popen([sys.executable, "-c", APPEND, path, name], cwd=ROOT) for name in "ab"]
    assert [run.wait(60) for run in runs] == [0, 0]
    lines = read_decisions(path)
    assert len({one.id for one in lines}) == len(lines) == 120
    assert [str(one.text).lstrip("貓") for one in lines] == [str(number) for number in range(120)]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "review.jsonl"
    many = [example(str(number)) for number in range(100)]
    write_jsonl(path, [decision(many[0], "accept").model_dump(exclude_none=True)])
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, limits[1]))
    try:
        with pytest.raises(UserError, match="could not be written"):
            decide(path, lambda live, time: [decision(one, "reject", time) for one in many])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
