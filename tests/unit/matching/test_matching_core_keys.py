"""Section 1: a command and its events; a request with a key happens at most once, and a key stands for one request."""

from dataclasses import replace
from typing import Any

import pytest

from matching.core import commands
from matching.core.commands import NewOrder
from matching.core.engine import Engine
from matching.core.words import ExecType, OrdStatus, OrdType, RequestKind, Side, TimeInForce
from tests.unit.matching.market import FIRST_TIME_UNIX_NS, XYZ, Market

ONE = commands.QuoteEntry("XYZ", 90, 1, 110, 1)


def order(**changes: Any) -> NewOrder:
    """A purchase of ALICE's under the key A1, with changes."""
    terms: dict[str, Any] = {"symbol": "XYZ", "qty_lots": 5, "price_ticks": 99}
    return NewOrder("ALICE", "A1", **(terms | changes))


def test_a_new_venue_counts_from_one(bare: Market) -> None:
    """Events are numbered densely from 1; the first of a command names it, and each command has its own, later time."""
    assert (bare.engine.seq, bare.engine.time_unix_ns) == (0, 0)
    (listed,) = bare.tell(XYZ)
    (opened,) = bare.tell(commands.OpenAccount("ALICE"))
    assert (listed.seq, listed.command_seq, listed.time_unix_ns) == (1, 1, FIRST_TIME_UNIX_NS + 1)
    assert (opened.seq, opened.command_seq, opened.time_unix_ns) == (2, 2, FIRST_TIME_UNIX_NS + 2)


def test_all_events_of_a_command_name_its_first(market: Market) -> None:
    """A trade's three events have one time and one command_seq, that of the acceptance."""
    market.sell("ALICE", 5, 101)
    accepted, maker, taker = market.buy("BOB", 5, 101)
    assert [event.seq - accepted.seq for event in (accepted, maker, taker)] == [0, 1, 2]
    assert {event.command_seq for event in (accepted, maker, taker)} == {accepted.seq}
    assert {event.time_unix_ns for event in (accepted, maker, taker)} == {market.now_unix_ns}


def test_time_that_does_not_grow_is_a_bug(market: Market) -> None:
    """The core refuses to go back in time, or to stand still: the sequencer must never ask it to."""
    with pytest.raises(AssertionError, match="engine time must grow"):
        market.engine.execute(commands.Command(order()), market.now_unix_ns)


def test_the_same_order_again_is_the_original_event_again(market: Market) -> None:
    """The second time nothing happens: the answer is the first event, and neither sequence nor time has moved."""
    (accepted,) = market.tell(order())
    before = market.engine.seq, market.engine.time_unix_ns
    assert market.repeat(order()) is accepted
    assert (market.engine.seq, market.engine.time_unix_ns) == before
    assert market.bids() == ["A1 5@99"]


def test_a_repeated_order_is_answered_as_it_was_then(market: Market) -> None:
    """The original event comes even after the order has traded, been replaced and ended."""
    (accepted,) = market.tell(order())
    market.sell("BOB", 2, 99)
    market.replace(accepted, qty=9)
    market.cancel(accepted)
    assert market.repeat(order()) is accepted
    assert (accepted.exec_type, accepted.cum_qty_lots) == (ExecType.NEW, 0)


def test_client_time_session_and_actor_are_no_content(market: Market) -> None:
    """A retry with another client_time, by another session, gateway and actor, received later, is the same request."""
    (accepted,) = market.tell(order(client_unix_ns=1), session_id="S1", gateway_id="G1", actor="ann")
    again = market.repeat(order(client_unix_ns=2), session_id="S2", gateway_id="G2", actor="bob", received_unix_ns=9)
    assert again is accepted
    assert (accepted.actor, accepted.session_id) == ("ann", "S1")


