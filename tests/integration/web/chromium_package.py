"""Where the tests get a browser from: a headless Chromium that comes whole inside a package.

Nothing of the machine is needed but glibc: the package has the libraries and
fonts too. It is installed by its lock when it is first asked for, and kept below
`.build`. `ORDERGATE_CHROMIUM` names another Chromium or Chrome, which machines
need that the package has none for.
"""

import os
import platform
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clients.web.toolchain import NODE, alone, installed, run

LOCK = Path(__file__).with_name("chromium")
VARIABLE = "ORDERGATE_CHROMIUM"
PACKED = ("chromium.br", "al2023.tar.br", "fonts.tar.br")
MACHINE = ("linux", "x86_64")
"""What the package is for."""
# The fonts of the package and no others: pages look the same everywhere, and a machine needs none.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>%(browser)s/fonts</dir><cachedir>%(browser)s/fonts-cache</cachedir></fontconfig>
"""


class NoBrowserError(Exception):
    """The package has no browser for this machine, and none is named; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """A browser that can be started."""

    executable: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """What it needs beside the environment of whoever starts it."""


def find() -> Chromium:
    """The browser that `ORDERGATE_CHROMIUM` names, else that of the package, which is installed if need be.

    Raises:
        FileNotFoundError: the variable names a file that is not there.
        NoBrowserError: the package has none for this machine.
        ToolError: the package could not be installed.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_file():
            raise FileNotFoundError(f"{VARIABLE} names {named}, which is not there")
        return Chromium(Path(named))
    if (sys.platform, platform.machine()) != MACHINE:
        raise NoBrowserError(f"no package has a browser for this machine; name a Chromium or Chrome in {VARIABLE}")
    return _packaged()


def _packaged() -> Chromium:
    folder = installed(LOCK, "chromium")
    browser = folder / "browser"
    with alone("chromium"):
        if not browser.exists():
            _unpack(folder / "node_modules" / "@sparticuz" / "chromium" / "bin", browser)
    paths = {"LD_LIBRARY_PATH": browser / "lib", "FONTCONFIG_FILE": browser / "fonts.conf"}
    return Chromium(browser / "chromium", {name: str(path) for name, path in paths.items()})


def _unpack(packed: Path, target: Path) -> None:
    """Whole or not at all: whoever finds the folder may use it."""
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    run(NODE, LOCK / "unpack.mjs", *(packed / name for name in PACKED), part, folder=part)
    for archive in part.glob("*.tar"):
        _extract(archive, part)
        archive.unlink()
    (part / "fonts.conf").write_text(FONTS % {"browser": target})
    (part / "chromium").chmod(0o755)
    part.rename(target)


def _extract(archive: Path, target: Path) -> None:
    """Writes the files of an archive; not by `extractall`, whose safe form some patch releases of Python lack."""
    with tarfile.open(archive) as files:
        for member in files:
            content = files.extractfile(member)
            if content is not None:
                path = target / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
