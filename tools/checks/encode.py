"""See a row as LLaMA-Factory's training sees it, by its own converter, template and truncation: `encode_row(row, view)`."""

import copy
import logging
import re
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from callwright.errors import UserError, did_you_mean

Piece = list[Any]
"""token ids; or, under Verbatim, strings"""

MARKER = re.compile(r"<[|｜][^<>|｜\s]+[|｜]?>|<[^<>|｜\s]+[|｜]>|\[/?[A-Z_]{3,}\]")
"""what opens or closes a turn in most families' prompts"""
ANY_MARKER = re.compile(rf"{MARKER.pattern}|<[^<>\s]+>|\[[^\[\]\s]{{3,}}\]")
"""the same in a template's own words around what is said, where nothing else looks like it"""


class Verbatim:
    """Stands in for a tokenizer; its "ids" are the texts themselves, so that a template's own code yields the prompt.

    It has what `llamafactory/data/template.py` asks of a tokenizer.
    """

    def __init__(self, bos: str | None = "<s>", eos: str = "</s>") -> None:
        self.bos_token = self.bos_token_id = bos
        self.eos_token = self.eos_token_id = self.pad_token = self.pad_token_id = eos
        self.chat_template = ""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[str]:
        """Return the text as one token that is its own id."""
        return [text]

    def convert_tokens_to_ids(self, token: str) -> str:
        """Return the token, which is its own id."""
        return token

    def add_special_tokens(self, tokens: dict[str, Any], **_: Any) -> int:
        """Set a new end token, as templates with `replace_eos` do."""
        self.eos_token = self.eos_token_id = tokens.get("eos_token", self.eos_token)
        return 0


@dataclass(frozen=True)
class View:
    """The template, arguments and tokenizer with which one recipe looks at rows."""

    template: Any
    """LLaMA-Factory's Template, with the recipe's tool_format, default_system and thinking applied"""
    data_args: Any
    """LLaMA-Factory's DataArguments"""
    tokenizer: Any
    """the base model's, with the template's end and stop tokens; or Verbatim"""
    processor: Any = None

    @property
    def tools(self) -> Any:
        """LLaMA-Factory's ToolUtils: how tools and calls are written, and read back."""
        return self.template.format_function.tool_utils

    @property
    def tool_format(self) -> str:
        """Name the tool format, as `tool_format:` takes it."""
        from llamafactory.data.tool_utils import TOOLS

        return next(name for name, utils in TOOLS.items() if type(utils) is type(self.tools))

    def verbatim(self) -> "View":
        """Make the same view of texts instead of ids."""
        bos, eos = (getattr(self.tokenizer, name) for name in ("bos_token", "eos_token"))
        return View(self.template, self.data_args, Verbatim(bos, eos), self.processor)


def load_view(settings: dict[str, Any], tokenizer: Any = None, processor: Any = None) -> View:
    """Load the view of a recipe, or of as many of its settings as there are.

    Args:
        settings: a train file's keys; `template` must be among them, those that are not about data are passed over.
        tokenizer: the base model's, which is changed as LLaMA-Factory changes it; Verbatim without any.
    """
    from llamafactory.data.template import TEMPLATES, get_template_and_fix_tokenizer
    from llamafactory.data.tool_utils import TOOLS
    from llamafactory.hparams import DataArguments

    logging.getLogger("llamafactory").setLevel(logging.ERROR)
    for key, known in (("template", TEMPLATES), ("tool_format", TOOLS)):
        if (name := settings.get(key)) is not None and name not in known:
            remedy = f"{did_you_mean(str(name), known)} choose one of: {', '.join(known)}".strip()
            raise UserError(f"{key} {name!r}", "LLaMA-Factory has none", remedy)
    names = {field.name for field in fields(DataArguments)}
    data_args = DataArguments(**{key: value for key, value in settings.items() if key in names})
    tokenizer = tokenizer or Verbatim()
    shared = TEMPLATES[data_args.template]
    TEMPLATES[data_args.template] = copy.deepcopy(shared)  # it is changed in place, for the whole process
    try:
        template = get_template_and_fix_tokenizer(tokenizer, data_args)
    finally:
        TEMPLATES[data_args.template] = shared
    return View(template, data_args, tokenizer, processor)


def turn_markers(template: Any) -> set[str]:
    """Find what a LLaMA-Factory template opens and closes turns with, as far as its text tells."""
    found = {*template.stop_words}
    for name, part in vars(template).items():
        plain = name in ("format_user", "format_assistant", "format_system", "format_prefix")
        for slot in part.slots if name.startswith("format_") else ():
            if isinstance(slot, dict):
                found.add(slot["token"])
            elif isinstance(slot, str):
                found.update((ANY_MARKER if plain else MARKER).findall(slot))
    return found | {word for text in template.thought_words for word in MARKER.findall(text)}


