"""Admission: a request becomes a command, or is refused with the field at fault.

Decimals become ticks and lots here, once. Everything a client can get wrong in
the shape of a request is found here; what depends on the state of the venue is
left to the core.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import uuid4

from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.encoding import Envelope
from gateway.shape import PLAIN_KINDS, PRICED, Kind, extras, is_plain
from runtime.errors import Refused
from runtime.instruments import Instrument, Instruments, parse_positive_nano

CL_ORD_ID = re.compile(r"[A-Za-z0-9_.:-]{1,36}")
ORDER_ID = re.compile(r"[1-9][0-9]{0,18}")
LABEL = re.compile(r"[\x21-\x7e]{0,36}")
ORDER_ID_MAX = 2**63 - 1
NANO_MAX = 2**63 - 1
REPLACEABLE = ("qty", "price", "stop_px", "display_qty")
ENVELOPES_MAX = 4_096
BASKET_ORDERS_MAX = 256
QUOTE_ENTRIES_MAX = 256


class Basket(NamedTuple):
    """A basket's orders, those that are well formed as commands of their own and all of these as one."""

    whole: bytes
    """The command that places them all; empty when none is well formed."""
    commands: dict[int, bytes]
    """By their place in the request: the commands that would place each alone."""
    refused: dict[int, Refused]
    """By their place in the request: why the others are not sent."""


