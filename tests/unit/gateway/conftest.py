"""What the gateway's tests share: instruments of each kind."""

import pytest
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
