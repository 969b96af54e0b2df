"""All state of the venue, and the writing of events.

Only the functions of this package change it, one command at a time, between
`begin` and the next `begin`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from matching.core.book import Book
from matching.core.events import Event, OrderEvent, RiskNumbers, VenueEvent
from matching.core.triggers import Watch
from matching.core.words import Cause, ExecType, OrdStatus, RequestKind, TradingSession

if TYPE_CHECKING:
    from matching.core.commands import Limits, ListInstrument, NewOrder
    from matching.core.keys import Done
    from matching.core.ledger import Account, FeeSchedule, Position
    from matching.core.orders import Order

BPS: Final = 10_000
MARKET_COLLAR_BPS: Final = 1_000
"""How far a market order goes from the best price at first."""


class Listing:
    """A listed instrument with its book; one tick on one lot is worth `micro_per_tick_lot`.

    `lots` is what all accounts own of it together: trades do not change it.
    """

    def __init__(self, instrument: ListInstrument, micro_per_tick_lot: int, listed: Event) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.listed = listed
        self.micro_per_tick_lot = micro_per_tick_lot
        self.base_micro_per_lot = 0
        """For a currency pair: one lot in 10^-6 of the base currency."""
        self.strike_micro_per_lot = 0
        """For an option: the strike value of one lot."""
        self.lots = 0
        self.book = Book()
        self.trading_session: int = instrument.trading_session or TradingSession.CONTINUOUS
        self.is_delisted = False
        self.is_killed = False
        self.reference_ticks = 0
        self.reference_unix_ns = 0
        self.last_ticks = 0
        self.band_ticks = 0
        """The newest of reference and auction price: the middle of the price band."""
        self.market_collar_bps: int = MARKET_COLLAR_BPS
        self.price_band_bps = 0
        self.first_print_ticks = 0
        """First trade of the order at work; 0 while it has not traded."""
        self.last_watch = Watch()
        self.touch_watch = Watch()
        self.mark_watch = Watch()
        self.arrivals = 0
        self.holders: list[Position] = []
        """What accounts have in it."""

    def collar_ticks(self, is_buy: bool) -> int:
        """The worst price of a market order in that direction; 0 when there is nothing to trade with."""
        best_ticks = self.book.opposite(is_buy).best_ticks()
        if not best_ticks:
            return 0
        if is_buy:
            return best_ticks * (BPS + self.market_collar_bps) // BPS
        return max(1, -(-best_ticks * (BPS - self.market_collar_bps) // BPS))

    def worst_ticks(self, is_buy: bool) -> int:
        """The price that values an order without one: the collar of a purchase, the best bid for a sale; 0 for none."""
        return self.collar_ticks(is_buy) if is_buy else self.book.bids.best_ticks()

    def mark_ticks(self) -> int:
        """The price that positions are valued at; 0 for none."""
        return self.reference_ticks or self.last_ticks


class ClientSession:
    """A client's session, as far as the venue ends orders with it."""

    def __init__(self, session_id: str, gateway_id: str, cancel_on_disconnect: bool, dead_man_ns: int) -> None:
        self.session_id = session_id
        self.gateway_id = gateway_id
        self.cancel_on_disconnect = cancel_on_disconnect
        self.dead_man_ns = dead_man_ns
        self.due_unix_ns = 0
        """When the dead-man timer fires; 0 while it rests."""
        self.orders: dict[int, Order] = {}


