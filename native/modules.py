"""What is compiled, and whether the binaries beside the sources still belong to them.

A fingerprint stands for everything that decides what the compiler makes: the
modules, whatever of ours they import, the Python, the locked packages, and how
it is built. `make compile` writes it down beside the names of the binaries;
another fingerprint, or another set of binaries, is stale.
"""

import ast
import hashlib
import json
import platform
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

COMPILED = (
    "matching/core/*.py",
    "matching/decoding.py",
    "matching/encoding.py",
    "matching/state.py",
    "runtime/layout.py",
    "gateway/encoding.py",
    "gateway/events.py",
)
"""The modules that are compiled, as patterns below the repository: pure, hot, and typed throughout. A package's own
`__init__` never is: it holds no code."""
DEFINES_STRUCTS = re.compile(r"^class \w+\((?:msgspec\.)?Struct\b", re.MULTILINE)
"""Modules that do stay as they are: compiled code would compare two values of such a type by identity."""

ROOT = Path(__file__).resolve().parents[1]
IMPORT_ROOTS = (ROOT, ROOT / "protos" / "gen")
WORKSHOP = ROOT / ".build" / "native"
"""Generated C, caches, and what is known of the last build."""
BUILT = WORKSHOP / "built.json"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


def compiled() -> list[Path]:
    """The modules that are compiled.

    Raises:
        FileNotFoundError: a pattern names nothing; it must be taken out of the list.
    """
    found: list[Path] = []
    for pattern in COMPILED:
        paths = [path for path in sorted(ROOT.glob(pattern)) if path.name != "__init__.py"]
        if not paths:
            raise FileNotFoundError(f"{pattern} is to be compiled and names no module")
        found += [path for path in paths if not DEFINES_STRUCTS.search(path.read_text())]
    return found


def fingerprint() -> str:
    """What everything that decides what the compiler makes comes to, hexadecimal."""
    digest = hashlib.sha256(f"{platform.python_implementation()} {platform.python_version()} {SUFFIX}\n".encode())
    modules, builders = compiled(), (ROOT / "native").glob("*.py")
    for path in (*modules, *sorted(_reached(modules)), *sorted(builders), ROOT / "requirements.lock"):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def binaries() -> list[Path]:
    """Every compiled module and library that lies in a package of ours, whoever made it."""
    packages = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
    return [path for package in packages for path in package.rglob("*.so")]


def is_current() -> bool:
    """Whether all the binaries that the present sources come to are in place, and no others."""
    if not BUILT.exists():
        return False
    built = json.loads(BUILT.read_text())
    names = sorted(path.relative_to(ROOT).as_posix() for path in binaries())
    return bool(names) and built["binaries"] == names and built["fingerprint"] == fingerprint()


def is_stale() -> bool:
    """Whether binaries are in place that would be loaded instead of other sources than theirs."""
    return bool(binaries()) and not is_current()


def how_it_runs() -> str:
    """For reports: by what the binaries in place were compiled, or that there are none."""
    if not is_current():
        return "stale" if is_stale() else "interpreted"
    return f"compiled by mypyc and {json.loads(BUILT.read_text())['compiler']}"


def _reached(paths: list[Path]) -> set[Path]:
    """Everything of ours that modules import, directly or not: types decide what is generated."""
    found: set[Path] = set()
    waiting = list(paths)
    while waiting:
        for path in _imported_by(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found


def _imported_by(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            stem = name.replace(".", "/")
            files = (root / f"{stem}{end}" for root in IMPORT_ROOTS for end in (".py", ".pyi", "/__init__.py"))
            yield from (file for file in files if file.exists())
