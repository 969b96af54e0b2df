"""Section 6, repeated executions: a throttle that a named person must end."""

import pytest

from matching.core import commands
from matching.core.words import ExecType, OrdType, Side, TimeInForce
from tests.unit.matching.asking import denial, passes
from tests.unit.matching.market import SECOND_NS, Market, Told, numbers

BUY, SELL = Side.BUY, Side.SELL


def fills(market: Market, count: int, side: int = BUY) -> Told:
    """ALICE trades single lots with BOB, one order each; what the last gave."""
    told = Told()
    for _ in range(count):
        market.tell(market.order("BOB", SELL if side == BUY else BUY, 1, 100))
        told = market.tell(market.order("ALICE", side, 1, 100, key=f"fill{market.now_unix_ns}"))
    return told


def test_repeated_execution(market: Market) -> None:
    """repeated_execution: fills up to the limit pass, the one above latches, told behind everything else."""
    market.limit("ALICE", repeated_executions=3)
    assert len(fills(market, 3)) == 3
    told = fills(market, 1)
    assert told.story[3:] == ["throttle_engaged"]
    assert told[3].fields == {"account": "ALICE", "symbol": "XYZ", "executions": 4, "limit": 3}
    expected = ("repeated_execution", "COUNT", 3, 4, 4, 1)
    assert denial(market, "ALICE", BUY, 1, 90) == ("REPEATED_EXECUTION", expected)
    assert denial(market, "ALICE", SELL, 1, 110)[1] == expected
    assert passes(market, "BOB", BUY, 1, 90)


def test_repeated_executions_are_counted_by_side_and_instrument(market: Market) -> None:
    """Purchases and sales apart."""
    market.limit("ALICE", repeated_executions=3)
    assert len(fills(market, 3, BUY)) == len(fills(market, 3, SELL)) == 3
    assert fills(market, 1, SELL).story[3:] == ["throttle_engaged"]


def test_each_fill_of_a_sweep_counts(market: Market) -> None:
    """Also of resting orders: whoever is filled too often within one command is latched by it, each pair once."""
    market.limit(repeated_executions=2)
    for price in range(100, 104):
        market.sell("BOB", 1, price)
    told = market.buy("ALICE", 4, 104, key="bid")
    assert told.story[-2:] == ["throttle_engaged", "throttle_engaged"]
    assert [event.fields["account"] for event in told[-2:]] == ["BOB", "ALICE"]


@pytest.mark.parametrize(
    ("window", "apart", "is_latched"),
    [(0, 10**9 // 2 - 1, True), (0, 10**9 // 2, False), (90, 40, True), (90, 45, False)],
)
def test_only_fills_within_the_window_count(market: Market, window: int, apart: int, is_latched: bool) -> None:
    """A window of 0 is a second; three fills with the first exactly a window old are two."""
    market.limit("ALICE", repeated_executions=2, repeated_window_ns=window)
    begun = market.now_unix_ns + 10
    for number in range(3):
        market.sell("BOB", 1, 100)
        market.now_unix_ns = begun + number * apart
        told = market.buy("ALICE", 1, 100)
    assert ("throttle_engaged" in told.story) == is_latched


def latched(market: Market) -> None:
    """ALICE is latched in XYZ."""
    market.limit("ALICE", repeated_executions=1)
    fills(market, 2)
    assert market.position("ALICE").is_throttled


def test_a_latch_denies_until_a_named_person_ends_it(market: Market) -> None:
    """Not after the window, not by the system itself; ThrottleReleased then, and the count begins anew."""
    latched(market)
    market.now_unix_ns += 100 * SECOND_NS
    assert not passes(market, "ALICE", BUY, 1, 90)
    release = commands.ReleaseThrottle("ALICE", "XYZ", "r")
    for nobody in ("", "system"):
        assert market.tell(release, actor=nobody).story == ["command_refused FIELD_MISSING actor"]
    (released,) = market.tell(release, actor="ann")
    assert (released.name, released.actor) == ("throttle_released", "ann")
    assert released.fields == {"account": "ALICE", "symbol": "XYZ", "request_id": "r"}
    assert passes(market, "ALICE", BUY, 1, 90)
    assert market.repeat(release, actor="bob") is released


@pytest.mark.parametrize(
    ("account", "symbol", "why"),
    [
        ("NOBODY", "XYZ", "ACCOUNT_UNKNOWN account"),
        ("ALICE", "NONE", "FIELD_INVALID symbol"),
        ("BOB", "XYZ", "FIELD_INVALID symbol"),
    ],
)
def test_only_a_latch_can_be_released(market: Market, account: str, symbol: str, why: str) -> None:
    """Nothing else is throttled."""
    latched(market)
    assert market.tell(commands.ReleaseThrottle(account, symbol, "r")).story == [f"command_refused {why}"]


def test_a_latch_outlives_its_limit(market: Market) -> None:
    """It denies whether or not a limit is still set: limit 0 then."""
    latched(market)
    market.limit("ALICE", repeated_executions=0)
    assert denial(market, "ALICE", BUY, 1, 90)[1] == ("repeated_execution", "COUNT", 0, 2, 2, 2)
    market.limit("ALICE", order_qty_lots=9)
    assert denial(market, "ALICE", BUY, 1, 90)[1] == ("repeated_execution", "COUNT", 0, 2, 2, 3)


def test_a_latch_stops_replaces_and_waiting_orders(market: Market) -> None:
    """Entry, replace and funds; cancels and lowered quantities pass, and what rests may still be filled."""
    (bid,) = market.buy("ALICE", 5, 90)
    market.buy("ALICE", 1, 110, key="stop", ord_type=OrdType.STOP_LIMIT, stop_px_ticks=105)
    latched(market)
    market.open("CAROL")
    assert market.replace(bid, price=91, key="R").story == ["R DENIED REPEATED_EXECUTION"]
    assert market.replace(bid, qty=4)[0].exec_type == ExecType.REPLACED
    market.sell("CAROL", 1, 105)
    told = market.buy("BOB", 1, 105)
    assert told.story[3:] == ["stop TRIGGERED", "stop CANCELED REPEATED_EXECUTION"]
    assert numbers(told[-1].risk) == ("repeated_execution", "COUNT", 1, 2, 2, 1)
    assert len(market.sell("CAROL", 1, 90, time_in_force=TimeInForce.IOC)) == 3
    assert market.cancel(bid)[0].exec_type == ExecType.CANCELED


def test_a_change_of_limits_begins_the_count_anew(market: Market) -> None:
    """What was counted for an account and instrument is forgotten whenever any limits change."""
    market.limit("ALICE", repeated_executions=3)
    fills(market, 3)
    market.limit("BOB", message_rate=0)
    assert len(fills(market, 3)) == 3
    assert fills(market, 1).story[3:] == ["throttle_engaged"]


@pytest.mark.parametrize("side", [BUY, SELL])
def test_a_released_throttle_counts_from_nothing(market: Market, side: int) -> None:
    """Also within the window: what led to the latch is over, on both sides."""
    market.limit("ALICE", repeated_executions=2)
    fills(market, 2, SELL if side == BUY else BUY)
    assert fills(market, 3, side).story[3:] == ["throttle_engaged"]
    market.tell(commands.ReleaseThrottle("ALICE", "XYZ", "r"))
    for of_side in (BUY, SELL):
        assert len(fills(market, 2, of_side)) == 3
    assert fills(market, 1, side).story[3:] == ["throttle_engaged"]
