"""A venue's storage at work on a simulated disk, and what must be found whenever the machine stops.

The trace appends batches, begins segments, publishes snapshots, drops what they
stand for, and ends and begins again, all drawn from a seed. Before every change
and barrier that the disk is asked for, it could crash; `check` looks at the
disk as it would be found then.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

from matching.journal.frames import Frame
from matching.snapshots.file import SUFFIX
from matching.snapshots.form import Snapshot
from matching.storage import SNAPSHOTS, Storage, open_files
from tests.simulation.disk import NOTHING_STAYS, SimulatedDisk

FOLDER = Path("/venue/journal")
SEGMENT_BYTES = 4_096
SNAPSHOT_EVERY = 24
"""Appends between two snapshots."""
RESTART_EVERY = 230
"""Appends between two orderly restarts."""
KILL_EVERY = 150
"""Crash points between two at which the process is killed in earnest, on average."""


class Killed(BaseException):
    """The process has ended: none of its code runs any more, on this disk."""


@dataclass(frozen=True)
class Appended:
    """A batch."""

    first_seq: int
    last_seq: int
    payload: bytes


@dataclass
class Found:
    """What recovery was given."""

    snapshot: Snapshot | None = None
    batches: list[Appended] = field(default_factory=list)

    def begin(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot

    def redo(self, frames: Iterable[Frame]) -> None:
        self.batches += [Appended(frame.first_seq, frame.last_seq, frame.payload) for frame in frames]


def opened(disk: SimulatedDisk) -> tuple[Storage, Found]:
    """The storage of a disk, and what recovery got from it."""
    found = Found()
    return open_files(FOLDER, SEGMENT_BYTES, found, disk=disk, spare_beside=False), found


class Trace:
    """A run of the storage; knows what has been acknowledged, and what is being attempted."""

    def __init__(self, seed: int, disk: SimulatedDisk) -> None:
        self.disk = disk
        self.batches: list[Appended] = []
        """Acknowledged."""
        self.attempted: Appended | None = None
        self.published: list[int] = []
        """Seqs of snapshots that are durable."""
        self.epoch = 0
        """Larger than that of every process that has said it is open."""
        self._random = Random(seed)
        self._states = {0: b""}
        self._digest = sha256()

    def run(self, appends: int) -> None:
        """Goes through so many appends."""
        while len(self.batches) < appends:
            try:
                self._work(appends)
            except Killed:
                self.disk, killed = self.disk.after_kill(), self.disk
                self.disk.before, killed.before = killed.before, lambda call, name: None

    def _work(self, appends: int) -> None:
        storage = self._open()
        while len(self.batches) < appends:
            self._append(storage)
            if not len(self.batches) % SNAPSHOT_EVERY:
                self._publish(storage)
            if not len(self.batches) % RESTART_EVERY:
                storage.journal.close()
                storage = self._open()
        storage.journal.close()

    def _open(self) -> Storage:
        storage, found = opened(self.disk)
        assert storage.journal.epoch > self.epoch
        self.epoch = storage.journal.epoch
        self._check_found(storage, found)
        if self.attempted is not None and storage.journal.last_seq == self.attempted.last_seq:
            self._has(self.attempted)
        self.attempted = None
        return storage

    def _append(self, storage: Storage) -> None:
        last_seq = self.batches[-1].last_seq if self.batches else 0
        length = self._random.choice((0, 1, 40, 90, 300, 700, 1_500, self._random.randrange(6_000)))
        batch = Appended(last_seq + 1, last_seq + self._random.randint(1, 5), self._random.randbytes(length))
        self.attempted = batch
        storage.journal.append(batch.first_seq, batch.last_seq, batch.payload)
        self._has(batch)

    def _has(self, batch: Appended) -> None:
        self.batches.append(batch)
        self.attempted = None
        # What a venue would be after these batches: here, the hash of all that happened.
        self._digest.update(b"%d %d " % (batch.first_seq, batch.last_seq) + batch.payload)
        self._states[batch.last_seq] = self._digest.hexdigest().encode() * 20

    def _publish(self, storage: Storage) -> None:
        seq = self.batches[-1].last_seq
        content = self._states[seq]
        snapshot = Snapshot(seq, self.epoch, sha256(content).hexdigest(), content)
        kept_seq = storage.snapshots.publish(snapshot)
        self.published.append(seq)
        storage.journal.drop_before(kept_seq + 1)

    def check(self, disk: SimulatedDisk) -> None:
        """Everything acknowledged is found, once and unchanged, and nothing else but perhaps what was attempted."""
        storage, found = opened(disk)
        with storage.journal as journal:
            assert not storage.refused, "a crash damages no snapshot"
            assert storage.snapshot_seq >= max(self.published, default=0), "an older snapshot than was published"
            assert journal.epoch > self.epoch
            self._check_found(storage, found)
            first_seq, last_seq = journal.first_seq, journal.last_seq
            kept = [Appended(f.first_seq, f.last_seq, f.payload) for f in journal.read(first_seq - 1, last_seq)]
            assert kept == self._between(first_seq - 1, last_seq)

    def check_twice(self, disk: SimulatedDisk) -> None:
        """What the next process has accepted it may tell others: neither that nor what it appends may be lost."""
        storage, found = opened(disk)
        with storage.journal as journal:
            self._check_found(storage, found)
            again, found = opened(disk.after_power_loss(NOTHING_STAYS))
            with again.journal:
                assert (again.journal.last_seq, again.journal.epoch) == (journal.last_seq, journal.epoch + 1)
                self._check_found(again, found)
            more = Appended(journal.last_seq + 1, journal.last_seq + 1, b"goes on")
            journal.append(more.first_seq, more.last_seq, more.payload)
            again, found = opened(disk.after_power_loss(NOTHING_STAYS))
            with again.journal:
                assert found.batches[-1:] == [more]
                assert found.batches[:-1] == self._between(again.snapshot_seq, more.first_seq - 1)

    def check_fallback(self, disk: SimulatedDisk) -> None:
        """Should the newest snapshot turn out to be damaged, the one before serves, and nothing is missing."""
        names = disk.listdir(FOLDER / SNAPSHOTS) if disk.exists(FOLDER / SNAPSHOTS) else []
        newest = max((name for name in names if name.endswith(SUFFIX)), default=None)
        if newest is not None:
            disk.put(FOLDER / SNAPSHOTS / newest, b"damaged")
            storage, found = opened(disk)
            with storage.journal:
                assert [refused.partition(":")[0] for refused in storage.refused] == [newest]
                self._check_found(storage, found)

    def _check_found(self, storage: Storage, found: Found) -> None:
        seq = storage.snapshot_seq
        assert (found.snapshot.content if found.snapshot is not None else b"") == self._states[seq]
        assert found.batches == self._between(seq, storage.journal.last_seq)

    def _between(self, after_seq: int, last_seq: int) -> list[Appended]:
        """The batches that must be there after `after_seq` where the last seq is this."""
        batches = list(self.batches)
        if self.attempted is not None and last_seq == self.attempted.last_seq:
            batches.append(self.attempted)
        assert last_seq == (batches[-1].last_seq if batches else 0), "acknowledged and lost"
        return [batch for batch in batches if batch.last_seq > after_seq]


def at_every_crash_point(
    seed: int, appends: int, every: int, check: Callable[[Trace, int], None], disk: SimulatedDisk | None = None
) -> int:
    """Runs a trace, with a look at every so many crash points; gives the number of looks."""
    disk = disk or SimulatedDisk()
    trace = Trace(seed, disk)
    kills = Random(seed + 1)
    points = looks = 0

    def before(call: str, name: str) -> None:
        nonlocal points, looks
        points += 1
        if points % every == seed % every:
            looks += 1
            try:
                check(trace, points)
            except Exception as error:
                error.add_note(f"seed {seed}, crash point {points}: before {call} of {name}")
                raise
        if not kills.randrange(KILL_EVERY):
            raise Killed

    disk.before = before
    trace.run(appends)
    return looks
