"""What we depend on: its licences, a bill of materials, known holes: `python -m tools.vet licences | sbom | audit`."""

import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from callwright.errors import Parser, UserError, command
from callwright.files import ROOT, read_text, write_json, write_text
from callwright.recipes import read_settings
from tools import fetch_bfcl
from tools.training import base_models as fetch_model

GEMMA = "Gemma Terms of Use; its prohibited uses go on to derivatives"
LLAMA = "Community License; derivatives are named Llama and say what they were built with"
BASES = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": "Apache-2.0",
    "Qwen/Qwen1.5-4B-Chat": "Tongyi Qianwen Research License; no commercial use",
    "Qwen/Qwen2-VL-2B-Instruct": "Apache-2.0",
    "Qwen/Qwen3-0.6B": "Apache-2.0",
    "Qwen/Qwen3-1.7B": "Apache-2.0",
    "Qwen/Qwen3-4B-Instruct-2507": "Apache-2.0",
    "google/functiongemma-270m-it": GEMMA,
    "google/gemma-3-1b-it": GEMMA,
    "microsoft/Phi-3-mini-4k-instruct": "MIT",
    "unsloth/Llama-3.1-8B": f"Llama 3.1 {LLAMA}",
    "unsloth/Llama-3.2-1B-Instruct": f"Llama 3.2 {LLAMA}",
}
"""The licence of each base model of configs/train, as its publisher states it."""
BFCL = "Apache-2.0"
ABSENT = "not installed where this page was made"


def wanted(pattern: str) -> list[str]:
    """The requirements of the files at the root that match `pattern`, without reasons and hashes."""
    lines = [line for path in sorted(ROOT.glob(pattern)) for line in read_text(path).splitlines()]
    return [re.sub(r"\s*(#.*|\\)$", "", line) for line in lines if re.match(r"\w", line)]


def pinned(pattern: str) -> dict[str, str]:
    """The version of each package of the locks that match `pattern`."""
    return dict(line.split(" ;")[0].split("==") for line in wanted(pattern))


def licence(package: str) -> str:
    """What the metadata of an installed package says of its licence; empty where it is not installed here."""
    found = next(iter(metadata.distributions(name=package, path=[*sys.path, str(ROOT / ".venv/llamacpp")])), None)
    if found is None:
        return ""
    said = found.metadata
    classified = [c.split(" :: ")[-1] for c in said.get_all("Classifier", []) if c.startswith("License :: ")]
    whole = said["License"] or ""  # some put the licence's whole text there
    for text in (said["License-Expression"], "\n" not in whole and whole, " or ".join(classified), whole):
        if text and text != "UNKNOWN":
            return str(text).strip().splitlines()[0]
    return "not stated in the package's metadata"


def licences() -> str:
    """The table as Markdown: direct dependencies and base models a row each, the rest of the locks by licence.

    Raises:
        UserError: a recipe trains on a model that BASES lacks.
    """
    pins = pinned("requirements*.txt")
    direct = sorted(re.split(r"[^\w.-]", line)[0].lower() for line in wanted("requirements*.in"))
    models = set()
    for path in sorted((ROOT / "configs/train").glob("*.yaml")):
        base = read_settings(path)["model_name_or_path"]
        model = fetch_model.SOURCES[base.removeprefix("models/")].hub if base.startswith("models/") else base
        if model not in BASES:
            raise UserError(path, f"the licence of {base} is not known", "add it to BASES in tools/vet.py")
        models.add(model)
    groups = defaultdict(list)
    for package in pins.keys() - set(direct):
        groups[licence(package) or ABSENT].append(package)
    return "\n".join(
        [
            "# Licences\n\nMade by `make licences` from the packages' own metadata. Callwright itself is Apache-2.0.\n",
            "## Direct dependencies\n\n| package | version | licence |\n|---|---|---|",
            *(f"| {name} | {pins[name]} | {licence(name) or ABSENT} |" for name in direct),
            "\n## What they bring along\n\n| licence | packages |\n|---|---|",
            *(f"| {terms} | {', '.join(sorted(groups[terms]))} |" for terms in sorted(groups, key=str.lower)),
            "\n## Base models and data\n\nA tuned adapter is a derivative of its base model.\n",
            "| name | kind | licence |\n|---|---|---|",
            *(f"| {name} | model | {BASES[name]} |" for name in sorted(models)),
            f"| BFCL | questions and tools | {BFCL} |\n",
        ]
    )


