"""Commands that are not about orders: instruments, accounts, cash, positions, the trading day.

Listing and opening again with the same terms changes nothing and is answered
with the original event; cash and positions move once by `request_id`. What was
refused was not carried out, and may be tried again.
"""

from matching.core import trading
from matching.core.commands import AdjustCash, AdjustPosition, Body, CloseDay, ListInstrument, OpenAccount
from matching.core.events import (
    AccountOpened,
    CashAdjusted,
    CommandRefused,
    DayClosed,
    Event,
    InstrumentListed,
    PositionAdjusted,
)
from matching.core.keys import differing_field
from matching.core.ledger import LOTS_MAX, MONEY_MICRO_MAX, Account, Position
from matching.core.risk import NO_CASH, NO_POSITION
from matching.core.venue import Listing, Venue
from matching.core.words import Reason

NANO_PER_MICRO_SQUARED = 10**12
Refusal = tuple[Reason, str]
"""Why not, and the field at fault."""


def original(venue: Venue, command: Body) -> Event | None:
    """The event of the same command, if it has been carried out before."""
    if isinstance(command, ListInstrument):
        listing = venue.listings.get(command.symbol)
        return listing.listed if listing is not None and listing.instrument == command else None
    if isinstance(command, OpenAccount):
        account = venue.accounts.get(command.account)
        return account.opened if account is not None else None
    if isinstance(command, (AdjustCash, AdjustPosition)):
        account = venue.accounts.get(command.account)
        made = account.adjustments.get(command.request_id) if account is not None else None
        return made[1] if made is not None and made[0] == command else None
    return None


def list_instrument(venue: Venue, command: ListInstrument) -> None:
    """Lists an instrument whose tick on its lot is worth a whole number of 10^-6 of the currency."""
    worth, rest = divmod(command.tick_size_nano * command.lot_size_nano * command.multiplier, NANO_PER_MICRO_SQUARED)
    if not command.symbol or not command.currency:
        _refuse(venue, Reason.FIELD_MISSING, field="currency" if command.symbol else "symbol")
    elif min(command.tick_size_nano, command.lot_size_nano, command.multiplier) <= 0 or rest or not worth:
        _refuse(venue, Reason.FIELD_INVALID, field="tick_size")
    elif command.symbol in venue.listings:
        _refuse(venue, Reason.ALREADY_EXISTS, field="symbol")
    else:
        event = InstrumentListed(*venue.stamp(), command, venue.actor)
        venue.listings[command.symbol] = Listing(event, worth)
        venue.events.append(event)


def open_account(venue: Venue, command: OpenAccount) -> None:
    """Opens an account."""
    if not command.account:
        _refuse(venue, Reason.FIELD_MISSING, field="account")
    else:
        event = AccountOpened(*venue.stamp(), command.account, venue.actor)
        venue.accounts[command.account] = Account(command.account, event)
        venue.events.append(event)


def adjust_cash(venue: Venue, command: AdjustCash) -> None:
    """Moves cash in or out; what open orders hold cannot be withdrawn."""
    account = venue.accounts.get(command.account)
    total_micro = venue.money_micro.get(command.currency, 0) + command.amount_micro
    refusal = _once(account, command) or _cash_shape(account, command, total_micro)
    if account is None or refusal is not None:
        _refuse_adjustment(venue, command, refusal)
        return
    venue.money_micro[command.currency] = total_micro
    cash = account.cash_in(command.currency)
    cash.cash_micro += command.amount_micro
    event = CashAdjusted(
        *venue.stamp(),
        command.account,
        command.currency,
        command.amount_micro,
        cash.cash_micro,
        command.request_id,
        venue.actor,
    )
    venue.events.append(event)
    account.adjustments[command.request_id] = (command, event)


def adjust_position(venue: Venue, command: AdjustPosition) -> None:
    """Books lots in at a cost, or out at their average cost; what open orders hold cannot leave."""
    account = venue.accounts.get(command.account)
    listing = venue.listings.get(command.symbol)
    refusal = _once(account, command) or _position_shape(account, listing, command)
    if account is None or listing is None or refusal is not None:
        _refuse_adjustment(venue, command, refusal)
        return
    listing.lots += command.qty_lots
    position = account.position_in(command.symbol)
    if command.qty_lots >= 0:
        position.buy(command.qty_lots, command.price_ticks)
    else:
        position.book_out(-command.qty_lots)
    event = PositionAdjusted(
        *venue.stamp(),
        command.account,
        command.symbol,
        command.qty_lots,
        command.price_ticks,
        position.qty_lots,
        command.request_id,
        venue.actor,
    )
    venue.events.append(event)
    account.adjustments[command.request_id] = (command, event)


def close_day(venue: Venue, command: CloseDay) -> None:
    """Expires all DAY orders; a day is closed once, and days close in order."""
    if command.trading_day <= venue.last_closed_day:
        _refuse(venue, Reason.ALREADY_EXISTS, field="trading_day")
        return
    expired = trading.expire_day_orders(venue)
    venue.last_closed_day = command.trading_day
    venue.events.append(DayClosed(*venue.stamp(), command.trading_day, expired, venue.actor))


def _once(account: Account | None, command: AdjustCash | AdjustPosition) -> Refusal | None:
    """A request_id stands for one request."""
    if account is None:
        return Reason.ACCOUNT_UNKNOWN, "account"
    if not command.request_id:
        return Reason.FIELD_MISSING, "request_id"
    made = account.adjustments.get(command.request_id)
    return (Reason.CL_ORD_ID_CONFLICT, differing_field(made[0], command)) if made is not None else None


def _cash_shape(account: Account | None, command: AdjustCash, total_micro: int) -> Refusal | None:
    cash = account.cash.get(command.currency, NO_CASH) if account is not None else NO_CASH
    if not command.currency:
        return Reason.FIELD_MISSING, "currency"
    if cash.free_micro + command.amount_micro < 0:
        return Reason.BUYING_POWER, "amount"
    return (Reason.VALUE_TOO_LARGE, "amount") if total_micro > MONEY_MICRO_MAX else None


def _position_shape(account: Account | None, listing: Listing | None, command: AdjustPosition) -> Refusal | None:
    if listing is None:
        return Reason.SYMBOL_UNKNOWN, "symbol"
    position = account.positions.get(command.symbol, NO_POSITION) if account is not None else NO_POSITION
    if position.qty_lots - position.held_lots + command.qty_lots < 0:
        return Reason.POSITION_INSUFFICIENT, "qty"
    if listing.lots + command.qty_lots > LOTS_MAX:
        return Reason.VALUE_TOO_LARGE, "qty"
    return _cost_shape(position, listing, command)


def _cost_shape(position: Position, listing: Listing, command: AdjustPosition) -> Refusal | None:
    if command.price_ticks < 0:
        return Reason.FIELD_INVALID, "price"
    cost_ticks_lots = position.cost_ticks_lots + max(0, command.qty_lots) * command.price_ticks
    too_large = cost_ticks_lots * listing.micro_per_tick_lot > MONEY_MICRO_MAX
    return (Reason.VALUE_TOO_LARGE, "price") if too_large else None


def _refuse_adjustment(venue: Venue, command: AdjustCash | AdjustPosition, refusal: Refusal | None) -> None:
    reason, field = refusal or (Reason.ACCOUNT_UNKNOWN, "account")
    _refuse(venue, reason, command.account, field, command.request_id)


def _refuse(venue: Venue, reason: Reason, account: str = "", field: str = "", request_id: str = "") -> None:
    venue.events.append(CommandRefused(*venue.stamp(), reason, account, field, request_id, venue.actor))
