"""The engine: `execute` takes one command and gives its events; nothing else changes the venue.

Deterministic: the same commands with the same times give the same events.
Called by the sequencer, by recovery and by replay, one command at a time.
"""

from __future__ import annotations

from matching.core import administration, baskets, cancels, market_sessions, quotes, time_and_sessions, trading
from matching.core.commands import (
    AdjustCash,
    AdjustPosition,
    Body,
    CancelOrder,
    CloseDay,
    CloseSession,
    Command,
    ConfigureAccount,
    ConfigureInstrument,
    DelistInstrument,
    EngageKillSwitch,
    ListInstrument,
    MassCancel,
    MassQuote,
    NewOrder,
    NewOrderList,
    OpenAccount,
    OpenSession,
    ReleaseKillSwitch,
    ReleaseThrottle,
    RenewSession,
    ReplaceOrder,
    SetFeeSchedule,
    SetLimits,
    SetReferencePrice,
    SetTradingSession,
    TimeTick,
)
from matching.core.events import Event, Replay
from matching.core.keys import KEYS_MAX, REQUESTS_MAX, differing_field
from matching.core.ledger import Account
from matching.core.orders import Order
from matching.core.refusals import Refusal
from matching.core.replace import replace_order
from matching.core.requests import conflict, key_of
from matching.core.settlement import tell_throttled
from matching.core.venue import Venue
from matching.core.words import Reason


class Engine:
    """The venue with its one way in, and read-only questions about it."""

    def __init__(self, keys_max: int = KEYS_MAX, requests_max: int = REQUESTS_MAX) -> None:
        self.venue = Venue(keys_max, requests_max)

    @property
    def seq(self) -> int:
        """The last event's sequence."""
        return self.venue.seq

    @property
    def time_unix_ns(self) -> int:
        """The last command's time."""
        return self.venue.time_unix_ns

    @property
    def due_unix_ns(self) -> int:
        """From when on a TimeTick is due; 0 for never."""
        return self.venue.due_unix_ns

    def execute(self, command: Command, now_unix_ns: int) -> list[Event] | Replay:
        """Carries out a command at a time later than every one before.

        Returns:
            Its events, at least one; or a Replay when the request was made
            before, in which case nothing has changed.
        """
        venue, body = self.venue, command.body
        if isinstance(body, (NewOrder, CancelOrder, ReplaceOrder, MassCancel, MassQuote)):
            account = venue.accounts.get(body.account)
            original = account.keys.get(key_of(body)) if account is not None else None
            if account is not None and original is not None:
                if not differing_field(original.request, body):
                    return Replay(original.event)
                venue.begin(now_unix_ns, command.actor, command.received_unix_ns, command.session_id)
                conflict(venue, account, body, original)
                return venue.events
        else:
            made = _made(venue, body)
            if made is not None:
                return Replay(made)
        venue.begin(now_unix_ns, command.actor, command.received_unix_ns, command.session_id)
        if isinstance(body, NewOrder):
            trading.new_order(venue, body)
        elif isinstance(body, CancelOrder):
            cancels.cancel_order(venue, body)
        elif isinstance(body, ReplaceOrder):
            replace_order(venue, body)
        else:
            _carry_out(venue, body)
        if venue.newly_throttled:
            tell_throttled(venue)
        return venue.events

    def check(self, command: Command, now_unix_ns: int) -> Refusal | None:
        """What a new order would be told now; nothing changes.

        Raises:
            TypeError: the command places no order.
        """
        body = command.body
        if not isinstance(body, NewOrder):
            raise TypeError("only a new order can be checked")
        return trading.check(self.venue, body, command.session_id, max(now_unix_ns, self.venue.time_unix_ns))

    def account(self, account: str) -> Account | None:
        """An account, to be read only."""
        return self.venue.accounts.get(account)

    def lookup(self, account: str, order_id: int, cl_ord_id: str) -> tuple[Event, int] | None:
        """An order's last event and the time of its acceptance; by either id.

        A request that never became an order gives the event of its refusal.
        """
        holder = self.venue.accounts.get(account)
        if holder is None:
            return None
        if order_id:
            order = self.venue.orders.get(order_id)
            return _state(order) if order is not None and order.account is holder else None
        outcome = holder.keys.get(cl_ord_id)
        if outcome is None:
            return None
        if outcome.order is not None:
            return _state(outcome.order)
        return outcome.event, outcome.event.time_unix_ns

    def scan(
        self, account: str, symbol: str, open_only: bool, before_order_id: int, limit: int
    ) -> list[tuple[Event, int]]:
        """Up to `limit` orders of an account, newest first, with ids below `before_order_id` (0 for all)."""
        holder = self.venue.accounts.get(account)
        found: list[tuple[Event, int]] = []
        if holder is None:
            return found
        order = holder.newest
        while order is not None and len(found) < limit:
            is_on_page = not before_order_id or order.order_id < before_order_id
            if is_on_page and (order.is_open or not open_only) and (not symbol or order.listing.symbol == symbol):
                found.append(_state(order))
            order = order.older
        return found


