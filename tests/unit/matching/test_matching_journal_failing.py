"""Disks that are full, and disks that fail: nothing is acknowledged that is not durable, and nothing else is lost."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from matching.journal import spare as journal_spare
from matching.journal.errors import DamagedJournalError, StorageFullError
from matching.journal.file import FileJournal
from tests.simulation.disk import NOTHING_STAYS, SimulatedDisk

FOLDER = Path("/venue/journal")
SEGMENT_BYTES = 256
ROOM_BYTES = 2 * SEGMENT_BYTES + 64
"""For two segments and the epoch's line."""
BATCH = b"x" * 100
"""Fits into a segment once."""


def opened(disk: SimulatedDisk) -> FileJournal:
    """The journal of a disk; segments are made when they are needed."""
    return FileJournal(FOLDER, SEGMENT_BYTES, disk=disk, spare_beside=False)


def read(journal: FileJournal) -> list[int]:
    """The seqs of all frames."""
    return [frame.last_seq for frame in journal.read(0, journal.last_seq)]


def failing(disk: SimulatedDisk, call: str, name: str, code: int, after: int = 0) -> None:
    """Lets a call on a file fail from now on, after so many have worked."""
    left = [after]

    def before(called: str, at: str) -> None:
        if (called, at) == (call, name):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(code, os.strerror(code))

    disk.before = before


def works(disk: SimulatedDisk) -> None:
    """Nothing fails any more."""
    disk.before = lambda call, name: None


def test_a_full_disk_stops_the_batch_that_needs_a_segment() -> None:
    """Nothing of it is written, smaller ones still fit, and with room again the journal goes on as before."""
    disk = SimulatedDisk(ROOM_BYTES)
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
        journal.append(2, 2, BATCH)
        assert not journal.storage_low
        for _ in range(3):
            with pytest.raises(StorageFullError, match="spare: no room left"):
                journal.append(3, 3, BATCH)
            assert journal.storage_low
        assert not disk.exists(FOLDER / "spare"), "what could not be finished leaves its room to others"
        journal.append(3, 3, b"cancel")
        with pytest.raises(StorageFullError):
            journal.append(4, 4, BATCH)
        assert read(journal) == [1, 2, 3]
        disk.room_bytes = ROOM_BYTES
        journal.append(4, 4, BATCH)
        assert not journal.storage_low
        assert read(journal) == [1, 2, 3, 4]
    with opened(disk.after_power_loss(NOTHING_STAYS)) as journal:
        assert read(journal) == [1, 2, 3, 4]


FULL_AT = [
    ("create", "spare"),
    ("pwrite", "spare"),
    ("fsync", "spare"),
    ("create", "epoch.new"),
    ("pwrite", "epoch.new"),
    ("fsync", "epoch.new"),
    ("rename", f"{2:020d}.journal"),
]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("call", "name"), FULL_AT)
def test_wherever_room_is_missing_a_new_segment_can_be_tried_again(call: str, name: str, code: int) -> None:
    """Every step up to the segment's name can be taken back; after a loss of power nothing is missing or false."""
    disk = SimulatedDisk()
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
        failing(disk, call, name, code)
        for _ in range(2):
            with pytest.raises(StorageFullError):
                journal.append(2, 2, BATCH)
        with opened(disk.after_power_loss(NOTHING_STAYS)) as found:
            assert read(found) == [1]
        works(disk)
        journal.append(2, 2, BATCH)
        journal.append(3, 3, BATCH)
    with opened(disk.after_power_loss(NOTHING_STAYS)) as journal:
        assert read(journal) == [1, 2, 3]


def test_a_batch_larger_than_a_segment_may_find_no_room() -> None:
    """It is refused alone: an ordinary one finds room afterwards."""
    disk = SimulatedDisk(ROOM_BYTES)
    with opened(disk) as journal:
        with pytest.raises(StorageFullError):
            journal.append(1, 1, BATCH * 6)
        journal.append(1, 1, BATCH)
        assert read(journal) == [1]


@pytest.mark.parametrize("taken", [0, 1, 50, 135])
def test_a_frame_that_finds_no_room_is_taken_back(taken: int) -> None:
    """File systems that copy on write may be full even within a file: what was written of the frame is zeros again."""
    disk = SimulatedDisk()
    path = FOLDER / f"{1:020d}.journal"
    with opened(disk) as journal:
        journal.append(1, 1, b"a")
        before = disk.content(path)
        disk.write_bytes_max = taken or None
        calls: list[str] = []

        def full(call: str, name: str) -> None:
            calls.append(call)
            if calls == ["pwrite"] * (2 if taken else 1):
                raise OSError(errno.ENOSPC, "no room left")

        disk.before = full
        with pytest.raises(StorageFullError, match="no room left"):
            journal.append(2, 2, BATCH)
        works(disk)
        assert disk.content(path) == before
        journal.append(2, 2, b"b")
        assert read(journal) == [1, 2]


