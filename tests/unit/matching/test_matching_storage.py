"""Where the journal is, and how everything is opened: snapshot and journal together, in files."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from threading import Event

import pytest

from matching.journal.errors import DamagedJournalError, DamagedSnapshotError, JournalLockedError
from matching.journal.file import FileJournal
from matching.journal.frames import Frame
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot
from matching.storage import Storage, journal_folder, open_journal, open_snapshots, open_storage
from runtime.settings import Settings


class Copy:
    """What recovery was given."""

    def __init__(self) -> None:
        self.begun: list[Snapshot | None] = []
        self.seqs: list[int] = []

    def begin(self, snapshot: Snapshot | None) -> None:
        self.begun.append(snapshot)

    def redo(self, frames: Iterable[Frame]) -> None:
        self.seqs += [frame.last_seq for frame in frames]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a server with a home of its own and small segments."""
    return Settings().model_copy(update={"home": tmp_path, "journal_url": None, "journal_segment_bytes": 256})


def at(settings: Settings, url: str | None) -> Settings:
    """The same with another JOURNAL_URL."""
    return settings.model_copy(update={"journal_url": url})


def opened(settings: Settings, copy: Copy) -> Storage:
    """Everything, open."""
    storage = open_storage(settings, copy, Event())
    assert storage is not None
    return storage


def snapshot(seq: int) -> Snapshot:
    """A snapshot."""
    return Snapshot(seq, 1, sha256(b"state").hexdigest(), b"state of %d" % seq)


@pytest.fixture
def written(settings: Settings) -> Settings:
    """A journal of nine events of which the first are dropped, with snapshots of the fourth and the eighth."""
    with opened(settings, Copy()).journal as journal:
        for seq in range(1, 10):
            journal.append(seq, seq, b"x" * 60)
        store = open_snapshots(settings)
        store.publish(snapshot(4))
        journal.drop_before(store.publish(snapshot(8)) + 1)
        assert journal.first_seq == 5
    return settings


def test_the_url_says_where_the_journal_is(settings: Settings, tmp_path: Path) -> None:
    """In files below the home unless it names another folder or a database."""
    home = tmp_path / "journal"
    assert [journal_folder(at(settings, url)) for url in (None, "", "file:")] == [home] * 3
    assert journal_folder(at(settings, "file:///venue/one")) == Path("/venue/one")
    assert journal_folder(at(settings, "file:one/two")) == Path("one/two")
    for url in ("postgresql://db/venue", "postgres://db/venue"):
        assert journal_folder(at(settings, url)) is None


def test_a_url_of_another_kind_is_refused(settings: Settings) -> None:
    """Its kind is named, and nothing else of it: there may be a password in it."""
    with pytest.raises(ValueError, match=r"^JOURNAL_URL is neither postgresql:// nor file: but redis$"):
        journal_folder(at(settings, "redis://secret@db"))


def test_the_variable_has_no_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like DATABASE_URL."""
    monkeypatch.setenv("JOURNAL_URL", "file:/venue/one")
    assert Settings().journal_url == "file:/venue/one"
    monkeypatch.delenv("JOURNAL_URL")
    assert Settings().journal_url is None


def test_a_new_venue_begins_with_nothing(settings: Settings) -> None:
    """No snapshot, no batch."""
    copy = Copy()
    storage = opened(settings, copy)
    with storage.journal:
        assert (copy.begun, copy.seqs) == ([None], [])
        assert (storage.snapshot_seq, storage.refused) == (0, ())
        assert isinstance(storage.journal, FileJournal)
        assert isinstance(storage.snapshots, FileSnapshots)


def test_recovery_is_the_newest_snapshot_and_what_follows_it(written: Settings) -> None:
    """Nothing twice, nothing left out."""
    copy = Copy()
    storage = opened(written, copy)
    with storage.journal:
        assert (copy.begun, copy.seqs) == ([snapshot(8)], [9])
        assert (storage.snapshot_seq, storage.refused) == (8, ())


def test_the_snapshot_before_serves_when_the_newest_is_damaged(written: Settings, tmp_path: Path) -> None:
    """The journal reaches back to it, and what was refused is told."""
    newest = tmp_path / "journal" / "snapshots" / f"{8:020d}.snapshot"
    newest.write_bytes(newest.read_bytes()[:-1])
    copy = Copy()
    storage = opened(written, copy)
    with storage.journal:
        assert (copy.begun, copy.seqs) == ([snapshot(4)], [5, 6, 7, 8, 9])
        assert [text.partition(":")[0] for text in storage.refused] == [newest.name]


def test_without_a_snapshot_that_helps_nothing_starts(written: Settings, tmp_path: Path) -> None:
    """What was dropped is nowhere else; the folder is left to whoever mends it."""
    for path in (tmp_path / "journal" / "snapshots").iterdir():
        path.unlink()
    for _ in range(2):
        with pytest.raises(DamagedSnapshotError, match="begins with seq 5, and no snapshot helps"):
            opened(written, Copy())
    with pytest.raises(DamagedJournalError, match="seq 1 is missing"):
        open_journal(written)


def test_a_snapshot_beyond_the_journal_starts_nothing(written: Settings) -> None:
    """Something that was durable is missing."""
    open_snapshots(written).publish(snapshot(20))
    with pytest.raises(DamagedJournalError, match="ends with seq 9, but a snapshot is of seq 20"):
        opened(written, Copy())


def test_what_a_crash_left_of_a_snapshot_is_removed(written: Settings, tmp_path: Path) -> None:
    """By who has the lock, and nobody else."""
    left = tmp_path / "journal" / "snapshots" / "77.unfinished"
    storage = opened(written, Copy())
    left.write_bytes(b"half")
    with storage.journal, pytest.raises(JournalLockedError):
        opened(written, Copy())
    assert left.exists()
    opened(written, Copy()).journal.close()
    assert not left.exists()


def test_a_recovery_that_fails_leaves_the_files_to_the_next(written: Settings) -> None:
    """Its lock is given back."""

    class Failing(Copy):
        def begin(self, snapshot: Snapshot | None) -> None:
            raise ValueError("the state hash is another")

    with pytest.raises(ValueError, match="the state hash is another"):
        opened(written, Failing())
    opened(written, Copy()).journal.close()


def test_the_journal_alone_can_be_opened(written: Settings) -> None:
    """With what is known to be covered."""
    with open_journal(written, lambda first_seq: first_seq - 1) as journal:
        assert [frame.last_seq for frame in journal.read(4, 9)] == [5, 6, 7, 8, 9]
