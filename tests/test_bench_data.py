"""The benchmark of generation, at a small size: what it reports, not how fast it is."""

import re

import pytest

from bench.data import main


def test_throughput_is_a_part_of_what_the_limit_allows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--lines", "120"]) == 0
    out = capsys.readouterr().out
    found = re.findall(r"at (\d) × the limit ([\d.]+) of 40 requests/s \((\d+)%\)", out)
    assert [times for times, _, _ in found] == ["1", "2"], out
    assert float(found[1][1]) < 60, "twice the limit is refused"


def test_augment_makes_the_lines_that_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["augment", "--lines", "40"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"augment +40 lines .* MiB \(\d+ before\); 40 examples$", out), out
