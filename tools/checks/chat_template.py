"""Write a LLaMA-Factory template as a Jinja chat template with tools: `write_template(view)`; tools.parity proves it.

The Template object's slots become the turns; how tools and calls are written is one pair of macros a tool format, in
callwright/chat_templates/.
"""

import re
from pathlib import Path
from typing import Any

from callwright.errors import UserError
from callwright.files import ROOT, read_text
from callwright.tool_results import SEPARATOR
from tools.checks.encode import View

MACROS = ROOT / "callwright/chat_templates"
BODY = Path(__file__).with_suffix(".j2")
"""what all templates have in common; {NAME} stands for an expression that write_template fills in"""
TODAY = 'strftime_now("%d %b %Y")'

ANSWER_OPENS = re.compile(r"(?:<\|?\w*(?:start|turn)\w*\|?>(?:assistant|model)(?:<\|\w+\|>)?|<\|assistant\|>)\n*$")
"""the end of a user's slot that belongs to the answer: add_generation_prompt decides about it"""


def write_template(view: View, date: str | None = None) -> str:
    """Write the chat template that renders OpenAI messages and tools as training did.

    Args:
        date: the day of training as llama3's tool prompt writes it, `01 Jan 2026`; today's at each request without one.
    """
    from llamafactory.data.template import Llama2Template, ReasoningTemplate

    template = view.template
    path = MACROS / f"{view.tool_format}.jinja"
    if not path.is_file() or not hasattr(template.format_tools, "tool_utils"):
        known = ", ".join(sorted(path.stem for path in MACROS.glob("*.jinja")))
        raise UserError(f"tool format {view.tool_format!r}", "no chat template for it", f"set tool_format: {known}")
    macros = read_text(path).strip()
    macros = macros.replace(TODAY, literal(date)) if date else macros

    eos = literal(template.stop_words[0]) if template.replace_eos else "eos_token"
    fused = isinstance(template, Llama2Template)  # the system message begins the first user's turn
    head = template.format_system.slots[: 1 if fused else None]
    user, result, opening = without_opening(template.format_user.slots, template.format_observation.slots)
    result = expressions(result, "content", eos)
    middle = result.index("content")
    end = [f'({eos} if loop.last and not add_generation_prompt else "")'] if template.efficient_eos else []
    thought, prompted = '""', opening
    if isinstance(template, ReasoningTemplate):
        first, last = (literal(word.strip()) for word in template.thought_words)
        thought = f'("" if {first} in content or {last} in content else {literal(template.add_thought())})'
        prompted += "" if template.enable_thinking else template.add_thought()
    values = {
        "MACROS": macros,
        "DEFAULT_SYSTEM": literal(template.default_system),
        "SYSTEM": expressions(head, 'system + (tool_prompt(tools) if tools else "")', eos),
        "PREFIX": [*expressions(template.format_prefix.slots, "", eos), *([] if fused else ["preamble"])],
        "USER": expressions(user, '(preamble if loop.first else "") + content' if fused else "content", eos),
        "OPENING": literal(opening),
        "THOUGHT": thought,
        "FUNCTION": [*expressions(template.format_function.slots, "content", eos), *end],
        "ASSISTANT": [*expressions(template.format_assistant.slots, "content", eos), *end],
        "SEPARATOR": literal(SEPARATOR),
        "RESULT_HEAD": result[:middle],
        "RESULT_TAIL": result[middle + 1 :],
        "GENERATION": literal(prompted),
    }
    written = {key: value if isinstance(value, str) else " + ".join(value) or '""' for key, value in values.items()}
    title = f"LLaMA-Factory's template with tools (format {view.tool_format}), as tools.parity wrote and proved it"
    body = re.sub(r"\{([A-Z_]+)\}", lambda match: written[match[1]], read_text(BODY))
    return f"{{#- {title} -#}}\n" + body.rstrip("\n")


def without_opening(user: list[Any], result: list[Any]) -> tuple[list[Any], list[Any], str]:
    """Take the opening of the answer that ends both slots from them; return both, and that opening ("" where none is found)."""
    found = ANSWER_OPENS.search(user[-1]) if isinstance(user[-1], str) else None
    if not found or not isinstance(result[-1], str) or not result[-1].endswith(found[0]):
        return user, result, ""
    cut = [[*slots[:-1], slots[-1].removesuffix(found[0])] for slots in (user, result)]
    return cut[0], cut[1], found[0]


def expressions(slots: list[Any], content: str, eos: str) -> list[str]:
    """Write the slots of a LLaMA-Factory formatter as Jinja expressions, `content` in the place of {{content}}.

    As in `Template._convert_elements_to_ids`: a set names the begin or end token, a dict any token.
    """
    result: list[str] = []
    for slot in slots:
        if isinstance(slot, dict):
            result.append(literal(slot["token"]))
        elif isinstance(slot, set):
            if "bos_token" in slot:
                result.append('(bos_token or "")')
            elif "eos_token" in slot:
                result.append(eos)
        else:
            texts = filter(None, re.split(r"(\{\{content\}\})", slot))
            result += [content if text == "{{content}}" else literal(text) for text in texts]
    return result


def literal(text: str) -> str:
    """Write a text as a Jinja string literal."""
    for plain, escape in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, escape)
    return f'"{text}"'
