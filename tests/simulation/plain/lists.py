"""Orders that depend on each other (section 4), and how an order ends."""

from collections.abc import Sequence
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import Order, Place, Said, Venue

OCO, OTO, OTOCO = (
    types.CONTINGENCY_TYPE_OCO,
    types.CONTINGENCY_TYPE_OTO,
    types.CONTINGENCY_TYPE_OTOCO,
)

RIVALS: dict[int, tuple[int, int]] = {OCO: (1, 2), OTOCO: (2, 3)}


def members(v: Venue, order: Order) -> dict[int, Order]:
    """The list that an order belongs to, by leg."""
    return v.lists.get((order.account, order.body.list_id), {}) if order.body.contingency_type else {}


def other_leg(v: Venue, order: Order) -> Order | None:
    """The other leg of an OCO, or of the OCO in a bracket."""
    pair = RIVALS.get(order.body.contingency_type, ())
    if order.body.leg not in pair:
        return None
    return members(v, order).get(sum(pair) - order.body.leg)


def is_over(order: Order) -> bool:
    """Whether a leg has traded, was triggered or has ended: its other leg cannot live."""
    return bool(order.cum) or order.was_triggered or not order.is_open


def wrong_list(v: Venue, body: c.NewOrder) -> Said | None:
    """Whether an order may join the list that it names."""
    kind, list_id, leg = body.contingency_type, body.list_id, body.leg
    if not kind:
        return None
    known = v.lists.get((body.account, list_id))
    if (leg == 1) != (known is None):
        reason = types.REASON_ALREADY_EXISTS if leg == 1 else types.REASON_ORDER_UNKNOWN
        return no(reason, field="contingency.list_id")
    if known is None:
        return None
    if known[1].body.contingency_type != kind:
        return no(types.REASON_FIELDS_CONFLICT, field="contingency.type")
    if leg in known:
        return no(types.REASON_ALREADY_EXISTS, field="contingency.leg")
    return _too_late(known, kind, leg)


def _too_late(known: dict[int, Order], kind: int, leg: int) -> Said | None:
    parent_ended = kind != OCO and not known[1].is_open and known[1].status != types.ORD_STATUS_FILLED
    rivals = RIVALS.get(kind, ())
    if parent_ended or any(is_over(known[rival]) for rival in rivals if rival in known):
        return no(types.REASON_ORDER_NOT_OPEN, field="contingency.list_id")
    return None


def waits_for_parent(body: c.NewOrder) -> bool:
    """Whether an order waits for leg 1, or for its turn when leg 1 is filled already."""
    return body.contingency_type in (OTO, OTOCO) and body.leg > 1


def join(v: Venue, order: Order) -> None:
    """An accepted order takes its place in its list; what comes after a filled parent comes into line."""
    body = order.body
    if not body.contingency_type:
        return
    legs = v.lists.setdefault((order.account, body.list_id), {})
    legs[body.leg] = order
    if waits_for_parent(body) and legs[1].status == types.ORD_STATUS_FILLED:
        into_line(v, order)


def into_line(v: Venue, order: Order) -> None:
    """An order waits for its turn."""
    order.place = Place.LINED
    v.line.append(order)


def close(v: Venue, order: Order, status: int) -> None:
    """An order leaves wherever it is."""
    order.status, order.place = status, Place.GONE


def cancel(v: Venue, order: Order, cause: int, reason: int = 0, request: int = 0, **more: Any) -> None:
    """An order is cancelled, and so is what depends on it."""
    close(v, order, types.ORD_STATUS_CANCELED)
    v.tell(order, types.EXEC_TYPE_CANCELED, cause, request, reason=reason, **more)
    settle(v, order)


def cancel_other_leg(v: Venue, order: Order) -> None:
    """Of an OCO only one leg may live."""
    other = other_leg(v, order)
    if other is not None and other.is_open:
        close(v, other, types.ORD_STATUS_CANCELED)
        v.tell(other, types.EXEC_TYPE_CANCELED, types.CAUSE_SYSTEM, reason=types.REASON_CONTINGENCY)


def settle(v: Venue, order: Order) -> None:
    """What follows from an order's trade or end."""
    if is_over(order):
        cancel_other_leg(v, order)
    if order.body.contingency_type in (OTO, OTOCO) and order.body.leg == 1 and not order.is_open:
        _settle_parent(v, order)


def _settle_parent(v: Venue, parent: Order) -> None:
    legs = [leg for number, leg in sorted(members(v, parent).items()) if number > 1 and leg.place is Place.PARKED]
    if not parent.cum:
        for leg in legs:
            if leg.is_open:
                cancel(v, leg, types.CAUSE_SYSTEM, types.REASON_CONTINGENCY)
        return
    for leg in legs:
        if leg.qty > parent.cum and parent.status != types.ORD_STATUS_FILLED:
            leg.qty, leg.display = parent.cum, min(leg.display, parent.cum)
            v.tell(leg, types.EXEC_TYPE_RESTATED, types.CAUSE_SYSTEM, reason=types.REASON_CONTINGENCY)
    for leg in legs:
        into_line(v, leg)


def cancel_all(v: Venue, orders: Sequence[Order], cause: int, reason: int = 0) -> None:
    """Many orders are cancelled in the order given; one that has fallen with another is passed over."""
    for order in orders:
        if order.is_open:
            cancel(v, order, cause, reason)


def expire_all(v: Venue, orders: Sequence[Order]) -> int:
    """The same for orders whose time has run out; gives their number."""
    expired = 0
    for order in orders:
        if order.is_open:
            close(v, order, types.ORD_STATUS_EXPIRED)
            v.tell(order, types.EXEC_TYPE_EXPIRED, types.CAUSE_SYSTEM, reason=types.REASON_EXPIRED)
            expired += 1
            settle(v, order)
    return expired
