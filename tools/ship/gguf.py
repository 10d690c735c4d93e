"""Write GGUF files by llama.cpp's own converter and quantiser."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from callwright import llamacpp
from callwright.errors import UserError
from callwright.files import ROOT, read_text
from tools.training.base_models import read_metadata

FORMATS = {"f16": 1, "q8_0": 7, "q4_k_m": 15}
"""GGUF format → `enum llama_ftype` of llama.cpp's include/llama.h"""
QUANTISE = """
import sys
from cyllama.llama import llama_cpp
params = llama_cpp.LlamaModelQuantizeParams()
params.ftype = int(sys.argv[3])
llama_cpp.model_quantize(sys.argv[1], sys.argv[2], params)
"""


def read_formats(text: str) -> list[str]:
    """Read the formats that --gguf names.

    Raises:
        UserError: one of them is none.
    """
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if strange := next((name for name in names if name not in FORMATS), None):
        raise UserError("--gguf", f"{strange!r} is no format", f"choose from: {','.join(FORMATS)}")
    return names


def run_logged(what: str, words: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command whose output goes to a log.

    Raises:
        UserError: it failed; its last line says why.
    """
    with open(log, "ab") as out:
        done = subprocess.run(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if done.returncode:
        lines = [line.strip() for line in read_text(log).splitlines() if line.strip()]
        full = [line for line in lines if "No space left" in line or "File too large" in line]
        reason = [*full[:1], *lines[-1:], f"status {done.returncode}"][0]
        remedy = "free some space" if full else "mend the cause; the log has more"
        raise UserError(log, f"{what} failed: {reason[:300]}", remedy)


def write_gguf(folder: Path, out: Path, stem: str, formats: Sequence[str], log: Path) -> None:
    """Convert and quantise the model in `folder` to `<out>/<stem>-<FORMAT>.gguf`, our template inside.

    Raises:
        UserError: llama.cpp is not installed, or cannot.
    """
    environment, f16 = llamacpp.environment(), out / f"{stem}-F16.gguf"
    convert = [sys.executable, "-m", "convert_hf_to_gguf", "--outtype", "f16", "--outfile", str(f16), str(folder)]
    run_logged("llama.cpp's converter", convert, log, environment)
    if read_metadata(f16).get("tokenizer.chat_template") != read_text(folder / "chat_template.jinja"):
        raise UserError(f16, "holds another chat template", "report it: the converter has changed")
    for name in formats:
        if name != "f16":
            target = out / f"{stem}-{name.upper()}.gguf"
            words = [sys.executable, "-c", QUANTISE, str(f16), str(target), str(FORMATS[name])]
            run_logged(f"llama.cpp's quantiser to {name}", words, log, environment)
    if "f16" not in formats:
        f16.unlink()
