"""Section 6, kill switches: the gate first, then every order in scope; two people to open it again."""

from typing import Any

import pytest

from matching.core import commands
from matching.core.words import Cause, ContingencyType, KillSwitchScope, OrdType, Reason
from tests.unit.matching.market import Market, Told

FIRM, ACCOUNT, SYMBOL, SESSION = (
    KillSwitchScope.FIRM,
    KillSwitchScope.ACCOUNT,
    KillSwitchScope.SYMBOL,
    KillSwitchScope.SESSION,
)
SCOPES: list[tuple[int, str, list[str]]] = [
    (FIRM, "", ["a1", "b1", "a2", "stop"]),
    (ACCOUNT, "ALICE", ["a1", "a2", "stop"]),
    (SYMBOL, "XYZ", ["a1", "b1", "stop"]),
    (SESSION, "S1", ["b1", "a2"]),
]


def engage(market: Market, scope: int, target: str = "", key: str = "kill", text: str = "") -> Told:
    """Engages a switch."""
    return market.tell(commands.EngageKillSwitch(scope, target, key, text))


def release(market: Market, scope: int, target: str = "", approver: str = "eve", key: str = "release") -> Told:
    """Releases it, asked for by ann."""
    return market.tell(commands.ReleaseKillSwitch(scope, target, key, approver), actor="ann")


@pytest.fixture
def busy(market: Market) -> Market:
    """Orders of two accounts in two instruments by two sessions, one of them waiting."""
    market.tell(commands.ListInstrument("ABC", 1, "USD", 10**7, 10**9))
    market.buy("ALICE", 1, 90, key="a1", session_id="S2")
    market.buy("BOB", 1, 90, key="b1", session_id="S1")
    market.buy("ALICE", 1, 90, key="a2", session_id="S1", symbol="ABC")
    market.buy("ALICE", 1, key="stop", session_id="S2", ord_type=OrdType.STOP, stop_px_ticks=110)
    return market


@pytest.mark.parametrize(("scope", "target", "keys"), SCOPES)
def test_engaging_cancels_every_order_in_scope(busy: Market, scope: int, target: str, keys: list[str]) -> None:
    """After the gate, by id, waiting ones too; cause and reason KILL_SWITCH; the event has the number."""
    told = engage(busy, scope, target, text="too fast")
    assert told.story == ["kill_switch_engaged", *[f"{key} CANCELED KILL_SWITCH" for key in keys]]
    assert told[0].fields["canceled_orders"] == len(keys)
    assert told[0].fields["kill_switch"] == commands.EngageKillSwitch(scope, target, "kill", "too fast")
    assert {(event.cause, event.reason) for event in told[1:]} == {(Cause.KILL_SWITCH, Reason.KILL_SWITCH)}
    assert {event.request for event in told[1:]} == {0}


@pytest.mark.parametrize(("scope", "target", "keys"), SCOPES)
def test_while_engaged_new_orders_and_replaces_are_denied_and_cancels_pass(
    busy: Market, scope: int, target: str, keys: list[str]
) -> None:
    """In scope; outside of it nothing has changed. A quote's sides are denied like orders."""
    survivors = [busy.engine.lookup(account, 0, key) for account, key in (("ALICE", "a1"), ("BOB", "b1"))]
    engage(busy, scope, target)
    inside = {"session_id": "S1"} if scope == SESSION else {}
    assert busy.tell(busy.order("ALICE", 1, 1, 80), **inside)[0].reason == Reason.KILL_SWITCH
    outside = scope != FIRM
    assert (busy.buy("BOB", 1, 80, symbol="ABC", session_id="S3")[0].reason == 0) == outside
    quote = commands.MassQuote("ALICE", "Q", [commands.QuoteEntry("XYZ", 80, 1, 120, 1)])
    assert busy.tell(quote, **inside).story[1:] == [
        f"Q DENIED KILL_SWITCH {field}" for field in [("firm", "account", "symbol", "session")[scope - 1]] * 2
    ]
    for found, key in zip(survivors, ("a1", "b1"), strict=True):
        assert found is not None
        event: Any = found[0]
        if key in keys:
            continue
        assert busy.replace(event, qty=2, origin=inside)[0].reason in (0, Reason.KILL_SWITCH)
        assert busy.cancel(event)[0].reason == 0


def test_a_replace_in_scope_is_denied(market: Market) -> None:
    """By the session that it comes by, here."""
    (bid,) = market.buy("ALICE", 5, 90)
    engage(market, SESSION, "S1")
    told = market.replace(bid, qty=4, key="R", origin={"session_id": "S1"})
    assert told.story == ["R DENIED KILL_SWITCH session"]


