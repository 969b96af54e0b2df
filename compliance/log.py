"""The audit log as a follower of the journal: takes events in, stores them, signs checkpoints.

The database being away stops neither the server nor the venue: the log waits,
tries again, and catches up. What must not go on is refused: an event out of
order, a journal that says something else than the log, a root that differs from
the one that was signed. `compliance.server` runs it.
"""

import asyncio
from itertools import islice
from typing import NoReturn

from compliance import metrics
from compliance.errors import LogCorrupt, StoreUnavailable
from compliance.merkle import leaf_hash
from compliance.reader import Reader, StoredCheckpoint
from compliance.rows import Rows
from compliance.store import LogState, PositionMoved, Store
from runtime.clock import NANOS_PER_SECOND, unix_ns
from runtime.follower import FeedBatch, FeedGapError, follow
from runtime.logs import get_logger
from runtime.serve import Health
from runtime.settings import Settings

NAME = "compliance"
RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
INTERVAL_MS = 20
"""Events that come so soon after others are stored together: a transaction costs more than what is in it."""
PENDING_EVENTS_MAX = 16_384
# Events that are read before the loop gets a turn: some milliseconds.
EVENTS_WITHOUT_PAUSE = 256
MS_PER_S = 1000
log = get_logger(__name__)


class AuditLog:
    """The one that appends. A view in the sense of `runtime.follower`.

    What is read while one batch is being stored goes into the next one; so
    reading and storing go on at the same time, and batches grow with the load.
    A batch of the feed is never split: every transaction ends with a command.
    """

    def __init__(self, store: Store, reader: Reader, settings: Settings, health: Health) -> None:
        self._store = store
        self._reader = reader
        self._settings = settings
        self._health = health
        self._state: LogState | None = None
        self._pending = Rows()
        # Guards both of the above, and tells of their changes.
        self._changed = asyncio.Condition()
        self._journal_seq = 0
        self._stored_seq = 0
        self._unsigned = asyncio.Event()
        self._retry_s = RETRY_MIN_S
        self._checkpoint_ns = 0
        metrics.checkpoint_age.set_function(self._checkpoint_age_s)

    async def open(self) -> None:
        """Loads the log if its database can be reached now; if not, `store` does that later.

        Raises:
            LogCorrupt: what is stored is not what was signed.
        """
        try:
            self._resume(await self._store.load(), Rows())
        except StoreUnavailable as error:
            self._away(error)

    async def follow(self) -> NoReturn:
        """Follows matching for ever.

        Raises:
            LogCorrupt: the journal is not the one that the log was made from.
            EventUnreadable: what the feed gave is not the event that was due.
        """
        while True:
            try:
                await follow(self._settings, NAME, self, INTERVAL_MS)
            except FeedGapError as error:
                # Asked again from where the log ends, the journal may well have the events.
                log.error("the feed does not go on where the log ends", error=str(error))
                self._health.set(False, str(error))
            await asyncio.sleep(RETRY_MAX_S)

    async def store(self) -> NoReturn:
        """Stores for ever what `follow` has read, however often the database goes away.

        Raises:
            LogCorrupt: what is stored is not what was signed.
        """
        rows = Rows()
        while True:
            try:
                if self._state is None:
                    async with self._changed:
                        rows = self._resume(await self._store.load(), rows)
                        self._changed.notify_all()
                elif rows.leaves:
                    rows = await self._append(self._state, rows)
                else:
                    rows = await self._take_pending()
            except StoreUnavailable as error:
                self._away(error)
                await asyncio.sleep(self._retry_s)
            except PositionMoved as error:
                log.warning("loading the log again", why=str(error))
                self._state = None
                await asyncio.sleep(self._retry_s)

    async def publish(self) -> NoReturn:
        """Signs a checkpoint when there is something new, at most one in an interval.

        Raises:
            LogCorrupt: another root was signed for the same size.
        """
        while True:
            await self._unsigned.wait()
            self._unsigned.clear()
            if self._state is not None:
                try:
                    self._signed(await self._store.publish(self._state, unix_ns()))
                except StoreUnavailable as error:
                    log.warning("no checkpoint", error=error.detail)
                    self._unsigned.set()
            await asyncio.sleep(self._settings.audit_checkpoint_interval_ms / MS_PER_S)

    async def position(self) -> int:
        """The sequence before the last one stored, once all that was read is stored.

        So the last event is given again, and compared: another journal is noticed at once.
        """
        async with self._changed:
            return max(0, await self._settled() - 1)

    async def apply(self, batch: FeedBatch) -> None:
        """Takes in what is new of a batch; waits while as much as is allowed waits to be stored.

        Raises:
            FeedGapError: events are missing before the batch, or it comes from an outlived matching server.
            LogCorrupt: an event that is in the log has other bytes in the journal.
            EventUnreadable: not an event, or not the one that was due.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._pending.leaves) < PENDING_EVENTS_MAX)
            if batch.first_seq <= self._pending.last_seq:
                await self._compare(batch, await self._settled())
            pending = self._pending
            if batch.first_seq > pending.last_seq + 1:
                raise FeedGapError(f"read up to {pending.last_seq}, the feed goes on with {batch.first_seq}")
            self._require_epoch(batch.epoch)
            pending.epoch = batch.epoch
            received_ns = unix_ns()
            new = islice(batch.events, pending.last_seq + 1 - batch.first_seq, None)
            for number, event in enumerate(new, 1):
                pending.add(event, received_ns)
                if number % EVENTS_WITHOUT_PAUSE == 0:
                    await asyncio.sleep(0)
            self._hear(batch.journal_seq)
            self._changed.notify_all()

    async def caught_up(self, epoch: int, journal_seq: int) -> None:
        """Hears how far the journal goes; in times without events, looks how the database is.

        Raises:
            FeedGapError: events have to be read again, or the feed comes from an outlived matching server.
            LogCorrupt: the journal ends before the log does.
        """
        self._require_epoch(epoch)
        self._hear(journal_seq)
        if self._pending.last_seq < journal_seq:
            raise FeedGapError(f"the journal ends at {journal_seq}, but after {self._pending.last_seq} all is lost")
        state = self._state
        if state is not None and state.seq > journal_seq:
            raise LogCorrupt(f"the journal ends at {journal_seq}, the log at {state.seq}: this is another journal")
        if state is not None and state.seq == journal_seq:
            await self._look_after(state)

    async def _look_after(self, state: LogState) -> None:
        """Notices a database that is away, or that has lost what it had."""
        try:
            if await self._reader.position() == (state.seq, state.epoch):
                return
            log.warning("loading the log again", why="the database has another state")
            self._state = None
        except StoreUnavailable as error:
            self._away(error)
        async with self._changed:
            self._changed.notify_all()

    async def _settled(self) -> int:
        """The end of the log once everything that was read is stored; needs `_changed`."""

        def settled() -> bool:
            return self._state is not None and self._state.seq == self._pending.last_seq

        await self._changed.wait_for(settled)
        return self._pending.last_seq

    async def _compare(self, batch: FeedBatch, log_seq: int) -> None:
        """That the journal says what the log says, where the batch overlaps with it."""
        again = batch.events[: log_seq + 1 - batch.first_seq]
        stored = await self._stored_hashes(batch.first_seq - 1, batch.first_seq - 1 + len(again))
        for seq, (event, in_log) in enumerate(zip(again, stored, strict=True), batch.first_seq):
            if leaf_hash(event) != in_log:
                raise LogCorrupt(f"event {seq} of the journal is not the one in the log")

    async def _stored_hashes(self, begin: int, end: int) -> list[bytes]:
        while True:
            try:
                return await self._reader.leaf_hashes(begin, end)
            except StoreUnavailable as error:
                log.warning("the database is away", error=error.detail)
                await asyncio.sleep(RETRY_MAX_S)

    def _require_epoch(self, epoch: int) -> None:
        if epoch < self._pending.epoch:
            raise FeedGapError(f"the feed is of epoch {epoch}, the log has seen epoch {self._pending.epoch}")

    async def _take_pending(self) -> Rows:
        """What was read, once there is something; nothing when the database went away meanwhile."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._pending.leaves or self._state is None)
            taken = self._pending
            if not taken.leaves or self._state is None:
                return Rows(taken.after_seq)
            self._pending = Rows(taken.last_seq, taken.epoch)
            self._changed.notify_all()
            return taken

    async def _append(self, state: LogState, rows: Rows) -> Rows:
        with metrics.append_time.time():
            stored = await self._store.append(state, rows)
        async with self._changed:
            self._state = stored
            self._changed.notify_all()
        self._unsigned.set()
        metrics.appended.inc(stored.seq - state.seq)
        self._show(stored)
        return Rows(stored.seq)

    def _resume(self, state: LogState, rows: Rows) -> Rows:
        """Goes on from what the database has; gives the rows in hand if they are still to be stored."""
        self._state = state
        self._retry_s = RETRY_MIN_S
        if not (rows.leaves and rows.after_seq == state.seq):
            if self._pending.after_seq != state.seq:
                log.info("log loaded", seq=state.seq, epoch=state.epoch, forgotten_seq=self._pending.last_seq)
                self._pending = Rows(state.seq, state.epoch)
            rows = Rows(state.seq)
        if state.checkpoint is not None:
            self._signed(state.checkpoint)
        if state.seq > (state.checkpoint.tree_size if state.checkpoint else 0):
            self._unsigned.set()
        self._show(state)
        return rows

    def _away(self, error: StoreUnavailable) -> None:
        """Forgets the state: whether the last batch was stored is known only to the database."""
        metrics.store_failures.inc()
        log.warning("the database is away", error=error.detail, retry_s=self._retry_s)
        self._state = None
        self._retry_s = min(RETRY_MAX_S, self._retry_s * 2)
        self._health.set(False, "the database of the audit log cannot be reached")

    def _hear(self, journal_seq: int) -> None:
        """Notes how far the journal goes; the lag is known while the database is away too."""
        self._journal_seq = journal_seq
        metrics.lag.set(max(0, journal_seq - self._stored_seq))

    def _show(self, state: LogState) -> None:
        metrics.size.set(state.seq)
        self._stored_seq = state.seq
        self._hear(self._journal_seq)
        if not self._health.serving:
            self._health.set(True)

    def _signed(self, checkpoint: StoredCheckpoint) -> None:
        self._checkpoint_ns = checkpoint.signed_time_ns
        metrics.checkpoint_size.set(checkpoint.tree_size)

    def _checkpoint_age_s(self) -> float:
        return (unix_ns() - self._checkpoint_ns) / NANOS_PER_SECOND if self._checkpoint_ns else 0.0
