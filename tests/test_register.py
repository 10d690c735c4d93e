"""The registry keeps what others wrote, also when several register at once."""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from callwright.errors import UserError
from callwright.files import ROOT, read_json, write_jsonl, write_text
from tools.formats.dataset_info import PAIRS, SAMPLE, SHAREGPT, VISION, check, making, register


def add(args: tuple[Path, int]) -> None:
    registry, number = args
    register({f"d{number}": {"file_name": f"{number}.jsonl", **SHAREGPT}}, registry)


def test_other_entries_stay(tmp_path: Path):
    registry = tmp_path / "dataset_info.json"
    mine = {"hub": {"hf_hub_url": "a/b"}, "d1": {"file_name": "old"}}
    registry.write_text(json.dumps(mine))
    add((registry, 1))
    entries = json.loads(registry.read_text())
    assert entries["hub"] == mine["hub"]
    assert entries["d1"]["file_name"] == "1.jsonl"
    assert len(entries["d1"]["tags"]) == 7


def test_concurrent_registrations_lose_nothing(tmp_path: Path):
    registry = tmp_path / "dataset_info.json"
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(add, [(registry, number) for number in range(24)]))
    assert len(json.loads(registry.read_text())) == 24


def test_a_broken_registry_is_left_alone(tmp_path: Path):
    registry = tmp_path / "dataset_info.json"
    for broken in ("{broken", "[]"):
        registry.write_text(broken)
        with pytest.raises(UserError, match=r"not (a )?JSON"):
            add((registry, 1))
        with pytest.raises(UserError, match=r"not (a )?JSON"):
            check(registry)
        assert registry.read_text() == broken


def test_stale_entries_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good = {
        "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ok"}],
        "system": "",
        "tools": "",
    }
    odd = {**good, "conversations": good["conversations"][:1]}
    write_jsonl(tmp_path / "good.jsonl", [good] * 3)
    write_jsonl(tmp_path / "odd.jsonl", [good, odd, odd])
    (tmp_path / "cut.jsonl").write_text('{"conversations": [')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "list.json").write_text(json.dumps([{"instruction": "a", "output": "b"}]))
    tags = {key: value for key, value in SHAREGPT["tags"].items() if key != "function_tag"}
    register(
        {
            "good": {"file_name": "good.jsonl", **SHAREGPT},
            "hub": {"hf_hub_url": "a/b"},
            "hand": {"file_name": "list.json"},
            "gone": {"file_name": "gone.jsonl", **SHAREGPT},
            "odd": {"file_name": "odd.jsonl", **SHAREGPT},
            "cut": {"file_name": "cut.jsonl"},
            "empty": {"file_name": "empty.jsonl", **SHAREGPT},
            "tags": {"file_name": "good.jsonl", **SHAREGPT, "tags": tags},
            "text": "good.jsonl",
            "odd name": {"file_name": 5},
            "odd tags": {"file_name": "good.jsonl", **SHAREGPT, "tags": {"role_tag": ["from"]}},
        },
        tmp_path / "dataset_info.json",
    )
    assert check(tmp_path / "dataset_info.json") == 1
    said = capsys.readouterr().out
    for line in (
        "gone: no file gone.jsonl",
        f"odd: 2 rows: the last message is the user's: nothing to train on (first at {tmp_path}/odd.jsonl:2)",
        "cut: 1 rows: not JSON",
        "empty: holds no rows",
        "tags: tags without function_tag",
        "text: not an object",
        "odd name: `file_name` is not text",
        "odd tags: `tags` is not an object of names",
        "11 entries, 8 stale",
    ):
        assert line in said
    assert not [line for line in said.splitlines() if line.startswith(("good:", "hub:", "hand:"))]


def test_what_a_task_has_not_built_yet_is_no_fault_and_named_with_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_text(tmp_path / "configs/data/t.yaml", "task: t\n")
    write_text(tmp_path / "configs/data/m.yaml", "task: m\nsources: []\n")
    names = "t_train", "t_val", "t_val_sample", "t_pairs", "m_train", "t_odd"
    register(
        {name: {"file_name": f"data/{name}.jsonl", **SHAREGPT} for name in names[:-1]}, tmp_path / "dataset_info.json"
    )
    assert check(tmp_path / "dataset_info.json") == 0
    said = capsys.readouterr().out
    for line in (
        "3 not built yet; run: make data TASK=t",
        "SUITE=mine, then make mine TASK=t",
        "make mix TASK=m",
        "0 stale",
    ):
        assert line in said
    register({"t_odd": {"file_name": "data/t_odd.jsonl", **SHAREGPT}}, tmp_path / "dataset_info.json")
    assert check(tmp_path / "dataset_info.json") == 1, "no verb builds that"
    assert "t_odd: no file data/t_odd.jsonl" in capsys.readouterr().out


def test_the_shipped_registry_holds_what_the_verbs_write_so_that_they_leave_it_as_it_is():
    entries = read_json(ROOT / "dataset_info.json")
    for name, entry in entries.items():
        assert making(name), f"{name} is not of a shipped task"
        form = PAIRS if name.endswith("_pairs") else VISION if name.startswith("vision") else SHAREGPT
        sample = {"num_samples": SAMPLE} if name.endswith("_sample") else {}
        assert entry == {"file_name": f"data/{name.removesuffix('_sample')}.jsonl", **form, **sample}
    for path in (ROOT / "configs/data").glob("*.yaml"):
        sides = ("train",) if path.stem == "vision" else ("train", "val", "val_sample")
        assert {f"{path.stem}_{side}" for side in sides} <= entries.keys()
