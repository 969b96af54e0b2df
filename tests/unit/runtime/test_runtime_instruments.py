"""Instruments: decimal strings to ticks and lots and back, and the registry."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from runtime.decimals import NANO, parse_nano
from runtime.errors import Refused
from runtime.instruments import PRICE_TICKS_MAX, QTY_LOTS_MAX, Instrument, Instruments, money_text

CENT = NANO // 100
SHARE = Instrument("AAPL", types.ASSET_CLASS_EQUITY, "USD", CENT, NANO)
OPTION = Instrument("AAPL-C", types.ASSET_CLASS_OPTION, "USD", 5 * CENT, NANO, multiplier=100)
PAIR = Instrument("EURUSD", types.ASSET_CLASS_FX, "USD", 10_000, 1_000 * NANO)
COIN = Instrument("BTCUSD", types.ASSET_CLASS_CRYPTO, "USD", CENT, 100_000)
WHOLE = Instrument("WHOLE", types.ASSET_CLASS_EQUITY, "USD", 25 * NANO, NANO)
ALL = [SHARE, OPTION, PAIR, COIN, WHOLE]

instruments = st.sampled_from(ALL)


@given(instruments, st.integers(1, PRICE_TICKS_MAX))
def test_every_price_survives_its_text(instrument: Instrument, ticks: int) -> None:
    """A price in ticks, written and read again, is the same price, and the text is its exact value."""
    text = instrument.price_text(ticks)
    assert instrument.ticks(text, "price") == ticks
    assert parse_nano(text) == ticks * instrument.tick_size_nano


@given(instruments, st.integers(1, QTY_LOTS_MAX))
def test_every_quantity_survives_its_text(instrument: Instrument, lots: int) -> None:
    """A quantity in lots, written and read again, is the same quantity."""
    text = instrument.qty_text(lots)
    assert instrument.lots(text, "qty") == lots
    assert parse_nano(text) == lots * instrument.lot_size_nano


@given(instruments, st.integers(1, 10**25))
def test_a_price_is_on_the_tick_or_refused(instrument: Instrument, nano: int) -> None:
    """No price is rounded: a multiple of the tick is taken, anything else is refused as off the tick."""
    whole, fraction = divmod(nano, NANO)
    text = f"{whole}.{fraction:09d}"
    whole_ticks, rest = divmod(nano, instrument.tick_size_nano)
    if not rest and whole_ticks <= PRICE_TICKS_MAX:
        assert instrument.ticks(text, "price") == whole_ticks
        return
    with pytest.raises(Refused) as refused:
        instrument.ticks(text, "price")
    assert refused.value.reason == (types.REASON_PRICE_OFF_TICK if rest else types.REASON_VALUE_TOO_LARGE)


@pytest.mark.parametrize(
    ("instrument", "ticks", "text"),
    [(SHARE, 10_125, "101.25"), (SHARE, 5, "0.05"), (OPTION, 1, "0.05"), (PAIR, 108_765, "1.08765"), (WHOLE, 3, "75")],
)
def test_prices_have_the_places_of_their_tick(instrument: Instrument, ticks: int, text: str) -> None:
    """A price shows as many places as the tick has, trailing zeros included."""
    assert instrument.price_text(ticks) == text


@pytest.mark.parametrize(
    ("instrument", "lots", "text"), [(SHARE, 0, "0"), (SHARE, -7, "-7"), (PAIR, 2, "2000"), (COIN, -15, "-0.0015")]
)
def test_quantities_have_the_places_of_their_lot(instrument: Instrument, lots: int, text: str) -> None:
    """A quantity shows as many places as the lot has; a short one has a minus."""
    assert instrument.qty_text(lots) == text


REFUSED: list[tuple[Instrument, str, str, types.Reason.ValueType, dict[str, str]]] = [
    (SHARE, "ticks", "", types.REASON_FIELD_MISSING, {}),
    (SHARE, "ticks", "1e3", types.REASON_DECIMAL_INVALID, {}),
    (SHARE, "ticks", "0", types.REASON_NOT_POSITIVE, {}),
    (SHARE, "ticks", "-0.00", types.REASON_NOT_POSITIVE, {}),
    (SHARE, "ticks", "-1", types.REASON_NOT_POSITIVE, {}),
    (SHARE, "ticks", "1.001", types.REASON_PRICE_OFF_TICK, {"tick": "0.01", "symbol": "AAPL"}),
    (OPTION, "ticks", "1.01", types.REASON_PRICE_OFF_TICK, {"tick": "0.05", "symbol": "AAPL-C"}),
    (SHARE, "ticks", "10000000000.01", types.REASON_VALUE_TOO_LARGE, {"max": "10000000000"}),
    (SHARE, "lots", "", types.REASON_FIELD_MISSING, {}),
    (SHARE, "lots", "ten", types.REASON_DECIMAL_INVALID, {}),
    (SHARE, "lots", "-5", types.REASON_NOT_POSITIVE, {}),
    (SHARE, "lots", "0.5", types.REASON_QTY_OFF_LOT, {"lot": "1", "symbol": "AAPL"}),
    (PAIR, "lots", "1500", types.REASON_QTY_OFF_LOT, {"lot": "1000", "symbol": "EURUSD"}),
    (COIN, "lots", "0.00005", types.REASON_QTY_OFF_LOT, {"lot": "0.0001", "symbol": "BTCUSD"}),
    (SHARE, "lots", "1000000000001", types.REASON_VALUE_TOO_LARGE, {"max": "1000000000000"}),
]


@pytest.mark.parametrize(("instrument", "conversion", "text", "reason", "metadata"), REFUSED)
def test_what_is_not_a_price_or_quantity_is_refused(
    instrument: Instrument, conversion: str, text: str, reason: types.Reason.ValueType, metadata: dict[str, str]
) -> None:
    """The refusal has the exact reason, names the field, and gives the tick, the lot or the bound."""
    with pytest.raises(Refused) as refused:
        getattr(instrument, conversion)(text, "some_field")
    assert refused.value.reason == reason
    assert refused.value.field == "some_field"
    assert refused.value.metadata == metadata


def test_a_refusal_is_not_remembered_as_a_price() -> None:
    """A text that was refused is refused the second time too."""
    for _ in range(2):
        with pytest.raises(Refused):
            SHARE.ticks("1.001", "price")


@given(instruments, st.integers(1, 10**12), st.integers(1, 10**9))
def test_average_prices_are_rounded_half_even_at_nine_places(instrument: Instrument, value: int, lots: int) -> None:
    """The average is within half of 10^-9 of the exact quotient, and even where it is exactly half."""
    average = parse_nano(instrument.avg_px_text(value, lots))
    exact = Fraction(value * instrument.tick_size_nano, lots)
    distance = abs(average - exact)
    assert distance <= Fraction(1, 2)
    assert distance < Fraction(1, 2) or average % 2 == 0


@pytest.mark.parametrize(
    ("value", "lots", "text"),
    [
        (0, 0, ""),
        (30_000, 3, "100.00"),
        (30_001, 3, "100.003333333"),
        (20_001, 2, "100.005"),
        (-30_000, -3, "100.00"),
    ],
)
def test_average_price_texts(value: int, lots: int, text: str) -> None:
    """None without a quantity, the tick's places on a tick, nine places otherwise; positive for a short position."""
    assert SHARE.avg_px_text(value, lots) == text


