"""All state of the venue, and the writing of events.

Only the functions of `trading` and `administration` change it, one command at a
time, between `begin` and the next `begin`.
"""

from matching.core.book import Book
from matching.core.commands import NewOrder
from matching.core.events import Event, InstrumentListed, OrderEvent, OrderTerms, RiskNumbers
from matching.core.ledger import Account
from matching.core.orders import Order
from matching.core.words import Cause, ExecType, Liquidity, OrdStatus, Reason, RequestKind

NO_TERMS = OrderTerms(account="")


class Listing:
    """A listed instrument with its book; one tick on one lot is worth `micro_per_tick_lot`.

    `lots` is what all accounts own of it together: trades do not change it.
    """

    __slots__ = ("book", "instrument", "listed", "lots", "micro_per_tick_lot")

    def __init__(self, listed: InstrumentListed, micro_per_tick_lot: int) -> None:
        self.listed = listed
        self.instrument = listed.instrument
        self.micro_per_tick_lot = micro_per_tick_lot
        self.lots = 0
        self.book = Book()


class Venue:
    """Listings, accounts and orders; the sequence; and the events of the running command."""

    def __init__(self) -> None:
        self.seq = 0
        self.time_unix_ns = 0
        self.listings: dict[str, Listing] = {}
        self.accounts: dict[str, Account] = {}
        self.orders: dict[int, Order] = {}
        self.money_micro: dict[str, int] = {}
        self.last_closed_day = 0
        self.events: list[Event] = []
        self.command_seq = 0
        self.actor = ""
        self.received_unix_ns = 0

    def begin(self, now_unix_ns: int, actor: str, received_unix_ns: int) -> None:
        """Starts a command. Time must go forward: an assertion here is a bug of the sequencer."""
        assert now_unix_ns > self.time_unix_ns, "engine time must grow"
        self.time_unix_ns = now_unix_ns
        self.events = []
        self.command_seq = self.seq + 1
        self.actor = actor
        self.received_unix_ns = received_unix_ns

    def stamp(self) -> tuple[int, int, int]:
        """The next event's `seq`, and its `command_seq` and `time_unix_ns`."""
        self.seq += 1
        return self.seq, self.command_seq, self.time_unix_ns

    def tell(
        self,
        order: Order,
        exec_type: ExecType,
        cause: Cause,
        request: RequestKind = RequestKind.NONE,
        cl_ord_id: str = "",
        orig_cl_ord_id: str = "",
        reason: Reason = Reason.NONE,
        field: str = "",
        risk: RiskNumbers | None = None,
    ) -> OrderEvent:
        """Writes an event of an order that is in the venue, with its present state."""
        account = order.account
        account.account_seq += 1
        self.seq = seq = self.seq + 1
        asked = request is not RequestKind.NONE
        event = OrderEvent(
            seq,
            self.command_seq,
            self.time_unix_ns,
            order.terms,
            account.account_seq,
            cl_ord_id or order.cl_ord_id,
            exec_type,
            order.status,
            cause,
            request,
            order.order_id,
            order.qty_lots,
            order.price_ticks,
            order.cum_qty_lots,
            order.leaves_qty_lots,
            order.cum_value_ticks_lots,
            self.received_unix_ns if asked else 0,
            self.actor if asked else "",
            orig_cl_ord_id,
            reason,
            field,
            risk,
        )
        self.events.append(event)
        if exec_type is not ExecType.REJECTED and exec_type is not ExecType.DENIED:
            order.last_event = event
        return event

    def tell_trade(
        self, order: Order, trade_id: int, price_ticks: int, qty_lots: int, liquidity: Liquidity, contra: Order
    ) -> None:
        """Writes one side of a trade."""
        account = order.account
        account.account_seq += 1
        self.seq = seq = self.seq + 1
        event = OrderEvent(
            seq,
            self.command_seq,
            self.time_unix_ns,
            order.terms,
            account.account_seq,
            order.cl_ord_id,
            ExecType.TRADE,
            order.status,
            Cause.TRADE,
            RequestKind.NONE,
            order.order_id,
            order.qty_lots,
            order.price_ticks,
            order.cum_qty_lots,
            order.leaves_qty_lots,
            order.cum_value_ticks_lots,
            trade_id=trade_id,
            last_px_ticks=price_ticks,
            last_qty_lots=qty_lots,
            liquidity=liquidity,
            contra_order_id=contra.order_id,
        )
        self.events.append(event)
        order.last_event = event

    def tell_refused(
        self,
        account: Account | None,
        terms: OrderTerms,
        cl_ord_id: str,
        exec_type: ExecType,
        request: RequestKind,
        reason: Reason,
        orig_cl_ord_id: str = "",
        field: str = "",
        risk: RiskNumbers | None = None,
        qty_lots: int = 0,
        price_ticks: int = 0,
    ) -> OrderEvent:
        """Writes the refusal of a request that is about no order of the venue."""
        account_seq = 0
        if account is not None:
            account.account_seq = account_seq = account.account_seq + 1
        seq, command_seq, time_unix_ns = self.stamp()
        event = OrderEvent(
            seq,
            command_seq,
            time_unix_ns,
            terms,
            account_seq,
            cl_ord_id,
            exec_type,
            OrdStatus.REJECTED,
            Cause.CLIENT,
            request,
            qty_lots=qty_lots,
            price_ticks=price_ticks,
            received_unix_ns=self.received_unix_ns,
            actor=self.actor,
            orig_cl_ord_id=orig_cl_ord_id,
            reason=reason,
            field=field,
            risk=risk,
        )
        self.events.append(event)
        return event


def terms_of(command: NewOrder) -> OrderTerms:
    """The unchanging terms of the order that a command asks for."""
    return OrderTerms(
        command.account,
        command.symbol,
        command.side,
        command.ord_type,
        command.time_in_force,
        command.self_trade_prevention,
        command.decision_maker,
        command.strategy_id,
    )
