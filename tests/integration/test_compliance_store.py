"""The audit log and the history in a real PostgreSQL: what it keeps, and what it does not let happen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from compliance import trail
from compliance.checkpoint import Signer
from compliance.errors import LogCorrupt, StoreUnavailable
from compliance.log import AuditLog
from compliance.merkle import Range, inclusion_ranges, leaf_hash
from compliance.reader import Reader, StoredCheckpoint
from compliance.store import Store, connections
from compliance.tiles import MemoryTree
from compliance.verify import Finding, InclusionProof, LogVerifier, Verdict
from runtime.follower import FeedBatch, FeedGapError
from runtime.serve import Health
from runtime.settings import Settings
from runtime.stack.postgres import EmbeddedPostgres, migrate, short_folder
from runtime.stack.processes import Process

SIGNER = Signer("example.com/log", Ed25519PrivateKey.generate())
KEY = str(SIGNER.verifier_key)
BUY, SELL = types.SIDE_BUY, types.SIDE_SELL
EPOCH = 3
START_NS = 1_790_000_000_000_000_000


class Journal:
    """Events as matching would give them; each command is one microsecond after the one before."""

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self._write(instrument_listed=events.InstrumentListed(instrument=terms("AAPL", "0.01", "1", 1)))
        self._write(instrument_listed=events.InstrumentListed(instrument=terms("OPT", "0.05", "1", 100)))
        self._write(instrument_listed=events.InstrumentListed(instrument=terms("BTC", "0.01", "0.0001", 1)))
        for account in ("DEMO", "MM"):
            self._write(account_opened=events.AccountOpened(account=account))
            self._write(cash_adjusted=events.CashAdjusted(account=account, currency="USD", amount_micro=10**12))
            self._write(position_adjusted=events.PositionAdjusted(account=account, symbol="AAPL", qty_lots=1000))

    @property
    def seq(self) -> int:
        """The last sequence."""
        return len(self.entries)

    def order(self, account: str, symbol: str, side: int, qty_lots: int, price_ticks: int, key: str = "") -> int:
        """An order that rests; gives its id."""
        order_id = self.seq + 1
        self._write(order=_order(order_id, account, symbol, side, qty_lots, price_ticks, key or f"key-{order_id}"))
        return order_id

    def trade(self, maker_id: int, taker_id: int, qty_lots: int) -> None:
        """Both sides of a trade at the maker's price that fills both orders."""
        maker, taker = self._last(maker_id), self._last(taker_id)
        trade_id = self.seq + 2
        for order, contra, liquidity in ((maker, taker_id, 1), (taker, maker_id, 2)):
            order.exec_type, order.ord_status = types.EXEC_TYPE_TRADE, types.ORD_STATUS_FILLED
            order.trade_id, order.contra_order_id = trade_id, contra
            order.last_px_ticks, order.last_qty_lots = maker.price_ticks, qty_lots
            order.cum_qty_lots, order.leaves_qty_lots = qty_lots, 0
            order.cum_value_ticks_lots = maker.price_ticks * qty_lots
            order.liquidity = types.Liquidity.ValueType(liquidity)
            self._write(order=order)

    def cancel(self, order_id: int) -> None:
        """The end of an order."""
        order = self._last(order_id)
        order.exec_type, order.ord_status = types.EXEC_TYPE_CANCELED, types.ORD_STATUS_CANCELED
        order.leaves_qty_lots = 0
        self._write(order=order)

    def orders(self, count: int) -> None:
        """That many resting orders."""
        for number in range(count):
            self.order("DEMO" if number % 2 else "MM", "AAPL", BUY, 1, 100 + number)

    def batch(self, first_seq: int, last_seq: int | None = None, epoch: int = EPOCH) -> FeedBatch:
        """The events of a range as the feed gives them."""
        last = last_seq or self.seq
        return FeedBatch(epoch, first_seq, last, self.entries[first_seq - 1 : last], self.seq)

    def _last(self, order_id: int) -> events.OrderEvent:
        parsed = (events.Event.FromString(entry).order for entry in reversed(self.entries))
        return next(order for order in parsed if order.order_id == order_id)

    def _write(self, **body: Any) -> None:
        seq = self.seq + 1
        event = events.Event(seq=seq, command_seq=seq, last_of_command=True, time_unix_ns=START_NS + 1000 * seq, **body)
        self.entries.append(event.SerializeToString())


