"""The order session: frames of commands out, sequenced reports in, over as many connections as it takes.

Invariants: each report is given out once and in sequence; each command stays in
the window until its answer has arrived; after a reconnect the session logs on
with `resume_after` and sends every unanswered command again, in order, which is
safe because the venue executes a `cl_ord_id` once. A gateway that is about to
stop is left for another one where there is one: nothing new is sent, what was
sent is answered, and the session goes on there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.sdk import errors, upkeep, wire
from clients.sdk.asking import Asking
from clients.sdk.backoff import Backoff
from clients.sdk.calls import Caller, bearer
from clients.sdk.chain import Chain, ChainBroken
from clients.sdk.inbox import Answer, SessionFrame
from clients.sdk.line import FRAME_COMMANDS_DEFAULT, Line
from clients.sdk.places import Method
from clients.sdk.streams import HEARTBEATS_MISSED_MAX, SAME_GAP_MAX, Moves, end_error, gap_error, may_reconnect

WINDOW_DEFAULT = 4096
BUFFERED_FRAMES_MAX = 1024
"""So many frames may wait for the application; beyond it the session stops reading."""
LOGOUT_S = 2.0


class Session(Line, Asking):
    """An order session; made by `Client.session`, used as an async context manager.

    Sending waits while the window is full, so something has to read the reports meanwhile.

    Attributes:
        accepted: the gateway's answer to the last logon.
        reconnects: how often the connection was made anew.
        resent: how many commands were sent again.
    """

    def __init__(self, caller: Caller, method: Method, logon: entry.Logon, *, window: int = WINDOW_DEFAULT) -> None:
        self._chain = Chain(logon.resume_after if logon.HasField("resume_after") else None)
        super().__init__(window, self._chain, caller.patience.reconnect_s)
        self._caller = caller
        self._method = method
        self._moves = Moves(caller, method)
        self._logon = logon
        self._place = 0
        self._turn = asyncio.Lock()
        self._buffer: deque[SessionFrame] = deque()
        self._arrived = asyncio.Event()
        self._consumed = asyncio.Event()
        self._failure: BaseException | None = None
        self._closing = False
        self._leaving: Any = None
        self._heartbeats = 0
        self.accepted = entry.LogonAccepted()
        self.reconnects = 0

    async def __aenter__(self) -> Self:
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._runner = asyncio.create_task(self._run(started))
        try:
            await started
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def last_seq(self) -> int:
        """Everything up to this sequence has arrived; `resume_after` of a session that shall follow."""
        return self._chain.position or 0

    @property
    def epoch(self) -> int:
        """Incarnation of the matching server, as last heard."""
        return self._inbox.epoch

    @property
    def unanswered(self) -> int:
        """Commands that have no answer yet."""
        return len(self._window)

    @property
    def open_commands(self) -> list[entry.SessionCommand]:
        """The commands that have no answer yet, in sending order; a session that follows may send them again."""
        return self._window.commands

    async def send(self, commands: Sequence[entry.SessionCommand]) -> range:
        """Sends commands, in frames as large as the window and the gateway permit.

        Each command gets the next correlation id, from 1 in the first call. Those without a key of
        their own get one. Returns the correlation ids.

        Raises:
            OrdergateError: the session has failed for good.
        """
        async with self._turn:
            first = self._window.last_correlation_id + 1
            begin = 0
            while begin < len(commands):
                wanted = min(len(commands) - begin, self._frame_max)
                room = await self._room(min(wanted, max(1, self._window.limit // 4)))
                chunk = commands[begin : begin + min(wanted, room)]
                begin += len(chunk)
                await self._send_chunk(chunk)
            return range(first, self._window.last_correlation_id + 1)

    async def ask(self, command: entry.SessionCommand) -> Answer:
        """Sends a command and waits for its answer; who stops waiting does not take the command back.

        Raises:
            OrdergateError: the session has failed for good, or is closed.
        """
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        async with self._turn:
            await self._room(1)
            await self._send_chunk([command], waiting)
        try:
            return await waiting
        finally:
            self._inbox.awaited.pop(command.correlation_id, None)

    async def frames(self) -> AsyncGenerator[SessionFrame, None]:
        """What arrives, a message at a time, until the session is closed.

        Raises:
            StreamGap: reports are missing and cannot be had any more.
            OrdergateError: the session has failed for good.
        """
        while True:
            while self._buffer:
                frame = self._buffer.popleft()
                self._consumed.set()
                yield frame
            if self._failure is not None:
                raise self._failure
            if self._runner.done():
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def __aiter__(self) -> AsyncGenerator[orders.ExecutionReport | entry.CommandReply, None]:
        """Every report and every reply, one by one."""
        async for frame in self.frames():
            for report in frame.reports:
                yield report
            for reply in frame.replies:
                yield reply

    async def drained(self) -> None:
        """Waits until every command has its answer.

        Raises:
            OrdergateError: the session has failed for good.
        """
        while len(self._window):
            await self._next_answer()

    async def quiet(self) -> None:
        """Waits for the next heartbeat: all that the gateway had to tell until then has arrived.

        Raises:
            OrdergateError: the session has failed for good.
        """
        heartbeats = self._heartbeats
        while self._heartbeats == heartbeats:
            await self._next_answer()

    async def close(self) -> None:
        """Logs out and ends the session; what was received can still be read."""
        self._closing = True
        call = self._call
        if call is not None:
            with suppress(TimeoutError, errors.OrdergateError):
                async with asyncio.timeout(LOGOUT_S):
                    async with self._lock:
                        await self._put(call, entry.OrderSessionRequest(logout=entry.Logout()))
                    await asyncio.wait({self._runner})
        await self._stop()

    async def _stop(self) -> None:
        self._closing = True
        for task in (self._runner, *self._tasks):
            task.cancel()
        await asyncio.gather(self._runner, *self._tasks, return_exceptions=True)
        self._wake()

    def _check_open(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._runner.done():
            raise errors.Unavailable("the session is closed", reason="CLOSED")

    async def _run(self, started: "asyncio.Future[None]") -> None:
        backoff = Backoff(self._caller.patience.retry_s)
        breaks = 0
        try:
            while not self._closing:
                position = self._chain.position
                try:
                    await self._connection(backoff, started)
                    continue
                except ChainBroken as broken:
                    breaks = breaks + 1 if self._chain.position == position else 1
                    if breaks >= SAME_GAP_MAX:
                        raise gap_error("execution reports", broken.expected + 1, broken.got) from broken
                    error: errors.OrdergateError = errors.Unavailable(str(broken), reason="STREAM_GAP")
                except errors.OrdergateError as failure:
                    error = failure
                await self._pause(error, backoff, started.done())
        except asyncio.CancelledError:
            raise
        except BaseException as failure:
            self._failure = failure
            if not started.done():
                started.set_exception(failure)
        finally:
            self._wake()
            closed = self._failure or errors.Unavailable("the session is closed", reason="CLOSED")
            for waiting in self._inbox.awaited.values():
                if not waiting.done():
                    waiting.set_exception(closed)

    async def _pause(self, error: errors.OrdergateError, backoff: Backoff, had_begun: bool) -> None:
        """Waits before the next connection; raises when there is no next one."""
        elsewhere = self._method.leave(self._place)
        at_least_s = 0.0 if elsewhere else error.retry_after or 0.0
        delay_s = backoff.next_delay(at_least_s) if may_reconnect(error, had_begun) else None
        if self._closing:
            return
        if self._lost is not None or delay_s is None:
            raise self._lost or error
        await asyncio.sleep(delay_s)

    async def _connection(self, backoff: Backoff, started: "asyncio.Future[None]") -> None:
        """One connection, until it ends: as planned when the session closes or moves, else with an error."""
        self._place = self._method.place
        token = await self._caller.token()
        call = self._method.at(self._place)(metadata=bearer(token))
        tasks: list[asyncio.Task[None]] = []
        try:
            interval_s = await self._log_on(call)
            backoff.succeeded(self._caller.patience.reconnect_s)
            expires = self.accepted.token_expires_at
            keeper = upkeep.TokenKeeper(self._caller, token, expires.seconds + expires.nanos / 1e9 or None)
            put = partial(self._put, call)
            tasks.append(asyncio.create_task(self._take_over(call, started)))
            tasks.append(asyncio.create_task(keeper.run(put)))
            if self._logon.dead_man_timer_ms:
                tasks.append(asyncio.create_task(upkeep.renew_timer(put, self._logon.dead_man_timer_ms)))
            await self._read_all(call, HEARTBEATS_MISSED_MAX * interval_s, keeper, token)
        finally:
            self._call = None
            self._answered.set()
            call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _log_on(self, call: Any) -> int:
        """Logs on; gives the heartbeat interval in seconds."""
        logon = entry.Logon()
        logon.CopyFrom(self._logon)
        if self._chain.position is not None:
            logon.resume_after = self._chain.position
        with suppress(errors.Unavailable):  # the read tells why the gateway hung up
            await wire.write(call, entry.OrderSessionRequest(logon=logon), self._caller.patience.call_s)
        message = await wire.read(call, self._caller.patience.call_s)
        if message.WhichOneof("message") == "end":
            raise end_error(message.end)
        self.accepted = message.logon
        self._inbox.accept(message)
        self._frame_max = self.accepted.max_frame_commands or FRAME_COMMANDS_DEFAULT
        return self.accepted.heartbeat_interval_s or 1

    async def _take_over(self, call: Any, started: "asyncio.Future[None]") -> None:
        """Sends again what has no answer, then lets new commands use the connection."""
        async with self._lock:
            self._begin_resend(call)
            if started.done():
                self.reconnects += 1
            else:
                started.set_result(None)
            await self._send_undecided(call, 0.0)

    async def _told(self, notice: types.Draining, call: Any, keeper: upkeep.TokenKeeper, token: str) -> None:
        """Acts on the notice of a near end."""
        if notice.reason == types.REASON_TOKEN_EXPIRED:
            keeper.hurry()
        elif self._leaving is not call and await self._moves.wanted(notice, self._place, token):
            self._leaving = call
            self._spawn(self._leave(call))

    async def _leave(self, call: Any) -> None:
        """Logs out of a gateway that is about to stop, once it has answered what it was sent."""
        async with self._lock:
            while self._call is call and len(self._window):
                await self._next_answer()
            if self._call is call:
                self._call = None
                await self._put(call, entry.OrderSessionRequest(logout=entry.Logout(text="moves on")))

    async def _read_all(self, call: Any, silence_s: float, keeper: upkeep.TokenKeeper, token: str) -> None:
        while True:
            message = await wire.read(call, silence_s)
            which = message.WhichOneof("message")
            if which == "frame":
                self._take_frame(message, call)
                while len(self._buffer) >= BUFFERED_FRAMES_MAX:
                    self._consumed.clear()
                    await self._consumed.wait()
            elif which == "heartbeat":
                self._chain.confirm(message.heartbeat.last_seq)
                self._chain.advance(message.prev_seq, message.seq)
                self._heartbeats += 1
                self._answered.set()
            elif which == "gap":
                raise gap_error("execution reports", message.gap.from_seq, message.gap.to_seq)
            elif which == "draining":
                await self._told(message.draining, call, keeper, token)
            elif which == "end":
                if self._closing or (self._leaving is call and message.end.reason == types.REASON_UNSPECIFIED):
                    return
                raise end_error(message.end)

    def _take_frame(self, message: entry.OrderSessionResponse, call: Any) -> None:
        frame, undecided = self._inbox.take(message)
        if undecided:
            self._schedule_resend(call, undecided)
        self._buffer.append(frame)
        self._arrived.set()
        if frame.answered:
            self._undecided_backoff.succeeded()
            self._answered.set()

    def _wake(self) -> None:
        self._arrived.set()
        self._answered.set()
        self._consumed.set()
