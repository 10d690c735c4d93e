"""Find what LLaMA-Factory would drop, die of, corrupt or learn wrongly: `python -m tools.lint --recipe smollm2-135m_lora`.

`python -m tools.lint FILE [--template qwen] [--model DIR] [--cutoff-len 1024] [--cases FILE]` lints one file of rows.
Exit status 1 when there are errors.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callwright.errors import UserError
from callwright.files import ROOT, scan_jsonl, to_json
from callwright.recipes import load_recipe
from callwright.records import Case, read_records
from callwright.text import fold_case
from tools.checks.lint_row import CODES, Fault, ParsedRow, ParsedTurn, ToolList, check_row
from tools.checks.lint_tokens import TokenCheck, leaves
from tools.formats.dataset_info import SHAREGPT, find_entry, keys_left_out
from tools.formats.ingest import reason_of, record_of, records
from tools.formats.values import kind

if TYPE_CHECKING:
    from tools.checks.lint_template import TemplateCheck

SHOWN = 10
"""findings of one code that the text format prints"""
CHUNK = 10 << 20
"""bytes that LLaMA-Factory's JSON reader types at a time (`datasets.packaged_modules.json`)"""
EFFECTS = {
    "function_tag": "every row with a call is dropped",
    "tools": "tools are not read",
    "system": "system messages are not read",
}
"""of a column or tag that an entry leaves out"""
DATE = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?")
"""what Arrow takes for a timestamp"""


@dataclass(frozen=True)
class Finding:
    """One fault at one place."""

    place: str
    """`file:line`, or what else it is about"""
    code: str
    """a key of CODES"""
    message: str

    @property
    def severity(self) -> str:
        """Look up whether it is an `error` or a `warning`."""
        return CODES[self.code][0]

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}[{self.code}] {self.message}; {CODES[self.code][1]}"

    def as_json(self) -> dict[str, Any]:
        """Write the finding for --format json; `row` is the line number, or the index in a list."""
        row = re.search(r"(?::|\[)(\d+)\]?$", self.place)
        return {
            **vars(self),
            "row": int(row[1]) if row else None,
            "severity": self.severity,
            "remedy": CODES[self.code][1],
        }


def entry_faults(entry: dict[str, Any]) -> list[Fault]:
    """Find what a dataset_info.json entry leaves out. LLaMA-Factory takes a key that is left out for absent, not for default."""
    formatting = entry.get("formatting", "alpaca")
    if formatting != "sharegpt" or entry.get("ranking"):
        what = "preference pairs" if entry.get("ranking") else f"formatting {formatting!r}"
        return [("unchecked", f"{what}: only sharegpt rows are linted; tools.convert makes them")]
    if entry.get("columns", {}).get("images"):
        return [("unchecked", "images: only rows of text are linted")]
    return [
        ("registry", f"`{part}` lacks {key!r}: {EFFECTS.get(key, 'no row is read as it stands')}")
        for part, key in keys_left_out(entry)
    ]


class ColumnTypeChecks:
    """Checks of the keys and kinds of values over a file: its JSON reader needs one type for each path."""

    def __init__(self, big: bool) -> None:
        self.big = big
        self.keys: set[str] = set()
        self.kinds: dict[str, str] = {}
        self.dates: dict[str, bool] = {}

    def faults(self, row: dict[str, Any]) -> Iterator[Fault]:
        """Find what in a row has another type than in the rows before it."""
        if self.big and self.keys and self.keys != row.keys():
            keys = sorted(self.keys ^ row.keys())
            yield "columns", f"key {keys[0]!r} is not in every row: the reader dies of it in a file above 10 MB"
        self.keys |= row.keys()
        for path, value in _paths(row, ""):
            what = kind(value)
            if isinstance(value, str) and self.dates.get(path, True):
                self.dates[path] = DATE.fullmatch(value) is not None
            if what != "null" and self.kinds.setdefault(path, what) != what:
                yield "columns", f"`{path}` is {what} here and {self.kinds[path]} above: the reader dies of it"

    def whole_file(self, columns: dict[str, str], tags: dict[str, str]) -> Iterator[Fault]:
        """Find columns that no row has, and texts that would be read as dates."""
        for column in columns.values():
            if self.keys and column not in self.keys:
                yield "columns", f"no row has `{column}`: the converter dies of it"
        for path in (columns["system"], f"{columns['messages']}[].{tags['content_tag']}"):
            if self.dates.get(path):
                yield "columns", f"every `{path}` looks like a date, and would be read as one"


def _paths(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, f"{path}[]")


class CrossRowChecks:
    """Checks for duplicates, conflicts and overlap with evaluation cases; one object for all files of a recipe."""

    def __init__(self, cases: dict[str, str]) -> None:
        self.cases = cases
        self.rows: dict[bytes, str] = {}
        self.labels: dict[tuple[str, str], tuple[frozenset[str], str]] = {}

    def faults(self, row: ParsedRow) -> Iterator[Fault]:
        """Find the faults of a row against those before it."""
        turns = [(turn.role, turn.value) for turn in row.turns]
        digest = hashlib.blake2b(to_json([row.system, row.tools.text, turns]).encode(), digest_size=16).digest()
        if (first := self.rows.setdefault(digest, row.place)) != row.place:
            yield "duplicate", f"the same row as {first}"
        conversation = any(turn.role == "observation" for turn in row.turns)
        for number, turn in enumerate(row.turns):
            if turn.role != "human":
                continue
            words = fold_case(turn.value)
            if words in self.cases:
                yield "overlap", f"turn {number + 1} is what {self.cases[words]} asks"
            if number and conversation:
                continue  # what a later turn means depends on those before it
            label = frozenset(call.name for call in row.turns[number + 1].calls)
            other, where = self.labels.setdefault((words, row.tools.text), (label, row.place))
            if other != label:
                yield "conflict", f"turn {number + 1} {_decision(label)}; the same words at {where}: {_decision(other)}"


