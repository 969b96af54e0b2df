"""The command line against the whole system: orders, holdings, market data, and what failures look like."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from runtime.stack.home import environment

if TYPE_CHECKING:
    from runtime.stack.system import Stack
    from tests.integration.conftest import Ordergate

FAR_BELOW = "1.23"
"""A bid that nobody hits."""


async def test_an_order_lives_through_the_command_line(ordergate: Ordergate) -> None:
    """Submit, get by either id, replace, list and cancel show one order, each with the contract's field names."""
    key = uuid4().hex
    submitted = await ordergate(
        "--json", "order", "submit", "MSFT", "buy", 10, "--price", FAR_BELOW, "--cl-ord-id", key
    )
    (report,) = submitted.objects
    assert (report["exec_type"], report["ord_status"], report["price"]) == (
        "EXEC_TYPE_NEW",
        "ORD_STATUS_NEW",
        FAR_BELOW,
    )
    (replaced,) = (await ordergate("order", "replace", key, "--client-key", "--qty", 7, "--json")).objects
    assert (replaced["exec_type"], replaced["leaves_qty"]) == ("EXEC_TYPE_REPLACED", "7")
    (by_id,) = (await ordergate("order", "get", report["order_id"], "--json")).objects
    (by_key,) = (await ordergate("order", "get", key, "--client-key", "--json")).objects
    assert by_id == by_key
    listed = (await ordergate("order", "list", "--open", "--symbol", "MSFT", "--json")).objects
    assert by_id in listed
    (canceled,) = (await ordergate("order", "cancel", report["order_id"], "--json")).objects
    assert (canceled["ord_status"], canceled["leaves_qty"]) == ("ORD_STATUS_CANCELED", "0")
    listed = (await ordergate("order", "list", "--open", "--json")).objects
    assert report["order_id"] not in [order["order_id"] for order in listed]


async def test_people_get_tables(ordergate: Ordergate) -> None:
    """Without --json an answer is a table with the words of the contract."""
    submitted = await ordergate("order", "submit", "MSFT", "buy", 10, "--price", FAR_BELOW)
    assert submitted.code == 0
    assert "order_id" in submitted.out
    listed = await ordergate("order", "list", "--open")
    assert "PRICE".casefold() in listed.out.casefold()
    assert FAR_BELOW in listed.out
    portfolio = await ordergate("portfolio")
    assert "buying_power" in portfolio.out


async def test_an_order_of_any_kind_is_placed_and_shown(ordergate: Ordergate) -> None:
    """Options become terms, which the order keeps; a change of its trigger is shown, and the table has it."""
    trail = ("--trail-bps", 50, "--stop-px", "1.50", "--reduce-only", "--expire-time", "2100-01-01T00:00:00Z")
    (placed,) = (await ordergate("order", "submit", "MSFT", "sell", 2, *trail, "--json")).objects
    assert (placed["ord_type"], placed["ord_status"]) == ("ORD_TYPE_TRAILING_STOP", "ORD_STATUS_PENDING_NEW")
    (found,) = (await ordergate("order", "get", placed["order_id"], "--json")).objects
    terms = found["terms"]
    assert (terms["trail"]["offset"], terms["stop_px"], terms["exec_inst"]["reduce_only"]) == ("50", "1.50", True)
    assert (terms["time_in_force"], terms["expire_time"]) == ("TIME_IN_FORCE_GTD", "2100-01-01T00:00:00Z")
    changed = await ordergate("order", "replace", placed["order_id"], "--stop-px", "1.25")
    assert "1.25" in changed.out
    listed = await ordergate("order", "list", "--open", "--symbol", "MSFT")
    assert "1.25" in listed.out
    assert "PENDING_NEW" in listed.out
    assert (await ordergate("order", "cancel", placed["order_id"])).code == 0