DIFFERENCES = {
    "symbol": "ABC", "side": Side.SELL, "ord_type": OrdType.MARKET, "time_in_force": TimeInForce.GTC, "qty_lots": 6,
    "price_ticks": 98, "self_trade_prevention": 2, "decision_maker": "bob", "strategy_id": "s2", "stop_px_ticks": 1,
    "trail_offset": 1, "trail_unit": 1, "trigger_by": 1, "display_qty_lots": 1, "min_qty_lots": 1,
    "expire_unix_ns": 1, "post_only": True, "reduce_only": True, "contingency_type": 1, "list_id": "L", "leg": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", DIFFERENCES)
def test_another_order_under_the_same_key_is_a_conflict(market: Market, field: str) -> None:
    """CL_ORD_ID_CONFLICT names the field that differs; the key keeps its first meaning."""
    (accepted,) = market.tell(order())
    (refused,) = told = market.tell(order(**{field: DIFFERENCES[field]}))
    assert told.story == [f"A1 REJECTED CL_ORD_ID_CONFLICT {field}"]
    assert (refused.order_id, refused.ord_status, refused.request) == (0, OrdStatus.REJECTED, RequestKind.SUBMIT)
    assert market.repeat(order()) is accepted
    assert market.engine.lookup("ALICE", 0, "A1") == (accepted, accepted.time_unix_ns)


def test_a_conflict_names_the_first_field_that_differs(market: Market) -> None:
    """In the order of the contract's fields: the side before the price."""
    market.tell(order())
    assert market.tell(order(price_ticks=98, side=Side.SELL)).story == ["A1 REJECTED CL_ORD_ID_CONFLICT side"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (commands.ReplaceOrder("ALICE", "A1", 8, "", 4 * 10**9), RequestKind.REPLACE),
        (commands.CancelOrder("ALICE", "A1", 8), RequestKind.CANCEL),
        (commands.MassCancel("ALICE", "A1"), RequestKind.MASS_CANCEL),
        (commands.MassQuote("ALICE", "A1", [ONE]), RequestKind.QUOTE),
    ],
    ids=["replace", "cancel", "mass cancel", "quote"],
)
def test_another_kind_of_request_under_the_same_key_is_a_conflict(
    market: Market, body: commands.Body, kind: int
) -> None:
    """They differ in the request itself; the order stays as it is."""
    market.tell(order())
    (refused,) = told = market.tell(body)
    assert told.story == ["A1 REJECTED CL_ORD_ID_CONFLICT request"]
    assert (refused.request, refused.terms.account, refused.terms.side) == (kind, "ALICE", 0)
    assert market.bids() == ["A1 5@99"]


def test_keys_belong_to_their_account(market: Market) -> None:
    """Two accounts may use the same key."""
    assert market.buy("ALICE", 5, 99, key="A1").story == ["A1 NEW"]
    assert market.buy("BOB", 5, 99, key="A1").story == ["A1 NEW"]


@pytest.mark.parametrize(
    "body",
    [
        commands.ReplaceOrder("ALICE", "K", 8, "", 4 * 10**9),
        commands.CancelOrder("ALICE", "K", 8),
        commands.MassCancel("ALICE", "K", "XYZ"),
        commands.MassQuote("ALICE", "K", [ONE]),
    ],
    ids=["replace", "cancel", "mass cancel", "quote"],
)
def test_every_request_with_a_key_happens_once(market: Market, body: commands.Body) -> None:
    """Replaces, cancels, mass cancels and quotes are guarded like orders: their first event comes again."""
    market.tell(order())
    first = market.tell(body)[0]
    seq = market.engine.seq
    assert market.repeat(body) is first
    assert market.engine.seq == seq


@pytest.mark.parametrize(
    "body",
    [
        order(qty_lots=0),
        order(qty_lots=10**9),
        commands.ReplaceOrder("ALICE", "A1", 999),
        commands.CancelOrder("ALICE", "A1", 999),
        commands.MassQuote("ALICE", "A1", []),
    ],
    ids=["rejected order", "denied order", "replace", "cancel", "quote"],
)
def test_a_refusal_uses_the_key_up(market: Market, body: Any) -> None:
    """A key is used up by whatever the core answered: the same request is answered with the same refusal."""
    (refused,) = market.tell(body)
    assert market.repeat(body) is refused
    other = NewOrder("ALICE", "A1", "XYZ", qty_lots=7, price_ticks=1)
    assert "CL_ORD_ID_CONFLICT" in market.tell(other).story[0]


def test_a_denied_order_stays_denied_under_its_key(market: Market) -> None:
    """Even when the cash has come meanwhile."""
    (denied,) = market.tell(order(qty_lots=2_000_000))
    market.tell(commands.AdjustCash("ALICE", "USD", 10**13, "rich"))
    assert market.repeat(order(qty_lots=2_000_000)) is denied


