"""Run a padded batch forward and backward through a recipe's attention, on this machine.

A kernel may give gradients that are not numbers for some lengths only, as cuDNN 9.19's does for 64 more than a multiple of
128 tokens where scores are strongly negative (pytorch/pytorch#196678). So several lengths are tried, with such scores.
"""

from typing import Any

from callwright.recipes import Recipe
from tools.training.estimate import Shape, shape_of

LENGTHS = (704, 640, 200, 72)
"""tokens of the longer row; the shorter one is padded by PADDING"""
PADDING = 13
SCORE = -120.0
"""what every attention score is near: below -88.7, exp(-score) overflows float32"""


def implementation(recipe: Recipe) -> str:
    """Return transformers' name of the attention that LLaMA-Factory's `flash_attn` chooses."""
    names = {"disabled": "eager", "fa2": "flash_attention_2", "fa3": "flash_attention_3"}
    return names.get(str(recipe.train.get("flash_attn", "auto")), "sdpa")


def attention_gradients(name: str, shape: Shape, length: int, dtype: Any, device: str) -> list[Any]:
    """Return the gradients of queries, keys and values (batch, heads, length, head_dim).

    Args:
        name: `sdpa` or `eager`: transformers' function is called as its models call it.
        length: tokens of the first of two rows.
    """
    import torch
    from transformers.integrations import sdpa_attention
    from transformers.models.llama import modeling_llama

    generator = torch.Generator().manual_seed(length)

    def numbers(heads: int, scale: float) -> Any:
        return (torch.randn(2, heads, length, shape.head_dim, generator=generator) * scale).to(device, dtype)

    queries, keys, values = numbers(shape.heads, 0.1), numbers(shape.kv_heads, 0.1), numbers(shape.kv_heads, 1.0)
    queries[..., 0], keys[..., 0] = 1.0, SCORE * shape.head_dim**0.5
    inputs = [part.requires_grad_() for part in (queries, keys, values)]
    causal = torch.ones(length, length, dtype=torch.bool, device=device).tril().repeat(2, 1, 1, 1)
    causal[1, :, :, length - PADDING :] = False
    module = torch.nn.Module().train()
    module.num_key_value_groups, module.is_causal = shape.heads // shape.kv_heads, True  # type: ignore[assignment]
    scaling = shape.head_dim**-0.5
    attend: Any = sdpa_attention.sdpa_attention_forward
    mask: Any = causal
    if name == "eager":
        attend = modeling_llama.eager_attention_forward
        mask = torch.zeros_like(causal, dtype=dtype).masked_fill(~causal, torch.finfo(dtype).min)
    out, _ = attend(module, *inputs, mask, scaling=scaling)
    out.backward(torch.randn(out.shape, generator=generator).to(device, dtype))
    return [part.grad for part in inputs]


def attention_fault(recipe: Recipe) -> str | None:
    """Return what is wrong with the gradients of a recipe's attention on this machine, None where nothing is found."""
    import torch

    name, shape = implementation(recipe), shape_of(recipe.model)
    if name not in ("sdpa", "eager"):
        return None  # a package of its own, which its own tests hold
    device = "cuda" if torch.cuda.is_available() else "cpu"
    half = torch.bfloat16 if recipe.train.get("bf16") or recipe.train.get("pure_bf16") else torch.float16
    is_half = any(recipe.train.get(key) for key in ("bf16", "pure_bf16", "fp16"))
    dtype = half if is_half else torch.float32
    for length in LENGTHS:
        gradients = attention_gradients(name, shape, length, dtype, device)
        for part, gradient in zip(("queries", "keys", "values"), gradients, strict=True):
            if broken := int((~torch.isfinite(gradient)).sum()):
                return (
                    f"{name} attention, {length} tokens: {broken} numbers in the gradient of the {part} are not finite"
                )
    return None
