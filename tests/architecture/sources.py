"""Our source files and what they import, for the tests of the architecture."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
GENERATED = "protos/gen/"


@dataclass(frozen=True)
class Import:
    """One import of a module."""

    module: str
    inside_function: bool
    for_types_only: bool


@dataclass(frozen=True)
class Module:
    """One source file of ours."""

    path: str
    """Its path below the repository."""
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its dotted name, as in `matching.core.book`."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def package(self) -> str:
        """Its top-level package."""
        return self.path.partition("/")[0]

    @property
    def code_lines(self) -> int:
        """Lines that are not blank."""
        return sum(1 for line in self.text.splitlines() if line.strip())

    @property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """All functions and methods."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    @property
    def imports(self) -> list[Import]:
        """Everything that it imports, also by name through importlib."""
        return list(_imports(self.tree, self.name, self.path, False, False))


def _imports(node: ast.AST, name: str, path: str, inside: bool, types_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for module in _imported(child, name, path):
            yield Import(module, within, types_only)
        checking = types_only or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
        yield from _imports(child, name, path, within, checking)


def _imported(node: ast.AST, name: str, path: str) -> list[str]:
    """The modules that one statement or call imports; `from a import b` may mean the module `a.b`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = name.split(".")
            up = node.level - (1 if path.endswith("__init__.py") else 0)
            base = ".".join([*parts[: len(parts) - up], *([base] if base else [])])
        return [base, *(f"{base}.{alias.name}" for alias in node.names)]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "import_module",
        "importlib.import_module",
        "__import__",
    ):
        first = node.args[0]
        if isinstance(first, ast.Constant):
            return [str(first.value)]
        if isinstance(first, ast.JoinedStr):
            return [f"*{part.value!s}" for part in first.values[-1:] if isinstance(part, ast.Constant)]
    return []


@cache
def tracked_files() -> list[str]:
    """Every file that git tracks, below the repository; what merely lies about, a log say, is not ours."""
    command = ["git", "ls-files", "--cached"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return [path for path in listed.splitlines() if (REPOSITORY / path).is_file()]


@cache
def all_modules() -> list[Module]:
    """Every Python file of ours, tests included, generated ones not."""
    found = []
    for path in tracked_files():
        if path.endswith(".py") and not path.startswith(GENERATED):
            text = (REPOSITORY / path).read_text()
            found.append(Module(path, text, ast.parse(text)))
    return found


def called_in(tree: ast.AST) -> set[str]:
    """What is called in a tree, as it is written."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
