"""Commands that are not about orders: instruments, accounts, cash, positions, fees, limits.

Listing and opening again with the same terms changes nothing and is answered
with the original event; everything else happens once by `request_id`. What was
refused was not carried out, and may be tried again.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from matching.core.commands import (
    AdjustCash,
    AdjustPosition,
    ConfigureAccount,
    ConfigureInstrument,
    Limits,
    ListInstrument,
    OpenAccount,
    ReleaseThrottle,
    SetFeeSchedule,
    SetLimits,
)
from matching.core.keys import Done, note
from matching.core.ledger import LOTS_MAX, MONEY_MICRO_MAX, Account, Cash, FeeSchedule, Position
from matching.core.venue import Listing
from matching.core.words import AssetClass, Reason

if TYPE_CHECKING:
    from matching.core.events import Event
    from matching.core.venue import Venue

NANO_PER_MICRO: Final = 1_000
NANO_PER_MICRO_SQUARED: Final = 10**12
NANO_SQUARED_PER_MICRO: Final = 10**12
FEE_PPM_MAX: Final = 100_000
WINDOW_NS_MAX: Final = 60_000_000_000
"""Longest window that the rules on duplicates and repeated executions look back."""
LIMIT_NAMES: Final = tuple(field.name for field in fields(Limits))
Fault = tuple[int, str]
"""Why not, and the field at fault."""


def list_instrument(venue: Venue, command: ListInstrument) -> None:
    """Lists an instrument whose tick on its lot is worth a whole number of 10^-6 of the currency."""
    fault = _listing_fault(venue, command)
    if fault is not None:
        venue.refuse(fault[0], fault[1])
        return
    event = venue.say("instrument_listed", {"instrument": command})
    worth = command.tick_size_nano * command.lot_size_nano * command.multiplier // NANO_PER_MICRO_SQUARED
    venue.listings[command.symbol] = listing_of(command, worth, event)


def listing_of(command: ListInstrument, worth: int, event: Event) -> Listing:
    """A listing with what follows from its terms."""
    listing = Listing(command, worth, event)
    if command.asset_class == AssetClass.FX:
        listing.base_micro_per_lot = command.lot_size_nano // NANO_PER_MICRO
    elif command.asset_class == AssetClass.OPTION:
        strike = command.strike_nano * command.lot_size_nano * command.multiplier
        listing.strike_micro_per_lot = strike // NANO_SQUARED_PER_MICRO
    return listing


def open_account(venue: Venue, command: OpenAccount) -> None:
    """Opens an account."""
    if not command.account:
        venue.refuse(Reason.FIELD_MISSING, "account")
        return
    account = Account(command.account)
    account.opened = venue.say("account_opened", {"account": command.account})
    venue.accounts[command.account] = account


def adjust_cash(venue: Venue, command: AdjustCash) -> None:
    """Moves cash in or out; what open orders hold, or short positions need, cannot be withdrawn."""
    account = venue.accounts.get(command.account)
    total_micro = venue.money_micro.get(command.currency, 0) + command.amount_micro
    fault = _cash_fault(account, command, total_micro)
    if account is None or fault is not None:
        _refuse(venue, fault or (Reason.ACCOUNT_UNKNOWN, "account"), command.account, command.request_id)
        return
    venue.money_micro[command.currency] = total_micro
    cash = account.cash_in(command.currency)
    cash.cash_micro += command.amount_micro
    told: dict[str, object] = {
        "account": command.account,
        "currency": command.currency,
        "amount_micro": command.amount_micro,
        "cash_micro": cash.cash_micro,
        "request_id": command.request_id,
    }
    event = venue.say("cash_adjusted", told)
    note(venue, command.account, command.request_id, Done(command, event))


def adjust_position(venue: Venue, command: AdjustPosition) -> None:
    """Books lots in at a cost, or out at their average cost; what open orders hold cannot leave."""
    account = venue.accounts.get(command.account)
    listing = venue.listings.get(command.symbol)
    fault = _position_fault(account, listing, command)
    if account is None or listing is None or fault is not None:
        _refuse(venue, fault or (Reason.SYMBOL_UNKNOWN, "symbol"), command.account, command.request_id)
        return
    listing.lots += command.qty_lots
    position = account.position_in(listing)
    if command.qty_lots >= 0:
        position.trade(command.qty_lots, command.price_ticks)
    else:
        position.is_used = True
        position.book_out(-command.qty_lots)
        position.recount()
    account.sort_in(position)
    told: dict[str, object] = {
        "account": command.account,
        "symbol": command.symbol,
        "qty_lots": command.qty_lots,
        "price_ticks": command.price_ticks,
        "position_lots": position.qty_lots,
        "request_id": command.request_id,
    }
    event = venue.say("position_adjusted", told)
    note(venue, command.account, command.request_id, Done(command, event))


def configure_account(venue: Venue, command: ConfigureAccount) -> None:
    """Changes what an account may do and what it pays."""
    account = venue.accounts.get(command.account)
    fault = _account_fault(venue, account, command)
    if account is None or fault is not None:
        _refuse(venue, fault or (Reason.ACCOUNT_UNKNOWN, "account"), command.account, command.request_id)
        return
    mask = command.update_mask
    if "short_sale_permitted" in mask:
        account.short_sale_permitted = command.short_sale_permitted
    if "short_margin_bps" in mask:
        account.short_margin_bps = command.short_margin_bps
    if "self_trade_group" in mask:
        account.self_trade_group = command.self_trade_group
    if "fee_schedule" in mask:
        account.fees = venue.fee_schedules[command.fee_schedule] if command.fee_schedule else None
    event = venue.say("account_configured", {"change": command})
    note(venue, command.account, command.request_id, Done(command, event))


def configure_instrument(venue: Venue, command: ConfigureInstrument) -> None:
    """Changes an instrument's collar and band."""
    listing = venue.listings.get(command.symbol)
    fault = _instrument_fault(listing, command)
    if listing is None or fault is not None:
        _refuse(venue, fault or (Reason.SYMBOL_UNKNOWN, "symbol"), "", command.request_id)
        return
    if "market_collar_bps" in command.update_mask:
        listing.market_collar_bps = command.market_collar_bps
    if "price_band_bps" in command.update_mask:
        listing.price_band_bps = command.price_band_bps
    event = venue.say("instrument_configured", {"change": command})
    note(venue, "", command.request_id, Done(command, event))


