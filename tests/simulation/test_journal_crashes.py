"""Journal and snapshots on a disk that loses and tears: wherever the machine stops, nothing acknowledged is missing."""

import os
from random import Random

import pytest

from matching.journal.errors import DamagedJournalError, DamagedSnapshotError
from tests.simulation.crash_trace import Trace, at_every_crash_point
from tests.simulation.disk import NOTHING_STAYS, SimulatedDisk, Tear

IS_LONG = os.environ.get("ORDERGATE_SIMULATION") == "long"
"""Every crash point instead of some; `make sim`."""
SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))
APPENDS = 1_000
EVERY = 1 if IS_LONG else 17
"""Crash points from one look to the next."""
TEARS = 2
"""Random losses that are looked at for each crash point, beside the extreme ones."""


def look(trace: Trace, point: int) -> None:
    """What is lost is everything since the barriers, or drawn from the seed; or only the process dies at first."""
    random = Random(SEED * 1_000_003 + point)
    trace.check(trace.disk.after_power_loss(NOTHING_STAYS))
    for _ in range(TEARS):
        trace.check(trace.disk.after_power_loss(Tear(random)))
    trace.check_twice(trace.disk.after_kill())
    trace.check_fallback(trace.disk.after_power_loss(Tear(random)))


def test_every_crash_point_of_a_long_trace() -> None:
    """Before each call that changes the disk: all acknowledged batches are found, and nothing false."""
    looks = at_every_crash_point(SEED, APPENDS, EVERY, look)
    assert looks > APPENDS / EVERY * 2


def test_every_crash_point_of_a_recovery_after_a_kill() -> None:
    """Twice: the process ends at any point, and while the next one opens everything the machine stops, at any point."""

    def look_twice(trace: Trace, point: int) -> None:
        killed = trace.disk.after_kill()
        random = Random(SEED * 1_000_003 + point)

        def before(call: str, name: str) -> None:
            for _ in range(3 if IS_LONG else 2):
                trace.check(killed.after_power_loss(Tear(random)))

        killed.before = before
        trace.check(killed)

    looks = at_every_crash_point(SEED, 30, 1, look_twice)
    assert looks > 60


BARRIERS = [
    ("fdatasync", "*.journal"),
    ("fsync", "*.journal"),
    ("fsync", "spare"),
    ("fsync", "epoch.new"),
    ("fsync", "*.unfinished"),
    ("fsync_folder", "journal"),
    ("fsync_folder", "snapshots"),
    ("fsync_folder", "venue"),
    ("fsync_folder", ""),
]


@pytest.mark.parametrize(("call", "name"), BARRIERS)
def test_every_barrier_is_needed(call: str, name: str) -> None:
    """Without any one of them something is missing or damaged at some crash point: the looks can fail."""
    disk = SimulatedDisk()
    disk.ignored = (call, name)
    with pytest.raises((AssertionError, DamagedJournalError, DamagedSnapshotError)):
        at_every_crash_point(SEED, APPENDS, 1, look, disk)