def terms(symbol: str, tick: str, lot: str, multiplier: int) -> commands.ListInstrument:
    """The terms of an instrument in USD."""
    return commands.ListInstrument(
        symbol=symbol,
        asset_class=types.ASSET_CLASS_EQUITY,
        currency="USD",
        tick_size_nano=int(Decimal(tick) * 10**9),
        lot_size_nano=int(Decimal(lot) * 10**9),
        multiplier=multiplier,
    )


def _order(
    order_id: int, account: str, symbol: str, side: int, qty_lots: int, price_ticks: int, key: str
) -> events.OrderEvent:
    return events.OrderEvent(
        account=account,
        cl_ord_id=key,
        order_id=order_id,
        exec_type=types.EXEC_TYPE_NEW,
        ord_status=types.ORD_STATUS_NEW,
        symbol=symbol,
        side=types.Side.ValueType(side),
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_GTC,
        qty_lots=qty_lots,
        price_ticks=price_ticks,
        leaves_qty_lots=qty_lots,
        actor="somebody",
    )


@dataclass
class Running:
    """A log at work, without a feed: tests give it the batches."""

    log: AuditLog
    store: Store
    reader: Reader
    health: Health
    tasks: list[asyncio.Task[Any]]

    async def stored(self, seq: int) -> None:
        """Waits until the log ends at `seq`."""
        while (await self.reader.position())[0] < seq:
            self.require_alive()

    async def signed(self, size: int) -> StoredCheckpoint:
        """Waits for the checkpoint that covers `size`."""
        while True:
            checkpoint = await self.reader.checkpoint()
            if checkpoint is not None and checkpoint.tree_size >= size:
                return checkpoint
            self.require_alive()

    def require_alive(self) -> None:
        """Fails with the error of a part that has failed."""
        for task in self.tasks:
            if task.done():
                task.result()


