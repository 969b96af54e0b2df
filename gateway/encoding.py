"""Lays out new-order commands and execution reports as protobuf bytes, without building messages.

These two are made for every order. The layouts are those of
`ordergate.matching.v1.Command` and `ordergate.orders.v1.ExecutionReport`; tests
hold them against the generated classes, field by field.
"""

import struct
from functools import lru_cache

from ordergate.orders.v1 import order_entry_pb2 as entry

from gateway.convert import report
from gateway.events import Event
from runtime.clock import NANOS_PER_SECOND
from runtime.instruments import TEXT_CACHE_MAX, Instrument, Instruments, money_text
from runtime.layout import TEXTS_MAX, nested, repeated_text, text, varint

_RECEIVED = struct.Struct("<Bq")
_NEW_ORDER = struct.Struct("<BBBBBBBqBqBB")
_REPORT = struct.Struct("<BQBQBQBQBBBBBBBBHBHBHBHQHqHqHqHqHQ")
_TRADE = struct.Struct("<HB")
_NANOS = struct.Struct("<6B")


class Envelope:
    """What all commands of one caller have in common, laid out once."""

    def __init__(self, actor: str, session_id: str, gateway_id: str) -> None:
        self.actor = actor
        self.session_id = session_id
        self.gateway_id = gateway_id
        self._head = text(b"\x0a", actor) + text(b"\x12", session_id) + text(b"\x1a", gateway_id)

    def new_order(
        self,
        received_unix_ns: int,
        account: str,
        cl_ord_id: str,
        symbol: str,
        side: int,
        ord_type: int,
        time_in_force: int,
        qty_lots: int,
        price_ticks: int,
        self_trade_prevention: int,
        decision_maker: str,
        strategy_id: str,
        extras: bytes = b"",
    ) -> bytes:
        """The bytes of a Command that places an order; every enum has been checked.

        `extras` are the encoded fields from 12 on, which plain orders do not have.
        """
        parts = [
            repeated_text(b"\x0a", account),
            text(b"\x12", cl_ord_id),
            repeated_text(b"\x1a", symbol),
            _NEW_ORDER.pack(
                0x20,
                side,
                0x28,
                ord_type,
                0x30,
                time_in_force,
                0x39,
                qty_lots,
                0x41,
                price_ticks,
                0x48,
                self_trade_prevention,
            ),
        ]
        if decision_maker:
            parts.append(repeated_text(b"\x52", decision_maker))
        if strategy_id:
            parts.append(repeated_text(b"\x5a", strategy_id))
        if extras:
            parts.append(extras)
        return self._head + _RECEIVED.pack(0x21, received_unix_ns) + nested(b"\x52", parts)


