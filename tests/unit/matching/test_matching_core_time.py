"""Section 7, time and clients' sessions: TimeTick, CloseDay, dead-man timers, cancel-on-disconnect."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import Cause, ContingencyType, OrdType, TimeInForce
from tests.unit.matching.market import TICK_MICRO, Market, Told

GTD = TimeInForce.GTD


def open_session(market: Market, session_id: str, **terms: Any) -> Told:
    """A client's session begins."""
    return market.tell(commands.OpenSession(session_id, **terms))


def test_orders_expire_by_time_and_then_by_id(market: Market) -> None:
    """After TimeAdvanced with their number; later ones stay."""
    now = market.now_unix_ns
    for key, after in (("late", 300), ("second", 200), ("third", 200), ("first", 100)):
        market.buy("ALICE", 1, 90, key=key, time_in_force=GTD, expire_unix_ns=now + after)
    told = market.wait_until(now + 200)
    assert told.story == ["time_advanced", *[f"{key} EXPIRED EXPIRED" for key in ("first", "second", "third")]]
    assert told[0].fields == {"expired_orders": 3}
    assert market.engine.due_unix_ns == now + 300


def test_what_falls_with_another_expires_no_more(market: Market) -> None:
    """The rival of an expired leg ends as CONTINGENCY."""
    oco: dict[str, Any] = {"contingency_type": ContingencyType.OCO, "list_id": "L", "time_in_force": GTD}
    at = market.now_unix_ns + 100
    market.sell("ALICE", 1, 110, key="one", leg=1, expire_unix_ns=at, **oco)
    market.sell("ALICE", 1, 120, key="two", leg=2, expire_unix_ns=at, **oco)
    assert market.wait_until(at).story == ["time_advanced", "one EXPIRED EXPIRED", "two CANCELED CONTINGENCY"]
    assert market.engine.due_unix_ns == 0


def test_waiting_orders_expire_too(market: Market) -> None:
    """Stops, and children of a parent."""
    at = market.now_unix_ns + 100
    terms: dict[str, Any] = {"time_in_force": GTD, "expire_unix_ns": at}
    market.buy("ALICE", 1, key="stop", ord_type=OrdType.STOP, stop_px_ticks=110, **terms)
    market.buy("ALICE", 1, 90, contingency_type=ContingencyType.OTO, list_id="L", leg=1)
    market.sell("ALICE", 1, 110, key="child", contingency_type=ContingencyType.OTO, list_id="L", leg=2, **terms)
    assert market.wait_until(at).story[1:] == ["stop EXPIRED EXPIRED", "child EXPIRED EXPIRED"]


def test_an_order_that_ended_before_its_time_is_due_no_more(market: Market) -> None:
    """`due` may be early, and is put right by the next tick."""
    at = market.now_unix_ns + 100
    (bid,) = market.buy("ALICE", 1, 90, time_in_force=GTD, expire_unix_ns=at)
    market.cancel(bid)
    assert market.wait_until(at).story == ["time_advanced"]
    assert market.engine.due_unix_ns == 0


def test_the_earliest_of_expiries_and_timers_is_due(market: Market) -> None:
    """Whichever comes first, and 0 for never."""
    assert market.engine.due_unix_ns == 0
    market.buy("ALICE", 1, 90, time_in_force=GTD, expire_unix_ns=market.now_unix_ns + 1_000)
    open_session(market, "S", dead_man_ns=500)
    assert market.engine.due_unix_ns == market.now_unix_ns + 500
    open_session(market, "T", dead_man_ns=600)
    assert market.engine.due_unix_ns == market.now_unix_ns + 499


def test_an_overdue_session_is_timed_out(market: Market) -> None:
    """SessionTimedOut, then its orders: CANCELED by id, cause DISCONNECT; with or without cancel-on-disconnect."""
    open_session(market, "S", dead_man_ns=100)
    begun = market.now_unix_ns
    for number in range(2):
        market.buy("ALICE", 1, 90, key=f"K{number}", session_id="S")
    market.buy("ALICE", 1, 90, key="other", session_id="T")
    assert market.wait_until(begun + 99).story == ["time_advanced"]
    told = market.wait_until(begun + 100)
    assert told.story == ["time_advanced", "session_timed_out", "K0 CANCELED", "K1 CANCELED"]
    assert told[1].fields == {"session_id": "S", "canceled_orders": 2}
    assert {(event.cause, event.reason) for event in told[2:]} == {(Cause.DISCONNECT, 0)}


