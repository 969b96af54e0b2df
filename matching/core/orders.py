"""The state of an order while the core holds it, and of the lists that tie orders together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import mypyc_attr

from matching.core.words import ContingencyType, OrdStatus, OrdType, Side

if TYPE_CHECKING:
    from matching.core.commands import NewOrder
    from matching.core.events import Event
    from matching.core.ledger import Account, Position
    from matching.core.venue import Listing


class Stage:
    """Where an order is."""

    WAITS_PARENT: Final = 1
    WAITS_TRIGGER: Final = 2
    IN_LINE: Final = 3
    """Triggered or released by its parent, behind other work of the same command."""
    WORKING: Final = 4
    """Being matched; it rests next, or ends."""
    RESTING: Final = 5
    ENDED: Final = 6


@mypyc_attr(acyclic=True)
class Order:
    """One order. While it is open, `cum_qty_lots + leaves_qty_lots` is the ordered quantity.

    `price_ticks` is 0 for one that takes any price. `held_micro`, `held_lots` and
    `counted_micro` are what it holds and counts for while it rests.
    """

    def __init__(
        self,
        order_id: int,
        account: Account,
        listing: Listing,
        position: Position,
        terms: NewOrder,
        session_id: str,
        accepted_unix_ns: int,
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.listing = listing
        self.position = position
        self.terms = terms
        self.session_id = session_id
        self.accepted_unix_ns = accepted_unix_ns
        self.cl_ord_id = terms.cl_ord_id
        self.is_buy = terms.side == Side.BUY
        self.is_short = terms.side == Side.SELL_SHORT
        self.reduce_only = terms.reduce_only
        self.qty_lots = terms.qty_lots
        self.price_ticks = terms.price_ticks
        self.stop_px_ticks = terms.stop_px_ticks
        self.display_qty_lots = terms.display_qty_lots
        self.shown_qty_lots = 0
        self.cum_qty_lots = 0
        self.leaves_qty_lots = terms.qty_lots
        self.cum_value_ticks_lots = 0
        self.status: int = OrdStatus.NEW
        self.stage: int = Stage.WORKING
        self.is_triggered = False
        self.is_quote = False
        self.arrival = 0
        self.held_micro = 0
        self.held_lots = 0
        self.counted_micro = 0
        self.keys_kept = 0
        self.late_keys: list[str] | None = None
        self.order_list: OrderList | None = None
        self.last_event: Event | None = None
        self.older: Order | None = None
        self.newer: Order | None = None
        """The account's orders before and after it."""
        self.level_before: Order | None = None
        self.level_after: Order | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.stage != Stage.ENDED

    @property
    def has_trigger(self) -> bool:
        """Whether it is a stop that has not been triggered."""
        return self.terms.ord_type >= OrdType.STOP and not self.is_triggered


def id_of(order: Order) -> int:
    """What orders are sorted by wherever many are at stake."""
    return order.order_id


@mypyc_attr(acyclic=True)
class OrderList:
    """Orders of an account that depend on each other; `legs` has the open and the ended ones."""

    def __init__(self, list_id: str, contingency_type: int) -> None:
        self.list_id = list_id
        self.contingency_type = contingency_type
        self.legs: dict[int, Order] = {}
        self.is_decided = False
        """Whether one leg of the OCO has traded, was triggered or has ended."""

    def rival(self, order: Order) -> Order | None:
        """The other leg of the OCO that an order is a leg of."""
        leg = order.terms.leg
        if self.contingency_type == ContingencyType.OCO:
            return self.legs.get(3 - leg)
        if self.contingency_type == ContingencyType.OTOCO and leg > 1:
            return self.legs.get(5 - leg)
        return None

    def is_rivalry(self, leg: int) -> bool:
        """Whether a leg is one of an OCO."""
        return self.contingency_type == ContingencyType.OCO or (
            self.contingency_type == ContingencyType.OTOCO and leg > 1
        )
