"""The house keeps its order: which room may import which, what a command is, and what a public name says of itself."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from callwright.files import ROOT

ROOMS = {
    "tools": ("formats", "utterances", "rows", "checks", "training", "ship"),
    "eval": ("scoring", "endpoint", "reporting", "agents", "bfcl"),
}
"""The rooms of a package, in the order in which they may import: a room takes from those before it."""
PACKAGES = ("callwright", "tools", "eval", "bench")
HEAVY = ("torch", "llamafactory", "transformers", "datasets")
"""libraries that take seconds to import, which no verb should wait for before it knows that it needs them"""
FILES = [path.relative_to(ROOT) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def parse(path: Path) -> ast.Module:
    """Parse a module of the house."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a module of the house imports of the house, as the parts of a dotted name."""
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if _is_module(name) else node.module for name in whole]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        yield from (tuple(name.split(".")) for name in modules if name.split(".")[0] in PACKAGES)


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or path.is_dir()


def fault(importer: Path, target: tuple[str, ...]) -> str | None:
    """Say what is wrong with an import, or return None."""
    package, room = importer.parts[0], importer.parts[1] if len(importer.parts) > 2 else None
    order = ROOMS.get(package, ())
    if target[0] in ROOMS and len(target) == 2 and target[1] not in ROOMS[target[0]] and package != "bench":
        return "imports a command"
    if package == "callwright" and target[0] != "callwright":
        return "callwright imports what is built on it"
    if target[0] not in ("callwright", package) and package != "bench":
        return "tools and eval meet in callwright only, and nothing imports bench"
    if room in order and len(target) > 1 and target[0] == package and order.index(target[1]) > order.index(room):
        return "a room imports a later one"
    return None


def test_imports_point_one_way():
    faults = {f"{path} -> {'.'.join(t)}: {why}" for path in FILES for t in imported(path) if (why := fault(path, t))}
    assert not faults


@pytest.mark.parametrize(
    ("importer", "target", "is_wrong"),
    [
        ("tools/rows/split.py", "tools.utterances.baseline", False),
        ("tools/utterances/augment.py", "tools.rows.split", True),
        ("tools/rows/split.py", "tools.augment", True),
        ("eval/scoring/score.py", "tools.rows.split", True),
        ("callwright/recipes.py", "eval.scoring.stats", True),
        ("bench/eval.py", "eval.score", False),
    ],
)
def test_the_order_is_what_it_says(importer: str, target: str, is_wrong: bool):
    assert bool(fault(Path(importer), tuple(target.split(".")))) == is_wrong


def test_every_module_directly_in_tools_and_eval_is_a_command():
    for path in FILES:
        if path.parts[0] in ROOMS and len(path.parts) == 2 and path.name != "__init__.py":
            names = {node.name for node in parse(path).body if isinstance(node, ast.FunctionDef)}
            assert "main" in names, path


def test_no_module_waits_for_a_heavy_library():
    for path in FILES:
        for node in parse(path).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] in HEAVY], path


def test_every_public_function_says_what_it_does():
    """A method of a subclass is known from its base."""
    silent = []
    for path in FILES:
        tree = parse(path)
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.bases]
        known = [*functions(tree.body), *(method for one in classes for method in functions(one.body))]
        silent += [f"{path}: {f.name}" for f in known if not ast.get_docstring(f)]
        assert ast.get_docstring(tree), path
    assert not silent


NO_VERBS = {
    "The",
    "A",
    "An",
    "One",
    "Each",
    "All",
    "What",
    "Whether",
    "How",
    "Why",
    "Who",
    "Whose",
    "Where",
    "Which",
    "Of",
}


def test_what_a_function_does_begins_with_a_verb():
    """A property is named and described like a value."""
    nouns = []
    for path in FILES:
        for function in functions(ast.walk(parse(path))):
            first = (ast.get_docstring(function) or "Be").split()[0]
            is_property = any("property" in ast.unparse(decorator) for decorator in function.decorator_list)
            if not is_property and (first in NO_VERBS or not re.fullmatch(r"[A-Z][a-z]+[,:]?", first)):
                nouns.append(f"{path}:{function.lineno} {first}")
    assert not nouns


def functions(nodes: Iterable[ast.AST]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the public functions among nodes."""
    found = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [function for function in found if not function.name.startswith("_")]


def test_no_file_and_no_function_is_longer_than_a_reader_holds():
    for path in FILES:
        assert len((ROOT / path).read_text(encoding="utf-8").splitlines()) <= 300, path
        for function in functions(ast.walk(parse(path))):
            assert (function.end_lineno or 0) - function.lineno <= 51, f"{path}:{function.lineno} {function.name}"


def test_modules_that_docstrings_and_yaml_name_exist():
    texts = {
        path: (ROOT / path).read_text(encoding="utf-8")
        for folder in ("configs", "data/seeds", "tools")
        for path in sorted((ROOT / folder).rglob("*.yaml"))
    }
    for path in FILES:
        nodes = [
            node for node in ast.walk(parse(path)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        ]
        texts[path] = "\n".join(ast.get_docstring(node) or "" for node in nodes)
    lost = []
    for path, text in texts.items():
        for name in re.findall(r"\b(?:callwright|tools|eval|bench)(?:\.[a-z_]\w*)+(?!\.?\w)", text):
            parent, _, last = name.rpartition(".")
            if last not in ("json", "jsonl", "log") and not (_is_module(name) or _defines(parent, last)):
                lost.append(f"{path}: {name}")
        for name in re.findall(r"\b(?:callwright|tools|eval|bench)/[\w/]+\.\w+", text):
            if not (ROOT / name).is_file():
                lost.append(f"{path}: {name}")
    assert not lost


def _defines(module: str, name: str) -> bool:
    path = Path(f"{module.replace('.', '/')}.py")
    return (ROOT / path).is_file() and re.search(
        rf"^(?:def |class )?{name}\b", (ROOT / path).read_text(), re.M
    ) is not None
