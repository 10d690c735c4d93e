"""docs/convert.md shows what the readers do: each record in it is converted and compared with the row below it."""

import json
import re

import pytest

from callwright.files import ROOT
from tools.formats import sharegpt
from tools.formats.conversation import Loss
from tools.formats.readers import EVALUATION_ONLY, READERS
from tools.formats.reshape import reshaped

PAGE = (ROOT / "docs/convert.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^### `(\w+)`\n(.*?)```json\n(.*?)```\n```json\n(.*?)```\n(.*?)(?=^##)", re.DOTALL | re.MULTILINE)
EXAMPLES = {form: (record, row, rest) for form, _, record, row, rest in EXAMPLE.findall(PAGE)}


def test_every_format_has_an_example():
    assert list(EXAMPLES) and set(EXAMPLES) == set(READERS)
    assert all(f"`{form}`" in PAGE for form in EVALUATION_ONLY)


@pytest.mark.parametrize("form", EXAMPLES)
def test_the_example_is_what_the_reader_does(form: str):
    record, row, rest = EXAMPLES[form]
    lost: list[Loss] = []
    [conversation] = reshaped(READERS[form](json.loads(record)))
    made = sharegpt.write(conversation, lost)
    assert made["conversations"] == json.loads(row)
    assert [loss.what for loss in lost] == re.findall(r"^Lost: `(.*)`\.$", rest, re.MULTILINE)


@pytest.mark.parametrize(
    "option", ["--fold", "--drop", "--unlearned", "--limit", "--dry-run", "--on-error", "--source"]
)
def test_every_option_of_records_is_on_the_page(option: str, capsys: pytest.CaptureFixture[str]):
    from tools.convert import main

    with pytest.raises(SystemExit):
        main(["--help"])
    assert option in capsys.readouterr().out
    assert option in PAGE
