"""The packages import in one direction, modules say what they do, and names are those of the field."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from helpers import ROOT

import tagger

PACKAGE = ROOT / "tagger"
TESTS = ROOT / "tests"

ORDER = (
    "errors arrays settings escaping file_names processors ordered_map",
    "records standard_streams streams file_replacement files file_kinds lock signals metrics onnx_session embedded_photos",
    "storage",
    "photos catalog",
    "models",
    "data",
    "inference synthesis",
    "run training adaptation inspection",
    "cluster review",
    "evaluation web",
    "cli",
    "__main__",
)
"""A package imports from earlier lines only; those on one line do not know each other, except on the first two."""

GROUND = 2
"""Lines of single modules rather than packages, where modules of one line may use each other as long as there is no circle."""

LEVEL = {name: level for level, line in enumerate(ORDER) for name in line.split()}

MAX_LINES = 400

BANNED_WORDS = {"said", "asked", "chance", "figures", "stranger", "strangers"}
"""Words that earlier names used for predictions, options, random generators, metrics and out-of-distribution objects."""

TESTED_ELSEWHERE: dict[str, str] = {
    "__main__": "`python -m tagger` is how the tests start every process",
    "cli.exit_codes": "constants; the tests of each command hold its exit codes",
    "cluster.ray_tasks": "runs in Ray's processes; end_to_end/test_cluster.py",
    "evaluation.settings": "values without behaviour",
    "run.engine": "types alone; cluster/test_engine.py",
    "run.ledger_merge": "the tests of run.merging, whose steps these are",
    "run.merge_queries": "the tests of run.merging run every statement",
    "run.plan": "values; the tests of run.pipeline and run.merging decide rows by it",
    "run.publishing": "the tests of run.pipeline publish by it: tests/run/test_pipeline_outputs.py",
    "run.review_values": "values without behaviour",
    "run.shard_ledgers": "its refusals are those of the command: tests/cli/test_merge.py",
    "storage.settings": "values without behaviour",
    "training.fusion_settings": "values without behaviour",
}
"""Modules without a test file of their name, each with the reason."""


@cache
def modules() -> dict[str, Path]:
    """Return the files of the package by dotted name without the leading `tagger.`."""
    names = {path: path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    return {".".join(name.parts): path for path, name in sorted(names.items())}


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> frozenset[str]:
    """Return the package's modules that a module imports anywhere, also within functions or for types alone."""
    found = set()
    for node in ast.walk(tree_of(modules()[module])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tagger":
            source = (node.module or "").removeprefix("tagger").removeprefix(".")
            for name in node.names:
                full = f"{source}.{name.name}".removeprefix(".")
                found.add(full if full in modules() else source)
        elif isinstance(node, ast.Import):
            found |= {name.name.removeprefix("tagger.") for name in node.names if name.name.startswith("tagger.")}
    return frozenset(found & modules().keys())


def circle_from(module: str) -> list[str]:
    """Return modules that import each other in a circle through `module`; empty where there is none."""
    paths = [[module]]
    seen = {module}
    while paths:
        path = paths.pop()
        for following in imports_of(path[-1]):
            if following == module:
                return [*path, module]
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return []


def undocumented(node: ast.AST, place: str) -> Iterator[str]:
    """Yield the public functions, classes and methods below `node` that have no docstring."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            name = f"{place}.{child.name}"
            if ast.get_docstring(child) is None:
                yield name
            if isinstance(child, ast.ClassDef):
                yield from undocumented(child, name)


def names_in(tree: ast.Module) -> Iterator[str]:
    """Yield every name that a module gives to something: functions, classes, arguments, variables, fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def test_every_package_has_its_place_in_the_order() -> None:
    """No package stands outside the order, and the order names none that is gone."""
    assert sorted({name.split(".")[0] for name in modules()}) == sorted(LEVEL)


@pytest.mark.parametrize("module", modules())
def test_imports_follow_the_order(module: str) -> None:
    """A module imports from its own package and from packages on earlier lines, and never in a circle."""
    own = module.split(".")[0]
    wrong = [
        name
        for name in imports_of(module)
        if (other := name.split(".")[0]) != own and not (LEVEL[other] < LEVEL[own] or (LEVEL[other] == LEVEL[own] < GROUND))
    ]
    assert wrong == []
    assert circle_from(module) == []


@pytest.mark.parametrize("package", sorted({name.split(".")[0] for name in modules() if "." in name}))
def test_packages_import_nothing_by_themselves(package: str) -> None:
    """The `__init__.py` of a package holds a docstring only, so that importing one module does not import all."""
    body = tree_of(PACKAGE / package / "__init__.py").body
    assert len(body) == 1
    assert ast.get_docstring(tree_of(PACKAGE / package / "__init__.py"))


@pytest.mark.parametrize("module", modules())
def test_all_that_is_public_is_documented(module: str) -> None:
    """Every module and each of its public functions, classes and methods says what it does."""
    tree = tree_of(modules()[module])
    assert ast.get_docstring(tree)
    assert list(undocumented(tree, module)) == []


def test_files_stay_readable_in_one_sitting() -> None:
    """No file of the package or of its tests is longer than `MAX_LINES`."""
    files = [*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")]
    long = {str(path.relative_to(ROOT)): lines for path in files if (lines := len(path.read_text().splitlines())) > MAX_LINES}
    assert long == {}


def test_every_module_has_a_test_file() -> None:
    """`tests/` mirrors the packages: `photos.decode` is tested in `tests/photos/test_decode*.py`, or the list says why not."""
    lacking = []
    for module in modules():
        *package, name = module.split(".")
        if not list(TESTS.joinpath(*package).glob(f"test_{name.strip('_')}.py")):
            lacking.append(module)
    assert sorted(lacking) == sorted(TESTED_ELSEWHERE)


@pytest.mark.parametrize("module", modules())
def test_names_are_those_of_the_field(module: str) -> None:
    """No name is made of a word that the field has another one for."""
    used = {name for name in names_in(tree_of(modules()[module])) if BANNED_WORDS & set(re.split(r"_|(?=[A-Z])", name.lower()))}
    assert used == set()


def test_all_lists_just_what_can_be_imported() -> None:
    """`tagger.__all__` names what type checkers see and what is there at run time, and nothing else is."""
    seen = [
        name.name
        for node in ast.walk(tree_of(PACKAGE / "__init__.py"))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tagger.")
        for name in node.names
    ]
    lazy = [name for name in tagger.__all__ if name != "__version__"]
    assert sorted(lazy) == sorted(seen) == sorted(tagger._HOMES)
    for name in lazy:
        assert getattr(tagger, name) is getattr(import_module(tagger._HOMES[name]), name)
    with pytest.raises(ImportError):
        exec("from tagger import nothing_of_that_name")
