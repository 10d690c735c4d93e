"""A run as continuous integration reads it: Markdown for a job's summary or a pull request, JUnit for its test view."""

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from callwright.files import to_json, write_text
from callwright.results import MEANING, Result
from callwright.summary import value_and_interval
from eval.reporting.compare import gain_line, verdict_line
from eval.reporting.pages import take_turns
from eval.reporting.report import Report
from eval.reporting.section import Section, clip
from eval.scoring.gates import missed
from eval.scoring.runs import Run

MAX_FAILURES = 30
"""in Markdown; all of them are in JUnit"""

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what XML 1.0 (§2.2, Char) forbids, escaped or not"""


def write_markdown(path: Path, report: Report, gates: Mapping[str, float]) -> None:
    """Write the figures of each set of cases, the gates, and some failures of each verdict."""
    lines = [line for section in report.sections for line in _section(section)]
    if gates:
        failed = missed(gates, report.run.summary)
        lines += [f"**gate missed**: {line}" for line in failed] or [f"All {len(gates)} gates hold."]
        lines.append("")
    write_text(path, "\n".join([*lines, *_failures(report.run)]))


def _section(section: Section) -> list[str]:
    names = [code(name) for name, _ in section.models]
    more = (["gain"] if section.comparison else []) + (["n-grams alone"] if section.baseline else [])
    lines = [f"### {code(section.name)}", "", *_table(["", *names, *more])]
    for row in section.rows:
        cells = [row.label, *(value_and_interval(*cell) for cell in row.cells)]
        if section.comparison:
            cells.append(str(row.gain) if row.gain else "")
        if section.baseline:
            cells.append("" if row.baseline[0] is None else value_and_interval(*row.baseline))
        lines.append(_row(cells))
    scored = [f"{summary.scored} of {summary.n}" for _, summary in section.models]
    lines += [_row(["scored", *scored, *[""] * len(more)]), ""]
    if section.unchecked:
        lines += [*(f"- unchecked, and so unscored: {code(case)}" for case in section.unchecked), ""]
    if section.comparison:
        lines.append(f"- {gain_line(section.comparison)}")
        a, b = names
        lines += [f"- {verdict_line(section.comparison, a, b, strict)}" for strict in (False, True)]
        lines.append("")
    return lines


def _failures(run: Run) -> list[str]:
    failures = [result for result in run.results if result.scored and not result.correct]
    shown = take_turns(failures, lambda result: result.verdict, MAX_FAILURES)
    if not shown:
        return []
    title = f"{len(failures)} failures" + (f", {len(shown)} of them here" if len(shown) < len(failures) else "")
    return [
        *(f"<details><summary>{title}</summary>", ""),
        *_table(["verdict", "case", "asked", "why"]),
        *(_row([r.verdict, code(named(r)), code(r.text), code(r.detail)]) for r in shown),
        *("", "</details>", ""),
    ]


def _table(head: list[str]) -> list[str]:
    return [_row(head), _row(["---"] * len(head))]


def code(text: str) -> str:
    """Write foreign words in one line of Markdown: no markup, link or mention comes of them.

    Each ASCII punctuation mark is written as a character reference, which CommonMark (§2.5) never takes for structure;
    GitHub looks for mentions everywhere but in code.
    """
    words = clip(" ".join(NOT_XML.sub("\ufffd", text).split()), 200)
    return f"<code>{re.sub(r'[!-/:-@[-`{-~]', lambda mark: f'&#{ord(mark[0])};', words)}</code>" if words else ""


def named(result: Result) -> str:
    """Return what a result is called: its case's id, and which answer to it where there are several."""
    return f"{result.id} ({result.sample + 1})" if result.sample else result.id


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_junit(path: Path, run: Run) -> None:
    """Write one test suite a set of cases, and one test case a case: a wrong one fails, an unscored one is an error.

    Raises:
        UserError: the file cannot be written.
    """
    root = ElementTree.Element("testsuites", name=_xml(run.name))
    for name, results in run.sets.items():
        title = f"{run.name} {run.title(name)}"
        totals = {
            "tests": len(results),
            "failures": sum(result.scored and not result.correct for result in results),
            "errors": sum(not result.scored for result in results),
            "skipped": 0,
        }
        seconds = sum(result.latency_s or 0 for result in results)
        counts = {key: str(n) for key, n in totals.items()}
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            counts,
            name=_xml(title),
            time=f"{seconds:.3f}",
            timestamp=_xml(run.manifest["time"][:19]),
        )
        for result in results:
            place = {"classname": _xml(title), "name": _xml(named(result)), "time": f"{result.latency_s or 0:.3f}"}
            _add_fault(ElementTree.SubElement(suite, "testcase", place), result)
    ElementTree.indent(root)
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n')


def _add_fault(testcase: ElementTree.Element, result: Result) -> None:
    if result.correct:
        return
    kind = "failure" if result.scored else "error"
    message = f"{result.verdict}: {result.detail or MEANING[result.verdict]}"
    parts = {
        "asked": result.text,
        "expected": to_json([call.model_dump() for call in result.expected]),
        "called": to_json(result.got),
        "said": result.content or "",
    }
    fault = ElementTree.SubElement(testcase, kind, message=_xml(clip(message, 500)), type=result.verdict)
    fault.text = _xml("\n".join(f"{key}: {clip(text)}" for key, text in parts.items()))


def _xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
