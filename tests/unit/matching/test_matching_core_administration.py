"""Administration: instruments, accounts, cash, positions, fee schedules, and the bounds of all of it."""

from dataclasses import fields
from typing import Any

import pytest

from matching.core import commands
from matching.core.commands import ListInstrument
from matching.core.words import Cause
from tests.unit.matching.market import CASH_MICRO, TICK_MICRO, XYZ, Market

MAX = 2**62


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"symbol": ""}, "FIELD_MISSING symbol"),
        ({"currency": ""}, "FIELD_MISSING currency"),
        ({"tick_size_nano": 0}, "FIELD_INVALID tick_size"),
        ({"lot_size_nano": 0}, "FIELD_INVALID tick_size"),
        ({"multiplier": 0}, "FIELD_INVALID tick_size"),
        ({"tick_size_nano": -(10**7), "lot_size_nano": -(10**9)}, "FIELD_INVALID tick_size"),
        ({"tick_size_nano": 10**3, "lot_size_nano": 10**8}, "FIELD_INVALID tick_size"),
        ({"tick_size_nano": 1_500}, "FIELD_INVALID tick_size"),
        ({"strike_nano": -1}, "NOT_POSITIVE strike"),
        ({"trading_session": -1}, "ENUM_UNKNOWN trading_session"),
        ({"trading_session": 7}, "ENUM_UNKNOWN trading_session"),
    ],
)
def test_an_instrument_that_cannot_be_is_refused(bare: Market, terms: dict[str, Any], why: str) -> None:
    """A tick on a lot must be worth a whole, positive number of 10^-6: money has no smaller unit."""
    given: dict[str, Any] = {field.name: getattr(XYZ, field.name) for field in fields(XYZ)} | terms
    assert bare.tell(ListInstrument(**given)).story == [f"command_refused {why}"]
    assert bare.engine.venue.listings == {}


def test_an_instrument_is_told_with_its_terms(bare: Market) -> None:
    """The smallest tick is worth 10^-6 on a lot."""
    terms = ListInstrument("SMALL", 4, "USD", 10**3, 10**9, description="small")
    (told,) = bare.tell(terms)
    assert (told.name, told.fields, told.actor) == ("instrument_listed", {"instrument": terms}, "ann")
    assert bare.listing("SMALL").micro_per_tick_lot == 1


def test_an_account_needs_a_name(bare: Market) -> None:
    """An empty name stands for "not given"."""
    assert bare.tell(commands.OpenAccount("")).story == ["command_refused FIELD_MISSING account"]
    (told,) = bare.tell(commands.OpenAccount("A"))
    assert (told.name, told.fields) == ("account_opened", {"account": "A"})


def test_cash_comes_and_goes(market: Market) -> None:
    """The event tells the amount and the cash afterwards."""
    (told,) = market.tell(commands.AdjustCash("ALICE", "USD", -4, "out"))
    assert told.fields == {
        "account": "ALICE", "currency": "USD", "amount_micro": -4, "cash_micro": CASH_MICRO - 4, "request_id": "out",
    }  # fmt: skip
    assert market.cash("ALICE").cash_micro == CASH_MICRO - 4


def test_all_cash_of_a_currency_together_is_bounded(market: Market) -> None:
    """At most 2^62 of a currency over all accounts; another currency has its own bound."""
    free = MAX - 2 * CASH_MICRO
    told = market.tell(commands.AdjustCash("ALICE", "USD", free + 1, "a"))
    assert told.story == ["command_refused VALUE_TOO_LARGE amount"]
    assert market.tell(commands.AdjustCash("ALICE", "USD", free, "b")).story == ["cash_adjusted"]
    assert market.tell(commands.AdjustCash("BOB", "EUR", MAX, "c")).story == ["cash_adjusted"]
    market.tell(commands.AdjustCash("ALICE", "USD", -5, "d"))
    assert market.tell(commands.AdjustCash("BOB", "USD", 5, "e")).story == ["cash_adjusted"]


def test_cash_that_is_not_there_cannot_go(market: Market) -> None:
    """Nor in a currency that the account has never had."""
    told = market.tell(commands.AdjustCash("ALICE", "EUR", -1, "a"))
    assert told.story == ["command_refused BUYING_POWER amount"]
    assert "EUR" not in market.account("ALICE").cash


def test_lots_come_at_a_cost_and_go_at_the_average(market: Market) -> None:
    """1,000 at 100 and 500 at 130 cost 110 each; booking out realises nothing."""
    (told,) = market.tell(commands.AdjustPosition("ALICE", "XYZ", 500, 130, "in"))
    assert told.fields == {
        "account": "ALICE", "symbol": "XYZ", "qty_lots": 500, "price_ticks": 130, "position_lots": 1_500,
        "request_id": "in",
    }  # fmt: skip
    market.tell(commands.AdjustPosition("ALICE", "XYZ", -300, 0, "out"))
    position = market.position("ALICE")
    assert (position.qty_lots, position.cost_ticks_lots, position.realized_pnl_micro) == (1_200, 1_200 * 110, 0)