class Admission:
    """Turns requests of one gateway into encoded commands."""

    def __init__(self, instruments: Instruments, gateway_id: str) -> None:
        self._instruments = instruments
        self._gateway_id = gateway_id

    def envelope(self, actor: str, session_id: str = "") -> Envelope:
        """What all commands of one caller have in common."""
        return _envelope(actor, session_id, self._gateway_id)

    def new_order(self, order: orders.OrderTerms, envelope: Envelope, received_unix_ns: int) -> bytes:
        """The command that places an order.

        Raises:
            Refused: SHAPE reasons, with the field.
        """
        check_key(order.cl_ord_id, "cl_ord_id")
        instrument = self._instruments.require(order.symbol)
        side, ord_type = order.side, order.ord_type
        time_in_force = order.time_in_force or types.TIME_IN_FORCE_DAY
        prevention = order.self_trade_prevention or types.SELF_TRADE_PREVENTION_CANCEL_NEWEST
        plain = (side, ord_type, time_in_force, prevention) in PLAIN_KINDS
        if not plain:
            _check_kind(Kind(side, ord_type, time_in_force, prevention))
        qty_lots = instrument.lots(order.qty, "qty")
        more = b""
        if not (plain and is_plain(order)):
            more = _extras(order, Kind(side, ord_type, time_in_force, prevention), qty_lots, instrument)
        return envelope.new_order(
            received_unix_ns,
            order.account,
            order.cl_ord_id,
            order.symbol,
            side,
            ord_type,
            time_in_force,
            qty_lots,
            _price(order, instrument),
            prevention,
            _label(order.decision_maker, "decision_maker"),
            _label(order.strategy_id, "strategy_id"),
            more,
        )

    def basket(self, request: entry.SubmitOrdersRequest, envelope: Envelope, received_unix_ns: int) -> Basket:
        """The command that places several orders; an order that is wrongly formed is left out, with its reason.

        Raises:
            Refused: it has no orders, or too many.
        """
        _check_count(len(request.orders), BASKET_ORDERS_MAX, "orders")
        commands: dict[int, bytes] = {}
        refused: dict[int, Refused] = {}
        keys: set[str] = set()
        for i, order in enumerate(request.orders):
            try:
                _bind_to_basket(order, request.account, keys)
                commands[i] = self.new_order(order, envelope, received_unix_ns)
            except Refused as error:
                refused[i] = _within(f"orders[{i}].", error)
        if not commands:
            return Basket(b"", commands, refused)
        placed = [wire.Command.FromString(command).new_order for command in commands.values()]
        body = wire.NewOrderList(account=request.account, orders=placed)
        return Basket(_command(envelope, received_unix_ns, new_order_list=body), commands, refused)

    def replace_order(self, request: entry.ReplaceOrderRequest, envelope: Envelope, received_unix_ns: int) -> bytes:
        """The command that changes an order; the core holds the new values against the order's tick and lot.

        Raises:
            Refused: SHAPE reasons, with the field.
        """
        check_key(request.cl_ord_id, "cl_ord_id")
        if not any(getattr(request, field) for field in REPLACEABLE):
            text = f"none of {', '.join(REPLACEABLE)} is given"
            raise Refused(types.REASON_NOTHING_TO_REPLACE, text, field="qty")
        body = wire.ReplaceOrder(
            account=request.account,
            cl_ord_id=request.cl_ord_id,
            order_id=order_id_of(request.order_id) if request.order_id else 0,
            orig_cl_ord_id=_reference(request),
            qty_nano=_nano(request.qty, "qty"),
            price_nano=_nano(request.price, "price"),
            stop_px_nano=_nano(request.stop_px, "stop_px"),
            display_qty_nano=_nano(request.display_qty, "display_qty"),
        )
        return _command(envelope, received_unix_ns, replace_order=body)

    def cancel_order(self, request: entry.CancelOrderRequest, envelope: Envelope, received_unix_ns: int) -> bytes:
        """The command that cancels an order.

        Raises:
            Refused: SHAPE reasons, with the field.
        """
        if request.cl_ord_id:
            check_key(request.cl_ord_id, "cl_ord_id")
        body = wire.CancelOrder(
            account=request.account,
            cl_ord_id=request.cl_ord_id,
            order_id=order_id_of(request.order_id) if request.order_id else 0,
            orig_cl_ord_id=_reference(request),
        )
        return _command(envelope, received_unix_ns, cancel_order=body)

    def mass_cancel(self, request: entry.MassCancelOrdersRequest, envelope: Envelope, received_unix_ns: int) -> bytes:
        """The command that cancels an account's open orders that match every given filter.

        Raises:
            Refused: SHAPE reasons, with the field.
        """
        if request.cl_ord_id:
            check_key(request.cl_ord_id, "cl_ord_id")
        if request.symbol:
            self._instruments.require(request.symbol)
        if request.side not in types.Side.values():
            raise Refused(types.REASON_ENUM_UNKNOWN, f"side {request.side} is not known", field="side")
        _check_scope(request)
        # A key even where the client gives none: what the link sends again must not cancel what came in between.
        key = request.cl_ord_id or f"mc-{uuid4().hex}"
        body = wire.MassCancel(account=request.account, cl_ord_id=key, symbol=request.symbol, side=request.side)
        return _command(envelope, received_unix_ns, mass_cancel=body)

    def mass_quote(
        self,
        account: str,
        quote_id: str,
        entries: Sequence[orders.QuoteEntry | orders.QuoteTerms],
        envelope: Envelope,
        received_unix_ns: int,
    ) -> bytes:
        """The command that replaces an account's standing quotes.

        Raises:
            Refused: SHAPE reasons, with the field; that of an entry among several names its place, `entries[1].bid_px`.
        """
        check_key(quote_id, "quote_id")
        _check_count(len(entries), QUOTE_ENTRIES_MAX, "entries")
        quotes = [self._quote(one, f"entries[{i}]." if _is_entry(one) else "") for i, one in enumerate(entries)]
        body = wire.MassQuote(account=account, quote_id=quote_id, entries=quotes)
        return _command(envelope, received_unix_ns, mass_quote=body)

    def _quote(self, one: orders.QuoteEntry | orders.QuoteTerms, path: str) -> wire.QuoteEntry:
        """That bid and ask do not cross is the core's to say: it refuses the one entry and goes on."""
        try:
            instrument = self._instruments.require(one.symbol)
            bid_px_ticks, bid_qty_lots = _quoted_side(one.bid_px, one.bid_qty, instrument, "bid")
            ask_px_ticks, ask_qty_lots = _quoted_side(one.ask_px, one.ask_qty, instrument, "ask")
        except Refused as error:
            raise _within(path, error) from None
        return wire.QuoteEntry(
            symbol=one.symbol,
            bid_px_ticks=bid_px_ticks,
            bid_qty_lots=bid_qty_lots,
            ask_px_ticks=ask_px_ticks,
            ask_qty_lots=ask_qty_lots,
        )


@lru_cache(maxsize=ENVELOPES_MAX)
def _envelope(actor: str, session_id: str, gateway_id: str) -> Envelope:
    """Laid out once for many unary calls."""
    return Envelope(actor, session_id, gateway_id)


def _check_scope(request: entry.MassCancelOrdersRequest) -> None:
    """Makes sure that whoever cancels everything means it."""
    is_filtered = bool(request.symbol or request.side)
    if is_filtered and request.all_orders:
        raise Refused(types.REASON_FIELDS_CONFLICT, "all_orders goes with no filter", field="all_orders")
    if not is_filtered and not request.all_orders:
        text = "give a symbol, a side, or all_orders to cancel everything"
        raise Refused(types.REASON_FIELD_MISSING, text, field="all_orders")


def _command(envelope: Envelope, received_unix_ns: int, **body: Any) -> bytes:
    command = wire.Command(
        actor=envelope.actor,
        session_id=envelope.session_id,
        gateway_id=envelope.gateway_id,
        received_unix_ns=received_unix_ns,
        **body,
    )
    return command.SerializeToString()


