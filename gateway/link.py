"""The link to matching: commands out in micro-batches, durable results and every event in.

What gathers while one message is being written goes out together in the next.
A command that was handed over stays the link's until it is answered: when the
link breaks, what was missed is read from the feed, and unanswered commands are
sent again. The core carries each out at most once, so the answer is the
original one. When the journal does not reach back to what was missed, the link
goes on from the present, and whoever listens is told that there is a hole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import grpc
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.matching.v1 import matching_pb2_grpc
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge

from gateway.events import Event
from gateway.outbox import Outbox
from runtime.channels import Renewable, service_channel
from runtime.clock import unix_ns
from runtime.errors import Refused, reason_of
from runtime.instruments import Instruments
from runtime.logs import get_logger
from runtime.settings import Settings
from runtime.tokens import service_metadata

PENDING_COMMANDS_MAX = 65_536
SILENCE_MAX_S = 5.0
RETRY_MIN_S = 0.05
RETRY_MAX_S = 1.0
REFUSED_RETRY_S = 1.0
"""When a command that was not taken may be sent again."""

log = get_logger(__name__)
up_gauge = Gauge("ordergate_gateway_link_up", "1 while the link to matching stands.")
resent_total = Counter("ordergate_gateway_link_resent_total", "Commands sent again after the link broke.")


class Waiter(Protocol):
    """Whoever handed a command over."""

    def answered(self, tag: int, told: Sequence[Event], durable_unix_ns: int, *, repeated: bool) -> None:
        """Hears the events of the command with this tag, the first of which answers it.

        Only the original first event, and `repeated`, when it repeats an
        earlier request.
        """
        ...

    def refused(self, tag: int, refused: Refused) -> None:
        """Hears that matching did not take the command with this tag; nothing happened."""
        ...


class Watcher(Protocol):
    """Whoever has the gateway's sessions."""

    def session_closed(self, session_id: str) -> None:
        """Hears that the venue has ended a session; that of another gateway, perhaps."""
        ...

    def missed(self) -> None:
        """Hears that events have passed that cannot be had any more, before what is unanswered is sent again."""
        ...

    def displaced(self) -> None:
        """Hears that another process has logged on in this gateway's name: the venue has ended the sessions here."""
        ...


Listener = Callable[[Sequence[Event], int, int], None]
"""Hears events in order, the epoch, and when they were durable in unix ns (0 for events of the past)."""


class Changed(Protocol):
    """Hears that the link stands or is broken, and at which event."""

    def __call__(self, last_seq: int, epoch: int, *, up: bool) -> None:
        """Takes the news."""
        ...


