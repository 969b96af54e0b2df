"""Admission of requests about many orders: baskets, mass cancels and quotes, and where in them a fault is."""

from typing import Any

import pytest
from ordergate.matching.v1 import commands_pb2 as wire
from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from gateway.admission import BASKET_ORDERS_MAX, QUOTE_ENTRIES_MAX, Admission, Basket, check_key
from runtime.errors import Refused
from runtime.instruments import Instruments

RECEIVED = 1_700_000_000_000_000_000
GOOD: dict[str, Any] = {
    "cl_ord_id": "a-1",
    "symbol": "AAPL",
    "side": types.SIDE_BUY,
    "ord_type": types.ORD_TYPE_LIMIT,
    "qty": "5",
    "price": "101.25",
}
MISSING, INVALID, CONFLICT = types.REASON_FIELD_MISSING, types.REASON_FIELD_INVALID, types.REASON_FIELDS_CONFLICT


@pytest.fixture
def admission(instruments: Instruments) -> Admission:
    """The admission of a gateway."""
    return Admission(instruments, "gateway-7")


def basket(admission: Admission, *placed: dict[str, Any]) -> Basket:
    """A basket of DEMO, of good orders with changes."""
    request = entry.SubmitOrdersRequest(account="DEMO", orders=[orders.OrderTerms(**(GOOD | one)) for one in placed])
    return admission.basket(request, admission.envelope("me"), RECEIVED)


def test_a_basket_is_one_command(admission: Admission) -> None:
    """Its orders in the order of the request, each as its own command would place it, and all of one account."""
    changes = {"cl_ord_id": "a-2", "account": "DEMO", "exec_inst": orders.ExecInst(post_only=True)}
    made = basket(admission, {}, changes)
    whole = wire.Command.FromString(made.whole)
    assert (whole.actor, whole.gateway_id, whole.received_unix_ns) == ("me", "gateway-7", RECEIVED)
    assert whole.new_order_list.account == "DEMO"
    alone = [wire.Command.FromString(made.commands[i]).new_order for i in (0, 1)]
    assert list(whole.new_order_list.orders) == alone
    assert [(order.account, order.cl_ord_id, order.post_only) for order in alone] == [
        ("DEMO", "a-1", False),
        ("DEMO", "a-2", True),
    ]
    assert made.refused == {}


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"qty": "0.5"}, types.REASON_QTY_OFF_LOT, "orders[1].qty"),
        ({"price": "1.001"}, types.REASON_PRICE_OFF_TICK, "orders[1].price"),
        ({"symbol": "NOSUCH"}, types.REASON_SYMBOL_UNKNOWN, "orders[1].symbol"),
        ({"cl_ord_id": ""}, MISSING, "orders[1].cl_ord_id"),
        ({"cl_ord_id": "a-1"}, CONFLICT, "orders[1].cl_ord_id"),
        ({"account": "MM"}, CONFLICT, "orders[1].account"),
        ({"trail": orders.Trail(offset="1")}, CONFLICT, "orders[1].trail"),
        ({"side": 9}, types.REASON_ENUM_UNKNOWN, "orders[1].side"),
        (
            {"contingency": orders.Contingency(type=types.CONTINGENCY_TYPE_OCO, list_id="l", leg=3)},
            INVALID,
            "orders[1].contingency.leg",
        ),
    ],
)
def test_a_wrongly_formed_order_is_left_out(
    admission: Admission, wrong: dict[str, Any], reason: types.Reason.ValueType, field: str
) -> None:
    """It is refused by its place; the others are sent."""
    made = basket(admission, {}, {"cl_ord_id": "a-2"} | wrong, {"cl_ord_id": "a-3"})
    assert [(i, refused.reason, refused.field) for i, refused in made.refused.items()] == [(1, reason, field)]
    assert list(made.commands) == [0, 2]
    sent = wire.Command.FromString(made.whole).new_order_list.orders
    assert [order.cl_ord_id for order in sent] == ["a-1", "a-3"]


def test_a_basket_of_which_nothing_is_left(admission: Admission) -> None:
    """There is no command at all."""
    made = basket(admission, {"qty": ""}, {"qty": "x", "cl_ord_id": "a-2"})
    assert (made.whole, made.commands, list(made.refused)) == (b"", {}, [0, 1])


@pytest.mark.parametrize(("count", "reason"), [(0, MISSING), (BASKET_ORDERS_MAX + 1, types.REASON_MESSAGE_TOO_LARGE)])
def test_the_number_of_orders_has_bounds(admission: Admission, count: int, reason: types.Reason.ValueType) -> None:
    """An empty basket and one that is too large are refused as a whole."""
    with pytest.raises(Refused) as error:
        basket(admission, *({"cl_ord_id": f"a-{number}"} for number in range(count)))
    assert (error.value.reason, error.value.field) == (reason, "orders")


def mass_cancelled(admission: Admission, **fields: Any) -> wire.MassCancel:
    """The body of a mass cancel's command."""
    request = entry.MassCancelOrdersRequest(account="DEMO", **fields)
    return wire.Command.FromString(admission.mass_cancel(request, admission.envelope("me"), RECEIVED)).mass_cancel