def test_held_lots_cannot_be_booked_out(market: Market) -> None:
    """With 600 of 1,000 held 400 can go and 401 cannot; open short sales count as held."""
    market.sell("ALICE", 600, 101)
    told = market.tell(commands.AdjustPosition("ALICE", "XYZ", -401, 0, "a"))
    assert told.story == ["command_refused POSITION_INSUFFICIENT qty"]
    assert market.tell(commands.AdjustPosition("ALICE", "XYZ", -400, 0, "b")).story == ["position_adjusted"]
    market.open("CAROL", lots=0)
    assert market.tell(commands.AdjustPosition("CAROL", "XYZ", -1, 0, "c")).story == [
        "command_refused POSITION_INSUFFICIENT qty",
    ]  # fmt: skip
    market.configure("CAROL", short_sale_permitted=True)
    market.short("CAROL", 2, 120)
    market.tell(commands.AdjustPosition("CAROL", "XYZ", 2, 100, "d"))
    assert market.tell(commands.AdjustPosition("CAROL", "XYZ", -1, 0, "e")).story == [
        "command_refused POSITION_INSUFFICIENT qty",
    ]  # fmt: skip


def test_booking_lots_into_a_short_position_closes_it(market: Market) -> None:
    """It realises P&L like a purchase at that price; and the margin is free again."""
    market.open("CAROL", cash=10**9, lots=0)
    market.configure("CAROL", short_sale_permitted=True)
    market.buy("BOB", 5, 100)
    market.short("CAROL", 5, 100)
    market.tell(commands.AdjustPosition("CAROL", "XYZ", 5, 90, "in"))
    position = market.position("CAROL")
    assert (position.qty_lots, position.realized_pnl_micro) == (0, 50 * TICK_MICRO)
    all_cash = market.cash("CAROL").cash_micro
    assert market.tell(commands.AdjustCash("CAROL", "USD", -all_cash, "out")).story == ["cash_adjusted"]


def test_all_lots_of_an_instrument_together_are_bounded(market: Market) -> None:
    """At most 2^62 over all accounts; and their cost at most 2^62 of money."""
    free = MAX - 2_000
    told = market.tell(commands.AdjustPosition("ALICE", "XYZ", free + 1, 0, "a"))
    assert told.story == ["command_refused VALUE_TOO_LARGE qty"]
    assert market.tell(commands.AdjustPosition("ALICE", "XYZ", free, 0, "b")).story == ["position_adjusted"]
    told = market.tell(commands.AdjustPosition("BOB", "XYZ", 1, 0, "c"))
    assert told.story == ["command_refused VALUE_TOO_LARGE qty"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (commands.AdjustCash("NOBODY", "USD", 1, "r"), "ACCOUNT_UNKNOWN account"),
        (commands.AdjustCash("ALICE", "", 1, "r"), "FIELD_MISSING currency"),
        (commands.AdjustPosition("NOBODY", "XYZ", 1, 1, "r"), "ACCOUNT_UNKNOWN account"),
        (commands.AdjustPosition("ALICE", "NONE", 1, 1, "r"), "SYMBOL_UNKNOWN symbol"),
        (commands.AdjustPosition("ALICE", "XYZ", 1, -1, "r"), "FIELD_INVALID price"),
        (commands.AdjustPosition("ALICE", "XYZ", 2**31, 2**31, "r"), "VALUE_TOO_LARGE price"),
        (commands.ConfigureAccount("NOBODY", "r", ["fee_schedule"]), "ACCOUNT_UNKNOWN account"),
        (commands.ConfigureAccount("ALICE", "r", []), "FIELD_INVALID update_mask"),
        (commands.ConfigureAccount("ALICE", "r", ["short_sale_permitted", "cash"]), "FIELD_INVALID update_mask"),
        (
            commands.ConfigureAccount("ALICE", "r", ["short_margin_bps"], short_margin_bps=-1),
            "FIELD_INVALID short_margin_bps",
        ),
        (
            commands.ConfigureAccount("ALICE", "r", ["short_margin_bps"], short_margin_bps=1_000_001),
            "FIELD_INVALID short_margin_bps",
        ),
        (commands.ConfigureAccount("ALICE", "r", ["fee_schedule"], fee_schedule="F"), "FIELD_INVALID fee_schedule"),
        (commands.ConfigureInstrument("NONE", "r", ["price_band_bps"]), "SYMBOL_UNKNOWN symbol"),
        (commands.ConfigureInstrument("XYZ", "r", []), "FIELD_INVALID update_mask"),
        (commands.ConfigureInstrument("XYZ", "r", ["symbol"]), "FIELD_INVALID update_mask"),
        (commands.ConfigureInstrument("XYZ", "r", ["market_collar_bps"]), "FIELD_INVALID market_collar_bps"),
        (
            commands.ConfigureInstrument("XYZ", "r", ["market_collar_bps"], market_collar_bps=10_001),
            "FIELD_INVALID market_collar_bps",
        ),
        (
            commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], price_band_bps=-1),
            "FIELD_INVALID price_band_bps",
        ),
        (
            commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], price_band_bps=10_000),
            "FIELD_INVALID price_band_bps",
        ),
        (commands.SetFeeSchedule("", "r"), "FIELD_MISSING fee_schedule"),
        (commands.SetFeeSchedule("F", "r", maker_ppm=100_001), "FIELD_INVALID maker_ppm"),
        (commands.SetFeeSchedule("F", "r", maker_ppm=-100_001), "FIELD_INVALID maker_ppm"),
        (commands.SetFeeSchedule("F", "r", taker_ppm=100_001), "FIELD_INVALID taker_ppm"),
        (commands.SetFeeSchedule("F", "r", taker_ppm=-100_001), "FIELD_INVALID taker_ppm"),
        (commands.SetFeeSchedule("F", "r", lot_micro=-1), "FIELD_INVALID lot_micro"),
        (commands.SetFeeSchedule("F", "r", lot_micro=MAX + 1), "FIELD_INVALID lot_micro"),
    ],
)
def test_what_makes_no_sense_is_refused(market: Market, body: commands.Body, why: str) -> None:
    """Unknown, missing or out of its range: refused with the field and the request's key, and nothing moves."""
    told = market.tell(body)
    assert told.story == [f"command_refused {why}"]
    assert told[0].fields["request_id"] == "r"
    assert (market.cash("ALICE").cash_micro, market.position("ALICE").qty_lots) == (CASH_MICRO, 1_000)
    assert market.engine.venue.fee_schedules == {}


