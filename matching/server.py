"""The matching server, wired together.

1 journal   opened, locked, torn tail cut off, epoch raised
2 engine    every command of the journal carried out again
3 sequencer one task; genesis first when the journal is new
4 service   the doors
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from ordergate.matching.v1.matching_pb2_grpc import add_MatchingServiceServicer_to_server

from matching.calendar import close_days
from matching.core.engine import Engine
from matching.feed import Feed
from matching.genesis import genesis_commands
from matching.journal.file import FileJournal
from matching.recovery import recover
from matching.sequencer import NO_LINK, Sequencer
from matching.service import MatchingService
from runtime.logs import get_logger
from runtime.serve import Health, Register, end_if_failed, serve
from runtime.settings import Settings

log = get_logger(__name__)


@asynccontextmanager
async def parts(settings: Settings, health: Health) -> AsyncIterator[Sequence[Register]]:
    """Recovers the venue and opens its doors; closes the journal at the end."""
    with FileJournal(settings.journal_dir, settings.journal_segment_bytes) as journal:
        engine = Engine()
        commands = recover(engine, journal.read(0, journal.last_seq))
        log.info("recovered", commands=commands, last_seq=journal.last_seq, epoch=journal.epoch)
        feed = Feed(journal)
        sequencer = Sequencer(engine, journal, feed)
        if not journal.last_seq:
            await sequencer.submit(NO_LINK, 0, genesis_commands(settings.genesis_file))
        working = asyncio.create_task(sequencer.run(), name="sequencer")
        working.add_done_callback(end_if_failed)
        calendar = asyncio.create_task(close_days(sequencer))
        service = MatchingService(sequencer, feed, journal.epoch)
        health.on_drain(service.close)
        health.set(True)
        try:
            yield [partial(add_MatchingServiceServicer_to_server, service)]
        finally:
            calendar.cancel()
            sequencer.stop()
            await working


def main() -> None:
    """Runs the matching server until it is told to stop."""
    serve("matching", parts, Settings())
