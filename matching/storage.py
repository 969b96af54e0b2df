"""What outlives the process: the journal and its snapshots, where `JOURNAL_URL` says.

Opening them is recovery, in files as in PostgreSQL: the newest snapshot from
which the journal goes on, then every batch after it. `matching.server` calls it
in a thread, because it can take long: a second server on the same database
stands by in there until the first one is gone.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from matching.journal.disk import SYSTEM_DISK, Disk
from matching.journal.file import FileJournal
from matching.journal.frames import Frame
from matching.journal.interface import Covered, Journal, from_the_beginning
from matching.journal.postgres import open_postgres
from matching.journal.tables import Tables
from matching.snapshots.file import FileSnapshots
from matching.snapshots.form import Snapshot
from matching.snapshots.interface import Choice, Snapshots, choose
from matching.snapshots.postgres import PostgresSnapshots
from matching.standby import stand_by
from runtime.settings import Settings

POSTGRES = ("postgres:", "postgresql:")
FILE = "file:"
SNAPSHOTS = "snapshots"
"""The folder of the snapshots, in that of the journal."""


class Recovery(Protocol):
    """Who becomes what the journal says."""

    def begin(self, snapshot: Snapshot | None) -> None:
        """Takes over a state, or with None that of a venue in which nothing has happened; called once, first."""

    def redo(self, frames: Iterable[Frame]) -> None:
        """Carries batches out again, all of them; called at least once, with batches that follow each other."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Journal and snapshots, open, and recovered from."""

    journal: Journal
    snapshots: Snapshots
    snapshot_seq: int
    """Where recovery began; 0 at the beginning."""
    refused: tuple[str, ...]
    """Newer snapshots that could not be used, and why."""


def journal_folder(settings: Settings) -> Path | None:
    """The folder of the journal, None when it is in PostgreSQL.

    Raises:
        ValueError: `JOURNAL_URL` is of no kind that there is.
    """
    url = settings.journal_url or FILE
    if url.startswith(POSTGRES):
        return None
    if not url.startswith(FILE):
        raise ValueError(f"JOURNAL_URL is neither postgresql:// nor file: but {url.partition(':')[0]}")
    path = url.removeprefix(FILE)
    return Path(path.removeprefix("//")) if path else settings.journal_dir


def open_journal(settings: Settings, covered: Covered = from_the_beginning) -> Journal:
    """Opens the journal alone, for writing.

    Raises:
        JournalLockedError: another process has it open.
        DamagedJournalError: something that was acknowledged cannot be read.
        OSError: it cannot be reached.
        ValueError: see `journal_folder`.
    """
    folder = journal_folder(settings)
    if folder is not None:
        return FileJournal(folder, settings.journal_segment_bytes, covered)
    return open_postgres(settings.journal_url or "", covered)


def open_snapshots(settings: Settings) -> FileSnapshots | PostgresSnapshots:
    """The snapshots alone, to look at.

    Raises:
        ValueError: see `journal_folder`.
    """
    folder = journal_folder(settings)
    return FileSnapshots(folder / SNAPSHOTS) if folder is not None else PostgresSnapshots(settings.journal_url or "")


def open_storage(settings: Settings, recovery: Recovery, stopping: Event) -> Storage | None:
    """Opens everything and recovers; blocks as long as another process writes a journal in PostgreSQL.

    Args:
        settings: where.
        recovery: gets the snapshot and the batches, in this thread.
        stopping: ends the waiting of a standby when it is set.

    Returns:
        None when it was told to stop.

    Raises:
        JournalLockedError: another process has the files open.
        DamagedJournalError: something that was acknowledged cannot be read.
        DamagedSnapshotError: no snapshot stands for what the journal does not have.
        NotKeptError: the writer has dropped what this standby needed; start again.
        StorageFullError: no room to write down that there is a new writer.
        OSError: the storage cannot be reached.
        ValueError: see `journal_folder`.
    """
    folder = journal_folder(settings)
    if folder is None:
        return open_database(settings.journal_url or "", recovery, stopping)
    return open_files(folder, settings.journal_segment_bytes, recovery)


def open_files(
    folder: Path, segment_bytes: int, recovery: Recovery, *, disk: Disk = SYSTEM_DISK, spare_beside: bool = True
) -> Storage:
    """The same with files; see `open_storage` and `FileJournal`."""
    snapshots = FileSnapshots(folder / SNAPSHOTS, disk)
    choice = Choice(None)

    def covered(first_seq: int) -> int:
        nonlocal choice
        snapshots.clean()
        choice = choose(snapshots, first_seq)
        return choice.seq

    journal = FileJournal(folder, segment_bytes, covered, disk=disk, spare_beside=spare_beside)
    with ExitStack() as unless_used:
        unless_used.callback(journal.close)
        recovery.begin(choice.snapshot)
        recovery.redo(journal.read(choice.seq, journal.last_seq))
        unless_used.pop_all()
    return Storage(journal, snapshots, choice.seq, tuple(choice.refused))


def open_database(url: str, recovery: Recovery, stopping: Event) -> Storage | None:
    """The same with PostgreSQL; see `open_storage`."""
    tables = Tables(url)
    snapshots = PostgresSnapshots(url)
    with ExitStack() as unless_used:
        unless_used.callback(tables.close)
        first_seq, _ = tables.bounds()
        choice = choose(snapshots, first_seq or 1)
        recovery.begin(choice.snapshot)
        journal = stand_by(tables, choice.seq, recovery.redo, stopping)
        if journal is None:
            return None
        unless_used.pop_all()
    return Storage(journal, snapshots, choice.seq, tuple(choice.refused))
