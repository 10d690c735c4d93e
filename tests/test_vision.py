"""Images with conversations about them: read, written as rows, and loaded by LLaMA-Factory's own converter and plugin."""

import json
from pathlib import Path

import pytest

from callwright.files import ROOT, read_jsonl
from tools.formats import case, openai, sharegpt
from tools.formats.dataset_info import SHAREGPT

EXAMPLE = ROOT / "examples/vision/rows.jsonl"
VISION = {**SHAREGPT, "columns": {**SHAREGPT["columns"], "images": "images"}}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [sharegpt.write(sharegpt.read(record)) for _, record in read_jsonl(EXAMPLE)]


def test_the_example_s_rows_hold_their_images(rows: list[dict]):
    assert [len(row["images"]) for row in rows] == [1, 1, 1]
    assert all((ROOT / path).is_file() for row in rows for path in row["images"])
    assert [sharegpt.write(sharegpt.read(row)) for row in rows] == rows


def test_images_are_never_lost_silently():
    record = next(record for _, record in read_jsonl(EXAMPLE))
    with pytest.raises(ValueError, match="2 images, and 1 times <image>"):
        sharegpt.read({**record, "image": ["a.png", "b.png"]})
    with pytest.raises(ValueError, match="an image is a number"):
        sharegpt.read({**record, "image": 3})
    for write in (openai.write, lambda conversation: case.write(conversation, "x")):
        with pytest.raises(ValueError, match="only ShareGPT rows"):
            write(sharegpt.read(record))
    assert "images" not in sharegpt.write(sharegpt.read({**record, "image": None}))


def test_llamafactory_puts_the_images_tokens_where_they_belong(rows: list[dict], tmp_path: Path):
    """With Qwen2-VL's own image processor, which needs no download; its tokenizer is stood in for."""
    from types import SimpleNamespace

    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import DatasetAttr
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from transformers import Qwen2VLImageProcessor

    from tools.checks.encode import load_view, stand_in

    processor = SimpleNamespace(image_processor=Qwen2VLImageProcessor(), video_processor=Qwen2VLImageProcessor())
    processor.image_max_pixels, processor.image_min_pixels = 262144, 1024
    tokenizer = stand_in("qwen2_vl")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|image_pad|>", "<|vision_start|>", "<|vision_end|>"]})
    view = load_view({"template": "qwen2_vl", "dataset_dir": str(ROOT), "cutoff_len": 4096}, tokenizer, processor)
    attr = DatasetAttr("file", dataset_name="row")
    attr.join(VISION)
    encode = SupervisedDatasetProcessor(view.template, tokenizer, processor, view.data_args)._encode_data_example
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    for row in rows:
        example = get_dataset_converter("sharegpt", attr, view.data_args)(json.loads(json.dumps(row)))
        assert example["_images"] == [str(ROOT / path) for path in row["images"]]
        messages = example["_prompt"] + example["_response"]
        ids, labels = encode(messages[:-1], messages[-1:], "", "", example["_images"], [], [])
        assert ids.count(pad) == (112 // 28) ** 2
        assert pad not in labels
        assert row["conversations"][-1]["value"] in tokenizer.decode([i for i in labels if i >= 0])
