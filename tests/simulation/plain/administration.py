"""Instruments, accounts, cash, positions, fees and limits: commands that are carried out once by their `request_id`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ordergate.types.v1 import types_pb2 as types

from matching.core import commands as c
from tests.simulation.plain import keys, lists, money
from tests.simulation.plain.batches import refuse_command
from tests.simulation.plain.orders import account_unknown, wrong_symbol
from tests.simulation.plain.risk import no
from tests.simulation.plain.state import BOUND, Account, Client, Listing, Said, Venue, given, names_of

INVALID, MISSING, TOO_LARGE = types.REASON_FIELD_INVALID, types.REASON_FIELD_MISSING, types.REASON_VALUE_TOO_LARGE
PPM_MAX = 100_000
MARGIN_BPS_MAX = 1_000_000
WINDOW_NS_MAX = 60 * 10**9
RANGES = {"market_collar_bps": (1, 10_000), "price_band_bps": (0, 9_999), "short_margin_bps": (0, MARGIN_BPS_MAX)}
RANGES |= {"duplicate_window_ns": (0, WINDOW_NS_MAX), "repeated_window_ns": (0, WINDOW_NS_MAX)}
Checks = Iterator[Said | None]


def carried_out(v: Venue, body: Any, checks: Callable[[], Checks]) -> bool:
    """Whether a command passes its checks; otherwise it is refused."""
    refusal = next((refusal for refusal in checks() if refusal is not None), None)
    if refusal is not None:
        refuse_command(v, body, refusal, getattr(body, "request_id", ""))
    return refusal is None


def once(v: Venue, body: Any) -> Checks:
    """A `request_id` is given and stands for one request."""
    yield missing(body, "request_id")
    found = keys.request_known(v, keys.administration_key(body))
    if found is not None:
        yield no(types.REASON_CL_ORD_ID_CONFLICT, field=keys.difference(found.body, body))


def missing(body: Any, *names: str) -> Said | None:
    """The first field that is empty."""
    empty = next((name for name in names if not getattr(body, name)), None)
    return no(MISSING, field=empty) if empty is not None else None


def remember(v: Venue, body: Any, said: Said) -> None:
    """The command has been carried out."""
    keys.remember_request(v, body, said)


def list_instrument(v: Venue, body: c.ListInstrument) -> None:
    """Lists an instrument whose tick on its lot is worth a whole number of 10^-6."""
    worth, rest = divmod(body.tick_size_nano * body.lot_size_nano * body.multiplier, 10**12)

    def checks() -> Checks:
        yield missing(body, "symbol", "currency")
        if min(body.tick_size_nano, body.lot_size_nano, body.multiplier) <= 0 or rest or not worth:
            yield no(INVALID, field="tick_size")
        yield from _wrong_pair(body)
        if body.strike_nano < 0:
            yield no(types.REASON_NOT_POSITIVE, field="strike")
        if body.trading_session not in types.TradingSession.values():
            yield no(types.REASON_ENUM_UNKNOWN, field="trading_session")
        if body.symbol in v.listings:
            yield no(types.REASON_ALREADY_EXISTS, field="symbol")

    if carried_out(v, body, checks):
        session = body.trading_session or types.TRADING_SESSION_CONTINUOUS
        said = v.record("instrument_listed", instrument=given(body))
        v.listings[body.symbol] = Listing(body, worth, said, session)


def _wrong_pair(body: c.ListInstrument) -> Checks:
    """A pair has two currencies, and a lot of whole 10^-6 of the base."""
    if body.asset_class != types.ASSET_CLASS_FX:
        return
    yield missing(body, "base_currency")
    if body.base_currency == body.currency:
        yield no(types.REASON_FIELDS_CONFLICT, field="base_currency")
    if body.lot_size_nano % 1_000:
        yield no(INVALID, field="lot_size")


def open_account(v: Venue, body: c.OpenAccount) -> None:
    """Opens an account."""
    if carried_out(v, body, lambda: iter([missing(body, "account")])):
        v.accounts[body.account] = Account(body.account, v.record("account_opened", account=body.account))


def adjust_cash(v: Venue, body: c.AdjustCash) -> None:
    """Cash comes or goes; what is held or needed as margin stays."""

    def checks() -> Checks:
        yield from once(v, body)
        yield account_unknown(v, body.account)
        yield missing(body, "currency")
        if body.amount_micro < 0 and money.free_cash(v, body.account, body.currency) + body.amount_micro < 0:
            yield no(types.REASON_BUYING_POWER, field="amount")
        if v.deposits.get(body.currency, 0) + body.amount_micro > BOUND:
            yield no(TOO_LARGE, field="amount")

    if carried_out(v, body, checks):
        account = v.accounts[body.account]
        money.add_cash(account, body.currency, body.amount_micro)
        v.deposits[body.currency] = v.deposits.get(body.currency, 0) + body.amount_micro
        said = v.record("cash_adjusted", **given(body), cash_micro=account.cash[body.currency])
        remember(v, body, said)


def adjust_position(v: Venue, body: c.AdjustPosition) -> None:
    """Lots are booked in at a price, or out at their average cost."""

    def checks() -> Checks:
        yield from once(v, body)
        yield account_unknown(v, body.account)
        yield wrong_listing(v, body.symbol)
        if v.listings[body.symbol].is_fx:
            yield no(types.REASON_NOT_SUPPORTED, field="symbol")
        yield from _wrong_lots(v, body)

    if carried_out(v, body, checks):
        holding = v.accounts[body.account].holding(body.symbol)
        earned = holding.pnl
        money.move_lots(v, body.account, body.symbol, body.qty_lots, body.price_ticks)
        if body.qty_lots < 0:
            holding.pnl = earned
        v.booked[body.symbol] = v.booked.get(body.symbol, 0) + body.qty_lots
        said = v.record("position_adjusted", **given(body), position_lots=holding.lots)
        remember(v, body, said)


def _wrong_lots(v: Venue, body: c.AdjustPosition) -> Checks:
    account, listing = v.accounts[body.account], v.listings[body.symbol]
    held = money.held_lots(v, body.account, body.symbol, shorts=True)
    total = sum(other.lots(body.symbol) for other in v.accounts.values())
    if body.qty_lots < 0 and account.lots(body.symbol) - held + body.qty_lots < 0:
        yield no(types.REASON_POSITION_INSUFFICIENT, field="qty")
    if total + body.qty_lots > BOUND:
        yield no(TOO_LARGE, field="qty")
    if body.price_ticks < 0:
        yield no(INVALID, field="price")
    cost = abs(account.holdings[body.symbol].cost) if body.symbol in account.holdings else 0
    if (cost + max(0, body.qty_lots) * body.price_ticks) * listing.worth > BOUND:
        yield no(TOO_LARGE, field="price")


def wrong_listing(v: Venue, symbol: str) -> Said | None:
    """An instrument that is not there; one that is no longer traded is."""
    return no(types.REASON_SYMBOL_UNKNOWN, field="symbol") if symbol not in v.listings else None


def _masked(body: Any, names: Sequence[str], values: Any) -> Checks:
    """A mask names at least one field, and only fields that may change, with values in their ranges."""
    if not body.update_mask or not set(body.update_mask) <= set(names):
        yield no(INVALID, field="update_mask")
    for name in body.update_mask:
        if isinstance(values, c.Limits) and getattr(values, name) < 0:
            yield no(types.REASON_NOT_POSITIVE, field=name)
    for name in body.update_mask:
        value = getattr(values, name)
        least, most = RANGES.get(name, (0, value))
        if isinstance(value, int) and not least <= value <= most:
            yield no(INVALID, field=name)


def configure_account(v: Venue, body: c.ConfigureAccount) -> None:
    """Changes what an account may do and what it pays."""
    names = ("short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule")

    def checks() -> Checks:
        yield from once(v, body)
        yield account_unknown(v, body.account)
        yield from _masked(body, names, body)
        if "fee_schedule" in body.update_mask and body.fee_schedule and body.fee_schedule not in v.schedules:
            yield no(INVALID, field="fee_schedule")

    if carried_out(v, body, checks):
        for name in body.update_mask:
            setattr(v.accounts[body.account], name, getattr(body, name))
        remember(v, body, v.record("account_configured", change=given(body)))


def configure_instrument(v: Venue, body: c.ConfigureInstrument) -> None:
    """Changes an instrument's collar and band."""

    def checks() -> Checks:
        yield from once(v, body)
        yield wrong_symbol(v, body.symbol)
        yield from _masked(body, ("market_collar_bps", "price_band_bps"), body)

    if carried_out(v, body, checks):
        listing = v.listings[body.symbol]
        if "market_collar_bps" in body.update_mask:
            listing.collar_bps = body.market_collar_bps
        if "price_band_bps" in body.update_mask:
            listing.band_bps = body.price_band_bps
        remember(v, body, v.record("instrument_configured", change=given(body)))


