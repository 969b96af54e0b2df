"""Tells the core the time: when a trading day is over, and when something is due. The core itself has no clock."""

import asyncio
from datetime import UTC, datetime, timedelta

from ordergate.matching.v1 import commands_pb2 as wire

from matching.sequencer import NO_LINK, Sequencer
from runtime.clock import NANOS_PER_SECOND, unix_ns

TICK_S = 0.02
"""How late an expiry or a timer is noticed while no command comes."""


async def keep_time(sequencer: Sequencer) -> None:
    """Lets the venue know when an expiry or a timer is due."""
    while True:
        await asyncio.sleep(TICK_S)
        await sequencer.tick()


async def close_days(sequencer: Sequencer) -> None:
    """Closes each day when it ends, at midnight UTC, and at the start the days that ended meanwhile."""
    while True:
        now = datetime.fromtimestamp(unix_ns() / NANOS_PER_SECOND, UTC)
        yesterday = int((now - timedelta(days=1)).strftime("%Y%m%d"))
        if await sequencer.query(lambda engine: engine.venue.last_closed_day) < yesterday:
            command = wire.Command(actor="calendar", close_day=wire.CloseDay(trading_day=yesterday))
            await sequencer.submit(NO_LINK, 0, [command.SerializeToString()])
        midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        await asyncio.sleep((midnight - now).total_seconds())
