"""What one template makes of a sound row, by LLaMA-Factory's own code: `TemplateCheck(view).check(row)`; tools.lint runs it."""

import functools
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tools.checks.encode import View, encode_pairs, kept
from tools.checks.lint_row import Fault, FaultError, ParsedRow, ParsedTurn, ToolList, read_tools
from tools.checks.lint_tokens import PROBE_TOOLS, TokenCheck
from tools.formats.sharegpt import tools_text

SLACK = 16
"""tokens that joining texts may add to the sum of their parts"""

READ = 20_000
"""characters of an answer or a call that are read back: LLaMA-Factory's patterns take time that grows with the square"""

DIES = "LLaMA-Factory dies of it"


def llamafactory(code: str, what: str, part: Callable[..., Any], *values: Any) -> Any:
    """Run a part of LLaMA-Factory on values that may be anything.

    Raises:
        FaultError: it raised. No kind of exception is left out: each would end the training run, or the server's answer.
    """
    try:
        return part(*values)
    except Exception as error:
        raise FaultError((code, f"{what}: {type(error).__name__}: {str(error)[:120]}")) from error


class TemplateCheck:
    """Checks of rows under one view. Tokens are checked where the view has a real tokenizer."""

    def __init__(self, view: View, has_tokenizer: bool) -> None:
        self.view, self.has_tokenizer = view, has_tokenizer
        self.text = view.verbatim()
        self.tokens = TokenCheck(view, has_tokenizer)
        self.empty = functools.lru_cache(maxsize=1024)(self._empty_prompt)
        self.tool_text = functools.lru_cache(maxsize=1024)(self._tool_text)
        self.readable = self._reads_back([("probe", {"text": "a", "number": 1})])

    def whole_file(self, rows_have_tools: bool) -> Iterator[Fault]:
        """Find the faults of the template itself."""
        name = self.view.tool_format
        if rows_have_tools and not self.readable:
            yield "unreadable", f"tool format {name!r} writes calls that its own reader does not read"
        if rows_have_tools and datetime.now().strftime("%d %b %Y") in self.tool_text(PROBE_TOOLS):
            yield "date", f"tool format {name!r} writes today's date into the prompt, at training and at serving"
        try:
            self._process_media([])
        except FaultError as died:
            yield died.fault

    def check(self, row: ParsedRow) -> list[Fault]:
        """Find the faults of a row that check_row found sound, up to the one that training dies of."""
        faults: list[Fault] = []
        try:
            for fault in self._faults(row):
                faults.append(fault)
        except FaultError as died:
            faults.append(died.fault)
        return faults

    def _faults(self, row: ParsedRow) -> Iterator[Fault]:
        tool_text = llamafactory("tools", DIES, self.tool_text, row.tools) if row.tools.text else ""
        served = read_tools(tools_text(list(row.tools.canonical)))
        if served.text and not row.tools.form_fault and self.tool_text(served) != tool_text:
            name = self.view.tool_format
            yield "tool-form", f"tool format {name!r} shows what stands around a function; serving sends it bare"
        written = [self._written(number, turn) for number, turn in enumerate(row.turns, 1)]
        self._process_media(row.messages)
        pairs = llamafactory("call", DIES, encode_pairs, row.messages, row.system, row.tools.text, self.text)
        pieces = ["".join(piece) for pair in pairs for piece in pair]
        yield from self._altered(row, pieces, written, tool_text)
        named = set()
        for number, (turn, text) in enumerate(zip(row.turns, written, strict=True), 1):
            for fault in self._turn_faults(number, turn, text):
                named.add(f"turn {number}")
                yield fault
        for code, words in self.tokens.faults(row):
            # A mark that does harm is named already.
            if code == "special" or words.partition(" holds ")[0] not in named:
                yield code, words
        if self.has_tokenizer:
            yield from self._cut(row, sum(len(piece.encode()) for piece in pieces))

    def _written(self, number: int, turn: ParsedTurn) -> str:
        """Write a turn's value as the template gets it."""
        if not turn.calls:
            return turn.value
        code = "parallel" if len(turn.calls) > 1 else "call"
        calls = [(call.name, call.arguments) for call in turn.calls]
        return str(llamafactory(code, f"turn {number}: {DIES}", self._write, calls))

    def _altered(self, row: ParsedRow, pieces: list[str], written: list[str], tool_text: str) -> Iterator[Fault]:
        system = row.system or self.view.template.default_system
        if (system or row.tools.text) and system + tool_text not in pieces[0]:
            yield "altered", "the system message and the tools are not in the prompt"
        for number, (turn, text, piece) in enumerate(zip(row.turns, written, pieces, strict=True), 1):
            if text not in piece or turn.beside.strip() not in piece:
                yield "altered", f"turn {number} is not in the training text as it stands"

    def _turn_faults(self, number: int, turn: ParsedTurn, text: str) -> Iterator[Fault]:
        calls = [(call.name, call.arguments) for call in turn.calls]
        if calls and len(text) < READ and self.readable and not self._reads_back(calls, text):
            own = f"{self.view.tool_format}'s own reader"
            yield "unreadable", f"turn {number}: {own} does not read its call of {turn.calls[0].name!r}"
        if turn.role == "gpt":
            dies = f"turn {number}: the API server would die reading the answer"
            try:
                read = llamafactory("reads-as-call", dies, self.view.tools.tool_extractor, turn.value[:READ])
            except FaultError as died:
                yield died.fault  # the training run goes on
            else:
                if not isinstance(read, str):
                    yield "reads-as-call", f"turn {number}: the answer reads as {len(read)} call(s)"

    def _cut(self, row: ParsedRow, size: int) -> Iterator[Fault]:
        """Find what `cutoff_len` takes of a row of so many bytes."""
        limit = self.view.data_args.cutoff_len
        tokens, taken = self.empty(row.system, row.tools)
        if tokens + size - taken + SLACK < limit:  # a token is a byte or more
            return
        pairs = llamafactory("call", DIES, encode_pairs, row.messages, row.system, row.tools.text, self.view)
        lengths = [(len(s), len(t)) for s, t in pairs]
        total = sum(map(sum, lengths)) + int(self.view.template.efficient_eos)
        for number, (have, keep) in enumerate(zip(lengths, kept(lengths, self.view), strict=True)):
            of = f"of a row of {total}, with cutoff_len {limit}"
            if keep[0] < have[0]:
                yield "cut-prompt", f"turn {2 * number + 1} keeps {keep[0]} of {have[0]} tokens, {of}"
            if keep[1] < have[1]:
                yield "cut-answer", f"turn {2 * number + 2} keeps {keep[1]} of {have[1]} tokens, {of}"

    def _process_media(self, messages: list[dict[str, str]]) -> None:
        if self.has_tokenizer:
            process = self.view.template.mm_plugin.process_messages
            llamafactory("media", DIES, process, messages, [], [], [], self.view.processor)

    def _tool_text(self, tools: ToolList) -> str:
        return str(self.view.template.format_tools.apply(content=tools.text)[0])

    def _write(self, calls: list[tuple[str, dict[str, Any]]]) -> str:
        from llamafactory.data.tool_utils import FunctionCall

        functions = [FunctionCall(name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls]
        return str(self.view.tools.function_formatter(functions))

    def _reads_back(self, calls: list[tuple[str, dict[str, Any]]], text: str | None = None) -> bool:
        try:
            text = llamafactory("call", DIES, self._write, calls) if text is None else text
            read = llamafactory("unreadable", DIES, self.view.tools.tool_extractor, text)
            return not isinstance(read, str) and [(name, json.loads(arguments)) for name, arguments in read] == calls
        except (FaultError, json.JSONDecodeError):
            return False

    def _empty_prompt(self, system: str, tools: ToolList) -> tuple[int, int]:
        """Count the tokens and bytes before the first answer where nothing is said: most rows have them in common."""
        empty = [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}]
        [(tokens, _)] = encode_pairs(empty, system, tools.text, self.view)
        [(texts, _)] = encode_pairs(empty, system, tools.text, self.text)
        return len(tokens), len("".join(texts).encode())
