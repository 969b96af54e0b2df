"""Snapshots in files: there as a whole or not at all, and never taken for what they are not."""

import errno
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import google_crc32c
import pytest

from matching.journal.errors import DamagedSnapshotError, StorageFullError
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import HEADER_BYTES, Snapshot, decode, encode_header
from matching.snapshots.interface import Candidate, choose
from tests.simulation.disk import NOTHING_STAYS, SimulatedDisk

FOLDER = Path("/venue/snapshots")
CONTENT = b"the whole state"


def snapshot(seq: int, content: bytes = CONTENT) -> Snapshot:
    """A snapshot of that content."""
    return Snapshot(seq, 3, sha256(content).hexdigest(), content)


def name(seq: int) -> str:
    """What a snapshot's file is called."""
    return f"{seq:020d}.snapshot"


def data(seq: int) -> bytes:
    """A snapshot's bytes."""
    return encode_header(snapshot(seq)) + CONTENT


def loaded(store: FileSnapshots) -> list[int]:
    """The seqs of what can be read, newest first."""
    return [one.snapshot.seq for one in store.load() if one.snapshot is not None]


def test_a_snapshot_has_the_documented_form() -> None:
    """Magic, CRC32C of everything after it, seq, epoch, state hash, length, content; little-endian."""
    written = data(77)
    numbers = [n.to_bytes(8, "little") for n in (77, 3, len(CONTENT))]
    rest = b"".join((numbers[0], numbers[1], sha256(CONTENT).digest(), numbers[2], CONTENT))
    assert written == b"OGSNAP01" + google_crc32c.value(rest).to_bytes(4, "little") + rest
    assert len(written) - len(CONTENT) == HEADER_BYTES
    assert decode(written, "one", 77) == snapshot(77)


def test_an_empty_state_is_one_too() -> None:
    """No content is content."""
    empty = snapshot(0, b"")
    assert decode(encode_header(empty), "one", 0) == empty


@pytest.mark.parametrize("state_hash", ["", "ab" * 31, "ab" * 33, "no hexadecimal"])
def test_a_state_hash_is_a_sha256(state_hash: str) -> None:
    """Anything else is a bug of the caller."""
    with pytest.raises(ValueError, match="hexadecimal"):
        encode_header(Snapshot(1, 1, state_hash, b""))


@pytest.mark.parametrize("bit", range(8))
def test_no_changed_bit_is_accepted(bit: int) -> None:
    """Each byte of header and content, one after the other; the error names the snapshot and an offset."""
    for offset in range(len(data(77))):
        changed = bytearray(data(77))
        changed[offset] ^= 1 << bit
        with pytest.raises(DamagedSnapshotError, match=r"^one: offset \d+: "):
            decode(bytes(changed), "one", 77)


def test_no_other_length_is_accepted() -> None:
    """Shorter at every length, or longer: the error names where it ends."""
    for length in range(len(data(77)) + 2):
        if length != len(data(77)):
            with pytest.raises(DamagedSnapshotError, match=f"^one: offset {length}: "):
                decode((data(77) + b"\0")[:length], "one", 77)


def test_a_snapshot_under_another_name_is_not_accepted() -> None:
    """The seq that it was found under is that of its header."""
    with pytest.raises(DamagedSnapshotError, match="one: offset 12: the snapshot of seq 77"):
        decode(data(77), "one", 78)


def test_what_was_published_is_loaded(tmp_path: Path) -> None:
    """The newest first; the folder is made when it is needed."""
    store = FileSnapshots(tmp_path / "snapshots")
    assert list(store.load()) == []
    assert store.publish(snapshot(5)) == 0
    assert store.publish(snapshot(9)) == 5
    assert list(FileSnapshots(tmp_path / "snapshots").load()) == [
        Candidate(name(9), snapshot(9)),
        Candidate(name(5), snapshot(5)),
    ]


def test_two_generations_are_kept(tmp_path: Path) -> None:
    """The newest and the one before; publishing tells from where the journal is needed still."""
    store = FileSnapshots(tmp_path)
    assert [store.publish(snapshot(seq)) for seq in (5, 9, 20, 21)] == [0, 5, 9, 20]
    assert loaded(store) == [21, 20]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name(20), name(21)]


def test_a_snapshot_of_the_same_seq_replaces_it(tmp_path: Path) -> None:
    """Where nothing has happened since, the generation before stays."""
    store = FileSnapshots(tmp_path)
    store.publish(snapshot(5))
    store.publish(snapshot(9, b"first"))
    assert store.publish(snapshot(9, b"again")) == 5
    assert [one.snapshot for one in store.load()] == [snapshot(9, b"again"), snapshot(5)]


def test_the_generation_before_is_one_that_can_be_read(tmp_path: Path) -> None:
    """A damaged one does not count; it goes, the readable one before it stays."""
    store = FileSnapshots(tmp_path)
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    (tmp_path / name(9)).write_bytes(b"damaged")
    assert store.publish(snapshot(20)) == 5
    assert loaded(store) == [20, 5]
    assert not (tmp_path / name(9)).exists()


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What is not named like a snapshot is none."""
    (tmp_path / "notes.snapshot").write_text("mine")
    store = FileSnapshots(tmp_path)
    store.publish(snapshot(5))
    assert loaded(store) == [5]
    assert (tmp_path / "notes.snapshot").read_text() == "mine"


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    """By who holds the journal, when he asks for it; a second time there is nothing to do."""
    store = FileSnapshots(tmp_path / "snapshots")
    store.clean()
    store.publish(snapshot(5))
    (tmp_path / "snapshots" / "77.unfinished").write_bytes(b"half")
    assert loaded(store) == [5]
    for _ in range(2):
        store.clean()
        assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [name(5)]


LEFT_BEHIND = """
import sys
from pathlib import Path
from matching.journal.disk import SystemDisk
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot

