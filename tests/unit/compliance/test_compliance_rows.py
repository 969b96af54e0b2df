"""What events become in the database."""

import pytest
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from compliance.merkle import leaf_hash
from compliance.rows import (
    CHANGING_COLUMNS,
    EVENT_TYPES,
    FILL_COLUMNS,
    LEAF_COLUMNS,
    ORDER_COLUMNS,
    EventUnreadable,
    Rows,
)

RECEIVED_NS = 17


def order_event(seq: int, **order: object) -> bytes:
    """The bytes of an order's event."""
    terms = {
        "account": "DEMO",
        "symbol": "AAPL",
        "cl_ord_id": "c1",
        "order_id": 1,
        "side": types.SIDE_BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_DAY,
        "ord_status": types.ORD_STATUS_NEW,
        "exec_type": types.EXEC_TYPE_NEW,
        "qty_lots": 10,
        "price_ticks": 19000,
        "leaves_qty_lots": 10,
    } | order
    body = events.OrderEvent(**terms)  # type: ignore[arg-type]
    return events.Event(seq=seq, time_unix_ns=1000 + seq, order=body).SerializeToString()


def rows_of(*entries: bytes, after_seq: int = 0) -> Rows:
    """The rows of a batch."""
    rows = Rows(after_seq)
    for entry in entries:
        rows.add(entry, RECEIVED_NS)
    return rows


def named(columns: tuple[str, ...], row: tuple[object, ...]) -> dict[str, object]:
    """A row with the names of its columns."""
    return dict(zip(columns, row, strict=True))


def test_a_leaf_keeps_the_bytes_as_they_came() -> None:
    """Entry and hash are those of the journal's bytes; the columns are read from them."""
    entry = order_event(1, actor="somebody")
    [leaf] = rows_of(entry).leaves
    assert named(LEAF_COLUMNS, leaf) == {
        "leaf_index": 0,
        "event_time_ns": 1001,
        "received_time_ns": RECEIVED_NS,
        "order_id": 1,
        "event_type": "ORDER_NEW",
        "account": "DEMO",
        "symbol": "AAPL",
        "cl_ord_id": "c1",
        "actor": "somebody",
        "leaf_hash": leaf_hash(entry),
        "entry": entry,
    }


def test_an_order_accepted_in_the_batch_has_its_last_state() -> None:
    """New, then filled in the same batch: one row, with the acceptance's time and the fill's state."""
    filled = order_event(
        2,
        exec_type=types.EXEC_TYPE_TRADE,
        ord_status=types.ORD_STATUS_FILLED,
        cum_qty_lots=10,
        leaves_qty_lots=0,
        cum_value_ticks_lots=190_000,
        trade_id=2,
        last_px_ticks=19000,
        last_qty_lots=10,
        liquidity=types.LIQUIDITY_TAKER,
        fee_micro=28,
    )
    rows = rows_of(order_event(1), filled)
    [order] = rows.new_orders()
    assert rows.changed_orders() == []
    shown = named(ORDER_COLUMNS, order)
    assert (shown["accepted_time_ns"], shown["last_time_ns"], shown["last_seq"]) == (1001, 1002, 2)
    assert (shown["ord_status"], shown["cum_qty_lots"], shown["side"]) == ("FILLED", 10, "BUY")
    [fill] = rows.fills
    assert (named(FILL_COLUMNS, fill)["liquidity"], named(FILL_COLUMNS, fill)["fee_micro"]) == ("TAKER", 28)
    assert rows.positions == {("DEMO", "AAPL"): [10, 0, 0, 190_000, 0, 28]}


def test_an_order_of_an_earlier_batch_is_changed() -> None:
    """An event of an order that was accepted before gives only what can change."""
    cancelled = order_event(5, exec_type=types.EXEC_TYPE_CANCELED, ord_status=types.ORD_STATUS_CANCELED)
    rows = rows_of(cancelled, after_seq=4)
    assert rows.new_orders() == []
    [order] = rows.changed_orders()
    assert named(CHANGING_COLUMNS, order)["ord_status"] == "CANCELED"