def test_sessions_time_out_by_time_and_then_by_id(market: Market) -> None:
    """Each followed by its cancels; expired orders come before them."""
    open_session(market, "B", dead_man_ns=100)
    open_session(market, "A", dead_man_ns=99)
    open_session(market, "C", dead_man_ns=50)
    at = market.now_unix_ns + 98
    market.buy("ALICE", 1, 90, key="gtd", time_in_force=GTD, expire_unix_ns=at, session_id="A")
    for name in "ABC":
        market.buy("ALICE", 1, 90, key=name, session_id=name)
    told = market.wait_until(at)
    assert told.story == [
        "time_advanced", "gtd EXPIRED EXPIRED",
        "session_timed_out", "C CANCELED", "session_timed_out", "A CANCELED", "session_timed_out", "B CANCELED",
    ]  # fmt: skip


def test_a_renewed_timer_begins_again(market: Market) -> None:
    """From the moment of the renewal; one that has fired rests until then."""
    open_session(market, "S", dead_man_ns=100)
    market.now_unix_ns += 89
    (told,) = market.tell(commands.RenewSession("S"))
    assert (told.name, told.fields) == ("session_renewed", {"session_id": "S"})
    renewed = market.now_unix_ns
    assert market.wait_until(renewed + 99).story == ["time_advanced"]
    assert market.engine.due_unix_ns == renewed + 100
    assert market.wait_until(renewed + 100).story == ["time_advanced", "session_timed_out"]
    assert market.engine.due_unix_ns == 0
    assert market.wait_until(renewed + 900).story == ["time_advanced"]
    market.tell(commands.RenewSession("S"))
    assert market.engine.due_unix_ns == market.now_unix_ns + 100


def test_a_session_without_a_timer_is_never_due(market: Market) -> None:
    """Also when it is renewed."""
    open_session(market, "S")
    market.tell(commands.RenewSession("S"))
    assert market.engine.due_unix_ns == 0


def test_a_session_is_told_with_its_terms(market: Market) -> None:
    """As they were asked for."""
    (told,) = open_session(market, "S", gateway_id="G", cancel_on_disconnect=True, dead_man_ns=5)
    assert told.fields == {"session": commands.OpenSession("S", "G", True, 5)}


@pytest.mark.parametrize("cancels", [True, False])
def test_cancel_on_disconnect(market: Market, cancels: bool) -> None:
    """SessionClosed, then its open orders by id, cause DISCONNECT, if the session asked for it."""
    open_session(market, "S", cancel_on_disconnect=cancels)
    (ended,) = market.buy("ALICE", 1, 90, key="ended", session_id="S")
    market.cancel(ended)
    market.buy("ALICE", 1, 90, key="one", session_id="S")
    market.buy("BOB", 1, key="two", session_id="S", ord_type=OrdType.STOP, stop_px_ticks=110)
    told = market.tell(commands.CloseSession("S"))
    expected = ["one CANCELED", "two CANCELED"] if cancels else []
    assert told.story == ["session_closed", *expected]
    assert told[0].fields == {"session_id": "S", "canceled_orders": len(expected)}
    assert {event.cause for event in told[1:]} <= {Cause.DISCONNECT}


def test_a_lost_gateway_closes_all_of_its_sessions(market: Market) -> None:
    """By id, each followed by its cancels; others' stay."""
    for session_id, gateway_id in (("B", "G1"), ("A", "G1"), ("C", "G2")):
        open_session(market, session_id, gateway_id=gateway_id, cancel_on_disconnect=True)
        market.buy("ALICE", 1, 90, key=session_id, session_id=session_id)
    told = market.tell(commands.CloseSession(gateway_id="G1"))
    assert told.story == ["session_closed", "A CANCELED", "session_closed", "B CANCELED"]
    assert [told[0].fields["session_id"], told[2].fields["session_id"]] == ["A", "B"]
    assert market.bids() == ["C 1@90"]


