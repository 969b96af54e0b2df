"""The sequencer: order, time, durability before release, and what a batch is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from threading import get_ident

import pytest
from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire

from matching import sequencer as sequencing
from matching.core.engine import Engine
from matching.journal.file import FileJournal
from matching.recovery import recover
from matching.state import state_hash
from tests.unit.matching.sequencing import (
    LINK,
    SEGMENT_BYTES,
    Bench,
    GatedJournal,
    blocked,
    opened,
    running,
    unfinished,
)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A sequencer on an empty journal whose every barrier runs beside the loop, as on a slow disk."""
    monkeypatch.setattr(sequencing, "INLINE_BARRIER_S_MAX", 0)
    async with running(tmp_path) as started:
        yield started


async def test_results_come_in_the_order_of_the_commands(bench: Bench) -> None:
    """Correlations count up from the first; each command names the seq of its first event."""
    await bench.submit(opened("A"), opened("B"), opened("A"), first=7)
    assert await bench.last_seq() == 2
    (batch,) = bench.feed.batches_after(0)
    results = batch.results[LINK]
    assert (results.correlations, results.command_seqs) == ([7, 8, 9], [1, 2, 0])
    assert [replay.correlation for replay in results.replays] == [9]
    original = wire.Event.FromString(results.replays[0].event)
    assert (original.seq, original.account_opened.account) == (1, "A")


async def test_nothing_is_released_before_it_is_durable(bench: Bench) -> None:
    """While the barrier runs, neither the feed nor a query shows what it is about to make durable."""
    bench.journal.gate.clear()
    await bench.submit(opened("A"))
    await blocked(bench.journal)
    asked = asyncio.create_task(bench.last_seq())
    assert await unfinished(asked)
    assert (bench.feed.last_seq, bench.feed.batches_after(0)) == (0, [])
    bench.journal.gate.set()
    assert await asked == 1
    assert (bench.feed.last_seq, bench.journal.last_seq) == (1, 1)


async def test_a_query_in_the_same_batch_waits_for_the_barrier(bench: Bench) -> None:
    """A query sees the commands before it, and is answered after they are on disk."""
    bench.journal.gate.clear()
    await bench.submit(opened("A"))
    asked = asyncio.create_task(bench.last_seq())
    await bench.submit(opened("B"))
    await blocked(bench.journal)
    assert await unfinished(asked)
    bench.journal.gate.set()
    assert await asked in (1, 2)
    assert bench.journal.last_seq >= 1


async def test_what_gathers_during_a_barrier_is_one_batch(bench: Bench) -> None:
    """One write and one barrier for everything that came meanwhile."""
    bench.journal.gate.clear()
    await bench.submit(opened("A"))
    await blocked(bench.journal)
    for name in "BCDE":
        await bench.submit(opened(name))
    bench.journal.gate.set()
    assert await bench.last_seq() == 5
    assert [len(batch.events) for batch in bench.feed.batches_after(0)] == [1, 4]
    assert bench.accounts() == list("ABCDE")


async def test_a_batch_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long line is made durable in several batches."""
    monkeypatch.setattr(sequencing, "BATCH_COMMANDS_MAX", 4)
    bench.journal.gate.clear()
    await bench.submit(opened("first"))
    await blocked(bench.journal)
    for number in range(10):
        await bench.submit(opened(f"A{number}"))
    bench.journal.gate.set()
    assert await bench.last_seq() == 11
    assert [len(batch.events) for batch in bench.feed.batches_after(0)] == [1, 4, 4, 2]


async def test_a_full_line_makes_its_senders_wait(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is bounded: who brings more waits until there is room, and nothing is lost or overtaken."""
    monkeypatch.setattr(sequencing, "INBOX_COMMANDS_MAX", 2)
    bench.journal.gate.clear()
    await bench.submit(opened("A"))
    await blocked(bench.journal)
    await bench.submit(opened("B"), opened("C"))
    late = asyncio.create_task(bench.submit(opened("D")))
    assert await unfinished(late)
    bench.journal.gate.set()
    await late
    assert await bench.last_seq() == 4
    assert bench.accounts() == list("ABCD")