def uv(folder: Path, *args: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run uv in `folder`; return what it did and the cause that it names last, which is the deepest."""
    done = subprocess.run([sys.executable, "-m", "uv", *args], cwd=folder, capture_output=True, text=True)
    return done, (done.stderr.strip().splitlines() or ["no message"])[-1].strip().removeprefix("cause: ")[:200]


def lock(folder: Path) -> None:
    """Make `folder` a uv project of our pins: uv audits and exports projects only.

    What stands in another lock than requirements.txt is installed without its dependencies.

    Raises:
        UserError: the package index does not answer, or the pins do not fit the requirements.
    """
    alone = [f'{{name = "{n}", version = "{v}", requires-dist = []}}' for n, v in pinned("requirements-*.txt").items()]
    (folder / "pyproject.toml").write_text(
        f"""[project]
name = "callwright"
version = "0"
requires-python = ">=3.11,<3.14"
dependencies = {json.dumps(wanted("requirements*.in"))}
[tool.uv]
constraint-dependencies = {json.dumps(wanted("requirements*.txt"))}
dependency-metadata = [{", ".join(alone)}]
"""
    )
    done, cause = uv(folder, "lock", "--quiet")
    if done.returncode:
        raise UserError("requirements.txt", f"uv cannot resolve it ({cause})", "check the network; or run: make lock")


def bill(folder: Path) -> dict[str, Any]:
    """The project in `folder` as CycloneDX 1.5, with licences, and with what the tools download besides packages."""
    done, _ = uv(folder, "export", "--quiet", "--frozen", "--format", "cyclonedx1.5")
    made: dict[str, Any] = json.loads(done.stdout)
    parts: list[dict[str, Any]] = made["components"]
    fetched = [("machine-learning-model", s.hub, s.digest, BASES[s.hub]) for s in fetch_model.SOURCES.values()]
    for kind, name, digest, terms in [*fetched, ("data", fetch_bfcl.PACKAGE, fetch_bfcl.DIGEST, BFCL)]:
        hashes = [{"alg": "SHA-256", "content": digest}]
        parts.append({"type": kind, "name": name, "hashes": hashes, "licenses": [{"license": {"name": terms}}]})
    for part in parts:
        if terms := licence(part["name"]):
            part["licenses"] = [{"license": {"name": terms}}]
    return made


def audit(folder: Path, *options: str) -> int:
    """Ask a vulnerability service (OSV) about the project in `folder`, and print what it knows; 1 where it knows any.

    Raises:
        UserError: the service does not answer.
    """
    done, cause = uv(folder, "audit", "--preview-features", "audit-command", "--frozen", *options)
    if done.returncode > 1:
        remedy = "nothing was audited; check the network, or name a mirror: ARGS='--service-url URL'"
        raise UserError("vulnerability service", f"no answer ({cause})", remedy)
    print(f"{done.stdout}vet: {cause}")
    return done.returncode


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write docs/licences.md or runs/sbom.cdx.json, or audit; 1 where a known hole is found."""
    parser = Parser("python -m tools.vet", __doc__)
    parser.add_argument("what", choices=("licences", "sbom", "audit"))
    parser.add_argument("--service-url", help="of an OSV service, for audit")
    args = parser.parse_args(argv)
    if args.what == "licences":
        write_text(ROOT / "docs/licences.md", licences())
        print("vet: docs/licences.md")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        lock(Path(scratch))
        if args.what == "audit":
            return audit(Path(scratch), *(["--service-url", args.service_url] if args.service_url else []))
        write_json(ROOT / "runs/sbom.cdx.json", bill(Path(scratch)))
    print("vet: runs/sbom.cdx.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
