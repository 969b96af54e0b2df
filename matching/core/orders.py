"""The state of an order while the core holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matching.core.words import OrdStatus, Side

if TYPE_CHECKING:
    from matching.core.events import Event, OrderTerms
    from matching.core.ledger import Account
    from matching.core.venue import Listing


class Order:
    """One order. While it is open, `cum_qty_lots + leaves_qty_lots` is the ordered quantity."""

    __slots__ = (
        "accepted_unix_ns",
        "account",
        "cl_ord_id",
        "cum_qty_lots",
        "cum_value_ticks_lots",
        "is_buy",
        "last_event",
        "leaves_qty_lots",
        "listing",
        "order_id",
        "price_ticks",
        "qty_lots",
        "status",
        "terms",
    )

    def __init__(
        self,
        order_id: int,
        account: Account,
        listing: Listing,
        terms: OrderTerms,
        cl_ord_id: str,
        qty_lots: int,
        price_ticks: int,
        accepted_unix_ns: int,
    ) -> None:
        self.order_id = order_id
        self.account = account
        self.listing = listing
        self.terms = terms
        self.cl_ord_id = cl_ord_id
        self.is_buy = terms.side == Side.BUY
        self.qty_lots = qty_lots
        self.price_ticks = price_ticks
        self.cum_qty_lots = 0
        self.leaves_qty_lots = qty_lots
        self.cum_value_ticks_lots = 0
        self.status = OrdStatus.NEW
        self.accepted_unix_ns = accepted_unix_ns
        self.last_event: Event | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can still trade."""
        return self.leaves_qty_lots > 0