def test_an_order_keeps_every_term() -> None:
    """What only some orders have is there in integers and in FIX's words, and absent where it was not given."""
    plain, rich = rows_of(
        order_event(1),
        order_event(
            2,
            order_id=2,
            ord_type=types.ORD_TYPE_TRAILING_STOP,
            ord_status=types.ORD_STATUS_PENDING_NEW,
            stop_px_ticks=18_900,
            display_qty_lots=4,
            trail_offset=50,
            trail_unit=types.TRAIL_UNIT_BPS,
            trigger_by=types.TRIGGER_BY_MARK,
            min_qty_lots=2,
            expire_unix_ns=77,
            post_only=True,
            reduce_only=True,
            contingency_type=types.CONTINGENCY_TYPE_OTOCO,
            list_id="l-1",
            leg=3,
            self_trade_prevention=types.SELF_TRADE_PREVENTION_DECREMENT,
        ),
    ).new_orders()
    expected = {
        "ord_status": "PENDING_NEW",
        "stop_px_ticks": 18_900,
        "display_qty_lots": 4,
        "self_trade_prevention": "DECREMENT",
        "trail_offset": 50,
        "trail_unit": "BPS",
        "trigger_by": "MARK",
        "min_qty_lots": 2,
        "expire_time_ns": 77,
        "post_only": True,
        "reduce_only": True,
        "contingency_type": "OTOCO",
        "list_id": "l-1",
        "leg": 3,
    }
    assert {name: value for name, value in named(ORDER_COLUMNS, rich).items() if name in expected} == expected
    absent = named(ORDER_COLUMNS, plain)
    assert not any(absent[name] for name in expected if name != "ord_status")


def test_a_trail_and_a_restatement_change_the_order() -> None:
    """Trigger, shown part and quantity are among what later events change."""
    moved = order_event(5, exec_type=types.EXEC_TYPE_RESTATED, stop_px_ticks=19_100, display_qty_lots=3, qty_lots=3)
    [order] = rows_of(moved, after_seq=4).changed_orders()
    changed = named(CHANGING_COLUMNS, order)
    assert (changed["stop_px_ticks"], changed["display_qty_lots"], changed["qty_lots"]) == (19_100, 3, 3)


@pytest.mark.parametrize("exec_type", [types.EXEC_TYPE_REJECTED, types.EXEC_TYPE_DENIED])
def test_a_refused_request_changes_no_order(exec_type: types.ExecType.ValueType) -> None:
    """It carries the request's key, not the order's: it is a leaf and nothing else."""
    rows = rows_of(order_event(1), order_event(2, exec_type=exec_type, cl_ord_id="c2", request=3))
    [order] = rows.new_orders()
    assert named(ORDER_COLUMNS, order)["cl_ord_id"] == "c1"
    assert [named(LEAF_COLUMNS, leaf)["cl_ord_id"] for leaf in rows.leaves] == ["c1", "c2"]


def test_every_kind_of_event_is_a_leaf() -> None:
    """One to one, whatever the body; also a body that is newer than we are."""
    bodies = [
        events.Event(instrument_listed=events.InstrumentListed()),
        events.Event(account_opened=events.AccountOpened(account="A")),
        events.Event(cash_adjusted=events.CashAdjusted(account="A", currency="USD", amount_micro=5)),
        events.Event(position_adjusted=events.PositionAdjusted(account="A", symbol="S", qty_lots=-3)),
        events.Event(day_closed=events.DayClosed(trading_day=20261122)),
        events.Event(command_refused=events.CommandRefused(account="A")),
        events.Event(),
    ]
    rows = Rows()
    for seq, event in enumerate(bodies, 1):
        event.seq = seq
        rows.add(event.SerializeToString(), RECEIVED_NS)
    types_and_accounts = [(leaf[4], leaf[5]) for leaf in rows.leaves]
    assert types_and_accounts == [
        ("INSTRUMENT_LISTED", None),
        ("ACCOUNT_OPENED", "A"),
        ("CASH_ADJUSTED", "A"),
        ("POSITION_ADJUSTED", "A"),
        ("DAY_CLOSED", None),
        ("COMMAND_REFUSED", "A"),
        ("UNKNOWN", None),
    ]
    assert {kind for kind, _ in types_and_accounts} - {"UNKNOWN"} <= EVENT_TYPES
    assert rows.cash == {("A", "USD"): 5}
    assert rows.positions == {("A", "S"): [0, 0, -3, 0, 0, 0]}