@asynccontextmanager
async def log_over(url: str) -> AsyncIterator[Running]:
    """A log over the database at `url`."""
    settings = Settings(audit_checkpoint_interval_ms=10)
    async with connections(url) as pool:
        reader = Reader(pool)
        store, health = Store(pool, reader, SIGNER), Health()
        log = AuditLog(store, reader, settings, health)
        await log.open()
        tasks = [asyncio.create_task(log.store()), asyncio.create_task(log.publish())]
        try:
            yield Running(log, store, reader, health, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest_asyncio.fixture
async def running(database_url: str) -> AsyncIterator[Running]:
    """A log over a database of this test's own."""
    async with log_over(database_url) as log:
        yield log


@pytest_asyncio.fixture
async def superuser(database_url: str) -> AsyncIterator[Any]:
    """A connection that may do anything, and for which triggers do not fire."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def journal() -> Journal:
    """A journal of 700 events: two finished tiles and an unfinished one."""
    made = Journal()
    made.orders(700 - made.seq)
    return made


def tree_of(entries: Sequence[bytes]) -> MemoryTree:
    """The tree that these entries make."""
    tree = MemoryTree()
    tree.append([leaf_hash(entry) for entry in entries])
    return tree


async def searched(reader: Reader, checkpoint: StoredCheckpoint, entries: Sequence[bytes]) -> Verdict:
    """What a verifier says of entries, asking the stored hashes for proofs."""
    verifier = LogVerifier()
    verifier.add(entries)
    size = checkpoint.tree_size
    verdict = verifier.check(checkpoint.note, KEY)
    while verdict.ask_for is not None:
        index = verdict.ask_for
        leaf, *hashes = await reader.hashes([Range(index, index + 1), *inclusion_ranges(index, size)], size)
        verdict = verifier.narrow(verdict, InclusionProof(index, leaf, hashes))
    return verdict


async def raw_entries(superuser: Any) -> list[bytes]:
    """All entries as they lie in the table."""
    return [row[0] for row in await superuser.fetch("SELECT entry FROM audit.leaves ORDER BY leaf_index")]


async def test_entries_are_stored_as_they_came_and_signed(running: Running, journal: Journal) -> None:
    """Every event is a leaf at seq - 1, byte for byte, and a checkpoint covers them all."""
    await running.log.apply(journal.batch(1, 300))
    await running.log.apply(journal.batch(301))
    checkpoint = await running.signed(journal.seq)
    assert await running.reader.entries(0, journal.seq) == journal.entries
    assert checkpoint.root_hash == tree_of(journal.entries).root(journal.seq)
    assert (await searched(running.reader, checkpoint, journal.entries)).ok
    assert running.health.serving


async def test_every_leaf_has_a_proof_from_stored_tiles(running: Running, journal: Journal) -> None:
    """Hashes out of finished tiles and of the unfinished edge agree with a tree in memory, at two sizes."""
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    tree = tree_of(journal.entries)
    for size in (513, 700):
        for index in (0, 255, 256, 511, 512):
            ranges = inclusion_ranges(index, size)
            assert await running.reader.hashes(ranges, size) == [tree.hash_of(one) for one in ranges]


async def test_a_restart_continues_where_the_log_ends(database_url: str, journal: Journal) -> None:
    """After a restart the last event is asked for again, compared, and not stored twice."""
    async with log_over(database_url) as first:
        await first.log.apply(journal.batch(1, 300))
        assert await first.log.position() == 299
    async with log_over(database_url) as second:
        position = await second.log.position()
        assert position == 299
        await second.log.apply(journal.batch(position + 1))
        await second.stored(journal.seq)
        assert await second.reader.entries(0, journal.seq) == journal.entries
        checkpoint = await second.signed(journal.seq)
    assert checkpoint.root_hash == tree_of(journal.entries).root(journal.seq)


async def test_a_batch_that_comes_twice_is_stored_once(running: Running, journal: Journal, superuser: Any) -> None:
    """A duplicate changes nothing: neither leaves nor the history's sums."""
    maker = journal.order("MM", "AAPL", SELL, 5, 19000)
    journal.trade(maker, journal.order("DEMO", "AAPL", BUY, 5, 19000), 5)
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    sums = "SELECT * FROM history.position_state ORDER BY account, symbol"
    before = await superuser.fetch(sums)
    await running.log.apply(journal.batch(1))
    await running.log.apply(journal.batch(400))
    assert await running.log.position() == journal.seq - 1
    assert await superuser.fetch(sums) == before
    assert await superuser.fetchval("SELECT count(*) FROM audit.leaves") == journal.seq


async def test_a_gap_in_the_feed_is_refused(running: Running, journal: Journal) -> None:
    """Nothing is stored after a hole."""
    await running.log.apply(journal.batch(1, 300))
    with pytest.raises(FeedGapError, match="read up to 300"):
        await running.log.apply(journal.batch(302))
    assert await running.log.position() == 299
    assert (await running.reader.position())[0] == 300


async def test_an_outlived_matching_server_is_not_heard(running: Running, journal: Journal) -> None:
    """Events of an epoch below the one in the log are refused."""
    await running.log.apply(journal.batch(1, 300))
    with pytest.raises(FeedGapError, match="epoch 2"):
        await running.log.apply(journal.batch(301, epoch=EPOCH - 1))
    with pytest.raises(FeedGapError, match="epoch 2"):
        await running.log.caught_up(EPOCH - 1, 300)


async def test_another_journal_is_refused(running: Running, journal: Journal) -> None:
    """An event that differs from the one in the log stops the log: the journal is not the one it was made from."""
    await running.log.apply(journal.batch(1, 300))
    await running.stored(300)
    other = Journal()
    other.orders(299 - other.seq)
    other.order("DEMO", "AAPL", SELL, 1, 1)
    with pytest.raises(LogCorrupt, match="event 300 of the journal"):
        await running.log.apply(other.batch(300))


@pytest.mark.parametrize("table", ["leaves", "tiles", "checkpoints"])
@pytest.mark.parametrize("change", ["UPDATE audit.{} SET {} = {}", "DELETE FROM audit.{}", "TRUNCATE audit.{}"])
async def test_the_database_refuses_changes_of_the_log(
    running: Running, journal: Journal, database_url: str, table: str, change: str
) -> None:
    """UPDATE, DELETE and TRUNCATE end with an error, for whoever has no way around triggers."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    column = {"leaves": "entry", "tiles": "root", "checkpoints": "root_hash"}[table]
    connection = await asyncpg.connect(database_url)
    try:
        with pytest.raises(asyncpg.RestrictViolationError, match="only grows"):
            await connection.execute(change.format(table, column, column))
        assert await connection.fetchval(f"SELECT count(*) FROM audit.{table}") > 0
    finally:
        await connection.close()


@pytest.mark.parametrize("index", [0, 300, 511, 512, 699])
async def test_a_changed_entry_is_found_with_its_index(
    running: Running, journal: Journal, superuser: Any, index: int
) -> None:
    """Whoever edits an entry past the triggers, in a finished tile or not, is found by the proofs."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    changed = "UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = $1"
    await superuser.execute(changed, index)
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, index)


