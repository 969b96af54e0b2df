"""As-of queries: what the journal says the venue was is what the venue said then."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import portfolio_pb2 as portfolio
from ordergate.types.v1 import types_pb2 as types

from clients.cli.main import cli
from matching import asof
from matching.recovery import as_of
from runtime.stack.home import environment
from tests.integration.gateway.venue import BUY, SELL, Venue

ACCOUNTS = ("DEMO", "MM")
POSITION = ("qty", "held_qty", "avg_cost", "mark_px", "unrealized_pnl", "realized_pnl", "currency")
BALANCE = ("cash", "held", "margin", "buying_power", "fees")


@dataclass
class Said:
    """What the venue said of an account, and when."""

    seq: int
    account: str
    balances: dict[str, dict[str, str]] = field(default_factory=dict)
    positions: dict[str, dict[str, str]] = field(default_factory=dict)
    orders: dict[str, dict[str, str]] = field(default_factory=dict)


async def said(venue: Venue, account: str) -> Said:
    """Asks the gateway for an account's portfolio and open orders."""
    as_trader = {"metadata": venue.as_role(accounts=[account])}
    held = await venue.portfolio.GetPortfolio(portfolio.GetPortfolioRequest(account=account), **as_trader)
    found = await venue.orders.ListOrders(entry.ListOrdersRequest(account=account, open_only=True), **as_trader)
    return Said(
        held.as_of_seq,
        account,
        {one.currency: {name: getattr(one, name) for name in BALANCE} for one in held.balances},
        {one.symbol: {name: getattr(one, name) for name in POSITION} for one in held.positions},
        {
            one.order_id: {
                "qty": one.terms.qty,
                "price": one.terms.price,
                "stop_px": one.terms.stop_px,
                "cum_qty": one.cum_qty,
                "leaves_qty": one.leaves_qty,
                "avg_px": one.avg_px,
                "cl_ord_id": one.terms.cl_ord_id,
                "side": types.Side.Name(one.terms.side).removeprefix("SIDE_"),
                "ord_type": types.OrdType.Name(one.terms.ord_type).removeprefix("ORD_TYPE_"),
                "ord_status": types.OrdStatus.Name(one.ord_status).removeprefix("ORD_STATUS_"),
            }
            for one in found.orders
        },
    )


@dataclass
class Past:
    """A venue that has ended, and what it had said while it lived."""

    venue: Venue
    said: list[Said]

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.venue.settings.journal_dir


async def _trade(venue: Venue) -> list[Said]:
    """A few orders of every kind, with questions in between."""
    told = []
    steps: list[dict[str, Any]] = [
        {"accounts": ["MM"], "side": SELL, "qty": "10", "price": "200.00"},
        {"side": BUY, "qty": "4", "price": "201.00"},
        {"side": BUY, "qty": "7", "price": "150.25"},
        {"side": SELL, "qty": "3", "ord_type": types.ORD_TYPE_STOP, "price": "", "stop_px": "120.00"},
        {"accounts": ["MM"], "side": BUY, "qty": "0.0005", "symbol": "BTCUSD", "price": "60000.01"},
        {"accounts": ["MM"], "side": SELL, "qty": "5", "price": "150.25"},
        {"side": BUY, "qty": "2000", "symbol": "EURUSD", "price": "1.08345"},
        {"accounts": ["MM"], "side": SELL, "qty": "1000", "symbol": "EURUSD", "price": "1.08340"},
    ]
    for step in steps:
        await venue.submit(**step)
        told += [await said(venue, account) for account in ACCOUNTS]
    return told