def test_a_quote_under_a_kill_switch_keeps_no_standing_quote(market: Market) -> None:
    """By a killed session, of quotes that another one has placed: CANCELED, and the new sides DENIED."""
    quote = [commands.QuoteEntry("XYZ", 90, 5, 110, 5)]
    market.tell(commands.MassQuote("ALICE", "Q1", quote), session_id="S1")
    engage(market, SESSION, "S2")
    lower = [commands.QuoteEntry("XYZ", 90, 4, 110, 5)]
    assert market.tell(commands.MassQuote("ALICE", "Q2", lower), session_id="S2").story == [
        "mass_quote_accepted", "Q1 CANCELED", "Q1 CANCELED",
        "Q2 DENIED KILL_SWITCH session", "Q2 DENIED KILL_SWITCH session",
    ]  # fmt: skip


@pytest.mark.parametrize(("scope", "target", "_keys"), SCOPES)
def test_releasing_lets_new_orders_in_again(busy: Market, scope: int, target: str, _keys: list[str]) -> None:
    """Told with who asked and who approved; it does not bring back what was cancelled."""
    engage(busy, scope, target)
    (told,) = events = release(busy, scope, target)
    assert events.story == ["kill_switch_released"]
    assert (told.actor, told.fields["kill_switch"].approver) == ("ann", "eve")
    assert busy.buy("ALICE", 1, 80, session_id="S1")[0].reason == 0
    assert engage(busy, scope, target, key="again").story[0] == "kill_switch_engaged"


def test_releasing_takes_two_people(market: Market) -> None:
    """An `approver` who is not the actor: without one FIELD_MISSING, the same person FIELD_INVALID."""
    engage(market, FIRM)
    assert release(market, FIRM, approver="").story == ["command_refused FIELD_MISSING approver"]
    assert release(market, FIRM, approver="ann").story == ["command_refused FIELD_INVALID approver"]
    assert release(market, FIRM, approver="eve").story == ["kill_switch_released"]


@pytest.mark.parametrize(
    ("scope", "target", "field"),
    [
        (ACCOUNT, "NOBODY", "target"),
        (ACCOUNT, "", "target"),
        (SYMBOL, "NONE", "target"),
        (SESSION, "", "target"),
        (FIRM, "ALICE", "target"),
        (0, "", "scope"),
        (9, "ALICE", "scope"),
    ],
)
def test_a_scope_that_does_not_exist_is_refused(market: Market, scope: int, target: str, field: str) -> None:
    """For engaging and releasing; FIRM has no target."""
    assert engage(market, scope, target).story == [f"command_refused FIELD_INVALID {field}"]
    assert release(market, scope, target).story == [f"command_refused FIELD_INVALID {field}"]


@pytest.mark.parametrize(("scope", "target", "_keys"), SCOPES)
def test_a_switch_is_on_or_off(market: Market, scope: int, target: str, _keys: list[str]) -> None:
    """Engaging what is engaged: ALREADY_EXISTS; releasing what is not: FIELD_INVALID; both name the scope."""
    assert release(market, scope, target).story == ["command_refused FIELD_INVALID scope"]
    engage(market, scope, target)
    assert engage(market, scope, target, key="again").story == ["command_refused ALREADY_EXISTS scope"]


def test_a_session_may_be_killed_before_it_exists(market: Market) -> None:
    """A session is whatever its requests say."""
    assert engage(market, SESSION, "later").story == ["kill_switch_engaged"]
    assert market.buy("ALICE", 1, 90, key="K", session_id="later").story == ["K DENIED KILL_SWITCH session"]


def test_what_a_cancelled_parent_releases_is_cancelled_as_well(market: Market) -> None:
    """A partly filled parent's children come into line and are still open when it is their turn to be cancelled."""
    oto: dict[str, Any] = {"contingency_type": ContingencyType.OTO, "list_id": "L"}
    market.buy("BOB", 5, 99, key="parent", leg=1, **oto)
    market.sell("BOB", 5, 110, key="child", leg=2, **oto)
    market.sell("ALICE", 2, 99)
    assert engage(market, ACCOUNT, "BOB").story == [
        "kill_switch_engaged", "parent CANCELED KILL_SWITCH",
        "child RESTATED 2 CONTINGENCY", "child CANCELED KILL_SWITCH",
    ]  # fmt: skip
