"""The journal in PostgreSQL when something is wrong: the fence, the lock, lost connections, full disks, damage."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest

from matching.journal import tables as journal_tables
from matching.journal.errors import (
    DamagedJournalError,
    FencedError,
    JournalFailedError,
    NotKeptError,
    StorageFullError,
)
from matching.journal.interface import Journal
from matching.journal.loop import LoopThread
from matching.journal.postgres import open_postgres
from matching.journal.tables import Tables
from matching.snapshots.form import Snapshot
from matching.snapshots.postgres import PostgresSnapshots
from runtime.stack.postgres import EmbeddedPostgres
from tests.integration.journal.keeping import becomes, sql

BATCHES = "ordergate_journal.batches"
FENCE = "ordergate_journal.fence"
WRITERS = "application_name = 'ordergate-journal' AND datname = current_database()"


def fill(journal: Journal, batches: int) -> None:
    """Appends batches of one event."""
    for _ in range(batches):
        seq = journal.last_seq + 1
        journal.append(seq, seq, b"%d" % seq)


def read(journal: Journal, after_seq: int = 0) -> list[int]:
    """The last seqs of the batches that are read up to the end."""
    return [frame.last_seq for frame in journal.read(after_seq, journal.last_seq)]


def seqs(url: str) -> list[int]:
    """The batches that are in the table."""
    return [row["first_seq"] for row in sql(url, f"SELECT first_seq FROM {BATCHES} ORDER BY first_seq")]


def cut(url: str) -> None:
    """Ends every connection of the journal, as a restart of the server does."""
    sql(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {WRITERS}")


@contextmanager
def held_up(journal: Journal, url: str, error: type[Exception]) -> Iterator[None]:
    """An append that waits for another transaction, and fails in the end; the block decides how."""
    with LoopThread("other") as loop, ThreadPoolExecutor(1) as thread:
        other = loop.run(asyncpg.connect(url))
        transaction = other.transaction()
        loop.run(transaction.start())
        loop.run(other.execute(f"SELECT FROM {FENCE} FOR UPDATE"))
        appending: Future[None] = thread.submit(journal.append, journal.last_seq + 1, journal.last_seq + 1, b"waits")
        becomes(lambda: sql(url, f"SELECT FROM pg_stat_activity WHERE {WRITERS} AND wait_event_type = 'Lock'"))
        try:
            yield
            with pytest.raises(error):
                appending.result()
        finally:
            loop.run(transaction.rollback())
            loop.run(other.close())


def is_final(journal: Journal, error: type[Exception]) -> None:
    """Nothing is tried again after a failure."""
    for _ in range(2):
        with pytest.raises(error):
            journal.append(journal.last_seq + 1, journal.last_seq + 1, b"again")
        with pytest.raises(error):
            journal.check()


def test_an_old_writer_is_fenced(journal_url: str) -> None:
    """A newer epoch exists, by whatever way the lock went there: nothing of the old writer gets in (invariant I8)."""
    with open_postgres(journal_url) as journal:
        fill(journal, 3)
        journal.check()
        sql(journal_url, f"UPDATE {FENCE} SET epoch = epoch + 1")
        with pytest.raises(FencedError, match="epoch 1 has ended: epoch 2 is at work"):
            journal.check()
        with pytest.raises(FencedError, match="epoch 1 has ended: epoch 2 is at work"):
            journal.append(4, 4, b"late")
        is_final(journal, FencedError)
        assert (journal.last_seq, seqs(journal_url)) == (3, [1, 2, 3])


def test_an_append_that_meets_a_takeover_is_fenced(journal_url: str) -> None:
    """It waits for the takeover's transaction, and then finds that its epoch has ended."""
    with open_postgres(journal_url) as journal:
        fill(journal, 1)
        with LoopThread("other") as loop, ThreadPoolExecutor(1) as thread:
            other = loop.run(asyncpg.connect(journal_url))
            transaction = other.transaction()
            loop.run(transaction.start())
            loop.run(other.execute(f"UPDATE {FENCE} SET epoch = epoch + 1"))
            appending = thread.submit(journal.append, 2, 2, b"late")
            waiting = f"SELECT FROM pg_stat_activity WHERE {WRITERS} AND wait_event_type = 'Lock'"
            becomes(lambda: sql(journal_url, waiting))
            loop.run(transaction.commit())
            with pytest.raises(FencedError):
                appending.result()
            loop.run(other.close())
        assert seqs(journal_url) == [1]


