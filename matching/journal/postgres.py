"""The journal in PostgreSQL: a batch a row, the epoch in one row as the fence.

The writer's session holds an advisory lock, so that there is one. Should the
lock be lost, as when the database fails over, the fence decides: a batch is
inserted only in a transaction that finds the writer's own epoch there. When
the connection is lost during an append nobody knows whether it happened: the
process must end and recover, and nothing is tried again.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from matching.journal.errors import (
    DamagedJournalError,
    FencedError,
    JournalLockedError,
    StorageFullError,
)
from matching.journal.frames import Frame
from matching.journal.interface import Covered, from_the_beginning
from matching.journal.tables import Tables


class PostgresJournal:
    """A journal in PostgreSQL, opened for writing; see `Journal`."""

    def __init__(self, tables: Tables, covered: Covered = from_the_beginning) -> None:
        """Raises the epoch and checks that what is needed is there; payloads are checked when they are read.

        Args:
            tables: whose lock this process holds; closed with the journal.
            covered: tells up to which seq a snapshot stands for the journal.

        Raises:
            DamagedJournalError: something that was acknowledged is missing.
            OSError: the database cannot be reached.
        """
        self._tables = tables
        self._failed: Exception | None = None
        self.storage_low = False
        fence = tables.raise_epoch()
        self.epoch = fence.epoch
        self.last_seq = fence.last_seq
        first_seq, last_seq = tables.bounds()
        if (last_seq or 0) != fence.last_seq:
            raise DamagedJournalError(f"batch of seq {last_seq}: the last one, but seq {fence.last_seq} was durable")
        self.first_seq = self.last_seq + 1 if first_seq is None else first_seq
        after_seq = covered(self.first_seq)
        if self.last_seq < after_seq:
            text = f"the journal ends with seq {self.last_seq}, but a snapshot is of seq {after_seq}"
            raise DamagedJournalError(f"batch of seq {last_seq}: {text}")
        if self.first_seq > after_seq + 1:
            text = f"the journal begins here, and seq {after_seq + 1} is missing"
            raise DamagedJournalError(f"batch of seq {self.first_seq}: {text}")
        tables.check_order(after_seq)

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes it."""
        self.close()

    def append(self, first_seq: int, last_seq: int, payload: bytes) -> None:
        """Makes a batch durable: when this returns, its transaction is committed.

        Raises:
            StorageFullError: the server has no room; nothing happened.
            FencedError: another process has taken over. Final.
            DamagedJournalError: somebody else changed the tables. Final.
            JournalFailedError: it is unknown whether the batch is durable. Final.
        """
        assert first_seq == self.last_seq + 1, "the journal has no gaps"
        assert last_seq >= first_seq, "a batch has events"
        if self._failed is not None:
            raise self._failed
        try:
            if not self._tables.append(Frame(first_seq, last_seq, self.epoch, payload)):
                self._check_fence()
                raise DamagedJournalError(f"fence: seq {self.last_seq} was durable, and it does not say so")
        except StorageFullError:
            self.storage_low = True
            raise
        except (OSError, FencedError, DamagedJournalError) as error:
            self._failed = error
            raise
        self.storage_low = False
        self.last_seq = last_seq

    def read(self, after_seq: int, until_seq: int) -> Iterator[Frame]:
        """See `Journal`; a few MiB at a time."""
        return self._tables.frames(after_seq, until_seq)

    def drop_before(self, seq: int) -> None:
        """See `Journal`."""
        self._tables.drop_before(seq)
        first_seq, _ = self._tables.bounds()
        self.first_seq = self.last_seq + 1 if first_seq is None else first_seq

    def check(self) -> None:
        """See `Journal`; asks the database."""
        if self._failed is not None:
            raise self._failed
        self._check_fence()

    def close(self) -> None:
        """Closes the connections, and with them gives the lock back."""
        self._tables.close()

    def _check_fence(self) -> None:
        epoch = self._tables.fence().epoch
        if epoch != self.epoch:
            raise FencedError(f"epoch {self.epoch} has ended: epoch {epoch} is at work")


def open_postgres(url: str, covered: Covered = from_the_beginning) -> PostgresJournal:
    """Opens the journal of a database, which nobody else must have open.

    Raises:
        JournalLockedError: another process has it open.
        DamagedJournalError: something that was acknowledged is missing.
        OSError: the database cannot be reached or used.
    """
    tables = Tables(url)
    try:
        if not tables.try_lock():
            raise JournalLockedError("the journal's database is written by another process")
        return PostgresJournal(tables, covered)
    except BaseException:
        tables.close()
        raise
