"""Write a LoRA adapter of peft's as llama.cpp reads it: a GGUF file that is laid over the base model's own."""

import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.errors import UserError
from callwright.files import make_folder, read_json, sha256, writing

if TYPE_CHECKING:
    import numpy

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
FORM = 1
"""of what is written here: a file of another form is written again"""
TENSOR = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight")
ROTATED = re.compile(r"\.(q|k)_proj$")
"""the modules whose rows llama.cpp keeps in another order where the model is a Llama"""
STRANGE = ("use_dora", "use_qalora", "modules_to_save", "rank_pattern", "alpha_pattern", "target_parameters")
"""settings of an adapter that llama.cpp has nothing for"""


def lora_gguf(adapter: Path, base: Path, folder: Path) -> Path:
    """Return the GGUF file of an adapter in `folder`, which is written, whole or not at all, unless it is there.

    Args:
        adapter: the folder with peft's files.
        base: the GGUF file of the base model.

    Raises:
        UserError: the adapter holds what llama.cpp cannot apply, or is of another base.
    """
    target = folder / f"lora-{FORM}-{sha256(adapter / WEIGHTS)[:16]}.gguf"
    if target.is_file():
        return target
    make_folder(folder)
    with writing(target), tempfile.TemporaryDirectory(dir=folder, prefix=".lora.") as scratch:
        part = Path(scratch) / target.name
        write_lora(adapter, base, part)
        part.replace(target)
    return target


def write_lora(adapter: Path, base: Path, target: Path) -> None:
    """Write an adapter to `target`; UserError where llama.cpp could not apply it to the base."""
    from gguf import GGUFReader, GGUFWriter

    try:
        reader = GGUFReader(base)
        kind = str(reader.fields["general.architecture"].contents())
        heads = {
            "q": int(reader.fields[f"{kind}.attention.head_count"].contents()),
            "k": int(reader.fields[f"{kind}.attention.head_count_kv"].contents()),
        }
        blocks = int(reader.fields[f"{kind}.block_count"].contents())
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise UserError(base, f"is no whole GGUF file of a model ({error})", "fetch it again") from None
    shapes = {tensor.name: [int(size) for size in tensor.shape] for tensor in reader.tensors}
    writer = GGUFWriter(target, kind)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", _alpha(adapter / CONFIG))
    for name, tensor in sorted(_tensors(adapter, kind, blocks, heads).items()):
        of, _, half = name.rpartition(".lora_")
        size = tensor.shape[1] if half == "a" else tensor.shape[0]
        if of not in shapes or shapes[of][0 if half == "a" else 1] != size:
            fault = f"an adapter of another base: {of} does not fit {base.name}"
            raise UserError(adapter, fault, "choose the RECIPE that it was trained by")
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _alpha(path: Path) -> float:
    """Read the alpha that llama.cpp divides by the rank."""
    config = read_json(path)
    if strange := next((key for key in STRANGE if config.get(key)), None):
        raise UserError(path, f"has {strange}, which llama.cpp cannot apply", "merge it: make export GGUF=q4_k_m")
    alpha, rank = float(config["lora_alpha"]), int(config["r"])
    return alpha * math.sqrt(rank) if config.get("use_rslora") else alpha


def _tensors(adapter: Path, kind: str, blocks: int, heads: dict[str, int]) -> dict[str, "numpy.ndarray[Any, Any]"]:
    """Read an adapter's tensors, under the names and in the order of rows that llama.cpp has for them."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    place = adapter / WEIGHTS
    known = {name: arch for arch, name in MODEL_ARCH_NAMES.items()}
    if kind not in known:
        raise UserError(place, f"models of kind {kind!r} are not known to this gguf", "merge it: make export GGUF=f16")
    names = get_tensor_name_map(known[kind], blocks)
    try:
        loaded = load_file(place)
    except (SafetensorError, OSError) as error:
        raise UserError(place, f"half-written ({error})", "train again") from None
    found = {}
    for name, tensor in loaded.items():
        match = TENSOR.fullmatch(name)
        own = names.get_name(match["module"]) if match else None
        if match is None or own is None:
            raise UserError(place, f"holds {name}, which llama.cpp cannot apply", "merge it: make export GGUF=q4_k_m")
        rotated = ROTATED.search(match["module"]) if kind == "llama" and match["half"] == "B" else None
        tensor = permute(tensor, heads[rotated[1]]) if rotated else tensor
        found[f"{own}.weight.lora_{match['half'].lower()}"] = tensor
    return found


def permute(rows: "numpy.ndarray[Any, Any]", heads: int) -> "numpy.ndarray[Any, Any]":
    """Put the rows of a Llama's queries or keys in llama.cpp's order: the halves of each head's rotation side by side."""
    parts = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return parts.swapaxes(1, 2).reshape(rows.shape).copy()
