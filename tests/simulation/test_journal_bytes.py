"""Every byte of a small venue's storage, cut off or changed: never accepted silently with different content."""

import re
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from matching.journal.errors import DamagedJournalError
from matching.snapshots.form import Snapshot
from matching.storage import SNAPSHOTS, open_files
from tests.simulation.crash_trace import Appended, Found
from tests.simulation.disk import SimulatedDisk

FOLDER = Path("/venue/journal")
SEGMENT_BYTES = 300
BATCHES = [Appended(seq, seq, b"batch %d " % seq * 5) for seq in range(1, 10)]
STATES = {4: b"the state after four", 6: b"the state after six"}
FILES = [
    *(FOLDER / f"{first_seq:020d}.journal" for first_seq in (1, 4, 7)),
    FOLDER / "epoch",
    *(FOLDER / SNAPSHOTS / f"{seq:020d}.snapshot" for seq in STATES),
]
REFUSED, IDENTICAL, TORN, OLDER = "refused", "identical", "torn batch cut off", "older snapshot"


def written(*, closed: bool) -> SimulatedDisk:
    """A journal of nine batches in three segments, with snapshots of the fourth and the sixth."""
    disk = SimulatedDisk()
    storage = open_files(FOLDER, SEGMENT_BYTES, Found(), disk=disk, spare_beside=False)
    for batch in BATCHES:
        storage.journal.append(batch.first_seq, batch.last_seq, batch.payload)
        if batch.last_seq in STATES:
            content = STATES[batch.last_seq]
            storage.snapshots.publish(Snapshot(batch.last_seq, 1, sha256(content).hexdigest(), content))
    if closed:
        storage.journal.close()
    disk.kill()
    return disk


def outcome(disk: SimulatedDisk, path: Path) -> str:
    """What the next start makes of a change to one file; an assertion fails when it takes it for something else."""
    found = Found()
    try:
        storage = open_files(FOLDER, SEGMENT_BYTES, found, disk=disk, spare_beside=False)
    except DamagedJournalError as error:
        named = re.match(rf"{path.name}: offset \d+: ", str(error))
        return REFUSED if named else f"refused without its place: {error}"
    with storage.journal as journal:
        seq = storage.snapshot_seq
        assert (found.snapshot.content if found.snapshot else b"") == STATES.get(seq, b"")
        if found.batches == BATCHES[seq:-1]:
            assert journal.last_seq == BATCHES[-2].last_seq
            return TORN
        assert found.batches == BATCHES[seq:]
        if seq != max(STATES):
            assert [one.partition(":")[0] for one in storage.refused] == [path.name]
            return OLDER
        return IDENTICAL


def outcomes(disk: SimulatedDisk, path: Path, changed: Callable[[bytes, int], bytes]) -> Counter[str]:
    """How often which outcome, over all offsets of a file."""
    content = disk.content(path)
    told: Counter[str] = Counter()
    for offset in range(len(content)):
        copy = disk.after_kill()
        copy.put(path, changed(content, offset))
        told[outcome(copy, path)] += 1
    return told


def flipped(content: bytes, offset: int) -> bytes:
    """With one bit changed."""
    return content[:offset] + bytes([content[offset] ^ 1 << offset % 8]) + content[offset + 1 :]


def shortened(content: bytes, offset: int) -> bytes:
    """Cut off there."""
    return content[:offset]


FRAME_BYTES = 36 + len(BATCHES[-1].payload)
USED_BYTES = 28 + 3 * FRAME_BYTES
FLIPPED = {
    # Wholly before the snapshot: the header is looked at; the rest is, when somebody reads it.
    0: {REFUSED: 28, IDENTICAL: SEGMENT_BYTES - 28},
    # Wholly before the snapshot, too.
    1: {REFUSED: 28, IDENTICAL: SEGMENT_BYTES - 28},
    # What was not written down to be durable may have been torn.
    2: {REFUSED: USED_BYTES - FRAME_BYTES, TORN: FRAME_BYTES, IDENTICAL: SEGMENT_BYTES - USED_BYTES},
    3: {REFUSED: len("1 6 7 00000000\n")},
    4: {IDENTICAL: 68 + len(STATES[4])},
    5: {OLDER: 68 + len(STATES[6])},
}


@pytest.mark.parametrize("number", range(len(FILES)), ids=[path.name for path in FILES])
def test_every_changed_byte_after_a_kill(number: int) -> None:
    """Refused with the place, or without effect, or a batch that could have been torn, or the older snapshot, named."""
    assert outcomes(written(closed=False), FILES[number], flipped) == FLIPPED[number]


@pytest.mark.parametrize("number", range(len(FILES)), ids=[path.name for path in FILES])
def test_every_changed_byte_after_an_orderly_end(number: int) -> None:
    """Then no batch could have been torn."""
    wanted = Counter(FLIPPED[number])
    wanted[REFUSED] += wanted.pop(TORN, 0)
    assert outcomes(written(closed=True), FILES[number], flipped) == wanted


@pytest.mark.parametrize("number", range(len(FILES)), ids=[path.name for path in FILES])
@pytest.mark.parametrize("closed", [False, True])
def test_every_length(number: int, closed: bool) -> None:
    """A segment or memory that is shorter than it was made has lost something; a snapshot is passed over by name."""
    disk = written(closed=closed)
    told = outcomes(disk, FILES[number], shortened)
    (only,) = told
    assert only == {4: IDENTICAL, 5: OLDER}.get(number, REFUSED)


@pytest.mark.parametrize("number", range(len(FILES)), ids=[path.name for path in FILES])
@pytest.mark.parametrize("closed", [False, True])
def test_every_missing_file(number: int, closed: bool) -> None:
    """A journal's file that is gone is missed, even the newest segment; of snapshots any that is left serves."""
    disk, path = written(closed=closed), FILES[number]
    disk.remove(path)
    found = Found()
    if number in (4, 5):
        storage = open_files(FOLDER, SEGMENT_BYTES, found, disk=disk, spare_beside=False)
        storage.journal.close()
        assert storage.snapshot_seq == {4: 6, 5: 4}[number]
        assert found.batches == BATCHES[storage.snapshot_seq :]
    elif number == 0:
        # The older snapshot stands for some of it and the newer for all: as if it had been dropped.
        open_files(FOLDER, SEGMENT_BYTES, found, disk=disk, spare_beside=False).journal.close()
        assert found.batches == BATCHES[6:]
    elif number == 1:
        storage = open_files(FOLDER, SEGMENT_BYTES, found, disk=disk, spare_beside=False)
        with storage.journal as journal, pytest.raises(DamagedJournalError, match="seq 4 cannot be read"):
            list(journal.read(0, 9))
        assert found.batches == BATCHES[6:]
    else:
        assert outcome(disk, path) == REFUSED
