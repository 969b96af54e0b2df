"""What the web client and its tests are built with: pinned, whole, and able to find what is wrong."""

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from clients.web import toolchain
from tests.integration.web import chromium_package
from tests.integration.web.chromium_package import MACHINE, VARIABLE, NoBrowserError, find

LOCKS = (toolchain.WEB / "package-lock.json", chromium_package.LOCK / "package-lock.json")
GLIBC = {"libc", "libdl", "libgcc_s", "libm", "libpthread", "librt", "linux-vdso", "ld-linux-x86-64"}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the web client that may be spoilt, which the toolchain takes for the real one."""
    copy = tmp_path / "web"
    shutil.copytree(toolchain.WEB, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__"))
    monkeypatch.setattr(toolchain, "WEB", copy)
    monkeypatch.setattr(toolchain, "GENERATED", copy / "src" / "gen")
    return copy


def test_the_web_client_is_as_its_protos_and_types_say() -> None:
    """The generated code is that of the present protos, and the compiler finds nothing at its strictest."""
    assert toolchain.check() == []


def test_a_stale_file_is_found(copied: Path) -> None:
    """One that was changed, one that is missing and one that nobody generates any more."""
    generated = copied / "src" / "gen"
    changed, missing = generated / "google/api/http_pb.ts", generated / "google/api/annotations_pb.ts"
    changed.write_text(changed.read_text() + "// changed\n")
    missing.unlink()
    (generated / "more.ts").write_text("export {};\n")
    assert toolchain.drifted() == ["google/api/annotations_pb.ts", "google/api/http_pb.ts", "more.ts"]


def test_what_is_stale_is_renewed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody generates any more goes too; where nothing can be generated, nothing is lost."""
    (copied / "src" / "gen" / "more.ts").write_text("export {};\n")
    monkeypatch.setattr(toolchain, "IMPORTED", ("google/rpc/no_such.proto",))
    with pytest.raises(toolchain.ToolError, match="no_such"):
        toolchain.renew()
    assert (copied / "src" / "gen" / "more.ts").exists()
    monkeypatch.undo()
    monkeypatch.setattr(toolchain, "GENERATED", copied / "src" / "gen")
    toolchain.renew()
    assert toolchain.drifted() == []


def test_a_changed_lock_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages of the earlier lock go, whatever else there is stays; an unchanged one is installed once."""
    monkeypatch.setattr(toolchain, "WORKSHOP", tmp_path / "node")
    source = tmp_path / "source"
    source.mkdir()

    def lock(version: str) -> Path:
        package = {"name": "none", "version": version}
        (source / "package.json").write_text(json.dumps(package))
        locked = package | {"lockfileVersion": 3, "requires": True, "packages": {"": package}}
        (source / "package-lock.json").write_text(json.dumps(locked))
        return toolchain.installed(source, "none")

    first = lock("1.0.0")
    (first / "mark").touch()
    assert lock("1.0.0") == first
    assert (first / "mark").exists()
    with toolchain.alone("none-sources"):
        second = lock("2.0.0")
    assert {path.name for path in (tmp_path / "node").iterdir()} == {second.name, "locks"}


def test_an_error_of_types_is_found(copied: Path) -> None:
    """The compiler's own message says where it is."""
    (copied / "example" / "wrong.ts").write_text("export const qty: string = [][0];\n")
    (wrong,) = toolchain.check()
    assert "example/wrong.ts" in wrong
    assert "error TS2322" in wrong


def test_the_readme_compiles(copied: Path) -> None:
    """What the README shows is what the client has."""
    (snippet,) = re.findall(r"```ts\n(.*?)```", (toolchain.WEB / "README.md").read_text(), re.DOTALL)
    (copied / "example" / "readme.ts").write_text(snippet.replace("@ordergate/web", "../src/index.js"))
    assert toolchain.check() == []


def test_the_library_can_be_imported() -> None:
    """What `npm run build` gives is a module as it stands, with its types beside it."""
    library = toolchain.script("build") / "dist" / "lib"
    script = "import('./index.js').then((library) => console.log(JSON.stringify(Object.keys(library))))"
    names = json.loads(toolchain.run(toolchain.NODE, "--eval", script, folder=library))
    assert {"Client", "Denied", "StreamGap", "OrdType", "renewed"} <= set(names)
    assert "submit(" in (library / "client.d.ts").read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_packages_are_pinned_by_their_contents(lock: Path) -> None:
    """Every package has a hash, and none an address; none may run a script of its own at installation."""
    packages = json.loads(lock.read_text())["packages"]
    fetched = {name: package for name, package in packages.items() if name}
    assert len(fetched) > 3
    assert not [name for name, package in fetched.items() if not package["integrity"].startswith("sha512-")]
    assert "://" not in lock.read_text()
    assert "ignore-scripts=true" in (lock.parent / ".npmrc").read_text().splitlines()


def test_the_browser_needs_nothing_of_the_machine() -> None:
    """Every library but glibc's own comes out of the package."""
    try:
        chromium = find()
    except NoBrowserError as error:
        pytest.skip(str(error))
    if not chromium.environment:
        pytest.skip(f"{VARIABLE} names another browser")
    listed = subprocess.run(
        ["ldd", chromium.executable], env={**chromium.environment}, capture_output=True, text=True, check=True
    ).stdout
    folder = str(chromium.executable.parent)
    outside = {Path(line.split()[0]).name.partition(".so")[0] for line in listed.splitlines() if folder not in line}
    assert "libc" in outside
    assert not outside - GLIBC
    assert "libnss3" in listed


def test_a_named_browser_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong name is an error, never another browser."""
    monkeypatch.setenv(VARIABLE, "nowhere/chromium")
    with pytest.raises(FileNotFoundError, match="nowhere/chromium"):
        find()


def test_other_machines_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package has no browser, the variable is named."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "other")
    assert MACHINE[1] != "other"
    with pytest.raises(NoBrowserError, match=VARIABLE):
        find()
