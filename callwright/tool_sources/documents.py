"""Read documents in JSON or YAML that refer to one another: from a file, or from the address that the user gave."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from callwright.errors import UserError
from callwright.files import parse_json, read_text
from callwright.yaml12 import parse_yaml

MOST_BYTES = 64 << 20
"""The largest document: GitHub's, with everything in its place, takes 73 MB, and 13 MB with references."""
MOST_FILES = 1000


def parse_document(text: str, place: str | Path) -> Any:
    """Parse JSON or YAML 1.2; UserError where the text is neither."""
    text = text.removeprefix("\ufeff")
    is_json = Path(str(place)).suffix == ".json"
    try:
        if is_json or text.lstrip()[:1] in ("{", "["):
            return parse_json(text)
    except ValueError as error:
        if is_json:
            raise UserError(place, f"not JSON ({error})", "fix it") from None
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UserError(place, f"not YAML ({error})", "fix it") from None


def read_document(path: Path) -> Any:
    """Read a JSON or YAML file; UserError where it is missing, too large or broken."""
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise UserError(path, f"more than {MOST_BYTES >> 20} MiB", "leave out what no tool needs")
    return parse_document(read_text(path), path)


def shown(url: str) -> str:
    """Return an address without what may be secret in it (user, password, query); UserError where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UserError("address", str(error), "check it") from None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fetch_document(url: str, headers: Mapping[str, str], timeout_s: float) -> Any:
    """Fetch the document at an address as UTF-8. What it refers to, and where it redirects to, is not fetched.

    Raises:
        UserError: no answer within `timeout_s` seconds, no success, a redirect, too large, or neither JSON nor YAML.
    """
    import httpx2

    place, until, body = shown(url), time.monotonic() + timeout_s, bytearray()
    remedy = "check the address; an MCP server's is given as mcp:URL"
    try:
        with (
            httpx2.Client(timeout=timeout_s, headers={**headers, "Accept-Encoding": "identity"}) as client,
            client.stream("GET", url, follow_redirects=False) as response,
        ):
            if response.is_redirect:
                target = shown(str(response.next_request.url)) if response.next_request else "elsewhere"
                raise UserError(place, f"redirects to {target}, which is not followed", "give that address")
            if response.status_code != 200:
                raise UserError(place, f"answers with status {response.status_code}", remedy)
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise UserError(place, f"more than {MOST_BYTES >> 20} MiB", "download it, and cut it")
                if time.monotonic() > until:
                    raise UserError(place, f"not read within {timeout_s:g} s", "give it longer with --timeout")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise UserError(place, f"no answer ({str(error) or type(error).__name__})", remedy) from None
    try:
        return parse_document(body.decode("utf-8-sig"), place)
    except UnicodeDecodeError as error:
        raise UserError(place, f"not UTF-8 (byte {error.start})", "download it, and save it as UTF-8") from None


@dataclass
class Library:
    """A document, and the files in its folder and below that its references lead to, each read once.

    Args:
        first: the document.
        path: where it lies; None where it is no file, so that nothing lies beside it.
    """

    first: Any
    path: Path | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """Path → document; the path of the first one is empty."""
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Path → what the document's `$id`s and `$anchor`s name."""

    def __post_init__(self) -> None:
        self.values[""] = self.first

    def follow(self, reference: str, base: str = "") -> tuple[Any, str]:
        """Return what a reference in the document `base` leads to, and which document that stands in.

        Raises:
            ValueError: it leads outside the first document's folder, or nowhere.
        """
        name, _, pointer = reference.partition("#")
        if name and (own := self.named(base).get(name)) is not None:
            value = own
        else:
            base = self.beside(reference, base) if name else base
            value = self.values[base]
        if pointer and not pointer.startswith("/"):
            if pointer not in self.named(base):
                raise ValueError(f"$ref {reference!r} leads nowhere")
            return self.named(base)[pointer], base
        for part in pointer.split("/")[1:]:
            part = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(part) if isinstance(value, list) and re.fullmatch("[0-9]{1,9}", part) else part]
            except (KeyError, IndexError, TypeError):
                raise ValueError(f"$ref {reference!r} leads nowhere") from None
        return value, base

    def beside(self, reference: str, base: str) -> str:
        """Return the path of the file that a reference in the document `base` names, and read the file once.

        Raises:
            ValueError: the file is outside the first document's folder, is not there, or cannot be read.
        """
        name = reference.partition("#")[0]
        outside = ValueError(f"$ref {reference!r} leads outside the document's folder, and is never fetched")
        parts = urlsplit(name)
        if self.path is None or parts.scheme or parts.netloc or name.startswith(("/", "\\")):
            raise outside
        first = self.path.resolve()
        path = (Path(base or first).parent / unquote(parts.path)).resolve()
        if not path.is_relative_to(first.parent):
            raise outside
        key = "" if path == first else str(path)
        if key not in self.values:
            if not path.is_file():
                raise ValueError(f"$ref {reference!r} leads nowhere: no such file")
            if len(self.values) > MOST_FILES:
                raise ValueError(f"$ref {reference!r}: more than {MOST_FILES} files")
            try:
                self.values[key] = read_document(path)
            except UserError as error:
                raise ValueError(f"$ref {reference!r}: {error.fault}") from None
        return key

    def named(self, base: str) -> dict[str, Any]:
        """Return what the `$id`s and `$anchor`s of a document name."""
        if base not in self.identities:
            pairs = [(str(node[key]), node) for node in _objects(self.values[base]) for key in NAMING if key in node]
            self.identities[base] = {name.lstrip("#"): node for name, node in reversed(pairs)}
        return self.identities[base]


NAMING = ("$id", "$anchor", "$dynamicAnchor")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a value, once."""
    stack, known = [value], set[int]()
    while stack:
        node = stack.pop()
        if not isinstance(node, dict | list) or id(node) in known:
            continue
        known.add(id(node))
        if isinstance(node, dict):
            yield node
        stack.extend(node.values() if isinstance(node, dict) else node)