def test_a_frame_that_cannot_be_taken_back_is_a_failure() -> None:
    """When there is no room even for zeros, nobody knows any more what is where: final."""
    disk = SimulatedDisk()
    journal = opened(disk)
    journal.append(1, 1, b"a")
    disk.write_bytes_max = 50
    failing(disk, "pwrite", f"{1:020d}.journal", errno.ENOSPC, after=1)
    with pytest.raises(OSError, match="No space left"):
        journal.append(2, 2, BATCH)
    works(disk)
    with pytest.raises(OSError, match="No space left"):
        journal.append(2, 2, b"b")
    journal.close()
    with opened(disk) as journal:
        assert read(journal) == [1]


def test_a_full_disk_refuses_a_start() -> None:
    """Without room for the new epoch nobody may write; the journal stays as it was."""
    disk = SimulatedDisk()
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
    failing(disk, "pwrite", "epoch.new", errno.ENOSPC)
    with pytest.raises(StorageFullError, match="epoch"):
        opened(disk)
    works(disk)
    with opened(disk) as journal:
        assert (journal.epoch, read(journal)) == (2, [1])


def test_a_full_disk_does_not_keep_a_journal_from_closing() -> None:
    """The note of how far it came is left out; the next start finds everything."""
    disk = SimulatedDisk()
    journal = opened(disk)
    journal.append(1, 1, BATCH)
    failing(disk, "pwrite", "epoch.new", errno.ENOSPC)
    journal.close()
    works(disk)
    with opened(disk) as journal:
        assert read(journal) == [1]


FAILS_AT = [
    ("pwrite", f"{1:020d}.journal"),
    ("fdatasync", f"{1:020d}.journal"),
]
FAILS_AT_A_NEW_SEGMENT = [
    *((call, name) for call, name in FULL_AT),
    ("fsync_folder", "journal"),
    ("rename", "epoch"),
    ("pwrite", f"{2:020d}.journal"),
    ("fdatasync", f"{2:020d}.journal"),
]


def after_a_failure(disk: SimulatedDisk, append: Callable[[FileJournal], None], journal: FileJournal) -> None:
    """An append fails for good: no later one is tried, and every way of starting again finds what was acknowledged."""
    with pytest.raises(OSError, match="Input/output error"):
        append(journal)
    seen = journal.last_seq
    works(disk)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            append(journal)
    with pytest.raises(OSError, match="Input/output error"):
        journal.check()
    assert journal.last_seq == seen
    killed = disk.after_kill()
    with opened(killed) as found:
        accepted = read(found)
        assert accepted in ([*range(1, seen + 1)], [*range(1, seen + 2)])
        # What the new process has accepted may be told to others: it must be as durable as anything.
        with opened(killed.after_power_loss(NOTHING_STAYS)) as again:
            assert read(again) == accepted
    with opened(disk.after_power_loss(NOTHING_STAYS)) as found:
        assert read(found) in ([*range(1, seen + 1)], [*range(1, seen + 2)])
    journal.close()


@pytest.mark.parametrize(("call", "name"), FAILS_AT)
def test_a_failed_barrier_is_final(call: str, name: str) -> None:
    """Nothing is acknowledged, nothing is tried again.

    A page that could not be written looks to readers as if it had been, and
    the next barrier finds nothing to do: the next process writes it once more.
    """
    disk = SimulatedDisk()
    journal = opened(disk)
    journal.append(1, 1, b"a")
    failing(disk, call, name, errno.EIO)
    after_a_failure(disk, lambda journal: journal.append(2, 2, b"b"), journal)


@pytest.mark.parametrize(("call", "name"), FAILS_AT_A_NEW_SEGMENT)
def test_a_failure_at_a_new_segment_is_final(call: str, name: str) -> None:
    """At whichever step."""
    disk = SimulatedDisk()
    journal = opened(disk)
    journal.append(1, 1, BATCH)
    failing(disk, call, name, errno.EIO)
    after_a_failure(disk, lambda journal: journal.append(2, 2, BATCH), journal)