def test_a_cancel_without_a_key_is_carried_out_each_time(market: Market) -> None:
    """Without a key there is nothing to compare: the second cancel is too late."""
    (first,) = market.tell(order())
    assert market.cancel(first).story == ["A1 CANCELED"]
    assert market.cancel(first).story == ["A1 REJECTED ORDER_NOT_OPEN"]


def test_a_mass_cancel_without_a_key_is_carried_out_each_time(market: Market) -> None:
    """Each is answered anew."""
    market.tell(order())
    assert market.tell(commands.MassCancel("ALICE")).story == ["orders_mass_canceled", "A1 CANCELED"]
    assert market.tell(commands.MassCancel("ALICE")).story == ["orders_mass_canceled"]


ADMINISTRATION = [
    commands.AdjustCash("ALICE", "USD", 7, "r"),
    commands.AdjustPosition("ALICE", "XYZ", 7, 1, "r"),
    commands.ConfigureAccount("ALICE", "r", ["self_trade_group"], self_trade_group="G"),
    commands.ConfigureInstrument("XYZ", "r", ["price_band_bps"], price_band_bps=1),
    commands.DelistInstrument("XYZ", "r"),
    commands.SetFeeSchedule("F", "r", 1, 1, 1),
    commands.SetLimits("ALICE", "XYZ", "r", ["order_qty_lots"], commands.Limits(order_qty_lots=9)),
    commands.EngageKillSwitch(1, "", "r"),
]


@pytest.mark.parametrize("body", ADMINISTRATION, ids=lambda body: type(body).__name__)
def test_administration_happens_once(market: Market, body: commands.Body) -> None:
    """The same request_id with the same request is answered with the original event."""
    (made,) = market.tell(body)
    seq = market.engine.seq
    assert market.repeat(body) is made
    assert market.engine.seq == seq


@pytest.mark.parametrize("body", ADMINISTRATION, ids=lambda body: type(body).__name__)
def test_administration_without_a_request_id_is_refused(market: Market, body: Any) -> None:
    """FIELD_MISSING: it could not be told from its repetition."""
    told = market.tell(replace(body, request_id=""))
    assert told.story == ["command_refused FIELD_MISSING request_id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (commands.AdjustCash("ALICE", "USD", 8, "r"), "amount_micro"),
        (commands.AdjustCash("ALICE", "EUR", 7, "r"), "currency"),
        (commands.AdjustPosition("ALICE", "XYZ", 7, 1, "r"), "request"),
    ],
)
def test_another_request_under_the_same_request_id_is_a_conflict(
    market: Market, body: commands.Body, field: str
) -> None:
    """It names what differs, and nothing moves."""
    market.tell(commands.AdjustCash("ALICE", "USD", 7, "r"))
    (refused,) = told = market.tell(body)
    assert told.story == [f"command_refused CL_ORD_ID_CONFLICT {field}"]
    assert (refused.fields["account"], refused.fields["request_id"]) == ("ALICE", "r")
    assert (market.cash("ALICE").cash_micro, market.position("ALICE").qty_lots) == (10**12 + 7, 1_000)


def test_a_request_id_belongs_to_its_account(market: Market) -> None:
    """`(account or "", request_id)`: two accounts may use the same request_id, and an account may use it once."""
    limits = commands.Limits(order_qty_lots=9)
    assert market.tell(commands.SetLimits("ALICE", "", "r", ["order_qty_lots"], limits)).story == ["limits_set"]
    assert market.tell(commands.SetLimits("BOB", "", "r", ["order_qty_lots"], limits)).story == ["limits_set"]
    assert market.tell(commands.AdjustCash("BOB", "USD", 1, "r")).story == [
        "command_refused CL_ORD_ID_CONFLICT request"
    ]


def test_administration_that_was_refused_may_be_tried_again(market: Market) -> None:
    """What was refused was not carried out: the same withdrawal passes once the cash is free."""
    (bid,) = market.buy("ALICE", 1, 100_000_000)
    withdrawal = commands.AdjustCash("ALICE", "USD", -1, "out")
    assert market.tell(withdrawal).story == ["command_refused BUYING_POWER amount"]
    market.cancel(bid)
    assert market.tell(withdrawal).story == ["cash_adjusted"]


