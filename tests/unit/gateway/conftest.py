"""What the gateway's tests share: instruments of each kind, and the event of an order."""

from typing import Any

import pytest
from ordergate.matching.v1 import events_pb2 as wire
from ordergate.types.v1 import types_pb2 as types

from runtime.decimals import NANO
from runtime.instruments import Instrument, Instruments

SHARE = Instrument("AAPL", types.ASSET_CLASS_EQUITY, "USD", NANO // 100, NANO)
PAIR = Instrument("EURUSD", types.ASSET_CLASS_FX, "USD", 10_000, 1_000 * NANO, base_currency="EUR")
COIN = Instrument("BTCUSD", types.ASSET_CLASS_CRYPTO, "USD", NANO // 100, 100_000, base_currency="BTC")


@pytest.fixture
def instruments() -> Instruments:
    """A share, a currency pair and a coin."""
    known = Instruments()
    for instrument in (SHARE, PAIR, COIN):
        known.add(instrument.to_proto())
    return known


NS = 1_700_000_000_123_456_789


def event(**changes: Any) -> wire.Event:
    """An accepted order's event with changes."""
    order: dict[str, Any] = {
        "account": "DEMO",
        "account_seq": 7,
        "cl_ord_id": "a-1",
        "order_id": 41,
        "exec_type": types.EXEC_TYPE_NEW,
        "ord_status": types.ORD_STATUS_NEW,
        "cause": types.CAUSE_CLIENT,
        "request": types.REQUEST_KIND_SUBMIT,
        "symbol": "AAPL",
        "side": types.SIDE_BUY,
        "ord_type": types.ORD_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "qty_lots": 10,
        "price_ticks": 10_125,
        "leaves_qty_lots": 10,
        "received_unix_ns": NS - 5,
        "actor": "me",
    }
    return wire.Event(seq=42, command_seq=42, time_unix_ns=NS, order=wire.OrderEvent(**(order | changes)))
