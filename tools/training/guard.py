"""Stop training at the first step that goes wrong, say what most likely helps, and move what was written aside."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import read_json
from callwright.settings import read_settings

STAMP = "callwright.json"
"""what tools.preflight leaves in the output folder"""
CUDNN_OFF = "TORCH_CUDNN_SDPA_DEPRIORITIZED"
"""Environment variable that keeps torch from choosing cuDNN's attention, which is its first choice on H100, H200 and
B200. cuDNN 9.19's backward pass gives NaN where a batch is padded to 64 more than a multiple of 128 tokens and attention
scores are strongly negative, as Qwen's are (pytorch/pytorch#196678). The kernel chosen instead is faster here."""
REMEDIES = {
    "weights": "fetch the base model again: its weights are broken",
    "half": "set bf16 in place of fp16, whose range is too small for this model",
    "attention": f"set {CUDNN_OFF}=1 (make train does), or pass flash_attn=disabled",
    "rate": "lower learning_rate; if it stays, pass flash_attn=disabled",
    "labels": "raise cutoff_len or look at the rows with python -m tools.render: no token of them is learned",
}


def first_broken_weight(model: Any) -> str | None:
    """Return the name of the first parameter that holds NaN or infinity, or None."""
    import torch

    parts = ((name, part) for name, part in model.named_parameters() if part.is_floating_point())
    return next((name for name, part in parts if not torch.isfinite(part).all()), None)


def remedy(model: Any, args: Any, is_zero: bool) -> str:
    """Return what most likely helps against a loss or gradient that is 0 or not finite, from what can be looked at."""
    import torch

    if first_broken_weight(model):
        return REMEDIES["weights"]
    if is_zero:
        return REMEDIES["labels"]
    if args.fp16:
        return REMEDIES["half"]
    newest_kernels = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 9
    return REMEDIES["attention" if newest_kernels and os.environ.get(CUDNN_OFF) != "1" else "rate"]


def guard() -> Any:
    """Return a transformers callback that raises UserError at the first step whose loss or gradient norm is not finite or 0."""
    import torch
    from transformers import TrainerCallback

    class Guard(TrainerCallback):
        def judge(self, name: str, value: float, step: int, args: Any, model: Any) -> None:
            """Raise UserError where a loss or gradient norm is 0 or not finite."""
            if math.isfinite(value) and value != 0.0:
                return
            place = f"{args.output_dir}, step {step}"
            raise UserError(place, f"the {name} is {value:g}", remedy(model, args, is_zero=value == 0.0))

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            # In fp16 a gradient may overflow: the loss scaler then skips the step, and training is none the worse.
            gradients = [part.grad for part in model.parameters() if part.grad is not None]
            if gradients and not args.fp16:
                norm = float(torch.nn.utils.get_total_norm(gradients))
                self.judge("gradient norm", norm, state.global_step + 1, args, model)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **_: Any) -> None:
            for name in ("loss", "eval_loss"):
                if name in (logs or {}):
                    self.judge(name, float(logs[name]), state.global_step, args, model)

    return Guard()


def set_aside(folder: Path) -> Path | None:
    """Rename the output folder of a failed run to `<folder>.failed`, or `.failed.2` …; return the new one, None without any."""
    if not folder.is_dir():
        return None
    names = [f"{folder.name}.failed", *(f"{folder.name}.failed.{number}" for number in range(2, 10_000))]
    aside = next(path for name in names if not (path := folder.with_name(name)).exists())
    return folder.rename(aside)


def is_finished(arguments: Sequence[str]) -> bool:
    """Tell whether tools.preflight found that this run has ended well before, with the same data and settings."""
    if not arguments[0].endswith((".yaml", ".yml")):
        return False
    stamp = Path(str(read_settings(arguments[0], arguments[1:]).get("output_dir"))) / STAMP
    return stamp.is_file() and bool(read_json(stamp).get("finished"))
