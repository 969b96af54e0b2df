"""Requests about one order: new, replace, cancel (section 2); each check in the order of the specification."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain import keys, lists, money, risk, shape, triggers
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import Account, Order, Place, Said, Venue, terms_of

SUBMIT, REPLACE, CANCEL = types.REQUEST_KIND_SUBMIT, types.REQUEST_KIND_REPLACE, types.REQUEST_KIND_CANCEL
REJECTED, DENIED = types.EXEC_TYPE_REJECTED, types.EXEC_TYPE_DENIED


def refuse(v: Venue, body: Any, request: int, refusal: Said, *, takes_key: bool = True, **more: Any) -> None:
    """A request about no order of the venue is refused."""
    account = v.accounts.get(body.account)
    if account is not None:
        account.seq += 1
    told: Said = {"account": body.account}
    if isinstance(body, c.NewOrder):
        told = terms_of(body) | {"qty_lots": body.qty_lots, "price_ticks": body.price_ticks}
        told |= {"stop_px_ticks": body.stop_px_ticks, "display_qty_lots": body.display_qty_lots}
    told |= {"account_seq": account.seq if account is not None else 0, "cl_ord_id": body.cl_ord_id}
    told |= {"exec_type": REJECTED, "ord_status": types.ORD_STATUS_REJECTED, "cause": types.CAUSE_CLIENT}
    said = v.say("order", told | v.asked(request) | refusal | more)
    if account is not None and body.cl_ord_id and takes_key:
        keys.remember(v, account, body.cl_ord_id, body, said)


def refuse_about(v: Venue, account: str, key: str, request: int, refusal: Said) -> None:
    """A key of an account is refused."""
    v.accounts[account].seq += 1
    told: Said = {"account": account, "account_seq": v.accounts[account].seq, "cl_ord_id": key}
    told |= {"exec_type": REJECTED, "ord_status": types.ORD_STATUS_REJECTED, "cause": types.CAUSE_CLIENT}
    v.say("order", told | v.asked(request) | refusal)


def account_unknown(v: Venue, account: str) -> Said | None:
    """The first check of all."""
    unknown = account not in v.accounts
    return no(types.REASON_ACCOUNT_UNKNOWN, exec_type=DENIED, field="account") if unknown else None


def conflict(v: Venue, body: Any, key: str) -> Said | None:
    """A key that was used for another request."""
    found = keys.known(v, v.accounts[body.account], key) if key else None
    if found is None:
        return None
    return no(types.REASON_CL_ORD_ID_CONFLICT, field=keys.difference(found.body, body))


def waits(body: c.NewOrder) -> bool:
    """Whether an order does not go to the book when it comes."""
    is_stop = body.ord_type in (shape.STOP, shape.STOP_LIMIT, shape.TRAILING)
    return is_stop or lists.waits_for_parent(body)


def wrong_symbol(v: Venue, symbol: str) -> Said | None:
    """An instrument that is not there, or no longer."""
    listing = v.listings.get(symbol)
    if listing is None:
        return no(types.REASON_SYMBOL_UNKNOWN, field="symbol")
    return no(types.REASON_DELISTED, field="symbol") if listing.is_delisted else None


def _made_of(v: Venue, body: c.NewOrder, *, is_quote: bool) -> Order:
    session_id = v.command.session_id
    return Order(v.seq + 1, body, body.cl_ord_id, session_id, v.now, v.clients.get(session_id), is_quote)


def decide(v: Venue, body: c.NewOrder) -> Said | None:
    """Whether a new order of a known account is refused."""

    def checks() -> Iterator[Said | None]:
        yield wrong_symbol(v, body.symbol)
        yield shape.wrong_shape(v, body)
        yield risk.switched_off(v, body.account, body.symbol)
        yield shape.wrong_session(v, body.symbol, body.ord_type, body.time_in_force)
        yield lists.wrong_list(v, body)
        order = _made_of(v, body, is_quote=False)
        if not waits(body) and triggers.would_take(v, order, order.price):
            yield no(types.REASON_WOULD_TAKE, field="price")
        want = risk.Wanted(order, order.qty, order.price, order.stop_px, order.display)
        yield risk.at_entry(v, want, waits=waits(body))

    return next((refusal for refusal in checks() if refusal is not None), None)


def new_order(v: Venue, body: c.NewOrder, request: int = SUBMIT) -> None:
    """Places an order; one of a quote has its key already."""
    is_quote = request != SUBMIT
    refusal = account_unknown(v, body.account)
    if refusal is not None:
        refuse(v, body, request, refusal)
        return
    clash = None if is_quote else conflict(v, body, body.cl_ord_id)
    if clash is not None:
        refuse(v, body, request, clash, takes_key=False)
        return
    refusal = decide(v, body)
    if refusal is not None:
        refuse(v, body, request, refusal, takes_key=not is_quote)
    else:
        _accept(v, _made_of(v, body, is_quote=is_quote), request)


def _accept(v: Venue, order: Order, request: int) -> None:
    body, account = order.body, v.accounts[order.account]
    v.orders[order.order_id] = order
    v.live.append(order)
    if waits(body):
        order.status = types.ORD_STATUS_PENDING_NEW
        order.place = Place.PARKED if lists.waits_for_parent(body) else Place.ARMED
    said = v.tell(order, types.EXEC_TYPE_NEW, types.CAUSE_CLIENT, request)
    if order.is_quote:
        order.keys.append(body.cl_ord_id)
    else:
        keys.remember(v, account, body.cl_ord_id, body, said, order)
    want = risk.Wanted(order, order.qty, order.price, order.stop_px, order.display)
    if risk.limit_of(v, order, "duplicate_window_ns"):
        account.entered.append((v.now, risk.likeness(want)))
    lists.join(v, order)
    if waits(body):
        triggers.look_at_once(v, order)
    else:
        triggers.work(v, order)
    if not order.is_quote:
        triggers.empty_line(v)


def _turn_down(v: Venue, body: Any, order: Order, request: int, refusal: Said) -> None:
    """A request about an order is refused."""
    chain = {"cl_ord_id": body.cl_ord_id, "orig_cl_ord_id": body.cl_ord_id and order.cl_ord_id}
    exec_type = refusal.pop("exec_type", REJECTED)
    said = v.tell(order, exec_type, types.CAUSE_CLIENT, request, **chain, **refusal)
    if body.cl_ord_id:
        keys.remember(v, v.accounts[body.account], body.cl_ord_id, body, said)


def _order_asked_for(v: Venue, body: c.ReplaceOrder | c.CancelOrder, request: int) -> Order | None:
    refusal = account_unknown(v, body.account)
    if refusal is not None:
        refuse(v, body, request, refusal | {"field": ""}, orig_cl_ord_id=body.orig_cl_ord_id)
        return None
    clash = conflict(v, body, body.cl_ord_id)
    if clash is not None:
        refuse(v, body, request, clash, takes_key=False)
        return None
    order = keys.find(v, body)
    if order is None:
        refuse(v, body, request, no(types.REASON_ORDER_UNKNOWN), orig_cl_ord_id=body.orig_cl_ord_id)
    return order


class Change(NamedTuple):
    """What an order would be after a replace."""

    qty: int
    price: int
    stop_px: int
    display: int
    only_lowers: bool


def replace_order(v: Venue, body: c.ReplaceOrder) -> None:
    """Changes an order."""
    order = _order_asked_for(v, body, REPLACE)
    if order is None:
        return
    change = _change(v, body, order)
    refusal = _wrong_replace(v, body, order, change)
    if refusal is not None:
        _turn_down(v, body, order, REPLACE, refusal)
        return
    was_in_book = order.in_book
    if was_in_book and not change.only_lowers:
        order.place = Place.AT_WORK
    _apply(v, order, change)
    orig, order.cl_ord_id = order.cl_ord_id, body.cl_ord_id
    said = v.tell(order, types.EXEC_TYPE_REPLACED, types.CAUSE_CLIENT, REPLACE, orig_cl_ord_id=orig)
    keys.remember(v, v.accounts[body.account], body.cl_ord_id, body, said, order)
    if order.place is Place.AT_WORK:
        triggers.work(v, order)
    triggers.look_at_once(v, order)


def _apply(v: Venue, order: Order, change: Change) -> None:
    order.qty, order.price, order.stop_px, order.display = change[:4]
    order.shown = min(order.shown, order.leaves)
    if order.in_book:
        money.hold(v, order)


def lower_in_place(v: Venue, order: Order, qty: int, cl_ord_id: str, request: int) -> None:
    """A quote's quantity is lowered."""
    _apply(v, order, Change(qty, order.price, order.stop_px, min(order.display, qty), True))
    orig, order.cl_ord_id = order.cl_ord_id, cl_ord_id
    order.keys.append(cl_ord_id)
    v.tell(order, types.EXEC_TYPE_REPLACED, types.CAUSE_CLIENT, request, orig_cl_ord_id=orig)