def _is_entry(one: orders.QuoteEntry | orders.QuoteTerms) -> bool:
    return isinstance(one, orders.QuoteEntry)


def _quoted_side(px: str, qty: str, instrument: Instrument, side: str) -> tuple[int, int]:
    """Ticks and lots of one side of a quote; zeros where it has no price."""
    if not px:
        if qty:
            text = f"{side}_qty without {side}_px: a side without a price is withdrawn"
            raise Refused(types.REASON_FIELDS_CONFLICT, text, field=f"{side}_qty")
        return 0, 0
    return instrument.ticks(px, f"{side}_px"), instrument.lots(qty, f"{side}_qty")


def _bind_to_basket(order: orders.OrderTerms, account: str, keys: set[str]) -> None:
    """Gives an order its basket's account, and makes sure that its key stands in the basket once.

    Two answers to one key could not be told apart.
    """
    if order.account and order.account != account:
        text = f"the basket is of account {account}"
        raise Refused(types.REASON_FIELDS_CONFLICT, text, field="account")
    order.account = account
    if order.cl_ord_id in keys:
        text = "the basket has an order with this cl_ord_id already"
        raise Refused(types.REASON_FIELDS_CONFLICT, text, field="cl_ord_id")
    if order.cl_ord_id:
        keys.add(order.cl_ord_id)


def _check_count(given: int, most: int, field: str) -> None:
    if not given:
        raise Refused(types.REASON_FIELD_MISSING, f"{field} is empty", field=field)
    if given > most:
        text = f"at most {most} {field} go together, not {given}"
        raise Refused(types.REASON_MESSAGE_TOO_LARGE, text, field=field, metadata={"max": str(most)})


def _within(path: str, refused: Refused) -> Refused:
    """The refusal with the place of the part that is at fault."""
    field = f"{path}{refused.field}" if refused.field else path.rstrip(".")
    return Refused(
        refused.reason, refused.text, field=field, metadata=refused.metadata, retry_after_s=refused.retry_after_s
    )


def order_id_of(text: str) -> int:
    """The number behind a venue's order id.

    Raises:
        Refused: it is not one that this venue can have given.
    """
    if ORDER_ID.fullmatch(text) is None or int(text) > ORDER_ID_MAX:
        raise Refused(types.REASON_FIELD_INVALID, "order_id is not an id of this venue", field="order_id")
    return int(text)


def check_key(key: str, field: str) -> None:
    """Holds a client's key against its form.

    Raises:
        Refused: it is missing or has another form.
    """
    if not key:
        raise Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)
    if CL_ORD_ID.fullmatch(key) is None:
        text = f"{field} must match ^{CL_ORD_ID.pattern}$"
        raise Refused(types.REASON_FIELD_INVALID, text, field=field)


def _nano(text: str, field: str) -> int:
    """A new value in units of 10^-9; 0 when it is not given."""
    if not text:
        return 0
    value = parse_positive_nano(text, field)
    if value > NANO_MAX:
        raise Refused(types.REASON_VALUE_TOO_LARGE, f"{field} {text} is too large", field=field)
    return value


def _reference(request: entry.ReplaceOrderRequest | entry.CancelOrderRequest) -> str:
    """The client's key of the order that a request is about; empty when it gives the venue's id."""
    if request.order_id:
        return ""
    check_key(request.orig_cl_ord_id, "orig_cl_ord_id")
    return request.orig_cl_ord_id


def _label(text: str, field: str) -> str:
    if text and LABEL.fullmatch(text) is None:
        text = f"{field} has at most 36 visible ASCII characters"
        raise Refused(types.REASON_FIELD_INVALID, text, field=field)
    return text


def _check_kind(kind: Kind) -> None:
    """Makes sure that every enum has a value of the contract.

    Raises:
        Refused: one is missing, or has a value that this version does not know.
    """
    enums = (types.Side, types.OrdType, types.TimeInForce, types.SelfTradePrevention)
    for field, value, enum in zip(Kind._fields, kind, enums, strict=True):
        if not value:
            raise Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)
        if value not in enum.values():
            raise Refused(types.REASON_ENUM_UNKNOWN, f"{field} {value} is not known", field=field)


def _extras(order: orders.OrderTerms, kind: Kind, qty_lots: int, instrument: Instrument) -> bytes:
    """The encoded fields that plain orders do not have."""
    made = extras(order, kind, qty_lots, instrument)
    if made.list_id:
        check_key(made.list_id, "contingency.list_id")
    return made.SerializeToString()


def _price(order: orders.OrderTerms, instrument: Instrument) -> int:
    if order.ord_type in PRICED:
        return instrument.ticks(order.price, "price")
    if order.price:
        raise Refused(types.REASON_FIELDS_CONFLICT, "only LIMIT and STOP_LIMIT have a price", field="price")
    return 0
