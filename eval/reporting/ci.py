"""A run as continuous integration reads it: Markdown for a job's summary or a pull request, JUnit for its test view."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from callwright.files import read_json, to_json, write_text
from eval.reporting.console import gain_line, signed, signed_interval, verdict_line
from eval.reporting.pages import MEANING, clip, spread
from eval.reporting.runs import Run
from eval.scoring.figures import missed
from eval.scoring.score import SUMMARY, interval, number
from eval.scoring.verdict import Result

MAX_FAILURES = 30
"""in Markdown; all of them are in JUnit"""

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what XML 1.0 (§2.2, Char) forbids, escaped or not"""


def write_markdown(path: Path, run: Run, sections: Sequence[Mapping[str, Any]], gates: Mapping[str, float]) -> None:
    """Write the figures of each set of cases, the gates, and some failures of each verdict.

    Args:
        sections: of eval.pages.
    """
    lines = []
    for section in sections:
        names = [code(name) for name, _ in section["models"]]
        comparison = section["comparison"]
        baseline = section["baseline"]
        last = len([part for part in (comparison, baseline) if part])
        head = ["", *names, *(["gain"] if comparison else []), *(["n-grams alone"] if baseline else [])]
        lines += [f"### {code(section['name'])}", "", _row(head), _row(["---"] * len(head))]
        for row in [*section["figures"], *section["parts"]]:
            cells = [f"{number(value)} {interval(bounds)}".strip() for value, bounds in row["cells"]]
            gain = f"{signed(row['gain'].value)} {signed_interval(row['gain'].ci95)}".strip() if row["gain"] else ""
            value, bounds = row["baseline"]
            words = "" if value is None else f"{number(value)} {interval(bounds)}".strip()
            lines.append(_row([row["label"], *cells, *([gain] if comparison else []), *([words] if baseline else [])]))
        scored = [f"{summary['scored']} of {summary['n']}" for _, summary in section["models"]]
        lines += [_row(["scored", *scored, *[""] * last]), ""]
        if section["unchecked"]:
            lines += [*(f"- unchecked, and so unscored: {code(case)}" for case in section["unchecked"]), ""]
        if comparison:
            a, b = names
            said = [gain_line(comparison), *(verdict_line(comparison, a, b, strict) for strict in (False, True))]
            lines += [*(f"- {line}" for line in said), ""]
    if gates:
        failed = missed(gates, read_json(run.out / SUMMARY))
        lines += [f"**gate missed**: {line}" for line in failed] or [f"All {len(gates)} gates hold."]
        lines.append("")
    failures = [result for result in run.results if result.scored and not result.correct]
    if shown := spread(failures, lambda result: result.verdict, MAX_FAILURES):
        title = f"{len(failures)} failures" + (f", {len(shown)} of them here" if len(shown) < len(failures) else "")
        lines += [
            f"<details><summary>{title}</summary>",
            "",
            _row(["verdict", "case", "asked", "why"]),
            _row(["---"] * 4),
        ]
        lines += [_row([r.verdict, code(named(r)), code(r.text), code(r.detail)]) for r in shown]
        lines += ["", "</details>", ""]
    write_text(path, "\n".join(lines))


def code(text: str) -> str:
    """Foreign words in one line of Markdown: no markup, link or mention comes of them.

    Each ASCII punctuation mark is written as a character reference, which CommonMark (§2.5) never takes for structure;
    GitHub looks for mentions everywhere but in code.
    """
    words = clip(" ".join(NOT_XML.sub("\ufffd", text).split()), 200)
    return f"<code>{re.sub(r'[!-/:-@[-`{-~]', lambda mark: f'&#{ord(mark[0])};', words)}</code>" if words else ""


def named(result: Result) -> str:
    """What a result is called: its case's id, and which answer to it where there are several."""
    return f"{result.id} ({result.sample + 1})" if result.sample else result.id


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_junit(path: Path, run: Run) -> None:
    """Write one test suite a set of cases, and one test case a case: a wrong one fails, an unscored one is an error.

    Raises:
        UserError: the file cannot be written.
    """
    root = ElementTree.Element("testsuites", name=_xml(run.name))
    for name in run.sets:
        results, title = run.of(name), f"{run.name} {run.title(name)}"
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
            _judged(ElementTree.SubElement(suite, "testcase", place), result)
    ElementTree.indent(root)
    write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n')


def _judged(testcase: ElementTree.Element, result: Result) -> None:
    if result.correct:
        return
    kind = "failure" if result.scored else "error"
    message = f"{result.verdict}: {result.detail or MEANING[result.verdict]}"
    said = [("asked", result.text), ("expected", to_json([call.model_dump() for call in result.expected]))]
    said += [("called", to_json(result.got)), ("said", result.content or "")]
    fault = ElementTree.SubElement(testcase, kind, message=_xml(clip(message, 500)), type=result.verdict)
    fault.text = _xml("\n".join(f"{key}: {clip(text)}" for key, text in said))


def _xml(text: str) -> str:
    return NOT_XML.sub("\ufffd", text)
