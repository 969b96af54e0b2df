"""The same commands give the same bytes and the same state, whatever process carries them out."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from matching.convert import encode_events
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.recovery import state_hash
from tests.simulation.matching_flow import FIRST_TIME_UNIX_NS, Flow, opening

ROOT = Path(__file__).parents[2]
COMMANDS = 2_000
SEED = 11


def run(seed: int, commands: int) -> str:
    """Carries out a flow; the hash of every byte of its events, the hash of the state, and the last seq."""
    engine, flow, events = Engine(), Flow(Random(seed)), hashlib.sha256()
    given = list(opening())
    for number in range(commands):
        command = given[number] if number < len(given) else flow.next()
        told = engine.execute(command, FIRST_TIME_UNIX_NS + number)
        if not isinstance(told, Replay):
            flow.hear(told)
            for data in encode_events(told):
                events.update(data)
    return f"{events.hexdigest()} {state_hash(engine)} {engine.seq}"


def in_a_process(hash_seed: str) -> str:
    """The same in a process of its own, whose hashes of strings are seeded differently."""
    program = f"from tests.simulation.test_matching_determinism import run; print(run({SEED}, {COMMANDS}))"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


@pytest.fixture(scope="module")
def here() -> str:
    """What this process gives."""
    return run(SEED, COMMANDS)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242", "random"])
def test_the_hash_seed_does_not_matter(here: str, hash_seed: str) -> None:
    """Every event byte and the state hash are the same under any PYTHONHASHSEED."""
    assert in_a_process(hash_seed) == here


def test_another_flow_gives_other_bytes(here: str) -> None:
    """The comparison above can fail: a flow with another seed differs in events and in state."""
    other = run(SEED + 1, COMMANDS)
    assert [mine != theirs for mine, theirs in zip(here.split(), other.split(), strict=True)][:2] == [True, True]


def test_a_second_run_gives_the_same(here: str) -> None:
    """Carried out again in the same process, nothing differs: no state is left anywhere else."""
    assert run(SEED, COMMANDS) == here
