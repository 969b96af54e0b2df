"""The order session: frames of commands out, sequenced reports in, over as many connections as it takes.

Invariants: each report is given out once and in sequence; each command stays in
the window until its answer has arrived; after a reconnect the session logs on
with `resume_after` and sends every unanswered command again, in order, which is
safe because the venue executes a `cl_ord_id` once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders

from clients.sdk import errors, wire
from clients.sdk.backoff import Backoff
from clients.sdk.calls import Caller, bearer
from clients.sdk.chain import Chain, ChainBroken
from clients.sdk.inbox import Inbox, SessionFrame
from clients.sdk.streams import HEARTBEATS_MISSED_MAX, SAME_GAP_MAX, end_error, gap_error, may_reconnect
from clients.sdk.window import Window

WINDOW_DEFAULT = 4096
FRAME_COMMANDS_DEFAULT = 256
BUFFERED_FRAMES_MAX = 1024
"""So many frames may wait for the application; beyond it the session stops reading."""
LOGOUT_S = 2.0
RENEWALS_PER_TIMER = 3


class Session:
    """An order session; made by `Client.session`, used as an async context manager.

    Sending waits while the window is full, so something has to read the reports meanwhile.

    Attributes:
        reconnects: how often the connection was made anew.
        resent: how many commands were sent again.
    """

    def __init__(self, caller: Caller, method: Any, logon: entry.Logon, *, window: int = WINDOW_DEFAULT) -> None:
        self._caller = caller
        self._method = method
        self._logon = logon
        self._window = Window(window)
        self._chain = Chain(logon.resume_after if logon.HasField("resume_after") else None)
        self._inbox = Inbox(self._window, self._chain)
        self._lock = asyncio.Lock()
        self._call: Any = None
        self._buffer: deque[SessionFrame] = deque()
        self._arrived = asyncio.Event()
        self._consumed = asyncio.Event()
        self._answered = asyncio.Event()
        self._failure: BaseException | None = None
        self._closing = False
        self._frame_max = FRAME_COMMANDS_DEFAULT
        self._key_prefix = uuid4().hex[:20]
        self._tasks: set[asyncio.Task[None]] = set()
        self._undecided_backoff = Backoff(caller.patience.reconnect_s)
        self._undecided: set[int] = set()
        self._resending = False
        self._lost: errors.OrdergateError | None = None
        self._heartbeats = 0
        self._last_written = 0
        self.reconnects = 0
        self.resent = 0

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
        """Sequence of the last report that has arrived; `resume_after` of a session that shall follow."""
        return self._chain.position or 0

    @property
    def epoch(self) -> int:
        """Incarnation of the matching server, as last heard."""
        return self._inbox.epoch

    @property
    def unanswered(self) -> int:
        """Commands that have no answer yet."""
        return len(self._window)

    async def send(self, commands: Sequence[entry.SessionCommand]) -> range:
        """Sends commands, in frames as large as the window and the gateway permit.

        Each command gets the next correlation id, from 1 in the first call. Orders, cancels and
        replaces without a `cl_ord_id` get one. Returns the correlation ids.

        Raises:
            OrdergateError: the session has failed for good.
        """
        first = self._window.last_correlation_id + 1
        begin = 0
        while begin < len(commands):
            wanted = min(len(commands) - begin, self._frame_max)
            room = await self._room(min(wanted, max(1, self._window.limit // 4)))
            chunk = commands[begin : begin + min(wanted, room)]
            begin += len(chunk)
            async with self._lock:
                for command in chunk:
                    self._give_key(command)
                self._window.add(chunk)
                if self._call is not None:
                    await self._write(self._call, chunk)
        return range(first, self._window.last_correlation_id + 1)

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
                        await wire.write(call, entry.OrderSessionRequest(logout=entry.Logout()))
                    await asyncio.wait({self._runner})
        await self._stop()

    async def _stop(self) -> None:
        self._closing = True
        for task in (self._runner, *self._tasks):
            task.cancel()
        await asyncio.gather(self._runner, *self._tasks, return_exceptions=True)
        self._wake()

    async def _room(self, wanted: int) -> int:
        while self._window.room < wanted:
            await self._next_answer()
        if self._failure is not None:
            raise self._failure
        return self._window.room

    async def _next_answer(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._runner.done():
            raise errors.Unavailable("the session is closed", reason="CLOSED")
        self._answered.clear()
        await self._answered.wait()

    def _give_key(self, command: entry.SessionCommand) -> None:
        kind = command.WhichOneof("command")
        if kind in ("submit", "cancel", "replace", "mass_cancel"):
            request = getattr(command, kind)
            if not request.cl_ord_id:
                request.cl_ord_id = f"{self._key_prefix}-{self._window.last_correlation_id + 1}-{uuid4().hex[:6]}"

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

    async def _pause(self, error: errors.OrdergateError, backoff: Backoff, had_begun: bool) -> None:
        """Waits before the next connection; raises when there is no next one."""
        delay_s = backoff.next_delay(error.retry_after or 0.0) if may_reconnect(error, had_begun) else None
        if self._closing:
            return
        if self._lost is not None or delay_s is None:
            raise self._lost or error
        await asyncio.sleep(delay_s)

    async def _connection(self, backoff: Backoff, started: "asyncio.Future[None]") -> None:
        """One connection, until it ends: in order when the session is closing, else with an error."""
        call = self._method(metadata=await bearer(self._caller.token))
        tasks: list[asyncio.Task[None]] = []
        try:
            interval_s = await self._log_on(call)
            backoff.succeeded(self._caller.patience.reconnect_s)
            tasks.append(asyncio.create_task(self._take_over(call, started)))
            if self._logon.dead_man_timer_ms:
                tasks.append(asyncio.create_task(self._renew_timer(call)))
            await self._read_all(call, HEARTBEATS_MISSED_MAX * interval_s)
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
        accepted = message.logon
        self._inbox.accept(message)
        self._frame_max = accepted.max_frame_commands or FRAME_COMMANDS_DEFAULT
        return accepted.heartbeat_interval_s or 1

    async def _take_over(self, call: Any, started: "asyncio.Future[None]") -> None:
        """Sends again what has no answer, then lets new commands use the connection."""
        async with self._lock:
            self._undecided = {command.correlation_id for command in self._window.begin_resend()}
            self._resending = True
            self._call = call
            if started.done():
                self.reconnects += 1
            else:
                started.set_result(None)
            await self._send_undecided(call, 0.0)

    async def _send_undecided(self, call: Any, delay_s: float | None) -> None:
        """Sends what was not decided, each frame once the one before is decided; the caller holds the lock.

        A frame that overtook a refused one would change the order of the commands.
        """
        while self._undecided and delay_s is not None and self._call is call:
            await asyncio.sleep(delay_s)
            chunk = self._window.waiting_among(self._undecided)[: self._frame_max]
            if not chunk:
                break
            numbers = {command.correlation_id for command in chunk}
            self._undecided -= numbers
            self.resent += sum(number <= self._last_written for number in numbers)
            await self._write(call, chunk)
            while self._call is call and any(self._is_open(number) for number in numbers):
                await self._next_answer()
            refused = not numbers.isdisjoint(self._undecided)
            delay_s = self._undecided_backoff.next_delay() if refused else 0.0
        self._undecided.clear()
        self._resending = False
        if delay_s is None:
            self._lost = errors.OutcomeUnknown(
                "matching did not decide within the session's patience", reason="UNDECIDED"
            )
            call.cancel()

    def _is_open(self, correlation_id: int) -> bool:
        """Whether neither an answer nor a refusal to decide has come."""
        return correlation_id not in self._undecided and self._window.holds(correlation_id)

    async def _renew_timer(self, call: Any) -> None:
        every_s = self._logon.dead_man_timer_ms / 1000 / RENEWALS_PER_TIMER
        renewal = [entry.SessionCommand(renew_timer=entry.RenewTimer())]
        while True:
            await asyncio.sleep(every_s)
            async with self._lock:
                await self._write(call, renewal)

    async def _read_all(self, call: Any, silence_s: float) -> None:
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
                self._heartbeats += 1
                self._answered.set()
            elif which == "gap":
                raise gap_error("execution reports", message.gap.from_seq, message.gap.to_seq)
            elif which == "end":
                if self._closing:
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

    def _schedule_resend(self, call: Any, undecided: Sequence[int]) -> None:
        if not self._resending:
            self._resending = True
            task = asyncio.create_task(self._resend_later(call))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._undecided.update(undecided)
        self._answered.set()

    async def _resend_later(self, call: Any) -> None:
        """Sends again after a pause what was not decided; nothing new overtakes it meanwhile."""
        async with self._lock:
            if self._call is call:
                await self._send_undecided(call, self._undecided_backoff.next_delay())

    async def _write(self, call: Any, commands: Sequence[entry.SessionCommand]) -> None:
        """Writes a frame; a connection that breaks meanwhile is the reader's affair."""
        self._last_written = max(self._last_written, commands[-1].correlation_id)
        with suppress(errors.Unavailable):
            await wire.write(call, entry.OrderSessionRequest(frame=entry.CommandFrame(commands=commands)))

    def _wake(self) -> None:
        self._arrived.set()
        self._answered.set()
        self._consumed.set()
