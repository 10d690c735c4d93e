"""A new task from tools that are no tools.json."""

from pathlib import Path

import pytest

import callwright.config
from callwright.schema import load_tools
from tools.new import main


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty house, of which tools.new thinks that it is its own."""
    monkeypatch.setattr(callwright.config, "ROOT", tmp_path)
    monkeypatch.setattr("tools.new.ROOT", tmp_path)
    return tmp_path


def test_tools_of_any_source(house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "my_functions.py"
    source.write_text('def ring(bell: str, *more: str) -> None:\n    """Ring a bell."""\n')
    assert main(["bells", "--tools", str(source)]) == 0
    assert "ring: *more: any number of arguments; dropped" in capsys.readouterr().err
    (tool,) = load_tools(house / "data/seeds/bells/tools.json")
    assert list(tool["function"]["parameters"]["properties"]) == ["bell"]