def _decision(names: Iterable[str]) -> str:
    return " and ".join(f"calls {name}" for name in sorted(names)) or "does not call"


def asked_texts(paths: Iterable[Path]) -> dict[str, str]:
    """Map what the cases of evaluation files ask last, folded, to the file's name and the case's id."""
    cases = ((path, case) for path in paths for case in read_records(path, Case))
    return {fold_case(case.text): f"{path.name} {case.id}" for path, case in cases if case.text}


def case_findings(path: Path, tokens: TokenCheck) -> Iterator[Finding]:
    """Find control tokens and marks in evaluation cases, which ask something else than they seem to."""
    for case in read_records(path, Case):
        turns = ParsedTurn("human", leaves(case.messages)), ParsedTurn("gpt", "")
        row = ParsedRow(turns, tools=ToolList(to_json(case.tools), case.tools))
        for _, fault in tokens.faults(row):
            yield Finding(f"{path} {case.id}", "marker", fault.replace("turn 1 holds", "its conversation holds"))


def scan_json(path: Path) -> Iterator[tuple[str, dict[str, Any] | UserError]]:
    """Read the rows of a .json file, a list or one a line, each with its place: the object, or what is wrong with it.

    Raises:
        UserError: missing, unreadable, or a list that is broken off.
    """
    for place, raw in records(str(path)):
        try:
            yield place, record_of(raw)
        except (ValueError, RecursionError) as error:
            yield place, UserError(place, reason_of(error), CODES["json"][1])


def lint_file(
    path: Path, entry: dict[str, Any], cross_row: CrossRowChecks, template: "TemplateCheck | None" = None
) -> tuple[int, list[Finding]]:
    """Count the rows of a file, and find what is wrong in it.

    Args:
        entry: its entry in dataset_info.json.
        template: None for what holds under every template.
    """
    known = entry_faults(entry) if path.suffix in (".jsonl", ".json") else [("unchecked", "only JSON is; convert it")]
    count, findings, any_tools = 0, [Finding(str(path), *fault) for fault in known], False
    if any(finding.code == "unchecked" for finding in findings):
        return 0, findings
    parts = {part: {**SHAREGPT[part], **entry.get(part, {})} for part in ("columns", "tags")}
    types = ColumnTypeChecks(path.is_file() and path.stat().st_size > CHUNK)
    for place, value in scan_jsonl(path) if path.suffix == ".jsonl" else scan_json(path):
        count += 1
        if isinstance(value, UserError):
            findings.append(Finding(place, "json", value.fault))
            continue
        faults, row = check_row(value, parts, place)
        if not any(code in ("columns", "tools") for code, _ in faults):
            faults += types.faults(value)
        if row is not None:
            any_tools = any_tools or bool(row.tools.text)
            faults += template.check(row) if template else ()
            faults += cross_row.faults(row)
        findings += [Finding(place, *fault) for fault in faults]
    whole: list[Fault] = list(types.whole_file(**parts)) if count else [("json", "the file is empty")]
    whole += template.whole_file(any_tools) if template else ()
    return count, findings + [Finding(str(path), *fault) for fault in whole]


def template_check(settings: dict[str, Any]) -> tuple["TemplateCheck", list[Finding]]:
    """Make the check for a recipe's settings, and say what it cannot check."""
    from tools.checks.encode import announce_loading, fetch_hint, is_at_hand, load_tokenizer, load_view
    from tools.checks.lint_template import TemplateCheck

    announce_loading("lint")
    model = settings.get("model_name_or_path")
    if model and is_at_hand(model):
        return TemplateCheck(load_view(settings, *load_tokenizer(settings)), True), []
    check = TemplateCheck(load_view(settings), False)
    missing = f"no tokenizer of {model} here, so nothing says what cutoff_len cuts; {fetch_hint(model or '')}"
    return check, [Finding(model, "unchecked", missing)] if model else []


def recipe_files(stem: str, overrides: Sequence[str]) -> tuple[dict[str, Any], dict[Path, dict[str, Any]], list[Path]]:
    """Look up a recipe's settings, its local dataset files with their entries, and the evaluation files beside them."""
    recipe = load_recipe(stem, overrides)
    known = [find_entry(name, ROOT / "dataset_info.json") for name in recipe.datasets]
    entries = {_shown(ROOT / entry["file_name"]): entry for entry in known if "file_name" in entry}
    tasks = sorted({name.rsplit("_", 1)[0] for name in recipe.datasets})
    cases = [ROOT / "data" / f"{task}_{part}.jsonl" for task in tasks for part in ("test", "golden")]
    return recipe.train, entries, [_shown(path) for path in cases if path.is_file()]


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def report_lines(findings: list[Finding]) -> Iterator[str]:
    """Write the findings as lines, at most SHOWN of a code."""
    shown: Counter[str] = Counter()
    for finding in findings:
        shown[finding.code] += 1
        if shown[finding.code] <= SHOWN:
            yield str(finding)
    for code, count in shown.items():
        if count > SHOWN:
            yield f"… and {count - SHOWN} more of {code} (--format json has them all)"