class Venue:
    """Listings, accounts and orders; the sequence; and the events of the running command."""

    def __init__(self, keys_max: int, requests_max: int) -> None:
        self.keys_max = keys_max
        self.requests_max = requests_max
        self.seq = 0
        self.time_unix_ns = 0
        self.listings: dict[str, Listing] = {}
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, Order] = {}
        self.sessions: dict[str, ClientSession] = {}
        self.fee_schedules: dict[str, FeeSchedule] = {}
        self.money_micro: dict[str, int] = {}
        self.fees_micro: dict[str, int] = {}
        """The venue's own pot, by currency."""
        self.limits: dict[tuple[str, str], Limits] = {}
        self.limits_version = 0
        self.is_killed = False
        self.killed_sessions: dict[str, bool] = {}
        self.requests: dict[tuple[str, str], Done] = {}
        self.request_line: deque[tuple[str, str]] = deque()
        self.expiries: list[tuple[int, int]] = []
        """(expire_unix_ns, order_id) of open GTD orders, in order."""
        self.due_unix_ns = 0
        """When the next expiry or timer is due; 0 for never. May be early, is never late."""
        self.last_closed_day = 0
        self.touch_watched: dict[str, Listing] = {}
        self.line: list[Order] = []
        """Orders that come to their turn in the running command."""
        self.newly_throttled: list[Position] = []
        self.events: list[Event] = []
        self.command_seq = 0
        self.actor = ""
        self.session_id = ""
        self.received_unix_ns = 0

    def begin(self, now_unix_ns: int, actor: str, received_unix_ns: int, session_id: str) -> None:
        """Starts a command. Time must go forward: an assertion here is a bug of the sequencer."""
        assert now_unix_ns > self.time_unix_ns, "engine time must grow"
        self.time_unix_ns = now_unix_ns
        self.events = []
        self.command_seq = self.seq + 1
        self.actor = actor
        self.session_id = session_id
        self.received_unix_ns = received_unix_ns

    def tell(self, order: Order, exec_type: int, cause: int, request: int = RequestKind.NONE) -> OrderEvent:
        """Writes an event of an order that is in the venue, with its present state."""
        account = order.account
        account.account_seq += 1
        self.seq += 1
        event = OrderEvent(
            self.seq,
            self.command_seq,
            self.time_unix_ns,
            "",
            order.terms,
            account.account_seq,
            order.cl_ord_id,
            exec_type,
            order.status,
            cause,
            request,
        )
        event.order_id = order.order_id
        event.qty_lots = order.qty_lots
        event.price_ticks = order.price_ticks
        event.stop_px_ticks = order.stop_px_ticks
        event.display_qty_lots = order.display_qty_lots
        event.shown_qty_lots = order.shown_qty_lots
        event.cum_qty_lots = order.cum_qty_lots
        event.leaves_qty_lots = order.leaves_qty_lots
        event.cum_value_ticks_lots = order.cum_value_ticks_lots
        if request:
            self._ask(event)
        if exec_type not in (ExecType.REJECTED, ExecType.DENIED):
            order.last_event = event
        self.events.append(event)
        return event

    def tell_ended(self, order: Order, exec_type: int, cause: int, reason: int) -> OrderEvent:
        """Writes the end, or a change, that nobody has asked for."""
        event = self.tell(order, exec_type, cause)
        event.reason = reason
        return event

    def tell_refused(
        self,
        account: Account | None,
        terms: NewOrder,
        cl_ord_id: str,
        exec_type: int,
        request: int,
        reason: int,
        field: str = "",
        risk: RiskNumbers | None = None,
    ) -> OrderEvent:
        """Writes the refusal of a request that is about no order of the venue."""
        account_seq = 0
        if account is not None:
            account.account_seq = account_seq = account.account_seq + 1
        self.seq += 1
        event = OrderEvent(
            self.seq,
            self.command_seq,
            self.time_unix_ns,
            "",
            terms,
            account_seq,
            cl_ord_id,
            exec_type,
            OrdStatus.REJECTED,
            Cause.CLIENT,
            request,
        )
        event.qty_lots = terms.qty_lots
        event.price_ticks = terms.price_ticks
        event.stop_px_ticks = terms.stop_px_ticks
        event.display_qty_lots = terms.display_qty_lots
        event.reason = reason
        event.field = field
        event.risk = risk
        self._ask(event)
        self.events.append(event)
        return event

    def say(self, name: str, fields: dict[str, object]) -> VenueEvent:
        """Writes an event that is not of one order."""
        self.seq += 1
        event = VenueEvent(self.seq, self.command_seq, self.time_unix_ns, self.actor, name, fields)
        self.events.append(event)
        return event

    def refuse(self, reason: int, field: str = "", account: str = "", request_id: str = "") -> VenueEvent:
        """Writes the refusal of a command that is not about one order."""
        fields: dict[str, object] = {"account": account, "reason": reason, "field": field, "request_id": request_id}
        return self.say("command_refused", fields)

    def due_at(self, unix_ns: int) -> None:
        """Notes that something is due at a time."""
        if not self.due_unix_ns or unix_ns < self.due_unix_ns:
            self.due_unix_ns = unix_ns

    def _ask(self, event: OrderEvent) -> None:
        """Whose request an event answers."""
        event.actor = self.actor
        event.received_unix_ns = self.received_unix_ns
        event.session_id = self.session_id
