"""Sends recorded flow through one order session and waits for every answer.

With a speed, each command is sent at its recorded distance from the first one,
divided by the speed; without one, as fast as the session's window permits. The
session outlives the death of any server: what has no answer is sent again.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ordergate.orders.v1 import order_entry_pb2 as entry

from clients.flow.lobster import FlowAccounts, FlowEvent, Mapping, MappingCounts
from clients.flow.tally import Tally
from clients.sdk.client import Client
from clients.sdk.session import Session

HEARTBEAT_S = 1


@dataclass(frozen=True, slots=True)
class FlowOptions:
    """How the flow is sent.

    Args:
        accounts: whose orders they are; those of the mapping.
        speed: multiple of the recorded speed; 0 for as fast as possible.
        frame_size: most commands in one frame.
        window: most commands that wait for their answer.
    """

    accounts: FlowAccounts
    speed: float = 0.0
    frame_size: int = 128
    window: int = 2048


@dataclass(frozen=True, slots=True)
class FlowResult:
    """What a run did."""

    mapping: MappingCounts
    tally: Tally
    commands: int
    unanswered: int
    elapsed_s: float
    last_seq: int
    reconnects: int
    resent: int


async def run_flow(
    client: Client,
    mapping: Mapping,
    events: Iterable[FlowEvent],
    options: FlowOptions,
    progress: Callable[[int], None] = lambda _events: None,
) -> FlowResult:
    """Sends `events` and gives the result once every command is answered.

    `progress` is told the number of events taken so far.

    Raises:
        OrdergateError: the session has failed for good.
        FormatError: the file is malformed.
    """
    tally = Tally(mapping.prefix)
    session = client.session(
        sorted(set(options.accounts)),
        window=options.window,
        cancel_on_disconnect=False,
        heartbeat_interval_s=HEARTBEAT_S,
        name="flow",
    )
    async with session:
        tally.start_seq = session.last_seq
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_read(session, tally))
                began_ns = time.perf_counter_ns()
                commands = await _send(session, mapping, events, options, tally, progress)
                await session.drained()
                elapsed_s = (time.perf_counter_ns() - began_ns) / 1e9
                unanswered = session.unanswered
                await session.quiet()
                await session.close()
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return FlowResult(
        mapping.counts,
        tally,
        commands,
        unanswered,
        elapsed_s,
        session.last_seq,
        session.reconnects,
        session.resent,
    )


async def _read(session: Session, tally: Tally) -> None:
    async for frame in session.frames():
        tally.take(frame)


async def _send(
    session: Session,
    mapping: Mapping,
    events: Iterable[FlowEvent],
    options: FlowOptions,
    tally: Tally,
    progress: Callable[[int], None],
) -> int:
    """Sends the commands of `events`; gives their number.

    A frame goes out when it is full, or when its next command is not due yet.
    """
    pace = _Pace(options.speed)
    frame: list[entry.SessionCommand] = []
    sent = 0
    for event in events:
        command = mapping.command(event)
        if command is None:
            continue
        now_ns = time.perf_counter_ns()
        due_ns = pace.due_ns(event, now_ns)
        if frame and (len(frame) == options.frame_size or due_ns > now_ns):
            sent += len(await session.send(frame))
            frame = []
            progress(mapping.counts.events)
        if due_ns > now_ns:
            await asyncio.sleep((due_ns - now_ns) / 1e9)
        tally.intend(due_ns)
        frame.append(command)
    sent += len(await session.send(frame))
    progress(mapping.counts.events)
    return sent


class _Pace:
    """When each event is due, in ns of the performance counter."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began_ns: int | None = None
        self._first_ns = 0

    def due_ns(self, event: FlowEvent, now_ns: int) -> int:
        if not self._speed:
            return now_ns
        if self._began_ns is None:
            self._began_ns, self._first_ns = now_ns, event.time_ns
        return self._began_ns + round((event.time_ns - self._first_ns) / self._speed)