async def test_a_changed_entry_with_a_matching_leaf_hash_is_found(
    running: Running, journal: Journal, superuser: Any
) -> None:
    """Editing the hash beside the entry does not help: the tile was finished and the root was signed."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    await superuser.execute(
        "UPDATE audit.leaves SET entry = 'x'::bytea, leaf_hash = sha256('\\x0078'::bytea) WHERE leaf_index = 100"
    )
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRY_CHANGED, 100)


async def test_a_cut_off_tail_is_found(running: Running, journal: Journal, superuser: Any) -> None:
    """Entries that were signed and are gone: the verifier names the first, and the server does not start again."""
    await running.log.apply(journal.batch(1))
    checkpoint = await running.signed(journal.seq)
    await superuser.execute("DELETE FROM audit.leaves WHERE leaf_index >= 690")
    verdict = await searched(running.reader, checkpoint, await raw_entries(superuser))
    assert (verdict.finding, verdict.index) == (Finding.ENTRIES_MISSING, 690)
    with pytest.raises(LogCorrupt, match="leaf 690 is missing"):
        await running.store.load()
    await superuser.execute("UPDATE audit.position SET seq = 690")
    with pytest.raises(LogCorrupt, match="700 entries were signed, only 690 are stored"):
        await running.store.load()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit.leaves SET entry = entry || '\\x00' WHERE leaf_index = 650",
        "UPDATE audit.tiles SET root = sha256('x'::bytea) WHERE position = 1",
        "UPDATE audit.checkpoints SET note = replace(note, '700', '699') WHERE tree_size = 700",
    ],
)
async def test_a_start_on_a_changed_log_is_refused(
    running: Running, journal: Journal, superuser: Any, change: str
) -> None:
    """The tree that is stored must lead to the newest root that was signed."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    assert await superuser.execute(change) == "UPDATE 1"
    with pytest.raises(LogCorrupt):
        await running.store.load()


async def test_two_roots_of_one_size_are_never_signed(running: Running, journal: Journal, superuser: Any) -> None:
    """A checkpoint is stored only where none is; one with another root stops the log."""
    await running.log.apply(journal.batch(1))
    await running.signed(journal.seq)
    state = await running.store.load()
    await superuser.execute("UPDATE audit.checkpoints SET root_hash = sha256('x'::bytea) WHERE tree_size = 700")
    with pytest.raises(LogCorrupt, match="size 700 was signed with the root"):
        await running.store.publish(state, 1)


async def test_two_writers_do_not_disturb_each_other(database_url: str, journal: Journal) -> None:
    """Two servers over one database, as in a rolling update: each event is stored once, and both go on."""
    async with log_over(database_url) as one, log_over(database_url) as other:
        for first in range(1, 700, 50):
            batch = journal.batch(first, first + 49)
            for writer in (one, other):
                try:
                    await writer.log.apply(batch)
                except FeedGapError:
                    # As `follow` does: asked again from where the log ends.
                    await writer.log.apply(journal.batch(await writer.log.position() + 1, first + 49))
        await one.stored(journal.seq)
        assert await other.reader.entries(0, journal.seq) == journal.entries
        await one.signed(journal.seq)
        assert not any(task.done() for task in (*one.tasks, *other.tasks))


async def test_commits_that_a_crash_took_back_are_read_again(
    running: Running, journal: Journal, superuser: Any
) -> None:
    """When the database has lost its last commits, the log asks the journal again from where it ends."""
    await running.log.apply(journal.batch(1, 500))
    await running.signed(500)
    await lost(superuser, 480)
    await running.log.apply(journal.batch(501, 600))
    assert await running.log.position() == 479
    await running.log.apply(journal.batch(480))
    await running.stored(journal.seq)
    assert await running.reader.entries(0, journal.seq) == journal.entries


