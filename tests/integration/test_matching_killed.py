"""A real matching process, killed or failing at any moment: what was acknowledged is there, and only once."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc
import pytest
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.matching.v1 import matching_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching.core.engine import Engine
from matching.journal.file import FileJournal, checked, segments_of
from matching.recovery import recover, verify
from runtime.settings import Settings
from tests.simulation.gateway_link import (
    NAME,
    Link,
    Result,
    Stub,
    connected,
    day_closed,
    last_seq,
    linked,
    order,
    settings_in,
    streamed,
)
from tests.simulation.matching_process import FAILING_DISK, Server, started

SEED = int(os.environ.get("ORDERGATE_TEST_SEED", "20261122"))
ROUNDS = 4
FRAME_COMMANDS = 16
JOURNAL_FAILED_EXIT = 70
KILLED = -9


@dataclass
class Ledger:
    """What a client knows: what it asked for, and what it was told."""

    asked: dict[str, bytes] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    epochs: list[int] = field(default_factory=list)

    def told(self, link: Link, keys: dict[int, str]) -> None:
        """Takes in the results of a link; a repetition must be of what was acknowledged before."""
        for correlation, result in link.results.items():
            key, seq = keys[correlation], seq_of(result)
            assert self.acknowledged.setdefault(key, seq) == seq, key


def seq_of(result: Result) -> int:
    """The seq of a command's first event, however often it was asked."""
    return result.repeated.seq if result.repeated is not None else result.seq


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A venue of this test's own with small segments, so that kills hit rotations too."""
    return settings_in(tmp_path, journal_segment_bytes=16_384)


@asynccontextmanager
async def reached(settings: Settings, before: str = "") -> AsyncIterator[tuple[Server, Stub]]:
    """A process that listens, and a way to it."""
    async with started(settings, before) as server:
        await server.listening()
        async with connected(settings, server.port) as stub:
            await day_closed(stub)
            yield server, stub


def requests(random: Random, prefix: str) -> Iterator[tuple[str, bytes]]:
    """An endless flow of keyed requests: crossing orders of two accounts, replaces and cancels of them."""
    number = 0
    while True:
        number += 1
        key, earlier = f"{prefix}-{number}", f"{prefix}-{random.randint(1, number)}"
        account, side = random.choice((("DEMO", types.SIDE_BUY), ("MM", types.SIDE_SELL)))
        chance = random.random()
        if chance < 0.8:
            yield key, order(account, side, random.randint(1, 9), random.randint(95, 105), key)
        elif chance < 0.9:
            cancel = commands.CancelOrder(account=account, cl_ord_id=key, orig_cl_ord_id=earlier)
            yield key, commands.Command(cancel_order=cancel).SerializeToString()
        else:
            price = random.randint(95, 105) * 10**7
            replace = commands.ReplaceOrder(
                account=account, cl_ord_id=key, orig_cl_ord_id=earlier, price_nano=price, qty_nano=20 * 10**9
            )
            yield key, commands.Command(replace_order=replace).SerializeToString()


async def pour(link: Link, flow: Iterator[tuple[str, bytes]], ledger: Ledger, keys: dict[int, str]) -> None:
    """Sends frame after frame until the link breaks; never waits for a result."""
    try:
        while True:
            frame = [next(flow) for _ in range(FRAME_COMMANDS)]
            for offset, (key, data) in enumerate(frame, link.sent + 1):
                keys[offset] = key
                ledger.asked[key] = data
            await link.send(*(data for _, data in frame))
            await link.until(lambda: link.sent - len(link.results) < 50 * FRAME_COMMANDS)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return


async def one_life(settings: Settings, ledger: Ledger, random: Random, prefix: str) -> None:
    """Starts the server, pours requests into it, and kills it after a random number of results."""
    keys: dict[int, str] = {}
    async with reached(settings) as (server, stub), linked(settings, stub) as link:
        ledger.epochs.append(link.epoch)
        pouring = asyncio.create_task(pour(link, requests(random, prefix), ledger, keys))
        enough = random.randint(200, 900)
        await link.until(lambda: len(link.results) >= enough)
        server.process.kill()
        assert await server.ended() == KILLED
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        ledger.told(link, keys)


async def told_by(stub: Stub) -> list[events.Event]:
    """Every event of the journal, from the feed."""
    responses = await streamed(stub, 0, await last_seq(stub))
    return [events.Event.FromString(data) for response in responses for data in response.events]


def check_journal(told: list[events.Event], ledger: Ledger) -> None:
    """Invariants I1 to I3: everything acknowledged is there, nothing twice, no gap, nothing invented."""
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    first = {event.seq: event for event in told}
    for key, seq in ledger.acknowledged.items():
        assert first[seq].order.cl_ord_id == key
        assert first[seq].command_seq == seq
    answered = [event.order.cl_ord_id for event in told if event.order.request and event.seq == event.command_seq]
    assert len(answered) == len(set(answered)), "a key was carried out twice"
    assert set(answered) <= ledger.asked.keys()
    assert ledger.acknowledged.keys() <= set(answered)


