"""The core is pure: it knows no clock, file, network, environment or chance, and no order that differs between runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import matching.core

FOLDER = Path(matching.core.__file__).parent
MODULES = sorted(FOLDER.glob("*.py"))
PURE = {"__future__", "bisect", "collections", "dataclasses", "matching", "mypy_extensions", "operator", "typing"}
"""All that the core may import; `mypy_extensions` holds marks for the compiler, which do nothing by themselves."""
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "hash", "id"}
"""Built-in functions that reach outside, or whose results differ between runs of the same commands."""


def imported(tree: ast.Module) -> set[str]:
    """The dotted names of everything that a module imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(f"{'.' * node.level}{node.module or ''}")
    return names


def unordered(node: ast.AST) -> Iterator[ast.AST]:
    """Every set that is made and not sorted at once."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name):
            if child.func.id == "sorted":
                continue
            if child.func.id in ("set", "frozenset"):
                yield child
        if isinstance(child, (ast.Set, ast.SetComp)):
            yield child
        yield from unordered(child)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_imports_nothing_impure(path: Path) -> None:
    """Of our own code only the core itself; of others' only what computes."""
    for name in imported(ast.parse(path.read_text())):
        root = name.split(".")[0]
        assert root in PURE, f"{path.name} imports {name}"
        assert root != "matching" or name.startswith("matching.core"), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_calls_nothing_impure(path: Path) -> None:
    """Neither a built-in that reaches outside, nor one that depends on addresses or the hash seed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_CALLS, f"{path.name}:{node.lineno} calls {node.func.id}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_walks_no_set(path: Path) -> None:
    """The order of a set may differ between runs: one that is made is sorted at once."""
    found = [getattr(node, "lineno", 0) for node in unordered(ast.parse(path.read_text()))]
    assert not found, f"{path.name}: {found}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_core_knows_no_floats(path: Path) -> None:
    """Prices, quantities and money are integers: no float literal and no true division."""
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), f"{path.name}:{node.lineno}"
        assert not (isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div)), (
            f"{path.name}:{node.lineno}"
        )
