"""Events: what the core says has happened, as values that nobody changes once their command is done.

`seq` is dense over all events, from 1; the events of one command follow each
other, and `command_seq` is the first one's.
"""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from matching.core.commands import NewOrder


@mypyc_attr(acyclic=True)
class Event:
    """What every event has."""

    def __init__(self, seq: int, command_seq: int, time_unix_ns: int, actor: str) -> None:
        self.seq = seq
        self.command_seq = command_seq
        self.time_unix_ns = time_unix_ns
        self.actor = actor


@mypyc_attr(acyclic=True)
class RiskNumbers:
    """The numbers of a denial: refused because `projected` is beyond `limit`."""

    def __init__(self, rule: str, unit: int, limit: int, current: int, projected: int, limits_version: int = 0) -> None:
        self.rule = rule
        self.unit = unit
        self.limit = limit
        self.current = current
        self.projected = projected
        self.limits_version = limits_version


@mypyc_attr(acyclic=True)
class OrderEvent(Event):
    """One event in the life of an order, with the order's state after it.

    `terms` holds what never changes. What only fills, refusals or waiting orders
    have is set after construction.
    """

    def __init__(
        self,
        seq: int,
        command_seq: int,
        time_unix_ns: int,
        actor: str,
        terms: NewOrder,
        account_seq: int,
        cl_ord_id: str,
        exec_type: int,
        ord_status: int,
        cause: int,
        request: int,
    ) -> None:
        self.seq = seq
        self.command_seq = command_seq
        self.time_unix_ns = time_unix_ns
        self.actor = actor
        self.terms = terms
        self.account_seq = account_seq
        self.cl_ord_id = cl_ord_id
        self.exec_type = exec_type
        self.ord_status = ord_status
        self.cause = cause
        self.request = request
        self.order_id = 0
        self.qty_lots = 0
        self.price_ticks = 0
        self.stop_px_ticks = 0
        self.display_qty_lots = 0
        self.shown_qty_lots = 0
        self.cum_qty_lots = 0
        self.leaves_qty_lots = 0
        self.cum_value_ticks_lots = 0
        self.received_unix_ns = 0
        self.session_id = ""
        self.orig_cl_ord_id = ""
        self.reason = 0
        self.field = ""
        self.risk: RiskNumbers | None = None
        self.trade_id = 0
        self.last_px_ticks = 0
        self.last_qty_lots = 0
        self.liquidity = 0
        self.contra_order_id = 0
        self.fee_micro = 0


@mypyc_attr(acyclic=True)
class VenueEvent(Event):
    """A change that is not of one order.

    `name` is the field of `ordergate.matching.v1.Event` that holds it, `fields`
    are those of its message; a test holds both against the contract.
    """

    def __init__(
        self, seq: int, command_seq: int, time_unix_ns: int, actor: str, name: str, fields: dict[str, object]
    ) -> None:
        super().__init__(seq, command_seq, time_unix_ns, actor)
        self.name = name
        self.fields = fields


@mypyc_attr(acyclic=True)
class EncodedEvent(Event):
    """An event of the past that a snapshot brought along as the bytes it has in the journal."""

    def __init__(self, seq: int, command_seq: int, time_unix_ns: int, data: bytes) -> None:
        super().__init__(seq, command_seq, time_unix_ns, "")
        self.data = data


@mypyc_attr(acyclic=True)
class Replay:
    """The answer to a repeated request: its original first event. Nothing changed, nothing is journaled."""

    def __init__(self, original: Event) -> None:
        self.original = original