def execution_report(
    event: Event,
    instruments: Instruments,
    epoch: int,
    durable_unix_ns: int,
    sent_unix_ns: int,
    correlation_id: int,
) -> bytes:
    """The bytes of the report of an order event."""
    state, instrument = event.state, instruments.get(event.symbol)
    if state is None or instrument is None:
        made = report(event.parsed(), instruments, epoch, durable_unix_ns, correlation_id)
        made.sent_unix_ns = sent_unix_ns
        return made.SerializeToString()
    (
        seq, _, _, time_unix_ns, _,
        account_seq, order_id, exec_type, ord_status, cause, request, side, ord_type, time_in_force,
        qty_lots, price_ticks, cum_qty_lots, leaves_qty_lots, cum_value_ticks_lots, _,
    ) = state  # fmt: skip
    received_unix_ns, trade, fee_micro = event.rest()
    numbers = _REPORT.pack(
        0x09, seq,
        0x11, epoch,
        0x19, account_seq,
        0x21, account_seq - 1,
        0x58, exec_type,
        0x60, ord_status,
        0x70, cause,
        0x78, request,
        0x0188, side,
        0x0190, ord_type,
        0x0198, time_in_force,
        0x0291, seq - 1,
        0x02A1, received_unix_ns,
        0x02A9, time_unix_ns,
        0x02B1, durable_unix_ns,
        0x02B9, sent_unix_ns,
        0x02C1, correlation_id,
    )  # fmt: skip
    exec_id = text(b"\x4a", str(seq))
    parts = [
        numbers,
        repeated_text(b"\x2a", event.account),
        b"\x32", varint(len(event.cl_ord_id)), event.cl_ord_id,
        b"\x42" + exec_id[1:] if order_id == seq else text(b"\x42", str(order_id)),
        exec_id,
        _terms(instrument, qty_lots, price_ticks, cum_qty_lots, leaves_qty_lots),
        _transact_time(time_unix_ns),
    ]  # fmt: skip
    if cum_qty_lots:
        parts.append(text(b"\xd2\x01", instrument.avg_px_text(cum_value_ticks_lots, cum_qty_lots)))
    if trade is not None:
        _, trade_id, _, last_px_ticks, _, last_qty_lots, _, liquidity, _, _ = trade
        parts += (
            text(b"\xda\x01", str(trade_id)),
            repeated_text(b"\xe2\x01", instrument.price_text(last_px_ticks)),
            repeated_text(b"\xea\x01", instrument.qty_text(last_qty_lots)),
            _TRADE.pack(0x01F0, liquidity),
        )
        if fee_micro:
            parts.append(_fee(fee_micro, instrument.currency))
    return b"".join(parts)


def _terms(instrument: Instrument, qty_lots: int, price_ticks: int, cum_qty_lots: int, leaves_qty_lots: int) -> bytes:
    """The symbol, quantities and price; few different ones make up most of an instrument's flow."""
    key = (qty_lots, price_ticks, cum_qty_lots, leaves_qty_lots)
    laid_out = instrument.layouts.get(key)
    if laid_out is None:
        laid_out = text(b"\x82\x01", instrument.symbol)
        laid_out += text(b"\xa2\x01", instrument.qty_text(qty_lots))
        if price_ticks:
            laid_out += text(b"\xaa\x01", instrument.price_text(price_ticks))
        laid_out += text(b"\xc2\x01", instrument.qty_text(cum_qty_lots))
        laid_out += text(b"\xca\x01", instrument.qty_text(leaves_qty_lots))
        if len(instrument.layouts) >= TEXT_CACHE_MAX:
            instrument.layouts.clear()
        instrument.layouts[key] = laid_out
    return laid_out


@lru_cache(maxsize=TEXTS_MAX)
def _fee(fee_micro: int, currency: str) -> bytes:
    """The fee of a fill; the same quantities at the same prices cost the same."""
    return text(b"\xfa\x01", money_text(fee_micro)) + text(b"\x82\x02", currency)


def report_frame(head: entry.OrderSessionResponse, reports: list[bytes], replies: list[entry.CommandReply]) -> bytes:
    """The bytes of a session message: its head, and a frame with reports and replies."""
    parts: list[bytes] = []
    for made in reports:
        parts += (b"\x0a", varint(len(made)), made)
    for reply in replies:
        parts.append(nested(b"\x12", [reply.SerializeToString()]))
    return head.SerializeToString() + nested(b"\x32", parts)


@lru_cache(maxsize=4)
def _seconds(seconds: int) -> bytes:
    return b"\x08" + varint(seconds)


@lru_cache(maxsize=16)
def _transact_time(unix_ns: int) -> bytes:
    """Field 35, a Timestamp, the same for all events of a command.

    Its nanos are a varint of five bytes whatever their value: one pack writes them.
    """
    seconds, nanos = divmod(unix_ns, NANOS_PER_SECOND)
    head = _seconds(seconds)
    tail = _NANOS.pack(
        0x10,
        nanos & 0x7F | 0x80,
        nanos >> 7 & 0x7F | 0x80,
        nanos >> 14 & 0x7F | 0x80,
        nanos >> 21 & 0x7F | 0x80,
        nanos >> 28,
    )
    return b"".join((b"\x9a\x02", varint(len(head) + _NANOS.size), head, tail))
