"""A recipe's attention is tried on a padded batch; a kernel whose gradient is not finite is named."""

import pytest
import torch

from tools.training import attention as try_attention
from tools.training.attention import attention_gradients
from tools.training.estimate import SHAPES
from tools.try_attention import main

SHAPE = SHAPES["SmolLM2-135M"]


def test_the_kernels_of_this_machine_agree_with_each_other_and_with_padding_left_out():
    eager, sdpa = (attention_gradients(name, SHAPE, 72, torch.float32, "cpu") for name in ("eager", "sdpa"))
    for one, other in zip(eager, sdpa, strict=True):
        assert torch.isfinite(one).all()
        assert torch.allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("override", ["flash_attn=disabled", "flash_attn=sdpa", "bf16=true"])
def test_the_recipes_attention_is_what_is_tried(override: str, capsys: pytest.CaptureFixture[str]):
    assert main(["smollm2-135m_lora", override]) == 0
    assert capsys.readouterr().out.startswith("eager" if "disabled" in override else "sdpa")


def test_a_gradient_that_is_not_finite_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def broken(name: str, shape: object, length: int, dtype: object, device: str) -> list[torch.Tensor]:
        return [torch.full((2,), torch.nan if length == 640 else 1.0), torch.ones(2), torch.ones(2)]

    monkeypatch.setattr(try_attention, "attention_gradients", broken)
    assert main(["smollm2-135m_lora"]) == 1
    assert "640 tokens: 2 numbers in the gradient of the queries" in capsys.readouterr().out
