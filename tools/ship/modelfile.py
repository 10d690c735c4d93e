"""Write an Ollama Modelfile whose template sends the trained bytes for the task's own tools."""

import json
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
Render = Callable[[list[Message], list[dict[str, Any]] | None, bool], str]
"""messages, tools, whether the answer is about to begin → the text of the chat template"""

A, B, C = "⟦a⟧", "⟦b⟧", "⟦c⟧"
"""contents that no template holds"""
ARGUMENTS = {"⟦d⟧": 1}
DIFFERS = (
    "Ollama marshals tools and arguments in a form of its own, so its template holds the task's tools as they were "
    "trained, whatever tools a request names, and the trained system message; the arguments of past calls lose their "
    "blanks."
)


def literal(text: str) -> str:
    """Write text as an action of Go's text/template: no brace in it has a meaning, and no blank is trimmed."""
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""


def write_modelfile(render: Render, tools: list[dict[str, Any]], weights: str, stop: str) -> str:
    """Return the Modelfile of a GGUF file beside it; its TEMPLATE is what `render` puts around the turns.

    The pieces are found by rendering talks of known contents: what stands between two of them belongs to the turns on
    both sides, and is told apart by the talk that ends there.

    Args:
        weights: the file's name.
        stop: what ends an answer.
    """
    said: tuple[Message, ...] = (
        {"role": "user", "content": A},
        {"role": "assistant", "content": B},
        {"role": "user", "content": C},
    )
    user_close = render([said[0]], None, False).partition(A)[2]
    opening = render([said[0]], None, True).partition(A)[2].removeprefix(user_close)
    two = render([*said[:2]], None, False)
    before = two.partition(A)[2].partition(B)[0].removeprefix(user_close)
    answer_close = two.partition(B)[2]
    user_open = render([*said], None, False).partition(B)[2].partition(C)[0].removeprefix(answer_close)
    heads = [render([said[0]], given, False).partition(A)[0].removesuffix(user_open) for given in (tools, None)]
    call: Message = {"id": "1", "type": "function", "function": {"name": B, "arguments": ARGUMENTS}}
    called: list[Message] = [said[0], {"role": "assistant", "content": None, "tool_calls": [call]}]
    wrote = render(called, tools, False).partition(A)[2].removeprefix(user_close + before).removesuffix(answer_close)
    call_open, _, rest = wrote.partition(B)
    between, _, call_close = rest.partition(json.dumps(ARGUMENTS, ensure_ascii=False))
    again = render([*called[:1], {**called[1], "tool_calls": [call, call]}], tools, False)
    separator = again.partition(wrote)[2].partition(wrote)[0]
    result = render([*called, {"role": "tool", "content": C, "tool_call_id": "1"}], tools, False)
    result_open = result.partition(wrote)[2].partition(C)[0].removeprefix(answer_close)
    # The text before a call's name stands bare: Ollama looks for it there, to know a call by.
    calls = (
        "{{ range $i, $call := .ToolCalls }}{{ if $i }}" + literal(separator) + "{{ end }}"
        f"{call_open}{{{{ $call.Function.Name }}}}{literal(between)}{{{{ $call.Function.Arguments }}}}"
        f"{literal(call_close)}{{{{ end }}}}"
    )
    template = (
        f"{{{{ if .Tools }}}}{literal(heads[0])}{{{{ else }}}}{literal(heads[1])}{{{{ end }}}}"
        f'{{{{ range .Messages }}}}{{{{ if eq .Role "user" }}}}{literal(user_open)}{{{{ .Content }}}}{literal(user_close)}'
        f'{{{{ else if eq .Role "assistant" }}}}{literal(before)}{{{{ .Content }}}}{calls}{literal(answer_close)}'
        f'{{{{ else if eq .Role "tool" }}}}{literal(result_open)}{{{{ .Content }}}}{literal(result.partition(C)[2])}'
        f"{{{{ end }}}}{{{{ end }}}}{literal(opening)}"
    )
    return f'FROM ./{weights}\nTEMPLATE """{template}"""\nPARAMETER stop "{stop}"\nPARAMETER temperature 0\n'
