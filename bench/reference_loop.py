"""Train in a plain loop, without a trainer, for bench.train to compare with; each function runs in a process of its own."""

import json
import time
from pathlib import Path
from typing import Any

from callwright.files import write_jsonl
from callwright.settings import read_settings
from tools.training.estimate import GIB, Shape

__all__ = ["Shape", "make_model", "matrix_product", "tokenise", "train"]


def make_model(shape: Shape, folder: str) -> None:
    """Save random weights of a shape: in bfloat16, made on the GPU, if there is one and the shape is not of float32."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.set_default_device("cuda")
    sizes: dict[str, Any] = {
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim, "intermediate_size": shape.mlp,
        "vocab_size": shape.vocab, "tie_word_embeddings": shape.tied, "max_position_embeddings": 8192,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    }  # fmt: skip
    config = AutoConfig.for_model(shape.kind, **sizes)
    AutoModelForCausalLM.from_config(
        config, dtype=torch.bfloat16 if on_gpu and not shape.float32 else torch.float32
    ).save_pretrained(folder)


def matrix_product() -> None:
    """Print the floating-point operations a second of a square product: bfloat16 on a GPU, float32 on a CPU."""
    import torch

    on_gpu = torch.cuda.is_available()
    size, times, where = (8192, 50, "cuda") if on_gpu else (1024, 10, "cpu")
    matrix = torch.randn(size, size, dtype=torch.bfloat16 if on_gpu else torch.float32, device=where)
    for repeat in (3, times):  # the first warms up
        start = time.perf_counter()
        for _ in range(repeat):
            matrix @ matrix
        torch.cuda.synchronize() if on_gpu else None
    device = torch.cuda.get_device_name() if on_gpu else f"CPU, {torch.get_num_threads()} threads"
    print(json.dumps({"flops": 2 * size**3 * times / (time.perf_counter() - start), "device": device}))


def tokenise(path: str) -> None:
    """Write the tokens of the rows that the YAML at `path` names to its `tokenized_path`, as LLaMA-Factory's trainer does."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    model_args, data_args, training_args, *_ = get_train_args(read_settings(path))
    loaded = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
    get_dataset(template, model_args, data_args, training_args, stage="sft", **loaded)


def load(args: dict[str, Any]) -> Any:
    """Return the model of a train file's keys with a new LoRA, through transformers and peft."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    on_gpu, half = torch.cuda.is_available(), torch.bfloat16
    if args.get("enable_liger_kernel"):
        from liger_kernel.transformers import apply_liger_kernel_to_llama

        apply_liger_kernel_to_llama()
    how: dict[str, Any] = {"dtype": half if on_gpu else torch.float32, "device_map": {"": 0 if on_gpu else "cpu"}}
    if args.get("quantization_bit"):
        how["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_compute_dtype=half, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
        )
    model: Any = AutoModelForCausalLM.from_pretrained(args["model_name_or_path"], use_cache=False, **how)
    target = "all-linear" if args["lora_target"] == "all" else args["lora_target"].split(",")
    lora = LoraConfig("CAUSAL_LM", r=args["lora_rank"], lora_alpha=args["lora_alpha"], target_modules=target)
    return get_peft_model(model, lora)


def load_unsloth(args: dict[str, Any]) -> Any:
    """Return the same through Unsloth, without checkpointing."""
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        args["model_name_or_path"], max_seq_length=args["cutoff_len"], load_in_4bit=True, fix_tokenizer=False
    )
    return FastLanguageModel.get_peft_model(
        model, r=args["lora_rank"], lora_alpha=args["lora_alpha"], target_modules=args["lora_target"].split(","),
        lora_dropout=0.0, use_gradient_checkpointing=False,
    )  # fmt: skip


def train(path: str) -> None:
    """Train as the YAML at `path` says in a plain loop: the same rows, batches and logs, no trainer around them."""
    args = read_settings(path)
    model: Any = (load_unsloth if args.get("use_unsloth") else load)(args)
    import torch
    from datasets import load_from_disk
    from transformers.trainer_pt_utils import get_length_grouped_indices

    on_gpu, half = torch.cuda.is_available(), torch.bfloat16
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
    rows = load_from_disk(args["tokenized_path"])["train"].shuffle(seed=42).to_list()
    size, device = args["per_device_train_batch_size"], model.device
    if args.get("train_sampling_strategy") == "group_by_length":
        rows = [rows[i] for i in get_length_grouped_indices([len(row["input_ids"]) for row in rows], size)]
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats() if on_gpu else None  # of training alone, without loading
    for step in range(1, args["max_steps"] + 1):
        some = [rows[(step * size + i) % len(rows)] for i in range(size)]
        longest = -8 * (-max(len(row["input_ids"]) for row in some) // 8)  # a multiple of eight, as the collator has it

        def padded(key: str, fill: int, some: Any = some, longest: int = longest) -> Any:
            return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in some]).to(device)

        mask = padded("attention_mask", 0)
        with torch.autocast(device.type, dtype=half, enabled=on_gpu):
            loss = model(input_ids=padded("input_ids", 0), attention_mask=mask, labels=padded("labels", -100)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % args["logging_steps"] == 0:
            print({"loss": f"{loss.item():.4g}"}, flush=True)
    if on_gpu:
        most = torch.cuda.max_memory_allocated() / GIB, torch.cuda.max_memory_reserved() / GIB
        log = dict(zip(("vram_allocated", "vram_reserved"), most, strict=True))
        write_jsonl(Path(args["output_dir"]) / "trainer_log.jsonl", [log])
