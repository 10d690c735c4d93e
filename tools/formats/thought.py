"""A thought in front of what a turn says, in the words of LLaMA-Factory's reasoning templates."""

OPEN, CLOSE = "<think>", "</think>"


def with_thought(thought: str, rest: str) -> str:
    """A turn with its thought, as most templates' `thought_words` have it: `<think>`, the thought, `</think>`."""
    return f"{OPEN}\n{thought}\n{CLOSE}\n\n{rest}" if thought else rest


def split_thought(value: str) -> tuple[str, str]:
    """The thought that a turn begins with ("" where there is none), and the rest: what `with_thought` joins.

    A `<think>` further on, one that is never closed, and other families' marks stay in the rest, to the byte.
    """
    start = len(value) - len(value.lstrip())
    closed = value.find(CLOSE, start) if value.startswith(OPEN, start) else -1
    if closed < 0:
        return "", value
    thought, rest = value[start + len(OPEN) : closed], value[closed + len(CLOSE) :]
    rest = rest.removeprefix("\n\n") if rest.startswith("\n\n") else rest.lstrip("\n")
    return thought.removeprefix("\n").removesuffix("\n"), rest
