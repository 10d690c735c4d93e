"""What several test modules share: a tiny random model that LLaMA-Factory can train and serve, made on the spot."""

import shutil
from pathlib import Path

import pytest
import yaml
from endpoint import case

from callwright import redact
from callwright.files import write_json, write_jsonl, write_text

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(autouse=True)
def forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test makes known is not blotted from the next one's words."""
    monkeypatch.setattr(redact, "_known", {})


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a Llama of two layers and random weights (seeded), and a byte-level ChatML tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(['{"name": "generate_image", "arguments": {"prompt": "a cat"}}', CHATML], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>"
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=fast.bos_token_id,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def infinite_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, one weight of which is infinite."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("models") / "infinite"
    shutil.copytree(tiny_model, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.down_proj.weight"][0, 0] = torch.inf
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="session")
def tiny_house(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the house with a recipe `tiny_lora`, its model, a random adapter and four cases of a task `tiny`."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    root = Path(__file__).resolve().parent.parent
    house = tmp_path_factory.mktemp("house")
    for name in ("callwright", "eval"):
        shutil.copytree(root / name, house / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tiny_model, house / "models" / "tiny")
    adapter = house / "runs" / "tiny_lora" / "train"
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=4))
    tuned.peft_config["default"].base_model_name_or_path = "models/tiny"
    tuned.save_pretrained(adapter)
    model = {"model_name_or_path": "models/tiny", "template": "qwen", "trust_remote_code": False}
    served = {"adapter_name_or_path": "runs/tiny_lora/train", "infer_backend": "huggingface", "infer_dtype": "float32"}
    trained = {"dataset": "tiny_train", "output_dir": "runs/tiny_lora/train", "finetuning_type": "lora"}
    suite = {"cases": ["data/{task}_golden.jsonl"], "max_tokens": 8, "base_probe_tokens": 4}
    configs = {"train/tiny_lora": model | trained, "serve/tiny_lora": model | served, "eval/golden": suite}
    for name, value in (configs | {"data/tiny": {"task": "tiny"}}).items():
        write_text(house / "configs" / f"{name}.yaml", yaml.safe_dump(value))
    cases = [case(f"c{i}", f"draw {i}" if i % 2 else f"hi {i}", bool(i % 2)) for i in range(4)]
    write_jsonl(house / "data" / "tiny_golden.jsonl", cases)
    write_json(house / "data" / "seeds" / "tiny" / "tools.json", cases[0]["tools"])
    return house
