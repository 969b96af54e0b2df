"""Generates the stubs, their types, the descriptor set and the OpenAPI document from the protos.

`make proto` runs it and the results are checked in; `make check` runs it with
`--check` and fails when they differ. The descriptor set is what Envoy
transcodes by; the document is what it serves as `/openapi.json`. Called by
people and CI only.
"""

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.api import annotations_pb2
from grpc_tools import protoc

PROTOS = Path(__file__).resolve().parent
GENERATED = PROTOS / "gen"
DESCRIPTOR_SET = "ordergate.binpb"
OPENAPI = "openapi.json"
HTTP_ANNOTATIONS = ("annotations.proto", "http.proto")
ERROR_MODEL = ("google/rpc/error_details.proto", "google/rpc/status.proto")
"""What errors carry inside `google.protobuf.Any`: no proto of ours imports it,
and without its descriptors Envoy cannot show the details of an error."""


def google_api() -> Path:
    """The folder of the google.api protos that come with googleapis-common-protos."""
    return Path(annotations_pb2.__file__).parent


def export_dependencies(target: Path) -> None:
    """Copies the protos that ours import to `target`, where buf looks for them."""
    folder = target / "google" / "api"
    folder.mkdir(parents=True, exist_ok=True)
    for name in HTTP_ANNOTATIONS:
        shutil.copyfile(google_api() / name, folder / name)


def sources() -> list[str]:
    """Our protos, relative to the proto root, in a fixed order."""
    return sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("ordergate/**/*.proto"))


def compile_protos(*arguments: str) -> None:
    """Runs protoc with everything that our protos import on its path.

    Raises:
        RuntimeError: protoc refused a proto; its message is on stderr.
    """
    paths = (PROTOS, google_api().parent.parent, files("grpc_tools") / "_proto")
    if protoc.main(["protoc", *(f"--proto_path={path}" for path in paths), *arguments]) != 0:
        raise RuntimeError("protoc failed")


def generate_openapi(target: Path) -> None:
    """Writes the OpenAPI document; a process of its own reads the stubs as they are by now.

    Raises:
        RuntimeError: protoc refused a proto; its message is on stderr.
        CalledProcessError: the document could not be made; the reason is on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        # With the comments, which the descriptor set that Envoy reads has no use for.
        described = Path(folder) / DESCRIPTOR_SET
        compile_protos(f"--descriptor_set_out={described}", "--include_imports", "--include_source_info", *sources())
        command = [sys.executable, "-m", "protos.openapi", str(described), str(target)]
        subprocess.run(command, cwd=PROTOS.parent, check=True)  # noqa: S603 - our own module


def generate(target: Path) -> None:
    """Writes everything that is generated below `target`.

    Raises:
        RuntimeError: protoc refused a proto; its message is on stderr.
    """
    target.mkdir(parents=True, exist_ok=True)
    compile_protos(
        f"--plugin=protoc-gen-mypy={Path(sys.executable).parent / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}",
        f"--python_out={target}",
        f"--mypy_out=quiet:{target}",
        f"--grpc_python_out={target}",
        f"--mypy_grpc_out=quiet:{target}",
        *sources(),
    )
    compile_protos(f"--descriptor_set_out={target / DESCRIPTOR_SET}", "--include_imports", *sources(), *ERROR_MODEL)
    for folder in {path.parent for path in target.glob("ordergate/**/*_pb2.py")}:
        (folder / "__init__.py").touch()
    for folder in {path.parent.parent for path in target.glob("ordergate/**/*_pb2.py")} | {target / "ordergate"}:
        (folder / "__init__.py").touch()
    (target / "ordergate" / "py.typed").touch()
    generate_openapi(target / OPENAPI)


def differences(left: Path, right: Path) -> list[str]:
    """Names of the files that differ, or that only one of the two folders has."""
    names = {
        str(path.relative_to(root))
        for root in (left, right)
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    return sorted(
        name
        for name in names
        if not ((left / name).is_file() and (right / name).is_file() and filecmp.cmp(left / name, right / name, False))
    )


def main() -> int:
    """Generates, or with `--check` compares; 1 when something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--dependencies", type=Path, help="copy the imported protos there, for buf")
    options = parser.parse_args()
    if options.dependencies:
        export_dependencies(options.dependencies)
        return 0
    if not options.check:
        shutil.rmtree(GENERATED, ignore_errors=True)
        generate(GENERATED)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        differing = differences(GENERATED, Path(folder))
    for name in differing:
        print(f"protos/gen/{name} is not what the protos give; run `make proto`", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
