"""The measured books: installed from the registries into a throw-away place, each held against the hashes of its lock.

Nothing of this is in the project's own environment. What cannot be had on this
machine is named with the reason, and measured nowhere.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from native.build import CannotCompileError, build, usable_compiler
from native.modules import ROOT
from native.switch import VARIABLE

HERE = Path(__file__).resolve().parent
PLACE = ROOT / ".build" / "peers"
PACKAGES = {
    "liquibook": "liquibook_book",
    "cython-orderbook": "cython_orderbook_book",
    "akhil4n-orderbook": "akhil4n_book",
    "pyorderbook": "pyorderbook_book",
    "lightmatchingengine": "lightmatchingengine_book",
}
"""What the registry calls them, and our adapters."""
NODE_PACKAGE = "nodejs-order-book"
OWN, FLOOR = "ordergate", "floor"
Command = tuple[str, ...]


class UnavailableError(Exception):
    """A book cannot be had on this machine; says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A book, and the command that plays on it; the path of the operations is still to come."""

    name: str
    command: Command
    environment: dict[str, str] = field(default_factory=dict)


def books() -> tuple[list[Peer], dict[str, str]]:
    """All that can play here, ours first, and why each of the others cannot."""
    own, floor = _adapter(sys.executable, "ordergate_book"), _adapter(sys.executable, "floor")
    found = [Peer(OWN, own), Peer(f"{OWN}_interpreted", own, {VARIABLE: "1"}), Peer(FLOOR, floor)]
    missing = {}
    others: dict[str, Callable[[], Command]] = {f"{FLOOR}_compiled": _compiled_floor}
    others |= {package: partial(_python, package) for package in PACKAGES}
    others[NODE_PACKAGE] = _node
    for name, install in others.items():
        try:
            found.append(Peer(name, install()))
        except UnavailableError as reason:
            missing[name] = str(reason)
    return found, missing


def _adapter(python: str, module: str) -> Command:
    return python, "-m", f"tests.load.peers.{module}"


def _compiled_floor() -> Command:
    folder = PLACE / "compiled"
    try:
        build([HERE / "plain_book.py"], "plain", folder, usable_compiler())
    except CannotCompileError as reason:
        raise UnavailableError(str(reason)) from reason
    return *_adapter(sys.executable, "floor"), f"--compiled={folder}"


def _python(package: str) -> Command:
    """Installs one of the Python packages; as wheels only, for nobody's build tools are known to be here."""
    lock = (HERE / "requirements.lock").read_text()
    key = hashlib.sha256(f"{platform.python_version()}\n{lock}".encode()).hexdigest()[:16]
    folder = PLACE / f"python-{key}"
    python, installed = folder / "bin" / "python", folder / f"installed-{package}"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)])
    if not installed.exists():
        wanted = folder / f"{package}.lock"
        wanted.write_text(_with_what_all_need(lock, package))
        options = ("--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes")
        _run([str(python), "-m", "pip", "install", *options, "-r", str(wanted)])
        installed.touch()
    return _adapter(str(python), PACKAGES[package])


def _with_what_all_need(lock: str, package: str) -> str:
    """The part of the lock about one book: its own lines, and those of packages that are no book."""
    parts = re.findall(r"^(([a-z0-9-]+)==.*\n(?: .*\n)*)", lock, re.MULTILINE)
    return "".join(text for text, name in parts if name == package or name not in PACKAGES)


def _node() -> Command:
    """Installs the package of the other registry, without running anything of it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise UnavailableError("node and npm are not on PATH")
    lock = (HERE / "node" / "package-lock.json").read_bytes()
    folder = PLACE / f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, folder)
        _run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)])
        (folder / "installed").touch()
    return node, str(HERE / "node" / "book.js"), f"--modules={folder / 'node_modules'}"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"{command[0]} failed").splitlines()
        raise UnavailableError(lines[-1])