def test_listing_and_opening_again_changes_nothing(market: Market) -> None:
    """The answer is the original event; other terms for a listed symbol are refused."""
    assert (market.repeat(XYZ).seq, market.repeat(commands.OpenAccount("ALICE")).seq) == (1, 2)
    other = commands.ListInstrument("XYZ", 1, "USD", 10**8, 10**9)
    assert market.tell(other).story == ["command_refused ALREADY_EXISTS symbol"]
    assert market.listing().instrument == XYZ


def test_an_account_keeps_its_newest_keys() -> None:
    """With a window of 2, the third newest key of an ended order is free again, and the order is forgotten with it."""
    market = Market(Engine(keys_max=2)).opened()
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.cancel(first)
    market.buy("ALICE", 0, 99, key="B")
    assert market.buy("ALICE", 6, 99, key="A").story == ["A REJECTED CL_ORD_ID_CONFLICT qty_lots"]
    market.buy("ALICE", 0, 99, key="C")
    assert market.engine.lookup("ALICE", first.order_id, "") is None
    assert market.buy("ALICE", 6, 99, key="A").story == ["A NEW"]


def test_every_key_of_an_open_order_is_kept() -> None:
    """Its first key and that of its replace stay beyond the window while it is open, and go with its end."""
    market = Market(Engine(keys_max=1)).opened()
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.replace(first, qty=4, key="B")
    for number in range(3):
        market.buy("ALICE", 0, 99, key=f"C{number}")
    for key in ("A", "B"):
        assert "CL_ORD_ID_CONFLICT" in market.buy("ALICE", 7, 99, key=key).story[0]
    market.cancel(first)
    assert market.engine.lookup("ALICE", first.order_id, "") is None
    assert market.buy("ALICE", 7, 99, key="A").story == ["A NEW"]
    assert market.buy("ALICE", 7, 99, key="B").story == ["B NEW"]


def test_an_order_that_is_cancelled_under_a_key_lives_as_long_as_that_key() -> None:
    """The cancel's key is a key of the order, too: it is forgotten with the last of them."""
    market = Market(Engine(keys_max=1)).opened()
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.buy("ALICE", 0, 99, key="B")
    (ended,) = market.cancel(first, key="C")
    assert market.engine.lookup("ALICE", 0, "C") == (ended, first.time_unix_ns)
    market.buy("ALICE", 0, 99, key="D")
    assert market.engine.lookup("ALICE", first.order_id, "") is None


def test_an_order_that_ends_within_the_window_is_forgotten_with_its_last_key() -> None:
    """Of two keys the first falls out alone; the order is still found by the second."""
    market = Market(Engine(keys_max=2)).opened()
    (first,) = market.buy("ALICE", 5, 99, key="A")
    market.replace(first, qty=4, key="B")
    market.cancel(first)
    market.buy("ALICE", 0, 99, key="C")
    assert market.engine.lookup("ALICE", 0, "A") is None
    assert market.engine.lookup("ALICE", 0, "B") is not None
    market.buy("ALICE", 0, 99, key="D")
    assert market.engine.lookup("ALICE", first.order_id, "") is None


def test_the_venue_keeps_its_newest_administrative_requests() -> None:
    """With a window of 1, the request before the last may happen again."""
    market = Market(Engine(requests_max=1))
    market.tell(commands.OpenAccount("ALICE"))
    deposit = commands.AdjustCash("ALICE", "USD", 1, "r1")
    market.tell(deposit)
    market.tell(commands.AdjustCash("ALICE", "USD", 1, "r2"))
    assert market.tell(deposit)[0].fields["cash_micro"] == 3


def test_orders_are_forgotten_one_by_one_from_anywhere() -> None:
    """The oldest, the newest or one in between: the others are still listed, newest first."""
    market = Market(Engine(keys_max=3)).opened()
    ids = [market.buy("ALICE", 1, 90 + n, key=f"K{n}")[0].order_id for n in range(4)]

    def listed() -> list[int]:
        return [event.order_id for event, _ in market.engine.scan("ALICE", "", False, 0, 10)]  # type: ignore[attr-defined]

    market.buy("ALICE", 0, 99)
    market.buy("ALICE", 0, 99)
    market.buy("ALICE", 0, 99)
    for ended, left in ((1, [3, 2, 0]), (3, [2, 0]), (0, [2]), (2, [])):
        market.tell(commands.CancelOrder("ALICE", "", ids[ended]))
        assert listed() == [ids[number] for number in left]
