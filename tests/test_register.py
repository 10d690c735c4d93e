"""The registry keeps what others wrote, also when several register at once."""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from callwright.errors import UserError
from tools.register import SHAREGPT, register


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
    registry.write_text("{broken")
    with pytest.raises(UserError, match="not JSON"):
        add((registry, 1))
    assert registry.read_text() == "{broken"