def set_fee_schedule(venue: Venue, command: SetFeeSchedule) -> None:
    """Defines a fee schedule, or changes it for every account that has it."""
    if not command.fee_schedule:
        venue.refuse(Reason.FIELD_MISSING, "fee_schedule", request_id=command.request_id)
    elif not -FEE_PPM_MAX <= command.maker_ppm <= FEE_PPM_MAX:
        venue.refuse(Reason.FIELD_INVALID, "maker_ppm", request_id=command.request_id)
    elif not -FEE_PPM_MAX <= command.taker_ppm <= FEE_PPM_MAX:
        venue.refuse(Reason.FIELD_INVALID, "taker_ppm", request_id=command.request_id)
    elif not 0 <= command.lot_micro <= MONEY_MICRO_MAX:
        venue.refuse(Reason.FIELD_INVALID, "lot_micro", request_id=command.request_id)
    else:
        schedule = venue.fee_schedules.get(command.fee_schedule)
        if schedule is None:
            schedule = venue.fee_schedules[command.fee_schedule] = FeeSchedule(command.fee_schedule)
        schedule.change(command.maker_ppm, command.taker_ppm, command.lot_micro)
        event = venue.say("fee_schedule_set", {"schedule": command})
        note(venue, "", command.request_id, Done(command, event))


def set_limits(venue: Venue, command: SetLimits) -> None:
    """Changes the limits of a scope, and with them the version of all limits."""
    fault = _limits_fault(venue, command)
    if fault is not None:
        _refuse(venue, fault, command.account, command.request_id)
        return
    scope = (command.account, command.symbol)
    limits = venue.limits.get(scope)
    if limits is None:
        limits = venue.limits[scope] = Limits()
    for name in command.update_mask:
        setattr(limits, name, getattr(command.limits, name))
    venue.limits_version += 1
    event = venue.say("limits_set", {"change": command, "limits_version": venue.limits_version})
    note(venue, command.account, command.request_id, Done(command, event))


def release_throttle(venue: Venue, command: ReleaseThrottle) -> None:
    """Lets an account trade an instrument again after repeated executions; a named person asks for it."""
    account = venue.accounts.get(command.account)
    position = account.positions.get(command.symbol) if account is not None else None
    if account is None or position is None or not position.is_throttled:
        fault = (Reason.ACCOUNT_UNKNOWN, "account") if account is None else (Reason.FIELD_INVALID, "symbol")
        _refuse(venue, fault, command.account, command.request_id)
        return
    if venue.actor in ("", "system"):
        _refuse(venue, (Reason.FIELD_MISSING, "actor"), command.account, command.request_id)
        return
    position.is_throttled = False
    position.throttle_fills = 0
    told: dict[str, object] = {
        "account": command.account,
        "symbol": command.symbol,
        "request_id": command.request_id,
    }
    event = venue.say("throttle_released", told)
    note(venue, command.account, command.request_id, Done(command, event))


def _refuse(venue: Venue, fault: Fault, account: str, request_id: str) -> None:
    venue.refuse(fault[0], fault[1], account, request_id)


