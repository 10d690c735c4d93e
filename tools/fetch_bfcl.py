"""Fetch BFCL's questions, answers and tool classes from the package index into models/: `python -m tools.fetch_bfcl`."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

from callwright.bfcl import FOLDER, VERSION
from callwright.errors import Parser, UserError, command
from callwright.files import ROOT
from tools.training.download import check_digest, download_wheel, new_folder

PACKAGE = f"bfcl-eval=={VERSION}"
DIGEST = "3bb6dfa5f0c68ad403c9ec50b00db2bb3b4cc9b38ab1ff33f48fe30d853d3a0a"
"""SHA-256 of the wheel"""
LEFT_OUT = ("bfcl_eval/data/unused_datasets/", "bfcl_eval/data/memory_prereq_conversation/")


def fetch() -> tuple[Path, bool]:
    """Unpack the wheel under models/, whole or not at all; return its folder and whether it was there.

    The package's own dependencies (about 150, with pins that clash) are not needed: nothing of it runs but the tool
    classes of its multi-turn questions.

    Raises:
        UserError: no network, or bytes that are not the pinned ones.
    """
    if FOLDER.is_dir():
        return FOLDER, True
    try:
        with new_folder(FOLDER) as part:
            wheel = download_wheel(PACKAGE, part.parent, "check the network and the package index")
            check_digest(wheel, DIGEST, PACKAGE, "do not use it; check the package index")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(part, [name for name in archive.namelist() if not name.startswith(LEFT_OUT)])
    except UserError:
        if FOLDER.is_dir():  # another process was faster
            return FOLDER, True
        raise
    return FOLDER, False


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Fetch from the command line."""
    Parser("python -m tools.fetch_bfcl", __doc__).parse_args(argv)
    folder, there = fetch()
    print(f"BFCL: {folder.relative_to(ROOT)} ({'there already' if there else 'fetched'})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