def test_a_lost_connection_is_final_and_the_next_writer_recovers(journal_url: str) -> None:
    """The append before the loss stands; the next one fails without a second try, and the lock is free."""
    with open_postgres(journal_url) as journal:
        fill(journal, 3)
        cut(journal_url)
        with pytest.raises(JournalFailedError, match="seq 4 may be durable or not"):
            journal.append(4, 4, b"lost")
        is_final(journal, JournalFailedError)
        with open_postgres(journal_url) as next_one:
            assert (next_one.epoch, read(next_one)) == (2, [1, 2, 3])
            next_one.append(4, 4, b"goes on")
        with pytest.raises(JournalFailedError):
            journal.append(4, 4, b"lost")
    assert seqs(journal_url) == [1, 2, 3, 4]


def test_a_connection_lost_during_an_append_is_final(journal_url: str) -> None:
    """Whether it happened is seen by whoever opens the journal next."""
    with open_postgres(journal_url) as journal:
        fill(journal, 1)
        with held_up(journal, journal_url, JournalFailedError):
            cut(journal_url)
        is_final(journal, JournalFailedError)
        with open_postgres(journal_url) as next_one:
            assert read(next_one) == [1]


def test_an_append_does_not_wait_for_ever(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is given up: final, because nobody knows what it will have done."""
    monkeypatch.setattr(journal_tables, "APPEND_TIMEOUT_S", 0.5)
    with open_postgres(journal_url) as journal:
        with held_up(journal, journal_url, JournalFailedError):
            pass
        is_final(journal, JournalFailedError)


def test_checking_notices_a_lost_connection(journal_url: str) -> None:
    """Before anything is appended: a server that has lost its lock must not go on answering."""
    with open_postgres(journal_url) as journal:
        cut(journal_url)
        with pytest.raises(ConnectionError, match="the journal's database"):
            journal.check()


def test_a_full_server_is_waited_for(journal_url: str) -> None:
    """PostgreSQL says disk_full (53100) and takes the transaction back: nothing happened, a later append succeeds."""
    with open_postgres(journal_url) as journal:
        fill(journal, 2)
        full = "BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END"
        sql(journal_url, f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ {full} $$")
        sql(journal_url, f"CREATE TRIGGER full_disk BEFORE INSERT ON {BATCHES} EXECUTE FUNCTION full_disk()")
        for _ in range(2):
            with pytest.raises(StorageFullError, match="could not extend file"):
                journal.append(3, 3, b"3")
            assert journal.storage_low
            journal.check()
        sql(journal_url, f"DROP TRIGGER full_disk ON {BATCHES}")
        journal.append(3, 3, b"3")
        assert not journal.storage_low
        assert read(journal) == [1, 2, 3]


def test_what_the_server_mentions_by_the_way_is_no_failure(journal_url: str) -> None:
    """Only a warning puts a commit in doubt."""
    with open_postgres(journal_url) as journal:
        said = "BEGIN RAISE NOTICE 'by the way'; RETURN NULL; END"
        sql(journal_url, f"CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS $$ {said} $$")
        sql(journal_url, f"CREATE TRIGGER notice AFTER INSERT ON {BATCHES} EXECUTE FUNCTION notice()")
        fill(journal, 2)
        assert read(journal) == [1, 2]


def test_a_full_server_keeps_a_snapshot_out(journal_url: str) -> None:
    """The snapshots of before stand."""
    store = PostgresSnapshots(journal_url)
    store.publish(Snapshot(5, 1, "00" * 32, b"five"))
    full = "BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END"
    sql(journal_url, f"CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ {full} $$")
    sql(
        journal_url,
        "CREATE TRIGGER full_disk BEFORE INSERT ON ordergate_journal.snapshots EXECUTE FUNCTION full_disk()",
    )
    with pytest.raises(StorageFullError, match="could not extend file"):
        store.publish(Snapshot(9, 1, "00" * 32, b"nine"))
    assert [one.snapshot.content for one in store.load() if one.snapshot] == [b"five"]


def test_large_snapshots_are_in_parts(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content comes back whole; a part that is missing is damage."""
    monkeypatch.setattr("matching.snapshots.postgres.PART_BYTES", 10)
    content = bytes(range(95))
    store = PostgresSnapshots(journal_url)
    store.publish(Snapshot(5, 1, "00" * 32, content))
    assert [one.snapshot.content for one in store.load() if one.snapshot] == [content]
    parts = "SELECT part FROM ordergate_journal.snapshots ORDER BY part"
    assert [row["part"] for row in sql(journal_url, parts)] == list(range(11))
    sql(journal_url, "DELETE FROM ordergate_journal.snapshots WHERE part = 4")
    (damaged,) = store.load()
    assert damaged.damage == "snapshot of seq 5: offset 153: its content has 95 bytes"


CHANGES = {
    "payload = 'x'": "not what was written",
    "crc32c = crc32c + 1": "not what was written",
    "epoch = epoch + 1": "follows seq 3, epoch 1 follows 2",
    "epoch = 0": "follows seq 2, epoch 0 follows 1",
    "last_seq = 4": "follows seq 4, epoch 1 follows 1",
    "first_seq = 7, last_seq = 7": "not|expected|the last one",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_damage(journal_url: str, change: str) -> None:
    """Whichever column: when the journal is opened, or when the row is read."""
    with open_postgres(journal_url) as journal:
        fill(journal, 5)
    sql(journal_url, f"UPDATE {BATCHES} SET {change} WHERE first_seq = 3")
    with pytest.raises(DamagedJournalError, match=CHANGES[change]), open_postgres(journal_url) as journal:
        read(journal)


def test_rows_that_go_while_they_are_read_are_noticed(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is done in pieces: at the bounds of one, too, nothing is passed over."""
    monkeypatch.setattr(journal_tables, "PIECE_BATCHES_MAX", 2)
    with open_postgres(journal_url) as journal:
        fill(journal, 9)
        frames = journal.read(0, 9)
        assert [next(frames).last_seq for _ in range(2)] == [1, 2]
        sql(journal_url, f"DELETE FROM {BATCHES} WHERE first_seq = 3")
        with pytest.raises(DamagedJournalError, match="batch of seq 2: expected seq 3"):
            next(frames)
        frames = journal.read(3, 9)
        assert [next(frames).last_seq for _ in range(2)] == [4, 5]
        sql(journal_url, f"DELETE FROM {BATCHES} WHERE first_seq > 4")
        with pytest.raises(DamagedJournalError, match="batch of seq 4: expected seq 6"):
            next(frames)
        sql(journal_url, f"DELETE FROM {BATCHES}")
        with pytest.raises(DamagedJournalError, match="no batch: seq 4 cannot be read"):
            next(journal.read(3, 9))


def test_a_reader_that_is_overtaken_is_told(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything up to its position has been dropped, that is no damage."""
    monkeypatch.setattr(journal_tables, "PIECE_BATCHES_MAX", 2)
    with open_postgres(journal_url) as journal:
        fill(journal, 9)
        frames = journal.read(0, 9)
        assert [next(frames).last_seq for _ in range(2)] == [1, 2]
        journal.drop_before(6)
        with pytest.raises(NotKeptError, match="seq 3 is not kept; batches begin with seq 6"):
            next(frames)


def test_reading_takes_bounded_pieces(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many bytes at once, and always at least one batch: what is behind the piece has not been fetched."""
    monkeypatch.setattr(journal_tables, "PIECE_BYTES", 25_000)
    with open_postgres(journal_url) as journal:
        for seq in range(1, 10):
            journal.append(seq, seq, bytes(10_000))
        journal.append(10, 10, bytes(50_000))
        assert read(journal) == list(range(1, 11))
        frames = journal.read(0, 10)
        assert next(frames).last_seq == 1
        sql(journal_url, f"UPDATE {BATCHES} SET payload = 'changed'")
        assert [next(frames).last_seq for _ in range(2)] == [2, 3]
        with pytest.raises(DamagedJournalError, match="batch of seq 4: not what was written"):
            next(frames)


def test_dropping_goes_in_pieces(journal_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No transaction is larger than a bound, and in the end everything before the seq is gone."""
    monkeypatch.setattr(journal_tables, "DROP_BATCHES", 2)
    with open_postgres(journal_url) as journal:
        fill(journal, 9)
        journal.drop_before(8)
        assert (seqs(journal_url), journal.first_seq) == ([8, 9], 8)


def test_a_fence_that_is_missing_or_moved_is_damage(journal_url: str) -> None:
    """The open journal notices it at the next append, and no other can be opened."""
    with open_postgres(journal_url) as journal:
        fill(journal, 3)
        sql(journal_url, f"UPDATE {FENCE} SET last_seq = 2")
        with pytest.raises(DamagedJournalError, match="fence: seq 3 was durable, and it does not say so"):
            journal.append(4, 4, b"")
        is_final(journal, DamagedJournalError)
    with pytest.raises(DamagedJournalError, match="batch of seq 3: the last one, but seq 2 was durable"):
        open_postgres(journal_url)
    sql(journal_url, f"DELETE FROM {FENCE}")
    with pytest.raises(DamagedJournalError, match="fence: missing"):
        open_postgres(journal_url)


def test_the_epoch_grows_beyond_the_rows(journal_url: str) -> None:
    """Where an older fence was put back, an epoch that has been used is not used again."""
    for _ in range(3):
        with open_postgres(journal_url) as journal:
            fill(journal, 1)
    sql(journal_url, f"UPDATE {FENCE} SET epoch = 1")
    with open_postgres(journal_url) as journal:
        assert journal.epoch == 4


def test_commits_wait_for_the_disk_whatever_was_set(journal_url: str) -> None:
    """A database whose commits do not wait by default is told otherwise by the journal's session."""
    name = journal_url.partition("?")[0].rpartition("/")[2]
    sql(journal_url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    assert sql(journal_url, "SHOW synchronous_commit")[0][0] == "off"
    tables = Tables(journal_url)
    try:
        assert setting_of(tables, "synchronous_commit") == "on"
    finally:
        tables.close()
    sql(journal_url, f"ALTER DATABASE {name} SET synchronous_commit = remote_apply")
    tables = Tables(journal_url)
    try:
        assert setting_of(tables, "synchronous_commit") == "remote_apply"
    finally:
        tables.close()


def setting_of(tables: Tables, name: str) -> Any:
    """A setting of the writer's session."""
    return tables._loop.run(tables._on_writer(f"SHOW {name}"))[0][0]


def test_a_commit_that_no_standby_has_is_not_acknowledged(postgres: EmbeddedPostgres, journal_url: str) -> None:
    """With synchronous replication an append waits for the standby; when somebody cancels that wait, it is unknown."""
    waiting = f"SELECT pid FROM pg_stat_activity WHERE {WRITERS} AND wait_event = 'SyncRep'"
    with open_postgres(journal_url) as journal, ThreadPoolExecutor(1) as thread:
        configured(postgres, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        try:
            appending = thread.submit(fill, journal, 1)
            while not sql(journal_url, waiting):
                # The server has not read its new configuration yet.
                if appending.done():
                    appending = thread.submit(fill, journal, 1)
            assert not appending.done()
            sql(journal_url, f"SELECT pg_cancel_backend(pid) FROM ({waiting}) AS waiting")
            with pytest.raises(JournalFailedError, match="canceling wait for synchronous replication"):
                appending.result()
        finally:
            configured(postgres, "ALTER SYSTEM RESET synchronous_standby_names")
        is_final(journal, JournalFailedError)
        acknowledged = journal.last_seq
    with open_postgres(journal_url) as journal:
        assert read(journal) == list(range(1, acknowledged + 2))


def configured(postgres: EmbeddedPostgres, statement: str) -> None:
    """Changes a setting of the whole server."""
    sql(postgres.url("postgres"), statement)
    sql(postgres.url("postgres"), "SELECT pg_reload_conf()")


def test_two_that_come_first_make_the_tables_once(journal_url: str) -> None:
    """One of them waits for the other, and both find them."""
    with ThreadPoolExecutor(4) as threads:
        for tables in threads.map(Tables, [journal_url] * 4):
            assert tables.fence().last_seq == 0
            tables.close()


def test_a_database_that_cannot_be_used_is_an_error(journal_url: str) -> None:
    """Unreachable, or without the right to make the tables: the reason is told."""
    with pytest.raises(ConnectionError, match="the journal's database"):
        open_postgres("postgresql://nobody@/nothing?host=%2Fnowhere")
    sql(journal_url, "CREATE ROLE reader_of_journal LOGIN")
    try:
        with pytest.raises(ConnectionError, match="permission denied"):
            open_postgres(journal_url.replace("postgres@", "reader_of_journal@"))
    finally:
        sql(journal_url, "DROP ROLE reader_of_journal")


def test_a_closed_journal_is_not_asked_again(journal_url: str) -> None:
    """Its calls fail instead of waiting for a loop that has ended."""
    journal = open_postgres(journal_url)
    fill(journal, 1)
    journal.close()
    with pytest.raises(ConnectionError, match="closed"):
        list(journal.read(0, 1))
    with pytest.raises(JournalFailedError, match="closed"):
        journal.append(2, 2, b"")


def test_a_server_that_hangs_does_not_keep_a_journal_from_closing(
    journal_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that does not end in order is cut."""
    monkeypatch.setattr(journal_tables, "CLOSE_TIMEOUT_S", 0.2)
    journal = open_postgres(journal_url)
    (row,) = sql(journal_url, f"SELECT pid FROM pg_stat_activity WHERE {WRITERS}")
    stopped(row["pid"], signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(journal.close).result(30)
    finally:
        stopped(row["pid"], signal.SIGCONT)


def stopped(pid: int, how: signal.Signals) -> None:
    """Stops a process of the server, or lets it go on."""
    os.kill(pid, how)