def _listing_fault(venue: Venue, command: ListInstrument) -> Fault | None:
    if not command.symbol or not command.currency:
        return Reason.FIELD_MISSING, "currency" if command.symbol else "symbol"
    worth, rest = divmod(command.tick_size_nano * command.lot_size_nano * command.multiplier, NANO_PER_MICRO_SQUARED)
    if min(command.tick_size_nano, command.lot_size_nano, command.multiplier) <= 0 or rest or not worth:
        return Reason.FIELD_INVALID, "tick_size"
    if command.asset_class == AssetClass.FX:
        if not command.base_currency:
            return Reason.FIELD_MISSING, "base_currency"
        if command.base_currency == command.currency:
            return Reason.FIELDS_CONFLICT, "base_currency"
        if command.lot_size_nano % NANO_PER_MICRO:
            return Reason.FIELD_INVALID, "lot_size"
    if command.strike_nano < 0:
        return Reason.NOT_POSITIVE, "strike"
    if not 0 <= command.trading_session <= 6:
        return Reason.ENUM_UNKNOWN, "trading_session"
    return (Reason.ALREADY_EXISTS, "symbol") if command.symbol in venue.listings else None


def _cash_fault(account: Account | None, command: AdjustCash, total_micro: int) -> Fault | None:
    if account is None:
        return Reason.ACCOUNT_UNKNOWN, "account"
    if not command.currency:
        return Reason.FIELD_MISSING, "currency"
    if command.amount_micro < 0:
        cash = account.cash.get(command.currency, Cash())
        free_micro = cash.cash_micro - cash.held_micro - account.margin_micro(cash)
        if free_micro + command.amount_micro < 0:
            return Reason.BUYING_POWER, "amount"
    return (Reason.VALUE_TOO_LARGE, "amount") if total_micro > MONEY_MICRO_MAX else None


def _position_fault(account: Account | None, listing: Listing | None, command: AdjustPosition) -> Fault | None:
    if account is None:
        return Reason.ACCOUNT_UNKNOWN, "account"
    if listing is None:
        return Reason.SYMBOL_UNKNOWN, "symbol"
    if listing.base_micro_per_lot:
        return Reason.NOT_SUPPORTED, "symbol"
    position = account.position_seen(listing)
    held_lots = position.held_lots + position.open_short_lots
    if command.qty_lots < 0 and position.qty_lots - held_lots + command.qty_lots < 0:
        return Reason.POSITION_INSUFFICIENT, "qty"
    if listing.lots + command.qty_lots > LOTS_MAX:
        return Reason.VALUE_TOO_LARGE, "qty"
    return _cost_fault(position, listing, command)


def _cost_fault(position: Position, listing: Listing, command: AdjustPosition) -> Fault | None:
    if command.price_ticks < 0:
        return Reason.FIELD_INVALID, "price"
    cost_ticks_lots = abs(position.cost_ticks_lots) + max(0, command.qty_lots) * command.price_ticks
    too_large = cost_ticks_lots * listing.micro_per_tick_lot > MONEY_MICRO_MAX
    return (Reason.VALUE_TOO_LARGE, "price") if too_large else None


def _account_fault(venue: Venue, account: Account | None, command: ConfigureAccount) -> Fault | None:
    if account is None:
        return Reason.ACCOUNT_UNKNOWN, "account"
    known = ("short_sale_permitted", "short_margin_bps", "self_trade_group", "fee_schedule")
    if not command.update_mask or any(name not in known for name in command.update_mask):
        return Reason.FIELD_INVALID, "update_mask"
    if "short_margin_bps" in command.update_mask and not 0 <= command.short_margin_bps <= 1_000_000:
        return Reason.FIELD_INVALID, "short_margin_bps"
    if "fee_schedule" in command.update_mask and command.fee_schedule:
        return None if command.fee_schedule in venue.fee_schedules else (Reason.FIELD_INVALID, "fee_schedule")
    return None


def _instrument_fault(listing: Listing | None, command: ConfigureInstrument) -> Fault | None:
    if listing is None:
        return Reason.SYMBOL_UNKNOWN, "symbol"
    mask = command.update_mask
    if not mask or any(name not in ("market_collar_bps", "price_band_bps") for name in mask):
        return Reason.FIELD_INVALID, "update_mask"
    if "market_collar_bps" in mask and not 1 <= command.market_collar_bps <= 10_000:
        return Reason.FIELD_INVALID, "market_collar_bps"
    if "price_band_bps" in mask and not 0 <= command.price_band_bps <= 9_999:
        return Reason.FIELD_INVALID, "price_band_bps"
    return None


def _limits_fault(venue: Venue, command: SetLimits) -> Fault | None:
    if command.account and command.account not in venue.accounts:
        return Reason.ACCOUNT_UNKNOWN, "account"
    if command.symbol and command.symbol not in venue.listings:
        return Reason.SYMBOL_UNKNOWN, "symbol"
    limits = command.limits
    if not command.update_mask or any(name not in LIMIT_NAMES for name in command.update_mask):
        return Reason.FIELD_INVALID, "update_mask"
    for name in command.update_mask:
        if getattr(limits, name) < 0:
            return Reason.NOT_POSITIVE, name
    if max(limits.duplicate_window_ns, limits.repeated_window_ns) > WINDOW_NS_MAX:
        longer = limits.duplicate_window_ns > limits.repeated_window_ns
        return Reason.FIELD_INVALID, "duplicate_window_ns" if longer else "repeated_window_ns"
    return None
