"""A standby follows the journal, takes over when its writer is gone, and has missed nothing."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from threading import Event

import pytest

from matching.journal.errors import DamagedJournalError, FencedError, JournalFailedError, NotKeptError
from matching.journal.frames import Frame
from matching.journal.postgres import PostgresJournal, open_postgres
from matching.journal.tables import Tables
from matching.snapshots.form import Snapshot
from matching.standby import stand_by
from matching.storage import Storage, open_journal, open_snapshots, open_storage
from runtime.settings import Settings
from tests.integration.journal.keeping import Database, becomes, sql

POLL_INTERVAL_S = 0.01
FENCE = "ordergate_journal.fence"
CONNECTIONS = """
SELECT pid FROM pg_stat_activity WHERE application_name = 'ordergate-journal' AND datname = current_database()"""


class Copy:
    """What a standby has carried out."""

    def __init__(self, after_seq: int = 0) -> None:
        self.seq = after_seq
        self.payloads: list[bytes] = []
        self.snapshot: Snapshot | None = None
        self.begun = Event()

    def begin(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self.seq = snapshot.seq if snapshot is not None else 0
        self.begun.set()

    def has(self, seq: int) -> bool:
        return self.seq == seq

    def redo(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            assert frame.first_seq == self.seq + 1
            self.payloads.append(frame.payload)
            self.seq = frame.last_seq


@contextmanager
def standing_by(url: str, copy: Copy, stopping: Event) -> Iterator[Future[PostgresJournal | None]]:
    """A standby in a thread; it is told to stop at the end, and what it has taken over is closed."""
    tables = Tables(url)
    try:
        with ThreadPoolExecutor(1) as thread:
            try:
                yield thread.submit(stand_by, tables, copy.seq, copy.redo, stopping, POLL_INTERVAL_S)
            finally:
                stopping.set()
    finally:
        tables.close()


def fill(journal: PostgresJournal, until_seq: int) -> None:
    """Appends batches of one event."""
    for seq in range(journal.last_seq + 1, until_seq + 1):
        journal.append(seq, seq, b"%d" % seq)


def payloads(until_seq: int) -> list[bytes]:
    """What `fill` appends."""
    return [b"%d" % seq for seq in range(1, until_seq + 1)]


def test_without_a_writer_the_journal_is_taken_over_at_once(journal_url: str) -> None:
    """Everything has been carried out when it is given, and it can be written."""
    with open_postgres(journal_url) as journal:
        fill(journal, 5)
    copy = Copy()
    with standing_by(journal_url, copy, Event()) as taking:
        taken = taking.result()
        assert taken is not None
        assert (copy.payloads, taken.last_seq, taken.epoch) == (payloads(5), 5, 2)
        fill(taken, 6)


def test_a_standby_follows_and_takes_over_when_the_writer_ends(journal_url: str) -> None:
    """It has what the writer acknowledged while it still waits, and the rest before it takes over."""
    copy = Copy()
    with open_postgres(journal_url) as journal, standing_by(journal_url, copy, Event()) as taking:
        for until_seq in (3, 10):
            fill(journal, until_seq)
            becomes(partial(copy.has, until_seq))
            assert not taking.done()
        fill(journal, 40)
        journal.close()
        taken = taking.result()
        assert taken is not None
        assert (copy.payloads, taken.last_seq, taken.epoch) == (payloads(40), 40, 2)
        taken.append(41, 41, b"goes on")


def test_a_writer_whose_connection_is_lost_cannot_come_back(journal_url: str) -> None:
    """The standby has the lock within moments, and a newer epoch: the old writer ends (invariant I8)."""
    copy = Copy()
    with open_postgres(journal_url) as journal:
        fill(journal, 5)
        (writer,) = sql(journal_url, CONNECTIONS)
        with standing_by(journal_url, copy, Event()) as taking:
            sql(journal_url, "SELECT pg_terminate_backend($1)", writer["pid"])
            taken = taking.result()
            assert taken is not None
            with pytest.raises((JournalFailedError, FencedError)):
                journal.append(6, 6, b"late")
            taken.append(6, 6, b"6")
            assert [frame.payload for frame in taken.read(0, 6)] == payloads(6)


def test_a_standby_of_a_killed_process_has_everything(journal_url: str) -> None:
    """kill -9 at any moment: every batch that the process has acknowledged was carried out by its successor."""
    work = "for seq in range(1, 2000000):\n    journal.append(seq, seq, b'%d' % seq)\n    print(seq, flush=True)\n"
    program = Database(journal_url).program + work
    copy = Copy()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(next(process.stdout)) for _ in range(20)]
        with standing_by(journal_url, copy, Event()) as taking:
            acknowledged += [int(next(process.stdout)) for _ in range(20)]
            assert not taking.done()
            process.kill()
            acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
            taken = taking.result()
            assert taken is not None
            assert copy.seq == taken.last_seq
            assert copy.seq in (acknowledged[-1], acknowledged[-1] + 1)
            assert copy.payloads == payloads(copy.seq)


def test_a_standby_that_is_told_to_stop_stops(journal_url: str) -> None:
    """It takes nothing over."""
    copy, stopping = Copy(), Event()
    with open_postgres(journal_url) as journal, standing_by(journal_url, copy, stopping) as taking:
        fill(journal, 2)
        becomes(lambda: copy.seq == 2)
        stopping.set()
        assert taking.result() is None
        journal.append(3, 3, b"still mine")


def test_a_standby_that_has_fallen_behind_what_is_kept_ends(journal_url: str) -> None:
    """It must begin again from a newer snapshot."""
    with open_postgres(journal_url) as journal:
        fill(journal, 9)
        journal.drop_before(5)
        copy, stopping = Copy(3), Event()
        with standing_by(journal_url, copy, stopping) as taking, pytest.raises(NotKeptError, match="seq 4 is not kept"):
            taking.result()


def test_a_standby_that_is_ahead_ends(journal_url: str) -> None:
    """What it has carried out is no longer in the journal: it has followed a database that is not this one any more."""
    with open_postgres(journal_url) as journal:
        fill(journal, 2)
        copy, stopping = Copy(3), Event()
        with (
            standing_by(journal_url, copy, stopping) as taking,
            pytest.raises(DamagedJournalError, match="ends with seq 2, but seq 3 was durable"),
        ):
            taking.result()


def test_a_standby_whose_connection_is_lost_ends(journal_url: str) -> None:
    """The database may have failed over to one that has less."""
    with open_postgres(journal_url) as journal:
        (writer,) = sql(journal_url, CONNECTIONS)
        with standing_by(journal_url, Copy(), Event()) as taking:
            becomes(lambda: sql(journal_url, f"{CONNECTIONS} AND pid <> $1", writer["pid"]))
            others = f"SELECT pg_terminate_backend(pid) FROM ({CONNECTIONS}) AS connected WHERE pid <> $1"
            sql(journal_url, others, writer["pid"])
            with pytest.raises(ConnectionError, match="the journal's database"):
                taking.result()
        fill(journal, 1)


def settings_for(url: str) -> Settings:
    """Settings of a server whose journal is in that database."""
    return Settings().model_copy(update={"journal_url": url})


@contextmanager
def closing(storage: Storage | None) -> Iterator[Storage]:
    """The storage, closed at the end."""
    assert storage is not None
    with storage.journal:
        yield storage


def test_the_second_server_stands_by_with_the_snapshot(journal_url: str) -> None:
    """It begins with the newest snapshot that can be read, follows, and takes over with everything."""
    settings, first, second = settings_for(journal_url), Copy(), Copy()
    with closing(open_storage(settings, first, Event())) as storage, ThreadPoolExecutor(1) as thread:
        for seq in range(1, 10):
            storage.journal.append(seq, seq, b"%d" % seq)
        for seq in (4, 7):
            storage.snapshots.publish(Snapshot(seq, 1, sha256(b"state").hexdigest(), b"state"))
        sql(journal_url, "UPDATE ordergate_journal.snapshots SET content = 'x' WHERE seq = 7 AND part = 1")
        storage.journal.drop_before(5)
        taking = thread.submit(open_storage, settings, second, Event())
        assert second.begun.wait(30)
        storage.journal.append(10, 10, b"10")
        storage.journal.close()
        with closing(taking.result()) as taken:
            assert second.snapshot is not None
            assert (second.snapshot.seq, taken.snapshot_seq) == (4, 4)
            assert [refused.partition(":")[0] for refused in taken.refused] == ["snapshot of seq 7"]
            assert second.payloads == payloads(10)[4:]
            assert (taken.journal.epoch, taken.journal.first_seq) == (2, 5)


def test_a_second_server_that_is_stopped_has_nothing_open(journal_url: str) -> None:
    """It gives nothing, and its connections are closed."""
    settings, copy, stopping = settings_for(journal_url), Copy(), Event()
    with closing(open_storage(settings, Copy(), Event())), ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(open_storage, settings, copy, stopping)
        assert copy.begun.wait(30)
        stopping.set()
        assert waiting.result() is None
        assert len(sql(journal_url, CONNECTIONS)) == 1


def test_a_recovery_that_fails_leaves_the_journal_to_the_next(journal_url: str) -> None:
    """Its lock is given back."""

    class Failing(Copy):
        def redo(self, frames: Iterable[Frame]) -> None:
            raise ValueError("came out differently")

    settings = settings_for(journal_url)
    with pytest.raises(ValueError, match="came out differently"):
        open_storage(settings, Failing(), Event())
    with closing(open_storage(settings, Copy(), Event())) as storage:
        assert storage.journal.epoch == 2


def test_journal_and_snapshots_can_be_opened_alone(journal_url: str) -> None:
    """By the same URL."""
    settings = settings_for(journal_url)
    with open_journal(settings) as journal:
        journal.append(1, 1, b"1")
    assert seqs_of(journal_url) == [1]
    open_snapshots(settings).publish(Snapshot(1, 1, sha256(b"state").hexdigest(), b"state"))
    with open_journal(settings, lambda _: 1) as journal:
        assert journal.last_seq == 1


def seqs_of(url: str) -> list[int]:
    """The batches that are in the table."""
    return [row["first_seq"] for row in sql(url, "SELECT first_seq FROM ordergate_journal.batches")]