def test_half_a_nano_goes_to_the_even_neighbour() -> None:
    """1 and 3 units of 10^-9 over two lots are 0.5 and 1.5: 0 and 2."""
    fine = Instrument("FINE", types.ASSET_CLASS_CRYPTO, "USD", 1, NANO * 1000)
    assert [fine.avg_px_text(value, 2) for value in (1, 3, 5)] == ["0", "0.000000002", "0.000000002"]


@pytest.mark.parametrize(
    ("instrument", "micro"), [(SHARE, 10_000), (OPTION, 5_000_000), (PAIR, 10_000), (COIN, 1), (WHOLE, 25_000_000)]
)
def test_worth_of_a_tick_on_a_lot(instrument: Instrument, micro: int) -> None:
    """Tick times lot times multiplier, in units of 10^-6."""
    assert instrument.micro_per_tick_lot == micro


@pytest.mark.parametrize(("tick", "lot"), [(1, NANO), (CENT, 99_999), (0, NANO), (-CENT, NANO)])
def test_terms_whose_worth_is_no_whole_number_are_refused(tick: int, lot: int) -> None:
    """Money is kept in whole units of 10^-6, so one tick on one lot must be at least one of them."""
    with pytest.raises(ValueError, match="whole number"):
        _ = Instrument("X", types.ASSET_CLASS_EQUITY, "USD", tick, lot).micro_per_tick_lot


@pytest.mark.parametrize(
    ("micro", "text"),
    [(0, "0.00"), (1, "0.000001"), (1_500_000, "1.50"), (-1_234_567, "-1.234567"), (10**13, "10000000.00")],
)
def test_money_has_two_places_or_more(micro: int, text: str) -> None:
    """Cents are always shown, smaller parts where there are some."""
    assert money_text(micro) == text


def test_terms_survive_the_wire() -> None:
    """Every term of an instrument is the same after a message and back."""
    full = Instrument("O", types.ASSET_CLASS_OPTION, "USD", CENT, NANO, 100, "text", "EUR", 20270115, 7 * NANO, "C", 2)
    assert Instrument.from_proto(full.to_proto()) == full
    assert all(getattr(full.to_proto(), field.name) for field in commands.ListInstrument.DESCRIPTOR.fields)


def test_the_registry_learns_what_is_listed() -> None:
    """An InstrumentListed event brings an instrument in, a later one replaces it, other events bring nothing."""
    known = Instruments()
    event = events.Event(seq=1, instrument_listed=events.InstrumentListed(instrument=SHARE.to_proto()))
    assert known.learn(event) == SHARE
    assert known.learn(events.Event(seq=2, order=events.OrderEvent(symbol="MSFT"))) is None
    assert (known.get("AAPL"), known.get("MSFT"), known.symbols(), len(known)) == (SHARE, None, ["AAPL"], 1)
    event.instrument_listed.instrument.tick_size_nano = 2 * CENT
    known.learn(event)
    assert known.require("AAPL").tick_size_nano == 2 * CENT


@pytest.mark.parametrize(
    ("symbol", "reason", "metadata"),
    [
        ("", types.REASON_FIELD_MISSING, {}),
        ("aapl", types.REASON_SYMBOL_UNKNOWN, {"symbol": "aapl"}),
        ("X" * 1_000_000, types.REASON_SYMBOL_UNKNOWN, {"symbol": "X" * 40}),
    ],
)
def test_unknown_symbols_are_refused(symbol: str, reason: types.Reason.ValueType, metadata: dict[str, Any]) -> None:
    """A symbol that is missing or not listed is refused, quoting at most 40 characters of it."""
    with pytest.raises(Refused) as refused:
        Instruments().require(symbol)
    assert (refused.value.reason, refused.value.field, refused.value.metadata) == (reason, "symbol", metadata)
    assert len(refused.value.text) < 200
