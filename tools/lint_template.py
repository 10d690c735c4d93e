"""What one template makes of a sound row, by LLaMA-Factory's own code: `TemplateCheck(view).check(row)`; tools.lint runs it."""

import functools
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tools.encode import View, encode_pairs, kept, markers
from tools.lint_row import Fault, Row, Turn

LF_ROLES = {"human": "user", "observation": "observation", "gpt": "assistant", "function_call": "function"}
SLACK = 16
"""tokens that joining texts may add to the sum of their parts"""


class TemplateCheck:
    """Checks rows under one view. Token checks happen where the view has a real tokenizer."""

    def __init__(self, view: View, has_tokenizer: bool) -> None:
        self.view, self.has_tokenizer = view, has_tokenizer
        self.text = view.verbatim()
        self.special = self._specials()
        self.fixed = functools.lru_cache(maxsize=1024)(self._tokens_of_prompt)
        self.tool_text = functools.lru_cache(maxsize=1024)(self._tool_text)
        self.overhead = {role: self._overhead(role) for role in LF_ROLES} if has_tokenizer else {}
        self.readable = self._reads_back([("probe", {"text": "a", "number": 1})])

    def whole_file(self, rows_have_tools: bool) -> Iterator[Fault]:
        """The faults of the template itself."""
        name = self.view.tool_format
        if rows_have_tools and not self.readable:
            yield "unreadable", f"tool format {name!r} writes calls that its own reader does not read"
        probe = '[{"name": "a", "parameters": {"type": "object", "properties": {}}}]'
        if rows_have_tools and datetime.now().strftime("%d %b %Y") in self.tool_text(probe):
            yield "date", f"tool format {name!r} writes today's date into the prompt, at training and at serving"
        if self.has_tokenizer and (fault := self._media_fault([])):
            yield "media", fault

    def check(self, row: Row) -> list[Fault]:
        """The faults of a row that check_row found sound."""
        view, messages = self.text, [{"role": LF_ROLES[turn.role], "content": turn.value} for turn in row.turns]
        try:
            tool_text = self.tool_text(row.tools) if row.tools else ""
        except Exception as error:  # whatever it is, it kills the run
            return [("tools", f"LLaMA-Factory dies of it: {_words(error)}")]
        written = []
        for number, turn in enumerate(row.turns, 1):
            try:
                calls = [(call.name, call.arguments) for call in turn.calls]
                written.append(self._write(calls) if calls else turn.value)
            except Exception as error:
                code = "parallel" if len(turn.calls) > 1 else "call"
                return [(code, f"turn {number}: LLaMA-Factory dies of it: {_words(error)}")]
        if self.has_tokenizer and (fault := self._media_fault(messages)):
            return [("media", fault)]
        try:
            pairs = encode_pairs(messages, row.system, row.tools, view)
        except Exception as error:
            return [("call", f"LLaMA-Factory dies of it: {_words(error)}")]
        pieces = ["".join(piece) for pair in pairs for piece in pair]
        faults = list(self._altered(row, pieces, written, tool_text))
        for number, (turn, text) in enumerate(zip(row.turns, written, strict=True), 1):
            faults += [(code, f"turn {number}: {words}") for code, words in self._turn_faults(turn, text)]
        return faults + list(self._cut(row, messages, pieces, written)) if self.has_tokenizer else faults

    def _altered(self, row: Row, pieces: list[str], written: list[str], tool_text: str) -> Iterator[Fault]:
        system = row.system or self.view.template.default_system
        if (system or row.tools) and system + tool_text not in pieces[0]:
            yield "altered", "the system message and the tools are not in the prompt"
        for number, (turn, text, piece) in enumerate(zip(row.turns, written, pieces, strict=True), 1):
            if text not in piece or turn.beside not in piece:
                yield "altered", f"turn {number} is not in the training text as it stands"

    def _turn_faults(self, turn: Turn, text: str) -> Iterator[Fault]:
        if found := self.special.search(turn.value):
            yield "special", f"holds {found[0]!r}"
        if turn.calls and self.readable and not self._reads_back([(c.name, c.arguments) for c in turn.calls], text):
            yield "unreadable", f"{self.view.tool_format}'s own reader does not read its call of {turn.calls[0].name!r}"
        if turn.role == "gpt":
            try:
                read = self.view.tools.tool_extractor(turn.value)
            except Exception as error:
                yield "reads-as-call", f"the API server would die reading the answer: {_words(error)}"
            else:
                if not isinstance(read, str):
                    yield "reads-as-call", f"the answer reads as {len(read)} call(s)"

    def _cut(self, row: Row, messages: list[dict[str, str]], pieces: list[str], written: list[str]) -> Iterator[Fault]:
        limit = self.view.data_args.cutoff_len
        bound = self.fixed(row.system, row.tools) + SLACK
        bound += sum(len(w.encode()) + len(t.beside.encode()) for t, w in zip(row.turns, written, strict=True))
        bound += sum(self.overhead[turn.role] for turn in row.turns)
        if bound < limit:  # a token is a byte or more
            return
        lengths = [(len(s), len(t)) for s, t in encode_pairs(messages, row.system, row.tools, self.view)]
        total = sum(map(sum, lengths)) + int(self.view.template.efficient_eos)
        for number, (have, keep) in enumerate(zip(lengths, kept(lengths, self.view), strict=True)):
            of = f"of a row of {total}, with cutoff_len {limit}"
            if keep[0] < have[0]:
                yield "cut-prompt", f"turn {2 * number + 1} keeps {keep[0]} of {have[0]} tokens, {of}"
            if keep[1] < have[1]:
                yield "cut-answer", f"turn {2 * number + 2} keeps {keep[1]} of {have[1]} tokens, {of}"

    def _media_fault(self, messages: list[dict[str, str]]) -> str | None:
        try:
            self.view.template.mm_plugin.process_messages(messages, [], [], [], self.view.processor)
        except Exception as error:
            return f"LLaMA-Factory dies of it: {_words(error)}"
        return None

    def _tool_text(self, tools: str) -> str:
        return str(self.view.template.format_tools.apply(content=tools)[0])

    def _write(self, calls: list[tuple[str, dict[str, Any]]]) -> str:
        from llamafactory.data.tool_utils import FunctionCall

        functions = [FunctionCall(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
        return str(self.view.tools.function_formatter(functions))

    def _reads_back(self, calls: list[tuple[str, dict[str, Any]]], text: str | None = None) -> bool:
        try:
            read = self.view.tools.tool_extractor(self._write(calls) if text is None else text)
            return not isinstance(read, str) and [(name, json.loads(arguments)) for name, arguments in read] == calls
        except Exception:  # its reader died: then it does not read the call
            return False

    def _specials(self) -> re.Pattern[str]:
        words = markers(self.view.template) | {*getattr(self.view.tokenizer, "all_special_tokens", [])}
        return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)")

    def _tokens_of_prompt(self, system: str, tools: str) -> int:
        first = encode_pairs([{"role": "user", "content": ""}, {"role": "assistant", "content": ""}], system, tools, self.view)  # fmt: skip
        return len(first[0][0])

    def _overhead(self, role: str) -> int:
        """Tokens that a turn of this role has beside its text."""
        part = getattr(self.view.template, f"format_{LF_ROLES[role]}")
        slots = [slot.replace("{{content}}", "") if isinstance(slot, str) else slot for slot in part.slots]
        thought = len(self.view.template.get_thought_word_ids(self.view.tokenizer))
        return len(self.view.template._convert_elements_to_ids(self.view.tokenizer, slots)) + thought


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:120]}"
