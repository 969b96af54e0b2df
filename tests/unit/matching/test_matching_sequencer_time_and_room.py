"""The sequencer when something is due, and when there is no room: what happens first, and what does not happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from matching import sequencer as sequencing
from matching.core.engine import Engine
from matching.journal.errors import StorageFullError
from matching.journal.file import FileJournal
from matching.recovery import recover
from matching.sequencer import NO_LINK
from tests.unit.matching.sequencing import (
    AGE_MAX_S,
    DEADLINE_S,
    GOOD_TILL,
    LINK,
    MARKET,
    SEGMENT_BYTES,
    Bench,
    Clock,
    GatedJournal,
    aged,
    bid,
    blocked,
    cancel,
    command,
    opened,
    running,
    told,
    unfinished,
)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A sequencer on an empty journal whose every barrier runs beside the loop, as on a slow disk."""
    monkeypatch.setattr(sequencing, "INLINE_BARRIER_S_MAX", 0)
    async with running(tmp_path) as started:
        yield started


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands still unless the test moves it."""
    made = Clock()
    monkeypatch.setattr(sequencing, "unix_ns", made)
    return made


async def test_what_is_due_happens_before_the_command_at_hand(bench: Bench, clock: Clock) -> None:
    """However full the line is, nobody trades with an order whose time is over."""
    await bench.submit(*MARKET, bid("short", GOOD_TILL), bid("long"))
    await bench.last_seq()
    clock.now_unix_ns = GOOD_TILL - 1
    await bench.submit(cancel("nothing"))
    await bench.last_seq()
    clock.now_unix_ns = GOOD_TILL
    await bench.submit(bid("late"), bid("later"))
    await bench.last_seq()
    events = told(bench)[-4:]
    assert [event.WhichOneof("body") for event in events] == ["time_advanced", "order", "order", "order"]
    assert [event.order.cl_ord_id for event in events[1:]] == ["short", "late", "later"]
    assert [event.time_unix_ns for event in events] == [GOOD_TILL, GOOD_TILL, GOOD_TILL + 1, GOOD_TILL + 2]
    assert events[0].actor == "system"
    (results,) = [batch.results[LINK] for batch in bench.feed.batches_after(0)[-1:]]
    assert results.command_seqs == [events[2].seq, events[3].seq], "the tick is nobody's command"


async def test_a_tick_comes_only_when_something_is_due(bench: Bench, clock: Clock) -> None:
    """Looking at the clock leaves no trace in the journal until an expiry or a timer is reached."""
    await bench.submit(*MARKET, bid("short", GOOD_TILL))
    before = await bench.last_seq()
    clock.now_unix_ns = GOOD_TILL - 1
    await bench.sequencer.tick()
    assert await bench.last_seq() == before
    clock.now_unix_ns = GOOD_TILL
    await bench.sequencer.tick()
    assert await bench.last_seq() == before + 2
    await bench.sequencer.tick()
    assert await bench.last_seq() == before + 2
    assert [event.WhichOneof("body") for event in told(bench)[-2:]] == ["time_advanced", "order"]
    assert bench.journal.last_seq == before + 2
    assert LINK not in bench.feed.batches_after(0)[-1].results
    assert NO_LINK in bench.feed.batches_after(0)[-1].results


async def test_a_repetition_after_a_tick_is_one_still(bench: Bench, clock: Clock) -> None:
    """What is due is carried out first, and then the repetition is answered with its original."""
    await bench.submit(*MARKET, bid("short", GOOD_TILL))
    await bench.last_seq()
    clock.now_unix_ns = GOOD_TILL + 7
    await bench.submit(bid("short", GOOD_TILL))
    assert await bench.last_seq() == 6
    results = bench.feed.batches_after(0)[-1].results[LINK]
    assert (results.command_seqs, len(results.replays)) == ([0], 1)
    assert wire.Event.FromString(results.replays[0].event).seq == 4


async def test_while_storage_is_low_only_what_lets_the_venue_shrink_is_taken(bench: Bench) -> None:
    """Orders, replaces, lists and quotes are turned away unsequenced and may come again; cancels happen."""
    await bench.submit(*MARKET, bid("first"))
    before = await bench.last_seq()
    bench.journal.is_low = True
    assert bench.sequencer.storage_low
    replace = wire_commands.ReplaceOrder(account="A", cl_ord_id="r", orig_cl_ord_id="first", qty_nano=2 * 10**9)
    orders = wire_commands.NewOrderList(account="A")
    quote = wire_commands.MassQuote(account="A", quote_id="q")
    growing = [
        bid("second"),
        command(replace_order=replace),
        command(new_order_list=orders),
        command(mass_quote=quote),
    ]
    await bench.submit(*growing, cancel("first"), first=10)
    assert await bench.last_seq() == before + 1
    results = bench.feed.batches_after(0)[-1].results[LINK]
    assert (results.correlations, results.command_seqs) == ([10, 11, 12, 13, 14], [0, 0, 0, 0, before + 1])
    assert [refusal.correlation for refusal in results.refusals] == [10, 11, 12, 13]
    assert {refusal.reason for refusal in results.refusals} == {types.REASON_STORAGE_FULL}
    bench.journal.is_low = False
    await bench.submit(growing[0], first=15)
    assert await bench.last_seq() == before + 2
    assert told(bench)[-1].order.cl_ord_id == "second"


async def test_what_comes_too_late_is_not_carried_out(bench: Bench, clock: Clock) -> None:
    """An order that its gateway had read too long ago is turned away for good; cancels are not, nor is what was
    carried out before: that is answered with the original. At the very age it is carried out still."""
    clock.now_unix_ns = 10**18
    limit = clock.now_unix_ns - round(AGE_MAX_S * 10**9)
    await bench.submit(*MARKET, aged(bid("in time"), limit), aged(bid("from the future"), 2 * 10**18))
    before = await bench.last_seq()
    late = limit - 1
    basket = wire_commands.Command.FromString(bid("third")).new_order
    orders = wire_commands.NewOrderList(account="A", orders=[basket])
    known = wire_commands.Command.FromString(bid("in time")).new_order
    again = wire_commands.NewOrderList(account="A", orders=[known])
    in_part = wire_commands.NewOrderList(account="A", orders=[known, basket])
    replace = wire_commands.ReplaceOrder(account="A", cl_ord_id="r", orig_cl_ord_id="in time", qty_nano=2 * 10**9)
    quote = wire_commands.MassQuote(account="A", quote_id="q")
    await bench.submit(
        aged(bid("second"), late),
        aged(command(new_order_list=orders), late),
        aged(command(replace_order=replace), late),
        aged(command(mass_quote=quote), late),
        aged(bid("in time"), late),
        aged(command(new_order_list=again), late),
        aged(cancel("in time"), late),
        aged(command(new_order_list=in_part), late),
        first=10,
    )
    assert await bench.last_seq() == before + 1
    results = bench.feed.batches_after(0)[-1].results[LINK]
    assert [(refusal.correlation, refusal.reason) for refusal in results.refusals] == [
        (number, types.REASON_TOO_LATE) for number in (10, 11, 12, 13, 17)
    ]
    assert [replay.correlation for replay in results.replays] == [14, 15]
    assert told(bench)[-1].order.exec_type == types.EXEC_TYPE_CANCELED


async def test_refusals_alone_are_answered_too(bench: Bench) -> None:
    """A batch in which nothing happened still tells its links so, without an entry in the journal."""
    bench.journal.is_low = True
    await bench.submit(bid("first"))
    await bench.last_seq()
    (batch,) = bench.feed.batches_after(0)
    assert ([refusal.correlation for refusal in batch.results[LINK].refusals], batch.events) == ([1], [])
    assert bench.journal.last_seq == 0


async def test_a_batch_without_room_waits_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is told while the disk is full, and all of it once there is room; its order stays."""
    monkeypatch.setattr(sequencing, "STORAGE_RETRY_S", 0.001)
    bench.journal.is_full = True
    await bench.submit(opened("A"), opened("B"))
    asked = asyncio.create_task(bench.last_seq())
    for _ in range(3):
        assert await asyncio.to_thread(bench.journal.refused.wait, DEADLINE_S)
        bench.journal.refused.clear()
    await bench.submit(opened("C"), first=3)
    assert await unfinished(asked)
    assert bench.feed.batches_after(0) == []
    bench.journal.is_full = False
    assert await asked in (2, 3)
    assert await bench.last_seq() == 3
    assert bench.accounts() == list("ABC")
    assert bench.journal.last_seq == 3


