"""Events read in place: what the gateway finds in the bytes is what the generated class reads, whatever they hold.

The bytes are put together here in the order that `runtime.event_layout` gives.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import report
from gateway.encoding import execution_report
from gateway.events import Event
from runtime.event_layout import (
    BODY_STATE_BYTES,
    FEE,
    FEE_TAG,
    REQUEST,
    REQUEST_TAG,
    STATE,
    STATE_TAGS,
    TRADE,
    TRADE_TAGS,
    body_length,
)
from runtime.instruments import Instruments
from runtime.layout import text, varint
from tests.unit.gateway.conftest import COIN, PAIR, SHARE

SEQS = st.integers(1, 2**62)
LOTS = st.integers(0, 10**12)
KEYS = st.from_regex(r"[A-Za-z0-9_.:-]{1,36}", fullmatch=True)
LABELS = st.one_of(st.just(""), st.text(max_size=36))
FEES = st.one_of(st.just(0), st.integers(-(2**62), 2**62))
EXTRAS: dict[str, st.SearchStrategy[Any]] = {
    "stop_px_ticks": LOTS,
    "display_qty_lots": LOTS,
    "shown_qty_lots": LOTS,
    "trail_offset": LOTS,
    "trail_unit": st.integers(0, 2),
    "trigger_by": st.integers(0, 3),
    "min_qty_lots": LOTS,
    "expire_unix_ns": SEQS,
    "post_only": st.booleans(),
    "reduce_only": st.booleans(),
    "contingency_type": st.integers(0, 3),
    "list_id": KEYS,
    "leg": st.integers(0, 8),
    "client_unix_ns": SEQS,
}


def _enum(kind: Any) -> st.SearchStrategy[int]:
    return st.sampled_from([value for value in kind.values() if value])


@st.composite
def messages(draw: Any) -> wire.Event:
    """Any event of an accepted order, of which few have extras and few a reason."""
    order: dict[str, Any] = {
        "account": draw(st.text(max_size=36)),
        "symbol": draw(st.sampled_from([SHARE.symbol, PAIR.symbol, COIN.symbol, "UNLISTED"])),
        "cl_ord_id": draw(KEYS),
        "account_seq": draw(SEQS),
        "order_id": draw(SEQS),
        "exec_type": draw(_enum(types.ExecType)),
        "ord_status": draw(_enum(types.OrdStatus)),
        "cause": draw(_enum(types.Cause)),
        "request": draw(st.sampled_from(types.RequestKind.values())),
        "side": draw(_enum(types.Side)),
        "ord_type": draw(_enum(types.OrdType)),
        "time_in_force": draw(_enum(types.TimeInForce)),
        "self_trade_prevention": draw(_enum(types.SelfTradePrevention)),
        "decision_maker": draw(LABELS),
        "strategy_id": draw(LABELS),
    }
    for name in ("qty_lots", "price_ticks", "cum_qty_lots", "leaves_qty_lots", "cum_value_ticks_lots"):
        order[name] = draw(LOTS)
    if draw(st.booleans()):
        order |= {name: draw(SEQS) for name in ("trade_id", "last_px_ticks", "last_qty_lots", "contra_order_id")}
        order |= {"liquidity": draw(_enum(types.Liquidity)), "fee_micro": draw(FEES)}
    if order["request"]:
        order |= {"received_unix_ns": draw(SEQS), "actor": draw(LABELS), "session_id": draw(LABELS)}
    if not draw(st.integers(0, 3)):
        order |= {"orig_cl_ord_id": draw(KEYS)}
        order |= {"reason": draw(st.sampled_from(types.Reason.values())), "field": draw(st.sampled_from(["", "qty"]))}
    if not draw(st.integers(0, 3)):
        order |= draw(st.fixed_dictionaries({}, optional=EXTRAS))
    return wire.Event(
        seq=draw(SEQS),
        command_seq=draw(SEQS),
        last_of_command=draw(st.booleans()),
        time_unix_ns=draw(SEQS),
        order=wire.OrderEvent(**order),
    )


def laid_out(event: wire.Event) -> bytes:
    """The event in the layout that matching writes."""
    order = event.order
    extras = wire.OrderEvent(**{name: getattr(order, name) for name in EXTRAS})
    rest = text(b"\x0a", order.account) + text(b"\x5a", order.symbol) + text(b"\x1a", order.cl_ord_id)
    rest += extras.SerializeToString()
    if order.reason:
        rest += b"\x40" + varint(order.reason)
    for tag, value in ((b"\xda\x01", order.field), (b"\x22", order.orig_cl_ord_id)):
        rest += text(tag, value) if value else b""
    if order.last_qty_lots:
        trade = (order.trade_id, order.last_px_ticks, order.last_qty_lots, order.liquidity, order.contra_order_id)
        rest += TRADE.pack(*_by_turns(TRADE_TAGS, trade))
        rest += FEE.pack(FEE_TAG, order.fee_micro) if order.fee_micro else b""
    if order.request:
        rest += REQUEST.pack(REQUEST_TAG, order.received_unix_ns) + text(b"\xe2\x01", order.actor)
        rest += text(b"\xfa\x02", order.session_id) if order.session_id else b""
    for tag, value in ((b"\xea\x01", order.decision_maker), (b"\xf2\x01", order.strategy_id)):
        rest += text(tag, value) if value else b""
    state = (
        *(event.seq, event.command_seq, event.last_of_command, event.time_unix_ns),
        body_length(BODY_STATE_BYTES + len(rest)),
        *(order.account_seq, order.order_id, order.exec_type, order.ord_status, order.cause, order.request),
        *(order.side, order.ord_type, order.time_in_force),
        *(order.qty_lots, order.price_ticks, order.cum_qty_lots, order.leaves_qty_lots),
        *(order.cum_value_ticks_lots, order.self_trade_prevention),
    )
    return STATE.pack(*_by_turns(STATE_TAGS, state)) + rest


def _by_turns(tags: tuple[int, ...], numbers: tuple[int, ...]) -> list[int]:
    return [one for pair in zip(tags, numbers, strict=True) for one in pair]


@given(messages())
def test_what_is_read_in_place_is_what_the_message_says(event: wire.Event) -> None:
    """Without extras, a reason or another key nothing is parsed, and trade, fee and time are those of the message."""
    encoded = laid_out(event)
    assert wire.Event.FromString(encoded) == event
    seen, order = Event(encoded), event.order
    assert (seen.seq, seen.last_of_command) == (event.seq, event.last_of_command)
    assert (seen.account, seen.symbol) == (order.account, order.symbol)
    has_extras = any(getattr(order, name) for name in EXTRAS)
    usual = not (has_extras or order.reason or order.field or order.orig_cl_ord_id or len(order.account.encode()) > 127)
    assert (seen.state is not None) == usual
    if seen.state is not None:
        received_unix_ns, trade, fee_micro = seen.rest()
        assert (received_unix_ns, fee_micro) == (order.received_unix_ns, order.fee_micro)
        numbers = (order.trade_id, order.last_px_ticks, order.last_qty_lots, order.liquidity, order.contra_order_id)
        assert (trade and trade[1::2]) == (numbers if order.last_qty_lots else None)


@given(messages(), SEQS, SEQS, SEQS, st.integers(0, 2**64 - 1))
def test_a_report_laid_out_is_the_report_built(
    event: wire.Event, epoch: int, durable_unix_ns: int, sent_unix_ns: int, correlation_id: int
) -> None:
    """A report by either way has the same fields, fee and trigger included."""
    listed = Instruments()
    for instrument in (SHARE, PAIR, COIN):
        listed.add(instrument.to_proto())
    encoded = laid_out(event)
    made = execution_report(Event(encoded), listed, epoch, durable_unix_ns, sent_unix_ns, correlation_id)
    built = report(event, listed, epoch, durable_unix_ns, correlation_id)
    built.sent_unix_ns = sent_unix_ns
    assert orders.ExecutionReport.FromString(made) == built
