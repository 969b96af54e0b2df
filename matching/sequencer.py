"""The single writer: drains the inbox, stamps, executes, makes durable, and only then releases.

    1 drain    whatever has gathered while the last barrier ran
    2 execute  each command at a strictly increasing time
    3 append   one write and one barrier for all of them
    4 release  results to the gateways, events to the feed, answers to queries

Nothing else touches the engine, so no lock is needed. A query takes its place
between commands and is answered after their barrier: it never shows a state
that could still be lost. If the journal fails, `run` raises and the process
ends; recovery begins from what is on disk. While storage is low, what could make
the venue grow is turned away unsequenced; cancels still fit.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.matching.v1 import matching_pb2 as link
from ordergate.types.v1 import types_pb2 as types
from prometheus_client import Counter, Gauge, Histogram

from matching.batch import Batch, Results
from matching.convert import decode_command, encode_event, encode_events
from matching.core.commands import MassQuote, NewOrder, NewOrderList, ReplaceOrder, TimeTick
from matching.core.engine import Engine
from matching.core.events import Event, Replay
from matching.core.requests import key_of
from matching.encoding import journal_entry
from matching.feed import Feed
from matching.journal.errors import StorageFullError
from matching.journal.interface import Journal
from runtime.clock import NANOS_PER_SECOND, unix_ns
from runtime.logs import get_logger

BATCH_COMMANDS_MAX = 2_048
INBOX_COMMANDS_MAX = 65_536
INLINE_BARRIER_S_MAX = 0.002
"""A barrier that took longer is followed by one beside the event loop."""
STORAGE_RETRY_S = 0.05
"""Time between two attempts to write a batch for which there was no room."""
TIME_TICK = wire.Command(actor="system", time_tick=wire.TimeTick()).SerializeToString()
NO_LINK = 0
"""The link id of commands whose results nobody waits for."""

log = get_logger(__name__)
commands_total = Counter("ordergate_matching_commands_total", "Commands carried out.")
too_late_total = Counter("ordergate_matching_too_late_total", "Orders that came too late to be carried out.")
events_total = Counter("ordergate_matching_events_total", "Events written.")
batch_commands = Histogram(
    "ordergate_matching_batch_commands",
    "Commands in a batch.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048),
)
barrier_seconds = Histogram(
    "ordergate_matching_barrier_seconds",
    "Time to make a batch durable.",
    buckets=(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0),
)
last_seq_gauge = Gauge("ordergate_matching_last_seq", "Last durable event.")
Answer = TypeVar("Answer")


Growing = NewOrder | ReplaceOrder | NewOrderList | MassQuote
GROWING = (NewOrder, ReplaceOrder, NewOrderList, MassQuote)
"""What is turned away while storage is low, or when it comes too late."""


@dataclass(frozen=True, slots=True)
class _Commands:
    """Commands of one link, in order."""

    link_id: int
    first_correlation: int
    commands: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Query:
    """A question to the engine and where its answer goes."""

    ask: Callable[[Engine], Any]
    answer: asyncio.Future[Any]


def _keys(body: Growing) -> list[tuple[str, str]]:
    """The accounts and keys that tell whether a command was carried out before."""
    if isinstance(body, NewOrderList):
        return [(order.account, order.cl_ord_id) for order in body.orders]
    return [(body.account, key_of(body))]


class Sequencer:
    """Orders all commands of the venue."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        feed: Feed,
        after_batch: Callable[[Engine], None] | None = None,
        age_max_s: float = inf,
    ) -> None:
        """Takes the engine over.

        Args:
            engine: recovered.
            journal: what it was recovered from.
            feed: gets every batch once it is durable.
            after_batch: called when a batch is durable and the next has not begun.
            age_max_s: age, from its gateway's having read it, at which an order is not carried out any more.
        """
        self._engine = engine
        self._journal = journal
        self._feed = feed
        self._after_batch = after_batch
        self._age_max_ns = age_max_s * NANOS_PER_SECOND
        self._inbox: list[_Commands | _Query] = []
        self._waiting = 0
        self._stopping = False
        self._barrier_s = inf
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    async def submit(self, link_id: int, first_correlation: int, commands: Sequence[bytes]) -> None:
        """Puts commands in line; waits only while the inbox is full."""
        await self._room.wait()
        self._inbox.append(_Commands(link_id, first_correlation, commands))
        self._waiting += len(commands)
        if self._waiting >= INBOX_COMMANDS_MAX:
            self._room.clear()
        self._arrived.set()

    async def query(self, ask: Callable[[Engine], Answer]) -> Answer:
        """The answer to a question, as of all commands before it, once those are durable."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._inbox.append(_Query(ask, answer))
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """Works until `stop`, and then finishes everything that is in line.

        Raises:
            OSError: the journal cannot be written.
            StorageFullError: it was told to stop, and there is no room for what is in line.
        """
        try:
            while True:
                await self._arrived.wait()
                if self._inbox:
                    await self._drain()
                elif self._stopping:
                    return
                else:
                    self._arrived.clear()
        finally:
            self._disk.shutdown()

    @property
    def storage_low(self) -> bool:
        """Whether orders are turned away because there is no room to write them down."""
        return self._journal.storage_low

    async def tick(self) -> None:
        """Lets the venue know the time when an expiry or a timer is due."""
        due_unix_ns = self._engine.due_unix_ns
        if due_unix_ns and due_unix_ns <= unix_ns():
            await self.submit(NO_LINK, 0, [TIME_TICK])

    def stop(self) -> None:
        """Lets `run` end once the line is empty."""
        self._stopping = True
        self._arrived.set()

    async def _drain(self) -> None:
        work = self._take()
        batch = Batch(self._feed.last_number + 1, self._engine.seq + 1, self._engine.seq)
        answers = [answered for item in work if (answered := self._carry_out(item, batch)) is not None]
        batch.last_seq = self._engine.seq
        if batch.entries:
            await self._make_durable(batch)
        batch.durable_unix_ns = unix_ns()
        if batch.results:
            self._feed.publish(batch)
        last_seq_gauge.set(batch.last_seq)
        for future, answer in answers:
            if not future.done():
                future.set_result(answer)
        if self._after_batch is not None:
            self._after_batch(self._engine)

    def _take(self) -> list[_Commands | _Query]:
        """The next items in line, up to the size of a batch."""
        count = commands = 0
        for item in self._inbox:
            commands += len(item.commands) if isinstance(item, _Commands) else 0
            count += 1
            if commands >= BATCH_COMMANDS_MAX:
                break
        work, self._inbox = self._inbox[:count], self._inbox[count:]
        self._waiting -= commands
        if self._waiting < INBOX_COMMANDS_MAX:
            self._room.set()
        if commands:
            batch_commands.observe(commands)
            commands_total.inc(commands)
        return work

    def _carry_out(self, item: _Commands | _Query, batch: Batch) -> tuple[asyncio.Future[Any], Any] | None:
        if isinstance(item, _Query):
            return self._ask(item)
        results = batch.results_of(item.link_id)
        for correlation, data in enumerate(item.commands, item.first_correlation):
            results.correlations.append(correlation)
            results.command_seqs.append(self._execute(data, correlation, batch, results))
        return None

    def _ask(self, query: _Query) -> tuple[asyncio.Future[Any], Any] | None:
        """A question changes nothing: when it fails, only its asker hears of it."""
        try:
            return query.answer, query.ask(self._engine)
        except Exception as error:
            if not query.answer.done():
                query.answer.set_exception(error)
            return None

    def _execute(self, data: bytes, correlation: int, batch: Batch, results: Results) -> int:
        """Carries out one command; gives the seq of its first event, 0 when it made none."""
        try:
            command = decode_command(data)
        except (DecodeError, KeyError) as error:
            log.error("unreadable command", correlation=correlation, error=repr(error))
            return 0
        if isinstance(command.body, GROWING) and (reason := self._turned_away(command.body, command.received_unix_ns)):
            results.refusals.append(link.LinkRefusal(correlation=correlation, reason=reason))
            return 0
        now_unix_ns = max(unix_ns(), self._engine.time_unix_ns + 1)
        due_unix_ns = self._engine.due_unix_ns
        if due_unix_ns and due_unix_ns <= now_unix_ns and not isinstance(command.body, TimeTick):
            # Nothing may trade past its time, however full the line is.
            self._note(TIME_TICK, now_unix_ns, self._engine.execute(decode_command(TIME_TICK), now_unix_ns), batch)
            now_unix_ns += 1
        told = self._engine.execute(command, now_unix_ns)
        if isinstance(told, Replay):
            event = encode_event(told.original, last_of_command=True)
            results.replays.append(link.LinkReplay(correlation=correlation, event=event))
            return 0
        self._note(data, now_unix_ns, told, batch)
        return told[0].seq

    def _turned_away(self, body: Growing, received_unix_ns: int) -> types.Reason.ValueType:
        """Why a command that could make the venue grow is not even sequenced; 0 when it is.

        One that was carried out before is sequenced whatever its age: its answer is the original one.
        """
        if self._journal.storage_low:
            return types.REASON_STORAGE_FULL
        is_old = received_unix_ns and unix_ns() - received_unix_ns > self._age_max_ns
        if is_old and not all(self._engine.lookup(account, 0, key) for account, key in _keys(body)):
            too_late_total.inc()
            return types.REASON_TOO_LATE
        return types.REASON_UNSPECIFIED

    def _note(self, data: bytes, now_unix_ns: int, told: list[Event] | Replay, batch: Batch) -> None:
        assert not isinstance(told, Replay), "time is never a repetition"
        encoded = encode_events(told)
        batch.events.extend(encoded)
        batch.entries.append(journal_entry(data, now_unix_ns, encoded))

    async def _make_durable(self, batch: Batch) -> None:
        """One barrier: on the loop while the disk is quick, beside it while it is slow.

        Handing a batch to a thread and back costs more than a quick barrier, and
        nothing can be released meanwhile; but a slow disk must not hold up the
        answers to health checks.
        """
        began = time.perf_counter()
        while True:
            try:
                if self._barrier_s < INLINE_BARRIER_S_MAX:
                    self._append(batch)
                else:
                    await asyncio.get_running_loop().run_in_executor(self._disk, self._append, batch)
                break
            except StorageFullError as error:
                # Nothing of the batch was acknowledged; it waits, and everything behind it.
                log.error("no room for a batch", first_seq=batch.first_seq, error=str(error))
                if self._stopping:
                    raise
                await asyncio.sleep(STORAGE_RETRY_S)
        self._barrier_s = time.perf_counter() - began

    def _append(self, batch: Batch) -> None:
        """Writes a batch and waits for the disk."""
        with barrier_seconds.time():
            self._journal.append(batch.first_seq, batch.last_seq, batch.payload())
        events_total.inc(len(batch.events))
