"""The sending side of a session: numbered commands, the window they wait in, and sending them again.

Invariants: commands go out in the order of their numbers; one that the gateway
could not decide is sent again before anything newer; one message at a time is
written. `clients.sdk.session` owns the connection that it writes to.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from ordergate.orders.v1 import order_entry_pb2 as entry

from clients.sdk import errors, wire
from clients.sdk.backoff import Backoff
from clients.sdk.chain import Chain
from clients.sdk.inbox import Answer, Inbox
from clients.sdk.window import Window

FRAME_COMMANDS_DEFAULT = 256


class Line(ABC):
    """The commands of a session, whatever connection they go out by."""

    def __init__(self, window: int, chain: Chain, reconnect_s: float) -> None:
        self._window = Window(window)
        self._inbox = Inbox(self._window, chain)
        self._call: Any = None
        """What is written to; None while commands only gather."""
        self._lock = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._answered = asyncio.Event()
        self._frame_max = FRAME_COMMANDS_DEFAULT
        self._key_prefix = uuid4().hex[:20]
        self._tasks: set[asyncio.Task[None]] = set()
        self._undecided_backoff = Backoff(reconnect_s)
        self._undecided: set[int] = set()
        self._resending = False
        self._lost: errors.OrdergateError | None = None
        self._last_written = 0
        self.resent = 0

    @abstractmethod
    def _check_open(self) -> None:
        """Raises what has ended the session, if anything has."""

    async def _send_chunk(
        self, chunk: Sequence[entry.SessionCommand], waiting: "asyncio.Future[Answer] | None" = None
    ) -> None:
        """Sends commands to the end, whoever stops waiting: with a write that is cancelled gRPC ends the whole call."""
        await asyncio.shield(self._spawn(self._sent(chunk, waiting)))

    async def _sent(self, chunk: Sequence[entry.SessionCommand], waiting: "asyncio.Future[Answer] | None") -> None:
        async with self._lock:
            for command in chunk:
                self._give_key(command)
            self._window.add(chunk)
            if waiting is not None:
                self._inbox.awaited[chunk[0].correlation_id] = waiting
            if self._call is not None:
                await self._write(self._call, chunk)

    async def _room(self, wanted: int) -> int:
        while self._window.room < wanted:
            await self._next_answer()
        self._check_open()
        return self._window.room

    async def _next_answer(self) -> None:
        self._check_open()
        self._answered.clear()
        await self._answered.wait()

    def _give_key(self, command: entry.SessionCommand) -> None:
        kind = command.WhichOneof("command")
        if kind is None or kind == "renew_timer":
            return
        request, field = getattr(command, kind), "quote_id" if kind == "quote" else "cl_ord_id"
        if not getattr(request, field):
            key = f"{self._key_prefix}-{self._window.last_correlation_id + 1}-{uuid4().hex[:6]}"
            setattr(request, field, key)

    def _begin_resend(self, call: Any) -> None:
        """From here on commands go out by `call`, those without an answer first; the caller holds the lock."""
        self._undecided = {command.correlation_id for command in self._window.begin_resend()}
        self._resending = True
        self._call = call

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

    def _schedule_resend(self, call: Any, undecided: Sequence[int]) -> None:
        if not self._resending:
            self._resending = True
            self._spawn(self._resend_later(call))
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
        await self._put(call, entry.OrderSessionRequest(frame=entry.CommandFrame(commands=commands)))

    async def _put(self, call: Any, message: entry.OrderSessionRequest) -> None:
        """Writes a message; gRPC takes one at a time."""
        async with self._writing:
            with suppress(errors.Unavailable):
                await wire.write(call, message)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