def _change(v: Venue, body: c.ReplaceOrder, order: Order) -> Change:
    terms = v.listings[order.symbol].terms
    qty = body.qty_nano // terms.lot_size_nano or order.qty
    price = body.price_nano // terms.tick_size_nano or order.price
    stop_px = body.stop_px_nano // terms.tick_size_nano or order.stop_px
    display = body.display_qty_nano // terms.lot_size_nano or min(order.display, qty)
    is_same = (price, stop_px) == (order.price, order.stop_px)
    keeps_display = not body.display_qty_nano or display == order.display
    return Change(qty, price, stop_px, display, is_same and keeps_display and qty < order.qty)


def _wrong_replace(v: Venue, body: c.ReplaceOrder, order: Order, change: Change) -> Said | None:
    """The first thing that stands against a replace of a known order."""

    def checks() -> Iterator[Said | None]:
        if not body.cl_ord_id:
            yield no(types.REASON_FIELD_MISSING, field="cl_ord_id")
        yield from _off_grid(v, body, order)
        if not order.is_open:
            yield no(types.REASON_ORDER_NOT_OPEN)
        yield from _not_applicable(body, order)
        is_same = change[:4] == (order.qty, order.price, order.stop_px, order.display)
        if is_same:
            yield no(types.REASON_NOTHING_TO_REPLACE)
        for field in ("qty", "price", "stop_px", "display_qty"):
            if getattr(body, f"{field}_nano") < 0:
                yield no(types.REASON_NOT_POSITIVE, field=field)
        if change.qty <= order.cum:
            yield no(types.REASON_QTY_BELOW_CUM, field="qty")
        if change.display > change.qty:
            yield no(types.REASON_FIELD_INVALID, field="display_qty")
        trail = order.body.trail_offset if order.body.trail_unit == types.TRAIL_UNIT_PRICE else 0
        if shape.is_too_large(v, order.symbol, change.qty, change.price, change.stop_px, trail):
            yield no(types.REASON_VALUE_TOO_LARGE, field="qty")
        yield risk.switched_off(v, order.account, order.symbol)
        if not change.only_lowers:
            yield from _as_new(v, order, change)

    return next((refusal for refusal in checks() if refusal is not None), None)


