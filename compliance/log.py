"""The audit log as a follower of the journal: takes events in, publishes checkpoints.

The database being away stops neither the server nor the venue: the log waits,
tries again, and catches up. What must not go on is refused: an event out of
order, a journal that says something else than the log, a root that differs from
the one that was signed. `compliance.server` runs it.
"""

import asyncio
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
# Events that are read before the loop gets a turn: some milliseconds.
EVENTS_WITHOUT_PAUSE = 256
MS_PER_S = 1000
log = get_logger(__name__)


class AuditLog:
    """The one that appends. A view in the sense of `runtime.follower`."""

    def __init__(self, store: Store, reader: Reader, settings: Settings, health: Health) -> None:
        self._store = store
        self._reader = reader
        self._settings = settings
        self._health = health
        self._state: LogState | None = None
        self._checkpoint_ns = 0
        self._unsigned = asyncio.Event()
        self._retry_s = RETRY_MIN_S
        self._idle = False
        metrics.checkpoint_age.set_function(self._checkpoint_age_s)

    async def open(self) -> None:
        """Loads the log if its database can be reached now; if not, that is done later.

        Raises:
            LogCorrupt: what is stored is not what was signed.
        """
        try:
            await self._load()
        except StoreUnavailable as error:
            self._away(error)

    async def follow(self) -> NoReturn:
        """Follows matching for ever.

        Raises:
            LogCorrupt: no entry may be added any more.
        """
        while True:
            try:
                await follow(self._settings, NAME, self)
            except FeedGapError as error:
                # Asked again from where the log ends, the journal may well have the events.
                log.error("the feed does not follow the log", error=str(error))
                self._health.set(False, str(error))
            await asyncio.sleep(RETRY_MAX_S)

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
        """The sequence before the last one stored: the last event is asked for again, and compared."""
        state = await self._loaded()
        return max(0, state.seq - 1)

    async def apply(self, batch: FeedBatch) -> None:
        """Appends what is new of a batch, however long the database is away.

        Raises:
            FeedGapError: events are missing before the batch, or it comes from an outlived matching server.
            LogCorrupt: an event that is in the log has other bytes in the journal.
            EventUnreadable: not an event.
        """
        while not await self._applied(batch):
            await asyncio.sleep(self._retry_s)

    async def caught_up(self, epoch: int, journal_seq: int) -> None:
        """Notes that nothing is missing; in times without events, looks whether the database is still there.

        Raises:
            FeedGapError: the feed comes from an outlived matching server.
            LogCorrupt: the journal ends before the log does.
        """
        state = await self._loaded()
        if epoch < state.epoch:
            raise FeedGapError(f"the feed is of epoch {epoch}, the log has seen epoch {state.epoch}")
        if journal_seq < state.seq:
            raise LogCorrupt(f"the journal ends at {journal_seq}, the log at {state.seq}: this is another journal")
        metrics.lag.set(0)
        if self._idle:
            try:
                await self._reader.position()
            except StoreUnavailable as error:
                self._away(error)
        self._idle = True

    async def _applied(self, batch: FeedBatch) -> bool:
        state = await self._loaded()
        try:
            await self._check(state, batch)
            if batch.last_seq > state.seq:
                with metrics.append_time.time():
                    rows = await _rows(batch, state.seq)
                    self._appended(await self._store.append(state, rows, batch.epoch), batch.journal_seq)
        except StoreUnavailable as error:
            self._away(error)
            return False
        except PositionMoved as error:
            log.warning("loading the log again", why=str(error))
            self._state = None
            return False
        return True

    async def _check(self, state: LogState, batch: FeedBatch) -> None:
        """That the batch goes on where the log ends, and says the same where they overlap."""
        if batch.first_seq > state.seq + 1:
            raise FeedGapError(f"the log ends at {state.seq}, the feed goes on with {batch.first_seq}")
        if batch.epoch < state.epoch:
            raise FeedGapError(f"the feed is of epoch {batch.epoch}, the log has seen epoch {state.epoch}")
        known = list(batch.events[: state.seq + 1 - batch.first_seq])
        stored = await self._reader.leaf_hashes(batch.first_seq - 1, batch.first_seq - 1 + len(known))
        for seq, (event, in_log) in enumerate(zip(known, stored, strict=True), batch.first_seq):
            if leaf_hash(event) != in_log:
                raise LogCorrupt(f"event {seq} of the journal is not the one in the log")

    async def _loaded(self) -> LogState:
        while self._state is None:
            try:
                await self._load()
            except StoreUnavailable as error:
                self._away(error)
                await asyncio.sleep(self._retry_s)
        return self._state

    async def _load(self) -> None:
        self._state = state = await self._store.load()
        self._retry_s = RETRY_MIN_S
        metrics.size.set(state.seq)
        if state.checkpoint is not None:
            self._signed(state.checkpoint)
        if state.seq > (state.checkpoint.tree_size if state.checkpoint else 0):
            self._unsigned.set()
        log.info("log loaded", seq=state.seq, epoch=state.epoch)
        self._health.set(True)

    def _away(self, error: StoreUnavailable) -> None:
        """Forgets the state: whether the last batch was stored is known only to the database."""
        metrics.store_failures.inc()
        log.warning("the database is away", error=error.detail, retry_s=self._retry_s)
        self._state = None
        self._retry_s = min(RETRY_MAX_S, self._retry_s * 2)
        self._health.set(False, "the database of the audit log cannot be reached")

    def _appended(self, state: LogState, journal_seq: int) -> None:
        metrics.appended.inc(state.seq - self._state.seq if self._state else 0)
        metrics.size.set(state.seq)
        metrics.lag.set(max(0, journal_seq - state.seq))
        self._state = state
        self._idle = False
        self._unsigned.set()
        if not self._health.serving:
            self._health.set(True)

    def _signed(self, checkpoint: StoredCheckpoint) -> None:
        self._checkpoint_ns = checkpoint.signed_time_ns
        metrics.checkpoint_size.set(checkpoint.tree_size)

    def _checkpoint_age_s(self) -> float:
        return (unix_ns() - self._checkpoint_ns) / NANOS_PER_SECOND if self._checkpoint_ns else 0.0


async def _rows(batch: FeedBatch, stored_seq: int) -> Rows:
    """The rows of the events after `stored_seq`; gives way to other tasks now and then."""
    rows = Rows()
    received_ns = unix_ns()
    for seq, event in enumerate(batch.events, batch.first_seq):
        if seq > stored_seq:
            rows.add(seq, event, received_ns)
        if seq % EVENTS_WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
    return rows
