"""Idempotency: a request with a key happens at most once, and a key stands for one request only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from matching.core import commands
from matching.core.events import OrderEvent
from matching.core.words import ExecType, OrdStatus, OrdType, Reason, RequestKind, Side, TimeInForce

if TYPE_CHECKING:
    from tests.unit.matching.conftest import Floor


def test_the_same_order_again_is_the_original_report_again(floor: Floor) -> None:
    """The second time nothing happens: the answer is the first event, and the venue has not moved."""
    order = floor.order("ALICE", Side.BUY, 5, 99, cl_ord_id="A1")
    (accepted,) = floor.told(order)
    time_unix_ns = floor.engine.time_unix_ns
    assert floor.replayed(order) is accepted
    assert (floor.engine.seq, floor.engine.time_unix_ns) == (8, time_unix_ns)
    assert floor.bids() == [(99, 5, [8])]


def test_a_repeated_order_is_answered_as_it_was_then(floor: Floor) -> None:
    """The original report comes even after the order has traded, been replaced and ended."""
    order = floor.order("ALICE", Side.BUY, 5, 99, cl_ord_id="A1")
    (accepted,) = floor.told(order)
    floor.sell("BOB", 2, 99)
    floor.replace(accepted, qty=9)
    floor.cancel(accepted)
    assert floor.replayed(order) is accepted


def test_who_asks_and_when_is_not_part_of_the_request(floor: Floor) -> None:
    """A retry by another actor, received later, is still the same request."""
    order = floor.order("ALICE", Side.BUY, 5, 99)
    floor.execute(order, actor="ann", received_unix_ns=5)
    assert floor.replayed(order).actor == "ann"


def test_a_refusal_is_repeated_too(floor: Floor) -> None:
    """A denied order stays denied under its key, even when the cash has come meanwhile."""
    order = floor.order("ALICE", Side.BUY, 1000, 9_999, cl_ord_id="A1")
    (denied,) = floor.told(order)
    floor.told(commands.AdjustCash("ALICE", "USD", 10**12, "rich"))
    assert floor.replayed(order) is denied


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", "ABC"),
        ("side", Side.SELL),
        ("ord_type", OrdType.MARKET),
        ("time_in_force", TimeInForce.DAY),
        ("qty_lots", 6),
        ("price_ticks", 98),
        ("self_trade_prevention", 2),
        ("decision_maker", "bob"),
        ("strategy_id", "s2"),
    ],
)
def test_a_different_order_with_the_same_key_is_a_conflict(floor: Floor, field: str, value: Any) -> None:
    """The conflict names the field that differs; the first order stays as it is."""
    order = floor.order("ALICE", Side.BUY, 5, 99, cl_ord_id="A1")
    floor.told(order)
    (refused,) = floor.told(msgspec.structs.replace(order, **{field: value}))
    assert (refused.exec_type, refused.ord_status, refused.reason, refused.field) == (
        ExecType.REJECTED,
        OrdStatus.REJECTED,
        Reason.CL_ORD_ID_CONFLICT,
        field,
    )
    assert (refused.cl_ord_id, refused.order_id, refused.request) == ("A1", 0, RequestKind.SUBMIT)
    assert floor.bids() == [(99, 5, [8])]


def test_a_conflict_does_not_take_the_key(floor: Floor) -> None:
    """After a conflict the original request is still the key's, and is repeated as before."""
    order = floor.order("ALICE", Side.BUY, 5, 99, cl_ord_id="A1")
    (accepted,) = floor.told(order)
    floor.told(msgspec.structs.replace(order, qty_lots=6))
    assert floor.replayed(order) is accepted
    found = floor.engine.lookup("ALICE", 0, "A1")
    assert found is not None
    assert found[0] is accepted


def test_keys_belong_to_their_account(floor: Floor) -> None:
    """Two accounts may use the same key."""
    (first,) = floor.buy("ALICE", 5, 99, cl_ord_id="A1")
    (second,) = floor.buy("BOB", 5, 99, cl_ord_id="A1")
    assert (first.exec_type, second.exec_type) == (ExecType.NEW, ExecType.NEW)


