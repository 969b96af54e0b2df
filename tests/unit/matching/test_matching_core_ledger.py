"""The ledger: cash, holds, positions, cost and the numbers of a denial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from matching.core import commands
from matching.core.events import RiskNumbers
from matching.core.ledger import MONEY_MICRO_MAX
from matching.core.words import ExecType, OrdStatus, OrdType, Reason, RiskUnit, Side, TimeInForce

if TYPE_CHECKING:
    from tests.unit.matching.conftest import Floor

INT64_MAX = 2**63 - 1
CASH = 10_000_000_000
"""What each account of the floor owns, in units of 10^-6."""
TICK = 10_000
"""What a tick on a lot of XYZ is worth."""


def test_an_open_buy_order_holds_what_it_could_cost(floor: Floor) -> None:
    """Price times quantity at the limit is held, and not spent."""
    floor.buy("ALICE", 10, 99)
    cash = floor.cash("ALICE")
    assert (cash.cash_micro, cash.held_micro, cash.free_micro) == (CASH, 990 * TICK, CASH - 990 * TICK)


def test_an_open_sell_order_holds_its_lots(floor: Floor) -> None:
    """A sale holds what it could deliver, and no cash."""
    floor.sell("ALICE", 10, 101)
    assert (floor.position("ALICE").qty_lots, floor.position("ALICE").held_lots) == (100, 10)
    assert floor.cash("ALICE").held_micro == 0


def test_a_trade_moves_cash_and_lots_at_the_traded_price(floor: Floor) -> None:
    """The buyer pays the seller's price, not the own limit, and what was held for the difference is free again."""
    floor.sell("ALICE", 10, 101)
    floor.buy("BOB", 4, 110)
    assert (floor.cash("ALICE").cash_micro, floor.cash("BOB").cash_micro) == (CASH + 404 * TICK, CASH - 404 * TICK)
    assert (floor.cash("BOB").held_micro, floor.position("ALICE").held_lots) == (0, 6)
    assert (floor.position("ALICE").qty_lots, floor.position("BOB").qty_lots) == (96, 104)


def test_the_rest_of_a_buy_order_holds_its_own_limit(floor: Floor) -> None:
    """After a partial fill at a better price, what is open holds quantity times limit."""
    floor.sell("ALICE", 4, 101)
    floor.buy("BOB", 10, 110)
    assert floor.cash("BOB").held_micro == 6 * 110 * TICK


@pytest.mark.parametrize("time_in_force", [TimeInForce.DAY, TimeInForce.GTC])
def test_a_cancel_frees_what_was_held(floor: Floor, time_in_force: TimeInForce) -> None:
    """Nothing stays on hold for an order that has ended."""
    (bid,) = floor.buy("ALICE", 10, 99, time_in_force=time_in_force)
    (ask,) = floor.sell("ALICE", 10, 101, time_in_force=time_in_force)
    floor.cancel(bid)
    floor.cancel(ask)
    assert (floor.cash("ALICE").held_micro, floor.position("ALICE").held_lots) == (0, 0)


def test_an_ioc_order_leaves_nothing_on_hold(floor: Floor) -> None:
    """What an IOC order could not trade is freed with its end."""
    floor.sell("ALICE", 4, 101)
    floor.buy("BOB", 10, 101, time_in_force=TimeInForce.IOC)
    assert (floor.cash("BOB").held_micro, floor.cash("BOB").cash_micro) == (0, CASH - 404 * TICK)


@pytest.mark.parametrize(("qty", "price", "held"), [(5, 0, 495), (15, 0, 1485), (0, 90, 900), (20, 100, 2000)])
def test_a_replace_moves_the_hold(floor: Floor, qty: int, price: int, held: int) -> None:
    """A replaced buy order holds its new quantity at its new limit."""
    (first,) = floor.buy("ALICE", 10, 99)
    floor.replace(first, qty, price)
    assert floor.cash("ALICE").held_micro == held * TICK


def test_a_replaced_sale_holds_its_new_lots(floor: Floor) -> None:
    """Of a replaced sale that has traded in part, only the open lots are held."""
    (first,) = floor.sell("ALICE", 10, 101)
    floor.buy("BOB", 3, 101)
    floor.replace(first, 20)
    assert (floor.position("ALICE").qty_lots, floor.position("ALICE").held_lots) == (97, 17)


def test_buying_power_is_denied_with_its_numbers(floor: Floor) -> None:
    """Cash of 10,000.00, 9,900.00 held, another 200.00 asked for: limit, current and projected say so."""
    floor.buy("ALICE", 100, 9_900)
    (denied,) = floor.buy("ALICE", 2, 10_000)
    assert (denied.exec_type, denied.ord_status, denied.reason) == (
        ExecType.DENIED,
        OrdStatus.REJECTED,
        Reason.BUYING_POWER,
    )
    assert denied.risk == RiskNumbers(
        "buying_power", RiskUnit.MONEY_MICRO, CASH, 990_000 * TICK, (990_000 + 20_000) * TICK
    )
    assert (denied.order_id, denied.qty_lots, denied.price_ticks, denied.leaves_qty_lots) == (0, 2, 10_000, 0)
    assert floor.cash("ALICE").held_micro == 990_000 * TICK


