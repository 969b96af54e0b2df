"""The same commands give the same bytes and the same state, in whatever process and from wherever it begins."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matching.convert import decode_command, encode_events
from matching.core.engine import Engine
from matching.core.events import Replay
from matching.state import dump, load, state_hash
from tests.simulation.matching_story import Story

ROOT = Path(__file__).parents[2]
COMMANDS = 2_500
SEED = 11
HASH_SEEDS = ("0", "1", "4242", "4294967295", "random")


def told(seed: int, commands: int, snapshot_at: int = 0) -> str:
    """Carries out a flow; the hash of every byte of its events, the hash of the state, and the last seq.

    Args:
        seed: of the flow.
        commands: how many.
        snapshot_at: after so many another engine, made from the bytes of the first, carries out the rest.
    """
    story, events = Story(seed, Engine(300, 60)), hashlib.sha256()
    engine = story.engine
    for number, step in enumerate(story.steps(commands)):
        heard = step.told
        if engine is not story.engine:
            heard = engine.execute(decode_command(step.data), step.time_unix_ns)
        if not isinstance(heard, Replay):
            for data in encode_events(heard):
                events.update(data)
        if number == snapshot_at > 0:
            engine = load(dump(story.engine))
    return f"{events.hexdigest()} {state_hash(engine)} {engine.seq}"


def in_a_process(hash_seed: str, snapshot_at: int) -> str:
    """The same in a process of its own, whose hashes of strings are seeded differently."""
    call = f"told({SEED}, {COMMANDS}, {snapshot_at})"
    program = f"from tests.simulation.test_matching_determinism import told; print({call})"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def here() -> str:
    """What this process gives."""
    return told(SEED, COMMANDS)


@pytest.mark.parametrize("snapshot_at", [0, COMMANDS // 2])
@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
def test_the_hash_seed_does_not_matter(here: str, hash_seed: str, snapshot_at: int) -> None:
    """Every event byte and the state hash, under any PYTHONHASHSEED, from the beginning and from a snapshot."""
    assert in_a_process(hash_seed, snapshot_at) == here


def test_another_flow_gives_other_bytes(here: str) -> None:
    """The comparison above can fail: a flow with another seed differs in events and in state."""
    other = told(SEED + 1, COMMANDS)
    assert [mine != theirs for mine, theirs in zip(here.split(), other.split(), strict=True)][:2] == [True, True]


def test_a_second_run_gives_the_same(here: str) -> None:
    """Carried out again in the same process, nothing differs: no state is left anywhere else."""
    assert told(SEED, COMMANDS) == here
