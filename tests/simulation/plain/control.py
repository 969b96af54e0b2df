"""Time, the clients' sessions, market sessions and kill switches (sections 3, 6 and 7)."""

from collections.abc import Collection

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain import auction, lists, money, triggers
from tests.simulation.plain.administration import Checks, carried_out, missing, once, remember, wrong_listing
from tests.simulation.plain.orders import account_unknown, wrong_symbol
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import Client, Order, Venue, given

CLOSED, PRE_OPEN = types.TRADING_SESSION_CLOSED, types.TRADING_SESSION_PRE_OPEN
OPENING, CONTINUOUS = types.TRADING_SESSION_OPENING_AUCTION, types.TRADING_SESSION_CONTINUOUS
HALTED, CLOSING = types.TRADING_SESSION_HALTED, types.TRADING_SESSION_CLOSING_AUCTION
FOLLOWERS: dict[int, tuple[int, ...]] = {
    CLOSED: (PRE_OPEN, OPENING, CONTINUOUS),
    PRE_OPEN: (OPENING, CONTINUOUS, HALTED, CLOSED),
    OPENING: (CONTINUOUS, HALTED, CLOSED),
    CONTINUOUS: (HALTED, CLOSING, CLOSED),
    HALTED: (OPENING, CONTINUOUS, CLOSED),
    CLOSING: (HALTED, CLOSED),
}
INVALID, CONFLICT = types.REASON_FIELD_INVALID, types.REASON_FIELDS_CONFLICT
FIRM, ACCOUNT = types.KILL_SWITCH_SCOPE_FIRM, types.KILL_SWITCH_SCOPE_ACCOUNT
SYMBOL, SESSION = types.KILL_SWITCH_SCOPE_SYMBOL, types.KILL_SWITCH_SCOPE_SESSION


def set_trading_session(v: Venue, body: c.SetTradingSession) -> None:
    """An instrument enters another session."""

    def checks() -> Checks:
        yield wrong_symbol(v, body.symbol)
        if body.trading_session not in FOLLOWERS[v.listings[body.symbol].session]:
            yield no(CONFLICT, field="trading_session")

    if not carried_out(v, body, checks):
        return
    listing = v.listings[body.symbol]
    prices = auction.change_session(v, listing, body.trading_session)
    if listing.is_continuous:
        price = prices[-1] if prices else listing.last
        triggers.prints(v, body.symbol, [price] if price else [])
        triggers.look(v, body.symbol, triggers.BID_ASK)
        triggers.look(v, body.symbol, triggers.MARK)


def set_reference_price(v: Venue, body: c.SetReferencePrice) -> None:
    """The mark changes."""

    def checks() -> Checks:
        yield wrong_listing(v, body.symbol)
        if body.price_ticks <= 0:
            yield no(types.REASON_NOT_POSITIVE, field="price")

    if carried_out(v, body, checks):
        listing = v.listings[body.symbol]
        listing.reference, listing.reference_time = body.price_ticks, v.now
        listing.band_center = body.price_ticks
        v.record("reference_price_set", **given(body))
        triggers.look(v, body.symbol, triggers.MARK)


def in_scope(order: Order, scope: int, target: str) -> bool:
    """Whether a kill switch is about an order."""
    named: dict[int, str] = {ACCOUNT: order.account, SYMBOL: order.symbol, SESSION: order.session_id}
    return scope == FIRM or named[scope] == target


def _wrong_scope(v: Venue, body: c.EngageKillSwitch | c.ReleaseKillSwitch) -> Checks:
    if body.scope not in (FIRM, ACCOUNT, SYMBOL, SESSION):
        yield no(INVALID, field="scope")
    known: dict[int, Collection[str]] = {FIRM: ("",), ACCOUNT: v.accounts, SYMBOL: v.listings}
    is_known = body.target in known[body.scope] if body.scope in known else bool(body.target)
    if not is_known:
        yield no(INVALID, field="target")


def engage_kill_switch(v: Venue, body: c.EngageKillSwitch) -> None:
    """The gate closes, then everything in its scope is cancelled."""

    def checks() -> Checks:
        yield from once(v, body)
        yield from _wrong_scope(v, body)
        if (body.scope, body.target) in v.switches:
            yield no(types.REASON_ALREADY_EXISTS, field="scope")

    if carried_out(v, body, checks):
        v.switches.append((body.scope, body.target))
        chosen = [order for order in v.live if in_scope(order, body.scope, body.target)]
        said = v.record("kill_switch_engaged", kill_switch=given(body), canceled_orders=len(chosen))
        remember(v, body, said)
        lists.cancel_all(v, chosen, types.CAUSE_KILL_SWITCH, types.REASON_KILL_SWITCH)


