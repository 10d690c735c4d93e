"""Sources are mixed by their shares, the same for the same seed, and no function of test is ever trained on."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import yaml
from made_records import made
from pydantic import ValidationError

from callwright.config import DataConfig, Source, load_data_config
from callwright.files import ROOT, sha256, write_jsonl
from callwright.yaml_config import load_config
from tools.rows.mix import quotas, side_of

SHAPES = {"glaive": 300, "alpaca": 500, "chat": 200, "xlam": 400}


def source(**more: object) -> Source:
    return Source.model_validate({"from": "chat", "path": "x", **more})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with made data, so that nothing is written into the real one."""
    root = tmp_path_factory.mktemp("house")
    for folder in ("callwright", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for form, count in SHAPES.items():
        rng = Random(form)
        write_jsonl(root / f"in/{form}.jsonl", [made(form, number, rng) for number in range(count)])
    (root / "configs/data").mkdir(parents=True)
    for name in ("xlam", "glaive_mix"):
        config = yaml.safe_load((ROOT / f"configs/data/{name}.yaml").read_text())
        for given in config["sources"]:
            del given["hub"]
            given["path"] = f"in/{given['from']}.jsonl"
            given["max_samples"] = min(given.get("max_samples", 1000), 250)
        (root / f"configs/data/{name}.yaml").write_text(yaml.safe_dump(config))
    return root


def run(house: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", f"tools.{module}", *args], capture_output=True, text=True, cwd=house)


def built(house: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (house / f"data/{name}.jsonl").read_text().splitlines()]


def called(row: dict) -> set[str]:
    return {json.loads(turn["value"])["name"] for turn in row["conversations"] if turn["from"] == "function_call"}


def test_xlam_splits_by_function(house: Path):
    done = run(house, "convert", "xlam")
    assert done.returncode == 0, done.stderr
    train, val, test = (built(house, f"xlam_{side}") for side in ("train", "val", "test"))
    assert len(train) + len(val) + len(test) == 250
    names = [{name for row in rows for name in called(row)} for rows in (train, val)]
    names.append({call["name"] for case in test for call in case["expected"]})
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]
    assert len(train) > 180
    picture = house / "data/work/xlam/functions.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "functions in 400 calls" in done.stdout


def test_shares_seeds_and_registration(house: Path):
    done = run(house, "convert", "glaive_mix")
    assert done.returncode == 0, done.stderr
    rows = built(house, "glaive_mix_train") + built(house, "glaive_mix_val")
    cases = built(house, "glaive_mix_test")
    # 250 of glaive are 4 shares, so a share is 62.5 rows; the two alpacas here are one made file
    assert len(rows) + len(cases) == 250 + 188 + 188 + 62
    kinds = Counter(bool(row["tools"]) for row in rows)
    assert abs(kinds[True] - 240) < 12
    texts = {row["conversations"][0]["value"] for row in rows}
    assert not texts & {case["messages"][-3]["content"] for case in cases if len(case["messages"]) > 2}
    first = [sha256(house / f"data/glaive_mix_{side}.jsonl") for side in ("train", "val", "test")]
    assert run(house, "convert", "glaive_mix").returncode == 0
    assert [sha256(house / f"data/glaive_mix_{side}.jsonl") for side in ("train", "val", "test")] == first
    config = house / "configs/data/glaive_mix.yaml"
    config.write_text(config.read_text().replace("seed: 42", "seed: 43"))
    assert run(house, "convert", "glaive_mix").returncode == 0
    assert sha256(house / "data/glaive_mix_train.jsonl") != first[0]

    assert run(house, "register", "glaive_mix").returncode == 0
    assert list(json.loads((house / "dataset_info.json").read_text())) == [
        *("glaive_mix_train", "glaive_mix_val", "glaive_mix_val_sample")
    ]
    done = run(house, "register", "--check")
    assert (done.returncode, done.stdout) == (0, "register: 3 entries, 0 stale\n")


def test_convert_registers_by_name(house: Path):
    args = ("--from", "xlam", "in/xlam.jsonl", "--out", "data/mine.jsonl", "--name", "mine")
    done = run(house, "convert", *args)
    assert done.returncode == 0, done.stderr
    assert "400 of 400 records to sharegpt, registered as mine" in done.stdout
    assert json.loads((house / "dataset_info.json").read_text())["mine"]["file_name"] == "data/mine.jsonl"


def test_a_source_that_is_not_there_leaves_nothing(house: Path):
    text = "task: gone\nsources: [{from: chat, path: in/chat.jsonl}, {from: chat, path: in/none.jsonl}]\n"
    (house / "configs/data/gone.yaml").write_text(text)
    done = run(house, "convert", "gone")
    assert done.returncode == 2
    assert "in/none.jsonl: no such file" in done.stderr
    assert not list((house / "data").glob("gone*"))
    assert list((house / "data/work/gone").iterdir()) == []
    (house / "configs/data/gone.yaml").write_text(
        text.replace("{from: chat, path: in/none.jsonl}", "{from: bfcl, path: x}")
    )
    done = run(house, "convert", "gone")
    assert done.returncode == 2 and "an evaluation set is never trained on" in done.stderr


def test_sources_fold_drop_and_mask_as_the_converter_does(house: Path):
    said = [("user", "a"), ("user", "b"), ("assistant", "one"), ("user", "c"), ("assistant", "two")]
    messages = [{"role": role, "content": text} for role, text in said] + [
        {"role": "user", "content": "d"},
        {"role": "assistant", "content": "three", "reasoning_content": "so"},
    ]
    messages[4]["weight"] = 0
    write_jsonl(house / "in/odd.jsonl", [{"messages": messages}] * 2)
    config = {"task": "odd", "split": {"train": 1, "val": 0, "test": 0}}
    config["sources"] = [
        {"from": "openai", "path": "in/odd.jsonl", "fold": True, "drop": ["thoughts"], "unlearned": "mask"}
    ]
    (house / "configs/data/odd.yaml").write_text(yaml.safe_dump(config))
    done = run(house, "convert", "odd")
    assert done.returncode == 0, done.stderr
    assert "thought" in done.stdout and "folded" in done.stdout
    rows = [[turn["value"] for turn in row["conversations"]] for row in built(house, "odd_train")]
    assert sorted(rows) == [["a\n\nb", "one"]] * 2 + [["a\n\nb", "one", "c", "two", "d", "three"]] * 2


def test_quotas_follow_shares_as_far_as_the_scarcest_reaches():
    assert quotas([100, 10], [source(), source(max_samples=5)]) == [100, 5]
    assert quotas([100, 10], [source(share=2), source(share=1)]) == [20, 10]
    assert quotas([100, 100], [source(share=0.9), source(share=0.1, max_samples=7)]) == [63, 7]
    assert quotas([1000], [source(share=1, max_samples=50)]) == [50]


def test_sides_are_near_their_proportions_and_keys_never_cross():
    keys = [f"k{n}" for n in range(5000)]
    alone = {key: side_of([key], 42, [90, 4, 6]) for key in keys}
    counts = Counter(alone.values())
    assert [round(counts[side] / 50) for side in range(3)] == pytest.approx([90, 4, 6], abs=1)
    rng = Random(1)
    for _ in range(2000):
        some = rng.sample(keys, 4)
        assert side_of(some, 42, [90, 4, 6]) == max(alone[key] for key in some)
    assert all(side_of([key], 42, [1, 0, 0]) == 0 for key in keys)


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"sources": [{"from": "chat"}]}, "either path or hub"),
        ({"sources": [{"from": "chat", "path": "x", "hub": "a/b"}]}, "either path or hub"),
        (
            {"sources": [{"from": "chat", "path": "x", "share": 1}, {"from": "chat", "path": "y"}]},
            "share to every source",
        ),
        ({"sources": [{"from": "chat", "path": "x"}], "augment": {}}, "exclude each other"),
        ({"sources": [{"from": "chat", "path": "x", "share": 0}]}, "greater than 0"),
    ],
)
def test_configs_that_contradict_themselves(more: dict, fault: str):
    with pytest.raises(ValidationError, match=fault):
        DataConfig.model_validate({"task": "t", **more})


def test_the_shipped_configs_load():
    assert load_data_config("xlam").split.by == "function"
    assert [source.from_ for source in load_data_config("glaive_mix").sources] == ["glaive", "alpaca", "alpaca", "chat"]
    for path in (ROOT / "configs/data").glob("*.yaml"):
        assert load_config(path, DataConfig).task == path.stem
