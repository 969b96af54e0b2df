"""Compiles what `native.modules` names and puts it beside the sources; `make compile` runs it before everything else.

Run as `python -m native.build`; ends at once when all is current. Without a C
compiler it uses the one of the locked `ziglang` wheel, which is installed only
then. Where nothing can be compiled, one line says why, and the sources run as
they are. An error of the compilation itself is an error: it ends with 1.
"""

import fcntl
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from native.modules import BUILT, ROOT, SUFFIX, WORKSHOP, binaries, compiled, fingerprint, is_current

VARIABLE = "ORDERGATE_NATIVE"
GROUP = "native.compiled"
"""The library that holds the code of all modules; each module's own binary only refers to it."""
INCLUDE = Path(sysconfig.get_path("include"))
FLAGS = ("-O3", "-g0", "-w", "-fPIC", "-fwrapv", "-DNDEBUG")
"""Without debug information, which takes longer to write than the code; without warnings about generated code."""
LINK = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)
ZIG_FLAGS = ("-mcpu=baseline",)
"""Zig compiles for the processor at hand unless told otherwise, and an image runs elsewhere."""
PROBE = '#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return PyModule_New("probe"); }\n'


class CannotCompileError(Exception):
    """This machine has nothing to compile with. What it says ends the sentence "interpreted, because"."""


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler that has compiled and linked something against this Python."""

    command: tuple[str, ...]
    name: str


def main() -> None:
    """Compiles when something has changed; says in one line what happened, unless nothing did."""
    WORKSHOP.mkdir(parents=True, exist_ok=True)
    with (WORKSHOP / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if os.environ.get(VARIABLE) == "0":
                raise CannotCompileError(f"{VARIABLE} is 0")
            if not is_current():
                _renew()
        except CannotCompileError as reason:
            _remove()
            print(f"native: the core runs interpreted, because {reason}")


def _renew() -> None:
    """Puts new binaries in place of those that are there.

    Raises:
        CannotCompileError: there is nothing to compile with.
        SystemExit: what is there does not compile.
    """
    compiler = usable_compiler()
    _remove()
    before, modules, began = fingerprint(), compiled(), time.monotonic()
    print(f"native: compiling {len(modules)} modules with {compiler.name}, until they change", flush=True)
    made = build(modules, GROUP, ROOT, compiler)
    names = sorted(path.relative_to(ROOT).as_posix() for path in made)
    BUILT.write_text(json.dumps({"fingerprint": before, "compiler": compiler.name, "binaries": names}, indent=2) + "\n")
    print(f"native: compiled in {time.monotonic() - began:.0f} s")


def build(modules: Sequence[Path], group: str, target: Path, compiler: Compiler) -> list[Path]:
    """Compiles modules of this repository into one library and a binary for each; gives all of them.

    Args:
        modules: their sources.
        group: dotted name that the library gets, less its suffix.
        target: where the binaries go, each under the path of its module.
        compiler: what compiles the C.

    Raises:
        SystemExit: a module cannot be compiled; what is wrong has been printed.
    """
    from mypyc.build import mypycify  # noqa: PLC0415  only needed, and only there, when something is compiled

    options = [f"--cache-dir={WORKSHOP / 'types'}"]
    sources = [path.relative_to(ROOT).as_posix() for path in modules]
    try:
        with chdir(ROOT):
            extensions: list[Any] = mypycify(
                options + sources, target_dir=str(WORKSHOP / "c" / group), group_name=group
            )
    except SystemExit:
        raise SystemExit(f"native: not compiled; {VARIABLE}=0 runs the sources as they are") from None
    made = []
    for extension in extensions:
        path = target / f"{extension.name.replace('.', '/')}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        _compile(compiler.command, extension.sources, extension.include_dirs, path)
        made.append(path)
    return made


def _compile(command: Sequence[str], sources: Sequence[str], includes: Sequence[str], path: Path) -> None:
    """Compiles and links one binary; it appears under its name only when it is whole."""
    part = path.with_name(f"{path.name}.part")
    folders = [flag for folder in (*includes, INCLUDE) for flag in ("-I", str(folder))]
    made = subprocess.run([*command, *FLAGS, *LINK, *folders, *sources, "-o", str(part)], check=False)
    if made.returncode:
        raise SystemExit(f"native: {path.name} cannot be made of the C code; {VARIABLE}=0 runs the sources as they are")
    part.replace(path)


def _remove() -> None:
    for path in binaries():
        path.unlink()
    BUILT.unlink(missing_ok=True)


def usable_compiler() -> Compiler:
    """The compiler to use.

    Raises:
        CannotCompileError: there is none, or what it needs is missing.
        SystemExit: the one that `CC` names does not work.
    """
    if platform.python_implementation() != "CPython":
        raise CannotCompileError(f"mypyc does not know {platform.python_implementation()}")
    if not (INCLUDE / "Python.h").exists():
        raise CannotCompileError(f"{INCLUDE}/Python.h is missing (Debian and Ubuntu: apt install python3-dev)")
    if named := os.environ.get("CC"):
        compiler = _working(shlex.split(named))
        if compiler is None:
            raise SystemExit(f"native: CC={named} cannot compile for this Python")
        return compiler
    for name in ("cc", "gcc", "clang"):
        if (path := shutil.which(name)) and (compiler := _working([path])):
            return compiler
    return _zig()


def _zig() -> Compiler:
    """The C compiler of the locked `ziglang` wheel, installed when it is not there."""
    if importlib.util.find_spec("ziglang") is None:
        print("native: no C compiler on PATH; installing the one of the ziglang wheel, once", flush=True)
        _install("ziglang")
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(WORKSHOP / "zig"))
    os.environ.setdefault("ZIG_LOCAL_CACHE_DIR", str(WORKSHOP / "zig"))
    compiler = _working([sys.executable, "-m", "ziglang", "cc", *ZIG_FLAGS])
    if compiler is None:
        raise CannotCompileError("there is no C compiler on PATH and the one of the ziglang wheel does not work")
    return replace(compiler, name=f"zig {version('ziglang')}")


def _install(package: str) -> None:
    """Installs one package of the lock, held against its hashes."""
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.search(rf"^{package}==.*(?:\n    .*)*", lock, re.MULTILINE)
    assert pinned is not None, f"{package} is not in requirements.lock"
    with tempfile.NamedTemporaryFile("w", suffix=".lock") as file:
        file.write(f"{pinned[0]}\n")
        file.flush()
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "-r", file.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "pip failed").splitlines()[-1]
        raise CannotCompileError(f"there is no C compiler on PATH and {package} cannot be installed: {last}")
    importlib.invalidate_caches()


def _working(command: Sequence[str]) -> Compiler | None:
    """The compiler behind a command, if it can make something for this Python."""
    with tempfile.TemporaryDirectory(prefix="ordergate-probe-") as folder:
        source, target = Path(folder, "probe.c"), Path(folder, f"probe{SUFFIX}")
        source.write_text(PROBE)
        arguments = [*command, *FLAGS, *LINK, "-I", str(INCLUDE), str(source), "-o", str(target)]
        try:
            done = subprocess.run(arguments, capture_output=True, check=False)
        except OSError:
            return None
        return Compiler(tuple(command), _name(command)) if done.returncode == 0 and target.exists() else None


def _name(command: Sequence[str]) -> str:
    told = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.strip().partition("\n")[0] or command[0]


if __name__ == "__main__":
    main()
