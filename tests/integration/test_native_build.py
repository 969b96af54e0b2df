"""`make compile` on a small tree of its own: when it compiles, when it does not, and what it says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from native import build, modules

Run = Callable[..., subprocess.CompletedProcess[str]]
WITHIN_S = 120
SOURCE = '"""A module."""\n\n\ndef answer(number: int) -> int:\n    """The next number."""\n    return number + 1\n'
LOOK = """
import importlib, sys
from native import modules
module = importlib.import_module(sys.argv[1])
print(module.__file__.rpartition(".")[2], module.answer(1), modules.is_current(), modules.is_stale())
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository that has the builder, and one small module for each pattern of the list."""
    root = tmp_path / "a tree"
    shutil.copytree(modules.ROOT / "native", root / "native", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (root / "requirements.lock").write_text("")
    for path in sources(root):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE)
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").write_text("")
    return root


@pytest.fixture
def run(tree: Path) -> Run:
    """Runs something of the tree in it."""

    def in_tree(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        unset = {"CC", build.VARIABLE, "PYTHONPATH"}
        known = {name: value for name, value in os.environ.items() if name not in unset}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tree,
            env=known | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )

    return in_tree


def sources(root: Path) -> list[Path]:
    """The modules of the tree that are to be compiled."""
    return [root / pattern.replace("*", "small") for pattern in modules.COMPILED]


def binaries(root: Path) -> list[Path]:
    """What has been compiled in the tree."""
    return sorted(root.rglob(f"*{modules.SUFFIX}"))


def name_of_first() -> str:
    """The first module of the tree, as it is imported."""
    return modules.COMPILED[0].replace("*", "small").removesuffix(".py").replace("/", ".")


def look(run: Run) -> str:
    """Where the module of the tree comes from, what it answers, and whether the binaries are current and stale."""
    done = run("-c", LOOK, name_of_first())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def compiles() -> None:
    """Only where something can be compiled; elsewhere nothing of this can happen."""
    if not modules.binaries():
        pytest.skip("nothing is compiled here: `make compile` says why")


@pytest.mark.usefixtures("compiles")
def test_it_compiles_when_something_has_changed_and_only_then(tree: Path, run: Run) -> None:
    """Made once, passed over when sources are asked for, stale after an edit, made again, removed when not wanted."""
    assert look(run) == "py 2 False False"
    first = run("-m", "native.build")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "native: compiled in " in first.stdout
    assert look(run) == "so 2 True False"
    assert len(binaries(tree)) == len(sources(tree)) + 1

    made = [path.stat().st_mtime_ns for path in binaries(tree)]
    assert run("-m", "native.build").stdout == ""
    assert [path.stat().st_mtime_ns for path in binaries(tree)] == made

    name = name_of_first()
    asked = run("-c", f"from native import switch; switch.interpret(); import {name} as m; print(m.__file__)")
    assert asked.stdout.strip().endswith("small.py"), asked.stderr
    late = run("-c", f"import {name}; from native import switch; switch.interpret()")
    assert f"RuntimeError: too late to interpret: {name} came compiled" in late.stderr

    sources(tree)[0].write_text(SOURCE.replace("+ 1", "+ 2"))
    assert look(run) == "so 2 False True"
    assert "native: compiled in " in run("-m", "native.build").stdout
    assert look(run) == "so 3 True False"

    off = run("-m", "native.build", **{build.VARIABLE: "0"})
    assert off.stdout == f"native: the core runs interpreted, because {build.VARIABLE} is 0\n"
    assert not binaries(tree)
    assert look(run) == "py 3 False False"


@pytest.mark.usefixtures("compiles")
def test_what_does_not_compile_is_an_error(tree: Path, run: Run) -> None:
    """A module that cannot be compiled ends the build with 1, says where, and leaves no binary of before."""
    (tree / "native" / f"left{modules.SUFFIX}").write_bytes(b"from another life")
    sources(tree)[0].write_text(SOURCE.replace("number + 1", '"one"'))
    done = run("-m", "native.build")
    assert done.returncode == 1
    assert f"{sources(tree)[0].name}:6: error: Incompatible return value type" in done.stdout
    assert not binaries(tree)


@pytest.mark.usefixtures("compiles")
def test_a_compiler_that_is_named_must_work(tree: Path, run: Run) -> None:
    """CC is not passed over in silence."""
    done = run("-m", "native.build", CC="no-such-compiler -O3")
    assert done.returncode == 1
    assert "CC=no-such-compiler -O3 cannot compile for this Python" in done.stderr
    assert not binaries(tree)


def test_an_import_counts(tree: Path, run: Run) -> None:
    """The fingerprint follows what the compiled modules import, since its types decide what is generated."""
    tell = ("-c", "from native import modules; print(modules.fingerprint())")
    (tree / "runtime").mkdir(exist_ok=True)
    (tree / "runtime" / "nearby.py").write_text("LIMIT: int = 1\n")
    apart = run(*tell).stdout
    sources(tree)[0].write_text("from runtime import nearby\n\nTWICE = nearby.LIMIT * 2\n")
    first = run(*tell).stdout
    (tree / "runtime" / "nearby.py").write_text("LIMIT: int = 2\n")
    assert len({apart, first, run(*tell).stdout}) == 3


def test_a_pattern_that_names_nothing_is_an_error(tree: Path, run: Run) -> None:
    """A module that has been renamed cannot drop out of the list unnoticed."""
    sources(tree)[0].unlink()
    done = run("-m", "native.build")
    assert done.returncode == 1
    assert f"{modules.COMPILED[0]} is to be compiled and names no module" in done.stderr


def test_without_headers_it_is_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python.h is missing, the reason names it and the package that has it."""
    monkeypatch.setattr(build, "INCLUDE", tmp_path)
    with pytest.raises(build.CannotCompileError, match=r"Python\.h is missing .*python3-dev"):
        build.usable_compiler()
