"""Write tools, calls and results as text, in a LLaMA-Factory tool format: for servers that are sent no `tools`.

The words are the macros in chat_templates/, which also make the chat templates that tools.parity proves.
"""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, read_text, to_json
from callwright.records import read_arguments
from callwright.tool_results import join_results

MACROS = ROOT / "callwright" / "chat_templates"
FORMATS: tuple[str, ...] = tuple(sorted(path.stem for path in MACROS.glob("*.jinja")))

CALLS = {"mistral": "[TOOL_CALLS] {}", "gemma4": "<|tool>{}<tool|>"}
"""What a template writes around the calls of a turn; nothing where a format is not named."""
RESULTS = {
    "qwen": "<tool_response>\n{}\n</tool_response>",
    "mistral": '[TOOL_RESULTS] {{"content": {}}}[/TOOL_RESULTS]',
}
"""What stands around a result; the other formats say it by a role of their own, which text alone cannot open."""


def tool_prompt(tools: Sequence[dict[str, Any]], name: str) -> str:
    """Write what a tool format adds to the system message; ValueError where it cannot describe a (canonical) tool."""
    return _written(name, "tool_prompt", list(tools)) if tools else ""


def call_text(tool_calls: Iterable[dict[str, Any]], name: str) -> str:
    """Write calls in OpenAI's form as a model of this tool format writes them.

    Raises:
        ValueError: arguments that are no JSON object, or parallel calls in a format that has none.
    """
    try:
        functions = [call["function"] for call in tool_calls]
        calls = [{"function": {"name": f["name"], "arguments": read_arguments(f.get("arguments"))}} for f in functions]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a call that is not in OpenAI's form ({error!r})") from None
    return CALLS.get(name, "{}").format(_written(name, "tool_calls", calls))


def raw_messages(
    messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]], name: str, default_system: str = ""
) -> list[dict[str, Any]]:
    """Write messages that need no `tools`: the tools stand in the system message, calls and results in the text.

    Results in a row become one message of the user's, as LLaMA-Factory takes them.

    Args:
        default_system: what the system message begins with where the messages have none.

    Raises:
        ValueError: a tool or a call that the format cannot write.
    """
    turns = list(messages)
    system = default_system
    if turns and turns[0]["role"] in ("system", "developer"):
        system = _text(turns.pop(0).get("content"))
    system += tool_prompt(tools, name)
    result: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for are_results, group in groupby(turns, lambda turn: turn["role"] == "tool"):
        if are_results:
            text = join_results([_text(turn.get("content")) for turn in group])
            result.append({"role": "user", "content": RESULTS.get(name, "{}").format(text)})
            continue
        for turn in group:
            content = turn.get("content") or ""
            if calls := turn.get("tool_calls"):
                words = _text(content)
                content = (f"{words}\n" if words else "") + call_text(calls, name)  # as tools.formats.call_turn has it
            result.append({"role": turn["role"], "content": content})
    return result


def _text(content: Any) -> str:
    """Return the text of a message's content, which may be parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content or ""


def _written(name: str, macro: str, values: list[dict[str, Any]]) -> str:
    from jinja2 import TemplateError

    try:
        return str(getattr(_macros(name), macro)(values))
    except (TemplateError, TypeError) as error:
        raise ValueError(f"tool format {name} cannot write it ({error})") from None


@lru_cache
def _macros(name: str) -> Any:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if name not in FORMATS:
        raise UserError(f"tool format {name!r}", "no words for it", f"choose one of: {', '.join(FORMATS)}")

    def refuse(message: str) -> None:
        raise ValueError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers has it
    environment.filters["tojson"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)
    environment.globals["arguments_of"] = lambda call: to_json(call["function"]["arguments"])
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.globals["raise_exception"] = refuse
    return environment.from_string(read_text(MACROS / f"{name}.jinja")).module


def format_of(settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return tool format and default system message of LLaMA-Factory under the settings of a train or serve file.

    Raises:
        UserError: LLaMA-Factory is not installed, or has no such template.
    """
    template = str(settings.get("template"))
    known = _templates()
    if template not in known:
        raise UserError(f"template {template!r}", "LLaMA-Factory has none", "mend the recipe")
    (name, system), own = known[template], settings.get("default_system")
    return settings.get("tool_format") or name, system if own is None else own


@lru_cache
def _templates() -> dict[str, tuple[str, str]]:
    """Read template → tool format and default system message from LLaMA-Factory's source: importing it takes 16 s of a CPU."""
    package = find_spec("llamafactory")
    if package is None or package.origin is None:
        raise UserError("llamafactory", "not installed", "pip install -r requirements.txt")
    tree = ast.parse(read_text(Path(package.origin).parent / "data" / "template.py"))
    result = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "register_template":
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            tools = given.get("format_tools")
            words = {keyword.arg: keyword.value for keyword in tools.keywords} if isinstance(tools, ast.Call) else {}
            name = words.get("tool_format", ast.Constant("default" if tools is None else ""))
            system = given.get("default_system", ast.Constant(""))
            result[ast.literal_eval(given["name"])] = (ast.literal_eval(name), ast.literal_eval(system))
    return result