SUBJECTS: list[tuple[events.Event, str, tuple[str | None, str | None, str | None]]] = [
    (
        events.Event(orders_mass_canceled=events.OrdersMassCanceled(account="A", symbol="S", cl_ord_id="k")),
        "ORDERS_MASS_CANCELED",
        ("A", "S", "k"),
    ),
    (
        events.Event(mass_quote_accepted=events.MassQuoteAccepted(account="A", quote_id="q")),
        "MASS_QUOTE_ACCEPTED",
        ("A", None, "q"),
    ),
    (
        events.Event(session_opened=events.SessionOpened(session=commands.OpenSession(session_id="s"))),
        "SESSION_OPENED",
        (None, None, None),
    ),
    (
        events.Event(
            account_configured=events.AccountConfigured(change=commands.ConfigureAccount(account="A", request_id="r"))
        ),
        "ACCOUNT_CONFIGURED",
        ("A", None, None),
    ),
    (
        events.Event(
            instrument_configured=events.InstrumentConfigured(change=commands.ConfigureInstrument(symbol="S"))
        ),
        "INSTRUMENT_CONFIGURED",
        (None, "S", None),
    ),
    (
        events.Event(limits_set=events.LimitsSet(change=commands.SetLimits(account="A", symbol="S"))),
        "LIMITS_SET",
        ("A", "S", None),
    ),
    (
        events.Event(
            kill_switch_engaged=events.KillSwitchEngaged(
                kill_switch=commands.EngageKillSwitch(scope=types.KILL_SWITCH_SCOPE_ACCOUNT, target="A")
            )
        ),
        "KILL_SWITCH_ENGAGED",
        ("A", None, None),
    ),
    (
        events.Event(
            kill_switch_released=events.KillSwitchReleased(
                kill_switch=commands.ReleaseKillSwitch(scope=types.KILL_SWITCH_SCOPE_SYMBOL, target="S")
            )
        ),
        "KILL_SWITCH_RELEASED",
        (None, "S", None),
    ),
    (
        events.Event(
            kill_switch_engaged=events.KillSwitchEngaged(
                kill_switch=commands.EngageKillSwitch(scope=types.KILL_SWITCH_SCOPE_SESSION, target="s")
            )
        ),
        "KILL_SWITCH_ENGAGED",
        (None, None, None),
    ),
    (
        events.Event(throttle_engaged=events.ThrottleEngaged(account="A", symbol="S")),
        "THROTTLE_ENGAGED",
        ("A", "S", None),
    ),
    (
        events.Event(trading_session_changed=events.TradingSessionChanged(symbol="S")),
        "TRADING_SESSION_CHANGED",
        (None, "S", None),
    ),
    (events.Event(time_advanced=events.TimeAdvanced()), "TIME_ADVANCED", (None, None, None)),
]


@pytest.mark.parametrize(("event", "event_type", "subject"), SUBJECTS, ids=lambda value: str(value)[:40])
def test_each_event_is_found_by_what_it_is_about(
    event: events.Event, event_type: str, subject: tuple[str | None, str | None, str | None]
) -> None:
    """Account, symbol and the client's key, also where they stand inside the command that the event repeats."""
    event.seq = 1
    [leaf] = rows_of(event.SerializeToString()).leaves
    shown = named(LEAF_COLUMNS, leaf)
    assert (shown["event_type"], shown["account"], shown["symbol"], shown["cl_ord_id"]) == (event_type, *subject)
    assert event_type in EVENT_TYPES


def test_every_body_of_the_contract_can_be_a_leaf() -> None:
    """None of them needs to be known here to be stored."""
    bodies = [one.name for one in events.Event.DESCRIPTOR.oneofs_by_name["body"].fields]
    rows = Rows()
    for seq, body in enumerate(bodies, 1):
        event = events.Event(seq=seq)
        getattr(event, body).SetInParent()
        rows.add(event.SerializeToString(), RECEIVED_NS)
    assert [leaf[4] for leaf in rows.leaves[1:]] == [body.upper() for body in bodies if body != "order"]


def test_an_event_that_is_not_due_is_refused() -> None:
    """Another sequence, or bytes that are no event, never become a leaf."""
    with pytest.raises(EventUnreadable, match="says it is event 3"):
        rows_of(order_event(1), order_event(3))
    with pytest.raises(EventUnreadable, match="cannot be read"):
        rows_of(b"\xff\xff")


def test_a_text_that_no_index_takes_is_shortened_in_its_column_only() -> None:
    """NUL and endless keys stop neither the log nor the query; the entry keeps them."""
    entry = order_event(1, order_id=0, exec_type=types.EXEC_TYPE_REJECTED, cl_ord_id="\0" + "x" * 5000, account="")
    [leaf] = rows_of(entry).leaves
    shown = named(LEAF_COLUMNS, leaf)
    assert shown["cl_ord_id"] == "\N{REPLACEMENT CHARACTER}" + "x" * 255
    assert (shown["account"], shown["order_id"], shown["entry"]) == (None, None, entry)
