"""A standby: follows the journal in PostgreSQL and takes over when its writer is gone.

It asks for the writer's lock at intervals rather than wait for it in the
database: a statement that waits for days would keep dead rows alive for days.
Between two tries it carries out what is new, so that at the takeover only the
last moment is left. If the connection is lost, so may be what was read over it
(the database may have failed over): the process ends and begins again.
"""

from collections.abc import Callable, Iterable
from threading import Event

from matching.journal.errors import DamagedJournalError
from matching.journal.frames import Frame
from matching.journal.postgres import PostgresJournal
from matching.journal.tables import Tables

POLL_INTERVAL_S = 0.1
"""Longest time for which a takeover waits, once the lock is free."""
Redo = Callable[[Iterable[Frame]], object]
"""Carries batches out again, all of them, before it returns."""


def stand_by(
    tables: Tables, after_seq: int, redo: Redo, stopping: Event, poll_interval_s: float = POLL_INTERVAL_S
) -> PostgresJournal | None:
    """Follows the journal until it can be taken over; when nobody writes it, that is at once. Blocks.

    Args:
        tables: of the journal; they are the journal's afterwards.
        after_seq: where `redo` begins.
        redo: gets every batch after that, in order, from this thread.
        stopping: ends the waiting when it is set.
        poll_interval_s: time between two looks.

    Returns:
        The journal, open for writing; `redo` has had every batch of it. None when it was told to stop.

    Raises:
        NotKeptError: the writer has dropped what is needed; a newer snapshot stands for it.
        DamagedJournalError: a batch cannot be read.
        OSError: the database cannot be reached.
    """
    position = after_seq
    while not tables.try_lock():
        position = _catch_up(tables, position, redo)
        if stopping.wait(poll_interval_s):
            return None
    journal = PostgresJournal(tables, lambda _: position)
    redo(journal.read(position, journal.last_seq))
    return journal


def _catch_up(tables: Tables, position: int, redo: Redo) -> int:
    """Carries out what is new; gives the seq that this has come to."""
    last_seq = tables.fence().last_seq
    if last_seq < position:
        raise DamagedJournalError(f"fence: the journal ends with seq {last_seq}, but seq {position} was durable")
    if last_seq > position:
        redo(tables.frames(position, last_seq))
    return last_seq
