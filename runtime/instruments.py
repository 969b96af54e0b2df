"""The terms of instruments, and the one conversion between decimals and integers.

Prices are ticks, quantities lots, money 10^-6 of a currency inside the venue;
outside they are decimal strings. Pure but for the generated message types.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from ordergate.matching.v1 import commands_pb2 as commands
from ordergate.matching.v1 import events_pb2 as events
from ordergate.types.v1 import types_pb2 as types

from runtime.decimals import NANO, divide_half_even, format_fixed, format_nano, parse_nano
from runtime.errors import Refused

MICRO_PLACES = 6
NANO_PER_MICRO = 1000
PRICE_TICKS_MAX = 10**12
QTY_LOTS_MAX = 10**12
TEXT_CACHE_MAX = 65_536


@dataclass(frozen=True)
class Instrument:
    """The terms of one instrument.

    `tick_size_nano` and `lot_size_nano` are in units of 10^-9; one tick of price
    on one lot of quantity is worth `micro_per_tick_lot` units of 10^-6 of the
    currency, which must be a whole number.
    """

    symbol: str
    asset_class: int
    currency: str
    tick_size_nano: int
    lot_size_nano: int
    multiplier: int = 1
    description: str = ""
    base_currency: str = ""
    expiry_date: int = 0
    strike_nano: int = 0
    option_right: str = ""
    trading_session: int = 0
    """The one it begins in; 0 for continuous trading. What it is in now, market data knows."""

    @classmethod
    def from_proto(cls, terms: commands.ListInstrument) -> "Instrument":
        """The instrument that a ListInstrument command describes."""
        return cls(
            symbol=terms.symbol,
            asset_class=terms.asset_class,
            currency=terms.currency,
            tick_size_nano=terms.tick_size_nano,
            lot_size_nano=terms.lot_size_nano,
            multiplier=terms.multiplier,
            description=terms.description,
            base_currency=terms.base_currency,
            expiry_date=terms.expiry_date,
            strike_nano=terms.strike_nano,
            option_right=terms.option_right,
            trading_session=terms.trading_session,
        )

    def to_proto(self) -> commands.ListInstrument:
        """The command that lists this instrument."""
        return commands.ListInstrument(
            symbol=self.symbol,
            asset_class=cast(types.AssetClass.ValueType, self.asset_class),
            currency=self.currency,
            tick_size_nano=self.tick_size_nano,
            lot_size_nano=self.lot_size_nano,
            multiplier=self.multiplier,
            description=self.description,
            base_currency=self.base_currency,
            expiry_date=self.expiry_date,
            strike_nano=self.strike_nano,
            option_right=self.option_right,
            trading_session=cast(types.TradingSession.ValueType, self.trading_session),
        )

    @cached_property
    def micro_per_tick_lot(self) -> int:
        """Worth of one tick on one lot, in units of 10^-6 of the currency.

        Raises:
            ValueError: it is not a whole number above 0.
        """
        return micro_per_tick_lot(self.tick_size_nano, self.lot_size_nano, self.multiplier)

    @cached_property
    def _price_places(self) -> int:
        return _places(self.tick_size_nano)

    @cached_property
    def _qty_places(self) -> int:
        return _places(self.lot_size_nano)

    @cached_property
    def layouts(self) -> dict[tuple[int, ...], bytes]:
        """What others have laid out for this instrument and want to find again; at most TEXT_CACHE_MAX."""
        return {}

    @cached_property
    def _texts(self) -> dict[int, str]:
        return {}

    @cached_property
    def _tick_cache(self) -> dict[str, int]:
        return {}

    @cached_property
    def _lot_cache(self) -> dict[str, int]:
        return {}

    def price_text(self, ticks: int) -> str:
        """A price in ticks as a decimal string, with the places of the tick size."""
        text = self._texts.get(ticks)
        if text is None:
            text = format_fixed(ticks * self.tick_size_nano // 10 ** (9 - self._price_places), self._price_places)
            if len(self._texts) < TEXT_CACHE_MAX:
                self._texts[ticks] = text
        return text

    def qty_text(self, lots: int) -> str:
        """A quantity in lots as a decimal string."""
        if self.lot_size_nano == NANO:
            return str(lots)
        return format_fixed(lots * self.lot_size_nano // 10 ** (9 - self._qty_places), self._qty_places)

    def avg_px_text(self, value_ticks_lots: int, qty_lots: int) -> str:
        """The average price of `qty_lots` that cost `value_ticks_lots`; empty for no quantity.

        With the places of the tick size where it is a multiple of it, else
        rounded half to even at 9 places.
        """
        if qty_lots == 0:
            return ""
        ticks, rest = divmod(value_ticks_lots, qty_lots)
        if not rest:
            return self.price_text(abs(ticks))
        return format_nano(divide_half_even(abs(value_ticks_lots) * self.tick_size_nano, abs(qty_lots)))

    def ticks(self, text: str, field: str) -> int:
        """The price of a request in ticks.

        Raises:
            Refused: not a plain decimal, not above 0, off the tick, or too large.
        """
        ticks = self._tick_cache.get(text)
        if ticks is None:
            ticks = self._whole(text, field, self.tick_size_nano, types.REASON_PRICE_OFF_TICK, PRICE_TICKS_MAX)
            if len(self._tick_cache) < TEXT_CACHE_MAX:
                self._tick_cache[text] = ticks
        return ticks

    def lots(self, text: str, field: str) -> int:
        """The quantity of a request in lots.

        Raises:
            Refused: not a plain decimal, not above 0, off the lot, or too large.
        """
        lots = self._lot_cache.get(text)
        if lots is None:
            lots = self._whole(text, field, self.lot_size_nano, types.REASON_QTY_OFF_LOT, QTY_LOTS_MAX)
            if len(self._lot_cache) < TEXT_CACHE_MAX:
                self._lot_cache[text] = lots
        return lots

    def _whole(self, text: str, field: str, step_nano: int, off: types.Reason.ValueType, steps_max: int) -> int:
        value = parse_positive_nano(text, field)
        steps, rest = divmod(value, step_nano)
        step = format_nano(step_nano)
        if rest:
            name = "tick" if off == types.REASON_PRICE_OFF_TICK else "lot"
            raise Refused(
                off,
                f"{field} {text} is not a multiple of the {name} {step} of {self.symbol}",
                field=field,
                metadata={name: step, "symbol": self.symbol},
            )
        if steps > steps_max:
            most = format_nano(steps_max * step_nano)
            raise Refused(
                types.REASON_VALUE_TOO_LARGE, f"{field} {text} is above {most}", field=field, metadata={"max": most}
            )
        return steps


def parse_positive_nano(text: str, field: str) -> int:
    """A decimal of a request that must be above 0, in units of 10^-9.

    Raises:
        Refused: empty, not a plain decimal, or not above 0.
    """
    if not text:
        raise Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)
    try:
        value = parse_nano(text)
    except ValueError as error:
        raise Refused(types.REASON_DECIMAL_INVALID, f"{field}: {error}", field=field) from None
    if value <= 0:
        raise Refused(types.REASON_NOT_POSITIVE, f"{field} must be above 0, not {text}", field=field)
    return value


def micro_per_tick_lot(tick_size_nano: int, lot_size_nano: int, multiplier: int) -> int:
    """Worth of one tick on one lot, in units of 10^-6 of the currency.

    Raises:
        ValueError: it is not a whole number above 0.
    """
    worth, rest = divmod(tick_size_nano * lot_size_nano * multiplier, NANO * NANO_PER_MICRO)
    if rest or worth <= 0:
        raise ValueError("one tick on one lot must be worth a whole number of 10^-6 of the currency")
    return worth


def money_text(micro: int) -> str:
    """Money in units of 10^-6 as a decimal string: two places, more where they are needed."""
    text = format_fixed(micro, MICRO_PLACES)
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _places(step_nano: int) -> int:
    """Decimal places that show every multiple of `step_nano` exactly."""
    places = 9
    while places and step_nano % 10 == 0:
        step_nano //= 10
        places -= 1
    return places


class Instruments:
    """The listed instruments by symbol, as the event feed has told them."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Instrument] = {}

    def learn(self, event: events.Event) -> Instrument | None:
        """Takes in an InstrumentListed event and gives its instrument; None for any other event."""
        if event.WhichOneof("body") != "instrument_listed":
            return None
        return self.add(event.instrument_listed.instrument)

    def add(self, terms: commands.ListInstrument) -> Instrument:
        """Adds, or replaces, an instrument."""
        instrument = Instrument.from_proto(terms)
        self._by_symbol[instrument.symbol] = instrument
        return instrument

    def get(self, symbol: str) -> Instrument | None:
        """The instrument, or None when it is not listed."""
        return self._by_symbol.get(symbol)

    def require(self, symbol: str, field: str = "symbol") -> Instrument:
        """The instrument.

        Raises:
            Refused: the symbol is empty or not listed.
        """
        instrument = self._by_symbol.get(symbol)
        if instrument is None:
            if not symbol:
                raise Refused(types.REASON_FIELD_MISSING, f"{field} is missing", field=field)
            raise Refused(
                types.REASON_SYMBOL_UNKNOWN,
                f"symbol {symbol[:40]!r} is not listed",
                field=field,
                metadata={"symbol": symbol[:40]},
            )
        return instrument

    def symbols(self) -> list[str]:
        """The listed symbols, sorted."""
        return sorted(self._by_symbol)

    def __len__(self) -> int:
        return len(self._by_symbol)
