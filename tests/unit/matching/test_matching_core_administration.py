"""Administration: instruments, accounts, cash, positions, the trading day; and the engine's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from matching.core import commands
from matching.core.commands import ListInstrument
from matching.core.events import AccountOpened, CashAdjusted, DayClosed, InstrumentListed, PositionAdjusted
from matching.core.ledger import MONEY_MICRO_MAX
from matching.core.words import Cause, ExecType, OrdStatus, Reason, Side, TimeInForce

if TYPE_CHECKING:
    from tests.unit.matching.conftest import Floor

XYZ = ListInstrument("XYZ", 1, "USD", 10**7, 10**9)
FIRST = 1_700_000_000_000_000_000
DAY, GTC = TimeInForce.DAY, TimeInForce.GTC


def test_a_new_venue_counts_from_one(bare: Floor) -> None:
    """Events are numbered densely from 1; each command has its own, later time."""
    assert (bare.engine.seq, bare.engine.time_unix_ns) == (0, 0)
    assert bare.told(XYZ) == [InstrumentListed(1, 1, FIRST, XYZ, "system")]
    assert bare.told(commands.OpenAccount("ALICE")) == [AccountOpened(2, 2, FIRST + 1, "ALICE", "system")]


def test_time_that_does_not_grow_is_a_bug(bare: Floor) -> None:
    """The core refuses to go back in time, or to stand still: the sequencer must never ask it to."""
    bare.told(XYZ)
    with pytest.raises(AssertionError, match="engine time must grow"):
        bare.engine.execute(commands.Command(commands.OpenAccount("ALICE")), FIRST)


@pytest.mark.parametrize(
    ("terms", "reason", "field"),
    [
        (ListInstrument("", 1, "USD", 10**7, 10**9), Reason.FIELD_MISSING, "symbol"),
        (ListInstrument("XYZ", 1, "", 10**7, 10**9), Reason.FIELD_MISSING, "currency"),
        (ListInstrument("XYZ", 1, "USD", 0, 10**9), Reason.FIELD_INVALID, "tick_size"),
        (ListInstrument("XYZ", 1, "USD", -(10**7), -(10**9)), Reason.FIELD_INVALID, "tick_size"),
        (ListInstrument("XYZ", 1, "USD", 10**7, 10**9, multiplier=0), Reason.FIELD_INVALID, "tick_size"),
        (ListInstrument("XYZ", 1, "USD", 10**3, 10**8), Reason.FIELD_INVALID, "tick_size"),
        (ListInstrument("XYZ", 1, "USD", 15 * 10**2, 10**9), Reason.FIELD_INVALID, "tick_size"),
    ],
)
def test_an_instrument_whose_tick_is_no_whole_micro_is_refused(
    bare: Floor, terms: ListInstrument, reason: Reason, field: str
) -> None:
    """A tick on a lot must be worth a whole, positive number of 10^-6: money has no smaller unit."""
    (refused,) = bare.told(terms)
    assert (refused.reason, refused.field) == (reason, field)
    assert bare.engine.venue.listings == {}


def test_the_smallest_tick_is_worth_one_micro(bare: Floor) -> None:
    """0.000001 on a lot of 1 is worth exactly 10^-6."""
    bare.told(ListInstrument("XYZ", 1, "USD", 10**3, 10**9))
    assert bare.engine.venue.listings["XYZ"].micro_per_tick_lot == 1


def test_listing_again_with_the_same_terms_changes_nothing(floor: Floor) -> None:
    """The answer is the original event; with other terms the listing is refused."""
    assert floor.replayed(XYZ).seq == 1
    (refused,) = floor.told(ListInstrument("XYZ", 1, "USD", 10**8, 10**9))
    assert (refused.reason, refused.field) == (Reason.ALREADY_EXISTS, "symbol")
    assert floor.engine.venue.listings["XYZ"].instrument == XYZ


def test_opening_an_account_again_changes_nothing(floor: Floor) -> None:
    """The answer is the original event, and the account keeps what it owns."""
    assert floor.replayed(commands.OpenAccount("ALICE")).seq == 2
    assert floor.cash("ALICE").cash_micro == 10_000_000_000


def test_an_account_needs_a_name(bare: Floor) -> None:
    """An empty name stands for "not given"."""
    (refused,) = bare.told(commands.OpenAccount(""))
    assert (refused.reason, refused.field) == (Reason.FIELD_MISSING, "account")


def test_cash_comes_and_goes(floor: Floor) -> None:
    """The event tells the amount and the cash afterwards."""
    made = floor.told(commands.AdjustCash("ALICE", "USD", -4_000_000, "out"))
    assert made == [CashAdjusted(8, 8, FIRST + 7, "ALICE", "USD", -4_000_000, 9_996_000_000, "out", "system")]
    assert floor.cash("ALICE").cash_micro == 9_996_000_000


def test_held_cash_cannot_be_withdrawn(floor: Floor) -> None:
    """With 9,900.00 of 10,000.00 held, 100.00 can go and 100.000001 cannot."""
    floor.buy("ALICE", 100, 9_900)
    (refused,) = floor.told(commands.AdjustCash("ALICE", "USD", -100_000_001, "a"))
    assert (refused.reason, refused.account, refused.field, refused.request_id) == (
        Reason.BUYING_POWER,
        "ALICE",
        "amount",
        "a",
    )
    (made,) = floor.told(commands.AdjustCash("ALICE", "USD", -100_000_000, "b"))
    assert made.cash_micro == 9_900_000_000


def test_all_cash_of_a_currency_together_is_bounded(floor: Floor) -> None:
    """No sum of money can leave 64 bits: the venue holds at most 2^62 micro of a currency."""
    held = 2 * 10_000_000_000
    (refused,) = floor.told(commands.AdjustCash("ALICE", "USD", MONEY_MICRO_MAX - held + 1, "a"))
    assert (refused.reason, refused.field) == (Reason.VALUE_TOO_LARGE, "amount")
    (made,) = floor.told(commands.AdjustCash("ALICE", "USD", MONEY_MICRO_MAX - held, "b"))
    assert made.amount_micro == MONEY_MICRO_MAX - held
    (other,) = floor.told(commands.AdjustCash("BOB", "EUR", MONEY_MICRO_MAX, "c"))
    assert other.cash_micro == MONEY_MICRO_MAX


def test_lots_come_at_a_cost_and_go_at_the_average(floor: Floor) -> None:
    """Booking 100 lots in at 130 on top of 100 at 100 costs 115 each; booking out realises nothing."""
    made = floor.told(commands.AdjustPosition("ALICE", "XYZ", 100, 130, "in"))
    assert made == [PositionAdjusted(8, 8, FIRST + 7, "ALICE", "XYZ", 100, 130, 200, "in", "system")]
    floor.told(commands.AdjustPosition("ALICE", "XYZ", -50, 0, "out"))
    position = floor.position("ALICE")
    assert (position.qty_lots, position.cost_ticks_lots, position.realized_pnl_micro) == (150, 150 * 115, 0)


def test_held_lots_cannot_be_booked_out(floor: Floor) -> None:
    """With 60 of 100 lots held, 40 can go and 41 cannot."""
    floor.sell("ALICE", 60, 101)
    (refused,) = floor.told(commands.AdjustPosition("ALICE", "XYZ", -41, 0, "a"))
    assert (refused.reason, refused.field) == (Reason.POSITION_INSUFFICIENT, "qty")
    (made,) = floor.told(commands.AdjustPosition("ALICE", "XYZ", -40, 0, "b"))
    assert made.position_lots == 60


def test_all_lots_of_an_instrument_together_are_bounded(floor: Floor) -> None:
    """Lots change hands, so their bound is the venue's: no position can leave 64 bits."""
    there = 2 * 100
    (refused,) = floor.told(commands.AdjustPosition("ALICE", "XYZ", MONEY_MICRO_MAX - there + 1, 0, "a"))
    assert (refused.reason, refused.field) == (Reason.VALUE_TOO_LARGE, "qty")
    (made,) = floor.told(commands.AdjustPosition("ALICE", "XYZ", MONEY_MICRO_MAX - there, 0, "b"))
    assert made.position_lots == MONEY_MICRO_MAX - 100
    (refused,) = floor.told(commands.AdjustPosition("BOB", "XYZ", 1, 0, "c"))
    assert refused.reason == Reason.VALUE_TOO_LARGE


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        (commands.AdjustCash("NOBODY", "USD", 1, "r"), Reason.ACCOUNT_UNKNOWN, "account"),
        (commands.AdjustCash("ALICE", "", 1, "r"), Reason.FIELD_MISSING, "currency"),
        (commands.AdjustCash("ALICE", "USD", 1, ""), Reason.FIELD_MISSING, "request_id"),
        (commands.AdjustPosition("NOBODY", "XYZ", 1, 1, "r"), Reason.ACCOUNT_UNKNOWN, "account"),
        (commands.AdjustPosition("ALICE", "NONE", 1, 1, "r"), Reason.SYMBOL_UNKNOWN, "symbol"),
        (commands.AdjustPosition("ALICE", "XYZ", 1, 1, ""), Reason.FIELD_MISSING, "request_id"),
        (commands.AdjustPosition("ALICE", "XYZ", 1, -1, "r"), Reason.FIELD_INVALID, "price"),
        (commands.AdjustPosition("ALICE", "XYZ", 2**31, 2**31, "r"), Reason.VALUE_TOO_LARGE, "price"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_refused(
    floor: Floor, body: commands.Body, reason: Reason, field: str
) -> None:
    """Unknown, missing or too large: refused with the field, and nothing moves."""
    (refused,) = floor.told(body)
    assert (refused.reason, refused.field) == (reason, field)
    assert (floor.cash("ALICE").cash_micro, floor.position("ALICE").qty_lots) == (10_000_000_000, 100)


def test_a_refused_adjustment_may_be_tried_again(floor: Floor) -> None:
    """Only what was carried out uses the request_id up."""
    (first,) = floor.buy("ALICE", 100, 9_900)
    withdrawal = commands.AdjustCash("ALICE", "USD", -200_000_000, "out")
    (refused,) = floor.told(withdrawal)
    assert refused.reason == Reason.BUYING_POWER
    floor.cancel(first)
    (made,) = floor.told(withdrawal)
    assert made.cash_micro == 9_800_000_000


def test_closing_the_day_ends_day_orders_in_the_order_of_their_ids(floor: Floor) -> None:
    """DAY orders of all accounts expire, oldest first, then the day is closed; GTC orders stay."""
    bob = floor.buy("BOB", 5, 98, time_in_force=DAY)[0].order_id
    alice = floor.buy("ALICE", 5, 99, time_in_force=DAY)[0].order_id
    gtc = floor.buy("ALICE", 5, 97)[0].order_id
    again = floor.sell("BOB", 5, 101, time_in_force=DAY)[0].order_id
    *expired, closed = floor.told(commands.CloseDay(20261122))
    assert [event.order_id for event in expired] == [bob, alice, again]
    for event in expired:
        assert (event.exec_type, event.ord_status) == (ExecType.EXPIRED, OrdStatus.EXPIRED)
        assert (event.cause, event.reason, event.leaves_qty_lots) == (Cause.SYSTEM, Reason.EXPIRED, 0)
    assert closed == DayClosed(15, 12, FIRST + 11, 20261122, 3, "system")
    assert (floor.bids(), floor.asks()) == ([(97, 5, [gtc])], [])
    assert (floor.cash("BOB").held_micro, floor.position("BOB").held_lots) == (0, 0)


def test_a_replaced_day_order_is_still_a_day_order(floor: Floor) -> None:
    """The time in force never changes in an order's life; what has traded stays traded."""
    (first,) = floor.sell("ALICE", 5, 101, time_in_force=DAY)
    floor.buy("BOB", 2, 101)
    floor.replace(first, qty=9)
    expired, _ = floor.told(commands.CloseDay(20261122))
    assert (expired.order_id, expired.cum_qty_lots, expired.qty_lots) == (first.order_id, 2, 9)


@pytest.mark.parametrize("trading_day", [20261122, 20261121, 0])
def test_days_close_once_and_in_order(floor: Floor, trading_day: int) -> None:
    """The same day, or an earlier one, cannot be closed again."""
    floor.told(commands.CloseDay(20261122))
    floor.buy("ALICE", 5, 99, time_in_force=DAY)
    (refused,) = floor.told(commands.CloseDay(trading_day))
    assert (refused.reason, refused.field) == (Reason.ALREADY_EXISTS, "trading_day")
    assert len(floor.bids()) == 1


def test_an_order_is_found_by_either_id(floor: Floor) -> None:
    """By its id or any key it carried: the last event and the time of acceptance; not by other accounts."""
    (first,) = floor.buy("ALICE", 5, 99, cl_ord_id="A1")
    (replaced,) = floor.replace(first, qty=4, cl_ord_id="A2")
    floor.replace(first, qty=4, cl_ord_id="A3")
    for found in (
        floor.engine.lookup("ALICE", first.order_id, ""),
        *(floor.engine.lookup("ALICE", 0, key) for key in ("A1", "A2")),
    ):
        assert found == (replaced, first.time_unix_ns)
    assert floor.engine.lookup("BOB", first.order_id, "") is None
    assert floor.engine.lookup("NOBODY", 0, "A1") is None
    assert floor.engine.lookup("ALICE", 0, "A9") is None


def test_a_request_that_never_became_an_order_is_found_by_its_key(floor: Floor) -> None:
    """GetOrder always resolves "did it happen?": a refusal is found as a refusal."""
    (denied,) = floor.buy("ALICE", 1000, 9_999, cl_ord_id="A1")
    assert floor.engine.lookup("ALICE", 0, "A1") == (denied, denied.time_unix_ns)


def test_orders_are_scanned_newest_first_in_pages(floor: Floor) -> None:
    """`before_order_id` continues after the last of a page; symbol and open_only filter."""
    floor.told(ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    ids = [floor.buy("ALICE", 1, 90 + n)[0].order_id for n in range(4)]
    other = floor.buy("ALICE", 1, 90, symbol="ABC")[0].order_id
    floor.told(commands.CancelOrder("ALICE", "", ids[1]))

    def scan(symbol: str = "", *, open_only: bool = False, before: int = 0, limit: int = 10) -> list[int]:
        return [event.order_id for event, _ in floor.engine.scan("ALICE", symbol, open_only, before, limit)]  # type: ignore[union-attr]

    assert scan() == [other, *reversed(ids)]
    assert scan(limit=2) == [other, ids[3]]
    assert scan(before=ids[3], limit=2) == [ids[2], ids[1]]
    assert scan("XYZ", open_only=True) == [ids[3], ids[2], ids[0]]
    assert floor.engine.scan("NOBODY", "", False, 0, 10) == []


def test_requests_carry_their_actor_and_their_consequences_do_not(floor: Floor) -> None:
    """Who asked, and when it was received, stands on the answer only, not on trades or expiries."""
    floor.sell("ALICE", 5, 101)
    order = floor.order("BOB", Side.BUY, 5, 101)
    told = floor.execute(order, actor="bob-bot", received_unix_ns=77)
    assert isinstance(told, list)
    assert [(event.actor, event.received_unix_ns) for event in told] == [("bob-bot", 77), ("", 0), ("", 0)]
