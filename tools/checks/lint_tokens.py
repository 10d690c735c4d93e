"""Find the texts of a row that become control tokens: `TokenCheck(view, True).faults(row)`; tools.checks.lint_template runs it.

What a control token is, the tokenizer says. A row is rendered twice, as it stands and with every `<`, `|>` … of its texts
made harmless: a control token that only the first holds comes from a text, and not from the template.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from callwright.files import to_json
from tools.checks.encode import View, encode_pairs, turn_markers
from tools.checks.lint_row import Fault, ParsedRow, ParsedTurn, ToolList, read_tools
from tools.formats.call_turn import CLOSE, OPEN

Message = dict[str, str]

PROBE_TOOLS = read_tools(
    to_json([{"name": "a", "description": "", "parameters": {"type": "object", "properties": {}}}])
)
PROBE = [
    {"role": "user", "content": "a"},
    {"role": "function", "content": '{"name": "a", "arguments": {"a": "a"}}'},
    {"role": "observation", "content": "a"},
    {"role": "assistant", "content": "a"},
]
"""a conversation in which a template writes all of its tool format's marks"""


class TokenCheck:
    """A search for control tokens and the tool format's own marks in what one template makes of a row."""

    def __init__(self, view: View, has_tokenizer: bool) -> None:
        self.view, self.text = view, view.verbatim()
        self.added: dict[int, str] = {}
        self.turns = turn_markers(view.template)
        self.normalize = str
        if has_tokenizer:
            tokens = view.tokenizer.added_tokens_decoder
            # Some tokenizers add runs of spaces, or a letter such as ü: nobody means a command by those.
            self.added = {i: t.content for i, t in tokens.items() if len(t.content.strip()) > (0 if t.special else 2)}
            self.turns |= {view.tokenizer.bos_token, view.tokenizer.eos_token} - {None}
            normalizer = getattr(getattr(view.tokenizer, "backend_tokenizer", None), "normalizer", None)
            if normalizer and any(token.normalized for token in tokens.values()):
                self.normalize = normalizer.normalize_str
        words = sorted(self.turns | self._marks(), key=len, reverse=True)
        self.words = re.compile("|".join(map(re.escape, words)) or r"(?!)")
        edges = {word[at] for word in [*words, *self.added.values()] for at in (0, -1)}
        self.edges = re.compile("|".join(re.escape(edge) for edge in sorted(edges) if not edge.isalnum()) or r"(?!)")
        self.tools = functools.lru_cache(maxsize=1024)(self._tools)

    def faults(self, row: ParsedRow) -> list[Fault]:
        """Find the control tokens and marks that the texts of a row bring into it, each with the part that holds it."""
        try:
            return list(self._faults(row))
        except RecursionError:
            return [("unchecked", "nested too deeply to be searched for control tokens")]

    def _faults(self, row: ParsedRow) -> Iterator[Fault]:
        messages, tools = row.messages, row.tools.text
        harmless = [{**message, "content": self._turn(turn)} for message, turn in zip(messages, row.turns, strict=True)]
        harmless_system, harmless_tools = self._neutral(row.system), self.tools(row.tools)
        if (harmless, harmless_system, harmless_tools) == (messages, row.system, tools):
            return
        as_it_stands = self._count(messages, row.system, tools)
        made_harmless = self._count(harmless, harmless_system, harmless_tools)
        holds: dict[tuple[str, str], list[str]] = {}
        for number, (counts, template_counts) in enumerate(zip(as_it_stands, made_harmless, strict=True), 1):
            for word in counts - template_counts:
                code = "special" if word in self.turns else "marker"
                for part in _holders(row, number, word):
                    holds.setdefault((code, part), []).append(repr(word))
        for (code, part), words in holds.items():
            yield code, f"{part} holds {', '.join(words)}"

    def _count(self, messages: list[Message], system: str, tools: str) -> list[Counter[str]]:
        """Count how often each control token and mark stands in what the template makes of each message."""
        texts = [piece for pair in encode_pairs(messages, system, tools, self.text) for piece in pair]
        counts = [Counter(word for part in piece for word in self.words.findall(part)) for piece in texts]
        if self.added:
            ids = [piece for pair in encode_pairs(messages, system, tools, self.view) for piece in pair]
            for count, piece in zip(counts, ids, strict=True):
                count |= Counter(self.added[token] for token in piece if token in self.added)
        return counts

    def _neutral(self, value: Any) -> Any:
        """Make a JSON value whose texts, keys included, hold nothing that a control token begins or ends with."""
        if isinstance(value, str):
            text = self.normalize(value)
            return self.edges.sub("x", text) if self.edges.search(text) else value
        if isinstance(value, dict):
            return {self._neutral(key): self._neutral(item) for key, item in value.items()}
        return [self._neutral(item) for item in value] if isinstance(value, list) else value

    def _tools(self, tools: ToolList) -> str:
        harmless = self._neutral(list(tools.given))
        return tools.text if harmless == list(tools.given) else to_json(harmless)

    def _turn(self, turn: ParsedTurn) -> str:
        """Write a turn's value with harmless texts; a thought before an answer or a call keeps its marks."""
        words, beside = self.view.template.thought_words, turn.beside if turn.calls else turn.value
        opened, (begin, end) = "", words if words and len(words) == 2 else ("", "")
        if begin and turn.role in ("gpt", "function_call") and beside.startswith(begin) and end in beside:
            thought, _, beside = beside.removeprefix(begin).partition(end)
            opened = begin + self._neutral(thought) + end
        beside = opened + self._neutral(beside)
        if not turn.calls:
            return beside
        calls = [call.model_dump() for call in turn.calls]
        harmless = [{"name": self._neutral(c["name"]), "arguments": self._neutral(c["arguments"])} for c in calls]
        if (beside, harmless) == (turn.beside, calls):
            return turn.value
        marked = CLOSE in turn.value.partition(OPEN)[2]
        call_begin, call_end = self.view.template.tool_call_words if marked else ("", "")
        return beside + call_begin + to_json(harmless) + call_end

    def _marks(self) -> set[str]:
        """Collect the tags that the tool format writes, such as <tool_call>, and those of a thought."""
        thought = [word for word in self.view.template.thought_words or () if word]
        texts = [piece for pair in encode_pairs(PROBE, "", PROBE_TOOLS.text, self.text) for piece in pair]
        names = re.findall(r"</([\w:.-]+)>", "".join([*thought, *(part for piece in texts for part in piece)]))
        return {word for name in names for word in (f"<{name}>", f"</{name}>")}


def _holders(row: ParsedRow, number: int, word: str) -> list[str]:
    """Name the parts of a row that hold a word and are rendered with its turn of this number."""
    turn = row.turns[number - 1]
    parts = {f"turn {number}": leaves([turn.beside or turn.value, [call.model_dump() for call in turn.calls]])}
    if number == 1:
        parts |= {"the system message": row.system, "the list of tools": leaves(list(row.tools.given))}
    return [part for part, text in parts.items() if word in text] or [f"turn {number}"]


def leaves(value: Any) -> str:
    """Join all texts of a JSON value, keys included, a line each."""
    if isinstance(value, dict):
        return "\n".join(f"{key}\n{leaves(item)}" for key, item in value.items())
    return "\n".join(map(leaves, value)) if isinstance(value, list) else str(value)