def test_the_first_segment_that_fails_leaves_a_new_journal() -> None:
    """Nothing was acknowledged."""
    disk = SimulatedDisk()
    journal = opened(disk)
    failing(disk, "fsync", "spare", errno.EIO)
    after_a_failure(disk, lambda journal: journal.append(1, 1, BATCH), journal)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("pwrite", f"{1:020d}.journal"),
        ("fsync", f"{1:020d}.journal"),
        ("fsync_folder", "journal"),
        ("create", "lock"),
        ("unlink", "spare"),
        ("rename", "epoch"),
    ],
)
def test_a_start_that_fails_leaves_the_journal_to_the_next(call: str, name: str) -> None:
    """It lets go of the lock, and nothing is lost."""
    disk = SimulatedDisk()
    journal = opened(disk)
    journal.append(1, 1, b"a")
    failing(disk, "rename", f"{2:020d}.journal", errno.ENOSPC)
    with pytest.raises(StorageFullError):
        journal.append(2, 2, b"b" * 200)
    journal.close()
    works(disk)
    assert disk.exists(FOLDER / "spare")
    if name == "lock":
        disk.remove(FOLDER / name)
    failing(disk, call, name, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        opened(disk)
    works(disk)
    with opened(disk) as journal:
        assert read(journal) == [1]


@pytest.mark.parametrize("call", ["unlink", "fsync_folder"])
def test_segments_that_cannot_be_removed_stay(call: str) -> None:
    """What is left is whole, and can be dropped another time."""
    disk = SimulatedDisk()
    with opened(disk) as journal:
        for seq in range(1, 5):
            journal.append(seq, seq, b"y" * 200)
        failing(disk, call, {"unlink": f"{2:020d}.journal", "fsync_folder": "journal"}[call], errno.EIO)
        with pytest.raises(OSError, match="Input/output error"):
            journal.drop_before(4)
        works(disk)
        assert [f.last_seq for f in journal.read(journal.first_seq - 1, 4)] == [2, 3, 4]
        with FileJournal(
            FOLDER, 256, lambda _: 1, disk=disk.after_power_loss(NOTHING_STAYS), spare_beside=False
        ) as found:
            assert found.last_seq == 4
        journal.drop_before(4)
        assert journal.first_seq == 4


def test_the_next_segment_is_made_beside_the_appends(tmp_path: Path) -> None:
    """The thread has written it in full before it is needed."""
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        journal.append(1, 1, BATCH)
        spare = tmp_path / "spare"
        made = spare.stat().st_ino if _becomes(lambda: spare.exists() and spare.stat().st_size == 256) else 0
        journal.append(2, 2, BATCH)
        assert (tmp_path / f"{2:020d}.journal").stat().st_ino == made


def test_a_thread_that_finds_the_disk_full_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal says that room is low before an append fails, and by itself that there is room again."""
    monkeypatch.setattr(journal_spare, "RETRY_S", 0.001)
    disk = SimulatedDisk()
    with opened(disk) as journal:
        journal.append(1, 1, b"a")
    disk.room_bytes = 100
    with FileJournal(FOLDER, SEGMENT_BYTES, disk=disk) as journal:
        assert _becomes(lambda: journal.storage_low)
        journal.append(2, 2, b"still fits")
        disk.room_bytes = 1_000
        assert _becomes(lambda: not journal.storage_low)
        journal.append(3, 3, BATCH * 2)
        assert read(journal) == [1, 2, 3]


def test_a_thread_that_fails_is_heard_at_the_next_segment() -> None:
    """A failure of the disk is final wherever it shows."""
    disk = SimulatedDisk()
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
    failing(disk, "fsync", "spare", errno.EIO)
    with FileJournal(FOLDER, SEGMENT_BYTES, disk=disk) as journal:
        assert _becomes(lambda: journal.storage_low)
        journal.append(2, 2, b"fits")
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output error"):
                journal.append(3, 3, BATCH)
        assert read(journal) == [1, 2]


def test_what_cannot_even_be_removed_is_not_taken_for_a_segment() -> None:
    """A spare that could neither be finished nor removed is written anew at the next start."""
    disk = SimulatedDisk()
    with opened(disk) as journal:

        def before(call: str, name: str) -> None:
            if name == "spare" and call in ("fsync", "unlink"):
                raise OSError(errno.EIO, "Input/output error")

        disk.before = before
        with pytest.raises(OSError, match="Input/output error"):
            journal.append(1, 1, BATCH)
    works(disk)
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
        assert read(journal) == [1]


def test_damage_is_found_before_anything_is_written() -> None:
    """A refused start changes no file."""
    disk = SimulatedDisk()
    with opened(disk) as journal:
        journal.append(1, 1, BATCH)
    data = bytearray(disk.content(FOLDER / f"{1:020d}.journal"))
    data[50] ^= 1
    disk.put(FOLDER / f"{1:020d}.journal", bytes(data))
    written: list[str] = []
    disk.before = lambda call, name: written.append(call)
    with pytest.raises(DamagedJournalError):
        opened(disk)
    assert set(written) == {"fsync_folder"}


def _becomes(is_so: Callable[[], bool]) -> bool:
    """Waits until something is so; the thread that makes it so gives no other sign."""
    while not is_so():
        os.sched_yield()
    return True