def delist_instrument(v: Venue, body: c.DelistInstrument) -> None:
    """Ends a listing."""

    def checks() -> Checks:
        yield from once(v, body)
        yield wrong_symbol(v, body.symbol)

    if carried_out(v, body, checks):
        v.listings[body.symbol].is_delisted = True
        chosen = [order for order in v.live if order.symbol == body.symbol]
        said = v.record("instrument_delisted", **given(body), canceled_orders=len(chosen))
        remember(v, body, said)
        lists.cancel_all(v, chosen, types.CAUSE_OPERATOR, types.REASON_DELISTED)


def set_fee_schedule(v: Venue, body: c.SetFeeSchedule) -> None:
    """Defines what fills cost."""

    def checks() -> Checks:
        yield from once(v, body)
        yield missing(body, "fee_schedule")
        for name in ("maker_ppm", "taker_ppm"):
            if abs(getattr(body, name)) > PPM_MAX:
                yield no(INVALID, field=name)
        if body.lot_micro < 0:
            yield no(INVALID, field="lot_micro")

    if carried_out(v, body, checks):
        v.schedules[body.fee_schedule] = body
        remember(v, body, v.record("fee_schedule_set", schedule=given(body)))


def set_limits(v: Venue, body: c.SetLimits) -> None:
    """Changes the limits of a scope."""

    def checks() -> Checks:
        yield from once(v, body)
        yield account_unknown(v, body.account) if body.account else None
        yield wrong_listing(v, body.symbol) if body.symbol else None
        yield from _masked(body, names_of(body.limits), body.limits)

    if carried_out(v, body, checks):
        scope = v.limits.setdefault((body.account, body.symbol), {})
        scope |= {name: getattr(body.limits, name) for name in body.update_mask}
        v.limits_version += 1
        for account in v.accounts.values():
            account.entered, account.fills = [], {}
        said = v.record("limits_set", change=given(body), limits_version=v.limits_version)
        remember(v, body, said)


def original(v: Venue, body: Any) -> Said | None:
    """The event of the same command, if it has been carried out before."""
    if isinstance(body, c.ListInstrument):
        listing = v.listings.get(body.symbol)
        return listing.said if listing is not None and not keys.difference(listing.terms, body) else None
    if isinstance(body, c.OpenAccount):
        account = v.accounts.get(body.account)
        return account.opened if account is not None else None
    found = keys.request_known(v, keys.administration_key(body))
    return found.said if found is not None and not keys.difference(found.body, body) else None


def open_session(v: Venue, body: c.OpenSession) -> None:
    """A client's session begins."""

    def checks() -> Checks:
        yield missing(body, "session_id")
        if body.session_id in v.clients:
            yield no(types.REASON_ALREADY_EXISTS, field="session_id")
        if body.dead_man_ns < 0:
            yield no(INVALID, field="dead_man_ns")

    if carried_out(v, body, checks):
        v.clients[body.session_id] = Client(body, v.now + body.dead_man_ns if body.dead_man_ns else 0)
        v.record("session_opened", session=given(body))
