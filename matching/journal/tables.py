"""The tables of the journal in PostgreSQL: the connections, and every statement.

One connection writes and holds the session's advisory lock; readers have
others. All of them live in an event loop of their own, and every call here
waits for it, from whatever thread. `postgres.sql` says what the tables are.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from matching.journal.errors import DamagedJournalError, JournalFailedError, NotKeptError, StorageFullError
from matching.journal.frames import Frame, frame_crc32c
from matching.journal.loop import LoopThread

SCHEMA = Path(__file__).with_name("postgres.sql")
LOCK = int.from_bytes(b"ogjournl")
"""Key of the advisory lock that the writer holds."""
CONNECT_TIMEOUT_S = 10.0
APPEND_TIMEOUT_S = 30.0
"""Whoever waits longer for a commit ends; nobody knows then whether it happened."""
CLOSE_TIMEOUT_S = 5.0
READERS_MAX = 4
PIECE_BATCHES_MAX = 1_024
PIECE_BYTES = 4 * 1024 * 1024
"""A piece of reading has at most so many batches, and ends with the one that makes it so large."""
DROP_BATCHES = 10_000
"""Batches that are removed in one transaction."""
DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""All that asyncpg raises when the server does not do what it is asked."""
SESSION = {
    "application_name": "ordergate-journal",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    # A server notices within seconds that the writer's machine is gone, and gives its lock to the next.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
# Not to_regclass: it may answer from what the session knew before it waited for the other maker of the tables.
_EXISTS = "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'ordergate_journal' AND tablename = 'fence')"
_FENCE = "SELECT epoch, last_seq FROM ordergate_journal.fence"
# The newest row has the largest epoch of all rows.
_RAISE_EPOCH = """
UPDATE ordergate_journal.fence SET epoch = 1 + greatest(
    epoch, (SELECT epoch FROM ordergate_journal.batches ORDER BY first_seq DESC LIMIT 1))
RETURNING epoch, last_seq"""
_BOUNDS = """
SELECT (SELECT first_seq FROM ordergate_journal.batches ORDER BY first_seq LIMIT 1) AS first_seq,
    (SELECT last_seq FROM ordergate_journal.batches ORDER BY first_seq DESC LIMIT 1) AS last_seq"""
_BREAK = """
SELECT first_seq, before_seq, epoch, before_epoch FROM (
    SELECT first_seq, epoch, lag(last_seq) OVER batch AS before_seq, lag(epoch) OVER batch AS before_epoch
    FROM ordergate_journal.batches WHERE last_seq > $1 WINDOW batch AS (ORDER BY first_seq)) AS following
WHERE first_seq <> before_seq + 1 OR epoch < before_epoch ORDER BY first_seq LIMIT 1"""
_APPEND = """
WITH moved AS (
    UPDATE ordergate_journal.fence SET last_seq = $2 WHERE epoch = $3 AND last_seq = $1::bigint - 1 RETURNING epoch)
INSERT INTO ordergate_journal.batches (first_seq, last_seq, epoch, crc32c, payload)
SELECT $1, $2, epoch, $4, $5 FROM moved RETURNING first_seq"""
_PIECE = """
SELECT first_seq, last_seq, epoch, crc32c, payload FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY first_seq) - octet_length(payload) AS bytes_before FROM (
        SELECT * FROM ordergate_journal.batches WHERE first_seq >= coalesce(
            (SELECT max(first_seq) FROM ordergate_journal.batches WHERE first_seq <= $1), $1)
        ORDER BY first_seq LIMIT $2) AS following
    ) AS piece WHERE bytes_before < $3 ORDER BY first_seq"""
_DROP = """
DELETE FROM ordergate_journal.batches WHERE first_seq IN (
    SELECT first_seq FROM ordergate_journal.batches
    WHERE last_seq < $1 AND first_seq < (SELECT max(first_seq) FROM ordergate_journal.batches)
    ORDER BY first_seq LIMIT $2)"""


@dataclass(frozen=True, slots=True)
class Fence:
    """Who may append, and how far the journal has come."""

    epoch: int
    last_seq: int


class Tables:
    """The journal's tables in one database, made when they are not there."""

    def __init__(self, url: str) -> None:
        """Connects.

        Raises:
            OSError: the database cannot be reached or used.
        """
        self._url = url
        self._loop = LoopThread("journal-postgres")
        self._writer: Any = None
        self._readers: Any = None
        self._writing = asyncio.Lock()
        self._warnings: list[str] = []
        self._closed = False
        try:
            with unreachable_is_named():
                self._loop.run(self._connect())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connections; the lock is free then."""
        if not self._closed:
            self._closed = True
            self._loop.run(self._disconnect())
            self._loop.close()

    def try_lock(self) -> bool:
        """Takes the writer's lock, if nobody has it; keeps it until the connection ends."""
        with unreachable_is_named():
            return bool(self._loop.run(self._on_writer("SELECT pg_try_advisory_lock($1)", LOCK))[0][0])

    def raise_epoch(self) -> Fence:
        """Shuts out every writer of before; durable, and with it everything that can be read.

        Raises:
            DamagedJournalError: the fence is not there.
        """
        with unreachable_is_named():
            return _fence(self._loop.run(self._on_writer(_RAISE_EPOCH)))

    def fence(self) -> Fence:
        """What the fence says, asked on the writer's connection.

        Raises:
            DamagedJournalError: the fence is not there.
        """
        with unreachable_is_named():
            return _fence(self._loop.run(self._on_writer(_FENCE)))

    def bounds(self) -> tuple[int | None, int | None]:
        """First and last seq of the batches that are kept, None without any."""
        with unreachable_is_named():
            (row,) = self._loop.run(self._on_writer(_BOUNDS))
        return row["first_seq"], row["last_seq"]

    def check_order(self, after_seq: int) -> None:
        """Makes sure that the batches after a seq follow each other.

        Raises:
            DamagedJournalError: one does not; names its seq.
        """
        with unreachable_is_named():
            rows = self._loop.run(self._on_writer(_BREAK, after_seq))
        for row in rows:
            before = f"follows seq {row['before_seq']}, epoch {row['epoch']} follows {row['before_epoch']}"
            raise DamagedJournalError(f"batch of seq {row['first_seq']}: {before}")

    def append(self, frame: Frame) -> bool:
        """Inserts a batch and waits for its commit; whether the fence let it through.

        Raises:
            StorageFullError: the server has no room; nothing happened.
            JournalFailedError: nobody knows whether it happened.
        """
        crc = frame_crc32c(frame.first_seq, frame.last_seq, frame.epoch, frame.payload)
        try:
            return self._loop.run(self._append(frame, crc))
        except asyncpg.DiskFullError as error:
            raise StorageFullError(str(error)) from error
        except Exception as error:
            # Whatever it is, the driver cannot say that nothing happened.
            raise JournalFailedError(f"seq {frame.first_seq} may be durable or not: {error!r}") from error

    def frames(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """The batches with events after `after_seq`, up to the one with `until_seq`, each checked.

        Raises:
            NotKeptError: the event after `after_seq` has been dropped.
            DamagedJournalError: a batch is missing or not what was written; names its seq.
        """
        begin_seq = after_seq
        while after_seq < until_seq:
            rows = self._piece(after_seq + 1)
            if not rows:
                raise DamagedJournalError(f"no batch: seq {after_seq + 1} cannot be read")
            if rows[0]["first_seq"] > after_seq + 1:
                raise NotKeptError(f"seq {after_seq + 1} is not kept; batches begin with seq {rows[0]['first_seq']}")
            for row in rows:
                frame = _checked(row)
                follows = frame.first_seq == after_seq + 1 or after_seq == begin_seq
                if not follows or frame.last_seq <= after_seq:
                    raise DamagedJournalError(f"batch of seq {frame.first_seq}: expected seq {after_seq + 1}")
                yield frame
                after_seq = frame.last_seq
                if after_seq >= until_seq:
                    return

    def drop_before(self, seq: int) -> None:
        """Removes the batches whose events are all before `seq`, the oldest first, but never the newest."""
        with unreachable_is_named():
            while self._loop.run(self._on_reader("execute", _DROP, seq, DROP_BATCHES)) != "DELETE 0":
                pass

    def _piece(self, seq: int) -> list[Any]:
        with unreachable_is_named():
            rows: list[Any] = self._loop.run(self._on_reader("fetch", _PIECE, seq, PIECE_BATCHES_MAX, PIECE_BYTES))
        return rows

    async def _connect(self) -> None:
        options = {"timeout": CONNECT_TIMEOUT_S, "server_settings": SESSION}
        self._writer = await asyncpg.connect(self._url, **options)
        self._writer.add_log_listener(self._hear)
        await prepare(self._writer)
        self._readers = await asyncpg.create_pool(self._url, min_size=0, max_size=READERS_MAX, **options)

    async def _disconnect(self) -> None:
        for opened in (self._readers, self._writer):
            if opened is not None:
                try:
                    async with asyncio.timeout(CLOSE_TIMEOUT_S):
                        await opened.close()
                except DRIVER_ERRORS:
                    opened.terminate()

    def _hear(self, _: object, message: Any) -> None:
        """A cancelled wait for a synchronous standby is a warning, not an error."""
        if message.severity_en == "WARNING":
            self._warnings.append(str(message))

    async def _append(self, frame: Frame, crc: int) -> bool:
        async with self._writing:
            self._warnings.clear()
            values = (frame.first_seq, frame.last_seq, frame.epoch, crc, frame.payload)
            done = await self._writer.fetchval(_APPEND, *values, timeout=APPEND_TIMEOUT_S)
            if self._warnings:
                raise ConnectionError(self._warnings[0])
            return done is not None

    async def _on_writer(self, statement: str, *values: object) -> list[Any]:
        async with self._writing:
            rows: list[Any] = await self._writer.fetch(statement, *values)
            return rows

    async def _on_reader(self, method: str, statement: str, *values: object) -> Any:
        async with self._readers.acquire(timeout=CONNECT_TIMEOUT_S) as connection:
            return await getattr(connection, method)(statement, *values)


async def prepare(connection: Any) -> None:
    """Lets commits wait for the disk, should somebody have set otherwise; makes the tables, should there be none."""
    await connection.execute(_DURABLE)
    if await connection.fetchval(_EXISTS):
        return
    async with connection.transaction():
        # Two processes may find at the same time that they are missing.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK + 1)
        if not await connection.fetchval(_EXISTS):
            await connection.execute(SCHEMA.read_text())


@contextmanager
def unreachable_is_named() -> Iterator[None]:
    """Turns the driver's errors into one `OSError`.

    Raises:
        ConnectionError: the database cannot be reached or used.
    """
    try:
        yield
    except asyncpg.DiskFullError as error:
        raise StorageFullError(str(error)) from error
    except DRIVER_ERRORS as error:
        raise ConnectionError(f"the journal's database: {error!r}") from error


def _fence(rows: list[Any]) -> Fence:
    if not rows:
        raise DamagedJournalError("fence: missing")
    return Fence(rows[0]["epoch"], rows[0]["last_seq"])


def _checked(row: Any) -> Frame:
    frame = Frame(row["first_seq"], row["last_seq"], row["epoch"], row["payload"])
    if frame_crc32c(frame.first_seq, frame.last_seq, frame.epoch, frame.payload) != row["crc32c"]:
        raise DamagedJournalError(f"batch of seq {frame.first_seq}: not what was written")
    return frame
