"""What the options of `ordergate order submit` stand for."""

from typing import Any

import click
import pytest
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp
from ordergate.orders.v1 import orders_pb2 as orders
from ordergate.types.v1 import types_pb2 as types

from clients.cli.terms import order_terms, terms_options

PLAIN: dict[str, Any] = {
    "account": "A",
    "symbol": "AAPL",
    "side": types.SIDE_BUY,
    "ord_type": types.ORD_TYPE_MARKET,
    "time_in_force": types.TIME_IN_FORCE_DAY,
    "qty": "5",
}
PRICE, BPS, LAST = types.TRAIL_UNIT_PRICE, types.TRAIL_UNIT_BPS, types.TRIGGER_BY_LAST
CASES: dict[str, dict[str, Any]] = {
    "": {},
    "--price 9": {"ord_type": types.ORD_TYPE_LIMIT, "price": "9"},
    "--stop-px 8": {"ord_type": types.ORD_TYPE_STOP, "stop_px": "8"},
    "--stop-px 8 --price 9": {"ord_type": types.ORD_TYPE_STOP_LIMIT, "stop_px": "8", "price": "9"},
    "--trail 0.5": {
        "ord_type": types.ORD_TYPE_TRAILING_STOP,
        "trail": orders.Trail(offset="0.5", unit=PRICE, trigger_by=LAST),
    },
    "--trail-bps 50 --stop-px 8 --trigger-by bid-ask": {
        "ord_type": types.ORD_TYPE_TRAILING_STOP,
        "stop_px": "8",
        "trail": orders.Trail(offset="50", unit=BPS, trigger_by=types.TRIGGER_BY_BID_ASK),
    },
    "--type limit": {"ord_type": types.ORD_TYPE_LIMIT},
    "--price 9 --tif fok": {
        "ord_type": types.ORD_TYPE_LIMIT,
        "price": "9",
        "time_in_force": types.TIME_IN_FORCE_FOK,
    },
    "--tif ioc --min-qty 2": {"time_in_force": types.TIME_IN_FORCE_IOC, "min_qty": "2"},
    "--price 9 --display-qty 1 --post-only --reduce-only": {
        "ord_type": types.ORD_TYPE_LIMIT,
        "price": "9",
        "display_qty": "1",
        "exec_inst": orders.ExecInst(post_only=True, reduce_only=True),
    },
    "--expire-time 2027-01-01T00:00:00Z": {
        "time_in_force": types.TIME_IN_FORCE_GTD,
        "expire_time": Timestamp(seconds=1_798_761_600),
    },
    "--expire-time 2027-01-01T00:00:00": {
        "time_in_force": types.TIME_IN_FORCE_GTD,
        "expire_time": Timestamp(seconds=1_798_761_600),
    },
    "--expire-time 2027-01-01T01:00:00+01:00 --tif gtc": {
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "expire_time": Timestamp(seconds=1_798_761_600),
    },
    "--contingency OCO:exit:1:2": {
        "contingency": orders.Contingency(type=types.CONTINGENCY_TYPE_OCO, list_id="exit:1", leg=2)
    },
    "--self-trade decrement --cl-ord-id k --decision-maker d --strategy s": {
        "self_trade_prevention": types.SELF_TRADE_PREVENTION_DECREMENT,
        "cl_ord_id": "k",
        "decision_maker": "d",
        "strategy_id": "s",
    },
}


def told(options: str) -> tuple[list[orders.OrderTerms], str]:
    """The terms that a command with these options makes, and what it writes."""
    made: list[orders.OrderTerms] = []

    @click.command()
    @terms_options
    def submit(**given: Any) -> None:
        made.append(order_terms("A", **given))

    return made, CliRunner().invoke(submit, ["AAPL", "buy", "5", *options.split()]).output


@pytest.mark.parametrize("options", CASES)
def test_options_stand_for_terms(options: str) -> None:
    """What is given is in the terms, the type follows from the prices, and nothing else is set."""
    (terms,), _ = told(options)
    assert terms == orders.OrderTerms(**(PLAIN | CASES[options]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--trail 1 --trail-bps 5", "not both"),
        ("--trigger-by mark", "needs --trail"),
        ("--expire-time soon", "is not a time"),
        ("--contingency oco:2", "oco|oto|otoco:LIST:LEG"),
        ("--contingency abc:l:2", "oco:exit-1:2"),
        ("--contingency oco:l:two", "oco:exit-1:2"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: str, says: str) -> None:
    """Before anything is sent, with the way it should be."""
    made, output = told(options)
    assert not made
    assert says in output