async def test_a_loss_is_noticed_without_new_events(running: Running, journal: Journal, superuser: Any) -> None:
    """Nothing is signed that is no longer stored, and a heartbeat makes the log read again."""
    await running.log.apply(journal.batch(1, 500))
    await running.signed(500)
    state = await running.store.load()
    await lost(superuser, 480)
    with pytest.raises(StoreUnavailable):
        await running.store.publish(state, 1)
    await running.log.caught_up(EPOCH, 500)
    assert await running.log.position() == 479
    with pytest.raises(FeedGapError, match="after 480 all is lost"):
        await running.log.caught_up(EPOCH, 500)
    await running.log.apply(journal.batch(480, 500))
    assert (await running.signed(500)).root_hash == state.edge.root()


async def lost(superuser: Any, seq: int) -> None:
    """Takes back everything after `seq`, as a crash of the database does with commits that nobody waited for."""
    async with superuser.transaction():
        await superuser.execute("TRUNCATE audit.checkpoints")
        await superuser.execute("DELETE FROM audit.leaves WHERE leaf_index >= $1", seq)
        await superuser.execute("DELETE FROM history.order_state WHERE order_id > $1", seq)
        await superuser.execute("UPDATE audit.position SET seq = $1", seq)


async def test_another_journal_that_is_shorter_is_refused(running: Running, journal: Journal) -> None:
    """A journal that ends before the log is not the one that the log was made from."""
    await running.log.apply(journal.batch(1, 300))
    await running.stored(300)
    await running.log.position()
    with pytest.raises(LogCorrupt, match="another journal"):
        await running.log.caught_up(EPOCH, 299)


async def test_the_database_may_be_away(tmp_path: Path, journal: Journal) -> None:
    """Started without a database the log waits; when the database goes in between it waits again, and catches up."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder(tmp_path / "socket"))
        server = EmbeddedPostgres(tmp_path / "database", folder, tmp_path / "postgres.log")
        await server.prepare()
        running = await stack.enter_async_context(log_over(server.url()))
        assert not running.health.serving
        with pytest.raises(StoreUnavailable):
            await running.reader.position()
        async with started(server):
            await migrate(server.url(), tmp_path / "migrate.log")
            await running.log.apply(journal.batch(1, 400))
            assert await running.log.position() == 399
            assert running.health.serving
        await running.log.apply(journal.batch(401, 700))
        while running.health.serving:
            await asyncio.sleep(0)
        async with started(server):
            assert await running.log.position() == 699
            assert running.health.serving
            assert await running.reader.entries(0, 700) == journal.entries
            assert (await running.signed(700)).root_hash == tree_of(journal.entries).root(700)


@asynccontextmanager
async def started(server: EmbeddedPostgres) -> AsyncIterator[None]:
    """The server, while the block runs."""
    process = Process(server.program())
    await process.start()
    try:
        await process.wait_ready()
        yield
    finally:
        await process.stop()


async def test_the_history_shows_orders_executions_positions_and_balances(running: Running, superuser: Any) -> None:
    """Decimals in the instrument's units, exact, and cash that trades moved."""
    journal = Journal()
    maker = journal.order("MM", "BTC", SELL, 15_000, 6_000_001, key="ask")
    await running.log.apply(journal.batch(1))
    before = journal.seq
    journal.trade(maker, journal.order("DEMO", "BTC", BUY, 15_000, 6_000_100), 15_000)
    option = journal.order("DEMO", "OPT", BUY, 2, 241)
    journal.trade(option, journal.order("MM", "OPT", SELL, 2, 241), 2)
    journal.cancel(journal.order("DEMO", "AAPL", BUY, 7, 18_999))
    await running.log.apply(journal.batch(before + 1))
    await running.stored(journal.seq)
    columns = "ord_status, order_qty, price, cum_qty, leaves_qty, avg_px"
    orders = await superuser.fetch(f"SELECT account, symbol, {columns} FROM history.orders ORDER BY order_id")
    assert [tuple(row) for row in orders] == [
        ("MM", "BTC", "FILLED", *_decimals("1.5", "60000.01", "1.5", "0", "60000.01")),
        ("DEMO", "BTC", "FILLED", *_decimals("1.5", "60001", "1.5", "0", "60000.01")),
        ("DEMO", "OPT", "FILLED", *_decimals("2", "12.05", "2", "0", "12.05")),
        ("MM", "OPT", "FILLED", *_decimals("2", "12.05", "2", "0", "12.05")),
        ("DEMO", "AAPL", "CANCELED", *_decimals("7", "189.99", "0", "0"), None),
    ]
    columns = "account, side, liquidity, last_px, last_qty, last_value"
    executions = await superuser.fetch(f"SELECT {columns} FROM history.executions WHERE symbol = 'BTC' ORDER BY seq")
    assert [tuple(row) for row in executions] == [
        ("MM", "SELL", "MAKER", *_decimals("60000.01", "1.5", "90000.015")),
        ("DEMO", "BUY", "TAKER", *_decimals("60000.01", "1.5", "90000.015")),
    ]
    positions = await superuser.fetch("SELECT account, symbol, qty FROM history.positions ORDER BY account, symbol")
    assert [tuple(row) for row in positions] == [
        ("DEMO", "AAPL", Decimal(1000)),
        ("DEMO", "BTC", Decimal("1.5")),
        ("DEMO", "OPT", Decimal(2)),
        ("MM", "AAPL", Decimal(1000)),
        ("MM", "BTC", Decimal("-1.5")),
        ("MM", "OPT", Decimal(-2)),
    ]
    balances = await superuser.fetch("SELECT account, cash FROM history.balances ORDER BY account")
    assert [tuple(row) for row in balances] == [
        ("DEMO", Decimal(1_000_000) - Decimal("90000.015") - 2410),
        ("MM", Decimal(1_000_000) + Decimal("90000.015") + 2410),
    ]
    columns = "accepted_time, last_time, last_seq"
    accepted, last, last_seq = await superuser.fetchrow(f"SELECT {columns} FROM history.orders WHERE cl_ord_id = 'ask'")
    assert (last - accepted).microseconds == last_seq - maker