def _off_grid(v: Venue, body: c.ReplaceOrder, order: Order) -> Iterator[Said]:
    terms = v.listings[order.symbol].terms
    numbers = {"qty": body.qty_nano, "display_qty": body.display_qty_nano}
    for field, number in numbers.items():
        if number % terms.lot_size_nano:
            yield no(types.REASON_QTY_OFF_LOT, field=field)
    prices = {"price": body.price_nano, "stop_px": body.stop_px_nano}
    for field, number in prices.items():
        if number % terms.tick_size_nano:
            yield no(types.REASON_PRICE_OFF_TICK, field=field)


def _not_applicable(body: c.ReplaceOrder, order: Order) -> Iterator[Said]:
    is_waiting = order.status == types.ORD_STATUS_PENDING_NEW
    wrong = {
        "price": body.price_nano and not order.is_limit,
        "stop_px": body.stop_px_nano and not (order.is_stop and is_waiting),
        "display_qty": body.display_qty_nano and not order.display,
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            yield no(types.REASON_FIELDS_CONFLICT, field=field)


def _as_new(v: Venue, order: Order, change: Change) -> Iterator[Said | None]:
    """What is checked as for new orders."""
    yield shape.wrong_session(v, order.symbol, order.body.ord_type, order.body.time_in_force)
    if order.in_book and triggers.would_take(v, order, change.price):
        yield no(types.REASON_WOULD_TAKE, field="price")
    want = risk.Wanted(order, change.qty, change.price, change.stop_px, change.display, is_replace=True)
    yield risk.at_entry(v, want, waits=not order.in_book)


def cancel_order(v: Venue, body: c.CancelOrder) -> None:
    """Cancels an order."""
    order = _order_asked_for(v, body, CANCEL)
    if order is None:
        return
    if not order.is_open:
        _turn_down(v, body, order, CANCEL, no(types.REASON_ORDER_NOT_OPEN))
        return
    account: Account = v.accounts[body.account]
    chain = {"cl_ord_id": body.cl_ord_id, "orig_cl_ord_id": body.cl_ord_id and order.cl_ord_id}
    lists.close(v, order, types.ORD_STATUS_CANCELED)
    said = v.tell(order, types.EXEC_TYPE_CANCELED, types.CAUSE_CLIENT, CANCEL, **chain)
    if body.cl_ord_id:
        keys.remember(v, account, body.cl_ord_id, body, said, order)
    lists.settle(v, order)
