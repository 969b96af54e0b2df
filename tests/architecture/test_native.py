"""Compiled or interpreted, the core is the same: what is compiled, and what both come to."""

import ast
import os
import subprocess
import sys

import pytest

from native import modules, switch

HASH_SEEDS = ("0", "1", "2", "4242", "random")
COMMANDS = 3_000
SEED = 11
PROGRAM = f"""
import hashlib
import sys

from native import switch

if sys.argv[1] == "interpreted":
    switch.interpret()

from matching.convert import encode_events
from matching.core import engine
from matching.core.events import Replay
from matching.state import state_hash
from tests.simulation.matching_story import Story

story, events = Story({SEED}, engine.Engine(keys_max=300, requests_max=60)), hashlib.sha256()
for step in story.steps({COMMANDS}):
    if not isinstance(step.told, Replay):
        for data in encode_events(step.told):
            events.update(data)
print(engine.__file__)
print(events.hexdigest(), state_hash(story.engine), story.engine.seq)
"""


def come_to(how: str, hash_seed: str) -> tuple[str, str]:
    """The file that the engine came from, and the hashes of a flow's events and of the state after it."""
    environment = {name: value for name, value in os.environ.items() if name != switch.VARIABLE}
    environment |= {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(modules.ROOT)}
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, env=environment, cwd=modules.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    file, hashes = done.stdout.splitlines()
    return file, hashes


@pytest.fixture(scope="module")
def interpreted() -> str:
    """What the sources come to."""
    file, hashes = come_to("interpreted", "0")
    assert file.endswith("engine.py")
    return hashes


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
def test_compiled_and_interpreted_engines_agree(interpreted: str, hash_seed: str) -> None:
    """From binaries and from sources, the same commands give the same event bytes and state, under any hash seed."""
    if not modules.binaries():
        pytest.skip("nothing is compiled here: `make compile` says why")
    file, hashes = come_to("compiled", hash_seed)
    assert file.endswith(modules.SUFFIX)
    assert hashes == interpreted


@pytest.mark.parametrize("hash_seed", HASH_SEEDS[1:])
def test_interpreted_engines_agree(interpreted: str, hash_seed: str) -> None:
    """The sources come to the same under any hash seed."""
    assert come_to("interpreted", hash_seed)[1] == interpreted


def test_the_core_is_compiled() -> None:
    """The engine and the book are among what is compiled, and no package's own module is."""
    names = {path.relative_to(modules.ROOT).as_posix() for path in modules.compiled()}
    assert {"matching/core/engine.py", "matching/core/book.py"} <= names
    assert not [name for name in names if name.endswith("__init__.py")]


def test_nothing_compiled_is_compared_by_identity() -> None:
    """No compiled module defines a msgspec type: compiled code takes two equal values of one for different."""
    for path in modules.compiled():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert not bases & {"Struct", "msgspec.Struct"}, f"{path.name}: {node.name}"
