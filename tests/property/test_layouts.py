"""What is laid out by hand is what the generated classes would have written."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import commands_pb2 as wire_commands
from ordergate.matching.v1 import events_pb2 as wire_events
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.convert import report
from gateway.encoding import Envelope, execution_report, report_frame
from gateway.events import Event
from matching.convert import decode_command, encode_event
from matching.core import commands, events
from matching.encoding import journal_entry
from runtime.instruments import Instruments
from runtime.layout import varint

SEQS = st.integers(1, 2**63 - 1)
LOTS = st.integers(0, 10**12)
TEXTS = st.text(max_size=36)
KEYS = st.from_regex(r"[A-Za-z0-9_.:-]{1,36}", fullmatch=True)
NANOS = st.integers(1, 2**62)


EXTRAS: dict[str, st.SearchStrategy[Any]] = {
    "stop_px_ticks": LOTS,
    "trail_offset": LOTS,
    "trail_unit": st.integers(0, 2),
    "trigger_by": st.integers(0, 3),
    "display_qty_lots": LOTS,
    "min_qty_lots": LOTS,
    "expire_unix_ns": NANOS,
    "post_only": st.booleans(),
    "reduce_only": st.booleans(),
    "contingency_type": st.integers(0, 3),
    "list_id": KEYS,
    "leg": st.integers(0, 8),
    "client_unix_ns": NANOS,
}
TERMS = ("account", "symbol", "side", "ord_type", "time_in_force", "self_trade_prevention")
LABELS = ("decision_maker", "strategy_id")
STATE = ("order_id", "qty_lots", "price_ticks", "cum_qty_lots", "leaves_qty_lots", "cum_value_ticks_lots")
MOVING = ("stop_px_ticks", "display_qty_lots", "shown_qty_lots")
FILL = ("trade_id", "last_px_ticks", "last_qty_lots", "liquidity", "contra_order_id", "fee_micro")


def enum(kind: Any) -> st.SearchStrategy[int]:
    """Any given value of an enum of the contract."""
    return st.sampled_from([number for number in kind.values() if number])


@st.composite
def order_events(draw: Any) -> events.OrderEvent:
    """Any event of an accepted order."""
    extras = draw(st.one_of(st.just({}), st.fixed_dictionaries({}, optional=EXTRAS)))
    terms = commands.NewOrder(
        draw(TEXTS),
        "",
        draw(st.sampled_from(["AMZN", "BTCUSD", "NONE"])),
        draw(enum(types.Side)),
        draw(enum(types.OrdType)),
        draw(enum(types.TimeInForce)),
        0,
        0,
        draw(enum(types.SelfTradePrevention)),
        draw(TEXTS),
        draw(TEXTS),
        **extras,
    )
    event = events.OrderEvent(
        draw(SEQS),
        draw(SEQS),
        draw(NANOS),
        draw(TEXTS),
        terms,
        draw(SEQS),
        draw(KEYS),
        draw(enum(types.ExecType)),
        draw(enum(types.OrdStatus)),
        draw(enum(types.Cause)),
        draw(st.sampled_from(types.RequestKind.values())),
    )
    for name in STATE:
        setattr(event, name, draw(SEQS if name == "order_id" else LOTS))
    if not terms.is_plain:
        for name in MOVING:
            setattr(event, name, draw(LOTS))
    if event.request:
        event.received_unix_ns, event.session_id = draw(NANOS), draw(TEXTS)
    if draw(st.booleans()):
        event.trade_id, event.contra_order_id = draw(SEQS), draw(SEQS)
        event.last_px_ticks, event.last_qty_lots = draw(SEQS), draw(SEQS)
        event.liquidity = draw(enum(types.Liquidity))
        event.fee_micro = draw(st.one_of(st.just(0), st.integers(-(2**62), 2**62)))
    if draw(st.booleans()):
        event.orig_cl_ord_id = draw(st.one_of(st.just(""), KEYS))
        event.reason = draw(st.sampled_from(types.Reason.values()))
        event.field = draw(st.sampled_from(["", "qty"])) if event.reason else ""
    return event


def instruments() -> Instruments:
    """A share and a pair with fractional lots; `NONE` is not listed."""
    listed = Instruments()
    for symbol, tick, lot in (("AMZN", 10**7, 10**9), ("BTCUSD", 10**7, 10**5)):
        listed.add(
            wire_commands.ListInstrument(
                symbol=symbol,
                asset_class=types.ASSET_CLASS_EQUITY,
                currency="USD",
                tick_size_nano=tick,
                lot_size_nano=lot,
                multiplier=1,
            )
        )
    return listed


LISTED = instruments()


@given(order_events(), st.booleans())
def test_an_event_reads_back_as_it_was(event: events.OrderEvent, last: bool) -> None:
    """Every field of a laid-out event is read back by the generated class with its value."""
    read = wire_events.Event.FromString(encode_event(event, last))
    order, terms = read.order, event.terms
    assert (read.seq, read.command_seq, read.time_unix_ns) == (event.seq, event.command_seq, event.time_unix_ns)
    assert read.last_of_command is last
    never = [name for name in EXTRAS if name not in MOVING]
    for name in (*TERMS, *LABELS, *never):
        assert getattr(order, name) == getattr(terms, name), name
    own = (
        "account_seq",
        "cl_ord_id",
        "orig_cl_ord_id",
        "exec_type",
        "ord_status",
        "cause",
        "request",
        "reason",
        "field",
    )
    for name in (*own, *STATE, *MOVING, *FILL, "received_unix_ns", "session_id"):
        assert getattr(order, name) == getattr(event, name), name
    assert order.actor == (event.actor if event.request else "")


@given(st.binary(max_size=20_000), NANOS, st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_entries_read_back_as_a_batch(command: bytes, time_unix_ns: int, encoded: list[bytes]) -> None:
    """Two laid-out entries one after the other are a JournalBatch with these two entries."""
    entry_bytes = journal_entry(command, time_unix_ns, encoded)
    expected = wire_events.JournalEntry(command=command, time_unix_ns=time_unix_ns, events=encoded)
    assert wire_events.JournalBatch.FromString(entry_bytes * 2) == wire_events.JournalBatch(entries=[expected] * 2)


@given(order_events(), SEQS, NANOS, NANOS, st.integers(0, 2**64 - 1))
def test_a_report_is_the_message_that_would_have_been_built(
    event: events.OrderEvent, epoch: int, durable_unix_ns: int, sent_unix_ns: int, correlation_id: int
) -> None:
    """A laid-out report equals the report built field by field."""
    encoded = encode_event(event, last_of_command=True)
    read = wire_events.Event.FromString(encoded)
    laid_out = execution_report(Event(encoded), LISTED, epoch, durable_unix_ns, sent_unix_ns, correlation_id)
    built = report(read, LISTED, epoch, durable_unix_ns, correlation_id)
    built.sent_unix_ns = sent_unix_ns
    assert orders.ExecutionReport.FromString(laid_out) == built


@given(order_events(), st.booleans())
def test_an_event_read_in_place_is_the_parsed_one(event: events.OrderEvent, last: bool) -> None:
    """What the gateway reads out of the bytes is what the generated class reads; without a reason it never parses."""
    encoded = encode_event(event, last)
    seen, read = Event(encoded), wire_events.Event.FromString(encoded)
    assert (seen.seq, seen.last_of_command) == (read.seq, read.last_of_command)
    assert (seen.account, seen.symbol) == (read.order.account, read.order.symbol)
    short = max(len(text.encode()) for text in (event.terms.account, event.terms.symbol)) < 128
    extras = any(getattr(read.order, name) for name in (*EXTRAS, *MOVING))
    plain = short and not (extras or event.reason or event.orig_cl_ord_id)
    assert (seen.state is not None) == plain
    if seen.state is not None:
        received_unix_ns, trade, fee_micro = seen.rest()
        assert (received_unix_ns, fee_micro) == (read.order.received_unix_ns, read.order.fee_micro)
        numbers = (
            read.order.trade_id,
            read.order.last_px_ticks,
            read.order.last_qty_lots,
            read.order.liquidity,
            read.order.contra_order_id,
        )
        assert (trade and trade[1::2]) == (numbers if event.last_qty_lots else None)


@given(st.lists(order_events(), max_size=4), st.integers(0, 3))
def test_a_frame_is_the_message_that_would_have_been_built(told: list[events.OrderEvent], replies: int) -> None:
    """A laid-out session message equals the one built from its reports and replies."""
    encoded = [encode_event(event, last_of_command=True) for event in told]
    read = [wire_events.Event.FromString(data) for data in encoded]
    answers = [entry.CommandReply(correlation_id=n + 1) for n in range(replies)]
    head = entry.OrderSessionResponse(stream_id="s", epoch=1, seq=7, prev_seq=3)
    laid_out = report_frame(head, [execution_report(Event(data), LISTED, 1, 2, 3, 4) for data in encoded], answers)
    reports = [report(event, LISTED, 1, 2, 4) for event in read]
    for made in reports:
        made.sent_unix_ns = 3
    head.frame.CopyFrom(entry.ReportFrame(reports=reports, replies=answers))
    assert entry.OrderSessionResponse.FromString(laid_out) == head


@given(TEXTS, TEXTS, TEXTS, NANOS, TEXTS, KEYS, st.integers(1, 10**12), st.integers(0, 10**12), TEXTS, TEXTS)
def test_a_command_is_read_as_it_was_asked(
    actor: str,
    session_id: str,
    account: str,
    received_unix_ns: int,
    symbol: str,
    cl_ord_id: str,
    qty_lots: int,
    price_ticks: int,
    decision_maker: str,
    strategy_id: str,
) -> None:
    """A laid-out command is decoded by matching, and read by the generated class, with every value in its place."""
    laid_out = Envelope(actor, session_id, "g").new_order(
        received_unix_ns, account, cl_ord_id, symbol, 1, 2, 3, qty_lots, price_ticks, 1, decision_maker, strategy_id
    )
    body = wire_commands.NewOrder(
        account=account,
        cl_ord_id=cl_ord_id,
        symbol=symbol,
        side=types.SIDE_BUY,
        ord_type=types.ORD_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_IOC,
        qty_lots=qty_lots,
        price_ticks=price_ticks,
        self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_NEWEST,
        decision_maker=decision_maker,
        strategy_id=strategy_id,
    )
    expected = wire_commands.Command(
        actor=actor, session_id=session_id, gateway_id="g", received_unix_ns=received_unix_ns, new_order=body
    )
    assert wire_commands.Command.FromString(laid_out) == expected
    assert decode_command(laid_out).body.cl_ord_id == cl_ord_id  # type: ignore[union-attr]


@given(st.integers(0, 2**63))
def test_a_varint_is_read_back(number: int) -> None:
    """Seven bits a byte, the lowest first, the high bit on all but the last."""
    encoded = varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded)) == number
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80