def check_conservation(engine: Engine) -> None:
    """Invariant I5: what was paid was received, what was bought was sold, and no book is crossed."""
    venue = engine.venue
    for currency, deposited_micro in venue.money_micro.items():
        owned = [account.cash[currency].cash_micro for account in venue.accounts.values() if currency in account.cash]
        assert sum(owned) + venue.fees_micro.get(currency, 0) == deposited_micro
    for listing in venue.listings.values():
        lots = sum(account.position_seen(listing).qty_lots for account in venue.accounts.values())
        assert lots == listing.lots
        bid, ask = listing.book.bids.best_ticks(), listing.book.asks.best_ticks()
        assert not bid or not ask or bid < ask


async def test_a_killed_server_loses_nothing_that_was_acknowledged(settings: Settings) -> None:
    """Several lives, each ended by SIGKILL in full flow; then everything is asked again and answered once.

    Invariants I1 to I5 and I8: acknowledged is journaled, no key twice, no gap,
    the epoch grows, replay gives the live state, money and lots are conserved.
    """
    random, ledger = Random(SEED), Ledger()
    print(f"seed {SEED}")
    for number in range(ROUNDS):
        await one_life(settings, ledger, random, f"life{number}")
        verify(settings.journal_dir)
    assert len(ledger.acknowledged) < len(ledger.asked), "a kill that finds nothing in flight proves nothing"
    async with reached(settings) as (_, stub):
        check_journal(await told_by(stub), ledger)
        async with linked(settings, stub) as link:
            ledger.epochs.append(link.epoch)
            keys = dict(enumerate(ledger.asked, 1))
            await link.carry_out(*ledger.asked.values())
            ledger.told(link, keys)
            told = await told_by(stub)
            live = [await stub.GetAccount(wire.GetAccountRequest(account=name)) for name in ("DEMO", "MM")]
    check_journal(told, ledger)
    assert ledger.acknowledged.keys() == ledger.asked.keys()
    assert ledger.epochs == sorted(set(ledger.epochs))
    engine = Engine()
    with FileJournal(settings.journal_dir, settings.journal_segment_bytes) as journal:
        recover(engine, journal.read(0, journal.last_seq))
    check_conservation(engine)
    for name, account in zip(("DEMO", "MM"), live, strict=True):
        answered = {one.currency: (one.cash_micro, one.held_micro) for one in account.cash}
        replayed = engine.venue.accounts[name].cash.items()
        assert answered == {currency: (cash.cash_micro, cash.held_micro) for currency, cash in replayed}
        assert account.open_orders == len(engine.venue.accounts[name].open_orders())


async def test_epochs_in_the_journal_only_grow(settings: Settings) -> None:
    """Each life writes with an epoch of its own, above those of the lives before it."""
    random, ledger = Random(SEED + 1), Ledger()
    for number in range(2):
        await one_life(settings, ledger, random, f"life{number}")
    written = [frame.epoch for segment in checked(segments_of(settings.journal_dir)) for frame in segment.frames]
    assert written == sorted(written)
    assert set(written) == set(ledger.epochs) == {1, 2}


async def test_a_server_that_is_told_to_stop_finishes_what_it_has(settings: Settings) -> None:
    """SIGTERM: what was handed over before is carried out and durable, and the exit code is 0."""
    async with reached(settings) as (server, stub), linked(settings, stub) as link:
        await link.carry_out(*(order("DEMO", types.SIDE_BUY, 1, 100, f"A{n}") for n in range(300)))
        server.process.terminate()
        assert await server.ended() == 0
    summary = verify(settings.journal_dir)
    assert summary.last_seq == link.results[300].seq


@pytest.mark.parametrize("barriers", [3, 10])
async def test_a_failed_barrier_ends_the_process(settings: Settings, barriers: int) -> None:
    """After an error of fdatasync nothing more is acknowledged, nothing is tried again, and the process exits with 70.

    The start takes two barriers: the genesis, and the day before.
    """
    ledger, keys = Ledger(), dict[int, str]()
    async with reached(settings, FAILING_DISK.format(barriers=barriers)) as (server, stub):
        async with linked(settings, stub) as link:
            pouring = asyncio.create_task(pour(link, requests(Random(SEED), "life"), ledger, keys))
            assert await server.ended() == JOURNAL_FAILED_EXIT
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)
            ledger.told(link, keys)
        assert "the disk is gone" in server.said
    async with reached(settings) as (_, stub):
        check_journal(await told_by(stub), ledger)


async def test_a_second_process_on_the_journal_ends_at_once(settings: Settings) -> None:
    """It exits with 1 and says why; the first goes on."""
    async with reached(settings) as (_, stub):
        async with started(settings) as second:
            assert await second.ended() == 1
            assert "is written by another process" in second.said
        async with linked(settings, stub) as link:
            assert link.epoch == 1
            await link.carry_out(order("DEMO", types.SIDE_BUY, 1, 100, "A1"))


async def test_a_process_with_a_damaged_journal_ends_at_once(settings: Settings) -> None:
    """It exits with 1 and names the segment and the offset; the journal stays as it is."""
    async with reached(settings) as (_, stub), linked(settings, stub) as link:
        await link.carry_out(order("DEMO", types.SIDE_BUY, 1, 100, NAME))
    (path,) = settings.journal_dir.glob("*.journal")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    async with started(settings) as server:
        assert await server.ended() == 1
        assert f"{path.name}: offset " in server.said
    assert path.read_bytes() == data