def test_a_mass_cancel_passes_its_filters_on(admission: Admission) -> None:
    """Filters are optional, and so is the key: it gets one of its own, another each time. No session narrows it."""
    keyless = [mass_cancelled(admission, all_orders=True) for _ in range(2)]
    for made in keyless:
        check_key(made.cl_ord_id, "cl_ord_id")
        assert made == wire.MassCancel(account="DEMO", cl_ord_id=made.cl_ord_id)
    assert keyless[0].cl_ord_id != keyless[1].cl_ord_id
    full = mass_cancelled(admission, symbol="AAPL", side=types.SIDE_SELL_SHORT, cl_ord_id="c-1")
    assert full == wire.MassCancel(account="DEMO", symbol="AAPL", side=types.SIDE_SELL_SHORT, cl_ord_id="c-1")


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"cl_ord_id": "a b"}, INVALID, "cl_ord_id"),
        ({"symbol": "NOSUCH"}, types.REASON_SYMBOL_UNKNOWN, "symbol"),
        ({"side": 3}, types.REASON_ENUM_UNKNOWN, "side"),
        ({}, types.REASON_FIELD_MISSING, "all_orders"),
        ({"symbol": "AAPL", "all_orders": True}, types.REASON_FIELDS_CONFLICT, "all_orders"),
    ],
)
def test_wrong_mass_cancels(
    admission: Admission, wrong: dict[str, Any], reason: types.Reason.ValueType, field: str
) -> None:
    """What would match nothing by a mistake, or everything, is refused."""
    with pytest.raises(Refused) as error:
        mass_cancelled(admission, **wrong)
    assert (error.value.reason, error.value.field) == (reason, field)


def quoted(
    admission: Admission, *entries: orders.QuoteEntry | orders.QuoteTerms, quote_id: str = "q-1"
) -> wire.MassQuote:
    """The body of a mass quote's command."""
    command = admission.mass_quote("MM", quote_id, entries, admission.envelope("me"), RECEIVED)
    return wire.Command.FromString(command).mass_quote


def test_quotes_become_ticks_and_lots(admission: Admission) -> None:
    """Each side by the instrument's tick and lot; a side without a price has zeros; crossing is left to the core."""
    both = orders.QuoteEntry(symbol="EURUSD", bid_px="1.10001", bid_qty="2000", ask_px="1.1", ask_qty="1000")
    bid = orders.QuoteEntry(symbol="AAPL", bid_px="1.01", bid_qty="7")
    assert quoted(admission, both, bid, orders.QuoteEntry(symbol="AAPL")) == wire.MassQuote(
        account="MM",
        quote_id="q-1",
        entries=[
            wire.QuoteEntry(
                symbol="EURUSD", bid_px_ticks=110_001, bid_qty_lots=2, ask_px_ticks=110_000, ask_qty_lots=1
            ),
            wire.QuoteEntry(symbol="AAPL", bid_px_ticks=101, bid_qty_lots=7),
            wire.QuoteEntry(symbol="AAPL"),
        ],
    )


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"bid_px": "1.001", "bid_qty": "1"}, types.REASON_PRICE_OFF_TICK, "bid_px"),
        ({"ask_px": "1", "ask_qty": "0.5"}, types.REASON_QTY_OFF_LOT, "ask_qty"),
        ({"ask_px": "1"}, MISSING, "ask_qty"),
        ({"ask_px": "0", "ask_qty": "1"}, types.REASON_NOT_POSITIVE, "ask_px"),
        ({"bid_qty": "1"}, CONFLICT, "bid_qty"),
        ({"symbol": ""}, MISSING, "symbol"),
    ],
)
def test_wrong_quotes(admission: Admission, wrong: dict[str, str], reason: types.Reason.ValueType, field: str) -> None:
    """Among several the fault names its entry; a session's single quote names the field alone."""
    fields = {"symbol": "AAPL"} | wrong
    several = [orders.QuoteEntry(symbol="AAPL"), orders.QuoteEntry(**fields)]
    with pytest.raises(Refused) as error:
        quoted(admission, *several)
    assert (error.value.reason, error.value.field) == (reason, f"entries[1].{field}")
    with pytest.raises(Refused) as error:
        quoted(admission, orders.QuoteTerms(**fields))
    assert (error.value.reason, error.value.field) == (reason, field)


def test_quotes_need_a_key_and_entries(admission: Admission) -> None:
    """A key formed like a cl_ord_id, and 1 to 256 entries."""
    one = orders.QuoteEntry(symbol="AAPL")
    assert len(quoted(admission, *[one] * QUOTE_ENTRIES_MAX).entries) == QUOTE_ENTRIES_MAX
    for entries, quote_id, reason, field in (
        ([one], "", MISSING, "quote_id"),
        ([one], "a b", INVALID, "quote_id"),
        ([], "q-1", MISSING, "entries"),
        ([one] * (QUOTE_ENTRIES_MAX + 1), "q-1", types.REASON_MESSAGE_TOO_LARGE, "entries"),
    ):
        with pytest.raises(Refused) as error:
            quoted(admission, *entries, quote_id=quote_id)
        assert (error.value.reason, error.value.field) == (reason, field)