def test_a_replace_and_a_cancel_happen_once(floor: Floor) -> None:
    """Their keys are guarded in the same way as those of orders."""
    (first,) = floor.buy("ALICE", 5, 99)
    replace = commands.ReplaceOrder("ALICE", "R1", first.order_id, "", 4 * 10**9)
    cancel = commands.CancelOrder("ALICE", "C1", first.order_id)
    (replaced,) = floor.told(replace)
    assert floor.replayed(replace) is replaced
    (ended,) = floor.told(cancel)
    assert floor.replayed(cancel) is ended
    assert floor.replayed(replace) is replaced


def test_a_refused_cancel_is_repeated_too(floor: Floor) -> None:
    """The refusal of a cancel with a key is the answer to its repetition."""
    cancel = commands.CancelOrder("ALICE", "C1", 99)
    (refused,) = floor.told(cancel)
    assert floor.replayed(cancel) is refused


def test_a_cancel_without_a_key_is_carried_out_each_time(floor: Floor) -> None:
    """Without a key there is nothing to compare: the second cancel is too late."""
    (first,) = floor.buy("ALICE", 5, 99)
    assert floor.cancel(first)[0].exec_type == ExecType.CANCELED
    assert floor.cancel(first)[0].reason == Reason.ORDER_NOT_OPEN


def test_a_key_of_another_kind_of_request_is_a_conflict(floor: Floor) -> None:
    """A cancel with the key of an order differs in the request itself."""
    (first,) = floor.buy("ALICE", 5, 99, cl_ord_id="A1")
    (refused,) = floor.told(commands.CancelOrder("ALICE", "A1", first.order_id))
    assert (refused.reason, refused.field, refused.request) == (
        Reason.CL_ORD_ID_CONFLICT,
        "request",
        RequestKind.CANCEL,
    )
    assert floor.bids() == [(99, 5, [first.order_id])]


@pytest.mark.parametrize(
    "body", [commands.AdjustCash("ALICE", "USD", 7, "r"), commands.AdjustPosition("ALICE", "XYZ", 7, 1, "r")]
)
def test_an_adjustment_happens_once(floor: Floor, body: commands.AdjustCash | commands.AdjustPosition) -> None:
    """The same request_id with the same request is answered with the original event, and moves nothing."""
    (made,) = floor.told(body)
    assert floor.replayed(body) is made
    assert (floor.cash("ALICE").cash_micro, floor.position("ALICE").qty_lots) in [
        (10_000_000_007, 100),
        (10_000_000_000, 107),
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (commands.AdjustCash("ALICE", "USD", 8, "r"), "amount_micro"),
        (commands.AdjustCash("ALICE", "EUR", 7, "r"), "currency"),
        (commands.AdjustPosition("ALICE", "XYZ", 7, 1, "r"), "request"),
    ],
)
def test_a_different_adjustment_with_the_same_request_id_is_a_conflict(
    floor: Floor, body: commands.AdjustCash | commands.AdjustPosition, field: str
) -> None:
    """A request_id moves cash or lots once: another request under it is refused and names what differs."""
    floor.told(commands.AdjustCash("ALICE", "USD", 7, "r"))
    (refused,) = floor.told(body)
    assert (refused.reason, refused.field, refused.request_id) == (Reason.CL_ORD_ID_CONFLICT, field, "r")
    assert (floor.cash("ALICE").cash_micro, floor.position("ALICE").qty_lots) == (10_000_000_007, 100)


def test_every_event_of_an_order_names_the_order(floor: Floor) -> None:
    """From acceptance to end, the order_id is the acceptance's seq and the account is the same."""
    (first,) = floor.buy("ALICE", 5, 99, cl_ord_id="A1")
    told: list[OrderEvent] = [first, *floor.replace(first, qty=4), *floor.sell("BOB", 1, 99)[1:2], *floor.cancel(first)]
    assert {(event.order_id, event.terms.account) for event in told} == {(8, "ALICE")}
