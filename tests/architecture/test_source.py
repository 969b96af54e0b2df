"""The source itself: sizes, names, and what must not stand in it."""

import ast
import re
from pathlib import Path

from tests.architecture.sources import GENERATED, REPOSITORY, Module

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 400
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

OWN = Path(__file__).resolve().relative_to(REPOSITORY).as_posix()
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
REGISTRIES = re.compile(
    r"\b(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|docker\.io|ghcr\.io|quay\.io|gcr\.io|registry\.k8s\.io"
    r"|proxy\.golang\.org|crates\.io|mcr\.microsoft\.com|public\.ecr\.aws)\b"
)
MACHINE_PATHS = re.compile(r"(?<![\w.${}~-])/(work|home|root|Users|mnt|private)/\w")
BINARY = (".binpb", ".png", ".gz", ".ico")


def test_functions_are_short(modules: list[Module]) -> None:
    """No function is longer than 70 lines."""
    long = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in modules
        for function in module.functions
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


def test_modules_are_short(modules: list[Module]) -> None:
    """No module has more than 400 lines that are not blank."""
    assert not [f"{module.path}: {module.code_lines}" for module in modules if module.code_lines > MODULE_LINES_MAX]


def test_modules_say_what_they_own(modules: list[Module]) -> None:
    """No module hides behind a name that means anything."""
    assert not [module.path for module in modules if VAGUE_NAMES & set(module.name.split("."))]


def texts(files: list[str]) -> dict[str, str]:
    """The text of every file but the generated ones, binary ones and this one."""
    ours = [path for path in files if not path.startswith(GENERATED) and not path.endswith(BINARY) and path != OWN]
    return {path: (REPOSITORY / path).read_text() for path in ours}


def matches(files: list[str], pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern stands."""
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts(files).items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_unfinished(files: list[str]) -> None:
    """What is not done is in the issues, not in the code."""
    assert not matches(files, UNFINISHED)


def test_no_registry_is_named(files: list[str]) -> None:
    """Where packages and images come from is decided by whoever installs."""
    assert not matches(files, REGISTRIES)


def test_no_path_of_a_machine_is_named(files: list[str]) -> None:
    """Nothing depends on where somebody once worked, in the generated files neither."""
    assert not matches(files, MACHINE_PATHS)
    generated = [REPOSITORY / path for path in files if path.startswith(GENERATED)]
    assert generated
    assert not [path for path in generated if re.search(rb"/(work|home|root|Users)/\w", path.read_bytes())]


def test_every_test_states_its_rule(modules: list[Module]) -> None:
    """A test has a docstring, and each test module a name of its own."""
    tests = [
        module for module in modules if module.package == "tests" and module.path.rpartition("/")[2].startswith("test_")
    ]
    silent = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in tests
        for function in module.functions
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]
    assert not silent
    names = [module.path.rpartition("/")[2] for module in tests]
    assert len(names) == len(set(names))
