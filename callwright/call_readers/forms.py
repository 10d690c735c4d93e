"""List the forms in which models write calls, a line of FORMS each. A new family is a new line.

A line says what the form is called, how a call opens (with the tool's name, where that stands outside of the body), what
stands in it, and how it closes.
"""

import re
from dataclasses import dataclass

from callwright.call_readers.arguments import argument_pairs, gemma_arguments, padded_parameters, xml_parameters
from callwright.call_readers.bodies import (
    Body,
    arguments_object,
    bare_objects,
    glaive_object,
    objects,
    objects_on_lines,
    python_calls,
    python_on_lines,
)


@dataclass(frozen=True)
class Form:
    """One way to write calls."""

    names: tuple[str, ...]
    """What the form is called: as LLaMA-Factory's tool formats, where they write it so."""
    opening: re.Pattern[str]
    body: Body
    closing: re.Pattern[str]
    bare: bool
    """Whether it has no marks of its own: plain text may look so by chance, and only calls of tools on offer count."""


def _form(names: str, opening: str, body: Body, closing: str, bare: bool = False) -> Form:
    flags = re.M | re.I  # a model that writes <Tool_Call> means the same
    return Form(tuple(names.split()), re.compile(opening, flags), body, re.compile(closing, flags), bare)


_TAG = r"(?:\w{1,20}:|｜DSML｜)?"
_BLOCK = r"(?:tool_calls?|function_calls)"


def _deepseek(word: str) -> str:
    """Return the pattern of a mark of DeepSeek's; some servers write its bars and spaces in ASCII."""
    return rf"<[｜|]tool[▁ ]{word.replace(' ', '[▁ ]')}[｜|]>"