def release_kill_switch(v: Venue, body: c.ReleaseKillSwitch) -> None:
    """The gate opens when two people want it."""

    def checks() -> Checks:
        yield from once(v, body)
        yield from _wrong_scope(v, body)
        yield missing(body, "approver")
        if body.approver == v.command.actor:
            yield no(INVALID, field="approver")
        if (body.scope, body.target) not in v.switches:
            yield no(INVALID, field="scope")

    if carried_out(v, body, checks):
        v.switches.remove((body.scope, body.target))
        remember(v, body, v.record("kill_switch_released", kill_switch=given(body)))


def release_throttle(v: Venue, body: c.ReleaseThrottle) -> None:
    """A named person lets an account trade an instrument again."""

    def checks() -> Checks:
        yield from once(v, body)
        yield account_unknown(v, body.account)
        if body.symbol not in v.accounts[body.account].latched:
            yield no(INVALID, field="symbol")
        if v.command.actor in ("", "system"):
            yield no(types.REASON_FIELD_MISSING, field="actor")

    if carried_out(v, body, checks):
        account = v.accounts[body.account]
        del account.latched[body.symbol]
        account.fills = {pair: times for pair, times in account.fills.items() if pair[0] != body.symbol}
        remember(v, body, v.record("throttle_released", **given(body)))


def renew_session(v: Venue, body: c.RenewSession) -> None:
    """A dead-man timer begins anew."""

    def checks() -> Checks:
        if body.session_id not in v.clients:
            yield no(INVALID, field="session_id")

    if carried_out(v, body, checks):
        client = v.clients[body.session_id]
        client.deadline = v.now + client.terms.dead_man_ns if client.terms.dead_man_ns else 0
        v.record("session_renewed", session_id=body.session_id)


def close_session(v: Venue, body: c.CloseSession) -> None:
    """A session ends, or all sessions of a gateway."""
    of_gateway = sorted(name for name, one in v.clients.items() if one.terms.gateway_id == body.gateway_id)
    closing = [body.session_id] if body.session_id else of_gateway

    def checks() -> Checks:
        if not body.session_id and not body.gateway_id:
            yield no(types.REASON_FIELD_MISSING, field="session_id")
        if not closing or closing[0] not in v.clients:
            yield no(INVALID, field="session_id" if body.session_id else "gateway_id")

    if not carried_out(v, body, checks):
        return
    for name in closing:
        client = v.clients.pop(name)
        _end_session(v, "session_closed", client, cancels=client.terms.cancel_on_disconnect)


def _end_session(v: Venue, kind: str, client: Client, *, cancels: bool) -> None:
    chosen = [order for order in v.live if order.is_open and order.client is client and cancels]
    v.record(kind, session_id=client.terms.session_id, canceled_orders=len(chosen))
    lists.cancel_all(v, chosen, types.CAUSE_DISCONNECT)


def time_tick(v: Venue, body: c.TimeTick) -> None:
    """What is due happens."""
    due = [order for order in v.live if 0 < order.body.expire_unix_ns <= v.now]
    v.record("time_advanced", expired_orders=len(due))
    lists.expire_all(v, sorted(due, key=lambda order: (order.body.expire_unix_ns, order.order_id)))
    overdue = sorted((one.deadline, name) for name, one in v.clients.items() if 0 < one.deadline <= v.now)
    for _, name in overdue:
        v.clients[name].deadline = 0
        _end_session(v, "session_timed_out", v.clients[name], cancels=True)


def close_day(v: Venue, body: c.CloseDay) -> None:
    """DAY orders end; the day's result and its lists are forgotten."""

    def checks() -> Checks:
        if body.trading_day <= v.closed_day:
            yield no(types.REASON_ALREADY_EXISTS, field="trading_day")

    if not carried_out(v, body, checks):
        return
    v.closed_day = body.trading_day
    expiring = [order for order in v.live if order.body.time_in_force == types.TIME_IN_FORCE_DAY]
    expired = lists.expire_all(v, expiring)
    triggers.finish(v)
    v.record("day_closed", trading_day=body.trading_day, expired_orders=expired)
    v.lists = {name: legs for name, legs in v.lists.items() if any(leg.is_open for leg in legs.values())}
    currencies = {listing.terms.currency for listing in v.listings.values()}
    for account in v.accounts.values():
        account.at_close = {currency: money.result(v, account, currency) for currency in currencies}