class Link:
    """One gateway's link to one matching server."""

    def __init__(self, settings: Settings, instruments: Instruments, listener: Listener, changed: Changed) -> None:
        self._settings = settings
        self._instruments = instruments
        self._listener = listener
        self._changed = changed
        self._pending: dict[int, tuple[bytes, Waiter, int]] = {}
        self._ahead: list[tuple[bytes, Waiter, int]] = []
        """What goes out before the pending commands when the link is back."""
        self._watchers: list[Watcher] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self.incarnation = unix_ns()
        """Number of this run of the gateway."""
        self._outbox = Outbox()
        self._next_correlation = 1
        self._reached = Renewable(
            lambda: service_channel(settings.matching_address, settings, settings.gateway_id), settings
        )
        self.stub: matching_pb2_grpc.MatchingServiceAsyncStub = matching_pb2_grpc.MatchingServiceStub(
            self._reached.channel
        )
        self.last_seq: int | None = None
        """The last event heard; None before the first link."""
        self.epoch = 0
        self.up = asyncio.Event()

    def watch(self, watcher: Watcher) -> None:
        """Lets `watcher` hear what becomes of sessions."""
        self._watchers.append(watcher)

    def check_up(self) -> None:
        """Makes sure that matching is there.

        Raises:
            Refused: it cannot be reached.
        """
        if not self.up.is_set():
            raise _unreachable()

    def check_known(self) -> None:
        """Makes sure that the instruments are known; from the first link on they are.

        Raises:
            Refused: there has been no link yet.
        """
        if self.last_seq is None:
            raise _unreachable()

    def submit(self, commands: Sequence[bytes], waiter: Waiter, tags: Sequence[int]) -> None:
        """Hands commands over; `waiter` hears the answer to each, with its tag.

        Raises:
            Refused: matching cannot be reached, or too many commands wait.
        """
        self.check_up()
        if len(self._pending) + len(commands) > PENDING_COMMANDS_MAX:
            raise Refused(types.REASON_OVERLOADED, "too many commands wait for the matching engine")
        pending, put = self._pending, self._outbox.commands.append
        first = self._next_correlation
        self._next_correlation = first + len(commands)
        for correlation, command, tag in zip(range(first, self._next_correlation), commands, tags, strict=True):
            pending[correlation] = (command, waiter, tag)
            put((correlation, command))
        self._idle.clear()
        self._outbox.gathered.set()

    def submit_surely(self, command: bytes, waiter: Waiter) -> None:
        """Hands a command over that must be carried out, however many wait: behind all others, with tag 0.

        While matching cannot be reached it waits among the unanswered ones.
        """
        self._idle.clear()
        if self.up.is_set():
            self._put(command, waiter, 0)
        else:
            self._note(command, waiter, 0)

    def submit_first(self, command: bytes, waiter: Waiter) -> None:
        """Hands a command over that goes out ahead of all unanswered ones when those are sent again, with tag 0."""
        self._idle.clear()
        self._ahead.append((command, waiter, 0))

    async def drained(self, timeout_s: float) -> bool:
        """Waits until every command is answered, for `timeout_s` at most; says whether they are."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("commands are left unanswered", commands=len(self._pending))
            return False
        return True

    def _note(self, command: bytes, waiter: Waiter, tag: int) -> int:
        correlation = self._next_correlation
        self._next_correlation = correlation + 1
        self._pending[correlation] = (command, waiter, tag)
        return correlation

    def _put(self, command: bytes, waiter: Waiter, tag: int) -> None:
        self._outbox.put(self._note(command, waiter, tag), command)

    async def run(self) -> None:
        """Keeps the link up until it is cancelled."""
        retry_s = RETRY_MIN_S
        try:
            while True:
                try:
                    await self._linked()
                except (grpc.aio.AioRpcError, TimeoutError, EOFError) as error:
                    log.warning("link broke", why=_why(error))
                    self._look_at(error)
                if self.up.is_set():
                    retry_s = RETRY_MIN_S
                self._down()
                if await self._reached.renew():
                    self.stub = matching_pb2_grpc.MatchingServiceStub(self._reached.channel)
                await asyncio.sleep(retry_s)
                retry_s = min(RETRY_MAX_S, retry_s * 2)
        finally:
            self._down()
            await self._reached.close()

    def _look_at(self, error: Exception) -> None:
        if isinstance(error, grpc.aio.AioRpcError) and reason_of(error) == types.REASON_ALREADY_EXISTS:
            log.error("another process has this gateway's name", gateway=self._settings.gateway_id)
            for watcher in self._watchers:
                watcher.displaced()

    def _down(self) -> None:
        self.up.clear()
        up_gauge.set(0)
        self._changed(self.last_seq or 0, self.epoch, up=False)

    async def _linked(self) -> None:
        """One life of the link: logon, what was missed, unanswered commands, then the live flow."""
        self._outbox = Outbox()
        outgoing = self._frames(self._outbox)
        call = self.stub.Link(outgoing, metadata=service_metadata(self._settings, self._settings.gateway_id))
        responses: AsyncIterator[wire.LinkResponse] = aiter(call)
        try:
            first = await _next(responses)
            await self._catch_up(first)
            self._resend()
            self.up.set()
            up_gauge.set(1)
            self._changed(self.last_seq or 0, self.epoch, up=True)
            log.info("link up", epoch=self.epoch, last_seq=self.last_seq, resent=len(self._pending))
            while True:
                response = await _next(responses)
                if response.HasField("batch"):
                    self._take(response.batch)
                    for batch in response.further:
                        self._take(batch)
        finally:
            self._outbox.close()
            call.cancel()

    async def _frames(self, outbox: Outbox) -> AsyncIterator[wire.LinkRequest]:
        logon = wire.LinkLogon(gateway_id=self._settings.gateway_id, incarnation=self.incarnation)
        yield wire.LinkRequest(logon=logon)
        while taken := await outbox.take():
            frame = wire.LinkFrame(first_correlation=taken[0][0], commands=[command for _, command in taken])
            yield wire.LinkRequest(frame=frame)

    async def learn(self) -> None:
        """Takes in the listed instruments; answers of matching may be ahead of what the link has told."""
        listed = await self.stub.ListInstruments(wire.ListInstrumentsRequest())
        for terms in listed.instruments:
            self._instruments.add(terms)

    async def _catch_up(self, first: wire.LinkResponse) -> None:
        """Learns the instruments, and reads the events that passed while there was no link."""
        await self.learn()
        accepted_seq = first.accepted.last_seq
        self.epoch = first.epoch
        if self.last_seq is None:
            self.last_seq = accepted_seq
        if self.last_seq < accepted_seq:
            await self._hear_missed(self.last_seq, accepted_seq)

    async def _hear_missed(self, after_seq: int, until_seq: int) -> None:
        """Reads what passed while there was no link; goes on from the present when it is not kept any more."""
        request = wire.StreamEventsRequest(
            follower=self._settings.gateway_id, resume_after=after_seq, until_seq=until_seq
        )
        try:
            async for response in self.stub.StreamEvents(request):
                if response.prev_seq != self.last_seq:
                    raise EOFError(f"the feed goes on after {response.prev_seq}, not after {self.last_seq}")
                self._hear(response.events, 0)
        except grpc.aio.AioRpcError as error:
            if reason_of(error) != types.REASON_SNAPSHOT_REQUIRED:
                raise
            log.error("events were missed for good", after_seq=self.last_seq, until_seq=until_seq)
            for watcher in self._watchers:
                watcher.missed()
            self.last_seq = until_seq
        if self.last_seq != until_seq:
            # Matching ends its streams when it is told to stop.
            raise EOFError(f"the feed ended at {self.last_seq}, and {until_seq} has happened")

    def _resend(self) -> None:
        """Puts every unanswered command in line again, in the old order."""
        unanswered = self._ahead + list(self._pending.values())
        self._pending.clear()
        self._ahead.clear()
        for command, waiter, tag in unanswered:
            self._put(command, waiter, tag)
        resent_total.inc(len(unanswered))

    def _take(self, batch: wire.LinkBatch) -> None:
        """Tells the waiters their answers and the listener all events."""
        told = [Event(data) for data in batch.events]
        durable_unix_ns = batch.durable_unix_ns
        replays = {replay.correlation: replay.event for replay in batch.replays}
        refusals = {refusal.correlation: refusal.reason for refusal in batch.refusals}
        for seq, correlation in zip(batch.command_seqs, batch.correlations, strict=True):
            pending = self._pending.pop(correlation, None)
            if pending is None:
                continue
            _, waiter, tag = pending
            if seq:
                waiter.answered(tag, _events_of(seq, told), durable_unix_ns, repeated=False)
            elif correlation in replays:
                original = Event(replays[correlation])
                waiter.answered(tag, [original], durable_unix_ns, repeated=True)
            else:
                waiter.refused(tag, _not_taken(refusals.get(correlation, types.REASON_INTERNAL)))
        self._tell(told, durable_unix_ns)
        if not self._pending:
            self._idle.set()

    def _hear(self, encoded: Sequence[bytes], durable_unix_ns: int) -> None:
        self._tell([Event(data) for data in encoded], durable_unix_ns)

    def _tell(self, told: Sequence[Event], durable_unix_ns: int) -> None:
        if not told:
            return
        for event in told:
            if not event.account:
                self._learn(event.parsed())
        self.last_seq = told[-1].seq
        self._listener(told, self.epoch, durable_unix_ns)

    def _learn(self, event: events.Event) -> None:
        """Takes in what is about no order."""
        self._instruments.learn(event)
        if event.HasField("session_closed"):
            for watcher in self._watchers:
                watcher.session_closed(event.session_closed.session_id)


def _unreachable() -> Refused:
    return Refused(types.REASON_MATCHING_UNAVAILABLE, "the matching engine cannot be reached at the moment")


def _not_taken(reason: types.Reason.ValueType) -> Refused:
    """The refusal of a command that matching has answered without an event: nothing happened."""
    if reason == types.REASON_INTERNAL:
        return Refused(reason, "a fault of the server")
    if reason == types.REASON_TOO_LATE:
        return Refused(reason, "it reached the venue too late and was not carried out", retry_after_s=0.0)
    return Refused(
        reason, "the venue has no room to write orders down; cancels are taken", retry_after_s=REFUSED_RETRY_S
    )


def _events_of(command_seq: int, told: Sequence[Event]) -> Sequence[Event]:
    """The events of one command out of a batch, whose sequences are dense."""
    begin = command_seq - told[0].seq
    end = begin
    while not told[end].last_of_command:
        end += 1
    return told[begin : end + 1]


def _why(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or "silence"


async def _next(responses: AsyncIterator[wire.LinkResponse]) -> wire.LinkResponse:
    """The next message; matching sends one at least every second.

    Raises:
        TimeoutError: it was silent for too long.
        EOFError: the stream has ended.
    """
    async with asyncio.timeout(SILENCE_MAX_S):
        response = await anext(responses, None)
    if response is None:
        raise EOFError("the link was ended by matching")
    return response