FORMS: tuple[Form, ...] = (
    # JSON between marks: Hermes, Qwen 2.5 and 3, Ling, ERNIE, EXAONE
    _form(
        "qwen ling",
        r"(?:<tool_calls>\s*+)?+<tool_call>\s*+(?=[{\[])",
        objects("arguments"),
        r"</tool_call>(?:\s*+</tool_calls>)?",
    ),
    _form(
        "minimax1", r"<tool_calls>\s*+(?=[{\[])", objects("arguments", between=r"\s*,?\s*"), r"</tool_calls>"
    ),  # Jamba
    _form("mistral", r"\[TOOL_CALLS\]\s*+(?=\[\s*+\{)", objects("arguments", listed=True), r"(?:\[/TOOL_CALLS\])?"),
    _form("granite", r"<tool_call>\s*+(?=\[\s*+\{)", objects("arguments", listed=True), ""),
    _form("phi4", r"(?:<\|tool_call\|>|functools)\s*+(?=[{\[])", objects("arguments"), r"(?:<\|/tool_call\|>)?"),
    _form("nemotron", r"<TOOLCALL>\s*+(?=\[\s*+\{)", objects("arguments", listed=True), r"</TOOLCALL>"),
    _form("longcat", r"<longcat_tool_call>\s*+(?=\{)", objects("arguments"), r"</longcat_tool_call>"),
    _form("tags", r"<tools>\s*+(?=[{\[])", objects("arguments", "parameters", between=r"\s*"), r"</tools>"),
    _form("tags", r"<function_call>\s*+(?=[{\[])", objects("arguments", "parameters"), r"</function_call>"),
    _form("lfm2", r"<\|tool_call_start\|>\s*+(?=\{|\[\s*+\{)", objects("arguments"), r"<\|tool_call_end\|>"),
    _form("glaive", r"<functioncall>\s*+(?=\{)", glaive_object, r"(?:</functioncall>)?"),
    _form("llama3", r"<\|python_tag\|>\s*+(?=\{)", objects("parameters", "arguments", between=r"\s*[;,]?\s*"), ""),
    _form(
        "llama3",
        r"<\|python_start\|>\s*+(?=\{|\[\s*+\{)",
        objects("parameters", "arguments", between=r"\s*[;,]?\s*"),
        r"(?:<\|python_end\|>)?",
    ),
    _form("command_r", r"<\|START_ACTION\|>\s*+(?=[{\[])", objects("parameters"), r"<\|END_ACTION\|>"),
    _form("command_r", r"^Action:\s*+```json\s*+(?=\[)", objects("parameters"), "```"),
    _form(
        "internlm",
        r"<\|action_start\|>\s*+<\|plugin\|>\s*+(?=\{)",
        objects("parameters", "arguments"),
        r"(?:<\|action_end\|>)?",
    ),
    # a name and the JSON of its arguments
    _form(
        "default",
        r"^Action:[ \t]*+(?P<name>\S++)[ \t]*+\n\s*+Action Input:[ \t]*+(?:\n?```(?:json)?\s*+)?+",
        arguments_object,
        r"(?:\s*+```)?[ \t]*+$",
    ),
    _form("mistral", r"\[TOOL_CALLS\]\s*+(?P<name>[^\[\]{}\s]++)(?:\[CALL_ID\]\w++)?\[ARGS\]", arguments_object, ""),
    _form("mistral", r"\[TOOL_CALLS\]\s*+(?P<name>[\w.-]++)\s*+(?=\{)", arguments_object, ""),
    _form("llama3", r"<function=(?P<name>[^\s<>{}]++)>\s*+(?=\{)", arguments_object, r"</function>"),
    _form(
        "deepseek",
        rf"(?:{_deepseek('calls begin')}\s*+)?+{_deepseek('call begin')}\s*+(?:function{_deepseek('sep')}\s*+)?+"
        rf"(?P<name>[^\s<>{{}}`]++)\s*+(?:{_deepseek('sep')}\s*+)?+(?:```(?:json)?\s*+)?+(?=[{{`<])",
        arguments_object,
        rf"(?:```\s*+)?{_deepseek('call end')}(?:\s*+{_deepseek('calls end')})?",
    ),
    _form(
        "kimi",
        r"(?:<\|tool_calls_section_begin\|>\s*+)?+<\|tool_call_begin\|>\s*+(?:functions\.)?+(?P<name>[^\s<>:]++)(?::\d++)?"
        r"\s*+<\|tool_call_argument_begin\|>",
        arguments_object,
        r"<\|tool_call_end\|>(?:\s*+<\|tool_calls_section_end\|>)?",
    ),
    _form(
        "harmony",
        r"(?:<\|start\|>assistant)?+<\|channel\|>(?:commentary|analysis|final)(?: \w++)??\s*+to=(?:functions\.)?+(?P<name>[\w.-]++)"
        r"\s*+(?:<\|constrain\|>)?\w*+<\|message\|>",
        arguments_object,
        r"(?:<\|call\|>)?",
    ),
    _form(
        "harmony",
        r"<\|start\|>assistant\s*+to=(?:functions\.)?+(?P<name>[\w.-]++)<\|channel\|>(?:commentary|analysis)"
        r"\s*+(?:<\|constrain\|>)?\w*+<\|message\|>",
        arguments_object,
        r"(?:<\|call\|>)?",
    ),
    _form(  # the same where a server left the special tokens out
        "harmony",
        r"(?:assistant)?commentary to=functions\.(?P<name>[\w.-]{1,100}?)\s*+(?:json|code)?\s*+(?=\{)",
        arguments_object,
        "",
    ),
    _form(
        "hunyuan",
        r"(?:<tool_calls>\s*+)?+<tool_call>\s*+(?P<name>[^\s<>{}\[\]`]++)\s*+```(?:json)?\s*+(?=\{)",
        arguments_object,
        r"```\s*+</tool_call>(?:\s*+</tool_calls>)?",
    ),
    _form("functionary", r"^>>>(?P<name>[\w.-]++)\n\s*+(?=\{)", arguments_object, ""),
    _form("qwen2", r"✿FUNCTION✿:\s*+(?P<name>[^\s✿]++)\s*+✿ARGS✿:\s*+", arguments_object, r"(?:✿RETURN✿:?)?"),
    # a name and its arguments one by one
    _form(  # LLaMA-Factory leaves the > behind the name out
        "seed_oss",
        r"<seed:tool_call>\s*+<function=(?P<name>[^\s<>]++)>?",
        xml_parameters,
        r"</function>\s*+</seed:tool_call>",
    ),
    _form(  # Qwen3-Coder
        "qwen3_5",
        r"(?:<tool_call>\s*+)?+<function=(?P<name>[^\s<>]++)>(?!\s*+\{)",
        padded_parameters,
        r"</function>(?:\s*+</tool_call>)?",
    ),
    _form(  # Anthropic's, DeepSeek V3.2, Step-3
        "minimax2",
        rf"(?:<{_TAG}{_BLOCK}>\s*+)?+<{_TAG}invoke\s++name=\"(?P<name>[^\"<>]++)\">",
        xml_parameters,
        rf"</{_TAG}invoke>(?:\s*+</{_TAG}{_BLOCK}>)?",
    ),
    _form(  # LLaMA-Factory leaves the closing mark out
        "glm4_moe",
        r"<tool_call>\s*+(?P<name>[^\s<>{}\[\]`\"'()]++)\s*+(?=<arg_key>|</?tool_call>|\Z)",
        argument_pairs,
        r"(?:</tool_call>)?",
    ),
    _form(
        "gemma4",
        r"(?:<\|tool>)?<\|tool_call>call:(?P<name>[^{\s]++)(?=\{)",
        gemma_arguments,
        r"<tool_call\|>(?:<tool\|>)?",
    ),
    _form(
        "functiongemma",
        r"<start_function_call>call:(?P<name>[^{\s]++)(?=\{)",
        gemma_arguments,
        "(?:<end_function_call>)?",
    ),
    # Python
    _form("lfm2", r"<\|tool_call_start\|>\s*+(?=[\[\w])", python_calls, r"<\|tool_call_end\|>"),
    _form("pythonic", r"<\|python_start\|>\s*+(?=[\[\w])", python_calls, r"(?:<\|python_end\|>)?"),  # Llama 4
    _form("pythonic", r"<\|python_tag\|>\s*+(?=[\w.]++\()", python_calls, ""),  # Llama 3.1's own tools
    _form("nemotron", r"<TOOLCALL>\s*+(?=\[\s*+\w)", python_calls, r"</TOOLCALL>"),
    _form("olmo", r"<function_calls>\s*+(?=[\w.]++\()", python_calls, r"</function_calls>"),
    _form("tool_code", r"```tool_code\s*+(?:print\(\s*+)?+(?=[\[\w])", python_calls, r"\)?\s*+```"),  # Gemma 3
    _form("tool_code", r"<tool_code>\s*+(?=[\[\w])", python_calls, "</tool_code>"),
    # without marks: the whole answer, or JSON on lines of its own
    _form("json llama3 xlam mistral", r"\A\s*+(?=\{|\[\s*+\{)", bare_objects, r"\Z", bare=True),
    _form("glm4", r"\A\s*+(?P<name>[\w.-]++)[ \t]*+\n\s*+(?=\{)", arguments_object, r"\Z", bare=True),
    _form("pythonic", r"\A\s*+(?=\[(?P<name>[^\[\]{}()\"'=,]++)\()", python_calls, r"\Z", bare=True),
    _form("pythonic", r"^[ \t]*+(?=\[(?P<name>[^\[\]{}()\"'=,\n]++)\()", python_on_lines, r"[ \t]*+$", bare=True),
    _form("json llama3", r"^[ \t]*+(?=\{|\[\{)", objects_on_lines, r"[ \t]*+$", bare=True),
)

MARKS = re.compile(
    r"</?(?:tool_calls?|tool_use|tool_code|execute_tool|function_calls?|functioncall|seed:tool_call|minimax:tool_call|longcat_tool_call|TOOLCALL)>"
    r"|<function=|</function>|<(?:\w{1,20}:|｜DSML｜)?(?:invoke\s|parameter[\s=])|<arg_key>|<\|/?tool_call\|?>|<tool_call\|>"
    r"|\[TOOL_CALLS\]|<\|python_(?:tag|start)\|>|<\|tool_call_(?:start|begin|end)\|>|<\|tool_calls_section_\w+\|>"
    r"|<\|tool_call_argument_begin\|>|<\|START_ACTION\|>|<\|action_start\|>|<start_function_call>|✿FUNCTION✿"
    r"|<[｜|]tool[▁_ ]calls?[▁_ ]\w+[｜|]>|Action[ ]Input:|(?<![\w.])functools\[|\bto=functions\.|^call:[\w.-]++\{",
    re.M | re.I,
)
"""What only a call is written with, in one or another family."""