def _decimals(*texts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(text) for text in texts)


async def test_pages_of_the_trail_follow_each_other(running: Running, journal: Journal) -> None:
    """Newest first, without loss or repetition, under every filter and while entries come in."""
    await running.log.apply(journal.batch(1, 600))
    await running.stored(600)
    cases: dict[trail.TrailFilter, Callable[[events.Event], bool]] = {
        trail.TrailFilter(): lambda event: True,
        trail.TrailFilter(account="DEMO"): lambda event: _account(event) == "DEMO",
        trail.TrailFilter(account="DEMO", symbol="AAPL"): lambda event: (
            _account(event) == "DEMO" and "AAPL" in str(event)
        ),
        trail.TrailFilter(symbol="BTC"): lambda event: event.instrument_listed.instrument.symbol == "BTC",
        trail.TrailFilter(order_id=400): lambda event: event.order.order_id == 400,
        trail.TrailFilter(cl_ord_id="key-400"): lambda event: event.order.cl_ord_id == "key-400",
        trail.TrailFilter(event_type="CASH_ADJUSTED"): lambda event: event.HasField("cash_adjusted"),
        trail.TrailFilter(from_time_ns=START_NS + 500_000, to_time_ns=START_NS + 550_000): lambda event: (
            500 <= event.seq < 550
        ),
        trail.TrailFilter(from_time_ns=START_NS + 10**9): lambda event: False,
        trail.TrailFilter(account="NOBODY"): lambda event: False,
    }
    for wanted, matches in cases.items():
        found: list[int] = []
        before = None
        while rows := await trail.page(running.reader, wanted, before, 37):
            found += [row[0] for row in rows]
            before = found[-1]
        expected = [index for index in range(600) if matches(events.Event.FromString(journal.entries[index]))]
        assert found == expected[::-1], wanted
    first = await trail.page(running.reader, trail.TrailFilter(), None, 10)
    await running.log.apply(journal.batch(601))
    await running.stored(700)
    second = await trail.page(running.reader, trail.TrailFilter(), first[-1][0], 10)
    assert [row[0] for row in (*first, *second)] == list(range(599, 579, -1))


def _account(event: events.Event) -> str:
    """The account of whatever the event is."""
    body = getattr(event, event.WhichOneof("body") or "")
    return str(getattr(body, "account", ""))


async def test_events_that_no_column_takes_are_stored_all_the_same(running: Running, journal: Journal) -> None:
    """A key with NUL or of 5,000 characters does not stop the log."""
    order = _order(0, "DEMO", "NONE", BUY, 1, 1, "\0" + "x" * 5000)
    order.exec_type, order.ord_status = types.EXEC_TYPE_REJECTED, types.ORD_STATUS_REJECTED
    journal._write(order=order)
    await running.log.apply(journal.batch(1))
    await running.stored(journal.seq)
    assert (await running.reader.entries(700, 701)) == [journal.entries[700]]
