"""The snapshotter: a process beside the venue that writes down what it was at the end of a batch."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from ordergate.matching.v1 import events_pb2 as wire

from matching import snapshotter as snapshotting
from matching.core.engine import Engine
from matching.journal.file import FileJournal
from matching.recovery import engine_of, verify
from matching.snapshots.file import FileSnapshots
from matching.snapshotter import Snapshotter
from matching.state import dump
from tests.simulation.matching_story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matching.snapshots.form import Snapshot

ROOT = Path(__file__).parents[3]
SEGMENT_BYTES = 4_096
BATCH_COMMANDS = 20


class HeldSnapshots(FileSnapshots):
    """Snapshots that are published when somebody writes to a pipe."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = folder.parent / "gate"
        os.mkfifo(self.gate)

    def publish(self, snapshot: Snapshot) -> int:
        """Publishes once the gate is open."""
        self.gate.read_bytes()
        return super().publish(snapshot)


class Bench:
    """A venue whose batches are made durable one by one, and its snapshotter."""

    def __init__(self, folder: Path, journal: FileJournal, snapshots: FileSnapshots, interval: int, keep: int) -> None:
        self.journal = journal
        self.snapshots = snapshots
        self.engine = Engine()
        self.snapshotter = Snapshotter(journal, snapshots, 0, interval, keep)
        self.folder = folder
        self._entries = Story(3, self.engine).entries(100_000)

    def batch(self) -> int:
        """Makes a batch durable; gives its last seq."""
        batch: list[wire.JournalEntry] = []
        first_seq = self.journal.last_seq + 1
        for entry in self._entries:
            batch.append(entry)
            if len(batch) == BATCH_COMMANDS:
                break
        self.journal.append(first_seq, self.engine.seq, wire.JournalBatch(entries=batch).SerializeToString())
        self.snapshotter.after_batch(self.engine)
        return self.engine.seq

    async def snapshot(self) -> int:
        """Makes batches until a snapshot is due, and waits for it; gives its seq."""
        before = self.seqs()
        while self.snapshotter._watching is None:
            seq = self.batch()
        await self.snapshotter.finish()
        assert self.seqs()[-1:] == [seq] != before[-1:]
        return seq

    def seqs(self) -> list[int]:
        """The snapshots that there are."""
        return sorted(int(path.stem) for path in (self.folder / "snapshots").glob("*.snapshot"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A venue that makes a snapshot every 100 events and keeps no event longer than it must."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        yield Bench(tmp_path, journal, FileSnapshots(tmp_path / "snapshots"), 100, 0)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Bench]:
    """The same, but snapshots wait before they are published; whatever still waits at the end is ended."""
    before = set(psutil.Process().children())
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        yield Bench(tmp_path, journal, HeldSnapshots(tmp_path / "snapshots"), 100, 0)
    for child in set(psutil.Process().children()) - before:
        child.kill()


def open_gate(bench: Bench) -> None:
    """Lets a held snapshot go on."""
    assert isinstance(bench.snapshots, HeldSnapshots)
    bench.snapshots.gate.write_bytes(b"go")


async def test_a_snapshot_is_the_state_at_the_end_of_a_batch(held: Bench) -> None:
    """What happens while it is being written is not in it, and does not wait for it."""
    while held.snapshotter._watching is None:
        seq = held.batch()
    state = dump(held.engine)
    for _ in range(10):
        held.batch()
    assert held.seqs() == []
    await asyncio.to_thread(open_gate, held)
    await held.snapshotter.finish()
    assert held.seqs() == [seq]
    (candidate,) = held.snapshots.load()
    assert candidate.snapshot is not None
    assert (candidate.snapshot.content, candidate.snapshot.epoch) == (state, 1)
    assert engine_of(candidate.snapshot).seq == seq < held.engine.seq


async def test_snapshots_come_at_intervals(bench: Bench) -> None:
    """One every so many events, never two at a time, and the two newest generations stay."""
    seqs = [await bench.snapshot() for _ in range(4)]
    assert all(later - before >= 100 for before, later in pairwise(seqs))
    assert bench.seqs() == seqs[-2:]


async def test_none_is_begun_while_one_is_in_the_making(held: Bench) -> None:
    """However many events come meanwhile; the next one follows at the next batch after it."""
    while held.snapshotter._watching is None:
        first = held.batch()
    watching = held.snapshotter._watching
    while held.engine.seq < first + 300:
        held.batch()
    assert held.snapshotter._watching is watching
    await asyncio.to_thread(open_gate, held)
    await held.snapshotter.finish()
    assert held.seqs() == [first]
    second = held.batch()
    await asyncio.to_thread(open_gate, held)
    await held.snapshotter.finish()
    assert held.seqs() == [first, second]


async def test_the_journal_goes_as_far_as_the_older_snapshot(bench: Bench) -> None:
    """What stands before the older of the two generations is dropped, segment by segment; a replay still works."""
    first = await bench.snapshot()
    assert bench.journal.first_seq == 1
    second = await bench.snapshot()
    assert 1 < bench.journal.first_seq <= first + 1
    third = await bench.snapshot()
    assert first + 1 < bench.journal.first_seq <= second + 1
    summary = verify(bench.folder)
    assert (summary.snapshot_seq, summary.last_seq) == (third, bench.engine.seq)


async def test_followers_keep_what_they_were_promised(tmp_path: Path) -> None:
    """So many events stay in the journal, whatever the snapshots stand for."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        bench = Bench(tmp_path, journal, FileSnapshots(tmp_path / "snapshots"), 100, 250)
        for _ in range(6):
            await bench.snapshot()
        assert 1 < journal.first_seq <= journal.last_seq - 250 + 1
        older = bench.seqs()[0]
        assert journal.first_seq < older


async def test_the_journal_keeps_what_no_readable_snapshot_stands_for(bench: Bench) -> None:
    """When the older generation turns out to be damaged, the journal is not dropped as if it were there."""
    first = await bench.snapshot()
    path = bench.folder / "snapshots" / f"{first:020d}.snapshot"
    path.write_bytes(path.read_bytes()[:-1])
    await bench.snapshot()
    assert bench.journal.first_seq == 1


async def test_a_snapshot_that_cannot_be_written_disturbs_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is counted and logged, nothing is dropped, and the next one is tried in its time."""
    (tmp_path / "snapshots").write_bytes(b"not a folder")
    failed = snapshotting.snapshots_total.labels("failed")
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        bench = Bench(tmp_path, journal, FileSnapshots(tmp_path / "snapshots"), 100, 0)
        before = failed._value.get()
        for attempt in (1, 2):
            while bench.snapshotter._watching is None:
                seq = bench.batch()
            await bench.snapshotter.finish()
            assert failed._value.get() == before + attempt
            assert f"snapshot of seq {seq}: NotADirectoryError" in capfd.readouterr().err
        assert journal.first_seq == 1
        (tmp_path / "snapshots").unlink()
        await bench.snapshot()


def pipes() -> list[str]:
    """The pipes that this process has open."""
    links = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return sorted(link for link in links if "pipe:" in link)


async def test_a_machine_that_cannot_fork_makes_no_snapshot(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that cannot be promised twice is no reason to end the venue; no descriptor stays open either."""

    def fails() -> int:
        raise BlockingIOError("no more processes")

    before = pipes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", fails)
        while bench.engine.seq < 250:
            bench.batch()
    assert bench.seqs() == []
    await bench.snapshot()
    assert pipes() == before


async def test_a_killed_child_is_a_failed_snapshot(held: Bench) -> None:
    """The parent hears of it, nothing is published, and the next one succeeds."""
    before = set(psutil.Process().children())
    while held.snapshotter._watching is None:
        held.batch()
    (child,) = set(psutil.Process().children()) - before
    child.kill()
    await held.snapshotter.finish()
    assert held.seqs() == []
    while held.snapshotter._watching is None:
        held.batch()
    await asyncio.to_thread(open_gate, held)
    await held.snapshotter.finish()
    assert held.seqs() == [held.engine.seq]


async def test_a_child_that_hangs_is_no_reason_to_wait(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An orderly end waits for a snapshot for a while, and then ends it."""
    monkeypatch.setattr(snapshotting, "FINISH_S_MAX", 0.05)
    while held.snapshotter._watching is None:
        held.batch()
    await held.snapshotter.finish()
    assert held.snapshotter._watching is None
    assert held.seqs() == []


async def test_a_child_that_hangs_ends_itself(held: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not stand in the way of the next snapshot for ever."""
    monkeypatch.setattr(snapshotting, "SNAPSHOT_S_MAX", 0.2)
    failed = snapshotting.snapshots_total.labels("failed")
    before = failed._value.get()
    while held.snapshotter._watching is None:
        held.batch()
    await held.snapshotter._watching
    assert failed._value.get() == before + 1
    assert held.seqs() == []


PARENT = """
import asyncio, sys
from pathlib import Path
from tests.unit.matching.test_matching_snapshotter import Bench, FileJournal, HeldSnapshots, SEGMENT_BYTES

async def main(folder):
    with FileJournal(folder, SEGMENT_BYTES) as journal:
        bench = Bench(folder, journal, HeldSnapshots(folder / "snapshots"), 100, 0)
        while bench.snapshotter._watching is None:
            bench.batch()
        print("forked", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A venue in a process of its own that has just forked."""
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"forked\n"
        yield process
        process.kill()


def test_the_child_ends_with_its_parent(forked: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """After kill -9 of the venue the lock of the journal is free at once, and no child is left that could publish."""
    (child,) = psutil.Process(forked.pid).children()
    with (tmp_path / "gate").open("wb"):
        # Opened: the child is about to publish, and waits.
        forked.send_signal(signal.SIGKILL)
        forked.wait()
        with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
            assert journal.epoch == 2
        gone, alive = psutil.wait_procs([child], 30)
    assert (gone, alive) == ([child], [])
    assert not (tmp_path / "snapshots").exists()