@pytest.mark.parametrize(
    "body",
    [
        commands.ConfigureAccount("ALICE", "r", ["short_margin_bps"], short_margin_bps=1_000_000),
        commands.ConfigureAccount("ALICE", "r", ["short_margin_bps"], short_margin_bps=0),
        commands.ConfigureInstrument("XYZ", "r", ["market_collar_bps"], market_collar_bps=1),
        commands.ConfigureInstrument("XYZ", "r", ["market_collar_bps"], market_collar_bps=10_000),
        commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], price_band_bps=9_999),
        commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], price_band_bps=0),
        commands.SetFeeSchedule("F", "r", -100_000, 100_000, MAX),
        commands.SetFeeSchedule("F", "r", 100_000, -100_000, 0),
    ],
)
def test_the_bounds_themselves_pass(market: Market, body: Any) -> None:
    """And the event repeats what changed."""
    (told,) = market.tell(body)
    assert told.fields in ({"change": body}, {"schedule": body})


def test_only_the_fields_of_a_mask_change(market: Market) -> None:
    """Of accounts and of instruments."""
    market.configure("ALICE", short_sale_permitted=True, self_trade_group="G", short_margin_bps=12_000)
    body = commands.ConfigureAccount("ALICE", "r", ["short_margin_bps"], False, 13_000, "H", "")
    market.tell(body)
    account = market.account("ALICE")
    assert (account.short_sale_permitted, account.self_trade_group, account.short_margin_bps) == (True, "G", 13_000)
    market.configure_instrument(market_collar_bps=50, price_band_bps=60)
    market.tell(commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], 1, 2))
    listing = market.listing()
    assert (listing.market_collar_bps, listing.price_band_bps) == (50, 2)


def test_events_of_the_venue_name_who_asked(market: Market) -> None:
    """An order's events do it themselves, for what answers a request only."""
    (told,) = market.tell(commands.SetReferencePrice("XYZ", 100), actor="calendar")
    assert told.actor == "calendar"
    market.sell("ALICE", 1, 101)
    bid = market.order("BOB", 1, 1, 101)
    accepted, maker, taker = market.tell(bid, actor="bob", session_id="S", received_unix_ns=7)
    assert (accepted.actor, accepted.session_id, accepted.received_unix_ns) == ("bob", "S", 7)
    for event in (maker, taker):
        assert (event.actor, event.session_id, event.received_unix_ns, event.cause) == ("", "", 0, Cause.TRADE)


def test_events_of_an_account_are_numbered_densely(market: Market) -> None:
    """Refusals included; each account counts its own."""
    numbers: dict[str, list[int]] = {"ALICE": [], "BOB": []}
    stories = [market.sell("ALICE", 1, 101), market.buy("ALICE", 0, 99)]
    stories += [market.buy("BOB", 1, 101), market.buy("BOB", 10**9, 99)]
    for told in stories:
        for event in told:
            numbers[event.terms.account].append(event.account_seq)
    assert numbers == {"ALICE": [1, 2, 3], "BOB": [1, 2, 3]}