async def test_the_same_key_is_the_same_order(ordergate: Ordergate) -> None:
    """Submitting again under the same key gives the original report, marked as a duplicate."""
    arguments = ("order", "submit", "MSFT", "buy", 3, "--price", FAR_BELOW, "--cl-ord-id", uuid4().hex, "--json")
    (first,), (second,) = (await ordergate(*arguments)).objects, (await ordergate(*arguments)).objects
    assert first["seq"] == second["seq"]
    assert (first["poss_dup"], second["poss_dup"]) == (False, True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("order", "submit", "MSFT", "buy", "1", "--price", "1.001"), "PRICE_OFF_TICK"),
        (("order", "submit", "NOPE", "buy", "1", "--price", "1"), "SYMBOL_UNKNOWN"),
        (("order", "submit", "MSFT", "buy", "99999999", "--price", "400"), "ORDER_NOTIONAL_LIMIT"),
        (("order", "submit", "MSFT", "buy", "99999", "--price", "400"), "BUYING_POWER"),
        (("order", "submit", "NVDA", "sell", "1", "--price", "100"), "POSITION_INSUFFICIENT"),
        (("order", "cancel", "999999999"), "ORDER_UNKNOWN"),
        (("--token", "nonsense", "positions", "--account", "DEMO"), "TOKEN_INVALID"),
        (("--gateway", "127.0.0.1:1", "positions"), "UNREACHABLE"),
    ],
)
async def test_a_failure_is_one_line_with_its_code(
    ordergate: Ordergate, arguments: tuple[str, ...], reason: str
) -> None:
    """An expected failure exits 1, says why on standard error in one line, and nothing on standard output."""
    failed = await ordergate(*arguments)
    assert (failed.code, failed.out) == (1, "")
    (line,) = failed.err.splitlines()
    assert line.startswith(f"ordergate: {reason}: ")


async def test_wrong_usage_exits_two(ordergate: Ordergate) -> None:
    """What the command line itself cannot read is usage, not a failure."""
    assert (await ordergate("order", "submit", "MSFT", "hold", 1)).code == 2
    assert (await ordergate("replay")).code == 2


async def test_without_a_token_or_a_key_the_command_says_what_is_missing(ordergate: Ordergate) -> None:
    """No stack trace, no refused call: the way to a token."""
    failed = await ordergate("positions", ORDERGATE_AUTH_DEV_KEY_FILE="/nonexistent/dev.pem")
    assert failed.code == 2
    assert "ORDERGATE_TOKEN" in failed.err


async def test_an_issued_token_is_taken_from_the_environment(ordergate: Ordergate) -> None:
    """`ordergate token` prints what ORDERGATE_TOKEN wants; the account is the one the token is bound to."""
    token = (await ordergate("token", "--role", "trader", "--account", "MM")).out.strip()
    (held,) = (await ordergate("positions", "--json", ORDERGATE_TOKEN=token)).objects
    assert held["account"] == "MM"
    failed = await ordergate("positions", "--account", "DEMO", ORDERGATE_TOKEN=token)
    assert failed.err.startswith("ordergate: ACCOUNT_NOT_ALLOWED: ")


async def test_reports_are_streamed_from_the_past(ordergate: Ordergate) -> None:
    """`reports --resume-after` replays; each line is one report, in sequence."""
    (report,) = (await ordergate("--json", "order", "submit", "MSFT", "buy", 1, "--price", FAR_BELOW)).objects
    before = int(report["seq"]) - 1
    streamed = await ordergate("reports", "--resume-after", before, "--count", 1, "--json")
    assert [one["seq"] for one in streamed.objects] == [report["seq"]]
    shown = await ordergate("reports", "--resume-after", before, "--count", 1)
    assert report["cl_ord_id"] in shown.out


async def test_the_book_shows_an_order(ordergate: Ordergate) -> None:
    """Each update of the book is the whole depth; a resting order is a level of it."""
    await ordergate("order", "submit", "MSFT", "buy", 5, "--price", "2.34")
    (shown,) = (await ordergate("book", "MSFT", "--count", 1, "--json")).objects
    assert shown["symbol"] == "MSFT"
    assert "2.34" in [level["px"] for level in shown["bids"]]
    line = await ordergate("book", "MSFT", "--count", 1)
    assert len(line.out.splitlines()) == 1


async def test_ticks_begin_with_the_present_state(ordergate: Ordergate) -> None:
    """The first update of each symbol is what is known of it."""
    shown = (await ordergate("ticks", "MSFT", "AAPL", "--count", 2, "--json")).objects
    assert [one["symbol"] for one in shown] == ["MSFT", "AAPL"]
    assert all("traded_qty" in one for one in shown)


async def test_instruments_and_market_data_are_listed(ordergate: Ordergate) -> None:
    """One object a line for programs, sorted by symbol."""
    symbols = [one["symbol"] for one in (await ordergate("instruments", "--json")).objects]
    assert symbols == sorted(symbols)
    assert {"AAPL", "MSFT", "AMZN"} <= set(symbols)
    (data,) = (await ordergate("market-data", "AAPL", "--json")).objects
    assert data["symbol"] == "AAPL"


async def test_ctrl_c_ends_a_stream_quietly(system: Stack) -> None:
    """SIGINT ends a stream with exit code 130 and not a word."""
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", "ticks", "AAPL"),
        env=environment(system.settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert watching.stdout is not None
    async with asyncio.timeout(60):
        assert await watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        _, err = await watching.communicate()
    assert (watching.returncode, err) == (130, b"")
