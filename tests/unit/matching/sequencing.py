"""A running sequencer on a journal that can be held up, and whose disk can be full; commands for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.core.engine import Engine
from matching.feed import Feed
from matching.journal.errors import StorageFullError
from matching.journal.file import FileJournal
from matching.sequencer import Sequencer

LINK = 1
SEGMENT_BYTES = 1 << 16
DEADLINE_S = 30
AGE_MAX_S = 10.0


def opened(account: str) -> bytes:
    """The command that opens an account."""
    return wire_commands.Command(
        actor="test", open_account=wire_commands.OpenAccount(account=account)
    ).SerializeToString()


class GatedJournal(FileJournal):
    """A journal whose barrier waits while the gate is shut, and whose disk can be full."""

    def __init__(self, folder: Path) -> None:
        self.gate, self.waits = Event(), Event()
        self.gate.set()
        self.fails = False
        self.is_full = False
        """Whether an append finds no room."""
        self.is_low = False
        self.refused = Event()
        """An append has found no room."""
        super().__init__(folder, SEGMENT_BYTES)

    @property
    def storage_low(self) -> bool:
        """Whether there is no room for more than what is left."""
        return self.is_low

    def append(self, first_seq: int, last_seq: int, payload: bytes) -> None:
        """Appends once the gate is open."""
        self.waits.set()
        assert self.gate.wait(30)
        if self.fails:
            raise OSError("the disk is gone")
        if self.is_full:
            self.refused.set()
            raise StorageFullError("the disk is full")
        super().append(first_seq, last_seq, payload)


class Bench:
    """A running sequencer on a gated journal."""

    def __init__(self, journal: GatedJournal) -> None:
        self.journal = journal
        self.engine = Engine()
        self.feed = Feed(journal)
        self.batch_seqs: list[int] = []
        """The engine's seq at each call after a batch."""
        self.sequencer = Sequencer(
            self.engine, journal, self.feed, lambda engine: self.batch_seqs.append(engine.seq), AGE_MAX_S
        )

    async def submit(self, *commands: bytes, first: int = 1) -> None:
        """Puts commands in line."""
        await self.sequencer.submit(LINK, first, commands)

    async def last_seq(self) -> int:
        """The engine's seq, asked like any query."""
        return await self.sequencer.query(lambda engine: engine.seq)

    def accounts(self) -> list[str]:
        """The accounts that were opened, in the order of the feed."""
        events = [wire.Event.FromString(data) for batch in self.feed.batches_after(0) for data in batch.events]
        return [event.account_opened.account for event in events]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Bench]:
    """A sequencer that runs until the block ends, and then finishes what is in line."""
    with GatedJournal(folder) as journal:
        bench = Bench(journal)
        working = asyncio.create_task(bench.sequencer.run())
        try:
            yield bench
        finally:
            journal.gate.set()
            bench.sequencer.stop()
            await working


async def blocked(journal: GatedJournal) -> None:
    """Waits until the journal stands before the shut gate."""
    assert await asyncio.to_thread(journal.waits.wait, 30)


async def unfinished(task: Awaitable[Any]) -> bool:
    """Whether a task is still waiting after everything else that can run has run."""
    for _ in range(10):
        await asyncio.sleep(0)
    return not asyncio.ensure_future(task).done()


def command(**body: Any) -> bytes:
    """A command of the test's."""
    return wire_commands.Command(actor="test", **body).SerializeToString()


GOOD_TILL = 5_000
MARKET = (
    command(
        list_instrument=wire_commands.ListInstrument(
            symbol="XYZ",
            asset_class=types.ASSET_CLASS_EQUITY,
            currency="USD",
            tick_size_nano=10**7,
            lot_size_nano=10**9,
            multiplier=1,
        )
    ),
    opened("A"),
    command(adjust_cash=wire_commands.AdjustCash(account="A", currency="USD", amount_micro=10**12, request_id="cash")),
)


def bid(key: str, expire_unix_ns: int = 0) -> bytes:
    """A purchase that rests; until a time, if one is given."""
    new = wire_commands.NewOrder(
        account="A",
        symbol="XYZ",
        cl_ord_id=key,
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTD if expire_unix_ns else types.TIME_IN_FORCE_GTC,
        qty_lots=1,
        price_ticks=100,
        self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        expire_unix_ns=expire_unix_ns,
    )
    return command(new_order=new)


def aged(data: bytes, received_unix_ns: int) -> bytes:
    """A command that its gateway had read at that time."""
    made = wire_commands.Command.FromString(data)
    made.received_unix_ns = received_unix_ns
    return made.SerializeToString()


def cancel(key: str) -> bytes:
    """A cancel of that purchase."""
    return command(cancel_order=wire_commands.CancelOrder(account="A", orig_cl_ord_id=key))


def told(bench: Bench) -> list[wire.Event]:
    """Every event of the feed."""
    return [wire.Event.FromString(data) for batch in bench.feed.batches_after(0) for data in batch.events]


class Clock:
    """The time, as the test says."""

    now_unix_ns = 1_000

    def __call__(self) -> int:
        """Unix ns."""
        return self.now_unix_ns
