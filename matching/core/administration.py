"""Commands that are not about orders: instruments, accounts, cash, positions, the trading day.

Listing and opening again with the same terms changes nothing and is answered
with the original event's kind; cash and positions move once by `request_id`.
"""

from matching.core import trading
from matching.core.commands import AdjustCash, AdjustPosition, CloseDay, ListInstrument, OpenAccount
from matching.core.events import (
    AccountOpened,
    CashAdjusted,
    CommandRefused,
    DayClosed,
    InstrumentListed,
    PositionAdjusted,
)
from matching.core.ledger import MONEY_MICRO_MAX, Account
from matching.core.venue import Listing, Venue
from matching.core.words import Reason

NANO_PER_MICRO_SQUARED = 10**12


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
        venue.listings[command.symbol] = Listing(command, worth)
        venue.events.append(InstrumentListed(*venue.stamp(), command))


def open_account(venue: Venue, command: OpenAccount) -> None:
    """Opens an account."""
    if not command.account:
        _refuse(venue, Reason.FIELD_MISSING, field="account")
    elif command.account in venue.accounts:
        _refuse(venue, Reason.ALREADY_EXISTS, command.account, "account")
    else:
        venue.accounts[command.account] = Account(command.account)
        venue.events.append(AccountOpened(*venue.stamp(), command.account))


def adjust_cash(venue: Venue, command: AdjustCash) -> None:
    """Moves cash in or out; what open orders hold cannot be withdrawn."""
    account = venue.accounts.get(command.account)
    if account is None:
        _refuse(venue, Reason.ACCOUNT_UNKNOWN, command.account, "account", command.request_id)
        return
    total_micro = venue.money_micro.get(command.currency, 0) + command.amount_micro
    cash = account.cash_in(command.currency)
    if cash.free_micro + command.amount_micro < 0:
        _refuse(venue, Reason.BUYING_POWER, command.account, "amount", command.request_id)
    elif total_micro > MONEY_MICRO_MAX:
        _refuse(venue, Reason.VALUE_TOO_LARGE, command.account, "amount", command.request_id)
    else:
        venue.money_micro[command.currency] = total_micro
        cash.cash_micro += command.amount_micro
        event = CashAdjusted(
            *venue.stamp(),
            command.account,
            command.currency,
            command.amount_micro,
            cash.cash_micro,
            command.request_id,
        )
        venue.events.append(event)
        account.adjustments[command.request_id] = (command, event)


def adjust_position(venue: Venue, command: AdjustPosition) -> None:
    """Books lots in at a cost, or out at their average cost; what open orders hold cannot leave."""
    account = venue.accounts.get(command.account)
    listing = venue.listings.get(command.symbol)
    if account is None or listing is None:
        reason, field = (Reason.ACCOUNT_UNKNOWN, "account") if account is None else (Reason.SYMBOL_UNKNOWN, "symbol")
        _refuse(venue, reason, command.account, field, command.request_id)
        return
    position = account.position_in(command.symbol)
    value_micro = abs(command.qty_lots) * command.price_ticks * listing.micro_per_tick_lot
    if position.qty_lots - position.held_lots + command.qty_lots < 0:
        _refuse(venue, Reason.POSITION_INSUFFICIENT, command.account, "qty", command.request_id)
    elif command.price_ticks < 0 or value_micro > MONEY_MICRO_MAX or abs(command.qty_lots) > MONEY_MICRO_MAX:
        _refuse(venue, Reason.VALUE_TOO_LARGE, command.account, "price", command.request_id)
    else:
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
    venue.events.append(DayClosed(*venue.stamp(), command.trading_day, expired))


def _refuse(venue: Venue, reason: Reason, account: str = "", field: str = "", request_id: str = "") -> None:
    venue.events.append(CommandRefused(*venue.stamp(), reason, account, field, request_id))
