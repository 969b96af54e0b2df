"""Makes snapshots while the venue goes on.

At a batch's end the process forks: the child has a copy of the whole state that
nothing changes any more, writes it out and ends; the parent has lost the few
milliseconds of the fork. Once a snapshot is durable, the journal may let go of
what came before the older one that is kept, as far as the followers' retention
allows.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import signal
import threading
import time
import warnings
from contextlib import suppress
from typing import NoReturn

from prometheus_client import Counter, Gauge, Histogram

from matching.core.engine import Engine
from matching.journal.interface import Journal
from matching.snapshots.form import Snapshot
from matching.snapshots.interface import Snapshots
from matching.state import dump
from runtime.logs import get_logger

TELLING_FD = 3
"""The child's only descriptor besides the standard ones."""
FDS_MAX = 2**16
SNAPSHOT_S_MAX = 900.0
"""A child that takes longer ends, so that the next one has a chance."""
FINISH_S_MAX = 10.0
"""How long an orderly end waits for a child."""
# Otherwise gRPC starts its threads again in the child, where they work on the parent's connections. It looks at this
# once, when the first channel or server is made.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

log = get_logger(__name__)
snapshots_total = Counter("ordergate_matching_snapshots_total", "Snapshots made, by result.", ["result"])
snapshot_seq_gauge = Gauge("ordergate_matching_snapshot_seq", "Event that the newest snapshot stands at.")
fork_seconds = Histogram(
    "ordergate_matching_snapshot_fork_seconds",
    "Time that the venue stood still for a snapshot.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)


class Snapshotter:
    """Decides when a snapshot is due, has it made, and lets the journal go behind it."""

    def __init__(
        self, journal: Journal, snapshots: Snapshots, snapshot_seq: int, interval_events: int, keep_events: int
    ) -> None:
        """Begins to count.

        Args:
            journal: open for writing.
            snapshots: its snapshots.
            snapshot_seq: the newest of them; 0 for none.
            interval_events: events between two snapshots.
            keep_events: events that stay in the journal for followers, whatever the snapshots say.
        """
        self._journal = journal
        self._snapshots = snapshots
        self._interval_events = interval_events
        self._keep_events = keep_events
        self._due_seq = snapshot_seq + interval_events
        self._child = 0
        self._watching: asyncio.Task[None] | None = None
        snapshot_seq_gauge.set(snapshot_seq)

    def after_batch(self, engine: Engine) -> None:
        """Forks when a snapshot is due and none is in the making."""
        if engine.seq >= self._due_seq and self._watching is None and not self._journal.storage_low:
            self.take(engine)

    def take(self, engine: Engine) -> None:
        """Begins a snapshot of the state as it is now; when that is impossible, a later one may succeed."""
        self._due_seq = engine.seq + self._interval_events
        try:
            self._child, told = self._fork(engine)
        except OSError as error:
            snapshots_total.labels("failed").inc()
            log.error("snapshot failed", seq=engine.seq, error=str(error))
            return
        self._watching = asyncio.get_running_loop().create_task(self._watch(self._child, told, engine.seq))

    async def finish(self) -> None:
        """Waits for the snapshot that is in the making, but not for ever, and for what follows from it."""
        watching = self._watching
        if watching is None:
            return
        await asyncio.wait((watching,), timeout=FINISH_S_MAX)
        if not watching.done():
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        await watching

    def _fork(self, engine: Engine) -> tuple[int, int]:
        """The child's id, and where it will tell which older snapshot is kept."""
        parent, epoch = os.getpid(), self._journal.epoch
        told, telling = os.pipe()
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of forks beside threads; the child needs none of them, and no lock of theirs.
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
                if child == 0:
                    _write_and_end(self._snapshots, engine, epoch, parent, telling)
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(telling)
        fork_seconds.observe(time.perf_counter() - began)
        return child, told

    async def _watch(self, child: int, told: int, seq: int) -> None:
        try:
            status, kept_seq = await asyncio.to_thread(_end_of, child, told)
            if status:
                snapshots_total.labels("failed").inc()
                log.error("snapshot failed", seq=seq, status=status)
                return
            snapshots_total.labels("made").inc()
            snapshot_seq_gauge.set(seq)
            log.info("snapshot", seq=seq, kept_seq=kept_seq)
            await self._drop_before(min(kept_seq, self._journal.last_seq - self._keep_events) + 1)
        finally:
            self._watching = None

    async def _drop_before(self, seq: int) -> None:
        if seq <= self._journal.first_seq:
            return
        try:
            await asyncio.to_thread(self._journal.drop_before, seq)
        except OSError as error:
            log.error("old segments could not be removed", error=str(error))


def _end_of(child: int, told: int) -> tuple[int, int]:
    """How the child ended, negative for a signal, and the seq of the older snapshot that is kept."""
    with open(told, "rb") as pipe:
        kept_seq = int.from_bytes(pipe.read(), "little")
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), kept_seq


def _write_and_end(snapshots: Snapshots, engine: Engine, epoch: int, parent: int, telling: int) -> NoReturn:
    """The child's whole life. It touches nothing of gRPC or the event loop."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        # The lock of the journal must not outlive the parent in here.
        os.dup2(telling, TELLING_FD)
        os.closerange(TELLING_FD + 1, FDS_MAX)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, SNAPSHOT_S_MAX)
        gc.disable()
        _end_with(parent)
        os.nice(10)
        content = dump(engine)
        kept_seq = snapshots.publish(Snapshot(engine.seq, epoch, hashlib.sha256(content).hexdigest(), content))
        os.write(TELLING_FD, kept_seq.to_bytes(8, "little"))
        code = 0
    except BaseException as error:
        with suppress(OSError):
            os.write(2, f"snapshot of seq {engine.seq}: {error!r}\n".encode())
    finally:
        os._exit(code)


def _end_with(parent: int) -> None:
    """Ends this process as soon as its parent is gone: another writer may then be at work."""

    def watch() -> None:
        while os.getppid() == parent:
            ended.wait(0.02)
        os._exit(1)

    ended = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
