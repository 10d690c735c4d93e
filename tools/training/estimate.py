"""Estimate what memory a training run takes on a GPU; docs/scale.md has the figures beside measured peaks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, read_json, read_jsonl, to_json
from callwright.recipes import Recipe

GIB = 2**30
CONTEXT = 0.6 * GIB
"""the CUDA context, cuBLAS's and bitsandbytes' workspaces: what nvidia-smi shows beside torch's own memory"""
BLOCK = 64
"""weights that share a quantisation constant (bitsandbytes NF4); 256 constants share one in double quantisation"""
BYTES_PER_TOKEN = 3.0
"""of UTF-8 text, where the model's tokenizer is not at hand"""
TURN_TOKENS, TOOLS_TOKENS, PATCH = 8, 150, 28 * 28
"""what a template writes around a turn, and around tools and calls; pixels of an image that become one token (Qwen2-VL)"""


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes, by the names of transformers' config."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int
    tied: bool
    """whether the output layer is the embedding"""
    float32: bool = False
    """whether the weights are stored so"""
    more: float = 0.0
    """parameters beside the decoder: a vision tower"""
    kind: str = "llama"
    """transformers' model_type"""

    def linear(self) -> dict[str, tuple[int, int]]:
        """Return the linear modules of a layer, each with its inputs and outputs."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (self.hidden, q),
            "k_proj": (self.hidden, kv),
            "v_proj": (self.hidden, kv),
            "o_proj": (q, self.hidden),
            "gate_proj": (self.hidden, self.mlp),
            "up_proj": (self.hidden, self.mlp),
            "down_proj": (self.mlp, self.hidden),
        }

    @property
    def body(self) -> int:
        """weights of all layers"""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.linear().values())

    @property
    def stored(self) -> float:
        """weights that are never quantised: embedding, output layer, vision tower"""
        return self.vocab * self.hidden * (1 if self.tied else 2) + self.more

    def lora(self, rank: int, target: str) -> int:
        """Count the weights of an adapter."""
        names = self.linear() if target == "all" else {name.strip() for name in target.split(",")}
        return self.layers * rank * sum(sum(sizes) for name, sizes in self.linear().items() if name in names)


# From each model's config.json.
SHAPES = {
    "SmolLM2-135M": Shape(576, 30, 9, 3, 64, 1536, 49152, True),
    "smollm2-135m": Shape(576, 30, 9, 3, 64, 1536, 49152, True, float32=True),  # as tools.fetch_model stores it
    "functiongemma-270m": Shape(640, 18, 4, 1, 256, 2048, 262144, True, kind="gemma3_text"),
    "gemma-3-1b": Shape(1152, 26, 4, 1, 256, 6912, 262144, True, kind="gemma3_text"),
    "Llama-3.2-1B": Shape(2048, 16, 32, 8, 64, 8192, 128256, True),
    "Llama-3.1-8B": Shape(4096, 32, 32, 8, 128, 14336, 128256, False),
    "Phi-3-mini": Shape(3072, 32, 32, 32, 96, 8192, 32064, False, kind="phi3"),
    "Qwen1.5-4B": Shape(2560, 40, 20, 20, 128, 6912, 151936, False, kind="qwen2"),
    "qwen2.5-coder-0.5b": Shape(
        896, 24, 14, 2, 64, 4864, 151936, False, kind="qwen2"
    ),  # as tools.fetch_model stores it
    "Qwen2-VL-2B": Shape(1536, 28, 12, 2, 128, 8960, 151936, True, more=665e6, kind="qwen2_vl"),
    "Qwen3-0.6B": Shape(1024, 28, 16, 8, 128, 3072, 151936, True, kind="qwen3"),
    "Qwen3-1.7B": Shape(2048, 28, 16, 8, 128, 6144, 151936, True, kind="qwen3"),
    "Qwen3-4B": Shape(2560, 36, 32, 8, 128, 9728, 151936, True, kind="qwen3"),
}


def shape_of(model: str) -> Shape:
    """Return the sizes of a model: from its config.json where it is a folder, from SHAPES by the beginning of its name else.

    Raises:
        UserError: neither is there.
    """
    path = ROOT / model / "config.json"
    if not path.is_file():
        known = next((shape for name, shape in SHAPES.items() if Path(model).name.startswith(name)), None)
        if known is None:
            raise UserError(model, "its sizes are not known here", f"fetch it, or choose one of: {', '.join(SHAPES)}")
        return known
    config = read_json(path)
    config = config.get("text_config", config)
    try:
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        return Shape(
            hidden,
            config["num_hidden_layers"],
            heads,
            config.get("num_key_value_heads") or heads,
            config.get("head_dim") or hidden // heads,
            config["intermediate_size"],
            config["vocab_size"],
            bool(config.get("tie_word_embeddings")),
            (config.get("dtype") or config.get("torch_dtype")) == "float32",
        )
    except KeyError as error:
        raise UserError(path, f"no key {error}", "only decoders that are laid out as Llama is are known") from None


def estimate(settings: dict[str, Any], shape: Shape, row: int) -> dict[str, float]:
    """Estimate the bytes that training needs at its peak, by what they are for.

    Args:
        settings: a train file's keys.
        row: tokens of the longest row: a batch is padded to it.
    """
    bits, full = settings.get("quantization_bit"), settings.get("finetuning_type", "lora") == "full"
    half = bool(settings.get("bf16") or settings.get("fp16"))
    weights, pairs = shape.body + shape.stored, settings.get("stage") == "dpo"
    trained = weights if full else shape.lora(int(settings.get("lora_rank", 8)), _target(settings))
    parts = {"weights": weights * (4 if full or shape.float32 else 2)}
    if bits:
        parts["weights"] = shape.body * bits / 8 + shape.stored * 2
        double = settings.get("double_quantization", True)
        parts["quantisation constants"] = shape.body / BLOCK * (1 + 4 / 256 if double else 4) if bits == 4 else 0.0
    elif half and (full or shape.float32):
        parts["half-precision copies"] = weights * 2  # autocast keeps them until the backward pass
    if pairs:
        parts["reference model"] = parts["weights"]
    if not full:
        parts["adapter"] = trained * 4
    parts["gradients"] = trained * 4
    parts["optimizer"] = trained * (2 if "8bit" in str(settings.get("optim")) else 8)
    tokens = int(settings.get("per_device_train_batch_size", 8)) * row * (2 if pairs else 1)
    size = 2 if half else 4
    layer = tokens * activations(settings, shape, size)
    if settings.get("disable_gradient_checkpointing"):
        parts["activations"] = layer * shape.layers
    else:
        parts["activations"] = tokens * shape.hidden * size * shape.layers + layer
    if settings.get("enable_liger_kernel"):
        chunk = max(tokens * shape.hidden / shape.vocab, 1)  # Liger computes the loss in so many rows at a time
        parts["logits"] = chunk * shape.vocab * (size + 4) + tokens * shape.hidden * size
    else:
        parts["logits"] = tokens * shape.vocab * (size + 3 * 4)  # as they are, in float32, shifted, their gradient
    return parts


def activations(settings: dict[str, Any], shape: Shape, size: int) -> float:
    """Return the bytes a token that a layer keeps for the backward pass, its values being of `size` bytes; the batch is padded."""
    target = _target(settings)
    adapted = {name for name in shape.linear() if target == "all" or name in target}
    attention, mixed = shape.heads * shape.head_dim, shape.float32 and size == 2
    kept = 4 * attention * size  # queries, keys and values once a head, what comes out
    for group, width in (("q_proj k_proj v_proj", shape.hidden), ("o_proj", attention),
                         ("gate_proj up_proj", shape.hidden), ("down_proj", shape.mlp)):  # fmt: skip
        among = adapted & set(group.split())
        # Adapters keep their input, what is frozen does not; of a float32 one autocast makes each a copy.
        kept += width * size * (len(among) if mixed else bool(among))
        kept += len(among) * width * (size + 1) if float(settings.get("lora_dropout", 0)) else 0
    if settings.get("enable_liger_kernel"):
        return kept + 2 * shape.hidden * (4 if mixed else size) + 2 * shape.mlp * size
    return kept + 2 * shape.hidden * 4 + 3 * shape.mlp * size  # norms in float32


def _target(settings: dict[str, Any]) -> str:
    full = settings.get("finetuning_type", "lora") == "full"
    return "all" if full else str(settings.get("lora_target", "all"))


def left_by_loading(shape: Shape) -> float:
    """Return the bytes that stay reserved after the weights were loaded, in half precision, before they got where they belong.

    Not needed: torch gives them back before it runs out. But nvidia-smi shows them.
    """
    return 0.0 if shape.float32 else (shape.body + shape.stored) * 2.0


def text_of(row: dict[str, Any]) -> str:
    """Return the text of a row that becomes tokens: turns, system message and tools."""
    turns = [str(turn.get("value", "")) for turn in row.get("conversations", [])]
    return "".join([*turns, str(row.get("system") or ""), str(row.get("tools") or "")]) if turns else to_json(row)


def longest_row(recipe: Recipe) -> tuple[int, str]:
    """Count the tokens of the longest training row, and say where the figure comes from: the data, or cutoff_len without any."""
    cutoff = int(recipe.train.get("cutoff_len", 2048))
    registry = ROOT / "dataset_info.json"
    names = [name.strip() for name in str(recipe.train.get("dataset") or "").split(",")]
    entries = read_json(registry) if registry.is_file() else {}
    files = [ROOT / entries[name]["file_name"] for name in names if "file_name" in entries.get(name, {})]
    found = [row for path in files if path.is_file() for _, row in read_jsonl(path)]
    limit = int(recipe.train.get("max_samples") or len(found))
    if not found or recipe.train.get("packing") or recipe.train.get("neat_packing"):
        return cutoff, "cutoff_len"

    row = max(found[:limit], key=lambda row: len(text_of(row).encode()))
    vocabulary = ROOT / recipe.model / "tokenizer.json"
    if vocabulary.is_file():
        from tokenizers import Tokenizer

        tokens = len(Tokenizer.from_file(str(vocabulary)).encode(text_of(row)).ids)
    else:
        tokens = int(len(text_of(row).encode()) / BYTES_PER_TOKEN)
    around = TURN_TOKENS * len(row.get("conversations", []))
    pixels = int(recipe.train.get("image_max_pixels", 768 * 768)) * len(row.get("images", []))
    tokens += around + (TOOLS_TOKENS if row.get("tools") else 0) + pixels // PATCH
    return min(tokens, cutoff), "the longest row"


def remedies(settings: dict[str, Any], shape: Shape, row: int, limit: float) -> Iterator[str]:
    """Find the changes, each with what it then needs, that make a run fit into `limit` bytes; the least painful first."""
    batch = int(settings.get("per_device_train_batch_size", 8))
    steps = int(settings.get("gradient_accumulation_steps", 1))
    changes: list[dict[str, Any]] = [{"enable_liger_kernel": True}] if not settings.get("enable_liger_kernel") else []
    while batch > 1:
        batch, steps = batch // 2, steps * 2
        changes.append({"per_device_train_batch_size": batch, "gradient_accumulation_steps": steps})
    if settings.get("disable_gradient_checkpointing"):
        changes.append({"disable_gradient_checkpointing": False})
        changes += [{"disable_gradient_checkpointing": False, **change} for change in list(changes[:-1])]
    if not settings.get("quantization_bit") and settings.get("finetuning_type", "lora") == "lora":
        changes += [{"quantization_bit": 4, **change} for change in [{}, *changes]]
    for change in changes:
        need = sum(estimate({**settings, **change}, shape, row).values()) + CONTEXT
        if need <= limit:
            yield f"{' '.join(f'{key}={to_json(value)}' for key, value in change.items())} ({need / GIB:.1f} GiB)"


def verdict(recipe: Recipe, gpu: float) -> tuple[dict[str, float], bool, str]:
    """Return the parts of a recipe's estimate in bytes, whether they fit into `gpu` bytes, and that in a sentence."""
    shape, (row, source) = shape_of(recipe.model), longest_row(recipe)
    parts = {**estimate(recipe.train, shape, row), "CUDA context": CONTEXT}
    need, reserved = sum(parts.values()), left_by_loading(shape)
    batch = recipe.train.get("per_device_train_batch_size", 8)
    need_text = f"needs {need / GIB:.1f} GiB at {batch} × {row} tokens ({source})"
    if need <= gpu:
        shown = min(need + reserved, gpu) / GIB
        return parts, True, f"{need_text}, fits into {gpu / GIB:.0f}; nvidia-smi may show {shown:.0f}"
    change = next(remedies(recipe.train, shape, row, gpu), "a smaller model, or more GPUs (docs/scale.md)")
    return parts, False, f"{need_text}, does not fit into {gpu / GIB:.0f}; would fit: {change}"
