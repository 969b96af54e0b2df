"""An order session: frames of commands in, frames of sequenced reports out.

One task reads and hands over, one loop writes; between them stand the reader's
bounded queue and a window of unanswered commands. The session is a command of
the venue before its first order and another after its last, so that its orders
can end with it. Every way in which a session ends is told in band, with the
sequence to resume after. `gateway.sessions` makes and runs it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from ordergate.orders.v1 import order_entry_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from gateway.encoding import report_frame
from gateway.events import Event
from gateway.history import read
from gateway.latency import latency
from gateway.link import Link
from gateway.reports import Reader, Reports, Told, cut_total
from gateway.session_answers import Answers
from gateway.session_commands import Encoded, SessionCommands
from gateway.session_life import Closing, Opening, Reopening
from gateway.session_terms import Terms
from runtime.clock import timestamp, unix_ns
from runtime.errors import Refused
from runtime.instruments import Instruments
from runtime.logs import get_logger

FRAME_COMMANDS_MAX = 1_024
FRAME_REPORTS_MAX = 2_048
RETRY_DELAY_MS = 500
BLOCKED_S_MIN = 0.25
"""A message that went to the transport without delay says nothing about the reader, however old it was."""
ANSWERED_FIRST = frozenset({types.REASON_UNSPECIFIED, types.REASON_DRAINING, types.REASON_TOKEN_EXPIRED})
"""Ends that wait for the answers to what the client has sent."""
SAID_AT_ONCE = frozenset({types.REASON_TOKEN_REVOKED, types.REASON_SLOW_CONSUMER})
"""Ends that what waits to be sent does not hold up: its reader may not have it any more, or does not take it."""

log = get_logger(__name__)


class Session(Reader):
    """What the gateway knows of one live session."""

    def __init__(
        self,
        stream_id: str,
        terms: Terms,
        commands: SessionCommands,
        link: Link,
        reports: Reports,
        instruments: Instruments,
    ) -> None:
        super().__init__(terms.accounts, reports.last_seq)
        self.stream_id = stream_id
        self.terms = terms
        self.commands = commands
        self._link = link
        self._reports = reports
        self._answers = Answers(reports, instruments, self.news.set, alone=terms.answers_only)
        self._answers_only = terms.answers_only
        self._sent_seq = self.start_seq if terms.resume_after is None else terms.resume_after
        self.replaying = self._sent_seq < self.start_seq
        self._past: list[Told] = []
        self._past_room = asyncio.Event()
        self._past_room.set()
        self._notices: dict[int, types.Draining] = {}
        self._handed_s = 0.0
        self._heard_seq = 0
        """The last event heard before it was closed; 0 when what waited to be sent was dropped."""
        self._is_open = False
        self._is_reopened = False
        self.has_left = False
        """Whether its end was handed to the link."""
        self.break_off: Callable[[], None] | None = None
        """Breaks the call off; given by whoever runs the session."""
        self.on_gone: Callable[[], None] | None = None
        """Hears that the venue has answered its end; given by whoever has the sessions."""
        self._history: asyncio.Task[None] | None = None
        self.end: types.StreamEnd | None = None

    # Its life in the venue

    def open(self) -> None:
        """Begins the session in the venue.

        Raises:
            Refused: matching cannot be reached, or too many commands wait.
        """
        self._link.submit([self.commands.opening()], Opening(self.opened, self.finish), [0])

    def opened(self) -> None:
        """Hears that the venue knows the session."""
        self._is_open = True
        self.news.set()

    def reopen(self) -> None:
        """Begins the session again ahead of its unanswered commands: the venue has ended it while the link was down.

        What was sent in it and is sent again must not rest in the book without it; it ends with it.
        """
        if not self._is_reopened:
            self._is_reopened = True
            self._link.submit_first(self.commands.opening(), Reopening())

    def leave(self) -> None:
        """Ends the session in the venue, once, whether or not matching can be reached now."""
        if not self.has_left:
            self.has_left = True
            self._link.submit_surely(self.commands.closing(), Closing(self._gone))

    def _gone(self) -> None:
        if self.on_gone is not None:
            self.on_gone()

    # Its life as a stream

    def finish(self, reason: types.Reason.ValueType, text: str) -> None:
        """Ends the session in band; when is for the reason to decide."""
        if self.end is None:
            self.end = types.StreamEnd(reason=reason, text=text, retry_delay_ms=RETRY_DELAY_MS)
            log.info("session ends", session=self.stream_id, name=self.terms.name, reason=reason, text=text)
        if reason == types.REASON_SNAPSHOT_REQUIRED:
            self.closed = True
        if reason in SAID_AT_ONCE:
            self._drop()
        self.news.set()

    def warn(self, notice: types.Draining) -> None:
        """Tells the client that the end is near; a newer notice replaces one that was not sent."""
        self._notices[notice.reason] = notice
        self.news.set()

    def stalled_s(self, now_s: float) -> float:
        """Age in seconds of the oldest message that the client has not taken; 0 for none."""
        if not self._handed_s or now_s - self._handed_s < BLOCKED_S_MIN:
            return 0.0
        return max(super().stalled_s(now_s), now_s - self._handed_s)

    def abort(self) -> None:
        """Breaks the call off: its reader takes nothing."""
        self._drop()
        if self.break_off is not None:
            self.break_off()

    def hear(self, event: Event, epoch: int, durable_unix_ns: int) -> None:
        """Takes a live event, unless the session wants only the answers to its own commands."""
        direct = self._answers.direct
        if self.closed:
            return
        tag = direct.pop(event.seq, None) if direct else None
        if tag is not None or not self._answers_only:
            self.offer((event, epoch, durable_unix_ns, tag or 0))
            if tag and self.closed and self.replaying:
                # It did not fit, and comes from history; which command it answers does not.
                direct[event.seq] = tag

    def overflow(self) -> None:
        """Cuts the reader; one that is still at its history reads that further instead."""
        if self.replaying:
            # What was heard will be read again; which command it answered is not in the journal.
            self._answers.direct.update((event.seq, tag) for event, _, _, tag in self.reports if tag)
            self.closed = True
            self.take()
        else:
            cut_total.inc()
            self.finish(types.REASON_SLOW_CONSUMER, "the session did not take its reports fast enough")

    # In

    async def take_frame(self, frame: wire.CommandFrame, received_unix_ns: int) -> None:
        """Hands the client's commands over, once there is room for them.

        Raises:
            Refused: the frame is too long.
        """
        if len(frame.commands) > FRAME_COMMANDS_MAX:
            text = f"a frame has at most {FRAME_COMMANDS_MAX} commands, this one has {len(frame.commands)}"
            raise Refused(types.REASON_MESSAGE_TOO_LARGE, text, field="commands")
        await self._answers.room.wait()
        if self.end is not None:
            return
        encoded = Encoded([], [], [])
        encode = self.commands.encode
        for command in frame.commands:
            try:
                encode(command, received_unix_ns, encoded)
            except Refused as refused:
                self._answers.refuse(command.correlation_id, refused)
        if encoded.commands:
            commands, tags = await self._charged(encoded)
            # It may have waited for a lease: what comes behind the session's end would rest without it.
            if self.end is None:
                self._hand_over(commands, tags)

    async def _charged(self, encoded: Encoded) -> tuple[list[bytes], list[int]]:
        """The commands that are within the limits, and their tags; the others are refused."""
        over = await self.commands.charge(encoded)
        if not over:
            return encoded.commands, encoded.tags
        for place in sorted(over):
            self._answers.refuse(encoded.tags[place], over[place])
        within = [place for place in range(len(encoded.tags)) if place not in over]
        return [encoded.commands[place] for place in within], [encoded.tags[place] for place in within]

    def _hand_over(self, commands: Sequence[bytes], tags: Sequence[int]) -> None:
        if not commands:
            return
        try:
            self._link.submit(commands, self._answers, tags)
        except Refused as refused:
            for tag in tags:
                self._answers.refuse(tag, refused)
            return
        self._answers.expect(len(commands))

    # Out

    async def write(self, accepted: wire.LogonAccepted) -> AsyncIterator[wire.OrderSessionResponse | bytes]:
        """Everything that the session has to say, until its end is said.

        Args:
            accepted: what holds; said once the venue knows the session.
        """
        while not (self._is_open or self.end is not None):
            self.news.clear()
            await self.news.wait()
        if self._is_open:
            accepted.resume_after = self._sent_seq
            yield self._message(self._sent_seq, logon=accepted)
        self._history = asyncio.create_task(self._replay(), name=f"history of {self.stream_id}")
        try:
            while True:
                for notice in self._taken_notices():
                    yield self._message(self._sent_seq, draining=notice)
                self._near_the_end()
                part, replies = self._next_part(), self._answers.take(FRAME_REPORTS_MAX)
                if part or replies:
                    yield self._frame(part, replies)
                elif self.closed and self.end is not None:
                    # First: who reads the end may trust that the session's orders end too.
                    self.leave()
                    self.end.resume_after = self._position()
                    yield self._message(self.end.resume_after, end=self.end)
                    return
                elif not await self._has_news():
                    yield self._message(self._position(), heartbeat=self._heartbeat())
        finally:
            self.forget_history()

    def forget_history(self) -> None:
        """Reads the past no further; the generators around a call may be closed late when its client goes away."""
        if self._history is not None:
            self._history.cancel()

    def handing(self) -> None:
        """Notes that a message is on its way to the client."""
        self._handed_s = time.monotonic()

    def handed(self) -> None:
        """Notes that the message was taken."""
        self._handed_s = 0.0

    def _near_the_end(self) -> None:
        """Hears no more once only what waits to be sent stands before the end."""
        if self.end is None or (self.closed and not self.replaying):
            return
        if self.end.reason in ANSWERED_FIRST and self._answers.unanswered and self._link.up.is_set():
            return
        if self.replaying:
            # Live reports must not follow a history that breaks off; the client resumes before them.
            self.replaying = False
            self._past = []
            self.take()
        else:
            self._heard_seq = self._reports.last_seq
        self.closed = True

    def _position(self) -> int:
        """The last event that the client has, or that is none for it."""
        if self.replaying or self.reports:
            return self._sent_seq
        return max(self._sent_seq, self._heard_seq if self.closed else self._reports.last_seq)

    async def _has_news(self) -> bool:
        """Waits for something to say; False when it is time for a heartbeat."""
        self.sent()
        if self.news.is_set():
            self.news.clear()
            return True
        try:
            async with asyncio.timeout(self.terms.heartbeat_s):
                await self.news.wait()
        except TimeoutError:
            return False
        self.news.clear()
        return True

    def _next_part(self) -> list[Told]:
        """The reports of the next frame; none while there are none."""
        if not self.replaying:
            return self.take_part()
        part, self._past = self._past[:FRAME_REPORTS_MAX], self._past[FRAME_REPORTS_MAX:]
        if part:
            self.given()
        if not self._past:
            self._past_room.set()
        return part

    async def _replay(self) -> None:
        """Reads history up to the live reports, again and again if those did not fit into the queue meanwhile."""
        after_seq = self._sent_seq
        direct = self._answers.direct
        try:
            while after_seq < self.start_seq:
                async for past in read(
                    lambda: self._link.stub, self.stream_id, self.accounts, after_seq, self.start_seq
                ):
                    if past.events:
                        await self._past_room.wait()
                        self._past_room.clear()
                        self._past = [(event, past.epoch, 0, direct.pop(event.seq, 0)) for event in past.events]
                        self.news.set()
                await self._past_room.wait()
                after_seq = self.start_seq
                if self.closed and self.end is None:
                    self.start_seq, self.closed = self._reports.last_seq, False
        except Refused as refused:
            self.finish(refused.reason, refused.text)
            return
        except Exception as error:
            log.error("a session's history could not be read", session=self.stream_id, exc_info=error)
            self.finish(types.REASON_INTERNAL, "the session's history could not be read")
            return
        self.replaying = False
        self.news.set()

    def _drop(self) -> None:
        """Forgets what waits to be sent; the client resumes before it."""
        self.closed = True
        self._heard_seq = 0
        self.replaying = False
        self._past = []
        self._answers.drop()
        self.take()

    def _taken_notices(self) -> list[types.Draining]:
        notices = list(self._notices.values())
        self._notices.clear()
        return notices

    def _frame(self, part: list[Told], replies: list[wire.CommandReply]) -> bytes:
        """A frame's message, laid out: its reports are never message objects."""
        sent_unix_ns = unix_ns()
        encode = self._reports.encode
        head = self._message(part[-1][0].seq if part else self._sent_seq)
        latency.count_all(part, sent_unix_ns)
        return report_frame(head, [encode(told, sent_unix_ns) for told in part], replies)

    def _heartbeat(self) -> types.Heartbeat:
        return types.Heartbeat(last_seq=self._sent_seq, time=timestamp(unix_ns()))

    def _message(
        self,
        seq: int,
        logon: wire.LogonAccepted | None = None,
        heartbeat: types.Heartbeat | None = None,
        draining: types.Draining | None = None,
        end: types.StreamEnd | None = None,
    ) -> wire.OrderSessionResponse:
        prev_seq, self._sent_seq = self._sent_seq, seq
        return wire.OrderSessionResponse(
            stream_id=self.stream_id,
            epoch=self._reports.epoch,
            seq=seq,
            prev_seq=prev_seq,
            logon=logon,
            heartbeat=heartbeat,
            draining=draining,
            end=end,
        )
