"""Find out whether what a training run left can be used: it is there, its log shows no broken step, its numbers are finite."""

import json
import math
import struct
from pathlib import Path

from callwright.errors import UserError
from callwright.files import read_text
from callwright.recipes import Recipe

STATE = "trainer_state.json"
KEYS = ("loss", "grad_norm", "eval_loss", "train_loss")
"""figures in the trainer's log that must be numbers"""
EXPONENTS = {
    "F64": ("<u8", 0x7FF << 52),
    "F32": ("<u4", 0x7F800000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("u1", 0x7C),
    "F8_E4M3": ("u1", 0x7F),  # has no infinity, and NaN with all bits but the sign's set
}
"""dtype in a safetensors file → how numpy reads its bits, and those that every NaN and infinity has set, and no number"""

MOST_HEADER = 100_000_000
"""bytes of a safetensors file's header, as that format bounds it"""


def broken_step(folder: Path, keys: tuple[str, ...] = KEYS) -> str | None:
    """Return what the trainer's log in a folder says of its first step that went wrong, None where none did.

    Raises:
        UserError: the log is not whole.
    """
    path = folder / STATE
    if not path.is_file():
        return None  # an adapter that was kept carries no log
    try:
        for entry in json.loads(read_text(path))["log_history"]:
            for key in keys:
                written = entry.get(key, 1.0)
                value = math.nan if written is None else float(written)  # some writers have null or a text for NaN
                if not math.isfinite(value) or (key == "loss" and value == 0.0):
                    return f"at step {entry.get('step')} the {key} was {value:g}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(path, f"not a whole log of a trainer ({error})", "train again") from None
    return None


def broken_tensor(path: Path) -> str | None:
    """Return the name of the first tensor of a safetensors file that holds NaN or infinity, None where none does.

    Tensors of other dtypes than EXPONENTS has are passed over: whole numbers are always finite.

    Raises:
        UserError: the file is not whole.
    """
    import numpy

    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > MOST_HEADER:
                raise ValueError(f"a header of {size} bytes")
            header = json.loads(file.read(size))
        if not header.keys() - {"__metadata__"}:
            raise ValueError("no tensors")
        data = numpy.memmap(path, mode="r", offset=8 + size)
        for name, tensor in header.items():
            if name == "__metadata__" or tensor["dtype"] not in EXPONENTS:
                continue
            kind, exponent = EXPONENTS[tensor["dtype"]]
            begin, end = tensor["data_offsets"]
            bits = data[begin:end].view(kind)
            if len(data) < end:
                raise ValueError(f"{name} is cut off")
            if bool(((bits & exponent) == exponent).any()):
                return str(name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise UserError(path, f"half-written ({error})", "train again") from None
    return None


def check_trained(recipe: Recipe) -> Path:
    """Return the folder that training left, when it holds an adapter (or a whole model) that can be used.

    Raises:
        UserError: it holds none; or the log or the adapter's numbers say that training went wrong.
    """
    folder = recipe.output_dir
    name, what = ("adapter_config.json", "adapter") if recipe.is_lora else ("config.json", "trained model")
    again = f"run: {recipe.make_command('train')}"
    if not (folder / name).is_file():
        failed = folder.with_name(f"{folder.name}.failed")
        why = f" (training failed: see {failed.name}/ beside it)" if failed.is_dir() else ""
        raise UserError(folder, f"no {what} there{why}", again)
    # In fp16 a gradient may overflow: the loss scaler then skips the step.
    keys = ("loss", "eval_loss", "train_loss") if recipe.train.get("fp16") else KEYS
    if fault := broken_step(folder, keys):
        raise UserError(folder, f"training went wrong: {fault}", again)
    weights = sorted(folder.glob("adapter_model.safetensors" if recipe.is_lora else "model*.safetensors"))
    if not weights:
        others = [path.name for path in sorted([*folder.glob("*.bin"), *folder.glob("*.pt")])]
        raise UserError(folder, f"holds no safetensors{f', but {others[0]}' if others else ''}", again)
    for path in weights:
        if tensor := broken_tensor(path):
            raise UserError(folder, f"training went wrong: {tensor} is not finite", again)
    return folder