def test_all_cash_can_be_used_but_not_a_micro_more(floor: Floor) -> None:
    """The boundary itself passes: 10,000.00 of 10,000.00; one tick on one lot more is denied."""
    (accepted,) = floor.buy("ALICE", 1, CASH // TICK)
    assert accepted.exec_type == ExecType.NEW
    (denied,) = floor.buy("ALICE", 1, 1)
    assert denied.risk is not None
    assert (denied.risk.limit, denied.risk.current, denied.risk.projected) == (CASH, CASH, CASH + TICK)


def test_a_sale_of_more_than_is_free_is_denied_with_its_numbers(floor: Floor) -> None:
    """100 lots, 60 of them held, 41 more: POSITION_INSUFFICIENT with the three numbers; 40 pass."""
    floor.sell("ALICE", 60, 101)
    (denied,) = floor.sell("ALICE", 41, 101)
    assert (denied.exec_type, denied.reason) == (ExecType.DENIED, Reason.POSITION_INSUFFICIENT)
    assert denied.risk == RiskNumbers("position", RiskUnit.LOTS, 100, 60, 101)
    assert floor.sell("ALICE", 40, 101)[0].exec_type == ExecType.NEW


def test_short_sales_are_not_permitted(floor: Floor) -> None:
    """SELL_SHORT needs a permission that no account has."""
    (denied,) = floor.told(floor.order("ALICE", Side.SELL_SHORT, 1, 101))
    assert (denied.exec_type, denied.reason, denied.field) == (
        ExecType.DENIED,
        Reason.SHORT_SALE_NOT_PERMITTED,
        "side",
    )


def test_a_market_buy_is_checked_against_what_the_book_asks(floor: Floor) -> None:
    """A market order must be able to pay for what it would take now; with enough cash it takes it."""
    floor.sell("BOB", 1, 999_999)
    floor.sell("BOB", 1, 1_000_000)
    (denied,) = floor.buy("ALICE", 2)
    assert denied.risk == RiskNumbers("buying_power", RiskUnit.MONEY_MICRO, CASH, 0, 1_999_999 * TICK)
    assert floor.buy("ALICE", 1)[-1].ord_status == OrdStatus.FILLED
    assert floor.cash("ALICE").cash_micro == CASH - 999_999 * TICK


def test_a_replace_needs_cash_only_for_what_it_adds(floor: Floor) -> None:
    """An order that holds everything can get cheaper or smaller, and cannot get a tick dearer."""
    (first,) = floor.buy("ALICE", 2, CASH // TICK // 2)
    (denied,) = floor.replace(first, price=CASH // TICK // 2 + 1)
    assert (denied.exec_type, denied.reason, denied.order_id) == (
        ExecType.DENIED,
        Reason.BUYING_POWER,
        first.order_id,
    )
    assert denied.risk == RiskNumbers("buying_power", RiskUnit.MONEY_MICRO, CASH, CASH, CASH + 2 * TICK)
    (replaced,) = floor.replace(first, qty=4, price=CASH // TICK // 4)
    assert replaced.exec_type == ExecType.REPLACED


def test_a_replaced_sale_needs_the_lots_that_it_adds(floor: Floor) -> None:
    """A sale of 60 of 100 lots can grow to 100 and not to 101."""
    (first,) = floor.sell("ALICE", 60, 101)
    (denied,) = floor.replace(first, qty=101)
    assert denied.risk == RiskNumbers("position", RiskUnit.LOTS, 100, 60, 101)
    assert floor.replace(first, qty=100)[0].exec_type == ExecType.REPLACED


def test_a_sale_realises_what_it_earned_over_the_average_cost(floor: Floor) -> None:
    """100 lots at 100 and 100 at 130 cost 115 each: selling 50 at 120 earns 5 ticks on each."""
    floor.told(commands.AdjustPosition("ALICE", "XYZ", 100, 130, "more"))
    floor.buy("BOB", 50, 120)
    floor.sell("ALICE", 50, 120)
    position = floor.position("ALICE")
    assert (position.qty_lots, position.cost_ticks_lots, position.realized_pnl_micro) == (
        150,
        150 * 115,
        50 * 5 * TICK,
    )


def test_rounding_of_the_cost_never_accumulates(floor: Floor) -> None:
    """Three lots that cost 100 + 100 + 101 leave no cost behind when they are sold one by one."""
    floor.told(commands.OpenAccount("CAROL"))
    floor.told(commands.AdjustPosition("CAROL", "XYZ", 2, 100, "a"))
    floor.told(commands.AdjustPosition("CAROL", "XYZ", 1, 101, "b"))
    costs = []
    for _ in range(3):
        floor.buy("BOB", 1, 100)
        floor.sell("CAROL", 1, 100)
        costs.append(floor.position("CAROL").cost_ticks_lots)
    assert costs == [201, 101, 0]
    assert floor.position("CAROL").realized_pnl_micro == (300 - 301) * TICK


def test_a_multiplier_counts_in_the_money(floor: Floor) -> None:
    """An option with multiplier 100 and tick 0.05 on a lot of 1 moves 5.00 for each tick and lot."""
    floor.told(commands.ListInstrument("OPT", 2, "USD", 5 * 10**7, 10**9, multiplier=100))
    floor.buy("ALICE", 3, 20, symbol="OPT")
    assert floor.cash("ALICE").held_micro == 3 * 20 * 5_000_000


@pytest.mark.parametrize(
    ("terms", "reason", "field"),
    [
        ({"symbol": "NONE"}, Reason.SYMBOL_UNKNOWN, "symbol"),
        ({"ord_type": 3}, Reason.NOT_SUPPORTED, "ord_type"),
        ({"ord_type": 0}, Reason.NOT_SUPPORTED, "ord_type"),
        ({"time_in_force": 4}, Reason.NOT_SUPPORTED, "time_in_force"),
        ({"self_trade_prevention": 2}, Reason.NOT_SUPPORTED, "self_trade_prevention"),
        ({"cl_ord_id": ""}, Reason.FIELD_MISSING, "cl_ord_id"),
        ({"qty_lots": 0}, Reason.NOT_POSITIVE, "qty"),
        ({"qty_lots": -1}, Reason.NOT_POSITIVE, "qty"),
        ({"price_ticks": 0}, Reason.FIELDS_CONFLICT, "price"),
        ({"ord_type": OrdType.MARKET}, Reason.FIELDS_CONFLICT, "price"),
        ({"ord_type": OrdType.MARKET, "price_ticks": -5}, Reason.NOT_POSITIVE, "price"),
        ({"price_ticks": -5}, Reason.NOT_POSITIVE, "price"),
        ({"side": 3}, Reason.NOT_SUPPORTED, "side"),
    ],
)
def test_what_a_gateway_should_have_stopped_is_rejected(
    floor: Floor, terms: dict[str, int | str], reason: Reason, field: str
) -> None:
    """The core relies on nobody for the shape of an order: it rejects, names the field and holds nothing."""
    given = {"side": Side.BUY, "ord_type": OrdType.LIMIT, "qty_lots": 5, "price_ticks": 99, "cl_ord_id": "A1"} | terms
    symbol = str(given.pop("symbol", "XYZ"))
    (refused,) = floor.told(commands.NewOrder("ALICE", symbol=symbol, **given))  # type: ignore[arg-type]
    assert (refused.exec_type, refused.ord_status, refused.reason, refused.field) == (
        ExecType.REJECTED,
        OrdStatus.REJECTED,
        reason,
        field,
    )
    assert floor.cash("ALICE").held_micro == 0


def test_an_order_for_an_unknown_account_is_denied(floor: Floor) -> None:
    """No account, no order; nobody's account sequence moves."""
    (denied,) = floor.buy("NOBODY", 1, 99)
    assert (denied.exec_type, denied.reason, denied.field) == (ExecType.DENIED, Reason.ACCOUNT_UNKNOWN, "account")
    assert (denied.account_seq, denied.terms.account) == (0, "NOBODY")


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_a_value_beyond_the_venue_is_refused(floor: Floor, side: Side) -> None:
    """Price times quantity above 2^62 micro is too large, whatever the account owns."""
    (refused,) = floor.told(floor.order("ALICE", side, 2**40, 2**40))
    assert (refused.reason, refused.field) == (Reason.VALUE_TOO_LARGE, "price")


def test_the_numbers_of_a_denial_fit_the_contract(floor: Floor) -> None:
    """A market sale of 2^63 - 1 lots on top of held ones is denied with numbers that 64 bits can carry."""
    floor.sell("ALICE", 60, 101)
    (denied,) = floor.sell("ALICE", INT64_MAX)
    assert (denied.reason, denied.qty_lots) == (Reason.POSITION_INSUFFICIENT, INT64_MAX)
    assert denied.risk == RiskNumbers("position", RiskUnit.LOTS, 100, 60, MONEY_MICRO_MAX)


def test_a_denied_order_leaves_nothing_in_the_ledger(floor: Floor) -> None:
    """Looking at a rule makes no balance or position: an account that was denied owns what it owned."""
    floor.told(commands.OpenAccount("CAROL"))
    floor.buy("CAROL", 1, 99)
    floor.sell("CAROL", 1, 99)
    account = floor.engine.venue.accounts["CAROL"]
    assert (account.cash, account.positions) == ({}, {})