def _made(venue: Venue, body: Body) -> Event | None:
    """The event of the same command, if it has been carried out before."""
    if isinstance(body, ListInstrument):
        listing = venue.listings.get(body.symbol)
        return listing.listed if listing is not None and listing.instrument == body else None
    if isinstance(body, OpenAccount):
        account = venue.accounts.get(body.account)
        return account.opened if account is not None else None
    if isinstance(body, NewOrderList):
        return baskets.original(venue, body)
    scope = _request_of(body)
    done = venue.requests.get(scope) if scope is not None else None
    return done.event if done is not None and not differing_field(done.request, body) else None


def _request_of(body: Body) -> tuple[str, str] | None:
    """What makes an administrative command happen once."""
    if isinstance(body, (AdjustCash, AdjustPosition, ConfigureAccount, SetLimits, ReleaseThrottle)):
        return body.account, body.request_id
    if isinstance(
        body,
        (
            ConfigureInstrument,
            DelistInstrument,
            SetFeeSchedule,
            EngageKillSwitch,
            ReleaseKillSwitch,
        ),
    ):
        return "", body.request_id
    return None


def _carry_out(venue: Venue, body: Body) -> None:
    scope = _request_of(body)
    if scope is not None:
        done = venue.requests.get(scope)
        if done is not None:
            field = differing_field(done.request, body)
            venue.refuse(Reason.CL_ORD_ID_CONFLICT, field, scope[0], scope[1])
            return
        if not scope[1]:
            venue.refuse(Reason.FIELD_MISSING, "request_id", scope[0])
            return
        _administer(venue, body)
        return
    _arrange(venue, body)


def _administer(venue: Venue, body: Body) -> None:
    """Commands that happen once by their request_id."""
    if isinstance(body, AdjustCash):
        administration.adjust_cash(venue, body)
    elif isinstance(body, AdjustPosition):
        administration.adjust_position(venue, body)
    elif isinstance(body, ConfigureAccount):
        administration.configure_account(venue, body)
    elif isinstance(body, ConfigureInstrument):
        administration.configure_instrument(venue, body)
    elif isinstance(body, SetFeeSchedule):
        administration.set_fee_schedule(venue, body)
    elif isinstance(body, SetLimits):
        administration.set_limits(venue, body)
    elif isinstance(body, EngageKillSwitch):
        cancels.engage_kill_switch(venue, body)
    elif isinstance(body, ReleaseKillSwitch):
        cancels.release_kill_switch(venue, body)
    elif isinstance(body, ReleaseThrottle):
        administration.release_throttle(venue, body)
    else:
        assert isinstance(body, DelistInstrument), "every command has its function"
        market_sessions.delist_instrument(venue, body)


def _arrange(venue: Venue, body: Body) -> None:
    """Commands that are what they are, however often they come."""
    if isinstance(body, MassCancel):
        cancels.mass_cancel(venue, body)
    elif isinstance(body, MassQuote):
        quotes.mass_quote(venue, body)
    elif isinstance(body, NewOrderList):
        baskets.new_order_list(venue, body)
    elif isinstance(body, ListInstrument):
        administration.list_instrument(venue, body)
    elif isinstance(body, OpenAccount):
        administration.open_account(venue, body)
    elif isinstance(body, CloseDay):
        time_and_sessions.close_day(venue, body)
    elif isinstance(body, OpenSession):
        time_and_sessions.open_session(venue, body)
    elif isinstance(body, RenewSession):
        time_and_sessions.renew_session(venue, body)
    elif isinstance(body, CloseSession):
        time_and_sessions.close_session(venue, body)
    elif isinstance(body, SetTradingSession):
        market_sessions.set_trading_session(venue, body)
    elif isinstance(body, SetReferencePrice):
        market_sessions.set_reference_price(venue, body)
    else:
        assert isinstance(body, TimeTick), "every command has its function"
        time_and_sessions.time_tick(venue, body)


def _state(order: Order) -> tuple[Event, int]:
    assert order.last_event is not None, "an order has at least its first event"
    return order.last_event, order.accepted_unix_ns