def test_orders_outlive_a_session_that_does_not_cancel_them(market: Market) -> None:
    """They are not of a later session of the same name, and end like others."""
    open_session(market, "S")
    (bid,) = market.buy("ALICE", 1, 90, key="bid", session_id="S")
    market.tell(commands.CloseSession("S"))
    open_session(market, "S", cancel_on_disconnect=True)
    assert market.tell(commands.CloseSession("S")).story == ["session_closed"]
    assert market.cancel(bid).story == ["bid CANCELED"]


def test_an_order_that_came_before_its_session_is_not_of_it(market: Market) -> None:
    """An order belongs to a session only if that was open when it came; a mass cancel by session finds it still."""
    market.buy("ALICE", 1, 90, key="early", session_id="S")
    open_session(market, "S", cancel_on_disconnect=True)
    market.buy("ALICE", 1, 90, key="in", session_id="S")
    assert market.tell(commands.CloseSession("S")).story == ["session_closed", "in CANCELED"]
    told = market.tell(commands.MassCancel("ALICE", session_id="S"))
    assert told.story == ["orders_mass_canceled", "early CANCELED"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (commands.OpenSession(""), "FIELD_MISSING session_id"),
        (commands.OpenSession("T", dead_man_ns=-1), "NOT_POSITIVE dead_man_ns"),
        (commands.OpenSession("S"), "ALREADY_EXISTS session_id"),
        (commands.RenewSession("T"), "FIELD_INVALID session_id"),
        (commands.CloseSession("T"), "FIELD_INVALID session_id"),
        (commands.CloseSession(gateway_id="G"), "FIELD_INVALID gateway_id"),
        (commands.CloseSession(), "FIELD_MISSING session_id"),
    ],
)
def test_a_session_that_cannot_be_is_refused(market: Market, body: commands.Body, why: str) -> None:
    """Unnamed, negative, open already, or unknown."""
    open_session(market, "S")
    assert market.tell(body).story == [f"command_refused {why}"]


def test_the_day_closes_by_id_and_once(market: Market) -> None:
    """EXPIRED events of all DAY orders of all accounts by id, then DayClosed; a day closes once, and in order."""
    for account, key, time_in_force in (("BOB", "b1", 1), ("ALICE", "gtc", 2), ("ALICE", "a1", 1), ("BOB", "b2", 1)):
        market.buy(account, 1, 90, key=key, time_in_force=time_in_force)
    told = market.tell(commands.CloseDay(20261122))
    assert told.story == [*[f"{key} EXPIRED EXPIRED" for key in ("b1", "a1", "b2")], "day_closed"]
    assert told[-1].fields == {"trading_day": 20261122, "expired_orders": 3}
    for day in (20261122, 20261121):
        assert market.tell(commands.CloseDay(day)).story == ["command_refused ALREADY_EXISTS trading_day"]
    assert market.tell(commands.CloseDay(20261123)).story == ["day_closed"]


def test_the_end_of_a_day_releases_children(market: Market) -> None:
    """A partly filled DAY parent that expires activates its GTC children before the day is closed."""
    oto: dict[str, Any] = {"contingency_type": ContingencyType.OTO, "list_id": "L"}
    market.buy("BOB", 5, 99, key="parent", leg=1, time_in_force=TimeInForce.DAY, **oto)
    market.sell("BOB", 5, 110, key="child", leg=2, **oto)
    market.sell("BOB", 5, 111, key="day", leg=3, time_in_force=TimeInForce.DAY, **oto)
    market.sell("ALICE", 2, 99)
    told = market.tell(commands.CloseDay(20261122))
    assert told.story == [
        "parent EXPIRED EXPIRED", "child RESTATED 2 CONTINGENCY", "day RESTATED 2 CONTINGENCY",
        "day EXPIRED EXPIRED", "child TRIGGERED", "day_closed",
    ]  # fmt: skip
    assert market.position("BOB").held_lots == 2
    assert market.cash("BOB").cash_micro == 10**12 - 198 * TICK_MICRO
