"""The rooms import only rooms before them, say what they do, and the package offers just what it lists."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import tagger

PACKAGE = Path(tagger.__file__).parent

LAYERS = (
    "errors records atomic migrations escaping names",
    "settings kinds augment muon neighbours shop lock stopping averaging replay terminal bundle_name configuration",
    "card ledger device",
    "beside",
    "explain recipes",
    "blocks",
    "residual plain borrowed",
    "network",
    "dataset bundle pretrained",
    "distill checkpoint heads",
    "source decode output decide figure",
    "garment predict metrics calibrate drawing labelled recipe_file output_paths",
    "reading charts run_files",
    "compose shoes train learn scoring",
    "mix pick lesson deepen pipeline ensemble",
    "run_report collection handover",
    "compare export evaluate retrain finetune tune adapt",
    "compare_report contact_sheet photo_report html_report progress",
    "report asked",
    "cli",
    "__main__",
)
"""A module imports only from earlier lines; those on one line do not know each other."""

LEVEL = {name: level for level, line in enumerate(LAYERS) for name in line.split()}

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module of the package."""
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the package's modules that are imported anywhere in a module, also within functions or for types alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part[1] for name in node.names if (part := name.name.split("."))[0] == "tagger" and len(part) > 1)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield from [node.module.split(".")[0]] if node.module else [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "tagger":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tagger."):
            yield node.module.split(".")[1]


def undocumented(node: ast.AST, place: str) -> Iterator[str]:
    """Yield the public functions, classes and methods below `node` that have no docstring."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not child.name.startswith("_"):
            name = f"{place}.{child.name}"
            if ast.get_docstring(child) is None:
                yield name
            if isinstance(child, ast.ClassDef):
                yield from undocumented(child, name)


def test_every_module_has_its_layer() -> None:
    """No module stands outside the order, and no line of the order speaks of one that is gone."""
    assert sorted(LEVEL) == [name for name in MODULES if name != "__init__"]


@pytest.mark.parametrize("module", sorted(LEVEL, key=lambda name: LEVEL[name]))
def test_modules_import_only_from_earlier_layers(module: str) -> None:
    """The flow goes one way: what a module imports stands on an earlier line of the order."""
    assert [name for name in imported(parsed(module)) if LEVEL[name] >= LEVEL[module]] == []


@pytest.mark.parametrize("module", MODULES)
def test_all_that_is_public_is_documented(module: str) -> None:
    """Every module and each of its public functions, classes and methods says what it does."""
    assert ast.get_docstring(parsed(module))
    assert list(undocumented(parsed(module), module)) == []


def test_all_lists_just_what_can_be_imported() -> None:
    """`__all__` names what type checkers see and what is there at run time, and nothing else is."""
    seen = [
        name.name
        for node in ast.walk(parsed("__init__"))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tagger.")
        for name in node.names
    ]
    assert sorted(tagger.__all__) == sorted(seen) == sorted(tagger._HOMES)
    for name in tagger.__all__:
        assert getattr(tagger, name) is getattr(import_module(tagger._HOMES[name]), name)
    with pytest.raises(ImportError):
        exec("from tagger import nothing_of_that_name")