class Interrupted(SystemDisk):
    def rename(self, path, target):
        print("about to give it its name", flush=True)
        sys.stdin.readline()
        super().rename(path, target)

FileSnapshots(Path(sys.argv[1]), Interrupted()).publish(Snapshot(5, 1, "00" * 32, b"late"))
"""


def test_a_process_left_behind_spoils_nothing(tmp_path: Path) -> None:
    """What it still writes has a name of its own; once its successor has cleaned up, it cannot be published."""
    store = FileSnapshots(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", LEFT_BEHIND, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        store.clean()
        store.publish(snapshot(9))
        _, errors = process.communicate("\n")
    assert "FileNotFoundError" in errors
    assert [path.name for path in tmp_path.iterdir()] == [name(9)]
    assert loaded(store) == [9]


def test_a_snapshot_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Damage and errors of the disk come with the file's name; others are given nevertheless."""
    store = FileSnapshots(tmp_path)
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    (tmp_path / name(9)).write_bytes(data(9)[:-1])
    (tmp_path / name(12)).mkdir()
    newest, damaged, good = store.load()
    assert newest.snapshot is None
    assert "directory" in newest.damage
    assert damaged == Candidate(
        name(9), None, f"{name(9)}: offset {len(data(9)) - 1}: its content has {len(CONTENT)} bytes"
    )
    assert good.snapshot == snapshot(5)


def test_one_that_goes_while_others_are_read_is_passed_over(tmp_path: Path) -> None:
    """Its publisher has removed it, because a newer one is there."""
    store = FileSnapshots(tmp_path)
    store.publish(snapshot(5))
    store.publish(snapshot(9))
    found = store.load()
    assert next(found).name == name(9)
    store.publish(snapshot(12))
    assert list(found) == []


def found(folder: Path, *, good: list[int], bad: list[int]) -> FileSnapshots:
    """A folder with snapshots that can be read and others that cannot."""
    for seq in good:
        (folder / name(seq)).write_bytes(data(seq))
    for seq in bad:
        (folder / name(seq)).write_bytes(data(seq)[:9])
    return FileSnapshots(folder)


def damage(seq: int) -> str:
    """What is said of one that cannot."""
    return f"{name(seq)}: offset 9: the snapshot ends within its header"


@pytest.mark.parametrize(
    ("good", "bad", "chosen"), [([5, 9], [12], 9), ([5], [], 5), ([5], [9, 12], 5), ([], [9, 12], 0), ([], [], 0)]
)
def test_the_newest_snapshot_that_can_be_read_is_chosen(
    tmp_path: Path, good: list[int], bad: list[int], chosen: int
) -> None:
    """Those refused before it are named; without any, recovery begins with the first event."""
    choice = choose(found(tmp_path, good=good, bad=bad), 1)
    assert choice.seq == chosen
    assert choice.snapshot == (snapshot(chosen) if chosen else None)
    assert list(choice.refused) == [damage(seq) for seq in reversed(bad)]


def test_a_snapshot_serves_only_where_the_journal_goes_on(tmp_path: Path) -> None:
    """The journal must keep the event after it; otherwise nothing serves, and every reason is told."""
    store = found(tmp_path, good=[5], bad=[9])
    assert choose(store, 6).seq == 5
    reasons = f"{damage(9)}; {name(5)}: the journal begins with seq 7 only"
    with pytest.raises(DamagedSnapshotError) as refused:
        choose(store, 7)
    assert str(refused.value) == f"the journal begins with seq 7, and no snapshot helps: {reasons}"


def test_without_any_snapshot_the_journal_must_begin_with_the_first_event(tmp_path: Path) -> None:
    """What was dropped is gone."""
    with pytest.raises(DamagedSnapshotError, match="begins with seq 2, and no snapshot helps: there is none"):
        choose(FileSnapshots(tmp_path), 2)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("call", ["create", "pwrite", "fsync", "rename"])
def test_a_snapshot_that_cannot_be_published_leaves_the_others(call: str, code: int) -> None:
    """A full disk is told apart; either way the next attempt can succeed."""
    disk = SimulatedDisk()
    store = FileSnapshots(FOLDER, disk)
    store.publish(snapshot(5))

    def before(called: str, at: str) -> None:
        if called == call:
            raise OSError(code, "no")

    disk.before = before
    with pytest.raises(StorageFullError if code == errno.ENOSPC else OSError):
        store.publish(snapshot(9))
    assert loaded(store) == [5]
    assert loaded(FileSnapshots(FOLDER, disk.after_power_loss(NOTHING_STAYS))) == [5]
    disk.before = lambda call, name: None
    assert store.publish(snapshot(9)) == 5
    assert loaded(FileSnapshots(FOLDER, disk.after_power_loss(NOTHING_STAYS))) == [9, 5]


def test_a_full_disk_keeps_its_room() -> None:
    """What was begun is removed: a journal may need the room."""
    disk = SimulatedDisk(150)
    store = FileSnapshots(FOLDER, disk)
    store.publish(snapshot(5))
    room = disk.room_bytes
    with pytest.raises(StorageFullError):
        store.publish(snapshot(9, b"x" * 100))
    assert disk.room_bytes == room
    assert loaded(store) == [5]
