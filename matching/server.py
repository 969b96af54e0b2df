"""The matching server, wired together.

1 storage   journal and snapshots opened; the engine carries out again what they say
2 sequencer one task; genesis first when the journal is new
3 service   the doors
"""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ordergate.matching.v1.matching_pb2_grpc import add_MatchingServiceServicer_to_server

from matching.calendar import close_days, keep_time
from matching.feed import Feed
from matching.gateways import Gateways
from matching.genesis import genesis_commands
from matching.journal.interface import Journal
from matching.recovery import Rebuilt
from matching.sequencer import NO_LINK, Sequencer
from matching.service import MatchingService
from matching.snapshotter import Snapshotter
from matching.storage import Storage, open_storage
from runtime.logs import get_logger
from runtime.serve import Health, Register, end_if_failed, serve
from runtime.settings import Settings

log = get_logger(__name__)
STORAGE_WATCH_S = 0.2
WRITER_CHECK_S = 1.0


@asynccontextmanager
async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """Recovers the venue and opens its doors; closes the journal at the end."""
    rebuilt = Rebuilt()
    storage = await _opened(settings, rebuilt)
    journal, engine = storage.journal, rebuilt.engine
    with journal:
        log.info("recovered", commands=rebuilt.commands, snapshot_seq=storage.snapshot_seq, last_seq=engine.seq)
        feed = Feed(journal)
        snapshotter = Snapshotter(
            journal,
            storage.snapshots,
            storage.snapshot_seq,
            settings.snapshot_interval_events,
            settings.journal_keep_events,
        )
        sequencer = Sequencer(engine, journal, feed, snapshotter.after_batch, settings.command_age_max_s)
        if not journal.last_seq:
            await sequencer.submit(NO_LINK, 0, genesis_commands(settings.genesis_file))
        working = asyncio.create_task(sequencer.run(), name="sequencer")
        working.add_done_callback(end_if_failed)
        beside = [
            asyncio.create_task(close_days(sequencer)),
            asyncio.create_task(keep_time(sequencer)),
            asyncio.create_task(_watch_storage(sequencer, health)),
            asyncio.create_task(_stay_writer(journal), name="writer"),
        ]
        beside[-1].add_done_callback(end_if_failed)
        gateways = Gateways(sequencer, settings.gateway_grace_s)
        await gateways.expect()
        service = MatchingService(sequencer, feed, gateways, journal.epoch)
        health.on_drain(service.close)
        health.set(True)
        try:
            yield [partial(add_MatchingServiceServicer_to_server, service)]
        finally:
            await gateways.close()
            for task in beside:
                task.cancel()
            sequencer.stop()
            await working
            await snapshotter.finish()


async def _opened(settings: Settings, rebuilt: Rebuilt) -> Storage:
    """The storage, once this process is its writer; a standby waits here until it is told to stop."""
    stopping = threading.Event()
    # Recovery makes much that stays and no garbage: the collector would only walk over it again and again.
    gc.disable()
    try:
        storage = await asyncio.to_thread(open_storage, settings, rebuilt, stopping)
    finally:
        stopping.set()
        gc.enable()
    for refused in storage.refused if storage is not None else ():
        log.error("a snapshot cannot be used", reason=refused)
    if storage is None:
        raise asyncio.CancelledError
    return storage


async def _stay_writer(journal: Journal) -> None:
    """Ends the process when another one has taken over, although no batch has shown it yet."""
    while True:
        await asyncio.sleep(WRITER_CHECK_S)
        await asyncio.to_thread(journal.check)


async def _watch_storage(sequencer: Sequencer, health: Health) -> None:
    """Not ready while there is no room for new orders."""
    was_low = False
    while True:
        if sequencer.storage_low is not was_low:
            was_low = sequencer.storage_low
            health.set(not was_low, "the disk is full: only cancels are taken" if was_low else "")
        await asyncio.sleep(STORAGE_WATCH_S)


def main() -> None:
    """Runs the matching server until it is told to stop."""
    serve("matching", parts, Settings())