async def test_stopping_without_room_ends_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop, the sequencer does not wait for room for ever; what it had not acknowledged is not there."""
    monkeypatch.setattr(sequencing, "STORAGE_RETRY_S", 0.001)
    with GatedJournal(tmp_path) as journal:
        bench = Bench(journal)
        working = asyncio.create_task(bench.sequencer.run())
        await bench.submit(opened("A"))
        await bench.last_seq()
        journal.is_full = True
        await bench.submit(opened("B"))
        assert await asyncio.to_thread(journal.refused.wait, DEADLINE_S)
        bench.sequencer.stop()
        with pytest.raises(StorageFullError):
            await working
    engine = Engine()
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal_again:
        recover(engine, journal_again.read(0, journal_again.last_seq))
    assert list(engine.venue.accounts) == ["A"]


async def test_the_end_of_a_batch_is_announced_when_it_is_durable(bench: Bench) -> None:
    """Whoever makes snapshots hears of each batch once, when the journal has it and the next has not begun."""
    bench.journal.gate.clear()
    await bench.submit(opened("A"), opened("B"))
    await blocked(bench.journal)
    await bench.submit(opened("C"))
    assert bench.batch_seqs == []
    bench.journal.gate.set()
    assert await bench.last_seq() == 3
    assert bench.batch_seqs[:1] == [2]
    await bench.submit(opened("D"))
    assert await bench.last_seq() == 4
    assert sorted(set(bench.batch_seqs)) == [2, 3, 4]
    assert bench.batch_seqs == sorted(bench.batch_seqs)
