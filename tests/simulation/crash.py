"""Kills a real matching server under load, again and again, and checks what is left each time.

    python -m tests.simulation.crash --kills 200

A campaign is the life of one venue in many lives of its server. Each life is
checked against the journal when it begins, asked again what the life before
left unanswered, put under load and killed: at a named point (`crash_points`),
or at a random time. The seed is printed; it names the load and the points, not
the moment that the kernel chooses.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc
import psutil
import structlog
from ordergate.matching.v1 import matching_pb2 as wire

from matching.core import commands as c
from matching.core.keys import differing_field
from matching.core.requests import key_of
from matching.journal.disk import SYSTEM_DISK
from runtime.clock import unix_ns
from tests.simulation import crash_points
from tests.simulation.crash_checks import Shadow, account_rows, check_drained, check_files, order_rows
from tests.simulation.crash_traffic import Asked, Ledger, Traffic, pour, send
from tests.simulation.gateway_link import Link, Stub, connected, linked, settings_in, streamed
from tests.simulation.matching_process import Server, started
from tests.simulation.matching_story import encoded

RANDOM_TIME = "at a random time"
POINTS = (*crash_points.NAMES, crash_points.CHILD_ONLY, RANDOM_TIME)
CAMPAIGN_KILLS = 25
"""Kills of one venue; its journal is carried out again after each."""
RESULTS = (250, 700)
"""A life that no point ends is ended after so many results, drawn between these."""
SEGMENT_BYTES = 16_384
SNAPSHOT_EVENTS = 120
SCANNED_ORDERS = 500
KILLED = -9
TRIES = 4
"""A point that was missed so often and never reached is none any more: the server has changed."""


@dataclass
class Report:
    """What a campaign has seen."""

    kills: Counter[str] = field(default_factory=Counter)
    """By the point that was reached."""
    missed: Counter[str] = field(default_factory=Counter)
    """By the point that was meant, when the life ended at a random time instead."""
    acknowledged: int = 0
    unanswered: int = 0
    events: int = 0
    snapshots: int = 0
    dropped: int = 0

    def add(self, other: Report) -> None:
        """Sums up."""
        self.kills += other.kills
        self.missed += other.missed
        for name in ("acknowledged", "unanswered", "events", "snapshots", "dropped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Campaign:
    """One venue and the lives of its server."""

    def __init__(self, home: Path, seed: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        genesis = home / "genesis.yaml"
        genesis.write_text("# Everything comes through the link.\n")
        self.archive = home / "archive"
        self.archive.mkdir()
        self._keeping = f"from tests.simulation import crash_points; crash_points.keep_segments({str(self.archive)!r})"
        self.settings = settings_in(
            home,
            genesis_file=genesis,
            journal_segment_bytes=SEGMENT_BYTES,
            journal_keep_events=0,
            snapshot_interval_events=SNAPSHOT_EVENTS,
        )
        self.settings.journal_dir.mkdir()
        self.random = Random(seed)
        self.traffic = Traffic(seed, unix_ns())
        self.shadow = Shadow(self.settings.journal_dir, self.archive)
        self.ledger = Ledger()
        self.report = Report()

    async def run(self, points: list[str]) -> Report:
        """Kills the server at each of the points, and ends it in order at last."""
        for point in points:
            await self._life(point)
            check_files(self.shadow, self.ledger, self.settings.journal_dir)
            self.report.unanswered += len(self.ledger.unanswered)
        await self._last_life()
        self.report.acknowledged = len(self.ledger.acknowledged)
        self.report.events = self.shadow.engine.seq
        self.report.dropped = len(list(self.archive.iterdir()))
        return self.report

    async def _life(self, point: str) -> None:
        """Starts the server and lets it work until it is killed."""
        ended_itself, server = await self.life(self._trap(point), KILLED)
        lost_child = any(line.get("event") == "snapshot failed" for line in server.log)
        was_reached = lost_child if point == crash_points.CHILD_ONLY else ended_itself
        if not was_reached:
            self.report.missed[point] += point != RANDOM_TIME
            point = RANDOM_TIME
        self.report.kills[point] += 1
        self.report.snapshots += sum(line.get("event") == "snapshot" for line in server.log)

    async def life(self, before: str, exit_code: int) -> tuple[bool, Server]:
        """A life of the server, and whether it ended by itself; if it does not, it is killed after a while.

        Args:
            before: statements that the process carries out first.
            exit_code: with which it has to end by itself.
        """
        async with started(self.settings, f"{self._keeping}\n{before}") as server:
            with suppress(RuntimeError):
                await server.listening()
            ended_itself = not server.port or await self._until_it_ends(server)
            code = await server.ended()
            assert code == (exit_code if ended_itself else KILLED), f"the server ended with {code}: {server.said}"
        return ended_itself, server

    def _trap(self, point: str) -> str:
        known = crash_points.POINTS.get(point)
        passages_max = known.passages_max if known is not None else 2
        if point == crash_points.REPLAYING:
            snapshots = [int(path.stem) for path in self.settings.journal_dir.glob("*/*.snapshot")]
            passages_max = max(1, (self.shadow.engine.seq - max(snapshots, default=0)) // 2)
        passage = self.random.randint(1, passages_max)
        return f"crash_points.arm({point!r}, {passage})" if point != RANDOM_TIME else ""

    async def _until_it_ends(self, server: Server) -> bool:
        """Whether it ended before it had worked enough."""
        sent: list[Asked] = []
        working = asyncio.create_task(self._work(server, sent))
        ending = asyncio.create_task(server.process.wait())
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        if not ending.done() and isinstance(working.exception(), grpc.aio.AioRpcError):
            await asyncio.wait((ending,))
        ended_itself = ending.done()
        if not ended_itself:
            server.process.kill()
            await ending
        working.cancel()
        (result,) = await asyncio.gather(working, return_exceptions=True)
        is_of_the_end = isinstance(result, grpc.aio.AioRpcError | asyncio.CancelledError | asyncio.InvalidStateError)
        if isinstance(result, BaseException) and not is_of_the_end:
            raise result
        return ended_itself

    async def _work(self, server: Server, sent: list[Asked]) -> None:
        """The life of a gateway: what is there, what was left unanswered, and new load."""
        async with connected(self.settings, server.port) as stub:
            await self._check_live(server, stub)
            async with linked(self.settings, stub) as link:
                self.ledger.epochs.append(link.epoch)
                assert self.ledger.epochs == sorted(set(self.ledger.epochs)), "I3: the epoch only grows"
                try:
                    await self._ask_again(link, sent)
                    await self._load(link, sent)
                finally:
                    self.ledger.close(link, sent)

    async def _load(self, link: Link, sent: list[Asked]) -> None:
        pouring = asyncio.create_task(pour(link, sent, self.traffic, unix_ns()))
        enough = len(link.results) + self.random.randint(*RESULTS)
        try:
            await link.until(lambda: len(link.results) >= enough or pouring.done())
        finally:
            pouring.cancel()
            with suppress(asyncio.CancelledError):
                await pouring

    async def _ask_again(self, link: Link, sent: list[Asked]) -> None:
        """I7: every command that was left without an answer gets one: the original, if it had happened."""
        asked = self.ledger.unanswered
        if not asked:
            return
        happened = [self._original_seq(one.body) for one in asked]
        results = await link.results_of(await send(link, sent, asked))
        for one, seq, result in zip(asked, happened, results, strict=True):
            told = result.repeated.seq if result.repeated is not None else 0
            assert told == seq or not seq, f"I7: {one.body} had happened at seq {seq}, and is answered with {result}"

    def _original_seq(self, body: c.Body) -> int:
        """The seq at which the same request was carried out, 0 if it was not; requests with a key only."""
        if not isinstance(body, c.NewOrder | c.ReplaceOrder | c.CancelOrder | c.MassCancel | c.MassQuote):
            return 0
        account = self.shadow.engine.venue.accounts.get(body.account)
        outcome = account.keys.get(key_of(body)) if account is not None else None
        return outcome.event.seq if outcome is not None and not differing_field(outcome.request, body) else 0

    async def _check_live(self, server: Server, stub: Stub) -> None:
        """I4, I8, I9: the live server is what the journal says, nobody else writes it, and the feed is its bytes."""
        engine = self.shadow.engine
        for name in list(engine.venue.accounts):
            orders, account = await self._asked_at_one_seq(stub, name)
            self.shadow.follow(account.as_of_seq)
            told = {
                "cash": [(one.currency, one.cash_micro, one.held_micro, one.margin_micro, one.fees_micro)
                         for one in account.cash],
                "positions": [(one.symbol, one.qty_lots, one.held_lots, one.cost_ticks_lots, one.realized_pnl_micro)
                              for one in account.positions],
                "open_orders": account.open_orders,
            }  # fmt: skip
            assert told == account_rows(engine.venue.accounts[name]), f"I4: {name}"
            assert orders == order_rows(engine, name, SCANNED_ORDERS), f"I4: orders of {name}"
        self._check_locked(server)
        after_seq = max(0, engine.seq - len(self.shadow.recent))
        if engine.seq:
            responses = await streamed(stub, after_seq, engine.seq)
            events = [data for response in responses for data in response.events]
            assert events == list(self.shadow.recent), "I9: the feed is not the journal"

    def _check_locked(self, server: Server) -> None:
        """I8: as long as a writer lives nobody else can be one."""
        try:
            fd = SYSTEM_DISK.lock(self.settings.journal_dir / "lock")
        except BlockingIOError:
            return
        SYSTEM_DISK.close(fd)
        with suppress(psutil.NoSuchProcess):
            assert psutil.Process(server.process.pid).status() == psutil.STATUS_ZOMBIE, "I8: a second writer came in"

    async def _asked_at_one_seq(self, stub: Stub, name: str) -> tuple[list[tuple[bytes, int]], wire.GetAccountResponse]:
        """An account and its orders, with nothing in between: something may become due at any moment."""
        while True:
            account = await stub.GetAccount(wire.GetAccountRequest(account=name))
            page = await stub.ScanOrders(wire.ScanOrdersRequest(account=name, limit=SCANNED_ORDERS))
            again = await stub.GetAccount(wire.GetAccountRequest(account=name))
            if account.as_of_seq == again.as_of_seq:
                return [(order.last_event, order.accepted_unix_ns) for order in page.orders], account

    async def _last_life(self) -> None:
        """A kill switch over everything: what was on hold is free (I11). Then an orderly end."""
        stop = encoded(c.Command(c.EngageKillSwitch(1, "", "the end"), "the chief"))
        async with started(self.settings, self._keeping) as server:
            await server.listening()
            async with connected(self.settings, server.port) as stub:
                await self._check_live(server, stub)
                async with linked(self.settings, stub) as link:
                    sent: list[Asked] = []
                    await self._ask_again(link, sent)
                    await link.carry_out(stop)
                    self.ledger.close(link, sent)
            server.process.terminate()
            assert await server.ended() == 0, server.said
        check_files(self.shadow, self.ledger, self.settings.journal_dir)
        check_drained(self.shadow.engine)


def schedule(random: Random, kills: int) -> list[str]:
    """The points in turn, each as often as the others, in a random order."""
    points = [POINTS[number % len(POINTS)] for number in range(kills)]
    random.shuffle(points)
    return points


def campaigns(points: list[str]) -> Iterator[list[str]]:
    """The points of each campaign."""
    for begin in range(0, len(points), CAMPAIGN_KILLS):
        yield points[begin : begin + CAMPAIGN_KILLS]


async def run(kills: int, seed: int, home: Path, points: list[str] | None = None) -> Report:
    """Kills so many times, in as many campaigns as that takes."""
    random, total = Random(seed), Report()
    for number, some in enumerate(campaigns(points or schedule(random, kills))):
        began = time.monotonic()
        report = await Campaign(home / str(number), seed + number).run(some)
        total.add(report)
        print(
            f"campaign {number}: {report.kills.total()} kills, {report.acknowledged} acknowledged, "
            f"{report.unanswered} in flight, {report.events} events, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return total


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--point", choices=POINTS, help="only this one")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(f"seed {arguments.seed}", flush=True)
    points = [arguments.point] * arguments.kills if arguments.point else None
    with tempfile.TemporaryDirectory(prefix="ordergate-crash-") as home:
        total = asyncio.run(run(arguments.kills, arguments.seed, Path(home), points))
    for name in POINTS:
        print(f"  {total.kills[name]:4} {name}" + (f" (and {total.missed[name]} missed)" if total.missed[name] else ""))
    print(
        f"{total.kills.total()} kills, {total.acknowledged} acknowledged commands, {total.unanswered} in flight, "
        f"{total.events} events, {total.snapshots} snapshots, {total.dropped} segments dropped: nothing lost"
    )
    never = [name for name in POINTS if total.missed[name] >= TRIES and not total.kills[name]]
    if never:
        print(f"never reached: {', '.join(never)}")
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main())