async def test_queries_and_repetitions_leave_no_batch_in_the_journal(bench: Bench) -> None:
    """The journal holds changes only, and a query leaves nothing behind in memory either."""
    await bench.submit(opened("A"))
    await bench.last_seq()
    await bench.submit(opened("A"))
    for _ in range(5):
        assert await bench.last_seq() == 1
    assert bench.journal.last_seq == 1
    assert len(bench.feed.batches_after(0)) == 2


async def test_what_cannot_be_read_is_answered_and_changes_nothing(bench: Bench) -> None:
    """Bytes that are no command, or a command without a body, get seq 0; those around them go on."""
    await bench.submit(b"\xff\xff", wire_commands.Command(actor="x").SerializeToString(), opened("A"))
    assert await bench.last_seq() == 1
    (batch,) = bench.feed.batches_after(0)
    assert (batch.results[LINK].command_seqs, batch.results[LINK].replays) == ([0, 0, 1], [])


async def test_a_query_that_fails_is_its_askers_affair(bench: Bench) -> None:
    """A question changes nothing, so its failure stops nothing: the next command is carried out."""
    with pytest.raises(ZeroDivisionError):
        await bench.sequencer.query(lambda engine: engine.seq // 0)
    await bench.submit(opened("A"))
    assert await bench.last_seq() == 1


async def test_a_query_that_nobody_waits_for_any_more_is_forgotten(bench: Bench) -> None:
    """A client that went away while its query waited disturbs nobody."""
    bench.journal.gate.clear()
    await bench.submit(opened("A"))
    await blocked(bench.journal)
    asked = asyncio.create_task(bench.last_seq())
    assert await unfinished(asked)
    asked.cancel()
    bench.journal.gate.set()
    assert await bench.last_seq() == 1


async def test_time_never_goes_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the clock steps back, engine time goes on by a nanosecond for each command (invariant I10)."""
    clock = iter([1000, 500, 500, 2000] + [3000] * 9)
    monkeypatch.setattr(sequencing, "unix_ns", lambda: next(clock))
    await bench.submit(*map(opened, "ABCD"))
    await bench.last_seq()
    events = [wire.Event.FromString(data) for data in bench.feed.batches_after(0)[0].events]
    assert [event.time_unix_ns for event in events] == [1000, 1001, 1002, 2000]


async def test_stopping_finishes_what_is_in_line(tmp_path: Path) -> None:
    """Everything handed over before the end is durable after it, and comes back at the next start."""
    async with running(tmp_path) as bench:
        for name in "ABC":
            await bench.submit(opened(name))
    engine = Engine()
    with FileJournal(tmp_path, SEGMENT_BYTES) as journal:
        assert recover(engine, journal.read(0, journal.last_seq)) == 3
    assert state_hash(engine) == state_hash(bench.engine)


async def test_a_failed_barrier_ends_the_sequencer(tmp_path: Path) -> None:
    """After a failed write nobody is told anything: `run` raises, and queries stay unanswered."""
    async with AsyncExitStack() as stack:
        journal = stack.enter_context(GatedJournal(tmp_path))
        bench = Bench(journal)
        journal.fails = True
        working = asyncio.create_task(bench.sequencer.run())
        await bench.submit(opened("A"))
        asked = asyncio.create_task(bench.last_seq())
        with pytest.raises(OSError, match="the disk is gone"):
            await working
        assert bench.feed.batches_after(0) == []
        assert await unfinished(asked)
        asked.cancel()


@pytest.mark.parametrize(("limit_s", "beside"), [(3600.0, [True, False, False]), (0.0, [True, True, True])])
async def test_a_quick_barrier_runs_on_the_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, limit_s: float, beside: list[bool]
) -> None:
    """The first barrier, and each after one that took too long, runs in a thread; others run on the loop."""
    monkeypatch.setattr(sequencing, "INLINE_BARRIER_S_MAX", limit_s)
    append, threads = bench.journal.append, []

    def noted(first_seq: int, last_seq: int, payload: bytes) -> None:
        threads.append(get_ident())
        append(first_seq, last_seq, payload)

    monkeypatch.setattr(bench.journal, "append", noted)
    for number in range(3):
        await bench.submit(opened(f"A{number}"), first=number + 1)
        await bench.last_seq()
    assert [thread != get_ident() for thread in threads] == beside
