import subprocess
import sys

import pytest

from callwright.errors import UserError
from callwright.files import ROOT
from callwright.locks import locked, only_writer

HOLDS = """
import sys, time
from pathlib import Path
from callwright.locks import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_writer_who_is_named(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "a")], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    named = rf"a: is being written by process {holder.pid}, since \d{{4}}-"
    with pytest.raises(UserError, match=named), only_writer(tmp_path / "a"):
        pass
    with only_writer(tmp_path / "b"), only_writer(tmp_path / "a" / "inside"):
        pass
    holder.kill()
    holder.wait()
    with only_writer(tmp_path / "a"), pytest.raises(UserError, match="being written by"), only_writer(tmp_path / "a"):
        pass
    with only_writer(tmp_path / "a"), locked(tmp_path / "b"):
        pass


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(UserError, match="file: cannot be written"), only_writer(tmp_path / "file"):
        pass