@pytest_asyncio.fixture(scope="module")
async def past(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:
    """A venue that has traded, made snapshots on the way, and is over."""
    venue = Venue(tmp_path_factory.mktemp("asof"), snapshot_interval_events=12, journal_segment_bytes=16_384)
    await venue.start_matching()
    await venue.start_gateway()
    await venue.becomes(serving=True)
    told = await _trade(venue)
    await venue.stop()
    yield Past(venue, told)


async def test_the_past_is_what_the_venue_said_then(past: Past) -> None:
    """At every moment that was asked about: money, positions and open orders, with the same decimals."""
    assert len({one.seq for one in past.said}) >= 8
    assert list((past.journal / "snapshots").glob("*.snapshot")), "some answers begin with a snapshot"
    for then in past.said:
        engine = as_of(past.journal, then.seq)
        cash = {row["currency"]: row for row in asof.cash_rows(engine, then.account)}
        assert {name: {key: row[key] for key in BALANCE} for name, row in cash.items()} == then.balances
        positions = {row["symbol"]: row for row in asof.position_rows(engine, then.account)}
        assert {name: {key: row[key] for key in POSITION} for name, row in positions.items()} == then.positions
        orders = {row["order_id"]: row for row in asof.order_rows(engine, then.account)}
        assert {one: {key: orders[one][key] for key in then.orders[one]} for one in orders} == then.orders


async def test_the_moments_differ(past: Past) -> None:
    """The comparison above can fail: what is true at one moment is not at the next but one."""
    first, last = past.said[0], past.said[-2]
    assert (first.balances, first.positions) != (last.balances, last.positions)
    assert first.orders != last.orders


def replay(past: Past, *arguments: object, code: int = 0, **variables: str) -> str:
    """Runs `ordergate replay`; gives its output, or its error."""
    command = ["replay", *map(str, arguments)]
    ended = CliRunner().invoke(cli, command, env=environment(past.venue.settings) | variables)
    assert ended.exit_code == code, ended.output
    return ended.stderr if code else ended.stdout


def test_the_command_line_shows_orders_positions_cash_and_limits(past: Past) -> None:
    """One JSON object a row, each with the seq that it is as of; the account and the instrument narrow it down."""
    then = past.said[-2]
    rows = {}
    for what in ("orders", "positions", "cash", "limits"):
        out = replay(past, "--as-of", then.seq, what, "--account", then.account, "--json")
        rows[what] = [json.loads(line) for line in out.splitlines()]
        assert {row["as_of_seq"] for row in rows[what]} == {then.seq}
    assert {row["order_id"] for row in rows["orders"]} == set(then.orders)
    assert {row["currency"]: row["cash"] for row in rows["cash"]} == {
        name: balance["cash"] for name, balance in then.balances.items()
    }
    assert {row["symbol"]: row["qty"] for row in rows["positions"]} == {
        name: position["qty"] for name, position in then.positions.items()
    }
    limits = {(row["account"], row["limit"]): row["value"] for row in rows["limits"]}
    assert limits == {("", "order_notional"): "50000000.00", ("DEMO", "daily_loss"): "5000000.00"}
    out = replay(past, "--as-of", then.seq, "positions", "--symbol", "AAPL", "--json")
    assert {json.loads(line)["symbol"] for line in out.splitlines()} == {"AAPL"}


def test_the_command_line_shows_tables_to_people(past: Past) -> None:
    """A title that names the seq, a line of headings, and rows."""
    out = replay(past, "--as-of", past.said[-2].seq, "orders")
    assert f"Orders as of seq {past.said[-2].seq}" in out
    assert "leaves_qty" in out
    assert "TRAILING" not in out
    assert "STOP" in out


@pytest.mark.parametrize("arguments", [(), ("--from-snapshot",)])
def test_the_command_line_verifies_from_both_ends(past: Past, arguments: tuple[str, ...]) -> None:
    """From the first event, and from the newest snapshot: the same state hash."""
    whole = json.loads(replay(past, "--verify", "--json"))
    summary = json.loads(replay(past, "--verify", *arguments, "--json"))
    assert summary["state_hash"] == whole["state_hash"]
    assert (summary["snapshot_seq"] > 0) == bool(arguments)
    assert summary["snapshot_seq"] + summary["events"] == whole["last_seq"]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ((), 2, "one of --verify and --as-of"),
        (("--verify", "--as-of", 5), 2, "one of --verify and --as-of"),
        (("--as-of", 5), 2, "--as-of takes WHAT"),
        (("--verify", "orders"), 2, "--as-of takes WHAT"),
        (("--as-of", 5, "orders", "--from-snapshot"), 2, "--verify takes --from-snapshot"),
        (("--as-of", 0, "orders"), 2, "0 is not in the range"),
        (("--as-of", 5, "trades"), 2, "'trades' is not one of"),
        (("--as-of", 100_000, "orders"), 1, "the journal ends at seq"),
        (("--as-of", 40, "orders", "--account", "NOBODY"), 1, "there was no account NOBODY at seq 40"),
        (("--as-of", 40, "positions", "--symbol", "GOLD"), 1, "GOLD was not listed at seq 40"),
    ],
)
def test_what_makes_no_sense_is_refused(past: Past, arguments: tuple[object, ...], code: int, why: str) -> None:
    """One line that says why; 2 for wrong usage, 1 for what the journal does not have."""
    assert why in replay(past, *arguments, code=code)


def test_a_journal_in_a_database_is_not_read(past: Past) -> None:
    """The replay reads files; where the journal is in PostgreSQL it says so."""
    url = "postgresql://localhost/none"
    assert "the journal is in PostgreSQL" in replay(past, "--verify", code=1, JOURNAL_URL=url)
    assert "Verified" in replay(past, "--verify", "--journal", past.journal, JOURNAL_URL=url)


def test_ended_orders_can_be_seen_too(past: Past) -> None:
    """Orders that have ended are known until their keys fall out of the window."""
    engine = as_of(past.journal, past.said[-1].seq)
    known, still_open = asof.order_rows(engine, open_only=False), asof.order_rows(engine)
    assert {row["ord_status"] for row in still_open} == {"NEW", "PARTIALLY_FILLED", "PENDING_NEW"}
    assert {row["ord_status"] for row in known} > {"FILLED"}
    assert [int(row["order_id"]) for row in known] == sorted(int(row["order_id"]) for row in known)