def stand_in(name: str) -> Any:
    """Make a tokenizer for where the base model's is not at hand: a token a byte, and the template's special tokens."""
    from llamafactory.data.template import TEMPLATES
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(sorted(turn_markers(TEMPLATES[name])))
    ends = {"bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ends)


def announce_loading(command: str) -> None:
    """Say on standard error what a command waits for, where LLaMA-Factory is not loaded yet."""
    if "llamafactory" not in sys.modules:
        print(f"{command}: loading LLaMA-Factory's templates, a quarter of a minute", file=sys.stderr, flush=True)


def is_at_hand(model: str) -> bool:
    """Tell whether a model's tokenizer can be loaded without a network: a folder, or cached from the hub."""
    from huggingface_hub import try_to_load_from_cache

    return Path(model).is_dir() or isinstance(try_to_load_from_cache(model, "tokenizer_config.json"), str)


def load_tokenizer(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Load the tokenizer, and the processor or None, of `model_name_or_path`, as LLaMA-Factory loads them from this machine."""
    from llamafactory.hparams import ModelArguments
    from llamafactory.model import load_tokenizer as load

    model = settings["model_name_or_path"]
    if not is_at_hand(model):
        raise UserError(model, "its tokenizer is not on this machine", f"fetch it: {fetch_hint(model)}")
    keys = "model_name_or_path", "trust_remote_code", "split_special_tokens", "add_tokens", "add_special_tokens"
    try:
        module = load(ModelArguments(**{key: settings[key] for key in keys if key in settings}))
    except (OSError, ValueError) as error:
        raise UserError(model, f"its tokenizer cannot be loaded ({error})", "fetch the model again") from None
    return module["tokenizer"], module["processor"]


def fetch_hint(model: str) -> str:
    """Name the command that brings a model's tokenizer."""
    if model.startswith("models/"):
        return f"python -m tools.fetch_model {Path(model).name}"
    return f"hf download {model} --include '*token*' config.json"


def aligned(row: dict[str, Any], view: View, entry: dict[str, Any]) -> tuple[list[dict[str, str]], str, str]:
    """Read the messages (role, content), system and tools of a row by LLaMA-Factory's converter; no messages: it is dropped.

    Args:
        entry: the dataset's entry in dataset_info.json.
    """
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import DatasetAttr

    attr = DatasetAttr("file", dataset_name="row")
    attr.join(entry)
    columns = {name: None for name in (attr.messages, attr.system, attr.tools) if name}
    example = get_dataset_converter(attr.formatting, attr, view.data_args)({**columns, **row})
    return example["_prompt"] + example["_response"], example["_system"], example["_tools"]


def encode_pairs(messages: list[dict[str, str]], system: str, tools: str, view: View) -> list[tuple[Piece, Piece]]:
    """Encode each turn by the template as (source, target), before `cutoff_len`; raises what LLaMA-Factory dies of."""
    discard = view.data_args.mask_history and not view.template.preserve_thinking
    return view.template.encode_multiturn(view.tokenizer, messages, system, tools, discard)


def encode_row(row: dict[str, Any], view: View, entry: dict[str, Any]) -> tuple[list[int], list[int]]:
    """Encode a row as token ids and labels (-100 where nothing is learned), `cutoff_len` applied; raises what LLaMA-Factory dies of."""
    from llamafactory.data.processor import SupervisedDatasetProcessor

    messages, system, tools = aligned(row, view, entry)
    if not messages:
        raise UserError("row", "LLaMA-Factory drops it", "run: python -m tools.lint")
    processor = SupervisedDatasetProcessor(view.template, view.tokenizer, view.processor, view.data_args)
    return processor._encode_data_example(messages[:-1], messages[-1:], system, tools, [], [], [])


def kept(lengths: list[tuple[int, int]], view: View) -> list[tuple[int, int]]:
    """Count the tokens of each (source, target) that `SupervisedDatasetProcessor` keeps; (0, 0) for a turn that it drops."""
    from llamafactory.data.processor.processor_utils import infer_seqlen

    args = view.data_args
    total = int(view.template.efficient_eos)
    result = [(0, 0)] * len(lengths)
    order = list(range(len(lengths)))
    if args.mask_history:
        order.reverse()
    for index in order:
        if total >= args.cutoff_len:
            break
        result[index] = infer_seqlen(*lengths[index], args.cutoff_len - total)
        total += sum(result[index])
    return result
